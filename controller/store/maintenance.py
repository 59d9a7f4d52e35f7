"""Maintenance windows: entered and cancelled by people, read by whoever judges levels."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import insert, or_, select, update

from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.links import require_entry
from controller.store.rows import in_parts, not_found, require_version
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.counting import maintenance_windows
from controller.store.tables.inventory import entries, managements
from inventory.errors import Conflict, NotAllowed
from inventory.maintenance import Interruption, Kind, MaintenanceWindow, require_notified, require_window

_W = maintenance_windows.c


async def add(
    tx: Tx,
    scope: Scope,
    by: By,
    *,
    entry_id: int | None,
    kind: Kind,
    start_ms: int,
    end_ms: int,
    daily_min: tuple[int, int] | None,
    reason: str,
    interruption: Interruption | None = None,
) -> MaintenanceWindow:
    """Enter a window of an entry, or (None) of the whole fleet.

    `interruption`: the service itself is interrupted in it. Raises BadInput for times that make none, NotFound for the
    entry, NotAllowed for the fleet's by a contractor, RuleViolation for a notice that comes too late (SMF-20).
    """
    require_window(start_ms, end_ms, daily_min)
    if interruption is not None:
        require_notified(kind, start_ms, reason, interruption)
    if entry_id is not None:
        await require_entry(tx, scope, entry_id)
    elif scope.contractor_id is not None:
        raise NotAllowed("a window of the whole fleet is the provider's", next_step="Name an entry of yours.")
    values: dict[str, Any] = {
        "entry_id": entry_id,
        "kind": kind,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "daily_from_min": None if daily_min is None else daily_min[0],
        "daily_to_min": None if daily_min is None else daily_min[1],
        "reason": reason,
        "work": None if interruption is None else interruption.work,
        "notified": None if interruption is None or interruption.notified is None else str(interruption.notified),
        "emergency": None if interruption is None else int(interruption.emergency),
    }
    made = insert(maintenance_windows).values(**values, actor=by.actor, created_ms=by.at_ms, version=1)
    row = (await tx.execute(made.returning(maintenance_windows))).one()
    owner = await _owner(tx, entry_id)
    audit.record(tx, by, "maintenance-window.add", f"window {row.id}", contractor_id=owner, after=values)
    await events.record(tx, NewEvent("maintenance.window", by.at_ms, entry_id=entry_id, facts={"window": row.id}))
    return _window(row)


async def cancel(tx: Tx, scope: Scope, by: By, number: int, *, if_version: int | None) -> MaintenanceWindow:
    """Take a window back: its time counts again, also where it has passed. Raises NotFound, Conflict, StaleVersion."""
    found = await get(tx, scope, number)
    require_version(f"window {number}", found.version, if_version)
    if found.cancelled_ms is not None:
        raise Conflict(f"window {number} was cancelled already", next_step="Enter a new one if it is to count again.")
    if found.entry_id is None and scope.contractor_id is not None:
        raise NotAllowed("a window of the whole fleet is the provider's", next_step="Ask the provider.")
    done = update(maintenance_windows).where(_W.id == number).values(cancelled_ms=by.at_ms, version=found.version + 1)
    row = (await tx.execute(done.returning(maintenance_windows))).one()
    owner = await _owner(tx, found.entry_id)
    audit.record(
        tx, by, "maintenance-window.cancel", f"window {number}", contractor_id=owner, after={"cancelled_ms": by.at_ms}
    )
    return _window(row)


async def get(tx: Tx, scope: Scope, number: int) -> MaintenanceWindow:
    """A window by its number; those of the whole fleet are everyone's to see. Raises NotFound."""
    row = (await tx.execute(select(maintenance_windows).where(_W.id == number, _visible(scope)))).one_or_none()
    if row is None:
        raise not_found(f"maintenance window {number}")
    return _window(row)


async def page(
    tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, entry_id: int | None = None
) -> list[MaintenanceWindow]:
    """Windows by number, after one; with `entry_id`, those that hold for it."""
    query = select(maintenance_windows).where(_W.id > after, _visible(scope)).order_by(_W.id).limit(limit)
    if entry_id is not None:
        query = query.where(or_(_W.entry_id == entry_id, _W.entry_id.is_(None)))
    return [_window(row) for row in await tx.execute(query)]


async def holding(tx: Tx, entry_ids: Collection[int], start_ms: int, end_ms: int) -> dict[int, list[MaintenanceWindow]]:
    """Windows in force that may touch [start_ms, end_ms), by entry; the fleet's with each."""
    alive = (_W.cancelled_ms.is_(None), _W.start_ms < end_ms, _W.end_ms > start_ms - 3_600_000)
    fleet = [
        _window(row)
        for row in await tx.execute(select(maintenance_windows).where(*alive, _W.entry_id.is_(None)).order_by(_W.id))
    ]
    found = {one: list(fleet) for one in entry_ids}
    for some in in_parts(entry_ids):
        query = select(maintenance_windows).where(*alive, _W.entry_id.in_(some)).order_by(_W.id)
        for row in await tx.execute(query):
            found[row.entry_id].append(_window(row))
    return found


def _visible(scope: Scope) -> Any:
    if scope.contractor_id is None:
        return _W.id > 0
    mine = (
        select(entries.c.id)
        .join(managements, managements.c.id == entries.c.management_id)
        .where(managements.c.contractor_id == scope.contractor_id)
    )
    return or_(_W.entry_id.is_(None), _W.entry_id.in_(mine))


async def _owner(tx: Tx, entry_id: int | None) -> int | None:
    if entry_id is None:
        return None
    found: int | None = await tx.scalar(
        select(managements.c.contractor_id)
        .join(entries, entries.c.management_id == managements.c.id)
        .where(entries.c.id == entry_id)
    )
    return found


def _window(row: AnyRow) -> MaintenanceWindow:
    return MaintenanceWindow(
        row.id,
        row.entry_id,
        row.kind,
        row.start_ms,
        row.end_ms,
        None if row.daily_from_min is None else (row.daily_from_min, row.daily_to_min),
        row.reason,
        row.actor,
        row.created_ms,
        row.cancelled_ms,
        row.version,
        None if row.work is None else Interruption(row.work, _day(row.notified), bool(row.emergency)),
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
