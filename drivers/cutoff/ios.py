"""What cuts us off from an IOS or IOS-XE device: interfaces, routes, access lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from drivers.cutoff.ios_login import logins
from drivers.cutoff.ios_model import Interface, Model, carriers, negated, way_in
from drivers.cutoff.ios_policing import policed
from drivers.cutoff.ios_referred import changed_behind
from drivers.cutoff.ios_routing import elsewhere, routing_protocols, static_routes
from drivers.cutoff.packets import (
    ANYBODY,
    EPHEMERAL,
    Packet,
    Rule,
    candidates,
    masked,
    network,
    passes,
)
from drivers.cutoff.way import Findings, Way, on_device
from drivers.dialects.tree import Node, Tree
from inventory.plans import Finding

_CARRIES: Final = (
    (r"(?:ip|ipv6) address\b", "the address of an interface that we come through"),
    (r"ip unnumbered\b", "the address of an interface that we come through"),
    (r"(?:ip )?vrf forwarding\b", "moves an interface that we come through to another table, without its address"),
    (r"encapsulation\b", "the encapsulation of an interface that we come through"),
    (r"(?:ppp|dialer|dialer-group|pppoe|pppoe-client|peer|async)\b", "the dial-up that we come through"),
    (r"tunnel\b", "the tunnel that we come through"),
    (
        r"(?:channel-group|bridge-group|service instance|xconnect|switchport mode|no switchport)\b",
        "the port below our way",
    ),
    (r"switchport$", "the port below our way"),
    (r"switchport trunk (?:encapsulation|native)\b", "the port below our way"),
    (r"(?:speed|duplex|negotiation|media-type|no negotiation)\b", "the link of a port below our way"),
)
_HARMS: Final = (
    (r"ip policy route-map\b", "sends packets of our way elsewhere"),
    (r"ip verify unicast (?!.*allow-default)", "drops packets of our way whose route back differs, or is the default"),
    (r"mac-address\b", "changes what the next hop knows an interface of our way by"),
    (r"zone-member security\b", "puts an interface of our way under the zone firewall"),
    (r"ip inspect \S+ in\b", "inspects what comes in by our way"),
    (r"switchport port-security$", "may shut the port below our way"),
    (r"spanning-tree bpduguard enable\b", "shuts the port below our way at the first BPDU"),
    (
        r"(?:dot1x port-control|authentication port-control|access-session port-control) (?:auto|force-unauthorized)\b",
        "lets nobody through the port below our way before it has authenticated",
    ),
    (r"(?:mac access-group|storm-control (?:unicast|action shutdown))\b", "filters the port below our way"),
    (r"(?:ip |ipv6 )?mtu (?:[1-9]\d|[1-4]\d\d|5[0-6]\d|57[0-5])$", "leaves no room for our packets"),
    (r"ip tcp adjust-mss [1-4]?\d?\d$", "leaves no room for our packets"),
    (r"rate-limit input\b", "limits what comes in by our way"),
)
_DIALLED: Final = re.compile(r"(?:ppp|dialer|pppoe|tunnel|ip unnumbered|ip mtu|encapsulation)\b")
_RENAMED: Final = re.compile(r"ip nat outside source static (?:(?:tcp|udp|network) )?(\S+)(?: \S+ (255\.\S+))?")
_ANY_SERVICE: Final = re.compile(
    r"ip nat inside source static (?:(tcp|udp) )?(\S+)(?: (\d+))? (?:interface (\S+)|(\S+))(?: (\d+))?"
)


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`."""
    old, new = Model.of(before), Model.of(after)
    way = on_device(way, {own for one in old.interfaces.values() for own, _ in one.networks})
    names = way_in(old, way)
    yield from _interfaces(old, new, names)
    yield from static_routes(old, new, way, names)
    yield from elsewhere(old, new, way, names)
    yield from routing_protocols(old, new, names)
    yield from _filters(old, new, way, names)
    yield from _translations(old, new, way, names)
    yield from _renamed_sources(old, new, way)
    yield from _encrypted(old, new, way, names)
    yield from policed(old, new, way, names)
    yield from logins(old, new, way, names)
    yield from _rest(old, new, names, before, after)
    yield from _behind(old, new, names)


def _interfaces(old: Model, new: Model, names: Sequence[str]) -> Findings:
    below = carriers(old, names)
    for name in [*names, *below]:
        was, now = old.interfaces[name], new.interfaces.get(name)
        if now is None:
            yield Finding(f"no interface {name}", "removes an interface that we come through")
            continue
        if now.down and not was.down and not _spare(old, new, name, below.get(name, "")):
            yield Finding(f"interface {name} / shutdown", "shuts an interface that we come through")
        yield from _lines(was, now, carried=name in below)
        yield from _vlans(name, was, now, below.get(name, ""))
    yield from _vlan(old, new, {kind[1] for name in names if (kind := re.fullmatch(r"[Vv]lan\s*(\d+)", name))})


def _spare(old: Model, new: Model, name: str, above: str) -> bool:
    """Whether other members of the bundle go on carrying us."""
    if not above.lower().startswith("port-channel"):
        return False
    siblings = [other for other, what in carriers(old, [above]).items() if what == above and other != name]
    return any(other in new.interfaces and not new.interfaces[other].down for other in siblings)


def _lines(was: Interface, now: Interface, *, carried: bool) -> Findings:
    gone = [line for line in was.lines if line not in now.lines]
    come = [line for line in now.lines if line not in was.lines]
    dialled = was.name.lower().startswith(("dialer", "tunnel", "cellular", "async", "virtual"))
    for sign, lines in (("no ", gone), ("", come)):
        for line in lines:
            shown = f"interface {was.name} / {negated(line) if sign else line}"
            for pattern, reason in _CARRIES:
                if re.match(pattern, line) and not _further(line, sign, was, carried=carried):
                    yield Finding(shown, reason)
                    break
            else:
                if dialled and _DIALLED.match(line):
                    yield Finding(shown, "the dial-up or tunnel that we come through")
    for line in come:
        for pattern, reason in _HARMS:
            if re.match(pattern, line):
                yield Finding(f"interface {was.name} / {line}", reason)


def _further(line: str, sign: str, was: Interface, *, carried: bool) -> bool:
    """A statement about addresses that leaves those we use alone."""
    if line.startswith(("ip address", "ipv6 address")):
        if line.endswith(" secondary") and not sign:
            return True
        if line.startswith("ipv6") and any(one.startswith("ip address") for one in was.lines):
            return True
        return carried and not was.networks
    return False


def _vlans(name: str, was: Interface, now: Interface, above: str) -> Findings:
    """A port that no longer has the VLAN of our way."""
    kind = re.fullmatch(r"[Vv]lan\s*(\d+)", above)
    if kind and was.carries(kind[1]) and not now.carries(kind[1]):
        come = [line for line in now.lines if line not in was.lines and "vlan" in line]
        shown = come[0] if come else "switchport"
        yield Finding(f"interface {name} / {shown}", f"takes VLAN {kind[1]}, which we come through, from its port")


def _vlan(old: Model, new: Model, ours: set[str]) -> Findings:
    """The VLANs of our way: removed, stopped or filtered."""
    for text in old.top:
        found = re.fullmatch(r"vlan (\d+)", text)
        if found and found[1] in ours and text not in new.top:
            yield Finding(f"no {text}", "removes the VLAN that we come through")
    for text, node in new.top.items():
        found = re.fullmatch(r"vlan (\d+)", text)
        if found and found[1] in ours:
            was = {child.text for child in old.top[text].children} if text in old.top else set()
            for child in node.children:
                if re.match(r"shutdown|state suspend", child.text) and child.text not in was:
                    yield Finding(f"{text} / {child.text}", "stops the VLAN that we come through")
        elif text not in old.top and re.match(r"ip arp inspection vlan|vlan filter", text):
            named = set(re.findall(r"\d+|all", text))
            if named & ours or "all" in named:
                yield Finding(text, "filters the VLAN that we come through")


def _filters(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Access lists on the interfaces that our packets come in by, as they decide about our packets."""
    for name in names:
        was, now = old.interfaces[name], new.interfaces.get(name)
        if now is None:
            continue
        for pattern in (r"ip access-group (\S+) in", r"ipv6 traffic-filter (\S+) in"):
            one, other = was.value(pattern), now.value(pattern)
            if not other or (one == other and old.lists.same(one, new.lists)):
                continue
            let_in = old.lists.of(one) if one else []
            rules = new.lists.of(other)
            yield from _denied(let_in, rules, old, way, was, f"interface {name} / {pattern.split(' (')[0]} {other} in")


def _denied(
    before: Sequence[Rule], after: Sequence[Rule], old: Model, way: Way, interface: Interface, shown: str
) -> Findings:
    """Packets of ours that passed and no longer do, named by the rule that decides, else by the list."""
    if not after:
        return
    own = way.address_ip or (interface.networks[0][0] if interface.networks else None)
    sources = candidates([*old.let_in(), *before], way.source_ip)
    passed = False
    for source in sources:
        if own is not None and source.version != own.version:
            continue
        for port in way.ports:
            packet = Packet(source, own, "tcp", EPHEMERAL, port)
            if not passes(before, packet, otherwise=not before):
                continue
            passed = True
            decided = next((rule for rule in after if rule.matches(packet)), None)
            if decided is None:
                yield Finding(shown, "the access list does not let us in, and what it does not name it denies")
            elif not decided.permits:
                yield Finding(decided.line, "denies our packets")
    if not passed:
        lines = {rule.line for rule in before}
        for rule in after:
            if not rule.permits and rule.line not in lines:
                yield Finding(rule.line, "denies more on an interface that we come through")


def _translations(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Port forwardings that take our port or our address."""
    mine = {str(own) for name in names for own, _ in old.interfaces[name].networks}
    lower = {name.lower() for name in names}
    for node in new.nodes:
        found = _ANY_SERVICE.match(node.text)
        if not found or node.text in old.top:
            continue
        protocol, _, inner, interface, outer, port = found.groups()
        taken = (interface or "").lower() in lower or outer in mine or (way.address and outer == way.address)
        wanted = port or inner
        if taken and (protocol is None or (protocol == "tcp" and wanted in {str(one) for one in way.ports})):
            yield Finding(node.text, "takes the port or address that we come to")


def _renamed_sources(old: Model, new: Model, way: Way) -> Findings:
    """Translations of who comes from outside: the router then knows us by another address, or not at all."""
    us = way.source_ip
    let_in = [net for rule in old.let_in() if rule.permits for net in rule.sources or ()]
    for node in new.nodes:
        found = _RENAMED.match(node.text)
        outer = masked(found[1], found[2]) if found and found[2] else network(found[1]) if found else None
        if outer is None or node.text in old.top:
            continue
        same = [net for net in let_in if net.version == outer.version]
        if us in outer if us is not None else any(outer.overlaps(net) for net in same):
            yield Finding(node.text, "gives our address another one, which is not let in or not answered")


def _encrypted(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Crypto maps whose list names our answers: they would leave by a tunnel."""
    to = way.source_ip or ANYBODY
    for name in names:
        own = way.address_ip or next((a for a, _ in old.interfaces[name].networks), ANYBODY)
        packet = Packet(own, to, "tcp", way.ports[0], EPHEMERAL)
        for line in _crypto_lists(new, name):
            if own.version != to.version or not passes(new.lists.of(line), packet, otherwise=False):
                continue
            if line not in _crypto_lists(old, name) or not passes(old.lists.of(line), packet, otherwise=False):
                yield Finding(f"interface {name} / crypto map", f"list {line} takes our answers into a tunnel")


def _crypto_lists(model: Model, name: str) -> list[str]:
    interface = model.interfaces.get(name)
    applied = interface.value(r"crypto map (\S+).*") if interface else ""
    if not applied:
        return []
    return [
        child.text.rsplit(" ", 1)[1]
        for text, node in model.top.items()
        if text.startswith(f"crypto map {applied} ")
        for child in node.children
        if child.text.startswith("match address ")
    ]


def _managing(was: Node | None, node: Node, names: Sequence[str]) -> Findings:
    """Once an interface is named for managing, all others take no managing any more, and it what it allows."""
    allowed = {name: words for name, *words in _allowed(node)}
    if not allowed or allowed == {name: words for name, *words in _allowed(was)}:
        return
    ours = {name.lower() for name in names}
    if not any(name in ours and "ssh" in words for name, words in allowed.items()):
        yield Finding(f"{node.text} / management-interface", "lets us manage by no interface that we come through")


def _allowed(node: Node | None) -> Iterator[list[str]]:
    """Interfaces for managing, each with what it allows."""
    for child in node.children if node else ():
        found = re.fullmatch(r"management-interface (\S+) allow (.+)", child.text)
        if found:
            yield [found[1].lower(), *found[2].split()]


def _behind(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Filters that stay as they are and decide otherwise, because what they refer to is another one."""
    zones = {old.interfaces[name].value(r"zone-member security (\S+)") for name in names} - {""}
    for node in old.nodes:
        pair = re.match(r"zone-pair security .*?source (\S+) destination (\S+)", node.text)
        if pair and not ("self" in pair.groups() and (not zones or zones & set(pair.groups()))):
            continue
        if pair or node.text.startswith(("control-plane", "ip local policy route-map ")):
            for name in changed_behind(old, new, node):
                yield Finding(
                    f"{node.text} / {name}", "filters or diverts what comes to the device itself, or its answers"
                )
    for name in names:
        for line in old.interfaces[name].lines:
            if line.startswith(("ip policy route-map ", "ipv6 policy route-map ", "service-policy input ")):
                for other in changed_behind(old, new, Node(line)):
                    yield Finding(f"interface {name} / {line} / {other}", "diverts or drops what comes in by our way")


def _rest(old: Model, new: Model, names: Sequence[str], before: Tree, after: Tree) -> Findings:
    tables = {old.interfaces[name].vrf for name in names} - {""}
    for node in old.nodes:
        found = re.match(r"(?:ip vrf|vrf definition) (\S+)", node.text)
        if not found or found[1] not in tables:
            continue
        now = new.top.get(node.text)
        if now is None:
            yield Finding(f"no {node.text}", "removes the routing table of an interface that we come through")
            continue
        left = {child.text for child in now.children}
        for child in node.children:
            if child.text.startswith("address-family ") and child.text not in left:
                yield Finding(
                    f"{node.text} / no {child.text}", "takes the addresses off an interface that we come through"
                )
    for node in new.nodes:
        text = node.text
        was = old.top.get(text)
        if text.startswith("ip local policy route-map") and was is None:
            yield Finding(text, "sends what the device answers elsewhere")
        if re.match(r"zone-pair security .* destination self\b", text) and was != node:
            yield Finding(text, "filters what comes to the device itself")
        if re.match(r"zone-pair security .* source self\b", text) and was != node:
            yield Finding(text, "filters what the device itself says")
        if was is None and re.fullmatch(r"ip tcp mss [1-4]?\d?\d", text):
            yield Finding(text, "leaves no room for our packets")
        if text.startswith("control-plane"):
            yield from _managing(was, node, names)
            lines = {child.text for child in was.children} if was else set()
            for child in node.children:
                if child.text.startswith("service-policy input") and child.text not in lines:
                    yield Finding(f"{text} / {child.text}", "filters what comes to the device itself")
        if text.startswith("event manager applet") and was != node:
            for child in node.children:
                if re.search(r"\b(?:shut(?:down)?|reload|erase|no ip|no int|zeroize|transport input)\b", child.text):
                    yield Finding(f"{text} / {child.text}", "lets the device cut us off by itself")
    tunnels = [name for name in names if name.lower().startswith(("tunnel", "virtual-template"))]
    maps = [line for name in names for line in old.interfaces[name].lines if line.startswith("crypto map ")]
    if tunnels or maps:
        for text, node in old.top.items():
            if re.match(r"crypto (?:isakmp|ikev2|ipsec|keyring|map)\b", text) and new.top.get(text) != node:
                gone = text not in new.top
                yield Finding(f"no {text}" if gone else text, "the tunnel that we may come through")
    sent = {node.text for node in after.nodes} - {node.text for node in before.nodes}
    for text in sorted(sent):
        if re.match(
            r"(?:crypto key zeroize|reload\b|erase |write erase|config-register 0x2142|no ip cef$|default interface)",
            text,
        ):
            name = text.removeprefix("default interface").strip()
            if not text.startswith("default interface") or name in names or name in carriers(old, names):
                yield Finding(text, "acts on what we need to come back")
