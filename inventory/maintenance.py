"""Windows in which levels are not judged: maintenance (SMF-20), and hours that the operator marked as bulk (§5.1).

They are left out of days and levels, never of volumes and percentiles: what passed has passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from inventory.calendar import tokyo_day
from inventory.deadlines import require_notice
from inventory.errors import BadInput, RuleViolation
from inventory.periods import moment_at
from inventory.timeslots import SLOT_MS

AFTER_MS: Final = 30 * 60_000
"""Traffic that was held back comes after the window: half an hour more is left out."""
LONGEST_MS: Final = 400 * 86_400_000
FIRST_MS: Final = 31_536_000_000
"""1971-01-01, UTC."""
YEARS_END_MS: Final = 7_258_118_400_000
"""2200-01-01, UTC."""
DAY_MINUTES: Final = 1_440
Kind = Literal["maintenance", "bulk"]
Work = Literal["planned", "fault"]
"""Why a service is interrupted (SMF-20)."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """A window in which the service itself is interrupted: when those affected were notified, and of what work."""

    work: Work
    notified: date | None
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A stretch of time [start_ms, end_ms) of one place, or (`entry_id` None) of the whole fleet.

    With `daily_min`, only these minutes of each local day inside it, such as (120, 165) for 02:00 to 02:45; a second
    number below the first goes over midnight.
    """

    id: int
    entry_id: int | None
    kind: Kind
    start_ms: int
    end_ms: int
    daily_min: tuple[int, int] | None
    reason: str
    actor: str
    created_ms: int
    cancelled_ms: int | None
    version: int
    interruption: Interruption | None = None
    """What was notified of it (SMF-20); None: the service goes on, levels are only not judged."""

    def covers(self, t_ms: int, zone: str) -> bool:
        """Whether an instant lies in it."""
        if not self.start_ms <= t_ms < self.end_ms:
            return False
        if self.daily_min is None:
            return True
        moment = moment_at(t_ms, zone)
        minute = moment.hour * 60 + moment.minute
        begin, end = self.daily_min
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


def require_window(start_ms: int, end_ms: int, daily_min: tuple[int, int] | None) -> None:
    """Raises BadInput unless the window ends after it begins, at most 400 days later, in years and at minutes that
    exist in every zone."""
    for at_ms, field in ((start_ms, "start"), (end_ms, "end")):
        if not FIRST_MS <= at_ms < YEARS_END_MS:
            raise BadInput(f"{field} lies outside 1971 to 2199", field=field, next_step="Correct the year.")
    if not 0 < end_ms - start_ms <= LONGEST_MS:
        raise BadInput(
            "a window ends after it begins, and at most 400 days later",
            field="end",
            next_step="Correct start or end; make a new window for the time after.",
        )
    if daily_min is not None and (not all(0 <= one <= DAY_MINUTES for one in daily_min) or len(set(daily_min)) == 1):
        raise BadInput(
            "the daily hours are two different times of day", field="daily", next_step="Write them as 02:00-02:45."
        )


def require_notified(kind: Kind, start_ms: int, reason: str, found: Interruption) -> None:
    """An interruption is notified with its reason and period: planned work at least 14 days before the Tokyo day on
    which it begins, a fault before it begins, an emergency at any time (SMF-20). Raises RuleViolation, BadInput."""
    if kind != "maintenance":
        raise BadInput("only maintenance interrupts the service", field="work", next_step="Leave the work out.")
    day = tokyo_day(start_ms)
    if not reason.strip():
        raise BadInput("an interruption has a reason", field="reason", rule="SMF-20", next_step="Say why.")
    if found.notified is not None and found.work == "planned":
        require_notice("planned-interruption", day, found.notified, emergency=found.emergency)
    elif not found.emergency and (found.notified is None or found.notified > day):
        raise RuleViolation(
            "an interruption is notified before it begins",
            rule="SMF-20",
            field="notified",
            next_step="Notify those affected and give the day, or record the emergency.",
        )


def left_out(windows: Iterable[MaintenanceWindow], start_ms: int, slots: int, zone: str) -> frozenset[int]:
    """Slots from `start_ms` on that touch a window or the half hour after one."""
    known = [
        one
        for one in windows
        if one.cancelled_ms is None and one.start_ms < start_ms + slots * SLOT_MS and one.end_ms + AFTER_MS > start_ms
    ]
    found: set[int] = set()
    for one in known:
        if one.daily_min is None:
            first = (one.start_ms - start_ms) // SLOT_MS
            last = -(-(one.end_ms + AFTER_MS - start_ms) // SLOT_MS)
            found |= set(range(max(0, first), min(slots, last)))
            continue
        # A minute at a time: hours of a day may begin anywhere, and days may be 23 or 25 hours long.
        after = AFTER_MS // SLOT_MS
        for index in range(-after, slots):
            begin = start_ms + index * SLOT_MS
            if any(one.covers(begin + minute * 60_000, zone) for minute in range(SLOT_MS // 60_000)):
                found |= set(range(max(0, index), min(slots, index + after + 1)))
    return frozenset(found)
