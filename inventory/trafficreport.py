"""A traffic report as data: the JSON that CSV and HTML are made from (§8.1, §8.2). Counters and states only (SMF-17).

Same inputs, same bytes: the instant of making is an input, and nothing else is read from a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from inventory.congestion import Level
from inventory.linkdays import KNOWN_MS, LinkDay, direction_series
from inventory.links import Direction, Governing, Link
from inventory.metering import RULE_VERSION, Convention, Interval, higher, p95_interval, rank, rate_bps
from inventory.periods import Period, Span
from inventory.timeslots import SLOT_MS, Bounds, SlotSeries

SCHEMA = 1
HOUR_SLOTS = 12
LINE_DIRECTIONS = (Direction.DOWN, Direction.UP)

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class ChangeOfLevel:
    """A change of level in the period."""

    direction: Direction
    day: date
    before: Level
    after: Level


@dataclass(frozen=True, slots=True)
class LinkMaterial:
    """Everything that a report says about one link."""

    link: Link
    place: str
    """Name of the entry, as people call it."""
    into: SlotSeries
    out: SlotSeries
    """Slots of the period in which the link was metered."""
    days: tuple[LinkDay, ...]
    changes: tuple[ChangeOfLevel, ...]
    levels_before: Mapping[Direction, Level]
    """Levels when the period began."""
    capacities: Mapping[Direction, Governing]
    """Capacities on the period's last day."""
    proposal: str | None = None
    """The open proposal for the place, in a sentence."""


@dataclass(frozen=True, slots=True)
class ReportHead:
    """What names a report."""

    key: str
    title: str
    audience: str
    """Whose report it is: `K-3`, or `operator`."""
    period: Period
    span: Span
    made_ms: int
    data_as_of_ms: int | None
    """Time of the newest slot revision in it; None: it has no data."""
    final: bool
    """Whether every slot of the period was final when it was made."""


def build(head: ReportHead, links: Sequence[LinkMaterial]) -> Json:
    """The report as JSON-ready values. Empty data gives a report that says so."""
    return {
        "schema": SCHEMA,
        "report": head.key,
        "title": head.title,
        "audience": head.audience,
        "period": {
            "kind": head.period.value,
            "first_day": head.span.first.isoformat(),
            "last_day": head.span.days[-1].isoformat(),
            "zone": head.span.zone,
            "start_ms": head.span.start_ms,
            "end_ms": head.span.end_ms,
            "slots": head.span.slots,
        },
        "made_ms": head.made_ms,
        "data_as_of_ms": head.data_as_of_ms,
        "state": "final" if head.final else "provisional",
        "rule_version": RULE_VERSION,
        "changes": [sentence for material in links for sentence in _changes(material)],
        "links": [_link(head, material) for material in links],
    }


def encode(report: Json) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, one line feed at the end."""
    text = json.dumps(report, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def digest(encoded: bytes) -> str:
    """SHA-256 of the JSON; CSV and HTML carry it."""
    return hashlib.sha256(encoded).hexdigest()


def _changes(material: LinkMaterial) -> list[str]:
    found = [
        f"{material.place}, {material.link.interface} ({change.direction}): "
        f"{change.before.name.lower()} → {change.after.name.lower()} on {change.day.isoformat()}"
        for change in material.changes
    ]
    if material.proposal:
        found.append(f"{material.place}: open proposal. {material.proposal}")
    return found


def _link(head: ReportHead, material: LinkMaterial) -> Json:
    link = material.link
    series = direction_series(link, material.into, material.out)
    intervals = {
        direction: p95_interval(series[direction][1].known, series[direction][1].groups)
        for direction in LINE_DIRECTIONS
        if series[direction][1].known
    }
    return {
        "link": link.id,
        "entry": f"E-{link.entry_id}",
        "place": material.place,
        "interface": link.interface,
        "role": link.role.value,
        "slots": len(material.into.known),
        "p95": _p95(intervals, len(material.into.known)),
        "directions": [
            _direction(head, material, direction, series[direction], intervals.get(direction))
            for direction in LINE_DIRECTIONS
        ],
        "days": [_day(day, material.days) for day in head.span.days],
        "series": _series(head, material, series),
        "proposal": material.proposal,
    }


def _p95(intervals: Mapping[Direction, Interval], slots: int) -> Json | None:
    if not intervals:
        return None
    both = higher(intervals[Direction.DOWN], intervals[Direction.UP])
    return {"convention": Convention.MAX_OF_P95.value, "n": slots, "k": rank(slots), **_interval(both)}


def _interval(found: Interval) -> Json:
    return {
        "low_octets": found.low,
        "high_octets": found.high,
        "low_bps": rate_bps(found.low),
        "high_bps": None if found.high is None else rate_bps(found.high),
        "grade": found.grade.value,
    }


def _direction(
    head: ReportHead,
    material: LinkMaterial,
    direction: Direction,
    series: tuple[Sequence[int | None], Bounds, int],
    p95: Interval | None,
) -> Json:
    known, limits, covered_ms = series
    mine = [day for day in material.days if day.direction is direction]
    changes = [change for change in material.changes if change.direction is direction]
    before = material.levels_before.get(direction, Level.CALM)
    capacity = material.capacities.get(direction)
    low = sum(limits.known) + sum(group.tmin for group in limits.groups)
    is_open = None in limits.high
    measured = [octets for octets in known if octets is not None]
    busiest = max(
        (day for day in mine if day.figures.busy_util is not None), key=lambda d: d.figures.busy_util or 0, default=None
    )
    return {
        "direction": direction.value,
        "volume_low_octets": low,
        "volume_high_octets": None if is_open else sum(limits.known) + sum(group.tmax for group in limits.groups),
        "mean_bps": rate_bps(sum(measured) // len(measured)) if measured else None,
        "max_slot_bps": rate_bps(max(measured)) if measured else None,
        "p95": None if p95 is None else _interval(p95),
        "coverage": covered_ms / (len(known) * SLOT_MS) if known else 0.0,
        "unknown_slots": sum(octets is None for octets in known),
        "valid_days": sum(day.figures.valid for day in mine),
        "hot90": sum(day.figures.hot90 for day in mine),
        "busy": None
        if busiest is None
        else {
            "day": busiest.day.isoformat(),
            "start_slot": busiest.figures.busy_start_slot,
            "util": busiest.figures.busy_util,
        },
        "level_start": int(before),
        "level_end": int(changes[-1].after if changes else before),
        "level_changes": len(changes),
        "could_be_congested": [
            day.day.isoformat()
            for day in mine
            if day.high_class >= Level.CONGESTED and day.figures.unknown_slots and not day.figures.valid
        ],
        "capacity": None
        if capacity is None
        else {"kind": capacity.kind.value, "nominal_bps": capacity.nominal_bps, "used_bps": capacity.used_bps},
    }


def _day(day: date, days: Sequence[LinkDay]) -> Json:
    """A day and where its readings came from; a day without any says so."""
    mine = {one.direction: one for one in days if one.day == day}
    return {
        "day": day.isoformat(),
        "origins": sorted({origin for one in mine.values() for origin in one.origins}),
        **{
            direction.value: None
            if direction not in mine
            else {
                "valid": mine[direction].figures.valid,
                "busy_util": mine[direction].figures.busy_util,
                "hot90": mine[direction].figures.hot90,
                "unknown_slots": mine[direction].figures.unknown_slots,
                "volume_low_octets": mine[direction].octets_low,
                "volume_high_octets": mine[direction].octets_high,
            }
            for direction in LINE_DIRECTIONS
        },
    }


def _series(
    head: ReportHead,
    material: LinkMaterial,
    series: Mapping[Direction, tuple[Sequence[int | None], Bounds, int]],
) -> Json:
    """Low and high octets by step: 5 minutes for a day, an hour else. A step nobody measured is null."""
    size = 1 if head.period is Period.DAY else HOUR_SLOTS
    found: Json = {"start_ms": material.into.start_ms, "step_ms": size * SLOT_MS}
    for direction in LINE_DIRECTIONS:
        _, limits, _ = series[direction]
        counted = material.into if direction is _first(material.link) else material.out
        steps = [range(i, min(i + size, len(limits.known))) for i in range(0, len(limits.known), size)]
        found[direction.value] = {
            "low": [sum(limits.low[i] for i in step) if _seen(counted, step) else None for step in steps],
            "high": [_sum(limits.high[i] for i in step) for step in steps],
            "complete": [all(counted.covered_ms[i] >= KNOWN_MS for i in step) for step in steps],
        }
    return found


def _first(link: Link) -> Direction:
    """Direction of the octets that the device receives."""
    return Direction.DOWN if link.role.value == "wan" else Direction.UP


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
    )
