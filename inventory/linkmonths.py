"""A month of a link: volume, exact 95th percentile with its interval, top slots; and the plateau of a limited line."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from inventory.links import Direction, Governing, Link
from inventory.metering import RULE_VERSION, Interval, p95_interval, rate_bps
from inventory.timeslots import Bounds

TOP = 5
PLATEAU_SLOTS = 12
PLATEAU_DAYS = 3
PLATEAU_PERCENT = 3
DAY_SLOTS = 288


@dataclass(frozen=True, slots=True)
class LinkMonth:
    """Figures of one direction of a link over one local month."""

    link_id: int
    direction: Direction
    month: date
    """Its first day."""
    octets_low: int
    octets_high: int | None
    p95: Interval
    """Octets of a slot; for the device's sum of both directions sound, not always tight."""
    slots: int
    covered_ms: int
    top: tuple[tuple[int, int], ...]
    """The busiest slots: index in the month, certain octets."""
    capacity: Governing | None
    """That of the month's last day."""
    rule_version: str = RULE_VERSION


def judge(
    link: Link,
    direction: Direction,
    month: date,
    series: tuple[Sequence[int | None], Bounds, int],
    capacity: Governing | None,
) -> LinkMonth:
    """Figures of a month from its slots (§3.1, §3.2)."""
    known, limits, covered_ms = series
    certain = sum(limits.known)
    seen = ((i, octets) for i, octets in enumerate(known) if octets is not None)
    return LinkMonth(
        link.id,
        direction,
        month,
        certain + sum(group.tmin for group in limits.groups),
        None if None in limits.high else certain + sum(group.tmax for group in limits.groups),
        p95_interval(limits.known, limits.groups),
        len(known),
        covered_ms,
        tuple(heapq.nlargest(TOP, seen, key=lambda slot: (slot[1], -slot[0]))),
        capacity,
    )


def plateau_bps(known: Sequence[int | None]) -> int | None:
    """Rate near which a line behaves as if it were limited; None if it does not (§4).

    The third-highest slot, if at least 12 slots on at least 3 days lie within 3 % of it. `known` begins at a midnight.
    """
    seen = [(octets, i // DAY_SLOTS) for i, octets in enumerate(known) if octets]
    if len(seen) < PLATEAU_SLOTS:
        return None
    third = heapq.nlargest(3, seen)[-1][0]
    near = [day for octets, day in seen if abs(octets - third) * 100 <= PLATEAU_PERCENT * third]
    return rate_bps(third) if len(near) >= PLATEAU_SLOTS and len(set(near)) >= PLATEAU_DAYS else None
