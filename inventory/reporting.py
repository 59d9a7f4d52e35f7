"""When a report is due. A report belongs to a period, and a period ends once (§8.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

from inventory.errors import BadInput
from inventory.periods import TOKYO, Period, Span, day_of, local_ms, span_of

HOUR_MS = 3_600_000
COLLECT_AFTER_MS = 48 * HOUR_MS
SKIP_AFTER_MS = 35 * 24 * HOUR_MS
EARLIEST = time(0, 30)
"""With no delay a report waits until the period's last slot is final: 15 minutes after its end, and a margin."""


class Action(StrEnum):
    """What to do with a report that is due."""

    MAKE = "make"
    MAKE_COLLECTED = "make-collected"
    """Late: its mail goes into one message with the others that are late."""
    SKIPPED = "skipped"
    """So late that it is recorded and shown, not made."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the reports of one kind are made: after each period, at a local time."""

    id: str
    period: Period
    at: time = time(6, 0)
    delay_days: int = 0
    zone: str = TOKYO

    def __post_init__(self) -> None:
        if not 0 <= self.delay_days <= 27:
            raise BadInput(f"delay_days is {self.delay_days}", next_step="Use 0 to 27 days.", field="delay_days")
        if "/" in self.id or not self.id:
            raise BadInput(f"“{self.id}” cannot be a schedule's id", next_step="Use an id without “/”.", field="id")


@dataclass(frozen=True, slots=True)
class Run:
    """One report that is due: its key, its own period, its due time."""

    key: str
    span: Span
    run_at_ms: int
    action: Action


def report_key(schedule_id: str, period: Period, span: Span) -> str:
    """The key that makes a report once, on any number of nodes: `<schedule>/<period>/<first day>`."""
    return f"{schedule_id}/{period}/{span.first.isoformat()}"


def due_at_ms(schedule: Schedule, span: Span) -> int:
    """Instant at which the report of a period is due."""
    at = max(schedule.at, EARLIEST) if schedule.delay_days == 0 else schedule.at
    return local_ms(span.after + timedelta(days=schedule.delay_days), at, schedule.zone)


def runs_due(schedule: Schedule, since_ms: int, now_ms: int, done: Collection[str] = ()) -> list[Run]:
    """Reports due after `since_ms` (the schedule's activation) up to now and not done, in order (catch-up)."""
    runs = []
    for span in _spans(schedule, since_ms):
        run_at_ms = due_at_ms(schedule, span)
        if run_at_ms > now_ms:
            break
        key = report_key(schedule.id, schedule.period, span)
        if run_at_ms > since_ms and key not in done:
            runs.append(Run(key, span, run_at_ms, _action(now_ms - run_at_ms)))
    return runs


def _spans(schedule: Schedule, since_ms: int) -> Iterator[Span]:
    """Periods of the schedule from one that is surely due before `since_ms`, without end."""
    first = day_of(since_ms, schedule.zone) - timedelta(days=schedule.delay_days + 33)
    span = span_of(schedule.period, first, schedule.zone)
    while True:
        yield span
        span = span_of(schedule.period, span.after, schedule.zone)


def _action(late_ms: int) -> Action:
    if late_ms > SKIP_AFTER_MS:
        return Action.SKIPPED
    return Action.MAKE_COLLECTED if late_ms > COLLECT_AFTER_MS else Action.MAKE
