"""The date on which a link's busy hour reaches 85 % of its capacity (§6). Weekly, robust, deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from statistics import median

WEEKS = 26
MIN_WEEKS = 8
MIN_SIDE = 4
HORIZON_DAYS = 365
ASSERTED_Z = 1.2816
"""One-sided 10 %: growth is asserted only from this Mann–Kendall Z on."""
INTERVAL_Z = 1.54
"""1.2 × 1.2816: 80 %, widened for weeks that depend on each other."""
MAD_TO_SIGMA = 1.4826
MEDIAN_TO_MEAN = 1.2533
UTIL_THRESHOLD = 0.85


class NoDate(StrEnum):
    """Why there is no date."""

    NONE = "none"
    ALREADY = "already"
    NOT_ENOUGH_DATA = "not-enough-data"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Trend of one direction's weekly busy hours, in bit/s, and the date of saturation.

    `early` and `late` are the 80 % interval, None where there is no date; `late` may be NoDate.NONE.
    `used_from` is the index of the first week used, None where there were too few from the start.
    """

    saturation: date | NoDate
    used_from: int | None = None
    slope_bps_per_week: float | None = None
    level_last_week_bps: float | None = None
    mann_kendall_z: float | None = None
    early: date | NoDate | None = None
    late: date | NoDate | None = None

    @property
    def growth_asserted(self) -> bool:
        return (
            self.slope_bps_per_week is not None
            and self.slope_bps_per_week > 0
            and self.mann_kendall_z is not None
            and self.mann_kendall_z >= ASSERTED_Z
        )


Week = tuple[int, float]


def outlook(
    first_monday: date,
    weekly_bps: Sequence[float | None],
    threshold_bps: float,
    *,
    search_shift: bool = True,
) -> Outlook:
    """Trend and saturation date of a series of weekly busy-hour medians, None where a week is missing.

    `threshold_bps` is 85 % of the capacity. With `search_shift`, only the weeks after a level shift count.
    """
    weeks = [(j, float(y)) for j, y in enumerate(weekly_bps) if y is not None and j >= len(weekly_bps) - WEEKS]
    if len(weeks) < MIN_WEEKS:
        return Outlook(NoDate.NOT_ENOUGH_DATA)
    if search_shift:
        begin = _shift(weeks, threshold_bps / UTIL_THRESHOLD)
        weeks = weeks[begin:]
        if len(weeks) < MIN_WEEKS:
            return Outlook(NoDate.NOT_ENOUGH_DATA, weeks[0][0])
    return _trend(first_monday, weeks, len(weekly_bps) - 1, threshold_bps)


def _trend(first_monday: date, weeks: Sequence[Week], last: int, threshold_bps: float) -> Outlook:
    slopes = _pair_slopes(weeks)
    s = median(slopes)
    c = median(y - s * j for j, y in weeks)
    z, variance = _mann_kendall([y for _, y in weeks])
    found = Outlook(NoDate.NONE, weeks[0][0], s, c + s * last, z)
    if c + s * last >= threshold_bps:
        return _with(found, NoDate.ALREADY)
    if not found.growth_asserted:
        return found
    horizon = first_monday + timedelta(days=7 * last + 6 + HORIZON_DAYS)
    saturation = _date_at(first_monday, (threshold_bps - c) / s, horizon)
    if saturation is NoDate.NONE:
        return found
    early, late = _interval(weeks, threshold_bps, _Line(s, c, sorted(slopes), variance))
    next_monday = first_monday + timedelta(days=7 * (last + 1))
    first = _date_at(first_monday, early, horizon)
    return _with(
        found,
        saturation,
        first if isinstance(first, NoDate) else max(first, next_monday),
        NoDate.NONE if late is None else _date_at(first_monday, late, horizon),
    )


def _with(
    found: Outlook,
    saturation: date | NoDate,
    early: date | NoDate | None = None,
    late: date | NoDate | None = None,
) -> Outlook:
    return Outlook(
        saturation,
        found.used_from,
        found.slope_bps_per_week,
        found.level_last_week_bps,
        found.mann_kendall_z,
        early,
        late,
    )


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    intercept: float
    pair_slopes: Sequence[float]
    """Sorted."""
    variance: float
    """Of Mann and Kendall's S."""


def _interval(weeks: Sequence[Week], threshold_bps: float, line: _Line) -> tuple[float, float | None]:
    """Weeks, counted from 0, of the early and the late end (§6, step 6); None: the slow end never crosses."""
    n = len(line.pair_slopes)
    i = max(0, math.floor((n - INTERVAL_Z * math.sqrt(line.variance)) / 2))
    slowest, fastest = line.pair_slopes[i], line.pair_slopes[-1 - i]
    middle = sum(j for j, _ in weeks) / len(weeks)
    missing = threshold_bps - (line.intercept + line.slope * middle)
    spread = median(abs(y - line.intercept - line.slope * j) for j, y in weeks)
    e = INTERVAL_Z * MEDIAN_TO_MEAN * MAD_TO_SIGMA * spread / math.sqrt(len(weeks))
    early = middle + (missing - e) / fastest
    return early, None if slowest <= 0 else middle + (missing + e) / slowest


def _date_at(first_monday: date, week: float, horizon: date) -> date | NoDate:
    """Week j stands for its Thursday; NoDate.NONE beyond the horizon."""
    days = 7 * week + 3 - 1e-9
    if days > (horizon - first_monday).days:
        return NoDate.NONE
    return first_monday + timedelta(days=math.ceil(days))


def _pair_slopes(weeks: Sequence[Week]) -> list[float]:
    return [(yb - ya) / (b - a) for n, (a, ya) in enumerate(weeks) for b, yb in weeks[n + 1 :]]


def _mann_kendall(values: Sequence[float]) -> tuple[float, float]:
    """Z and the variance of S."""
    n = len(values)
    s = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    ties = [values.count(value) for value in set(values)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if s == 0:
        return 0.0, variance
    return (s - math.copysign(1, s)) / math.sqrt(variance), variance


def _shift(weeks: Sequence[Week], capacity_bps: float) -> int:
    """Position of the first week after a level shift; 0 if there is none (§6, step 3)."""
    s = median(_pair_slopes(weeks))
    c = median(y - s * j for j, y in weeks)
    single = sum(abs(y - c - s * j) for j, y in weeks)
    best: tuple[float, int, float, float] | None = None
    for split in range(MIN_SIDE, len(weeks) - MIN_SIDE + 1):
        cost, step, scatter = _split(weeks[:split], weeks[split:])
        if best is None or cost < best[0]:
            best = (cost, split, step, scatter)
    if best is None:
        return 0
    cost, split, step, scatter = best
    found = cost < single and step > 4 * MAD_TO_SIGMA * scatter and step > 0.10 * capacity_bps
    return split if found else 0


def _split(left: Sequence[Week], right: Sequence[Week]) -> tuple[float, float, float]:
    """Σ|r|, size of the step, median |r| of one slope with an intercept for each side."""
    s = median(_pair_slopes(left) + _pair_slopes(right))
    before = median(y - s * j for j, y in left)
    after = median(y - s * j for j, y in right)
    rest = [abs(y - before - s * j) for j, y in left] + [abs(y - after - s * j) for j, y in right]
    return sum(rest), abs(after - before), median(rest)
