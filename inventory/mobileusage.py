"""What a SIM or a packet share group used in a month, and on which day its plan will run out (MPC-9, metering §2–3).

The counters of the mobile interface say it, both directions added: octets as an interval over what nobody measured.
The terms name no meter of their own and no size of a GB: it is 10⁹ octets here (a decision), and what the carrier
counts may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from math import sqrt
from statistics import fmean, stdev
from typing import Final

from inventory.calendar import Month, day_end_ms, tokyo_day
from inventory.timeslots import SLOT_MS, SlotSeries, bounds

RULE_VERSION: Final = "mobile-1"
GB: Final = 10**9
DAY_MS: Final = 86_400_000
PLAN_GB: Final[Mapping[str, int]] = {"10GB": 10, "30GB": 30, "50GB": 50}
PACE_DAYS: Final = 28
"""The pace is that of the newest measured days, at most so many."""
FEWEST_DAYS: Final = 5
"""With fewer measured days there is no pace."""
MEASURED_PERCENT: Final = 90
"""Share of a day that must be measured before the day tells a pace."""
BAND_Z: Final = 1.2816
"""Half the width of the 80 % band, in standard deviations."""


def allowance_gb(plan: str, packs_gb: int | None = None) -> int | None:
    """GB a month of a plan, of a group's packs for `packet-share`; None where the plan has no limit of its own."""
    return packs_gb if plan == "packet-share" else PLAN_GB.get(plan)


# --- what was used ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """Octets of some time, at least and at most; `octets_high` None: no bound is known.

    `wanted_ms` is the time in service, `covered_ms` how much of it exact readings back in both directions.
    """

    octets_low: int = 0
    octets_high: int | None = 0
    covered_ms: int = 0
    wanted_ms: int = 0

    def plus(self, other: Used) -> Used:
        """Both together: other time, or another SIM."""
        known = self.octets_high is not None and other.octets_high is not None
        high = (self.octets_high or 0) + (other.octets_high or 0)
        return Used(
            self.octets_low + other.octets_low,
            high if known else None,
            self.covered_ms + other.covered_ms,
            self.wanted_ms + other.wanted_ms,
        )

    @property
    def coverage(self) -> float:
        """Share of the time in service that was measured, 0 to 1; 1 where there was none."""
        return self.covered_ms / self.wanted_ms if self.wanted_ms else 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in all, and by Tokyo day. The days alone know less: their bounds may add up to more room."""

    total: Used
    days: Mapping[date, Used]


NOTHING: Final = Usage(Used(), {})


def measured(into: SlotSeries, out: SlotSeries, speed_bps: int | None) -> Usage:
    """Use of the window of two series (the same slots), of an interface of that port speed."""
    total = Used(0, 0, 0, len(into.known) * SLOT_MS)
    days: dict[date, Used] = {}
    limits = [bounds(series, speed_bps) for series in (into, out)]
    for one in limits:
        certain = sum(one.known)
        high = None if None in one.high else certain + sum(group.tmax for group in one.groups)
        total = total.plus(Used(certain + sum(group.tmin for group in one.groups), high))
    for i, both_ms in enumerate(map(min, into.covered_ms, out.covered_ms)):
        total = total.plus(Used(covered_ms=both_ms))
        found = Used(0, 0, both_ms, SLOT_MS)
        for one in limits:
            found = found.plus(Used(one.low[i], one.high[i]))
        day = tokyo_day(into.start_ms + i * SLOT_MS)
        days[day] = days[day].plus(found) if day in days else found
    return Usage(total, days)


def shared(slot: Usage, start_ms: int, end_ms: int) -> Usage:
    """Use of a part of a slot in which the SIM came or went: nothing of it is certain, all of it may be its own."""
    found = Used(0, slot.total.octets_high, 0, end_ms - start_ms)
    return Usage(found, {tokyo_day(start_ms): found})


def unmeasured(start_ms: int, end_ms: int) -> Usage:
    """Use of a time in service in which no interface was counted: it has no bound."""
    days: dict[date, Used] = {}
    total = Used()
    while start_ms < end_ms:
        day = tokyo_day(start_ms)
        until_ms = min(day_end_ms(day), end_ms)
        days[day] = Used(0, None, 0, until_ms - start_ms)
        total, start_ms = total.plus(days[day]), until_ms
    return Usage(total, days)


def added(parts: Iterable[Usage]) -> Usage:
    """All of them together: pieces of a month, or the members of a group."""
    total, days = Used(), dict[date, Used]()
    for part in parts:
        total = total.plus(part.total)
        for day, used in part.days.items():
            days[day] = days[day].plus(used) if day in days else used
    return Usage(total, days)


# --- when it will run out ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """Octets a day: the mean of so many measured days, and the standard deviation of one day."""

    mean: float
    deviation: float
    days: int

    def expected(self, days: float) -> float:
        """Octets of so many days to come."""
        return self.mean * days

    def band(self, days: float) -> float:
        """Half the 80 % band around that: the days' own spread and that of the mean."""
        return BAND_Z * self.deviation * sqrt(days + days * days / self.days)


def pace(days: Mapping[date, Used], before: date) -> Pace | None:
    """The pace of the newest measured days before a day; None for fewer than five of them."""
    whole = [
        used.octets_low * used.wanted_ms / used.covered_ms
        for day, used in sorted(days.items(), reverse=True)
        if day < before and used.wanted_ms >= DAY_MS and 100 * used.covered_ms >= MEASURED_PERCENT * used.wanted_ms
    ][:PACE_DAYS]
    if len(whole) < FEWEST_DAYS:
        return None
    return Pace(fmean(whole), stdev(whole), len(whole))


class RunOutState(StrEnum):
    """What is known of the day on which a month's plan runs out."""

    NO_LIMIT = "no-limit"
    ALREADY = "already"
    EXPECTED = "expected"
    POSSIBLE = "possible"
    NONE = "none"
    NOT_ENOUGH_DATA = "not-enough-data"


@dataclass(frozen=True, slots=True)
class RunOut:
    """The day on which the plan of a month runs out, between `early` and `late`; None: not in that month.

    `already`: it is certain that it has, on `day` at the latest. `expected`: at the present pace on `day`. `possible`:
    not at the present pace, but it cannot be excluded from `early` on.
    """

    state: RunOutState
    day: date | None = None
    early: date | None = None
    late: date | None = None


def runs_out(limit_gb: int | None, month: Month, usage: Usage, known: Pace | None, as_of_ms: int) -> RunOut:
    """When the plan of `month` runs out; `usage` is that of the month up to `as_of_ms`, later days follow the pace.

    A month that is over by then has no later days; one that has not begun is wholly the pace's.
    """
    if limit_gb is None:
        return RunOut(RunOutState.NO_LIMIT)
    limit = limit_gb * GB
    today = tokyo_day(as_of_ms)
    certain = _reached(limit, month, [(day, used.octets_low) for day, used in sorted(usage.days.items())])
    early = _reached(limit, month, [(day, used.octets_high) for day, used in sorted(usage.days.items())])
    if certain is None and usage.total.octets_low >= limit:
        certain = max(usage.days, default=min(today, month.last))
    if certain is not None:
        return RunOut(RunOutState.ALREADY, certain, min(early or certain, certain), certain)
    if usage.total.octets_high is not None and usage.total.octets_high < limit:
        # The whole month knows more than its days one by one.
        early = None
    if known is None:
        over = today > month.last
        state = RunOutState.NONE if over else RunOutState.NOT_ENOUGH_DATA
        return RunOut(state if early is None else RunOutState.POSSIBLE, None, early, None)
    day, late = None, None
    for one in _days_left(month, today):
        days = (day_end_ms(one) - max(as_of_ms, day_end_ms(month.first) - DAY_MS)) / DAY_MS
        carried, band = known.expected(days), known.band(days)
        if early is None and (usage.total.octets_high or 0) + carried + band >= limit:
            early = one
        if day is None and _likely(usage.total, known) + carried >= limit:
            day = one
        if usage.total.octets_low + max(0.0, carried - band) >= limit:
            late = one
            break
    if day is not None:
        return RunOut(RunOutState.EXPECTED, day, min(early or day, day), late)
    return RunOut(RunOutState.NONE if early is None else RunOutState.POSSIBLE, None, early, None)


def _reached(limit: int, month: Month, days: Sequence[tuple[date, int | None]]) -> date | None:
    """The first day of the month by whose end so much has passed; an open day may have carried anything."""
    total = 0
    for day, octets in days:
        if Month.of(day) != month:
            continue
        if octets is None:
            return day
        total += octets
        if total >= limit:
            return day
    return None


def _likely(used: Used, known: Pace) -> float:
    """What was used if the time that nobody measured went on at the pace, within the bounds."""
    likely = used.octets_low + known.mean * (used.wanted_ms - used.covered_ms) / DAY_MS
    return likely if used.octets_high is None else min(likely, used.octets_high)


def _days_left(month: Month, today: date) -> list[date]:
    first = max(month.first, today)
    return [first + timedelta(days=i) for i in range((month.last - first).days + 1)]
