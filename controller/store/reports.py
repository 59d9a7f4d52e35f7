"""Report schedules, and runs claimed by their key: any number of nodes makes a report exactly once (§8.3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from sqlalchemy import Row, Select, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from controller.store import audit, contractors
from controller.store import links as store_links
from controller.store.database import Tx
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import entries, managements
from controller.store.tables.metering import links
from controller.store.tables.reports import report_runs, report_schedules
from controller.store.traffic import upsert
from inventory.errors import Conflict, NotFound
from inventory.periods import Period
from inventory.reporting import Schedule


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: all links of a contractor, or one link. Exactly one is set."""

    contractor_id: int | None = None
    link_id: int | None = None


@dataclass(frozen=True, slots=True)
class ActiveSchedule:
    """A schedule with what it reports on and since when."""

    schedule: Schedule
    subject: Subject
    active_from_ms: int


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


async def add_schedule(tx: Tx, scope: Scope, by: By, schedule: Schedule, subject: Subject) -> None:
    """Keep a schedule, active from now on. Raises NotFound for a subject out of scope, Conflict if its id is taken."""
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


async def schedules(tx: Tx) -> list[ActiveSchedule]:
    """Schedules that are active."""
    c = report_schedules.c
    rows = await tx.execute(select(report_schedules).where(c.active_to_ms.is_(None)).order_by(c.id))
    return [
        ActiveSchedule(
            Schedule(row.id, Period(row.period), time.fromisoformat(row.at), row.delay_days, row.zone),
            Subject(row.contractor_id, row.link_id),
            row.active_from_ms,
        )
        for row in rows
    ]


async def claim(
    tx: Tx,
    *,
    key: str,
    schedule_id: str,
    subject: Subject,
    period: Period,
    first_day: date,
    zone: str,
    action: str,
    node: str,
    now_ms: int,
) -> bool:
    """Whether this node makes the report: false if the key has been claimed before, by anybody."""
    statement = upsert(tx, report_runs).values(
        key=key,
        schedule_id=schedule_id,
        contractor_id=subject.contractor_id,
        link_id=subject.link_id,
        period=period.value,
        first_day=first_day.isoformat(),
        zone=zone,
        state="skipped" if action == "skipped" else "claimed",
        action=action,
        node=node,
        claimed_ms=now_ms,
        done_ms=now_ms if action == "skipped" else None,
        files="[]",
    )
    claimed = await tx.execute(statement.on_conflict_do_nothing().returning(report_runs.c.key))
    return claimed.first() is not None


async def reclaim(tx: Tx, key: str, *, node: str, now_ms: int, states: Sequence[str]) -> bool:
    """Take a run over that is in one of `states`, to make it again; whether it was."""
    c = report_runs.c
    done = await tx.execute(
        update(report_runs)
        .where(c.key == key, c.state.in_(states))
        .values(state="claimed", node=node, claimed_ms=now_ms, done_ms=None, failure=None, sha256=None)
    )
    return done.rowcount == 1


async def renew(tx: Tx, key: str, *, node: str, now_ms: int) -> None:
    """A report is made again from other data: it is as of now."""
    await tx.execute(update(report_runs).where(report_runs.c.key == key).values(node=node, claimed_ms=now_ms))


async def finish(
    tx: Tx,
    key: str,
    *,
    state: str,
    now_ms: int,
    sha256: str | None = None,
    files: Sequence[str] = (),
    failure: str | None = None,
) -> None:
    """Record how a claimed run ended."""
    await tx.execute(
        update(report_runs)
        .where(report_runs.c.key == key)
        .values(state=state, done_ms=now_ms, sha256=sha256, files=to_json(list(files)), failure=failure)
    )


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
        Subject(row.contractor_id, row.link_id),
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
    )
