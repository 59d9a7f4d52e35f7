"""Who sits where: assign, release, promote, swap.

Each verb is one transaction's work and holds the management until it commits; the indexes on open placements decide
what a lock could miss (architecture §3a.3). Locks are taken in one order: managements by number, adapters by number.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from controller.store import adapters, audit, entries, events, managements, quarantines, seats
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import not_found, require_version
from controller.store.scope import By, Scope
from controller.store.seats import SlotRef
from controller.store.tables.inventory import placements
from inventory.adapters import Adapter
from inventory.errors import BadInput, Conflict
from inventory.slots import Entry, Management, Placement, SlotKind


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion did: the entry with its new generation, who sits there now, and who lost the place."""

    entry: Entry
    placement: Placement
    unseated_adapter_id: int | None


async def assign(
    tx: Tx,
    scope: Scope,
    by: By,
    adapter_id: int,
    *,
    management_id: int | None = None,
    entry_id: int | None = None,
    standby_id: int | None = None,
    kind: SlotKind = "entry",
) -> Placement:
    """Put an unseated adapter into a slot: the one named, or the oldest free one of `kind` in the management named.

    Raises NoFreeSlot, SlotOccupied, NotEligible with the rule (MPC-3.1, MPC-3.2, MPC-6.2, SMF-13), Conflict for an
    adapter that is seated already or whose life does not allow it, NotFound.
    """
    slot = _named(entry_id, standby_id, management_id)
    adapter = await adapters.get(tx, scope, adapter_id)
    owner = await _owner(tx, slot, management_id)
    (management,) = await managements.lock(tx, Scope.everything(), owner)
    (adapter,) = await adapters.lock(tx, scope, adapter_id)
    consented = await managements.consented(tx, management, scope.contractor_id or adapter.contractor_id)
    if not scope.allows(management.contractor_id) and not consented:
        raise not_found(f"{slot.kind} {slot.key}" if slot else f"management {management.key}")
    wanted = slot.kind if slot else kind
    seats.require_seatable(adapter)
    await seats.require_eligible(tx, management, adapter, wanted)
    seat = await seats.current(tx, placements.c.adapter_id == adapter_id)
    if seat is not None:
        raise Conflict(
            f"{adapter.serial} sits in {seat.slot_key} already",
            next_step="Release it first, or promote or swap.",
            facts={"slot": seat.slot_key},
        )
    if slot is not None:
        await seats.require_open(tx, slot)
        await seats.require_free(tx, slot)
    chosen = slot or await seats.free_slot(tx, management, wanted)
    at_ms = await seats.not_before(tx, by, [adapter_id], [chosen])
    placement = await seats.sit(tx, by, adapter, chosen, cause="assign", at_ms=at_ms)
    await _tell(tx, by, "assign", management, adapter, to=chosen)
    return placement


async def release(tx: Tx, scope: Scope, by: By, adapter_id: int) -> Placement:
    """Take an adapter out of its slot; it is then unseated. Its owner may, and the management's owner.

    Returns the placement with its end. Raises Conflict if it sits nowhere, NotFound.
    """
    _, owner = await seats.seat_of(tx, scope, adapter_id)
    (management,) = await managements.lock(tx, Scope.everything(), owner)
    (adapter,) = await adapters.lock(tx, Scope.everything(), adapter_id)
    seat, now_owner = await seats.seat_of(tx, scope, adapter_id)
    if now_owner != owner:
        raise _moved(adapter)
    at_ms = await seats.not_before(tx, by, [adapter_id], [seats.slot_of(seat)])
    await seats.leave(tx, seat, "release", at_ms)
    await _tell(tx, by, "release", management, adapter, left=seats.slot_of(seat))
    return await seats.get(tx, seat.id)


async def promote(
    tx: Tx, scope: Scope, by: By, *, entry_id: int, standby_id: int, if_version: int | None = None
) -> Promotion:
    """Move the standby's adapter into the entry of the same management; the former occupant becomes unseated.

    The standby falls free and the entry's generation rises, all in this transaction. `if_version` is the entry's.
    Raises Conflict for an empty standby, slots of two managements, a closed entry, or a unit whose life does not
    allow it; NotEligible, StaleVersion, NotFound.
    """
    entry = await entries.get(tx, scope, entry_id)
    standby = await entries.get_standby(tx, scope, standby_id)
    if entry.management_id != standby.management_id:
        raise Conflict(
            f"{standby.key} and {entry.key} belong to two managements",
            next_step="Choose a standby of the entry's own management.",
        )
    (management,) = await managements.lock(tx, scope, entry.management_id)
    entry = await entries.get(tx, scope, entry_id)
    require_version(entry.key, entry.version, if_version)
    target, source = SlotRef("entry", entry_id), SlotRef("standby", standby_id)
    await seats.require_open(tx, target)
    spare = await seats.current(tx, source.is_placed)
    if spare is None:
        raise Conflict(f"{standby.key} is empty", next_step="Choose a standby that has an adapter.")
    former = await seats.current(tx, target.is_placed)
    everyone = [spare.adapter_id, *([former.adapter_id] if former else [])]
    units = await adapters.lock(tx, Scope.everything(), *everyone)
    seats.require_seatable(units[0])
    await seats.require_eligible(tx, management, units[0], "entry")
    at_ms = await seats.not_before(tx, by, everyone, [target, source])
    if former is not None:
        await seats.leave(tx, former, "promote", at_ms)
    await seats.leave(tx, spare, "promote", at_ms)
    placement = await seats.sit(tx, by, units[0], target, cause="promote", at_ms=at_ms)
    if former is not None:
        await _tell(tx, by, "unseat", management, units[1], left=target)
    await _tell(tx, by, "promote", management, units[0], left=source, to=target)
    return Promotion(await entries.get(tx, scope, entry_id), placement, former.adapter_id if former else None)


async def swap(tx: Tx, scope: Scope, by: By, adapter_id: int, other_adapter_id: int) -> tuple[Placement, Placement]:
    """Let two seated, healthy adapters exchange places; both entries' generations rise, in this transaction.

    Returns the new placements in the order of the arguments. Raises Conflict for an adapter with itself, one that sits
    nowhere or whose life does not allow it, NotEligible where class or consent does not fit the other slot, NotFound.
    """
    if adapter_id == other_adapter_id:
        raise Conflict("an adapter does not swap with itself", next_step="Name two adapters.")
    pair = (adapter_id, other_adapter_id)
    before = [await seats.seat_of(tx, scope, one) for one in pair]
    held = await managements.lock(tx, scope, *(owner for _, owner in before))
    units = await adapters.lock(tx, Scope.everything(), *pair)
    # Read again under the locks: a seat may have changed while we waited for them.
    after = [await seats.seat_of(tx, scope, one) for one in pair]
    for unit, old, new in zip(units, before, after, strict=True):
        seats.require_seatable(unit)
        if old != new:
            raise _moved(unit)
    places = [seats.slot_of(seat) for seat, _ in before]
    targets, hosts = places[::-1], held[::-1]
    for unit, host, target in zip(units, hosts, targets, strict=True):
        await seats.require_eligible(tx, host, unit, target.kind)
    at_ms = await seats.not_before(tx, by, pair, places)
    for seat, _ in before:
        await seats.leave(tx, seat, "swap", at_ms)
    first = await seats.sit(tx, by, units[0], targets[0], cause="swap", at_ms=at_ms)
    second = await seats.sit(tx, by, units[1], targets[1], cause="swap", at_ms=at_ms)
    for unit, host, left, target in zip(units, hosts, places, targets, strict=True):
        await _tell(tx, by, "swap", host, unit, left=left, to=target)
    return first, second


async def occupant(tx: Tx, scope: Scope, slot: SlotRef) -> Adapter | None:
    """Who sits in a slot now; None if it is free. The management's owner may ask, whoever owns the adapter."""
    await _require_visible(tx, scope, slot)
    seat = await seats.current(tx, slot.is_placed)
    return None if seat is None else await adapters.get(tx, Scope.everything(), seat.adapter_id)


async def place_of(tx: Tx, scope: Scope, adapter_id: int) -> Placement | None:
    """Where an adapter sits now; None if it is unseated. Raises NotFound."""
    await adapters.get(tx, scope, adapter_id)
    return await seats.current(tx, placements.c.adapter_id == adapter_id)


async def history(
    tx: Tx, scope: Scope, *, adapter_id: int | None = None, slot: SlotRef | None = None
) -> list[Placement]:
    """Placements of an adapter or of a slot (or of the one in the other), the oldest first. Raises NotFound."""
    query = select(placements).order_by(placements.c.from_ms, placements.c.id)
    if slot is not None:
        await _require_visible(tx, scope, slot)
        query = query.where(slot.is_placed)
    if adapter_id is not None:
        await adapters.get(tx, scope, adapter_id)
        query = query.where(placements.c.adapter_id == adapter_id)
    if slot is None and adapter_id is None:
        raise ValueError("history is of an adapter or of a slot")
    return [seats.placement_of(row) for row in await tx.execute(query)]


def _named(entry_id: int | None, standby_id: int | None, management_id: int | None) -> SlotRef | None:
    """The slot that was named; None if a management was. Raises BadInput unless it is exactly one of the three."""
    if sum(one is not None for one in (management_id, entry_id, standby_id)) != 1:
        raise BadInput(
            "name one of management, entry and standby",
            field="management",
            next_step="Name the slot, or the management in which any free slot will do.",
        )
    if entry_id is not None:
        return SlotRef("entry", entry_id)
    return SlotRef("standby", standby_id) if standby_id is not None else None


async def _owner(tx: Tx, slot: SlotRef | None, management_id: int | None) -> int:
    """Number of the management that is meant: the slot's, or the one named."""
    if slot is not None:
        number: int = (await seats.management_of(tx, slot)).id
        return number
    assert management_id is not None
    return management_id


async def _require_visible(tx: Tx, scope: Scope, slot: SlotRef) -> None:
    if not scope.allows((await seats.management_of(tx, slot)).contractor_id):
        raise not_found(f"{slot.kind} {slot.key}")


def _moved(adapter: Adapter) -> Conflict:
    return Conflict(f"{adapter.serial} has moved meanwhile", next_step="Look where it sits, and decide again.")


async def _tell(
    tx: Tx,
    by: By,
    verb: str,
    management: Management,
    adapter: Adapter,
    *,
    left: SlotRef | None = None,
    to: SlotRef | None = None,
) -> None:
    """Event and audit of one adapter's move, and what it settles: after the entries, which whoever ends a push locks
    first too."""
    facts = {
        "serial_number": adapter.serial.shown,
        "from": left.key if left else None,
        "to": to.key if to else None,
    }
    place = to or left
    await events.record(
        tx,
        NewEvent(
            f"placement.{verb}",
            by.at_ms,
            adapter_id=adapter.id,
            entry_id=place.id if place and place.kind == "entry" else None,
            standby_id=place.id if place and place.kind == "standby" else None,
            management_id=management.id,
            facts=facts,
        ),
    )
    audit.record(
        tx,
        by,
        f"placement.{verb}",
        adapter.serial.shown,
        contractor_id=management.contractor_id,
        before={"slot": facts["from"]},
        after={"slot": facts["to"], "management": management.key},
    )
    if left is not None and left.kind == "entry":
        await quarantines.left(tx, by, adapter.id, left.id)
