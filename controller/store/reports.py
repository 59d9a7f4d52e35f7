"""Report schedules, and runs claimed by their key: any number of nodes makes a report exactly once (§8.3)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from controller.store import audit, contractors
from controller.store import links as store_links
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import entries, managements
from controller.store.tables.metering import links
from controller.store.tables.reports import remade_link_days, report_documents, report_runs, report_schedules
from inventory.errors import BadInput, Conflict, NotFound
from inventory.periods import FREE_DAYS_AT_MOST, Period, Span, span_of
from inventory.reporting import Action, Format, Kind, Language, Schedule, Subject
from inventory.slots import show_key

PLAIN: Final = (Format.JSON, Format.CSV, Format.HTML)
"""What a report is made into unless somebody asks for more."""
OURS: Final = ("traffic-", "annex-", "fleet", "data-quality")
"""Schedule ids of reports that are made by command begin so; nobody else's may."""


@dataclass(frozen=True, slots=True)
class Manner:
    """In which words and formats a report is made."""

    language: Language = Language.ENGLISH
    formats: tuple[Format, ...] = PLAIN


@dataclass(frozen=True, slots=True)
class ActiveSchedule:
    """A schedule with what it reports on and since when."""

    schedule: Schedule
    subject: Subject
    manner: Manner
    active_from_ms: int
    active_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One report that was claimed, and how it went."""

    key: str
    schedule_id: str
    subject: Subject
    period: Period
    first_day: date
    zone: str
    state: str
    """claimed, provisional, final, failed, skipped."""
    action: str
    node: str
    claimed_ms: int
    done_ms: int | None
    sha256: str | None
    files: tuple[str, ...]
    failure: str | None
    manner: Manner
    after_day: date | None
    """The day after the last one, of a free period."""
    grade: str | None
    """Worst grade of a percentile in it; C is not settled."""
    corrects: str | None
    """Id of the first report of this period, if this is a correction."""
    correction: int
    """Number of the correction; 0: it is none."""
    data_as_of_ms: int | None

    @property
    def audience(self) -> str:
        """Whose it is: a contractor's, or the operators'."""
        found = self.subject.contractor_id
        return "operator" if found is None else show_key("K", found)

    @property
    def span(self) -> Span:
        """The days it covers."""
        if self.after_day is not None:
            return Span(self.first_day, self.after_day, self.zone)
        return span_of(self.period, self.first_day, self.zone)


async def add_schedule(
    tx: Tx, scope: Scope, by: By, schedule: Schedule, subject: Subject, manner: Manner = Manner()
) -> None:
    """Keep a schedule, active from now on.

    Raises NotFound for a subject out of scope, Conflict if its id is taken, BadInput for one that is ours to give.
    """
    subject.require(schedule.period)
    if schedule.id.startswith(OURS):
        raise BadInput(
            f"ids that begin with {', '.join(OURS)} are those of reports made by command",
            field="id",
            next_step="Use another id.",
        )
    values = {
        "id": schedule.id,
        "contractor_id": subject.contractor_id,
        "link_id": subject.link_id,
        "period": schedule.period.value,
        "at": schedule.at.strftime("%H:%M"),
        "delay_days": schedule.delay_days,
        "zone": schedule.zone,
        "active_from_ms": by.at_ms,
        "actor": by.actor,
        "kind": subject.kind.value,
        "language": manner.language.value,
        "formats": to_json(manner.formats),
    }
    await require_subject(tx, scope, subject)
    try:
        await tx.execute(insert(report_schedules).values(**values))
    except IntegrityError:
        raise Conflict(f"a schedule {schedule.id} exists", next_step="Use another id.", field="id") from None
    shown = {name: value for name, value in values.items() if name != "active_from_ms"}
    audit.record(tx, by, "report-schedule.add", schedule.id, contractor_id=subject.contractor_id, after=shown)


async def require_subject(tx: Tx, scope: Scope, subject: Subject) -> None:
    """Raises NotFound unless the contractor or link exists in the scope."""
    if subject.link_id is not None:
        await store_links.get(tx, scope, subject.link_id)
    elif subject.contractor_id is not None:
        await contractors.get(tx, scope, subject.contractor_id)


async def end_schedule(tx: Tx, scope: Scope, by: By, schedule_id: str) -> None:
    """Make no more reports by a schedule; its id stays taken. Raises NotFound."""
    found = await schedule(tx, scope, schedule_id)
    c = report_schedules.c
    await tx.execute(
        update(report_schedules).where(c.id == schedule_id, c.active_to_ms.is_(None)).values(active_to_ms=by.at_ms)
    )
    audit.record(tx, by, "report-schedule.end", schedule_id, contractor_id=found.subject.contractor_id)


async def schedules(tx: Tx) -> list[ActiveSchedule]:
    """Schedules that are active."""
    c = report_schedules.c
    rows = await tx.execute(select(report_schedules).where(c.active_to_ms.is_(None)).order_by(c.id))
    return [_schedule(row) for row in rows]


async def schedule(tx: Tx, scope: Scope, schedule_id: str) -> ActiveSchedule:
    """A schedule, also one that has ended. Raises NotFound."""
    row = (await tx.execute(select(report_schedules).where(report_schedules.c.id == schedule_id))).one_or_none()
    if row is None or (scope.contractor_id is not None and row.contractor_id != scope.contractor_id):
        raise NotFound(f"there is no schedule {schedule_id}", next_step="List the report schedules.", field="schedule")
    return _schedule(row)


def _schedule(row: Row[Any]) -> ActiveSchedule:
    return ActiveSchedule(
        Schedule(row.id, Period(row.period), time.fromisoformat(row.at), row.delay_days, row.zone),
        _subject(row),
        _manner(row),
        row.active_from_ms,
        row.active_to_ms,
    )


def _subject(row: Row[Any]) -> Subject:
    return Subject(row.contractor_id, row.link_id, None if row.kind is None else Kind(row.kind))


def _manner(row: Row[Any]) -> Manner:
    return Manner(
        Language(row.language or Language.ENGLISH),
        PLAIN if row.formats is None else tuple(Format(one) for one in json.loads(row.formats)),
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A report that somebody is to make, once."""

    key: str
    schedule_id: str
    subject: Subject
    period: Period
    span: Span
    manner: Manner
    action: str
    corrects: str | None = None
    correction: int | None = None


async def claim(tx: Tx, wanted: Claim, *, node: str, now_ms: int) -> bool:
    """Whether this node makes the report: false if the key has been claimed before, by anybody."""
    skipped = wanted.action == Action.SKIPPED
    statement = upsert(tx, report_runs).values(
        key=wanted.key,
        schedule_id=wanted.schedule_id,
        contractor_id=wanted.subject.contractor_id,
        link_id=wanted.subject.link_id,
        kind=wanted.subject.kind.value,
        period=wanted.period.value,
        first_day=wanted.span.first.isoformat(),
        after_day=wanted.span.after.isoformat() if wanted.period is Period.FREE else None,
        zone=wanted.span.zone,
        language=wanted.manner.language.value,
        formats=to_json(wanted.manner.formats),
        state="skipped" if skipped else "claimed",
        action=wanted.action,
        corrects=wanted.corrects,
        correction=wanted.correction,
        node=node,
        claimed_ms=now_ms,
        done_ms=now_ms if skipped else None,
        files="[]",
    )
    claimed = await tx.execute(statement.on_conflict_do_nothing().returning(report_runs.c.key))
    return claimed.first() is not None


async def reclaim(tx: Tx, seen: ReportRun, *, node: str, now_ms: int) -> bool:
    """Take a run over as it was seen, to make it again; false if another node was faster."""
    c = report_runs.c
    done = await tx.execute(
        update(report_runs)
        .where(c.key == seen.key, c.state == seen.state, c.claimed_ms == seen.claimed_ms, c.node == seen.node)
        .values(state="claimed", node=node, claimed_ms=now_ms, done_ms=None, failure=None, sha256=None)
    )
    return done.rowcount == 1


async def renew(tx: Tx, seen: ReportRun, *, node: str, now_ms: int) -> None:
    """A report is made again from other data: it is as of now. Nothing happens if another node took it meanwhile."""
    await tx.execute(update(report_runs).where(_as_seen(seen)).values(node=node, claimed_ms=now_ms))


def _as_seen(seen: ReportRun) -> ColumnElement[bool]:
    """The claim under which somebody began to make a report; whoever takes it over makes another one of it."""
    c = report_runs.c
    return and_(c.key == seen.key, c.node == seen.node, c.claimed_ms == seen.claimed_ms)


@dataclass(frozen=True, slots=True)
class Document:
    """What was made: the JSON and what is known of it."""

    packed: bytes
    """The JSON, see `pack`."""
    sha256: str
    final: bool
    grade: str | None
    data_as_of_ms: int | None


def pack(content: bytes) -> bytes:
    """The JSON of a report as it is kept. Takes a while: not for the event loop."""
    return zlib.compress(content)


async def finish(tx: Tx, seen: ReportRun, document: Document, *, files: Sequence[str], now_ms: int) -> bool:
    """Record that a claimed run was made, and keep its document. False, and nothing is kept, if another node has taken
    the run over: then its document counts."""
    made = await tx.execute(
        update(report_runs)
        .where(_as_seen(seen))
        .values(
            state="final" if document.final else "provisional",
            done_ms=now_ms,
            sha256=document.sha256,
            files=to_json(list(files)),
            failure=None,
            grade=document.grade,
            data_as_of_ms=document.data_as_of_ms,
        )
    )
    if made.rowcount != 1:
        return False
    values = {"sha256": document.sha256, "content": document.packed, "made_ms": now_ms}
    insert_one = upsert(tx, report_documents).values(key=seen.key, **values)
    await tx.execute(insert_one.on_conflict_do_update(index_elements=["key"], set_=values))
    return True


async def fail(tx: Tx, seen: ReportRun, failure: str, *, now_ms: int) -> None:
    """Record that a claimed run was not made, and why; of what another node has taken over or made, nothing."""
    values = {"state": "failed", "done_ms": now_ms, "failure": failure}
    await tx.execute(update(report_runs).where(_as_seen(seen), report_runs.c.state != "final").values(**values))


async def document(tx: Tx, key: str) -> bytes | None:
    """The JSON of a report that was made; None: it was not, or before documents were kept."""
    content = await tx.scalar(select(report_documents.c.content).where(report_documents.c.key == key))
    return None if content is None else zlib.decompress(content)


async def newest(tx: Tx, scope: Scope, key: str) -> ReportRun:
    """The last of a report and its corrections. Raises NotFound."""
    c = report_runs.c
    query = _visible(scope).where(or_(c.key == key, c.corrects == key)).order_by(c.correction.desc().nulls_last())
    row = (await tx.execute(query.limit(1))).one_or_none()
    if row is None:
        raise NotFound(f"there is no report {key}", next_step="List the reports.")
    return _run(row)


async def mark_remade(tx: Tx, link_id: int, days: Iterable[date], now_ms: int) -> None:
    """Figures of these days of a link were made: reports that show them are stale until they were looked at (§8.4)."""
    rows = [{"link_id": link_id, "day": day.isoformat(), "marked_ms": now_ms} for day in days]
    if rows:
        statement = upsert(tx, remade_link_days)
        keys = ["link_id", "day"]
        later = {"marked_ms": statement.excluded.marked_ms}
        await tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=later), rows)


async def remade(tx: Tx, limit: int = 50_000) -> list[tuple[int, date, int]]:
    """Marks (link, day, when), the oldest first."""
    c = remade_link_days.c
    rows = await tx.execute(select(remade_link_days).order_by(c.marked_ms, c.link_id, c.day).limit(limit))
    return [(row.link_id, date.fromisoformat(row.day), row.marked_ms) for row in rows]


async def clear_remade(tx: Tx, upto_ms: int) -> None:
    """Reports have been looked at for every mark up to an instant."""
    await tx.execute(delete(remade_link_days).where(remade_link_days.c.marked_ms <= upto_ms))


LONGEST_DAYS: Final = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31, Period.FREE: FREE_DAYS_AT_MOST}


async def showing(tx: Tx, first: date, last: date) -> list[ReportRun]:
    """Final reports, corrections left out, that may show a day of [first, last], or compare with it."""
    c = report_runs.c
    overlap = or_(
        *(
            and_(c.period == period.value, c.first_day > (first - timedelta(days=length)).isoformat())
            for period, length in LONGEST_DAYS.items()
        )
    )
    latest = (last + timedelta(days=LONGEST_DAYS[Period.MONTH])).isoformat()
    query = select(report_runs).where(c.state == "final", c.corrects.is_(None), overlap, c.first_day <= latest)
    return [_run(row) for row in await tx.execute(query.order_by(c.key))]


async def known_keys(tx: Tx, schedule_id: str) -> set[str]:
    """Keys of a schedule that were claimed, whatever became of them."""
    c = report_runs.c
    return set((await tx.execute(select(c.key).where(c.schedule_id == schedule_id))).scalars())


async def unsettled(tx: Tx) -> list[ReportRun]:
    """Runs to look at again: provisional ones, and failed or abandoned ones."""
    c = report_runs.c
    states = ("provisional", "failed", "claimed")
    return [_run(row) for row in await tx.execute(select(report_runs).where(c.state.in_(states)).order_by(c.key))]


async def runs(tx: Tx, scope: Scope, *, after: str = "", limit: int = 100) -> list[ReportRun]:
    """Runs by key, after one."""
    c = report_runs.c
    query = _visible(scope).where(c.key > after).order_by(c.key).limit(limit)
    return [_run(row) for row in await tx.execute(query)]


async def run(tx: Tx, scope: Scope, key: str) -> ReportRun:
    """A run by its key. Raises NotFound."""
    row = (await tx.execute(_visible(scope).where(report_runs.c.key == key))).one_or_none()
    if row is None:
        raise NotFound(f"there is no report {key}", next_step="List the reports.")
    return _run(row)


def _visible(scope: Scope) -> Select[Any]:
    c = report_runs.c
    query = select(report_runs)
    if scope.contractor_id is not None:
        theirs = (
            select(links.c.id)
            .join(entries, entries.c.id == links.c.entry_id)
            .join(managements, managements.c.id == entries.c.management_id)
            .where(managements.c.contractor_id == scope.contractor_id)
        )
        query = query.where(or_(c.contractor_id == scope.contractor_id, c.link_id.in_(theirs)))
    return query


def _run(row: Row[Any]) -> ReportRun:
    return ReportRun(
        row.key,
        row.schedule_id,
        _subject(row),
        Period(row.period),
        date.fromisoformat(row.first_day),
        row.zone,
        row.state,
        row.action,
        row.node,
        row.claimed_ms,
        row.done_ms,
        row.sha256,
        tuple(json.loads(row.files)),
        row.failure,
        _manner(row),
        None if row.after_day is None else date.fromisoformat(row.after_day),
        row.grade,
        row.corrects,
        row.correction or 0,
        row.data_as_of_ms,
    )
