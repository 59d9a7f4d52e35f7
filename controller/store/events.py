"""What happened to the fleet.

Written in the transaction of the change, numbered when published (architecture §3a.6).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Select, bindparam, func, insert, or_, select, text, update

from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.inventory import adapters, entries, managements, standbys
from controller.store.tables.system import events

_PUBLISHER_LOCK = 0x6B616A69_02


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be recorded: its kind (`placement.promoted`), its instant, and what it is about, as far as known."""

    kind: str
    at_ms: int
    adapter_id: int | None = None
    entry_id: int | None = None
    standby_id: int | None = None
    management_id: int | None = None
    push_id: int | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    """JSON-ready; secrets never stand in it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A published event. `sequence` rises by one from event to event; subscribers resume after the last they saw."""

    sequence: int
    kind: str
    at_ms: int
    adapter_id: int | None
    entry_id: int | None
    standby_id: int | None
    management_id: int | None
    push_id: int | None
    facts: Mapping[str, object]


_THING = select(adapters.c.contractor_id).where(adapters.c.id == bindparam("of_adapter")).scalar_subquery()
_PLACE = (
    select(managements.c.contractor_id)
    .where(
        managements.c.id
        == func.coalesce(
            bindparam("of_management", type_=managements.c.id.type),
            select(entries.c.management_id).where(entries.c.id == bindparam("of_entry")).scalar_subquery(),
            select(standbys.c.management_id).where(standbys.c.id == bindparam("of_standby")).scalar_subquery(),
        )
    )
    .scalar_subquery()
)
_INSERT = direct(
    insert(events).values(
        kind=bindparam("kind"),
        at_ms=bindparam("at_ms"),
        thing_contractor_id=_THING,
        place_contractor_id=_PLACE,
        adapter_id=bindparam("adapter_id"),
        entry_id=bindparam("entry_id"),
        standby_id=bindparam("standby_id"),
        management_id=bindparam("management_id"),
        push_id=bindparam("push_id"),
        facts=bindparam("facts"),
    )
)


async def record(tx: Tx, *news: NewEvent) -> None:
    """Write events in the transaction of their change; they get their numbers when they are published."""
    await record_all(tx, news)


async def record_all(tx: Tx, news: Iterable[NewEvent]) -> None:
    """The same for a batch: one statement, whatever the number."""
    rows = [
        {
            "kind": new.kind,
            "at_ms": new.at_ms,
            "adapter_id": new.adapter_id,
            "entry_id": new.entry_id,
            "standby_id": new.standby_id,
            "management_id": new.management_id,
            "push_id": new.push_id,
            "facts": to_json(dict(new.facts)),
            "of_adapter": new.adapter_id,
            "of_entry": new.entry_id,
            "of_standby": new.standby_id,
            "of_management": new.management_id,
        }
        for new in news
    ]
    if rows:
        await tx.execute(_INSERT, rows[0] if len(rows) == 1 else rows)


async def publish(tx: Tx, *, limit: int = 500) -> list[Event]:
    """Number up to `limit` events that have no number yet, in the order they were written, and return them.

    One publisher at a time, on both databases; a second one returns nothing.
    """
    if tx.dialect.name == "postgresql" and not await tx.scalar(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _PUBLISHER_LOCK}
    ):
        return []
    waiting = (
        await tx.execute(select(events).where(events.c.sequence.is_(None)).order_by(events.c.id).limit(limit))
    ).all()
    if not waiting:
        return []
    last = await tx.scalar(select(func.coalesce(func.max(events.c.sequence), 0))) or 0
    numbered = [(row, last + position) for position, row in enumerate(waiting, start=1)]
    await tx.execute(
        update(events).where(events.c.id == bindparam("row_id")).values(sequence=bindparam("number")),
        [{"row_id": row.id, "number": number} for row, number in numbered],
    )
    return [_event(row, number) for row, number in numbered]


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    kind: str | None = None,
    adapter_id: int | None = None,
    entry_id: int | None = None,
    management_id: int | None = None,
    push_id: int | None = None,
) -> list[Event]:
    """Published events with a sequence above `after`; `kind` may be a whole kind or its first part (`placement`)."""
    about = {
        events.c.adapter_id: adapter_id,
        events.c.entry_id: entry_id,
        events.c.management_id: management_id,
        events.c.push_id: push_id,
    }
    query = _matching(scope, kind, about).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
    return [_event(row, row.sequence) for row in (await tx.execute(query)).all()]


async def latest(tx: Tx, scope: Scope, *, limit: int = 30, adapter_id: int | None = None) -> list[Event]:
    """The newest published events, the newest first: what a page shows."""
    query = _matching(scope, None, {events.c.adapter_id: adapter_id}).where(events.c.sequence.is_not(None))
    rows = await tx.execute(query.order_by(events.c.sequence.desc()).limit(limit))
    return [_event(row, row.sequence) for row in rows]


def _matching(scope: Scope, kind: str | None, about: Mapping[Column[Any], int | None]) -> Select[Any]:
    query = select(events)
    if scope.contractor_id is not None:
        query = query.where(
            or_(
                events.c.thing_contractor_id == scope.contractor_id, events.c.place_contractor_id == scope.contractor_id
            )
        )
    if kind is not None:
        query = query.where(or_(events.c.kind == kind, events.c.kind.startswith(f"{kind}.", autoescape=True)))
    for column, wanted in about.items():
        if wanted is not None:
            query = query.where(column == wanted)
    return query


def _event(row: AnyRow, sequence: int) -> Event:
    return Event(
        sequence=sequence,
        kind=row.kind,
        at_ms=row.at_ms,
        adapter_id=row.adapter_id,
        entry_id=row.entry_id,
        standby_id=row.standby_id,
        management_id=row.management_id,
        push_id=row.push_id,
        facts=json.loads(row.facts),
    )
