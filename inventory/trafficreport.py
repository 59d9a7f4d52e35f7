"""Reports on a link and on a contractor's links, as JSON-ready values (§8.1). Counters and states only (SMF-17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from inventory.congestion import Level
from inventory.forecast import NoDate, Outlook
from inventory.linkdays import LinkDay, direction_series
from inventory.links import Direction, Governing, Link
from inventory.metering import Convention, Interval, higher, p95_interval, rank, rate_bps
from inventory.reporthead import ReportHead, envelope
from inventory.reporting import Kind
from inventory.reportseries import LINE_DIRECTIONS, DirectionSeries, Json, counted, maintenance_minutes, steps_of
from inventory.timeslots import SLOT_MS, SlotSeries


@dataclass(frozen=True, slots=True)
class ChangeOfLevel:
    """A change of level in the period."""

    direction: Direction
    day: date
    before: Level
    after: Level


@dataclass(frozen=True, slots=True)
class OpenProposal:
    """A proposal that nobody has decided yet."""

    id: int
    state: str
    kind: str
    model: str | None
    monthly_delta_yen: int | None
    text: str
    text_ja: str | None = None


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
    outlooks: Mapping[Direction, Outlook] = field(default_factory=dict)
    """Where the busy hours lead, as of the period's end."""
    proposal: OpenProposal | None = None
    """The open proposal for the place."""


def build(head: ReportHead, links: Sequence[LinkMaterial]) -> Json:
    """A report on a link or on a contractor's links. Empty data gives a report that says so."""
    changes = [change for material in links for change in _changes(material)]
    return envelope(head, changes, links=[_link(head, material) for material in links])


def _changes(material: LinkMaterial) -> list[Json]:
    where: Json = {
        "entry": f"E-{material.link.entry_id}",
        "place": material.place,
        "interface": material.link.interface,
    }
    found = [
        where
        | {
            "what": "level",
            "direction": change.direction.value,
            "day": change.day.isoformat(),
            "before": change.before.name.lower(),
            "after": change.after.name.lower(),
        }
        for change in material.changes
    ]
    if material.proposal is not None:
        found.append(where | {"what": "proposal", **_proposal(material.proposal)})
    return found


def _proposal(open_one: OpenProposal) -> Json:
    return {
        "proposal": open_one.id,
        "state": open_one.state,
        "remedy": open_one.kind,
        "model": open_one.model,
        "monthly_delta_yen": open_one.monthly_delta_yen,
        "text": open_one.text,
        "text_ja": open_one.text_ja,
    }


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
            _direction(material, direction, series[direction], intervals.get(direction))
            for direction in LINE_DIRECTIONS
        ],
        "days": [_day(day, material.days) for day in head.span.days],
        "series": steps_of(
            head.period,
            counted(link.role, material.into, material.out),
            series,
            full=head.kind is Kind.LINK,
        ),
        "proposal": None if material.proposal is None else _proposal(material.proposal),
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
    material: LinkMaterial,
    direction: Direction,
    series: DirectionSeries,
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
        "maintenance_minutes": maintenance_minutes(counted(material.link.role, material.into, material.out)[direction]),
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
        "saturation": _saturation(material.outlooks.get(direction)),
        "capacity": None
        if capacity is None
        else {"kind": capacity.kind.value, "nominal_bps": capacity.nominal_bps, "used_bps": capacity.used_bps},
    }


def _saturation(found: Outlook | None) -> Json | None:
    """The date of 85 % with its interval; a word where there is none. None: no capacity to reach."""
    if found is None:
        return None
    return {"date": _shown(found.saturation), "early": _shown(found.early), "late": _shown(found.late)}


def _shown(day: date | NoDate | None) -> str | None:
    return day.isoformat() if isinstance(day, date) else day and day.value


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
