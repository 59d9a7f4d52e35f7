"""Packet filters as lists of rules, and whether one of our packets passes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Ports = tuple[tuple[int, int], ...]

ANYBODY: Final = IPv4Address("133.27.77.41")
"""Stands for an address that no rule names: public, and in no block that is filtered by habit."""
EPHEMERAL: Final = 50_123
_WIDE: Final = 7
_SOMEBODY: Final = 0x01_1B_4D_29
_DIGITS: Final = 9
_SPLIT: Final = 256
"""From so many addresses on a network is looked at in parts."""
_TINY: Final = 8
"""Up to so many addresses a rule means somebody in particular, who is hardly us."""


def anybody(routed: Iterable[Network]) -> list[Address]:
    """Stand for whoever we may be: `ANYBODY`, and somebody in each part of all addresses that a route of at most 7 bits
    leads to, such as the halves that hide a default route."""
    wide = {one for one in routed if one.version == 4 and 0 < one.prefixlen <= _WIDE and not one.is_multicast}
    somebody = (IPv4Address(int(one.network_address) + _SOMEBODY) for one in wide if ANYBODY not in one)
    return [ANYBODY, *sorted(somebody)]


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of one of our connections, or an answer to it."""

    source: Address
    destination: Address | None
    """None: an address of the device that is not known."""
    protocol: str
    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. None matches anything; an empty tuple matches nothing, such as a name that is not defined."""

    line: str
    permits: bool
    protocols: frozenset[str] | None = None
    sources: tuple[Network, ...] | None = None
    destinations: tuple[Network, ...] | None = None
    source_ports: Ports | None = None
    destination_ports: Ports | None = None

    def matches(self, packet: Packet) -> bool:
        """Whether the rule decides about a packet. A destination that is not known is matched by anything."""
        return (
            (self.protocols is None or packet.protocol in self.protocols)
            and _within(packet.source, self.sources)
            and (packet.destination is None or _within(packet.destination, self.destinations))
            and _one_of(packet.source_port, self.source_ports)
            and _one_of(packet.destination_port, self.destination_ports)
        )


def decides(rules: Iterable[Rule], packet: Packet) -> Rule | None:
    """The first rule that matches."""
    return next((rule for rule in rules if rule.matches(packet)), None)


def passes(rules: Sequence[Rule], packet: Packet, *, otherwise: bool) -> bool:
    """Whether a packet passes; `otherwise` is what happens to one that no rule names."""
    rule = decides(rules, packet)
    return otherwise if rule is None else rule.permits


def candidates(before: Sequence[Rule], known: Address | None) -> tuple[Address, ...]:
    """Where we may come from: our address if it is known, else one from each quarter of each network that is let in
    today: a rule that is about half of one is about us as likely as not."""
    if known is not None:
        return (known,)
    let_in: list[Address] = []
    for rule in before:
        if rule.permits:
            for net in rule.sources or ():
                let_in += [somebody_in(part, before) for part in _quarters(net)]
    return tuple(dict.fromkeys([*let_in, ANYBODY]))


def _quarters(net: Network) -> Iterable[Network]:
    return net.subnets(2) if net.num_addresses >= _SPLIT and net.prefixlen > _WIDE else (net,)


def somebody_in(net: Network, rules: Sequence[Rule] = ()) -> Address:
    """An address of a network that no rule names in particular."""
    if net.prefixlen == 0:
        return ANYBODY
    named = [one for rule in rules for one in rule.sources or () if one.num_addresses <= _TINY and one != net]
    size = net.num_addresses
    offsets = [size // 2 + 3, size // 2 + 9, 21, 37, 77, 5, 1, 0]
    for offset in offsets:
        if offset < size:
            one = net.network_address + offset
            if not any(one in small for small in named if small.version == one.version):
                return one
    return net.network_address


def network(text: str) -> Network | None:
    """A network from `a`, `a/len` or `a/mask`; None for anything else."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def address(text: str) -> Address | None:
    """An address, a length behind it put aside; None for anything else."""
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        return None


def whole_number(text: str, otherwise: int = 0) -> int:
    """A whole number of at most nine digits; `otherwise` for anything else that stands where one belongs."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else otherwise


def masked(base: str, mask: str) -> Network | None:
    """A network from an address and a net mask."""
    return network(f"{base}/{mask}")


def wildcard(base: str, bits: str) -> Network | None:
    """The smallest network that holds all that an address and a wildcard match; None for broken ones."""
    try:
        free = int(IPv4Address(bits))
        return ip_network((int(IPv4Address(base)) & ~free & 0xFFFFFFFF, 32 - free.bit_length()), strict=False)
    except ValueError:
        return None


def routed(prefixes: Iterable[Network], to: Address) -> int:
    """Length of the longest prefix that holds an address; -1 for none."""
    return max((net.prefixlen for net in prefixes if net.version == to.version and to in net), default=-1)


def displaced(
    before: Iterable[tuple[str, Network]], after: Iterable[tuple[str, Network]], ours: Iterable[Address]
) -> Iterator[str]:
    """Interfaces that come to hold one of our addresses in their network, narrower than whatever held it before.

    Both are interfaces with their networks; a packet to an address of such a network goes no further way.
    """
    was, now = list(before), list(after)
    for one in ours:
        name = _nearest(now, one)
        if name and name != _nearest(was, one):
            yield name


def _nearest(networks: Iterable[tuple[str, Network]], one: Address) -> str:
    held = [(net.prefixlen, name) for name, net in networks if net.version == one.version and one in net]
    return max(held, key=lambda each: each[0])[1] if held else ""


def _within(one: Address, nets: tuple[Network, ...] | None) -> bool:
    return nets is None or any(one.version == net.version and one in net for net in nets)


def _one_of(port: int, ranges: Ports | None) -> bool:
    return ranges is None or any(low <= port <= high for low, high in ranges)
