"""Entries and standbys as rows; who sits in them is in `slots`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Select, Table, select, update

from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import not_found, require_version
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import entries, managements, placements, standbys
from inventory.errors import BadInput
from inventory.slots import Entry, Standby, show_key

TEXT_AT_MOST = 200
LABELS_AT_MOST = 50


async def get(tx: Tx, scope: Scope, entry_id: int) -> Entry:
    """The entry, also when it is closed. Raises NotFound."""
    return entry_of(await _seen(tx, scope, entries, entry_id, f"entry {show_key('E', entry_id)}"))


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    management_id: int | None = None,
    occupied: bool | None = None,
    text: str | None = None,
) -> list[Entry]:
    """Open entries with a number above `after`, in its order; `text` stands in name or site, whatever the case."""
    query = _open(entries, placements.c.entry_id, scope, after=after, management_id=management_id, occupied=occupied)
    if text:
        query = query.where(
            entries.c.name.icontains(text, autoescape=True) | entries.c.site.icontains(text, autoescape=True)
        )
    return [entry_of(row) for row in await tx.execute(query.limit(limit))]


async def describe(
    tx: Tx,
    scope: Scope,
    by: By,
    entry_id: int,
    *,
    name: str | None = None,
    site: str | None = None,
    labels: Mapping[str, str] | None = None,
    if_version: int | None = None,
) -> Entry:
    """Change what people call the place; None leaves a field as it is.

    Raises BadInput for texts over 200 characters or more than 50 labels, StaleVersion.
    """
    before = await get(tx, scope, entry_id)
    await tx.execute(select(managements.c.id).where(managements.c.id == before.management_id).with_for_update())
    before = await get(tx, scope, entry_id)
    require_version(before.key, before.version, if_version)
    given = {"name": name, "site": site, "labels": dict(labels) if labels is not None else None}
    changed = {field: value for field, value in given.items() if value is not None}
    for text in (name or "", site or "", *(labels or {}), *(labels or {}).values()):
        if len(text) > TEXT_AT_MOST:
            raise BadInput(f"a text has at most {TEXT_AT_MOST} characters", field="name", next_step="Shorten it.")
    if labels is not None and len(labels) > LABELS_AT_MOST:
        raise BadInput(f"an entry has at most {LABELS_AT_MOST} labels", field="labels", next_step="Drop some.")
    values = {**changed, **({"labels": json.dumps(dict(labels))} if labels is not None else {})}
    await tx.execute(update(entries).where(entries.c.id == entry_id).values(**values, version=before.version + 1))
    await events.record(tx, NewEvent("entry.describe", by.at_ms, entry_id=entry_id, facts=changed))
    audit.record(
        tx,
        by,
        "entry.describe",
        before.key,
        contractor_id=await owner(tx, before.management_id),
        before={"name": before.name, "site": before.site, "labels": dict(before.labels)},
        after=changed,
    )
    return await get(tx, scope, entry_id)


async def get_standby(tx: Tx, scope: Scope, standby_id: int) -> Standby:
    """The standby, also when it is closed. Raises NotFound."""
    return _standby(await _seen(tx, scope, standbys, standby_id, f"standby {show_key('S', standby_id)}"))


async def page_standbys(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    management_id: int | None = None,
    occupied: bool | None = None,
) -> list[Standby]:
    """Open standbys with a number above `after`, in its order."""
    query = _open(standbys, placements.c.standby_id, scope, after=after, management_id=management_id, occupied=occupied)
    return [_standby(row) for row in await tx.execute(query.limit(limit))]


async def _seen(tx: Tx, scope: Scope, places: Table, number: int, called: str) -> AnyRow:
    """The row of an entry or a standby with its contractor, also when it is closed. Raises NotFound."""
    query = select(places, managements.c.contractor_id).join(managements).where(places.c.id == number)
    row = (await tx.execute(query)).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(called)
    return row


def _open(
    places: Table,
    seated: Column[Any],
    scope: Scope,
    *,
    after: int,
    management_id: int | None,
    occupied: bool | None,
) -> Select[Any]:
    """Open entries or standbys with a number above `after`; `seated` is what placements name them by."""
    c = places.c
    query = select(places).join(managements).where(c.id > after, c.closed_ms.is_(None)).order_by(c.id)
    if scope.contractor_id is not None:
        query = query.where(managements.c.contractor_id == scope.contractor_id)
    if management_id is not None:
        query = query.where(c.management_id == management_id)
    if occupied is not None:
        seat = select(placements.c.id).where(seated == c.id, placements.c.to_ms.is_(None))
        query = query.where(seat.exists() if occupied else ~seat.exists())
    return query


async def owner(tx: Tx, management_id: int) -> int | None:
    """Contractor of a management, for the audit."""
    return await tx.scalar(select(managements.c.contractor_id).where(managements.c.id == management_id))


def entry_of(row: AnyRow) -> Entry:
    """The entry of a row of its table."""
    return Entry(
        id=row.id,
        management_id=row.management_id,
        name=row.name,
        site=row.site,
        generation=row.generation,
        version=row.version,
        opened_ms=row.opened_ms,
        closed_ms=row.closed_ms,
        labels=json.loads(row.labels),
    )


def _standby(row: AnyRow) -> Standby:
    return Standby(row.id, row.management_id, row.opened_ms, row.closed_ms)
