"""What of a SEIL or SA configuration carries our session; the same model for command text and for recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from drivers.cutoff.packets import Address, Network, Ports, Rule, address, network
from drivers.cutoff.way import MANAGING, UPWARDS, Way

OWN: Final = IPv4Address("133.27.78.9")
"""Stands for an address of the adapter that it is given by its line."""
WAN_PORTS: Final = ("lan1", "ge0", "ge4")
_DIALS: Final = ("pppoe", "ppp", "wwan", "rac")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting with the statement that makes it."""

    value: str
    line: str


@dataclass(frozen=True, slots=True)
class Route:
    """A static route; `gateway` is an address, an interface, `dhcp` or `discard`, `watched` what must answer for it."""

    line: str
    prefix: Network
    gateway: str
    distance: int
    watched: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter. `outgoing` and `incoming` hold what it does with our own packets; `stateful` lets answers in."""

    interface: str
    outgoing: Rule | None
    incoming: Rule | None
    stateful: bool


@dataclass(frozen=True, slots=True)
class Forwarding:
    """A translation of what comes in. `ports` None: everything; `outside` the public address, if it names one."""

    line: str
    interface: str
    protocol: str
    ports: Ports | None
    outside: str = ""


@dataclass(slots=True)
class Read:
    """What has been made of words while a change is judged: most stand in the text before and in the text after it."""

    filters: dict[tuple[str, frozenset[tuple[str, str]]], Filter] = field(default_factory=dict)
    networks: dict[str, Network | None] = field(default_factory=dict)

    def network(self, text: str) -> Network | None:
        """See `packets.network`."""
        if text not in self.networks:
            self.networks[text] = network(text)
        return self.networks[text]


@dataclass(slots=True)
class Model:
    """One configuration, read for our purpose. Dictionaries are keyed by what stays when a value changes."""

    interfaces: dict[str, dict[str, Setting]] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    filters6: list[Filter] = field(default_factory=list)
    forwardings: list[Forwarding] = field(default_factory=list)
    profiles: dict[str, dict[str, Setting]] = field(default_factory=dict)
    """Dial-up profiles of command text by name."""
    resolvers: dict[str, Setting] = field(default_factory=dict)
    door: dict[str, Setting] = field(default_factory=dict)
    """SSH server and account."""
    dynamic: dict[str, Setting] = field(default_factory=dict)
    tunnels: dict[str, Setting] = field(default_factory=dict)
    dialup: dict[str, Setting] = field(default_factory=dict)
    harmful: dict[str, Setting] = field(default_factory=dict)
    """Statements that take all packets, or the unit, elsewhere, each with its reason as `value`."""
    read: Read = field(default_factory=Read)

    def networks(self, name: str) -> list[tuple[Address, Network]]:
        """Addresses of an interface with their networks."""
        found = []
        for key, setting in self.interfaces.get(name, {}).items():
            own, net = address(setting.value), network(setting.value)
            if key.startswith("address") and own is not None and net is not None:
                found.append((own, net))
        return found

    def value(self, name: str, setting: str) -> str:
        """A setting of an interface; empty if it is not set."""
        found = self.interfaces.get(name, {}).get(setting)
        return "" if found is None else found.value

    def holding(self, one: Address) -> str:
        """The interface whose network holds an address."""
        for name in self.interfaces:
            if any(net.version == one.version and one in net for _, net in self.networks(name)):
                return name
        return ""

    def routes_to(self, to: Address) -> list[Route]:
        """The static routes that a packet to an address would take; the farther ones stand by."""
        holding = [one for one in self.routes if one.prefix.version == to.version and to in one.prefix]
        longest = max((one.prefix.prefixlen for one in holding), default=0)
        found = [one for one in holding if one.prefix.prefixlen == longest]
        least = min((one.distance for one in found), default=0)
        return [one for one in found if one.distance == least]

    def exit(self, route: Route) -> str:
        """The interface that a route leaves by; empty if none is known."""
        if route.gateway in self.interfaces:
            return route.gateway
        hop = address(route.gateway)
        if hop is not None:
            return self.holding(hop)
        if route.gateway == "dhcp":
            return next((name for name in self.interfaces if self.asks(name)), "")
        return ""

    def asks(self, name: str) -> bool:
        """Whether an interface gets its address by DHCP."""
        return any(
            one.value.startswith("dhcp") for key, one in self.interfaces.get(name, {}).items() if key[:7] == "address"
        )


def way_in(model: Model, way: Way, to: Address) -> tuple[str, ...]:
    """Interfaces that our packets come and go through; inferred where the facts are missing."""
    found: list[str] = []
    known = way.interface
    if not known and way.address_ip is not None:
        known = next((n for n in model.interfaces if any(a == way.address_ip for a, _ in model.networks(n))), "")
    if known in model.interfaces:
        found.append(known)
        us = way.source_ip
        if us is not None and any(net.version == us.version and us in net for _, net in model.networks(known)):
            return (known,)
    found += [model.exit(route) for route in model.routes_to(to)]
    if not any(found):
        found += [name for name in model.interfaces if name.startswith(_DIALS) or model.asks(name)]
    if not any(found):
        found += [name for name in WAN_PORTS if name in model.interfaces][:1]
    if way.path != "arms" and known not in model.interfaces:
        described = ((n, model.value(n, "description")) for n in model.interfaces if model.networks(n))
        found += [name for name, said in described if MANAGING.search(said) or UPWARDS.search(said)]
    return tuple(dict.fromkeys(name for name in found if name))


def carriers(model: Model, names: tuple[str, ...]) -> dict[str, str]:
    """Interfaces below those of our way: the port of PPPoE and VLANs, the line of a tunnel."""
    found: dict[str, str] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        below = [model.value(name, "over")]
        end = model.value(name, "source") or model.value(name, "tunnel").partition(" ")[0]
        own = address(end)
        below += [end, *((n for n in model.interfaces if any(a == own for a, _ in model.networks(n))) if own else ())]
        if (
            name.startswith(("pppoe", "tunnel"))
            and not model.value(name, "over")
            and not any(one in model.interfaces for one in below)
        ):
            below += [port for port in WAN_PORTS if port in model.interfaces][:1]
        for one in below:
            if one in model.interfaces and one not in found and one not in names:
                found[one] = name
                queue.append(one)
    return found
