"""Who sits where, for many slots or adapters in one query: what lists and pages ask."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from controller.store.adapters import adapter_of
from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.seats import placement_of
from controller.store.tables.inventory import adapters, entries, placements, standbys
from inventory.adapters import Adapter
from inventory.slots import Placement, SlotKind


async def occupants(tx: Tx, kind: SlotKind, slot_ids: Collection[int]) -> dict[int, Adapter]:
    """Slot → adapter that sits in it now; free slots are left out. The caller has checked the scope of the slots."""
    column = placements.c.entry_id if kind == "entry" else placements.c.standby_id
    found: dict[int, Adapter] = {}
    for some in in_parts(slot_ids):
        rows = await tx.execute(
            select(column.label("slot_id"), adapters)
            .join(adapters, adapters.c.id == placements.c.adapter_id)
            .where(column.in_(some), placements.c.to_ms.is_(None))
        )
        found.update((row.slot_id, adapter_of(row)) for row in rows)
    return found


async def seats(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Placement]:
    """Adapter → where it sits now; unseated ones are left out. The caller has checked the scope of the adapters."""
    found: dict[int, Placement] = {}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(
            select(placements).where(placements.c.adapter_id.in_(some), placements.c.to_ms.is_(None))
        )
        found.update((row.adapter_id, placement_of(row)) for row in rows)
    return found


async def named(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Adapter]:
    """Adapters by number. The caller has checked the scope of what they sat in."""
    found: dict[int, Adapter] = {}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(select(adapters).where(adapters.c.id.in_(some)))
        found.update((row.id, adapter_of(row)) for row in rows)
    return found


async def latest_occupant(tx: Tx, entry_id: int, *, until_ms: int | None = None) -> Adapter | None:
    """Who sits in an entry, or sat there last, now or at an instant; None if nobody ever did.

    The caller has checked the entry's scope.
    """
    query = (
        select(adapters)
        .join(placements, placements.c.adapter_id == adapters.c.id)
        .where(placements.c.entry_id == entry_id)
    )
    if until_ms is not None:
        query = query.where(placements.c.from_ms <= until_ms)
    row = (await tx.execute(query.order_by(placements.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else adapter_of(row)


async def management_ids(tx: Tx, seated: Collection[Placement]) -> dict[int, int]:
    """Placement → management that its slot belongs to."""
    found: dict[int, int] = {}
    for kind, table in (("entry", entries), ("standby", standbys)):
        slots = {one.slot_id: one.id for one in seated if one.slot_kind == kind}
        for some in in_parts(slots):
            rows = await tx.execute(select(table.c.id, table.c.management_id).where(table.c.id.in_(some)))
            found.update((slots[row.id], row.management_id) for row in rows)
    return found
