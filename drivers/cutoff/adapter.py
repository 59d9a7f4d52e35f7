"""What cuts us off from a SEIL or an SA: its line to the service, and the shell where it is reached by SSH."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Final

from drivers.cutoff.adapter_model import OWN, Model, Route, Setting, carriers, way_in
from drivers.cutoff.packets import (
    ANYBODY,
    EPHEMERAL,
    Address,
    Packet,
    Rule,
    anybody,
    decides,
    passes,
    somebody_in,
    whole_number,
)
from drivers.cutoff.way import Findings, Way, on_device
from inventory.plans import Finding

_CARRIES: Final = re.compile(
    r"address|over|ppp|unnumbered|media|vid|tunnel|source|destination|id|password|ipcp|ipcp\.address|auth-method"
    r"|dialup-device|apn|cid|pdp-type|pin|auto-connect|servicename|acname|floatlink|encapsulation|preshared-key|ike\..*"
    r"|link|service|shutdown|down|ipv6\.dslite\..*"
)
_DIALS: Final = (
    "identifier", "passphrase", "ipcp", "ipcp-address", "authentication-method", "acname", "servicename", "mppe",
)  # fmt: skip
_CLOSES: Final = re.compile(r"encrypted-password|service disable|sshd disable|authentication (?:off|disable)|none$")
_ANYTHING: Final = re.compile("")
_ROOM: Final = {"mtu": 576, "tcp-mss": 500, "ipv4.tcp-mss": 500}
"""Octets below which nothing of use gets through."""
_ROOMY: Final = 9_000
_ANYBODY6: Final = IPv6Address("2001:218::1")
_OWN6: Final = IPv6Address("2001:218::2")
_HTTPS: Final = 443
_DNS: Final = 53


def judge(old: Model, new: Model, way: Way) -> Findings:
    """Findings between two models; see `drivers.cutoff.findings`."""
    way = on_device(way, {own for name in old.interfaces for own, _ in old.networks(name)})
    to = way.source_ip or ANYBODY
    names = way_in(old, way, to)
    below = carriers(old, names)
    yield from _interfaces(old, new, names, below)
    yield from _dialled(old, new, names)
    routed = (route.prefix for route in (*old.routes, *new.routes))
    for somebody in [to] if way.source_ip is not None else anybody(routed):
        yield from _routes(old, new, somebody)
    if any(name.startswith("tunnel") for name in names):
        yield from _routes(old, new, _ANYBODY6)
        yield from _filters6(old, new, [*below])
    yield from _filters(old, new, names, way)
    yield from _forwardings(old, new, names, way)
    if way.path != "ssh":
        yield from _resolvers(old, new)
    if way.path != "arms":
        yield from _changed(old.door, new.door, "how we log in", come=_CLOSES)
    if not old.routes_to(to) and not any(old.asks(name) for name in names):
        yield from _changed(old.dynamic, new.dynamic, "the routing that answers to us take", come=None)
    if any(name.startswith(("ipsec", "tunnel", "l2tp")) for name in names):
        yield from _changed(old.tunnels, new.tunnels, "the tunnel that we come through", come=None)
    if any(name.startswith(("ppp", "wwan")) and not name.startswith("pppoe") for name in names):
        yield from _changed(old.dialup, new.dialup, "the dial-up that we come through")
    for key, setting in new.harmful.items():
        if key not in old.harmful:
            yield Finding(setting.line, setting.value)


def _interfaces(old: Model, new: Model, names: Sequence[str], below: Mapping[str, str]) -> Findings:
    for name in [*names, *below]:
        was, now = old.interfaces.get(name, {}), new.interfaces.get(name, {})
        static = any(key.startswith("address") and not _is_six(one) for key, one in was.items())
        for key in {**was, **now}:
            one, other = was.get(key), now.get(key)
            if one is not None and other is not None and one.value == other.value:
                continue
            if other is not None and whole_number(other.value, _ROOMY) < _ROOM.get(key, 0):
                yield Finding(other.line, "leaves no room for our packets")
            if not _CARRIES.fullmatch(key.partition(" ")[0]):
                continue
            if key.startswith("address") and not below.get(name, "tunnel").startswith(("tunnel", "ipsec")):
                continue
            six = any(setting is not None and _is_six(setting) for setting in (one, other))
            if key.startswith("address") and ((six and static) or (one is None and static)):
                continue
            line = other.line if other is not None else f"no {one.line}" if one is not None else key
            yield Finding(line, "the line that we come through")


def _is_six(setting: Setting) -> bool:
    """Whether an address is one of IPv6, or is asked for there."""
    return ":" in setting.value or setting.value.split(" ")[0] in {"dhcp6", "router-advertisement"}


def _dialled(old: Model, new: Model, names: Sequence[str]) -> Findings:
    for name in names:
        profile = old.value(name, "ppp")
        was, now = old.profiles.get(profile), new.profiles.get(profile)
        if was is None:
            continue
        if now is None:
            if new.value(name, "ppp") == profile:
                yield Finding(f"no {next(iter(was.values())).line}", "the dial-up that we come through")
            continue
        for key in _DIALS:
            if _value(was, key) != _value(now, key):
                yield Finding(next(iter(now.values())).line, f"{key} of the dial-up that we come through")
        connect = _value(now, "auto-connect")
        if connect != _value(was, "auto-connect") and connect in {"none", "ondemand", "vrrp"}:
            yield Finding(now["auto-connect"].line, "the dial-up that we come through is no longer always up")
        room = _value(now, "tcp-mss")
        if room != _value(was, "tcp-mss") and whole_number(room, _ROOMY) < _ROOM["tcp-mss"]:
            yield Finding(now["tcp-mss"].line, "leaves no room for our packets")


def _value(profile: Mapping[str, Setting], key: str) -> str:
    found = profile.get(key)
    return "" if found is None else found.value


def _routes(old: Model, new: Model, to: Address) -> Findings:
    was, now = old.routes_to(to), new.routes_to(to)
    left = {route.gateway for route in now}
    kept = {route.gateway for route in was}
    for route in was:
        if route.gateway not in left:
            yield Finding(f"no {route.line}", "the route that we and our answers take")
    for route in now:
        if was and route.gateway not in kept:
            yield Finding(route.line, "takes over the route that we and our answers take")
        if not was and _sinks(route):
            yield Finding(route.line, "drops what goes to us")
        if (
            route.watched
            and route.gateway in kept
            and not any(one.watched for one in was)
            and not _stands_by(new, route)
        ):
            yield Finding(route.line, "is given up while what it watches is silent, and nothing stands by")


def _stands_by(model: Model, route: Route) -> bool:
    return any(one.prefix == route.prefix and one.gateway != route.gateway for one in model.routes)


def _sinks(route: Route) -> bool:
    return route.gateway == "discard"


@dataclass(frozen=True, slots=True)
class _Talk:
    """A conversation that we need: its first packet, the answer, and whether it begins outside."""

    what: str
    first: Packet
    answer: Packet
    incoming: bool


def _filters(old: Model, new: Model, names: Sequence[str], way: Way) -> Findings:
    """What the adapter sends to the service, answers to it, and our own logins."""
    for name in names:
        own = way.address_ip or next((a for a, _ in old.networks(name)), OWN)
        for talk in _talks(old, name, own, way):
            whole = _gets_through(old, name, talk)
            # Where our model lets no answer through today, a device must be kinder: then only the first packet counts.
            was, now = (_gets_through(m, name, talk) if whole else _begins(m, name, talk) for m in (old, new))
            if was and not now:
                yield Finding(_blocking(new, name, talk) or _lost(old, new), f"stops {talk.what}")


def _filters6(old: Model, new: Model, below: Sequence[str]) -> Findings:
    """What a tunnel through IPv6 needs of the line below it: its own packets, and finding its neighbours."""
    was, now = replace(old, filters=old.filters6), replace(new, filters=new.filters6)
    for name in below:
        for what, protocol in (("the tunnel through IPv6", "4"), ("the neighbours of IPv6", "ipv6-icmp")):
            there = Packet(_OWN6, _ANYBODY6, protocol, 0, 0)
            talk = _Talk(what, there, Packet(_ANYBODY6, _OWN6, protocol, 0, 0), incoming=False)
            if _gets_through(was, name, talk) and not _gets_through(now, name, talk):
                yield Finding(_blocking(now, name, talk) or _lost(was, now), f"stops {what}")


def _talks(old: Model, name: str, own: Address, way: Way) -> Iterator[_Talk]:
    if way.path != "ssh":
        service = way.source_ip or ANYBODY
        for what, to, protocol, port in (
            ("its calls to us", service, "tcp", _HTTPS),
            ("its questions for our address", ANYBODY, "udp", _DNS),
        ):
            first = Packet(own, to, protocol, EPHEMERAL, port)
            yield _Talk(what, first, Packet(to, own, protocol, port, EPHEMERAL), incoming=False)
    if way.path != "arms" or way.port:
        rules = list(_rules(old, name, incoming=True))
        named = [somebody_in(net, rules) for rule in rules if rule.permits for net in rule.sources or ()]
        for source in [way.source_ip] if way.source_ip is not None else dict.fromkeys([ANYBODY, *named]):
            for port in way.ports:
                first = Packet(source, own, "tcp", EPHEMERAL, port)
                yield _Talk("our logins", first, Packet(own, source, "tcp", port, EPHEMERAL), incoming=True)


def _gets_through(model: Model, name: str, talk: _Talk) -> bool:
    """By the state that its first packet leaves, or both ways for themselves."""
    for one in model.filters:
        rule = one.incoming if talk.incoming else one.outgoing
        if rule is not None and one.interface in {name, "any"} and rule.matches(talk.first):
            if not rule.permits:
                return False
            if one.stateful:
                return True
            break
    return passes(_rules(model, name, incoming=not talk.incoming), talk.answer, otherwise=True)


def _begins(model: Model, name: str, talk: _Talk) -> bool:
    return passes(_rules(model, name, incoming=talk.incoming), talk.first, otherwise=True)


def _rules(model: Model, name: str, *, incoming: bool) -> list[Rule]:
    found = (one.incoming if incoming else one.outgoing for one in model.filters if one.interface in {name, "any"})
    return [rule for rule in found if rule is not None]


def _blocking(model: Model, name: str, talk: _Talk) -> str:
    for packet, incoming in ((talk.first, talk.incoming), (talk.answer, not talk.incoming)):
        rule = decides(_rules(model, name, incoming=incoming), packet)
        if rule is not None and not rule.permits:
            return rule.line
    return ""


def _lost(old: Model, new: Model) -> str:
    left = {rule.line for one in new.filters for rule in (one.incoming, one.outgoing) if rule is not None}
    were = (rule.line for one in old.filters for rule in (one.incoming, one.outgoing) if rule is not None)
    return next((f"no {line}" for line in were if line not in left), "filter")


def _forwardings(old: Model, new: Model, names: Sequence[str], way: Way) -> Findings:
    known = {one.line for one in old.forwardings}
    mine = {str(own) for name in names for own, _ in old.networks(name)}
    ports = way.ports if way.path != "arms" else ((way.port,) if way.port else ())
    for one in new.forwardings:
        if one.line in known or (one.interface and one.interface not in names):
            continue
        if one.outside and one.outside not in mine:
            continue
        taken = one.ports is None or any(low <= port <= high for low, high in one.ports for port in ports)
        if taken and one.protocol in {"", "tcp", "tcpudp", "any", "6"}:
            yield Finding(one.line, "takes what comes to the adapter itself")


def _resolvers(old: Model, new: Model) -> Findings:
    was = {one.value for key, one in old.resolvers.items() if key.startswith("address")}
    now = {one.value for key, one in new.resolvers.items() if key.startswith("address")}
    if was and not was & now:
        gone = next(one.line for key, one in old.resolvers.items() if key.startswith("address"))
        come = next((one.line for key, one in new.resolvers.items() if key.startswith("address")), f"no {gone}")
        yield Finding(come, "the adapter finds us by name, and none of its resolvers is left")
    one, other = _value(old.resolvers, "service"), _value(new.resolvers, "service")
    if one != other and (other == "disable" or (one == "enable" and not other)):
        line = new.resolvers["service"].line if "service" in new.resolvers else f"no {old.resolvers['service'].line}"
        yield Finding(line, "the adapter finds us by name, and no longer asks")


def _changed(
    was: Mapping[str, Setting],
    now: Mapping[str, Setting],
    reason: str,
    *,
    come: re.Pattern[str] | None = _ANYTHING,
) -> Findings:
    """What is gone or has another value, and what has come where its key and value are `come`."""
    for key in {**was, **now}:
        one, other = was.get(key), now.get(key)
        if one is not None and (other is None or other.value != one.value):
            yield Finding(other.line if other is not None else f"no {one.line}", reason)
        elif one is None and other is not None and come is not None and come.search(f"{key} {other.value}"):
            yield Finding(other.line, reason)
