"""What one unit costs its contractor once: recorded failures and damages, and the losses that its life tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from controller.store import adapters, audit, records
from controller.store.database import Tx
from controller.store.rows import insert_new, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters as adapter_table
from controller.store.tables.inventory import life_events
from controller.store.tables.money import unit_charges
from inventory.adapters import Adapter, LifeEvent, SerialNumber
from inventory.calendar import tokyo_day
from inventory.catalogue import model
from inventory.errors import BadInput, Conflict
from inventory.liabilities import Liability, Unit, liability_rule, require_cost


@dataclass(frozen=True, slots=True)
class UnitCharge:
    """Something that a unit costs: recorded by somebody (`id`), or told by its life (a loss)."""

    id: int | None
    unit: Unit
    what: Liability
    day: date
    cost_yen: int | None
    reason: str
    recorded_ms: int


async def record(
    tx: Tx,
    scope: Scope,
    by: By,
    serial: SerialNumber,
    what: Liability,
    *,
    day: date,
    cost_yen: int | None,
    reason: str,
    corrects_id: int | None = None,
) -> UnitCharge:
    """Record a failure that was the contractor's fault, or damage through a breach of its duties (MPC-12.3, SMF-10.3,
    MPC-10.2, SMF-9.2). `corrects_id`: the charge that it takes the place of.

    Raises NotFound, RuleViolation for a unit that the terms charge nothing for, BadInput, Conflict.
    """
    unit = await adapters.by_serial(tx, scope, serial)
    if what == "loss":
        raise BadInput("a loss is reported, not charged by hand", field="what", next_step="Report the loss.")
    if day > tokyo_day(by.at_ms):
        raise BadInput(f"{day} is still to come", field="day", next_step="Give the day on which it happened.")
    rule = liability_rule(_unit(unit), what)
    require_cost(_unit(unit), what, cost_yen)
    found = await _insert(tx, by, unit, what, day, cost_yen, reason, rule, corrects_id=corrects_id, taken_back=False)
    return UnitCharge(found, _unit(unit), what, day, cost_yen, reason, by.at_ms)


async def take_back(tx: Tx, scope: Scope, by: By, charge_id: int, *, reason: str) -> None:
    """Say that a charge never was one. Raises NotFound, Conflict when it was corrected already."""
    row = (await tx.execute(select(unit_charges).where(unit_charges.c.id == charge_id))).one_or_none()
    if row is None or row.taken_back:
        raise not_found(f"charge {charge_id}")
    unit = await adapters.get(tx, scope, row.adapter_id)
    day = date.fromisoformat(row.day)
    await _insert(tx, by, unit, row.what, day, row.cost_yen, reason, row.rule, corrects_id=charge_id, taken_back=True)


async def of_contractor(tx: Tx, contractor_id: int, known_at_ms: int | None = None) -> list[UnitCharge]:
    """All that units of a contractor cost, as it was known at an instant."""
    query = (
        select(unit_charges, *_UNIT)
        .join(adapter_table, adapter_table.c.id == unit_charges.c.adapter_id)
        .where(adapter_table.c.contractor_id == contractor_id)
        .order_by(unit_charges.c.id)
    )
    if known_at_ms is not None:
        query = query.where(unit_charges.c.recorded_ms <= known_at_ms)
    rows = (await tx.execute(query)).all()
    corrected = {row.corrects_id for row in rows}
    kept = [row for row in rows if row.id not in corrected and not row.taken_back]
    found = [
        UnitCharge(
            row.id, _unit_of(row), row.what, date.fromisoformat(row.day), row.cost_yen, row.reason, row.recorded_ms
        )
        for row in kept
    ]
    return [*found, *await _losses(tx, contractor_id, known_at_ms)]


async def _losses(tx: Tx, contractor_id: int, known_at_ms: int | None) -> list[UnitCharge]:
    """Lost units: from the day of the report, or the day after the return date (MPC-13.2, SMF-11.2)."""
    query = (
        select(life_events, *_UNIT)
        .join(adapter_table, adapter_table.c.id == life_events.c.adapter_id)
        .where(adapter_table.c.contractor_id == contractor_id)
        .order_by(life_events.c.id)
    )
    if known_at_ms is not None:
        query = query.where(life_events.c.at_ms <= known_at_ms)
    due: dict[int, date] = {}
    found = []
    for row in await tx.execute(query):
        if row.event == LifeEvent.LINE_ENDED and row.due_day:
            due[row.adapter_id] = date.fromisoformat(row.due_day)
        if "loss-charge" in json.loads(row.consequences):
            day = tokyo_day(row.at_ms)
            if row.event == LifeEvent.RETURN_OVERDUE and row.adapter_id in due:
                day = due[row.adapter_id] + timedelta(days=1)
            found.append(UnitCharge(None, _unit_of(row), "loss", day, None, row.event, row.at_ms))
    return found


async def _insert(
    tx: Tx,
    by: By,
    unit: Adapter,
    what: Liability,
    day: date,
    cost_yen: int | None,
    reason: str,
    rule: str,
    *,
    corrects_id: int | None,
    taken_back: bool,
) -> int:
    if corrects_id is not None:
        owner = await tx.scalar(select(unit_charges.c.adapter_id).where(unit_charges.c.id == corrects_id))
        if owner != unit.id:
            raise not_found(f"charge {corrects_id} of {unit.serial}")
    values = {
        "adapter_id": unit.id,
        "what": what,
        "day": day.isoformat(),
        "cost_yen": cost_yen,
        "reason": reason,
        "rule": rule,
        "terms_version": await records.version_in_force(tx, unit.service, day),
        "recorded_ms": by.at_ms,
        "actor": by.actor,
        "corrects_id": corrects_id,
        "taken_back": int(taken_back),
    }
    number = await insert_new(tx, unit_charges, values)
    if number is None:
        raise Conflict(
            f"charge {corrects_id} was corrected already", rule=rule, next_step="Correct the one that took its place."
        )
    facts = {"what": what, "day": day.isoformat(), "cost_yen": cost_yen, "reason": reason}
    audit.record(
        tx,
        by,
        "charge.take-back" if taken_back else "charge.record",
        unit.serial.shown,
        contractor_id=unit.contractor_id,
        after=facts | {"corrects": corrects_id},
    )
    return number


_UNIT = (
    adapter_table.c.serial_shown,
    adapter_table.c.service,
    adapter_table.c.device_class,
    adapter_table.c.model,
    adapter_table.c.holding,
)


def _unit(unit: Adapter) -> Unit:
    return Unit(unit.serial.shown, unit.service, unit.device_class, unit.model.key, unit.holding)


def _unit_of(row: AnyRow) -> Unit:
    return Unit(row.serial_shown, row.service, row.device_class, model(row.model).key, row.holding)
