"""What of routing leads to us: static routes and routing protocols, as IOS and FRRouting write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from drivers.cutoff.ios_model import Model, Route
from drivers.cutoff.ios_referred import changed_behind
from drivers.cutoff.packets import Address, address, anybody, candidates, displaced
from drivers.cutoff.way import Findings, Way
from drivers.dialects.tree import Node
from inventory.plans import Finding

_ROUTING_DENIES: Final = re.compile(
    r"passive-interface|(?:bgp )?shutdown|no neighbor \S+ activate"
    r"|neighbor \S+ (?:shutdown|route-map \S+ in|prefix-list \S+ in|filter-list \S+ in"
    r"|distribute-list \S+ in|password)|distribute-list .* in|area \S+ (?:authentication|stub|nssa)|maximum-paths 0"
)
_ROUTING_KEEPS: Final = re.compile(
    r"(?!neighbor \S+ (?:description|timers|maximum-prefix|bfd|send-community|soft-reconfiguration|weight)\b)"
    r"(?:network|neighbor|address-family|area|redistribute|default-information|net|activate|router-id"
    r"|no passive-interface|bgp router-id|version)\b"
)
_INTERFACE_ROUTING: Final = re.compile(
    r"(?:ip ospf|ipv6 ospf|isis|ip router|ip authentication|ip hello-interval|ip rip|eigrp)\b"
)


def static_routes(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """The static routes that answers to us take, by the interfaces of our way."""
    us = way.source_ip
    known = bool(way.interface or way.address)
    tables = {old.interfaces[name].vrf for name in names} | (set() if known else {""})
    tracked: set[str] = set()
    for vrf in sorted(tables):
        if us is not None and any(route.prefix.prefixlen for route in old.routes_to(us, vrf)):
            continue
        if us is not None and old.holding(us, vrf):
            continue
        best, left = old.defaults(vrf), new.defaults(vrf)
        tracked |= {route.track for route in best if route.track}
        for route in best:
            if not any(_same(route, other) for other in left):
                yield Finding(
                    f"no {route.line}" if route.line not in new.top else route.line,
                    "the default route that answers to us take",
                )
        for route in left:
            if best and not any(_same(route, other) for other in best):
                yield Finding(route.line, "takes over the default route that answers to us take")
            elif not best and old.interfaces and _null(route):
                yield Finding(route.line, "drops answers to us")
    yield from _specific(old, new, way, tables)
    yield from _gateway(old, new)
    for node in old.nodes:
        found = re.match(r"(?:track|ip sla) (\d+)\b", node.text)
        if found and tracked and new.top.get(node.text) != node:
            depends = node.text.startswith("ip sla") or found[1] in tracked
            if depends:
                yield Finding(
                    f"no {node.text}" if node.text not in new.top else node.text, "the default route depends on it"
                )


def _same(one: Route, other: Route) -> bool:
    return (one.prefix, one.via, one.interface, one.track) == (other.prefix, other.via, other.interface, other.track)


def _null(route: Route) -> bool:
    return route.via.lower().startswith("null")


def _specific(old: Model, new: Model, way: Way, tables: set[str]) -> Findings:
    """More specific routes: for where we come from as far as it is known, and for anybody."""
    us = way.source_ip
    routed = [route.prefix for route in (*old.routes, *new.routes)]
    everybody: list[Address] = [us] if us is not None else [*candidates(old.let_in(), None), *anybody(routed)]
    for vrf in sorted(tables):
        for somebody in everybody:
            was, now = old.routes_to(somebody, vrf), new.routes_to(somebody, vrf)
            for route in was:
                if route.prefix.prefixlen and not any(_same(route, other) for other in now):
                    yield Finding(f"no {route.line}", "the route that answers to us take")
            for route in now:
                if route.prefix.prefixlen and not any(_same(route, other) for other in was):
                    yield Finding(route.line, "sends answers to us elsewhere")
        if us is None and not old.defaults(vrf) and not any(one.asks for one in old.interfaces.values()):
            left = {route.line for route in new.routes}
            for route in old.routes:
                if route.vrf == vrf and route.line not in left and not any(_same(route, one) for one in new.routes):
                    yield Finding(
                        f"no {route.line}", "without a default route it may be the one that answers to us take"
                    )


def _gateway(old: Model, new: Model) -> Findings:
    gateways = [node.text for node in old.nodes if node.text.startswith(("ip default-gateway ", "ip default-network "))]
    for line in gateways:
        if line not in new.top:
            yield Finding(f"no {line}", "the gateway that answers to us take")
    if "ip routing" in new.top and "ip routing" not in old.top and gateways and not new.defaults(""):
        yield Finding("ip routing", "from then on the default gateway is no longer used, and there is no default route")
    if "no ip routing" in new.top and "no ip routing" not in old.top:
        yield Finding("no ip routing", "stops all routing")
    if "ip routing" in old.top and "ip routing" not in new.top:
        yield Finding("no ip routing", "stops all routing")


def elsewhere(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Networks of ours, or of the next hop to us, that come to stand on another interface."""
    for vrf in sorted({old.interfaces[name].vrf for name in names}):
        hops = (address(route.via.split(" ")[0]) for route in old.defaults(vrf))
        ours = [*candidates(old.let_in(), way.source_ip), *(hop for hop in hops if hop is not None)]
        for name in displaced(old.standing(vrf), new.standing(vrf), ours):
            yield Finding(f"interface {name} / ip address", "has a network that answers to us then go to")


def routing_protocols(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Routing protocols: a whole one that goes, and the lines of one where no static route leads to us."""
    alone = not old.defaults("") and not any(node.text.startswith("ip default-gateway") for node in old.nodes)
    alone = alone and not any(one.asks for one in old.interfaces.values())
    for node in old.nodes:
        if not node.text.startswith(("router ", "ipv6 router ")):
            continue
        now = new.top.get(node.text)
        if now is None:
            yield Finding(f"no {node.text}", "the routing that answers to us may take")
        elif alone:
            yield from of_process(node, now)
            for name in changed_behind(old, new, node):
                yield Finding(f"{node.text} / {name}", "decides which routes are taken, and answers to us take one")
    if alone:
        for name in names:
            was, now_ = old.interfaces[name], new.interfaces.get(name)
            for line in sorted(set(was.lines) ^ set(now_.lines if now_ else ())):
                if _INTERFACE_ROUTING.match(line):
                    yield Finding(
                        f"interface {name} / {line}", "the routing protocol on an interface that we come through"
                    )


def of_process(was: Node, now: Node) -> Findings:
    """What of a routing process no longer brings routes, or tells of ours, where nothing else leads to us."""
    before, after = dict(_paths(was)), dict(_paths(now))
    for path in before:
        if path not in after and _ROUTING_KEEPS.match(path.rsplit(" / ", 1)[-1]):
            yield Finding(f"no {path}", "the routing that answers to us take")
    for path in after:
        if path not in before and _ROUTING_DENIES.match(path.rsplit(" / ", 1)[-1]):
            yield Finding(path, "the routing that answers to us take")


def _paths(node: Node, above: str = "") -> Iterator[tuple[str, Node]]:
    path = f"{above} / {node.text}" if above else node.text
    yield path, node
    for child in node.children:
        yield from _paths(child, path)
