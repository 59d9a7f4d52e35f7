"""The onboarding checklist of each adapter; control starts when it is complete (MPC-7.1, MPC-7.2, SMF-8.1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from controller.store import adapters, audit
from controller.store.database import Tx
from controller.store.rows import adapter_row, in_parts
from controller.store.scope import By, Scope
from controller.store.tables.inventory import checklist_items
from inventory import onboarding
from inventory.adapters import Adapter, Life, LifeEvent
from inventory.onboarding import ChecklistItem


@dataclass(frozen=True, slots=True)
class Tick:
    """One item that was provided: when, who says so, and a note."""

    item: ChecklistItem
    at_ms: int
    actor: str
    note: str


async def ticks(tx: Tx, scope: Scope, adapter_id: int) -> list[Tick]:
    """Items provided so far, in the order they came. Raises NotFound."""
    await adapter_row(tx, scope, adapter_id)
    rows = await tx.execute(
        select(checklist_items)
        .where(checklist_items.c.adapter_id == adapter_id)
        .order_by(checklist_items.c.at_ms, checklist_items.c.item)
    )
    return [Tick(row.item, row.at_ms, row.actor, row.note) for row in rows]


async def provided(tx: Tx, adapter_ids: Collection[int]) -> dict[int, set[ChecklistItem]]:
    """Adapter → items provided so far. The caller has checked the scope of the adapters."""
    found: dict[int, set[ChecklistItem]] = {number: set() for number in adapter_ids}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(
            select(checklist_items.c.adapter_id, checklist_items.c.item).where(checklist_items.c.adapter_id.in_(some))
        )
        for row in rows:
            found[row.adapter_id].add(row.item)
    return found


async def missing(tx: Tx, scope: Scope, adapter_id: int) -> tuple[ChecklistItem, ...]:
    """Items still missing, in the order of the terms. Raises NotFound."""
    adapter = await adapter_row(tx, scope, adapter_id)
    return onboarding.missing(adapter.device_class, [one.item for one in await ticks(tx, scope, adapter_id)])


async def tick(tx: Tx, scope: Scope, by: By, adapter_id: int, item: str, *, note: str = "") -> Adapter:
    """Record that an item is there; the last one makes a delivered adapter installed.

    Ticking twice changes nothing. Raises BadInput for an item that this adapter's checklist does not have, NotFound.
    """
    (adapter,) = await adapters.lock(tx, scope, adapter_id)
    known = onboarding.parse_item(item, adapter.device_class)
    provided = {one.item for one in await ticks(tx, scope, adapter_id)}
    if known not in provided:
        await tx.execute(
            checklist_items.insert().values(
                adapter_id=adapter_id, item=known, note=note, actor=by.actor, at_ms=by.at_ms
            )
        )
        audit.record(
            tx,
            by,
            "adapter.checklist",
            adapter.serial.shown,
            contractor_id=adapter.contractor_id,
            after={"item": known, "note": note},
        )
    if adapter.life is Life.DELIVERED and not onboarding.missing(adapter.device_class, provided | {known}):
        await adapters.set_life(tx, scope, by, adapter_id, LifeEvent.CHECKLIST_COMPLETE)
    return await adapters.get(tx, scope, adapter_id)
