"""The slots of a link over a report's period, by steps of 5 minutes or an hour, both directions (§8.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from inventory.counters import Flag
from inventory.linkdays import KNOWN_MS
from inventory.links import Direction, LinkRole
from inventory.periods import Period
from inventory.timeslots import SLOT_MS, Bounds, SlotSeries

HOUR_SLOTS = 12
LINE_DIRECTIONS = (Direction.DOWN, Direction.UP)

Json = dict[str, object]
DirectionSeries = tuple[Sequence[int | None], Bounds, int]
"""Known octets, bounds and covered time of one direction; see `linkdays.direction_series`."""


def counted(role: LinkRole, into: SlotSeries, out: SlotSeries) -> dict[Direction, SlotSeries]:
    """Which of the device's counters is which direction of the line."""
    down, up = (into, out) if role is LinkRole.WAN else (out, into)
    return {Direction.DOWN: down, Direction.UP: up}


def steps_of(
    period: Period, slots: Mapping[Direction, SlotSeries], series: Mapping[Direction, DirectionSeries], *, full: bool
) -> Json:
    """Low and high octets by step: 5 minutes for a day, an hour else. A step that no reading touches is null.

    `unmeasured` are the steps of which no part was measured: of those inside a long pair of readings the sum is known,
    and nothing else.

    `full` adds what a report on one link shows of each step: its busiest slot, its coverage, its flags.
    """
    size = 1 if period is Period.DAY else HOUR_SLOTS
    found: Json = {"start_ms": slots[Direction.DOWN].start_ms, "step_ms": size * SLOT_MS}
    for direction in LINE_DIRECTIONS:
        known, limits, _ = series[direction]
        mine = slots[direction]
        steps = [range(i, min(i + size, len(limits.known))) for i in range(0, len(limits.known), size)]
        shown: Json = {
            "low": [sum(limits.low[i] for i in step) if _seen(mine, step) else None for step in steps],
            "high": [_sum(limits.high[i] for i in step) for step in steps],
            "complete": [all(mine.covered_ms[i] >= KNOWN_MS for i in step) for step in steps],
            "unmeasured": [n for n, step in enumerate(steps) if not any(mine.covered_ms[i] for i in step)],
            "maintenance": [n for n, step in enumerate(steps) if any(Flag.MAINTENANCE in mine.flags[i] for i in step)],
        }
        if full:
            shown |= {
                "max_slot_octets": [
                    max((known[i] or 0 for i in step if known[i] is not None), default=None) for step in steps
                ],
                "covered_ms": [sum(mine.covered_ms[i] for i in step) for step in steps],
                "flags": [_flags(mine, step) for step in steps],
                "drops": [sum(mine.drops[i] for i in step) if mine.drops else None for step in steps],
                "errors": [sum(mine.errors[i] for i in step) if mine.errors else None for step in steps],
            }
        found[direction.value] = shown
    return found


def maintenance_minutes(series: SlotSeries) -> int:
    """Minutes of the slots that a maintenance window touched."""
    return sum(Flag.MAINTENANCE in flags for flags in series.flags) * SLOT_MS // 60_000


def _flags(series: SlotSeries, step: range) -> list[str]:
    """Flags of a step, `measured` left out: it says that nothing is to be said."""
    found = {flag for i in step for flag in series.flags[i]}
    return sorted(flag.value for flag in found - {Flag.MEASURED})


def _seen(series: SlotSeries, step: range) -> bool:
    return any(series.covered_ms[i] or series.untouched_ms[i] < SLOT_MS for i in step)


def _sum(octets: Iterable[int | None]) -> int | None:
    total = 0
    for one in octets:
        if one is None:
            return None
        total += one
    return total


def in_service(series: SlotSeries, begin: int, end: int) -> SlotSeries:
    """The slots [begin, end) of a series; groups lose the slots outside, as at the edge of a window."""
    groups = []
    for group in series.groups:
        kept = [(i - begin, ms) for i, ms in zip(group.slots, group.overlap_ms, strict=True) if begin <= i < end]
        lost_ms = sum(group.overlap_ms) - sum(ms for _, ms in kept)
        if kept:
            groups.append(
                replace(
                    group,
                    slots=tuple(i for i, _ in kept),
                    overlap_ms=tuple(ms for _, ms in kept),
                    outside_ms=group.outside_ms + lost_ms,
                )
            )
    return SlotSeries(
        series.start_ms + begin * SLOT_MS,
        series.known[begin:end],
        series.covered_ms[begin:end],
        series.untouched_ms[begin:end],
        series.flags[begin:end],
        tuple(groups),
        series.packets[begin:end],
        series.drops[begin:end],
        series.errors[begin:end],
    )


def maintained(series: SlotSeries, slots: frozenset[int]) -> SlotSeries:
    """The series with the slots marked that a maintenance window, or the half hour after it, touches."""
    if not slots:
        return series
    flags = tuple(one | {Flag.MAINTENANCE} if i in slots else one for i, one in enumerate(series.flags))
    return replace(series, flags=flags)
