"""Units that come with their standby (MPC-1): they need no contract line, and are due back with the slot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from sqlalchemy import insert, select, update

from controller.store import adapters, audit, entries, managements, slots
from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.contracts import line_links
from controller.store.tables.inventory import adapters as adapter_rows
from controller.store.tables.inventory import slot_units
from inventory.adapters import FINAL, Life, LifeEvent, SerialNumber
from inventory.calendar import tokyo_day
from inventory.errors import Conflict
from inventory.slots import Placement, show_key
from inventory.standbyunits import require_standby_unit

_REPLACED = frozenset({*FINAL, Life.FAILED, Life.SEND_BACK_DUE})
"""Lives of a unit that a standby may get another one for (MPC-12.2, MPC-13.1)."""


async def deliver(tx: Tx, scope: Scope, by: By, standby_id: int, serial: SerialNumber) -> Placement:
    """Put a registered class I unit into a standby that it comes with; a replacement comes after what it replaces.

    Raises NotEligible for a standby of smfsx or a unit of another class or contractor (MPC-1, SMF-2), Conflict for a
    unit that has a contract line or a standby that has its unit, and whatever `slots.assign` raises.
    """
    standby = await entries.get_standby(tx, scope, standby_id)
    (management,) = await managements.lock(tx, scope, standby.management_id)
    unit = await adapters.by_serial(tx, scope, serial)
    require_standby_unit(
        management.service, unit.device_class, of_contractor=unit.contractor_id == management.contractor_id
    )
    if await tx.scalar(select(line_links.c.id).where(line_links.c.adapter_id == unit.id)) is not None:
        raise Conflict(
            f"{unit.serial} has a contract line", rule="MPC-1", next_step="Assign it; it does not come with the slot."
        )
    held = await tx.execute(
        select(adapter_rows.c.serial_shown, adapter_rows.c.life)
        .join(slot_units, slot_units.c.adapter_id == adapter_rows.c.id)
        .where(slot_units.c.standby_id == standby_id, slot_units.c.given_up.is_(None))
    )
    for row in held:
        if Life(row.life) not in _REPLACED:
            raise Conflict(
                f"{standby.key} has its unit, {row.serial_shown}",
                rule="MPC-1",
                next_step="One unit comes with a standby; report its failure or loss first.",
            )
    await _keep(tx, by, standby_id, unit.id)
    audit.record(
        tx,
        by,
        "standby.unit",
        standby.key,
        contractor_id=management.contractor_id,
        after={"serial_number": unit.serial.shown, "rule": "MPC-1"},
    )
    return await slots.assign(tx, scope, by, unit.id, standby_id=standby_id)


async def give_up(tx: Tx, by: By, standby_ids: Collection[int], last_day: date) -> set[int]:
    """The standbys are given up after `last_day`: their units are due back, wherever they sit (MPC-1, MPC-10.3).

    Returns the adapters touched.
    """
    touched: set[int] = set()
    for some in in_parts(sorted(standby_ids)):
        mine = slot_units.c.standby_id.in_(some) & slot_units.c.given_up.is_(None)
        for adapter_id in list(await tx.scalars(select(slot_units.c.adapter_id).where(mine))):
            unit = await adapters.get(tx, Scope.everything(), adapter_id)
            if unit.life not in FINAL:
                await adapters.set_life(tx, Scope.everything(), by, adapter_id, LifeEvent.LINE_ENDED, on=last_day)
                touched.add(adapter_id)
        await tx.execute(update(slot_units).where(mine).values(given_up=last_day.isoformat()))
    return touched


async def units(tx: Tx, standby_ids: Collection[int]) -> Mapping[int, str]:
    """Standby → serial number of the unit that comes with it, the newest. The caller has checked its scope."""
    found: dict[int, str] = {}
    for some in in_parts(standby_ids):
        rows = await tx.execute(
            select(slot_units.c.standby_id, adapter_rows.c.serial_shown)
            .join(adapter_rows, adapter_rows.c.id == slot_units.c.adapter_id)
            .where(slot_units.c.standby_id.in_(some))
            .order_by(slot_units.c.id)
        )
        found |= {row.standby_id: row.serial_shown for row in rows}
    return found


async def standby_of(tx: Tx, adapter_id: int) -> str | None:
    """Key of the standby that the unit comes with."""
    number = await tx.scalar(select(slot_units.c.standby_id).where(slot_units.c.adapter_id == adapter_id))
    return None if number is None else show_key("S", number)


async def _keep(tx: Tx, by: By, standby_id: int, adapter_id: int) -> None:
    await tx.execute(
        insert(slot_units).values(
            standby_id=standby_id,
            adapter_id=adapter_id,
            day=tokyo_day(by.at_ms).isoformat(),
            recorded_ms=by.at_ms,
            actor=by.actor,
        )
    )
