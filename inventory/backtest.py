"""How good a link's forecasts would have been: rolling origins over its own weeks (metering specification §6).

Figures are judged as they stand now: a week that late data corrected is taken as corrected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median
from typing import Final

from inventory.forecast import MIN_WEEKS, UTIL_THRESHOLD, outlook

ORIGIN_WEEKS: Final = 4
HORIZONS: Final = (4, 8, 13, 26)
OWN_ORIGINS: Final = 5
"""A link with fewer origins of its own is told those of its group."""
CONTRACTORS_MIN: Final = 10
"""A group with fewer contractors is not shown (SMF-17)."""


@dataclass(frozen=True, slots=True)
class HorizonRecord:
    """Errors at one horizon, in shares of capacity, summed: ours, and those of "same as last week"."""

    weeks: int
    count: int = 0
    error: float = 0.0
    naive_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a back-test found; two are added field by field."""

    origins: int = 0
    horizons: tuple[HorizonRecord, ...] = tuple(HorizonRecord(weeks) for weeks in HORIZONS)
    warnings: int = 0
    """Forecasts that named a date, of which the series tells whether it came true."""
    came_true: int = 0
    """Of those: the busy hour truly crossed the threshold inside the interval."""
    lead_days: tuple[int, ...] = field(default=())
    """Days from each warning that came true to the crossing."""
    link_months: float = 0.0

    def mae(self, weeks: int) -> tuple[float, float] | None:
        """Mean error of ours and of the naive forecast at a horizon, in shares of capacity; None without any."""
        for one in self.horizons:
            if one.weeks == weeks and one.count:
                return one.error / one.count, one.naive_error / one.count
        return None

    @property
    def median_lead_days(self) -> float | None:
        """Median days of warning."""
        return median(self.lead_days) if self.lead_days else None

    def rounded(self) -> Record:
        """The same with the counts rounded to 5: what may be told of a group."""
        return replace(
            self,
            origins=rounded_to_5(self.origins),
            warnings=rounded_to_5(self.warnings),
            came_true=rounded_to_5(self.came_true),
        )

    @property
    def false_per_100_months(self) -> float | None:
        """Warnings that did not come true, in a hundred months of one link."""
        return 100 * (self.warnings - self.came_true) / self.link_months if self.link_months else None


def rounded_to_5(count: int) -> int:
    """A count of others' as it may be told (SMF-17, §7.7)."""
    return (count + 2) // 5 * 5


def run(first_monday: date, weekly_bps: Sequence[float | None], capacity_bps: float) -> Record:
    """Back-test one direction's weekly busy hours: an origin every four weeks, with what was known then only."""
    threshold = UTIL_THRESHOLD * capacity_bps
    found = Record(link_months=len(weekly_bps) * 7 / 30.4)
    for end in range(MIN_WEEKS, len(weekly_bps), ORIGIN_WEEKS):
        told = outlook(first_monday, weekly_bps[:end], threshold)
        if told.level_last_week_bps is None:
            continue
        slope = told.slope_bps_per_week or 0.0 if told.growth_asserted else 0.0
        last = weekly_bps[end - 1]
        horizons = []
        for one in found.horizons:
            actual = weekly_bps[end - 1 + one.weeks] if end - 1 + one.weeks < len(weekly_bps) else None
            if actual is None or last is None:
                horizons.append(one)
                continue
            error = abs(told.level_last_week_bps + slope * one.weeks - actual) / capacity_bps
            naive = abs(last - actual) / capacity_bps
            horizons.append(HorizonRecord(one.weeks, one.count + 1, one.error + error, one.naive_error + naive))
        found = Record(
            found.origins + 1,
            tuple(horizons),
            found.warnings,
            found.came_true,
            found.lead_days,
            found.link_months,
        )
        if isinstance(told.saturation, date):
            found = _warned(found, (told.early, told.late), first_monday, weekly_bps, (end, threshold))
    return found


def _warned(
    found: Record,
    interval: tuple[object, object],
    first_monday: date,
    weekly_bps: Sequence[float | None],
    at: tuple[int, float],
) -> Record:
    """Add one warning, if the series goes on long enough to tell whether it came true."""
    end, threshold = at
    early, late = interval
    origin = first_monday + timedelta(days=7 * end)
    crossed = next((j for j in range(end, len(weekly_bps)) if (weekly_bps[j] or 0.0) >= threshold), None)
    thursday = None if crossed is None else first_monday + timedelta(days=7 * crossed + 3)
    over = first_monday + timedelta(days=7 * len(weekly_bps))
    if thursday is None and not (isinstance(late, date) and late < over):
        return found  # it may still come true
    inside = (
        thursday is not None
        and isinstance(early, date)
        and thursday >= early
        and (not isinstance(late, date) or thursday <= late)
    )
    return Record(
        found.origins,
        found.horizons,
        found.warnings + 1,
        found.came_true + inside,
        (*found.lead_days, (thursday - origin).days) if inside and thursday is not None else found.lead_days,
        found.link_months,
    )


def total(records: Iterable[Record]) -> Record:
    """The sum of several links' records."""
    found = Record()
    for one in records:
        found = Record(
            found.origins + one.origins,
            tuple(
                HorizonRecord(a.weeks, a.count + b.count, a.error + b.error, a.naive_error + b.naive_error)
                for a, b in zip(found.horizons, one.horizons, strict=True)
            ),
            found.warnings + one.warnings,
            found.came_true + one.came_true,
            (*found.lead_days, *one.lead_days),
            found.link_months + one.link_months,
        )
    return found
