"""Words of filters and translations of SEIL and SA, in command text and in recipe alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, summarize_address_range
from typing import Final

from drivers.cutoff.adapter_model import Filter, Read
from drivers.cutoff.packets import Network, Ports, Rule, whole_number

_NUMBERS: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "ipv6-icmp", "icmp6": "ipv6-icmp", "icmpv6": "ipv6-icmp"}


def a_filter(line: str, parts: Mapping[str, str], read: Read) -> Filter:
    """A filter from its parts (interface, direction, action, protocol, src, srcport, dst, dstport, state)."""
    key = line, frozenset(parts.items())
    if key not in read.filters:
        read.filters[key] = _filter(line, parts, read)
    return read.filters[key]


def _filter(line: str, parts: Mapping[str, str], read: Read) -> Filter:
    direction, action = parts.get("direction", "in"), parts.get("action", "pass").partition(" ")[0]
    permits = action == "pass"
    return Filter(
        parts.get("interface", "any"),
        _rule(line, permits, parts, read, incoming=False) if direction in {"out", "in/out", "inout"} else None,
        _rule(line, permits, parts, read, incoming=True) if direction in {"in", "in/out", "inout"} else None,
        permits and parts.get("state", "disable") == "enable",
    )


def _rule(line: str, permits: bool, parts: Mapping[str, str], read: Read, *, incoming: bool) -> Rule:
    return Rule(
        line,
        permits,
        _protocols(parts.get("protocol", "any")),
        _end(parts.get("src", "any"), read, ourself=not incoming),
        _end(parts.get("dst", "any"), read, ourself=incoming),
        ports(parts.get("srcport", "")),
        ports(parts.get("dstport", "")),
    )


def _protocols(text: str) -> frozenset[str] | None:
    if text in {"any", "", "ip"}:
        return None
    if text.startswith("tcpudp"):
        return frozenset({"tcp", "udp"})
    if text in {"tcp-established"}:
        return frozenset()
    return frozenset({_NUMBERS.get(text, text)})


def _end(text: str, read: Read, *, ourself: bool) -> tuple[Network, ...] | None:
    """`self` is the adapter: anything at the end that is ours, nothing at the other."""
    if text in {"any", ""}:
        return None
    if text == "self":
        return None if ourself else ()
    found = [net for part in text.split(",") for net in _range(part, read)]
    return tuple(found)


def _range(text: str, read: Read) -> list[Network]:
    low, dash, high = text.partition("-")
    if not dash:
        found = read.network(text)
        return [] if found is None else [found]
    try:
        nets: list[IPv4Network] = list(summarize_address_range(IPv4Address(low), IPv4Address(high)))
    except ValueError:
        return []
    return [*nets]


def ports(text: str) -> Ports | None:
    """Port ranges, such as `22`, `80-90` or `22,443`; None for any."""
    if text in {"", "any"}:
        return None
    found = (re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.split(","))
    return tuple((whole_number(one[1]), whole_number(one[2] or one[1])) for one in found if one)
