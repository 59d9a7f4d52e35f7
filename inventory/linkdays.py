"""A day of a link: its figures by direction, the levels that a run of days makes, and what they rest on."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from statistics import median, variance

from inventory.congestion import (
    BUSY_SLOTS,
    DEFAULT_RULES,
    CauseFlag,
    DayFigures,
    Level,
    cause_flags,
    day_class,
    day_figures,
    levels,
    required_capacity_bps,
)
from inventory.links import CEILINGS, CapacityKind, Direction, Governing, Link, LinkRole
from inventory.metering import RULE_VERSION, slot_capacity_octets
from inventory.timeslots import SLOT_MS, Bounds, SlotSeries, bounds

KNOWN_MS = 299_000
"""A slot has a known value if so much of it is covered."""
SHARES = (50, 60, 70, 80, 90, 95)
"""Percent of capacity that slots are counted above, for questions about the whole fleet."""
WORST = 3
EVIDENCE_DAYS = 7
HOUR_SLOTS = 12
REQUIRED_DAYS = 14
REQUIRED_OVER_S = 1.0
REQUIRED_EPSILON = 0.01
REQUIRED_HURST = 0.8
"""Required capacity (§5.2): so that the rate of one second exceeds it in one second of a hundred; H is assumed."""
DROP_UTIL_PERCENT = 30
DROPS_PER_MILLE = 1
ERRORS_MIN = 10
LONGEST_FRAME = 1_500
FAULT_SLOTS = 3
FAULT_FALLS = 3
"""Times that a link goes down on one day, for it to look like a fault."""
FAULT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of a link's day: octets at least and at most, its largest slot, the time measured, drops, errors."""

    octets_low: int
    octets_high: int | None
    max_slot: int
    covered_ms: int
    drops: int
    errors: int = 0

    @property
    def packed(self) -> list[int | None]:
        """The fields in their order."""
        return [self.octets_low, self.octets_high, self.max_slot, self.covered_ms, self.drops, self.errors]


@dataclass(frozen=True, slots=True)
class LinkDay:
    """Figures of one direction of a link on one local day; all of them, for days that are not valid too."""

    link_id: int
    direction: Direction
    day: date
    figures: DayFigures
    high_class: Level
    """Class the day would have if every missing octet had passed; above its class: "could be congested"."""
    capacity: Governing | None
    octets_low: int
    octets_high: int | None
    worst: tuple[tuple[int, int], ...]
    """The busiest slots: index in the day, certain octets."""
    covered_ms: int
    slots: int
    above: tuple[int, ...]
    """Known slots at or above each of SHARES."""
    origins: tuple[str, ...]
    rule_version: str = RULE_VERSION
    maintenance_slots: int = 0
    """Slots left out: maintenance, or marked as bulk, with the half hour after."""
    busy_variance: float | None = None
    """Of the rate in the busy hour, (bit/s)², at the timescale `busy_scale_s`."""
    busy_scale_s: int | None = None
    error_slots: int = 0
    """Slots in which frames had errors in earnest: a fault, which is no congestion and speaks against proposals."""
    hours: tuple[Hour, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of level on a day, in a history of one capacity."""

    day: date
    before: Level
    after: Level


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a run of days leaves one direction."""

    level: Level
    since: date
    valid_day: date | None
    valid_days: int
    """Of the present history."""
    capacity_kind: CapacityKind
    changes: tuple[Change, ...]
    causes: tuple[CauseFlag, ...] = ()
    """Of the level, one flag each."""


def direction_series(
    link: Link, into: SlotSeries, out: SlotSeries
) -> dict[Direction, tuple[Sequence[int | None], Bounds, int]]:
    """Known octets (None: not known), bounds and covered time of the down, the up and the device's traffic."""
    found: dict[Direction, tuple[Sequence[int | None], Bounds, int]] = {}
    down, up = (into, out) if link.role is LinkRole.WAN else (out, into)
    for direction, series in ((Direction.DOWN, down), (Direction.UP, up)):
        known = [octets if ms >= KNOWN_MS else None for octets, ms in zip(series.known, series.covered_ms, strict=True)]
        found[direction] = (known, bounds(series, link.speed_bps), sum(series.covered_ms))
    (a, of_a, ms_a), (b, of_b, ms_b) = found[Direction.DOWN], found[Direction.UP]
    both = Bounds(
        tuple(x + y for x, y in zip(of_a.known, of_b.known, strict=True)),
        tuple(x + y for x, y in zip(of_a.low, of_b.low, strict=True)),
        tuple(None if x is None or y is None else x + y for x, y in zip(of_a.high, of_b.high, strict=True)),
        (*of_a.groups, *of_b.groups),
    )
    known_both = [None if x is None or y is None else x + y for x, y in zip(a, b, strict=True)]
    found[Direction.DEVICE] = (known_both, both, min(ms_a, ms_b))
    return found


@dataclass(frozen=True, slots=True)
class Beside:
    """What a day is judged by beside its octets."""

    maintenance: frozenset[int] = frozenset()
    """Slots to leave out, the half hour after already in."""
    packets: Sequence[int] = ()
    drops: Sequence[int] = ()
    """Of the direction that leaves the device; empty where no source tells them."""
    covered_ms: Sequence[int] = ()
    errors: Sequence[int] = ()
    """Frames with errors in this direction; empty where no source tells them."""
    through: Sequence[int | None] = ()
    """Packets received and sent together, for the device; None: a slot of which not both are known."""


NOTHING_BESIDE = Beside()


def beside(link: Link, direction: Direction, into: SlotSeries, out: SlotSeries, maintenance: frozenset[int]) -> Beside:
    """What is to be known of one direction beside its octets; drops are those of what leaves the device."""
    leaves = Direction.UP if link.role is LinkRole.WAN else Direction.DOWN
    series = out if direction is leaves else into
    if direction is Direction.DEVICE:
        covered = [min(a, b) for a, b in zip(into.covered_ms, out.covered_ms, strict=True)]
        return Beside(maintenance, covered_ms=covered, through=packets_through(into, out))
    if direction is leaves and out.drops and out.packets:
        return Beside(maintenance, out.packets, out.drops, series.covered_ms, series.errors)
    return Beside(maintenance, covered_ms=series.covered_ms, errors=series.errors)


def packets_through(into: SlotSeries, out: SlotSeries) -> list[int | None]:
    """Packets of both directions by slot; None where one is not known. Empty where no source tells both.

    A slot with octets and without packets is one of a time in which they were not told.
    """
    if not (into.packets and out.packets):
        return []
    return [
        None
        if min(into.covered_ms[i], out.covered_ms[i]) < KNOWN_MS
        or any(one.known[i] and not one.packets[i] for one in (into, out))
        else into.packets[i] + out.packets[i]
        for i in range(len(into.packets))
    ]


def judge_day(
    link: Link,
    direction: Direction,
    day: date,
    series: tuple[Sequence[int | None], Bounds, int],
    *,
    capacity: Governing | None,
    origins: tuple[str, ...],
    more: Beside = NOTHING_BESIDE,
) -> LinkDay:
    """Figures of one direction and day (§5.1). Without a capacity nothing is utilised, so nothing is valid."""
    known, limits, covered_ms = series
    octets = slot_capacity_octets(capacity.used_bps) if capacity else 0
    packets = _packet_figures(capacity, more)
    figures = DayFigures(False, None, None, 0, 0, unknown_slots=sum(octets is None for octets in known))
    worst_case = figures
    if octets:
        figures = day_figures(known, octets, more.maintenance)
        worst_case = day_figures(
            [low if low is not None else (high if high is not None else octets) for low, high in _pairs(known, limits)],
            octets,
            more.maintenance,
        )
        figures = replace(figures, drop_slots=_drop_slots(known, octets, more))
    elif packets is not None:
        figures = replace(packets, busy_util=None, hot90=0, hot95=0)
    if packets is not None:
        figures, worst_case = (
            replace(one, packet_util=packets.busy_util, packet_hot90=packets.hot90, packet_hot95=packets.hot95)
            for one in (figures, worst_case)
        )
    high_class = min(day_class(worst_case), capacity.ceiling) if capacity else Level.CALM
    seen = [(i, o) for i, o in enumerate(known) if o is not None]
    certain = sum(limits.known)
    return LinkDay(
        link_id=link.id,
        direction=direction,
        day=day,
        figures=figures,
        high_class=Level(high_class),
        capacity=capacity,
        octets_low=certain + sum(g.tmin for g in limits.groups),
        octets_high=None if None in limits.high else certain + sum(g.tmax for g in limits.groups),
        worst=tuple(heapq.nlargest(WORST, seen, key=lambda slot: (slot[1], -slot[0]))),
        covered_ms=covered_ms,
        slots=len(known),
        above=tuple(sum(100 * o >= share * octets for _, o in seen) if octets else 0 for share in SHARES),
        origins=origins,
        maintenance_slots=len(more.maintenance),
        busy_variance=_busy_variance(known, figures.busy_start_slot),
        busy_scale_s=None if figures.busy_start_slot is None else SLOT_MS // 1000,
        error_slots=_error_slots(known, more),
        hours=_hours(known, limits, more),
    )


def _packet_figures(capacity: Governing | None, more: Beside) -> DayFigures | None:
    """Figures of the packets as if they were octets; None without a published figure, or where too few are known."""
    if capacity is None or not capacity.used_pps or not more.through:
        return None
    found = day_figures(more.through, capacity.used_pps * SLOT_MS / 1_000, more.maintenance)
    return found if found.valid else None


def _error_slots(known: Sequence[int | None], more: Beside) -> int:
    """Slots with ten frames in error and more, and at least one of a thousand were all frames as long as can be."""
    return sum(
        errors >= ERRORS_MIN and i not in more.maintenance and 1000 * LONGEST_FRAME * errors >= (known[i] or 0)
        for i, errors in enumerate(more.errors)
    )


def faulty(days: Sequence[LinkDay]) -> bool:
    """Whether three of the last seven valid days, with three such slots each, look like a fault, not load (§7.5)."""
    recent = [day for day in days if day.figures.valid][-EVIDENCE_DAYS:]
    return sum(day.error_slots >= FAULT_SLOTS for day in recent) >= FAULT_DAYS


def flapping(days: Sequence[LinkDay], falls: Mapping[date, int]) -> bool:
    """Whether the link fell three times and more on three of the last seven valid days (§7.5)."""
    recent = [day.day for day in days if day.figures.valid][-EVIDENCE_DAYS:]
    return sum(falls.get(day, 0) >= FAULT_FALLS for day in recent) >= FAULT_DAYS


def _drop_slots(known: Sequence[int | None], capacity_octets: int, more: Beside) -> int:
    """Slots at 30 % and more in which at least one packet of a thousand was thrown away (§5.1)."""
    return sum(
        1
        for i, (packets, drops) in enumerate(zip(more.packets, more.drops, strict=True))
        if drops
        and i not in more.maintenance
        and 100 * (known[i] or 0) >= DROP_UTIL_PERCENT * capacity_octets
        and 1000 * drops >= DROPS_PER_MILLE * (packets + drops)
    )


def _busy_variance(known: Sequence[int | None], start: int | None) -> float | None:
    """Variance of the slots' rates in the busy hour, (bit/s)²."""
    if start is None:
        return None
    rates = [octets * 8_000 / SLOT_MS for octets in known[start : start + BUSY_SLOTS] if octets is not None]
    return variance(rates) if len(rates) > 1 else None


def _hours(known: Sequence[int | None], limits: Bounds, more: Beside) -> tuple[Hour, ...]:
    found = []
    for begin in range(0, len(known), HOUR_SLOTS):
        slots = range(begin, min(begin + HOUR_SLOTS, len(known)))
        highs = [high for i in slots if (high := limits.high[i]) is not None]
        found.append(
            Hour(
                sum(limits.low[i] for i in slots),
                sum(highs) if len(highs) == len(slots) else None,
                max((known[i] or 0 for i in slots), default=0),
                sum(more.covered_ms[i] for i in slots) if more.covered_ms else 0,
                sum(more.drops[i] for i in slots) if more.drops else 0,
                sum(more.errors[i] for i in slots) if more.errors else 0,
            )
        )
    return tuple(found)


def with_required(days: Sequence[LinkDay]) -> list[LinkDay]:
    """The same days, each with the required capacity that the busy hours of its last 14 valid days ask for (§5.2).

    For lines only: the device has no queue of its own. The variance is pooled, each day's mean removed.
    """
    found: list[LinkDay] = []
    recent: list[LinkDay] = []
    for day in days:
        if day.figures.valid and day.busy_variance is not None and day.figures.busy_util is not None:
            recent = [*recent, day][-REQUIRED_DAYS:]
        if day.direction is Direction.DEVICE or day.capacity is None or not recent or not day.figures.valid:
            found.append(day)
            continue
        required = _required_bps(recent)
        share = required / day.capacity.used_bps
        found.append(replace(day, figures=replace(day.figures, c_req=share)))
    return found


def with_required_by_history(days: Sequence[LinkDay]) -> list[LinkDay]:
    """The same of days of several directions and capacities; each history by itself, the order kept."""
    runs: dict[object, list[int]] = {}
    for at, day in enumerate(days):
        if day.capacity is not None:
            runs.setdefault((day.direction, _history(day)), []).append(at)
    found = list(days)
    for places in runs.values():
        for at, day in zip(places, with_required([days[at] for at in places]), strict=True):
            found[at] = day
    return found


def usual_busy_hour(days: Sequence[LinkDay]) -> int | None:
    """The hour, 0 to 23 by the local clock, with the highest median over the last 14 valid days; the earliest on ties.

    For reports and for planning maintenance (§5.1). None without such a day; days of 23 or 25 hours are left out.
    """
    shown = [day.hours for day in days if day.figures.valid and len(day.hours) == 24][-REQUIRED_DAYS:]
    if not shown:
        return None
    return max(range(24), key=lambda hour: (median(hours[hour].octets_low for hours in shown), -hour))


def _required_bps(days: Sequence[LinkDay]) -> int:
    busy = [(day.figures.busy_util or 0.0) * day.capacity.used_bps for day in days if day.capacity is not None]
    return required_capacity_bps(
        sum(busy) / len(busy),
        math.sqrt(sum(day.busy_variance or 0.0 for day in days) / len(days)),
        measured_at_s=max(day.busy_scale_s or 0 for day in days),
        target_s=REQUIRED_OVER_S,
        epsilon=REQUIRED_EPSILON,
        hurst=REQUIRED_HURST,
    )


def _pairs(known: Sequence[int | None], limits: Bounds) -> zip[tuple[int | None, int | None]]:
    return zip(known, limits.high, strict=True)


def judge_run(days: Sequence[LinkDay]) -> Verdict | None:
    """Level of one direction after a run of days in order; None where no day had a capacity.

    A known change of capacity starts a new history (§5.3).
    """
    judged = [day for day in days if day.capacity is not None]
    if not judged:
        return None
    changes: list[Change] = []
    state, since, history = Level.CALM, judged[0].day, judged
    for (kind, _, _), group in groupby(judged, key=_history):
        history = with_required(list(group))
        for day, level in zip(history, levels([d.figures for d in history], CEILINGS[kind]), strict=True):
            if level is not state:
                changes.append(Change(day.day, state, level))
                state, since = level, day.day
    valid = [day.day for day in history if day.figures.valid]
    kind = _history(history[-1])[0]
    causes = cause_flags([day.figures for day in history], state, CEILINGS[kind])
    return Verdict(state, since, valid[-1] if valid else None, len(valid), kind, tuple(changes), causes)


def _history(day: LinkDay) -> tuple[CapacityKind, int, date]:
    assert day.capacity is not None
    return day.capacity.kind, day.capacity.nominal_bps, day.capacity.since


def evidence(days: Sequence[LinkDay], change: Change) -> dict[str, object]:
    """What a change of level rests on: rules, capacity, the last seven valid days, the worst slots, coverage."""
    upto = [day for day in days if day.day <= change.day and day.capacity is not None]
    history = with_required([day for day in upto if _history(day) == _history(upto[-1])])
    valid = [day for day in history if day.figures.valid][-EVIDENCE_DAYS:]
    capacity = upto[-1].capacity
    assert capacity is not None
    worst = heapq.nlargest(WORST, ((octets, day.day.isoformat(), slot) for day in valid for slot, octets in day.worst))
    return {
        "rule_version": RULE_VERSION,
        "thresholds": {name: getattr(DEFAULT_RULES, name) for name in DEFAULT_RULES.__slots__},
        "capacity": {
            "kind": capacity.kind.value,
            "nominal_bps": capacity.nominal_bps,
            "used_bps": capacity.used_bps,
        }
        | ({"packets": packet_words(upto[-1])} if upto[-1].direction is Direction.DEVICE else {}),
        "causes": [
            {"cause": one.cause.value, "days": one.days}
            for one in cause_flags([day.figures for day in history], change.after or change.before, capacity.ceiling)
        ],
        "days": [
            {
                "day": day.day.isoformat(),
                "class": int(min(day_class(day.figures), capacity.ceiling)),
                "busy_util": day.figures.busy_util,
                "busy_start_slot": day.figures.busy_start_slot,
                "hot90": day.figures.hot90,
                "hot95": day.figures.hot95,
                "drop_slots": day.figures.drop_slots,
                "error_slots": day.error_slots,
                "c_req": day.figures.c_req,
                "packet_util": day.figures.packet_util,
                "packet_hot90": day.figures.packet_hot90,
                "packet_hot95": day.figures.packet_hot95,
                "maintenance_slots": day.maintenance_slots,
                "unknown_slots": day.figures.unknown_slots,
                "coverage": day.covered_ms / (day.slots * 300_000),
                "origins": list(day.origins),
            }
            for day in valid
        ],
        "worst_slots": [{"day": day, "slot": slot, "octets": octets} for octets, day, slot in worst],
    }


def packet_words(day: LinkDay) -> dict[str, object]:
    """What the device's packets per second were compared with on a day, or why with nothing; JSON-ready."""
    capacity = day.capacity
    nominal = None if capacity is None else capacity.nominal_pps
    if nominal is None:
        said = "no packets per second are published for this model, and none were entered: none are compared"
    elif day.figures.packet_util is None:
        said = "the source does not tell packets in both directions for nine tenths of the day: none are compared"
    else:
        said = "compared first: small packets run out of packets per second before they fill the line"
    return {"nominal_pps": nominal, "used_pps": None if capacity is None else capacity.used_pps, "said": said}
