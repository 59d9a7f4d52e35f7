"""When a link is congested: figures of a day, and the level that a run of days makes (§5.1–5.3).

Utilisation always means a slot's certain octets over the capacity of one slot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

BUSY_SLOTS = 12
BUSY_KNOWN = 10
WINDOW_DAYS = 7
STALE_DAYS = 5
"""Without a valid day for so many days a level is stale."""
NEEDED_DAYS = {1: 3, 2: 3, 3: 2}


class Level(IntEnum):
    """State of one direction of a link."""

    CALM = 0
    WATCH = 1
    CONGESTED = 2
    CRITICAL = 3


class Cause(StrEnum):
    """Why a direction has its level: one flag a cause."""

    PACKETS = "packets"
    """Packets per second against the model's published figure, however small they are: of the device only."""
    BUSY_HOUR = "busy-hour"
    """Volume: the mean of the busiest hour."""
    FULL_SLOTS = "full-slots"
    """Volume: slots at 90 or 95 % and more."""
    DROPS = "drops"
    """Packets thrown away: bursts, whatever the mean."""
    BURSTS = "bursts"
    """What the spread of the rate asks for inside the slots (§5.2); watch at most."""


@dataclass(frozen=True, slots=True)
class CauseFlag:
    """One cause of a level, and on how many of the last seven valid days it alone was enough for it."""

    cause: Cause
    days: int


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What one local day of one direction shows. Slots are counted from the day's first."""

    valid: bool
    busy_start_slot: int | None
    busy_util: float | None
    hot90: int
    hot95: int
    drop_slots: int = 0
    c_req: float = 0.0
    """Required over available capacity; 0 where it was not measured."""
    unknown_slots: int = 0
    packet_util: float | None = None
    """Packets of their busiest hour against the used share of the model's figure; None: no figure, or not told."""
    packet_hot90: int = 0
    packet_hot95: int = 0


@dataclass(frozen=True, slots=True)
class LevelRules:
    """Thresholds of the levels; kept with each change of level as evidence."""

    watch_util: float = 0.70
    watch_c_req: float = 1.00
    congested_util: float = 0.85
    congested_hot90: int = 6
    congested_drops: int = 3
    critical_util: float = 0.95
    critical_hot95: int = 24
    hold_watch_util: float = 0.60
    hold_watch_c_req: float = 0.90
    hold_congested_util: float = 0.75
    hold_congested_hot90: int = 3
    hold_congested_drops: int = 1
    hold_critical_util: float = 0.85
    hold_critical_hot95: int = 12


DEFAULT_RULES = LevelRules()


def day_figures(
    low_octets: Sequence[int | None], capacity_octets: float, maintenance: frozenset[int] = frozenset()
) -> DayFigures:
    """Figures of one day (§5.1).

    `low_octets`: certain octets of each slot of the local day, None where less than 299 s are covered.
    `capacity_octets`: octets of one slot at capacity, above 0. `maintenance`: slots to leave out, the 30
    minutes after already in.
    """
    left = [(i, octets) for i, octets in enumerate(low_octets) if i not in maintenance]
    known = [octets for _, octets in left if octets is not None]
    seen = [None if i in maintenance else octets for i, octets in enumerate(low_octets)]
    start, mean = _busy_hour(seen)
    return DayFigures(
        valid=4 * len(left) >= 3 * len(low_octets) and 10 * len(known) >= 9 * len(left) and start is not None,
        busy_start_slot=start,
        busy_util=None if mean is None else mean / capacity_octets,
        hot90=sum(100 * octets >= 90 * capacity_octets for octets in known),
        hot95=sum(100 * octets >= 95 * capacity_octets for octets in known),
        unknown_slots=len(left) - len(known),
    )


def _busy_hour(seen: Sequence[int | None]) -> tuple[int | None, float | None]:
    """First slot and mean octets of the 12 neighbouring slots with the highest mean; the earliest on ties."""
    best: tuple[int, int, int] | None = None
    total = count = 0
    for end, octets in enumerate(seen):
        total, count = total + (octets or 0), count + (octets is not None)
        if end >= BUSY_SLOTS:
            leaving = seen[end - BUSY_SLOTS]
            total, count = total - (leaving or 0), count - (leaving is not None)
        # Means are compared as fractions, so that a tie is a tie.
        enough = end >= BUSY_SLOTS - 1 and count >= BUSY_KNOWN
        if enough and (best is None or total * best[2] > best[1] * count):
            best = (end - BUSY_SLOTS + 1, total, count)
    return (None, None) if best is None else (best[0], best[1] / best[2])


def day_class(day: DayFigures, rules: LevelRules = DEFAULT_RULES) -> Level:
    """Highest level whose entry condition the day meets (§5.3), by octets or by packets."""
    util, hot90, hot95 = _tightest(day)
    if util >= rules.critical_util or hot95 >= rules.critical_hot95:
        return Level.CRITICAL
    if util >= rules.congested_util or hot90 >= rules.congested_hot90 or day.drop_slots >= rules.congested_drops:
        return Level.CONGESTED
    if util >= rules.watch_util or day.c_req >= rules.watch_c_req:
        return Level.WATCH
    return Level.CALM


def day_holds(day: DayFigures, rules: LevelRules = DEFAULT_RULES) -> Level:
    """Highest level that the day is still enough to keep (§5.3, exit)."""
    util, hot90, hot95 = _tightest(day)
    if util >= rules.hold_critical_util or hot95 >= rules.hold_critical_hot95:
        return Level.CRITICAL
    if (
        util >= rules.hold_congested_util
        or hot90 >= rules.hold_congested_hot90
        or day.drop_slots >= rules.hold_congested_drops
    ):
        return Level.CONGESTED
    if util >= rules.hold_watch_util or day.c_req >= rules.hold_watch_c_req:
        return Level.WATCH
    return Level.CALM


def _tightest(day: DayFigures) -> tuple[float, int, int]:
    """Busy hour, slots at 90 and at 95 %: of octets or of packets, whichever comes nearer to what can be carried."""
    return (
        max(day.busy_util or 0.0, day.packet_util or 0.0),
        max(day.hot90, day.packet_hot90),
        max(day.hot95, day.packet_hot95),
    )


def levels(days: Sequence[DayFigures], ceiling: int = Level.CRITICAL, rules: LevelRules = DEFAULT_RULES) -> list[Level]:
    """State after each day of one history, the oldest first (§5.3).

    `ceiling` is what the kind of capacity may raise (§4). A known change of capacity starts a new history.
    Days that are not valid neither raise nor clear.
    """
    state = Level.CALM
    recent: list[tuple[int, int]] = []
    found = []
    for day in days:
        if day.valid:
            recent.append((min(day_class(day, rules), ceiling), min(day_holds(day, rules), ceiling)))
            recent = recent[-WINDOW_DAYS:]
            state = _next_state(state, recent)
        found.append(state)
    return found


def _next_state(state: Level, recent: Sequence[tuple[int, int]]) -> Level:
    up = max((level for level, days in NEEDED_DAYS.items() if sum(c >= level for c, _ in recent) >= days), default=0)
    if up > state:
        return Level(up)
    if up < state and len(recent) >= WINDOW_DAYS:
        return Level(max(up, min(state, max(held for _, held in recent))))
    return state


def cause_flags(
    days: Sequence[DayFigures], level: Level, ceiling: int = Level.CRITICAL, rules: LevelRules = DEFAULT_RULES
) -> tuple[CauseFlag, ...]:
    """The causes of the level that a history has come to, one flag each, the most frequent first; none for calm.

    A cause counts on each of the last seven valid days on which it alone reaches the level; where no day reaches it
    any more, on each that still holds it.
    """
    if level is Level.CALM:
        return ()
    recent = [day for day in days if day.valid][-WINDOW_DAYS:]
    for judge in (day_class, day_holds):
        counts = {
            cause: sum(min(judge(_alone(day, cause), rules), ceiling) >= level for day in recent) for cause in Cause
        }
        if any(counts.values()):
            found = [CauseFlag(cause, number) for cause, number in counts.items() if number]
            return tuple(sorted(found, key=lambda flag: -flag.days))
    return ()


def _alone(day: DayFigures, cause: Cause) -> DayFigures:
    """The day as if nothing but one cause had been looked at."""
    return replace(
        day,
        busy_util=day.busy_util if cause is Cause.BUSY_HOUR else None,
        hot90=day.hot90 if cause is Cause.FULL_SLOTS else 0,
        hot95=day.hot95 if cause is Cause.FULL_SLOTS else 0,
        drop_slots=day.drop_slots if cause is Cause.DROPS else 0,
        c_req=day.c_req if cause is Cause.BURSTS else 0.0,
        packet_util=day.packet_util if cause is Cause.PACKETS else None,
        packet_hot90=day.packet_hot90 if cause is Cause.PACKETS else 0,
        packet_hot95=day.packet_hot95 if cause is Cause.PACKETS else 0,
    )


def required_capacity_bps(
    mean_bps: float, sigma_bps: float, *, measured_at_s: float, target_s: float, epsilon: float, hurst: float
) -> int:
    """Capacity so that the rate over `target_s` exceeds it with probability ≤ epsilon (§5.2), in bit/s.

    Gaussian input; `sigma_bps` is the standard deviation of the rate at the timescale `measured_at_s`,
    carried down by self-similar scaling. Raises ValueError if epsilon is not in (0, 1] or a time not above 0.
    """
    if not 0 < epsilon <= 1 or measured_at_s <= 0 or target_s <= 0:
        raise ValueError("epsilon must lie in (0, 1], times above 0")
    sigma = sigma_bps * math.pow(target_s / measured_at_s, hurst - 1)
    return math.floor(mean_bps + math.sqrt(-2 * math.log(epsilon)) * sigma + 0.5)
