"""What cuts us off from a FRRouting router: interfaces, routes, filters towards the kernel, lists of the lines.

A router that is reached over its host's own SSH server is not asked by its lines (`line vty`); they count where our
port is theirs or is not known. A list that is not there lets everybody in, unlike on IOS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.cutoff.frr_model import FrrModel
from drivers.cutoff.ios_model import way_in
from drivers.cutoff.ios_referred import changed_behind, told_less_behind
from drivers.cutoff.ios_routing import elsewhere, of_process, static_routes
from drivers.cutoff.packets import EPHEMERAL, Address, Packet, Rule, address, candidates, passes
from drivers.cutoff.way import Findings, Way, on_device
from drivers.dialects.tree import Node, Tree
from inventory.plans import Finding

_LINES: Final = range(2600, 2700)
"""Ports of the lines of FRRouting's daemons."""
_TELNET: Final = 23
_PEER: Final = re.compile(r"neighbor (\S+) interface\b")
_INTERFACE_ROUTING: Final = re.compile(r"(?:ip|ipv6) (?:ospf6?|router|rip|eigrp)\b|isis\b|no ipv6 nd suppress-ra$")
_COSTS: Final = re.compile(r"(?:ip|ipv6) ospf6? (?:cost|priority)\b|isis (?:metric|priority)\b")
_KERNEL: Final = re.compile(r"(?:ip|ipv6) protocol (\S+) route-map (\S+)$")
_ALWAYS_NEEDED: Final = frozenset({"any", "connected", "kernel", "static"})


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`."""
    old, new = FrrModel.of(before), FrrModel.of(after)
    way = on_device(way, {own for one in old.interfaces.values() for own, _ in one.networks})
    named = way_in(old, way)
    alone = not any(old.defaults(vrf) for vrf in {old.interfaces[name].vrf for name in named} | ({""} - {*named}))
    peers = _peers(old) if alone else ()
    names = _unnumbered(old, peers, named, way) or named
    tables = {old.interfaces[name].vrf for name in names} or {""}
    yield from _interfaces(old, new, way, names, peers)
    yield from elsewhere(old, new, way, names)
    yield from _tables(old, new, tables)
    yield from static_routes(old, new, way, names)
    yield from _protocols(old, new, names, tables, alone=alone)
    yield from _kernel(old, new, alone=alone)
    if way.port in (0, _TELNET) or way.port in _LINES:
        yield from _lines(old, new, way)


def _peers(model: FrrModel) -> tuple[str, ...]:
    """Interfaces over which BGP finds its neighbours without addresses, and those that are up."""
    found = [
        model.spelled(said[1])
        for node in model.nodes
        if node.text.startswith("router bgp ")
        for child in node.walk()
        if (said := _PEER.match(child.text))
    ]
    return tuple(name for name in dict.fromkeys(found) if name in model.interfaces)


def _unnumbered(model: FrrModel, peers: Sequence[str], named: Sequence[str], way: Way) -> tuple[str, ...]:
    """The way to a router that has its address on the loopback and no addresses on the links to its neighbours."""
    if not peers or (way.address_ip is not None and not all(name.startswith("lo") for name in named)):
        return ()
    own = [name for name, one in model.interfaces.items() if name.startswith("lo") and one.networks]
    return (*peers, *own)


def _interfaces(old: FrrModel, new: FrrModel, way: Way, names: Sequence[str], peers: Sequence[str]) -> Findings:
    spare = any(name in new.interfaces and not new.interfaces[name].down for name in peers)
    for name in [*names, *_parents(old, names)]:
        was, now = old.interfaces[name], new.interfaces.get(name)
        if now is not None and now.down and not was.down and not (name in peers and spare):
            yield Finding(f"interface {name} / shutdown", "shuts an interface that we come through")
        if name not in names:
            continue
        left = {own for own, _ in now.networks} if now is not None else set()
        for own in _used(old, name, way):
            if own not in left:
                yield Finding(
                    f"interface {name} / no ip address {own}", "the address of an interface that we come through"
                )


def _parents(model: FrrModel, names: Sequence[str]) -> list[str]:
    """Interfaces that carry those of our way with a tag."""
    found = (model.spelled(name.split(" ")[0].rpartition(".")[0]) for name in names)
    return [name for name in dict.fromkeys(found) if name in model.interfaces and name not in names]


def _used(model: FrrModel, name: str, way: Way) -> list[Address]:
    """Those of an interface's addresses that we come to or that the next hop to us stands in; else all."""
    interface = model.interfaces[name]
    us = way.source_ip
    hops = [address(route.via.split(" ")[0]) for route in model.defaults(interface.vrf)]
    if us is not None:
        hops = [us, *(address(route.via.split(" ")[0]) for route in model.routes_to(us, interface.vrf))]
    needed = [one for one in hops if one is not None]
    found = [
        own
        for own, net in interface.networks
        if own == way.address_ip or any(one.version == net.version and one in net for one in needed)
    ]
    return found or [own for own, _ in interface.networks]


def _tables(old: FrrModel, new: FrrModel, tables: set[str]) -> Findings:
    for node in old.nodes:
        if node.text.startswith("vrf ") and node.text[4:] in tables and node.text not in new.top:
            yield Finding(f"no {node.text}", "removes the routing table of an interface that we come through")


def _protocols(old: FrrModel, new: FrrModel, names: Sequence[str], tables: set[str], *, alone: bool) -> Findings:
    """Routing protocols of our tables: a whole one that goes; its lines where no static route leads to us."""
    for node in old.nodes:
        found = re.match(r"router \S+(?: \S+)?(?: vrf (\S+))?$", node.text)
        if not found or (found[1] or "") not in tables:
            continue
        now = new.top.get(node.text)
        if now is None:
            yield Finding(f"no {node.text}", "the routing that answers to us may take")
        elif alone:
            yield from of_process(node, now)
            for name in (*changed_behind(old, new, node), *told_less_behind(old, new, node)):
                yield Finding(
                    f"{node.text} / {name}", "decides which routes are taken or told, and our way hangs on them"
                )
    if not alone:
        return
    for name in names:
        was, now_ = old.interfaces[name], new.interfaces.get(name)
        for line in sorted(set(was.lines) ^ set(now_.lines if now_ else ())):
            if _INTERFACE_ROUTING.match(line) and not _COSTS.match(line):
                yield Finding(f"interface {name} / {line}", "the routing protocol on an interface that we come through")
    known = {route.line for route in old.routes}
    for route in new.routes:
        if route.prefix.prefixlen == 0 and route.vrf in tables and route.line not in known and route.via != "Null0":
            yield Finding(route.line, "is preferred to the default route that a routing protocol brings")


def _kernel(old: FrrModel, new: FrrModel, *, alone: bool) -> Findings:
    """Maps between FRRouting and the kernel: a route that they deny is known and not used."""
    for node in new.nodes:
        found = _KERNEL.match(node.text)
        if not found or not (alone or found[1] in _ALWAYS_NEEDED):
            continue
        if node.text not in old.top:
            yield Finding(node.text, "decides which routes the kernel gets, and answers to us take one")
        else:
            for name in changed_behind(old, new, Node(node.text)):
                yield Finding(
                    f"{node.text} / {name}", "decides which routes the kernel gets, and answers to us take one"
                )


def _lines(old: FrrModel, new: FrrModel, way: Way) -> Findings:
    """Who may use the lines, by the lists as they decide about us."""
    before, after = _lists(old), _lists(new)
    if not before and any(after) and way.source_ip is None:
        for name in new.classes():
            yield Finding(
                f"line vty / access-class {name}", "restricts who may log in, and where we come from is not known"
            )
        return
    for source in candidates(old.let_in(), way.source_ip):
        packet = Packet(source, None, "tcp", EPHEMERAL, way.port or _LINES[0])
        if not all(_lets_in(rules, packet) for rules in before):
            continue
        for name, rules in zip(new.classes(), after, strict=True):
            if not _lets_in(rules, packet):
                shown = next((rule.line for rule in rules if rule.matches(packet)), f"line vty / access-class {name}")
                yield Finding(shown, "lets in no longer who may log in today")


def _lists(model: FrrModel) -> list[list[Rule]]:
    return [model.rules(name) for name in model.classes()]


def _lets_in(rules: Sequence[Rule], packet: Packet) -> bool:
    return passes(rules, packet, otherwise=not rules)
