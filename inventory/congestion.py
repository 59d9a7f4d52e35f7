"""When a link is congested: figures of a day, and the level that a run of days makes (§5.1–5.3).

Utilisation always means a slot's certain octets over the capacity of one slot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

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
    for start in range(len(seen) - BUSY_SLOTS + 1):
        window = [octets for octets in seen[start : start + BUSY_SLOTS] if octets is not None]
        if len(window) < BUSY_KNOWN:
            continue
        total = sum(window)
        # Means are compared as fractions, so that a tie is a tie.
        if best is None or total * best[2] > best[1] * len(window):
            best = (start, total, len(window))
    return (None, None) if best is None else (best[0], best[1] / best[2])


def day_class(day: DayFigures, rules: LevelRules = DEFAULT_RULES) -> Level:
    """Highest level whose entry condition the day meets (§5.3)."""
    util = day.busy_util or 0.0
    if util >= rules.critical_util or day.hot95 >= rules.critical_hot95:
        return Level.CRITICAL
    if util >= rules.congested_util or day.hot90 >= rules.congested_hot90 or day.drop_slots >= rules.congested_drops:
        return Level.CONGESTED
    if util >= rules.watch_util or day.c_req >= rules.watch_c_req:
        return Level.WATCH
    return Level.CALM


def day_holds(day: DayFigures, rules: LevelRules = DEFAULT_RULES) -> Level:
    """Highest level that the day is still enough to keep (§5.3, exit)."""
    util = day.busy_util or 0.0
    if util >= rules.hold_critical_util or day.hot95 >= rules.hold_critical_hot95:
        return Level.CRITICAL
    if (
        util >= rules.hold_congested_util
        or day.hot90 >= rules.hold_congested_hot90
        or day.drop_slots >= rules.hold_congested_drops
    ):
        return Level.CONGESTED
    if util >= rules.hold_watch_util or day.c_req >= rules.hold_watch_c_req:
        return Level.WATCH
    return Level.CALM


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
