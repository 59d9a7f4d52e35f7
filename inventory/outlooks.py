"""Weekly medians of busy hours, out of a link's days, and where they lead (§6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def busy_packets(days: Iterable[LinkDay]) -> list[float]:
    """Packets per second of the device in the busiest hours of the valid days on which they were compared."""
    return [
        day.figures.packet_util * day.capacity.used_pps
        for day in days
        if day.figures.valid and day.figures.packet_util is not None and day.capacity and day.capacity.used_pps
    ]


def weekly(
    days: Sequence[LinkDay], first: date, until: date, rates: Callable[[Iterable[LinkDay]], list[float]] = busy_rates
) -> tuple[date, list[float | None]]:
    """The first Monday from `first` on, and the median of each whole week's valid busy hours; None: fewer than four.

    The week that holds `until` is left out unless it has just begun.
    """
    monday = first + timedelta(days=-first.weekday() % 7)
    weeks: list[float | None] = []
    while monday + timedelta(days=7 * (len(weeks) + 1)) <= until:
        begin = monday + timedelta(days=7 * len(weeks))
        end = begin + timedelta(days=7)
        busy = rates(day for day in days if begin <= day.day < end)
        weeks.append(median(busy) if len(busy) >= WEEK_VALID_DAYS else None)
    return monday, weeks


def outlook_of(days: Sequence[LinkDay], first: date, until: date, capacity: Governing) -> Outlook:
    """The outlook of one direction from the days [first, until) of its present capacity."""
    monday, weeks = weekly(days, first, until)
    return outlook(monday, weeks, THRESHOLD * capacity.used_bps)


def packet_outlook(days: Sequence[LinkDay], first: date, until: date, capacity: Governing) -> Outlook:
    """The same of the device's packets per second against its figure; all rates of it are packets per second."""
    monday, weeks = weekly(days, first, until, busy_packets)
    return outlook(monday, weeks, THRESHOLD * (capacity.used_pps or 0))
