"""What of a FortiOS configuration carries our session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network, summarize_address_range
from typing import Final

from drivers.cutoff.packets import ANYBODY, Address, Network, Ports, address, masked, network, whole_number
from drivers.cutoff.way import MANAGING, UPWARDS, Way
from drivers.dialects.block_model import DOMAINS, GLOBAL, Table, held_by
from drivers.dialects.tree import Tree

_SERVICES: Final[dict[str, Ports]] = {
    "SSH": ((22, 22),),
    "HTTPS": ((443, 443),),
    "HTTP": ((80, 80),),
    "TELNET": ((23, 23),),
    "ALL_TCP": ((0, 65535),),
    "WEB ACCESS": ((80, 80), (443, 443)),
    "WEB MANAGEMENT": ((443, 443),),
}
_PREFIXES: Final = frozenset({"internet-service", "internet-service-custom"})
"""Destinations of a static route that nobody can tell from the text."""
_EVERYBODY: Final[tuple[Network, ...]] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_EVERYTHING: Final = frozenset({"ALL", "ANY"})
_DEPTH: Final = 6


UNREACHABLE: Final = 255
"""A distance at which a route is never taken."""


@dataclass(frozen=True, slots=True)
class Route:
    """A static route. `device` is its interface or SD-WAN zone, `rank` distance and priority."""

    key: str
    prefix: Network
    gateway: str
    device: str
    rank: tuple[int, int]
    blackhole: bool

    @property
    def line(self) -> str:
        """How it is called in a finding."""
        return f"config router static / edit {self.key}"

    @property
    def hop(self) -> tuple[str, str, bool]:
        """Where it leads."""
        return self.gateway, self.device, self.blackhole


@dataclass(frozen=True)
class Model:
    """One configuration as one virtual domain of it sees it: the unit, and what is in that domain."""

    roots: tuple[Table, ...]

    @classmethod
    def of(cls, tree: Tree, domain: str = "") -> Model:
        """The state that a unit would be in after taking the text. Without virtual domains `domain` is empty."""
        top = tree.once(held_by)
        vdoms = top.tables[DOMAINS].entries if DOMAINS in top.tables else {}
        inner = (top.tables.get(GLOBAL), vdoms.get(domain))
        return cls((top, *(table for table in inner if table is not None)))

    @cached_property
    def vdoms(self) -> tuple[str, ...]:
        """Names of the virtual domains that the text holds."""
        vdoms = self.roots[0].tables.get(DOMAINS)
        return tuple(vdoms.entries if vdoms else ())

    def tables(self, path: str) -> Iterator[Table]:
        """The tables with a path, of the unit and of the domain."""
        for root in self.roots:
            if path in root.tables:
                yield root.tables[path]

    def entries(self, path: str) -> dict[str, Table]:
        """Entries of a table, of the unit and of the domain."""
        found: dict[str, Table] = {}
        for table in self.tables(path):
            found.update(table.entries)
        return found

    def settings(self, path: str) -> dict[str, tuple[str, ...]]:
        """Settings of a table without entries."""
        found: dict[str, tuple[str, ...]] = {}
        for table in self.tables(path):
            found.update({name: setting.values for name, setting in table.settings.items()})
        return found

    @cached_property
    def interfaces(self) -> dict[str, Table]:
        """Interfaces by name."""
        return self.entries("system interface")

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Static routes that are on."""
        return tuple(self._routes())

    def _routes(self) -> Iterator[Route]:
        for key, entry in self.entries("router static").items():
            if not _PREFIXES.isdisjoint(entry.settings) or value(entry, "status") == "disable":
                continue
            device = (
                value(entry, "device")
                or value(entry, "sdwan-zone")
                or ("virtual-wan-link" if value(entry, "sdwan") == "enable" else "")
            )
            rank = (whole_number(value(entry, "distance"), 10), whole_number(value(entry, "priority"), 1))
            # A route in a table that its interface is not in is of no use to what stands in ours.
            elsewhere = (value(entry, "vrf") or "0") != (value(self.interfaces.get(device), "vrf") or "0")
            if rank[0] >= UNREACHABLE or (elsewhere and "vrf" in entry.settings):
                continue
            for prefix in self._destinations(entry):
                yield Route(key, prefix, value(entry, "gateway"), device, rank, value(entry, "blackhole") == "enable")

    def _destinations(self, entry: Table) -> Sequence[Network]:
        """What a static route leads to: a network, or those of an address object."""
        named = values(entry, "dstaddr")
        if named:
            found = self.addresses(named)
            return _EVERYBODY if found is None else found
        dst = values(entry, "dst") or ("0.0.0.0/0",)
        prefix = masked(dst[0], dst[1]) if len(dst) > 1 else network(dst[0])
        return () if prefix is None else (prefix,)

    def routes_to(self, to: Address) -> list[Route]:
        """The static routes that a packet to an address would take."""
        holding = [one for one in self.routes if one.prefix.version == to.version and to in one.prefix]
        longest = max((one.prefix.prefixlen for one in holding), default=0)
        found = [one for one in holding if one.prefix.prefixlen == longest]
        least = min((one.rank for one in found), default=(0, 0))
        return [one for one in found if one.rank == least]

    def networks(self, name: str) -> list[tuple[Address, Network]]:
        """Addresses of an interface with their networks, secondary ones too."""
        entry = self.interfaces.get(name)
        if entry is None:
            return []
        found = []
        secondary = entry.tables["secondaryip"].entries.values() if "secondaryip" in entry.tables else ()
        for one in (entry, *secondary):
            ip = values(one, "ip")
            own = address(ip[0]) if ip else None
            net = masked(ip[0], ip[1]) if len(ip) > 1 else network(ip[0]) if ip else None
            if own is not None and net is not None and own != IPv4Address(0):
                found.append((own, net))
        return found

    def standing(self) -> Iterator[tuple[str, Network]]:
        """Interfaces that are up, each with its networks."""
        for name, entry in self.interfaces.items():
            if value(entry, "status") != "down":
                yield from ((name, net) for _, net in self.networks(name))

    def holding(self, one: Address) -> str:
        """The interface whose network holds an address."""
        for name in self.interfaces:
            if any(net.version == one.version and one in net for _, net in self.networks(name)):
                return name
        return ""

    def addresses(self, names: Sequence[str], depth: int = _DEPTH) -> tuple[Network, ...] | None:
        """Networks of address objects and groups; None for `all`. What is not known (a name, a country) is nothing."""
        found: list[Network] = []
        objects, groups = self.entries("firewall address"), self.entries("firewall addrgrp")
        for name in names:
            if name in {"all", "any"}:
                return None
            if name in groups and depth:
                inner = self.addresses(values(groups[name], "member"), depth - 1)
                if value(groups[name], "exclude") == "enable":
                    gone = self.addresses(values(groups[name], "exclude-member"), depth - 1)
                    inner = _without(_EVERYBODY if inner is None else inner, _EVERYBODY if gone is None else gone)
                if inner is None:
                    return None
                found += inner
            elif name in objects:
                found += _object(objects[name])
        return tuple(found)

    def services(self, names: Sequence[str], depth: int = _DEPTH) -> Ports | None:
        """TCP ports of services and groups; None for all."""
        found: list[tuple[int, int]] = []
        custom, groups = self.entries("firewall service custom"), self.entries("firewall service group")
        for name in names:
            if name in groups and depth:
                inner = self.services(values(groups[name], "member"), depth - 1)
                if inner is None:
                    return None
                found += inner
            elif name in custom:
                found += _ranges(values(custom[name], "tcp-portrange"))
                if value(custom[name], "protocol") == "IP":
                    return None
            elif name.upper() in _EVERYTHING:
                return None
            else:
                found += _SERVICES.get(name.upper(), ())
        return tuple(found)


def domains_on_the_way(tree: Tree, way: Way) -> tuple[str, ...]:
    """Virtual domains that our packets come through: that of the interface we come to, or where it is not known the
    managing one and those with an interface that looks managed; and whatever a link between domains leads on to.

    Only the empty name for a unit without virtual domains.
    """
    whole = Model.of(tree)
    if not whole.vdoms:
        return ("",)
    known = way.interface
    if not known and way.address_ip is not None:
        known = next((n for n in whole.interfaces if any(a == way.address_ip for a, _ in whole.networks(n))), "")
    managing = (whole.settings("system global").get("management-vdom") or ("root",))[0]
    if known in whole.interfaces:
        found = [_domain_of(whole, known)]
    else:
        managed = (name for name in whole.interfaces if _looks_managed(whole, name))
        found = [managing, *(_domain_of(whole, name) for name in managed)]
    for domain in (queue := list(dict.fromkeys(found))):
        for name in exits(Model.of(tree, domain), way.source_ip or ANYBODY):
            far = _far_end(whole, name)
            if far and _domain_of(whole, far) not in queue:
                queue.append(_domain_of(whole, far))
    return tuple(domain for domain in queue if domain in whole.vdoms)


def _domain_of(model: Model, name: str) -> str:
    return value(model.interfaces.get(name), "vdom") or "root"


def _far_end(model: Model, name: str) -> str:
    """The other end of a link between domains: `north0` and `north1`, `npu0_vlink0` and `npu0_vlink1`, or ports of
    these with a VLAN."""
    entry = model.interfaces.get(name)
    below = value(entry, "interface")
    if below and value(entry, "vlanid"):
        port, number = _far_end(model, below), value(entry, "vlanid")
        return next(
            (
                other
                for other, one in model.interfaces.items()
                if port and value(one, "interface") == port and value(one, "vlanid") == number
            ),
            "",
        )
    is_link = name[:-1] in model.entries("system vdom-link") or re.fullmatch(r"npu\d+_vlink[01]", name)
    other = name[:-1] + {"0": "1", "1": "0"}.get(name[-1:], "")
    return other if is_link and other in model.interfaces and other != name[:-1] else ""


def way_in(model: Model, way: Way) -> tuple[str, ...]:
    """Interfaces that our packets come and go through; inferred where the facts are missing."""
    known = way.interface
    if not known and way.address_ip is not None:
        known = next((n for n in model.interfaces if any(a == way.address_ip for a, _ in model.networks(n))), "")
    if known in model.interfaces:
        found = [known]
        us = way.source_ip
        if us is None or not any(net.version == us.version and us in net for _, net in model.networks(known)):
            found += exits(model, us or ANYBODY)
        return tuple(dict.fromkeys(found))
    found = [name for name in model.interfaces if _looks_managed(model, name)]
    leaving = exits(model, way.source_ip or ANYBODY)
    found += [name for name in leaving if answers(model.interfaces[name]) or not found]
    if way.source_ip is not None:
        found += [name for name in (model.holding(way.source_ip),) if name]
    if not found:
        found = [name for name, entry in model.interfaces.items() if answers(entry)]
    if not found:
        found = leaving
    return tuple(dict.fromkeys(found))


def exits(model: Model, to: Address) -> list[str]:
    """Interfaces that packets to an address leave by: static routes, SD-WAN members, dial-up and DHCP."""
    members = [value(one, "interface") for one in _members(model).values() if value(one, "status") != "disable"]
    found: list[str] = []
    for route in model.routes_to(to):
        if route.device in model.interfaces:
            found.append(route.device)
        elif route.device:
            found += members
        elif address(route.gateway) is not None:
            found.append(model.holding(address(route.gateway) or to))
    if not found:
        found = [n for n, e in model.interfaces.items() if value(e, "mode") in {"dhcp", "pppoe"}]
    return [name for name in found if name in model.interfaces]


def carriers(model: Model, names: Sequence[str]) -> dict[str, str]:
    """Interfaces below those of our way: the port of a VLAN, members of an aggregate or switch, of a tunnel."""
    found: dict[str, str] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        entry = model.interfaces.get(name)
        below = [value(entry, "interface"), *values(entry, "member")] if entry else []
        phase = model.entries("vpn ipsec phase1-interface").get(name)
        below += [value(phase, "interface")] if phase else []
        for one in below:
            if one in model.interfaces and one not in found and one not in names:
                found[one] = name
                queue.append(one)
    return found


def answers(entry: Table) -> bool:
    """Whether an interface takes SSH or HTTPS."""
    return bool({"ssh", "https"} & set(values(entry, "allowaccess")))


def value(entry: Table | None, name: str) -> str:
    """First value of a setting; empty if it is not set."""
    found = values(entry, name)
    return found[0] if found else ""


def values(entry: Table | None, name: str) -> tuple[str, ...]:
    """Values of a setting."""
    setting = entry.settings.get(name) if entry else None
    return setting.values if setting else ()


def _members(model: Model) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for path in ("system sdwan", "system virtual-wan-link"):
        for table in model.tables(path):
            if "members" in table.tables:
                found.update(table.tables["members"].entries)
    return found


def _looks_managed(model: Model, name: str) -> bool:
    entry = model.interfaces[name]
    if value(entry, "status") == "down":
        return False
    said = f"{name} {value(entry, 'alias')} {value(entry, 'description')}"
    if value(entry, "dedicated-to") == "management":
        return True
    if MANAGING.search(said):
        return True
    return answers(entry) and bool(UPWARDS.search(said) or value(entry, "role") == "wan")


def _without(nets: Sequence[Network], gone: Sequence[Network]) -> tuple[Network, ...]:
    """Networks less others."""
    left = list(nets)
    for away in gone:
        left = [piece for net in left for piece in _less(net, away)]
    return tuple(left)


def _less(net: Network, away: Network) -> Iterable[Network]:
    if isinstance(net, IPv4Network) and isinstance(away, IPv4Network) and away.subnet_of(net):
        return net.address_exclude(away)
    if isinstance(net, IPv6Network) and isinstance(away, IPv6Network) and away.subnet_of(net):
        return net.address_exclude(away)
    return () if net.version == away.version and net.overlaps(away) else (net,)


def _object(entry: Table) -> list[Network]:
    match value(entry, "type") or "ipmask":
        case "ipmask" | "subnet":
            subnet = values(entry, "subnet") or ("0.0.0.0/0",)
            found = masked(subnet[0], subnet[1]) if len(subnet) > 1 else network(subnet[0])
            return [] if found is None else [found]
        case "iprange":
            low, high = address(value(entry, "start-ip")), address(value(entry, "end-ip"))
            if isinstance(low, IPv4Address) and isinstance(high, IPv4Address) and low <= high:
                return list(summarize_address_range(low, high))
            return []
        case _:
            return []


def _ranges(texts: Sequence[str]) -> list[tuple[int, int]]:
    found = []
    for text in texts:
        one = re.match(r"(\d+)(?:-(\d+))?", text)
        if one:
            found.append((whole_number(one[1]), whole_number(one[2] or one[1])))
    return found
