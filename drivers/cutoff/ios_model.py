"""What of an IOS configuration carries our session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from drivers.cutoff.ios_acl import AccessLists
from drivers.cutoff.packets import Address, Network, Rule, address, masked, network, routed, whole_number
from drivers.cutoff.way import MANAGING, UPWARDS, Way
from drivers.dialects.indented_model import held_by
from drivers.dialects.tree import Node, Tree

_ADDRESS: Final = re.compile(r"ip address (\d+\.\d+\.\d+\.\d+) (\d+\.\d+\.\d+\.\d+)")
_ADDRESS6: Final = re.compile(r"ipv6 address (\S+/\d+)")
_ROUTE: Final = re.compile(r"ip route (?:vrf (\S+) )?(\d+\.\d+\.\d+\.\d+) (\d+\.\d+\.\d+\.\d+) (.+)")
_ROUTE6: Final = re.compile(r"ipv6 route (?:vrf (\S+) )?(\S+/\d+) (.+)")
_ASKED: Final = re.compile(r"ip address (?:dhcp|negotiated)|ipv6 address (?:dhcp|autoconfig)")
_LIST: Final = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Route:
    """A static route; `via` is its next hop or interface, `track` the object that it depends on."""

    line: str
    vrf: str
    prefix: Network
    via: str
    interface: str
    distance: int
    track: str


@dataclass(frozen=True)
class Interface:
    """An interface and what stands below it."""

    name: str
    lines: tuple[str, ...]

    @cached_property
    def networks(self) -> tuple[tuple[Address, Network], ...]:
        """Addresses with their networks."""
        found = []
        for line in self.lines:
            one, six = _ADDRESS.match(line), _ADDRESS6.match(line)
            net = masked(one[1], one[2]) if one else network(six[1]) if six else None
            own = address(one[1]) if one else address(six[1]) if six else None
            if net is not None and own is not None:
                found.append((own, net))
        return tuple(found)

    @property
    def asks(self) -> bool:
        """Whether it gets its address, and mostly the default route, from the other side."""
        return any(_ASKED.match(line) for line in self.lines)

    @property
    def down(self) -> bool:
        """Whether it is shut."""
        return "shutdown" in self.lines

    @property
    def vrf(self) -> str:
        """Its routing table; empty for the global one."""
        return self.value(r"(?:ip )?vrf forwarding (\S+)")

    @property
    def said(self) -> str:
        """Its description and name."""
        return f"{self.name} {self.value('description (.*)')}"

    def value(self, pattern: str) -> str:
        """First group of the first line that is the pattern; empty if none is."""
        for line in self.lines:
            found = re.fullmatch(pattern, line)
            if found:
                return str(found[1])
        return ""

    def carries(self, vlan: str) -> bool:
        """Whether it is a switch port with this VLAN."""
        if self.trunk:
            carried = True
            for kind, ranges in self._allowed:
                listed = any(low <= int(vlan) <= high for low, high in ranges)
                match kind:
                    case "add":
                        carried = carried or listed
                    case "remove":
                        carried = carried and not listed
                    case "except":
                        carried = not listed
                    case _:
                        carried = listed
            return carried
        return self._access == vlan

    @cached_property
    def _allowed(self) -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
        """What the lines about VLANs of a trunk say, in their order."""
        found = (
            re.fullmatch(r"switchport trunk allowed vlan (?:(add|remove|except) )?(\S+)", one) for one in self.lines
        )
        return tuple((one[1] or "", _ranges(one[2])) for one in found if one)

    @cached_property
    def _access(self) -> str:
        """The one VLAN of a port without tags; empty if it is no switch port."""
        if any(line.startswith(("switchport", "spanning-tree")) for line in self.lines):
            return self.value(r"switchport access vlan (\d+)") or "1"
        return "" if self.networks or self.down or "no switchport" in self.lines else "1"

    @cached_property
    def bundle(self) -> str:
        """Number of the Port-channel that it is a member of; empty if it is none."""
        return self.value(r"channel-group (\d+).*")

    @cached_property
    def trunk(self) -> bool:
        """Whether it carries VLANs with tags."""
        return "switchport mode trunk" in self.lines or (
            "switchport mode access" not in self.lines
            and any(line.startswith("switchport trunk allowed") for line in self.lines)
        )


@dataclass(frozen=True)
class Model:
    """One configuration, read for our purpose."""

    nodes: tuple[Node, ...]
    interfaces: dict[str, Interface] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Tree) -> Model:
        """The state that a device would be in after taking the text."""
        # Secrets are in the form that survives another reading, so that one that was only re-encoded is no change.
        nodes = tree.once(held_by).comparable()
        found = {}
        for node in nodes:
            if node.text.lower().startswith("interface "):
                name = node.text[10:].strip()
                found[name] = Interface(name, tuple(child.text for child in node.children))
        return cls(nodes, found)

    @cached_property
    def lists(self) -> AccessLists:
        """Access lists by name."""
        return AccessLists(self.nodes)

    @cached_property
    def top(self) -> dict[str, Node]:
        """Statements at the top by their text."""
        return {node.text: node for node in self.nodes}

    @cached_property
    def ports(self) -> tuple[tuple[str, Interface], ...]:
        """Ports that carry VLANs by themselves: not shut, and no members of a bundle."""
        return tuple((n, i) for n, i in self.interfaces.items() if "/" in n and not i.bundle and not i.down)

    @cached_property
    def bundles(self) -> tuple[tuple[str, Interface], ...]:
        """Bundles of ports that are trunks, and not shut."""
        found = ((n, i) for n, i in self.interfaces.items() if n.lower().startswith("port-channel"))
        return tuple((n, i) for n, i in found if not i.down and i.trunk)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Static routes."""
        return tuple(self._routes())

    def _routes(self) -> Iterator[Route]:
        for node in self.nodes:
            found, six = _ROUTE.match(node.text), _ROUTE6.match(node.text)
            if found:
                prefix, vrf, rest = masked(found[2], found[3]), found[1], found[4].split()
            elif six:
                prefix, vrf, rest = network(six[2]), six[1], six[3].split()
            else:
                continue
            if prefix is None:
                continue
            hops = rest[:2] if len(rest) > 1 and address(rest[1]) is not None else rest[:1]
            exits = next((hop for hop in hops if address(hop) is None), "")
            after = rest[len(hops) :]
            distance = whole_number(after[0], 1) if after else 1
            track = after[after.index("track") + 1] if "track" in after[:-1] else ""
            yield Route(node.text, vrf or "", prefix, hops[-1], exits, distance, track)

    def defaults(self, vrf: str) -> list[Route]:
        """The best default routes of a table."""
        found = [one for one in self.routes if one.vrf == vrf and one.prefix.prefixlen == 0]
        least = min((one.distance for one in found), default=0)
        return [one for one in found if one.distance == least]

    def routes_to(self, to: Address, vrf: str) -> list[Route]:
        """The static routes that a packet to an address would take."""
        if self.holding(to, vrf):
            return []
        mine = [one for one in self.routes if one.vrf == vrf]
        longest = routed((one.prefix for one in mine), to)
        if longest < 0:
            return []
        found = [one for one in mine if one.prefix.prefixlen == longest and to in one.prefix]
        least = min(one.distance for one in found)
        return [one for one in found if one.distance == least]

    def exit(self, route: Route) -> str:
        """The interface that a static route leaves by; empty if no interface holds its next hop."""
        if route.interface:
            return self.spelled(route.interface)
        hop = address(route.via)
        return "" if hop is None else self.holding(hop, route.vrf)

    def holding(self, one: Address, vrf: str | None = None) -> str:
        """The interface whose network holds an address."""
        for name, interface in self.interfaces.items():
            if vrf in (None, interface.vrf) and any(
                net.version == one.version and one in net for _, net in interface.networks
            ):
                return name
        return ""

    def standing(self, vrf: str) -> Iterator[tuple[str, Network]]:
        """Interfaces of a table that are up, each with its networks."""
        for name, interface in self.interfaces.items():
            if interface.vrf == vrf and not interface.down:
                yield from ((name, net) for _, net in interface.networks)

    def spelled(self, name: str) -> str:
        """An interface as it is written in the text, whatever its case."""
        return next((known for known in self.interfaces if known.lower() == name.lower()), name)

    def vty(self) -> list[Node]:
        """The lines that a remote login gets."""
        return self._vty

    @cached_property
    def _vty(self) -> list[Node]:
        return [node for node in self.nodes if node.text.startswith("line vty")]

    def let_in(self) -> list[Rule]:
        """Rules of the lists that say who may log in."""
        names = {
            line.text.split()[1]
            for vty in self.vty()
            for line in vty.children
            if line.text.startswith("access-class ") and line.text.split()[-1] != "out"
        }
        return [rule for name in sorted(names) for rule in self.lists.of(name)]


def way_in(model: Model, way: Way) -> tuple[str, ...]:
    """Interfaces that our packets come and go through; inferred where the facts are missing."""
    own = way.address_ip
    known = model.spelled(way.interface) if way.interface else ""
    if own is not None and not known:
        known = next((n for n, i in model.interfaces.items() if any(a == own for a, _ in i.networks)), "")
    if known in model.interfaces:
        back = [name for name in _back(model, model.interfaces[known], way) if name in model.interfaces]
        return tuple(dict.fromkeys([known, *back]))
    found = [name for name in _guessed(model, way) if name in model.interfaces]
    if not found:
        found = [name for name, one in model.interfaces.items() if one.networks and not one.down]
    return tuple(dict.fromkeys(found))


def _back(model: Model, known: Interface, way: Way) -> Iterator[str]:
    """Where answers to us leave, in the table of the interface that we come to."""
    us = way.source_ip
    if us is None:
        for route in model.defaults(known.vrf):
            yield from filter(None, [model.exit(route)])
        return
    direct = model.holding(us, known.vrf)
    if direct:
        yield direct
        return
    for route in model.routes_to(us, known.vrf):
        yield from filter(None, [model.exit(route)])


def _guessed(model: Model, way: Way) -> Iterator[str]:
    us = way.source_ip
    if us is not None:
        yield from filter(None, [model.holding(us)])
    for route in model.routes:
        if route.prefix.prefixlen == 0 and route in model.defaults(route.vrf):
            yield from filter(None, [model.exit(route)])
    for node in model.nodes:
        gateway = re.fullmatch(r"ip default-gateway (\S+)", node.text)
        hop = address(gateway[1]) if gateway else None
        if hop is not None:
            yield from filter(None, [model.holding(hop)])
        source = re.match(
            r"(?:ip (?:tacacs|radius) source-interface|snmp-server (?:trap-source|source-interface traps)"
            r"|ip ssh source-interface) (\S+)",
            node.text,
        )
        if source and model.spelled(source[1]) in model.interfaces:
            yield model.spelled(source[1])
    for name, one in model.interfaces.items():
        if one.down:
            continue
        if one.asks or (one.networks and (MANAGING.search(one.said) or UPWARDS.search(one.said))):
            yield name
        if re.search(r"(?i)mgmt|management", one.vrf):
            yield name
    yield from _admitted(model)
    svis = [name for name, one in model.interfaces.items() if one.networks]
    if svis and all(name.lower().startswith("vlan") for name in svis):
        yield from (name for name in svis if not model.interfaces[name].down)


def _admitted(model: Model) -> Iterator[str]:
    """Interfaces of the networks that may log in, if there are no others that may."""
    nets = [net for rule in model.let_in() if rule.permits for net in rule.sources or () if net.prefixlen]
    near = {
        net: [n for n, i in model.interfaces.items() if any(_overlap(net, mine) for _, mine in i.networks)]
        for net in nets
    }
    if all(near.values()):
        yield from (name for names in near.values() for name in names)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def carriers(model: Model, names: Sequence[str]) -> dict[str, str]:
    """Interfaces below those of our way (port of a subinterface, members, VLAN ports), each with what it carries."""
    found: dict[str, str] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        for below in _below(model, name):
            if below not in found and below not in names:
                found[below] = name
                queue.append(below)
    return found


def _below(model: Model, name: str) -> Iterator[str]:
    interface = model.interfaces.get(name)
    if interface is None:
        return
    if "." in name and name.rsplit(".", 1)[0] in model.interfaces:
        yield name.rsplit(".", 1)[0]
    kind, number = _split(name)
    match kind.lower():
        case "port-channel":
            yield from (n for n, i in model.interfaces.items() if i.bundle == number)
        case "vlan":
            ports = [(n, i) for n, i in model.ports if i.carries(number)]
            trunks = [n for n, i in ports if i.trunk or UPWARDS.search(i.said)]
            yield from trunks or (n for n, _ in ports)
            yield from (n for n, i in model.bundles if i.carries(number))
        case "dialer":
            pool = interface.value(r"dialer pool (\d+)") or number
            yield from (
                n
                for n, i in model.interfaces.items()
                if pool in (i.value(r"pppoe-client dial-pool-number (\d+).*"), i.value(r"dialer pool-member (\d+).*"))
            )
        case "tunnel":
            source = interface.value(r"tunnel source (\S+)")
            if model.spelled(source) in model.interfaces:
                yield model.spelled(source)
            own = address(source)
            if own is not None:
                yield from (n for n, i in model.interfaces.items() if any(a == own for a, _ in i.networks))
        case "bvi" | "bdi":
            yield from (n for n, i in model.interfaces.items() if i.value(r"bridge-group (\d+)") == number)


def _split(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"([A-Za-z-]+)\s*([\d/.:]*)", name)
    return (found[1], found[2]) if found else ("", "")


def _ranges(listed: str) -> tuple[tuple[int, int], ...]:
    if listed in {"all", "none"}:
        return ((1, 4094),) if listed == "all" else ()
    found = (_LIST.fullmatch(part) for part in listed.split(","))
    return tuple((whole_number(one[1]), whole_number(one[2] or one[1])) for one in found if one)


def negated(text: str) -> str:
    """How a statement that goes is told: `no …`, and what stood as `no …` by what it becomes."""
    return text.removeprefix("no ") if text.startswith("no ") else f"no {text}"
