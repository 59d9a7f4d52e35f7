"""When a report is due. A report belongs to a period, and a period ends once (§8.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


class Kind(StrEnum):
    """What a report shows (§8.1)."""

    LINK = "link"
    CONTRACTOR = "contractor"
    ANNEX = "invoice-annex"
    FLEET = "fleet"
    QUALITY = "data-quality"


class Language(StrEnum):
    """Language of the words in HTML, PDF, CSV and mail; the JSON has none."""

    ENGLISH = "en"
    JAPANESE = "ja"


class Format(StrEnum):
    """What a report is made into. The JSON is the source of the others."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    PDF = "pdf"


PERIODS: Mapping[Kind, frozenset[Period]] = {
    Kind.LINK: frozenset(Period),
    Kind.CONTRACTOR: frozenset({Period.DAY, Period.WEEK, Period.MONTH}),
    Kind.ANNEX: frozenset({Period.MONTH}),
    Kind.FLEET: frozenset({Period.DAY, Period.WEEK, Period.MONTH}),
    Kind.QUALITY: frozenset({Period.DAY}),
}
"""Periods of each kind (§8.1)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: a contractor, one link, or (neither) the fleet."""

    contractor_id: int | None = None
    link_id: int | None = None
    wanted: Kind | None = None
    """None: the plain kind of the subject."""

    @property
    def kind(self) -> Kind:
        """The kind of report."""
        if self.wanted is not None:
            return self.wanted
        return Kind.LINK if self.link_id is not None else Kind.CONTRACTOR

    def require(self, period: Period) -> None:
        """Raises BadInput unless kind, subject and period go together."""
        needed = {Kind.LINK: (False, True), Kind.CONTRACTOR: (True, False), Kind.ANNEX: (True, False)}
        if (self.contractor_id is not None, self.link_id is not None) != needed.get(self.kind, (False, False)):
            about = {Kind.LINK: "a link", Kind.CONTRACTOR: "a contractor", Kind.ANNEX: "a contractor"}
            raise BadInput(
                f"a report of the kind {self.kind} is about {about.get(self.kind, 'the fleet')} and nothing else",
                field="contractor",
                next_step="Give what the kind needs, and only that.",
            )
        if period not in PERIODS[self.kind]:
            possible = ", ".join(one for one in Period if one in PERIODS[self.kind])
            raise BadInput(
                f"there is no {self.kind} report by {period}", field="period", next_step=f"Choose one of {possible}."
            )

    @property
    def by_hand(self) -> str:
        """Schedule id of the reports that are made by command."""
        if self.link_id is not None:
            return f"traffic-link-{self.link_id}"
        if self.contractor_id is None:
            return self.kind.value
        return f"{'annex' if self.kind is Kind.ANNEX else 'traffic'}-K-{self.contractor_id}"


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
        if self.period is Period.FREE:
            raise BadInput("a free period has no next one", field="period", next_step="Use day, week or month.")
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
    """The key that makes a report once, on any number of nodes: `<schedule>/<period>/<first day>`.

    A free period has its last day too, after an underscore.
    """
    last = f"_{span.days[-1].isoformat()}" if period is Period.FREE else ""
    return f"{schedule_id}/{period}/{span.first.isoformat()}{last}"


def correction_key(key: str, number: int) -> str:
    """Id of correction `number` of the report `key`."""
    return f"{key}/correction-{number}"


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
