"""Weekly medians of busy hours, out of a link's days, and where they lead (§6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from statistics import median

from inventory.forecast import Outlook, outlook
from inventory.linkdays import LinkDay
from inventory.links import Governing

FORECAST_WEEKS = 26
WEEK_VALID_DAYS = 4
THRESHOLD = 0.85


def busy_rates(days: Iterable[LinkDay]) -> list[float]:
    """Busy-hour means of the valid days, in bit/s."""
    return [
        day.figures.busy_util * day.capacity.used_bps
        for day in days
        if day.figures.valid and day.figures.busy_util is not None and day.capacity is not None
    ]


def weekly(days: Sequence[LinkDay], first: date, until: date) -> tuple[date, list[float | None]]:
    """The first Monday from `first` on, and the median of each whole week's valid busy hours; None: fewer than four.

    The week that holds `until` is left out unless it has just begun.
    """
    monday = first + timedelta(days=-first.weekday() % 7)
    weeks: list[float | None] = []
    while monday + timedelta(days=7 * (len(weeks) + 1)) <= until:
        begin = monday + timedelta(days=7 * len(weeks))
        end = begin + timedelta(days=7)
        busy = busy_rates(day for day in days if begin <= day.day < end)
        weeks.append(median(busy) if len(busy) >= WEEK_VALID_DAYS else None)
    return monday, weeks


def outlook_of(days: Sequence[LinkDay], first: date, until: date, capacity: Governing) -> Outlook:
    """The outlook of one direction from the days [first, until) of its present capacity."""
    monday, weeks = weekly(days, first, until)
    return outlook(monday, weeks, THRESHOLD * capacity.used_bps)
