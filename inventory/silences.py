"""Adapters that fall silent from one cause are one incident (architecture §6): which of them belong together.

Looked at from the widest cause to the narrowest: this node's own line, a site, a network, a contractor. A group must be
a good part of what could have fallen silent with it; what belongs to none is on its own.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TOGETHER: Final = 1.5
"""Intervals within which last heartbeats of one cause lie: each unit beats at its own moment of an interval."""
SHARE: Final = 0.5
"""Part of those that were heard with the same mark that must be silent together."""


class Cause(StrEnum):
    """What the adapters of a group have in common."""

    HERE = "this node"
    SITE = "site"
    NETWORK = "network"
    CONTRACTOR = "contractor"
    ALONE = "adapter"


AT_LEAST: Final[Mapping[Cause, int]] = {Cause.HERE: 5, Cause.SITE: 2, Cause.NETWORK: 3, Cause.CONTRACTOR: 3}
"""Smallest groups; fewer may as well be chance."""
SAID: Final[Mapping[Cause, str]] = {
    Cause.HERE: "at least half of all adapters fell silent together: look at this node and its line first",
    Cause.SITE: "the adapters of one site fell silent together: its power or its line",
    Cause.NETWORK: "adapters behind one network fell silent together: their carrier",
    Cause.CONTRACTOR: "adapters of one contractor fell silent together: something its sites share",
    Cause.ALONE: "line or power",
}
"""The guess in words."""


@dataclass(frozen=True, slots=True)
class Member:
    """One adapter that is watched: what it could share with others."""

    adapter_id: int
    contractor_id: int
    last_heard_ms: int
    site: str = ""
    """Name of its site; empty: not known."""
    network: str = ""
    """See `network_of`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Adapters that fell silent together. `key` names what they share, stable while the group grows."""

    cause: Cause
    key: str
    adapter_ids: tuple[int, ...]
    first_ms: int
    """The earliest of their last heartbeats."""


def network_of(source: str | None) -> str:
    """The network an address belongs to: /24, or /48 for IPv6; empty for what is no address."""
    try:
        address = ipaddress.ip_address(source or "")
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def group(silent: Sequence[Member], watched: Sequence[Member], interval_ms: float) -> list[Group]:
    """Every silent adapter in exactly one group, the groups by their earliest silence.

    `watched` are all adapters whose heartbeats are awaited, the silent ones among them.
    """
    found: list[Group] = []
    left = sorted(silent, key=lambda one: (one.last_heard_ms, one.adapter_id))
    for cause, mark in _MARKS:
        total: dict[Hashable, int] = defaultdict(int)
        for one in watched:
            total[mark(one)] += 1
        for value, members in _by_mark(left, mark).items():
            for together in _bursts(members, TOGETHER * interval_ms):
                if len(together) >= max(AT_LEAST[cause], SHARE * total[value]):
                    found.append(_group(cause, value, together))
                    taken = {one.adapter_id for one in together}
                    left = [one for one in left if one.adapter_id not in taken]
    found += [_group(Cause.ALONE, str(one.adapter_id), [one]) for one in left]
    return sorted(found, key=lambda one: (one.first_ms, one.adapter_ids))


def _site(one: Member) -> Hashable:
    return f"{one.contractor_id} {one.site}" if one.site else None


_MARKS: Final[tuple[tuple[Cause, Callable[[Member], Hashable]], ...]] = (
    (Cause.HERE, lambda _one: "all"),
    (Cause.SITE, _site),
    (Cause.NETWORK, lambda one: one.network or None),
    (Cause.CONTRACTOR, lambda one: str(one.contractor_id)),
)


def _by_mark(members: Iterable[Member], mark: Callable[[Member], Hashable]) -> dict[Hashable, list[Member]]:
    found: dict[Hashable, list[Member]] = {}
    for one in members:
        value = mark(one)
        if value is not None:
            found.setdefault(value, []).append(one)
    return found


def _bursts(members: Sequence[Member], apart_ms: float) -> list[list[Member]]:
    """Members by time, cut where nobody fell silent for longer than `apart_ms`."""
    found: list[list[Member]] = []
    for one in members:
        if found and one.last_heard_ms - found[-1][-1].last_heard_ms <= apart_ms:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _group(cause: Cause, value: Hashable, members: Sequence[Member]) -> Group:
    first = min(one.last_heard_ms for one in members)
    return Group(cause, str(value), tuple(sorted(one.adapter_id for one in members)), first)
