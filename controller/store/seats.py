"""Seats underneath the verbs of `slots`: one row per placement, opened and closed, never changed otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, or_, select, update

from controller.store import managements
from controller.store.database import Tx
from controller.store.rows import insert_new, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters, entries, placements, standbys
from controller.store.tables.inventory import managements as management_table
from inventory.adapters import SEATABLE, Adapter
from inventory.errors import Conflict, NoFreeSlot, SlotOccupied
from inventory.slots import EndCause, Management, Placement, PlacementCause, SlotKind, require_placement, show_key


@dataclass(frozen=True, slots=True)
class SlotRef:
    """A slot by kind and number."""

    kind: SlotKind
    id: int

    @property
    def key(self) -> str:
        """`E-12` or `S-7`."""
        return show_key("E" if self.kind == "entry" else "S", self.id)

    @property
    def is_placed(self) -> ColumnElement[bool]:
        """Condition on placements: those of this slot."""
        return (placements.c.entry_id if self.kind == "entry" else placements.c.standby_id) == self.id


def slot_of(placement: Placement) -> SlotRef:
    """The slot of a placement."""
    return SlotRef(placement.slot_kind, placement.slot_id)


def placement_of(row: AnyRow) -> Placement:
    """The placement of a row of its table."""
    return Placement(
        id=row.id,
        adapter_id=row.adapter_id,
        slot_kind="standby" if row.entry_id is None else "entry",
        slot_id=row.standby_id if row.entry_id is None else row.entry_id,
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        cause=row.cause,
        end_cause=row.end_cause,
    )


async def current(tx: Tx, where: ColumnElement[bool]) -> Placement | None:
    """The open placement that the condition names; None if there is none."""
    row = (await tx.execute(select(placements).where(where, placements.c.to_ms.is_(None)))).one_or_none()
    return None if row is None else placement_of(row)


async def seat_of(tx: Tx, scope: Scope, adapter_id: int) -> tuple[Placement, int]:
    """Where an adapter sits, and the management's number; seen by the adapter's owner and by the management's.

    Raises NotFound out of scope, Conflict if it sits nowhere.
    """
    thing = (
        await tx.execute(select(adapters.c.contractor_id, adapters.c.serial_shown).where(adapters.c.id == adapter_id))
    ).one_or_none()
    seat = await current(tx, placements.c.adapter_id == adapter_id)
    management = await management_of(tx, slot_of(seat)) if seat else None
    if thing is None or not scope.allows(thing.contractor_id, management.contractor_id if management else None):
        raise not_found("such adapter")
    if seat is None or management is None:
        raise Conflict(f"{thing.serial_shown} sits in no slot", next_step="Assign it to a slot first.")
    return seat, management.id


async def management_of(tx: Tx, slot: SlotRef) -> AnyRow:
    """Number and contractor of the management that a slot belongs to. Raises NotFound for a slot that never was."""
    table = _table(slot)
    row = (
        await tx.execute(
            select(management_table.c.id, management_table.c.contractor_id)
            .join(table, table.c.management_id == management_table.c.id)
            .where(table.c.id == slot.id)
        )
    ).one_or_none()
    if row is None:
        raise not_found(f"{slot.kind} {slot.key}")
    return row


async def free_slot(tx: Tx, management: Management, kind: SlotKind) -> SlotRef:
    """The oldest open slot without an adapter. Raises NoFreeSlot. The management is locked by the caller."""
    table = entries if kind == "entry" else standbys
    column = placements.c.entry_id if kind == "entry" else placements.c.standby_id
    taken = select(placements.c.id).where(column == table.c.id, placements.c.to_ms.is_(None))
    found = await tx.scalar(
        select(table.c.id)
        .where(table.c.management_id == management.id, table.c.closed_ms.is_(None), ~taken.exists())
        .order_by(table.c.id)
        .limit(1)
    )
    if found is None:
        count = management.entry_count if kind == "entry" else management.standby_count
        raise NoFreeSlot(
            f"{management.key} has no free {kind}; its count is {count}",
            rule="MPC-8" if management.service == "mpc" else "SMF-5.1",
            next_step=f"Raise the {kind} count, or release an adapter.",
            facts={"management": management.key, "kind": kind, "count": count},
        )
    return SlotRef(kind, found)


async def require_open(tx: Tx, slot: SlotRef) -> None:
    """Raises Conflict if the slot was closed when the count fell."""
    table = _table(slot)
    if await tx.scalar(select(table.c.closed_ms).where(table.c.id == slot.id)) is not None:
        raise Conflict(f"{slot.key} was given up when the count fell", next_step="Choose an open slot.")


async def require_free(tx: Tx, slot: SlotRef) -> None:
    """Raises SlotOccupied, naming the occupant, if somebody sits in the slot."""
    serial = await tx.scalar(
        select(adapters.c.serial_shown)
        .join(placements, placements.c.adapter_id == adapters.c.id)
        .where(slot.is_placed, placements.c.to_ms.is_(None))
    )
    if serial is not None:
        raise SlotOccupied(
            f"{slot.key} is occupied by {serial}",
            next_step="Release that adapter first, or choose a free slot.",
            facts={"slot": slot.key, "occupant": serial},
        )


def require_seatable(adapter: Adapter) -> None:
    """Raises Conflict unless the adapter is delivered, installed or in service."""
    if adapter.life not in SEATABLE:
        raise Conflict(
            f"{adapter.serial} is {adapter.life.value.replace('-', ' ')}, so it is put into no slot",
            next_step="Use a unit that is delivered, installed or in service.",
            facts={"life": adapter.life.value},
        )


async def require_eligible(tx: Tx, management: Management, adapter: Adapter, kind: SlotKind) -> None:
    """Raises NotEligible unless service, class and consent let the adapter into such a slot (MPC-3, MPC-6.2)."""
    consented = await managements.consented(tx, management, adapter.contractor_id)
    require_placement(management, adapter.service, adapter.device_class, kind, consented=consented)


async def not_before(tx: Tx, by: By, adapter_ids: Sequence[int], slots: Sequence[SlotRef]) -> int:
    """The instant of a move: now, or the latest one on record if the wall clock was set back, so nothing overlaps."""
    about = or_(placements.c.adapter_id.in_(adapter_ids), *(slot.is_placed for slot in slots))
    latest = await tx.scalar(select(func.max(func.coalesce(placements.c.to_ms, placements.c.from_ms))).where(about))
    return max(by.at_ms, latest or 0)


async def sit(tx: Tx, by: By, adapter: Adapter, slot: SlotRef, *, cause: PlacementCause, at_ms: int) -> Placement:
    """Open a placement; an entry's generation rises, so that nothing queued for a former occupant reaches this one.

    Raises SlotOccupied if an index finds the slot or the adapter taken after all.
    """
    made = await insert_new(
        tx,
        placements,
        {
            "adapter_id": adapter.id,
            "entry_id": slot.id if slot.kind == "entry" else None,
            "standby_id": slot.id if slot.kind == "standby" else None,
            "from_ms": at_ms,
            "cause": cause,
            "actor": by.actor,
        },
    )
    if made is None:
        raise SlotOccupied(
            f"{slot.key} or {adapter.serial} was taken at the same moment",
            next_step="Look where it sits now, and decide again.",
        )
    if slot.kind == "entry":
        await tx.execute(
            update(entries)
            .where(entries.c.id == slot.id)
            .values(generation=entries.c.generation + 1, version=entries.c.version + 1)
        )
    return await get(tx, made)


async def leave(tx: Tx, placement: Placement, cause: EndCause, at_ms: int) -> None:
    """Close a placement."""
    await tx.execute(update(placements).where(placements.c.id == placement.id).values(to_ms=at_ms, end_cause=cause))


async def get(tx: Tx, placement_id: int) -> Placement:
    """A placement by its number, which exists."""
    return placement_of((await tx.execute(select(placements).where(placements.c.id == placement_id))).one())


def _table(slot: SlotRef) -> Table:
    return entries if slot.kind == "entry" else standbys
