"""Counts of slots: dated facts, and the slots that are opened and closed when their day comes (MPC-8, SMF-5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Table, insert, select, update

from controller.store import audit, contractors, events, managements, slotunits
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import insert_new, require_version
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters, entries, placements, slot_counts, standbys
from inventory.calendar import tokyo_day
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, CountBelowOccupancy
from inventory.slots import (
    CountChange,
    Management,
    Occupant,
    SlotKind,
    parse_key,
    require_classes,
    require_count,
    require_day,
    require_occupancy,
    show_key,
    to_close,
)

_TABLES: Final[dict[SlotKind, Table]] = {"entry": entries, "standby": standbys}


async def create_management(
    tx: Tx,
    scope: Scope,
    by: By,
    *,
    contractor_id: int,
    service: Service,
    classes: Sequence[DeviceClass],
    name: str,
    entry_count: int,
    standby_count: int,
) -> Management:
    """Record a management with its slots, counted from today.

    Raises NotFound for an unknown contractor, BadInput or RuleViolation for classes and counts that the terms forbid
    (MPC-3.1, MPC-3.2, MPC-8).
    """
    await contractors.get(tx, scope, contractor_id)
    require_classes(service, classes)
    wanted: dict[SlotKind, int] = {"entry": entry_count, "standby": standby_count}
    for kind, count in wanted.items():
        require_count(service, classes, kind, count)
    number = await managements.insert_row(
        tx, by, contractor_id=contractor_id, service=service, classes=classes, name=name
    )
    for kind, count in wanted.items():
        await tx.execute(
            insert(slot_counts).values(
                management_id=number,
                kind=kind,
                slots=count,
                opening=1,
                valid_from=tokyo_day(by.at_ms).isoformat(),
                recorded_ms=by.at_ms,
                actor=by.actor,
                applied_ms=by.at_ms,
            )
        )
        await _open(tx, by, number, kind, count)
    management = await managements.get(tx, scope, number)
    facts: dict[str, object] = {"service": service, "classes": list(management.classes), "name": name}
    facts |= {"entry_count": entry_count, "standby_count": standby_count}
    await events.record(tx, NewEvent("management.create", by.at_ms, management_id=number, facts=facts))
    audit.record(tx, by, "management.create", management.key, contractor_id=contractor_id, after=facts)
    return management


async def change_counts(
    tx: Tx,
    scope: Scope,
    by: By,
    management_id: int,
    *,
    entry_count: int | None = None,
    standby_count: int | None = None,
    valid_from: date | None = None,
    if_version: int | None = None,
) -> Management:
    """Change one count or both from a day on, today if none is named; that day's slots are made or closed at once.

    Raises RuleViolation for a day in the past or a second change of that day, or a count that the terms forbid;
    CountBelowOccupancy, listing the occupants, for a count below the slots occupied now (MPC-8, SMF-5.1).
    """
    (management,) = await managements.lock(tx, scope, management_id)
    require_version(management.key, management.version, if_version)
    day = valid_from or tokyo_day(by.at_ms)
    asked: dict[SlotKind, int | None] = {"entry": entry_count, "standby": standby_count}
    wanted = {kind: count for kind, count in asked.items() if count is not None}
    if not wanted:
        raise BadInput("no count is given", field="entry_count", next_step="Give entry_count, standby_count or both.")
    for kind, count in wanted.items():
        await _change(tx, by, management, kind, count=count, valid_from=day)
    await managements.bump(tx, management)
    after = await managements.get(tx, scope, management_id)
    facts = {"valid_from": day.isoformat(), **{f"{kind}_count": count for kind, count in wanted.items()}}
    await events.record(tx, NewEvent("management.counts", by.at_ms, management_id=management.id, facts=facts))
    audit.record(
        tx,
        by,
        "management.counts",
        management.key,
        contractor_id=management.contractor_id,
        before={"entry_count": management.entry_count, "standby_count": management.standby_count},
        after=facts,
    )
    return after


async def apply_due(tx: Tx, by: By) -> list[CountChange]:
    """Make the changes whose day has come; the daemon calls it every minute. Returns those that were made.

    A decrease whose slots were occupied again meanwhile is not made: it raises one event and is tried again.
    """
    due = (
        select(slot_counts)
        .where(slot_counts.c.applied_ms.is_(None), slot_counts.c.valid_from <= tokyo_day(by.at_ms).isoformat())
        .order_by(slot_counts.c.management_id, slot_counts.c.valid_from, slot_counts.c.id)
    )
    waiting = sorted({row.management_id for row in await tx.execute(due)})
    made = []
    for management in await managements.lock(tx, Scope.everything(), *waiting):
        for row in (await tx.execute(due.where(slot_counts.c.management_id == management.id))).all():
            try:
                await _apply(tx, by, management, change_id=row.id)
            except CountBelowOccupancy as blocked:
                await _block(tx, by, row, blocked)
            else:
                made.append(_change_of(row))
        await managements.bump(tx, management)
    return made


async def changes(tx: Tx, scope: Scope, management_id: int) -> list[CountChange]:
    """Counts of a management as dated facts, those to come included. Raises NotFound."""
    await managements.get(tx, scope, management_id)
    query = select(slot_counts).where(slot_counts.c.management_id == management_id)
    return [_change_of(row) for row in await tx.execute(query.order_by(slot_counts.c.valid_from, slot_counts.c.id))]


async def _change(tx: Tx, by: By, management: Management, kind: SlotKind, *, count: int, valid_from: date) -> None:
    today = tokyo_day(by.at_ms)
    require_count(management.service, management.classes, kind, count)
    known = [
        date.fromisoformat(text)
        for text in await tx.scalars(
            select(slot_counts.c.valid_from).where(
                slot_counts.c.management_id == management.id,
                slot_counts.c.kind == kind,
                slot_counts.c.opening == 0,
            )
        )
    ]
    require_occupancy(management.service, kind, count, await occupants(tx, management.id, kind))
    require_day(management.service, today, valid_from, known)
    row = await insert_new(
        tx,
        slot_counts,
        {
            "management_id": management.id,
            "kind": kind,
            "slots": count,
            "opening": 0,
            "valid_from": valid_from.isoformat(),
            "recorded_ms": by.at_ms,
            "actor": by.actor,
        },
    )
    assert row is not None, "the management is locked, and its days were read under the lock"
    if valid_from == today:
        await _apply(tx, by, management, change_id=row)


async def _apply(tx: Tx, by: By, management: Management, *, change_id: int) -> None:
    """Open or close slots as a change says; raises CountBelowOccupancy and changes nothing if it cannot."""
    change = _change_of((await tx.execute(select(slot_counts).where(slot_counts.c.id == change_id))).one())
    kind, count, table = change.kind, change.count, _TABLES[change.kind]
    seated = await occupants(tx, management.id, kind)
    require_occupancy(management.service, kind, count, seated)
    slots = list(
        await tx.scalars(
            select(table.c.id)
            .where(table.c.management_id == management.id, table.c.closed_ms.is_(None))
            .order_by(table.c.id)
        )
    )
    occupied = frozenset(parse_key(one.slot_key)[1] for one in seated)
    closing = to_close(slots, occupied, count)
    if closing:
        await tx.execute(update(table).where(table.c.id.in_(closing)).values(closed_ms=by.at_ms))
        if kind == "standby":
            await slotunits.give_up(tx, by, closing, change.valid_from - timedelta(days=1))
    await _open(tx, by, management.id, kind, count - len(slots))
    await tx.execute(update(slot_counts).where(slot_counts.c.id == change_id).values(applied_ms=by.at_ms))


async def occupants(tx: Tx, management_id: int, kind: SlotKind) -> list[Occupant]:
    """Who sits in the management's slots of a kind, by slot number. The caller has checked its scope."""
    table = _TABLES[kind]
    slot = placements.c.entry_id if kind == "entry" else placements.c.standby_id
    rows = await tx.execute(
        select(table.c.id, adapters.c.serial_shown)
        .join(placements, slot == table.c.id)
        .join(adapters, adapters.c.id == placements.c.adapter_id)
        .where(table.c.management_id == management_id, placements.c.to_ms.is_(None))
        .order_by(table.c.id)
    )
    return [Occupant(show_key("E" if kind == "entry" else "S", row.id), row.serial_shown) for row in rows]


async def _open(tx: Tx, by: By, management_id: int, kind: SlotKind, number: int) -> None:
    if number <= 0:
        return
    row: dict[str, object] = {"management_id": management_id, "opened_ms": by.at_ms}
    if kind == "entry":
        row |= {"name": "", "site": "", "labels": "{}", "generation": 1, "version": 1}
    await tx.execute(insert(_TABLES[kind]), [row] * number)


async def _block(tx: Tx, by: By, row: AnyRow, blocked: CountBelowOccupancy) -> None:
    """Tell once that a change cannot be made; it stays due."""
    if row.blocked_ms is None:
        await tx.execute(update(slot_counts).where(slot_counts.c.id == row.id).values(blocked_ms=by.at_ms))
        facts = {"kind": row.kind, **blocked.facts}
        await events.record(
            tx, NewEvent("management.counts-blocked", by.at_ms, management_id=row.management_id, facts=facts)
        )


def _change_of(row: AnyRow) -> CountChange:
    return CountChange(
        id=row.id,
        management_id=row.management_id,
        kind=row.kind,
        count=row.slots,
        valid_from=date.fromisoformat(row.valid_from),
        recorded_ms=row.recorded_ms,
        applied_ms=row.applied_ms,
    )
