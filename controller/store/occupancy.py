"""Who sits where, for many slots or adapters in one query: what lists and pages ask."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from controller.store.adapters import adapter_of
from controller.store.database import Tx
from controller.store.seats import placement_of
from controller.store.tables.inventory import adapters, entries, placements, standbys
from inventory.adapters import Adapter
from inventory.slots import Placement, SlotKind

IN_ONE_QUERY = 500
"""Numbers in one `IN`; both databases have a limit, and plans get no better with more."""


async def occupants(tx: Tx, kind: SlotKind, slot_ids: Collection[int]) -> dict[int, Adapter]:
    """Slot → adapter that sits in it now; free slots are left out. The caller has checked the scope of the slots."""
    column = placements.c.entry_id if kind == "entry" else placements.c.standby_id
    found: dict[int, Adapter] = {}
    for some in _parts(slot_ids):
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
    for some in _parts(adapter_ids):
        rows = await tx.execute(
            select(placements).where(placements.c.adapter_id.in_(some), placements.c.to_ms.is_(None))
        )
        found.update((row.adapter_id, placement_of(row)) for row in rows)
    return found


async def named(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Adapter]:
    """Adapters by number. The caller has checked the scope of what they sat in."""
    found: dict[int, Adapter] = {}
    for some in _parts(adapter_ids):
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


def _parts(numbers: Collection[int]) -> list[list[int]]:
    wanted = sorted(set(numbers))
    return [wanted[i : i + IN_ONE_QUERY] for i in range(0, len(wanted), IN_ONE_QUERY)]


async def management_id(tx: Tx, seat: Placement) -> int:
    """Number of the management that a seat's slot belongs to."""
    table = entries if seat.slot_kind == "entry" else standbys
    found = await tx.scalar(select(table.c.management_id).where(table.c.id == seat.slot_id))
    assert found is not None
    return int(found)
