"""What falls due in the next days, gathered from contracts, units, suspensions and claims (service-terms §5, §6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

from sqlalchemy import func, select

from controller.store import contracts, outages
from controller.store.database import Tx
from controller.store.scope import Scope
from controller.store.tables.contracts import contract_lines, records
from controller.store.tables.inventory import adapters, life_events, managements, suspensions
from inventory.adapters import Life
from inventory.agenda import Due, agenda, notice_to_give, of_claim, of_contract, of_suspension, of_unit
from inventory.calendar import tokyo_day
from inventory.slots import show_key


async def upcoming(tx: Tx, scope: Scope, now_ms: int, days: int) -> tuple[Due, ...]:
    """What falls due from today within so many days, and what is overdue and still to be done; earliest first."""
    today = tokyo_day(now_ms)
    found = [
        *await _of_lines(tx, scope, today),
        *await _of_units(tx, scope),
        *await _of_suspensions(tx, scope),
        *await _of_notices(tx, scope),
    ]
    for one in await outages.unsettled(tx, scope, now_ms):
        found += of_claim(one.claim, f"outage {one.id}", one.contractor_id, today)
    return agenda(found, today, days)


async def _of_lines(tx: Tx, scope: Scope, today: date) -> list[Due]:
    query = select(contract_lines.c.contractor_id).distinct().order_by(contract_lines.c.contractor_id)
    if scope.contractor_id is not None:
        query = query.where(contract_lines.c.contractor_id == scope.contractor_id)
    found: list[Due] = []
    for owner in list(await tx.scalars(query)):
        book = await contracts.book(tx, owner, today)
        for line_id, contract in sorted(book.contracts.items()):
            due = of_contract(contract, show_key("L", line_id), owner)
            # The suspension of a management is read where it is kept, with those that no contract line knows of.
            own = contract.kind == "management"
            found += [one for one in due if not (own and one.kind == "suspension-ends")]
    return found


async def _of_units(tx: Tx, scope: Scope) -> list[Due]:
    """Units that are to be returned or sent back, with the day that the latest event set."""
    latest = (
        select(life_events.c.adapter_id, func.max(life_events.c.id).label("event_id"))
        .where(life_events.c.due_day.is_not(None))
        .group_by(life_events.c.adapter_id)
        .subquery()
    )
    query = (
        select(adapters.c.serial_shown, adapters.c.contractor_id, adapters.c.service, adapters.c.life, life_events)
        .join(latest, latest.c.adapter_id == adapters.c.id)
        .join(life_events, life_events.c.id == latest.c.event_id)
        .where(adapters.c.life.in_([Life.RETURN_DUE, Life.SEND_BACK_DUE]))
        .order_by(adapters.c.id)
    )
    if scope.contractor_id is not None:
        query = query.where(adapters.c.contractor_id == scope.contractor_id)
    found: list[Due] = []
    for row in await tx.execute(query):
        life, due_day = Life(row._mapping[adapters.c.life]), date.fromisoformat(row.due_day)
        found += of_unit(row.serial_shown, row.contractor_id, row.service, life, due_day)
    return found


async def _of_suspensions(tx: Tx, scope: Scope) -> Iterator[Due]:
    query = (
        select(suspensions.c.management_id, suspensions.c.until_day, managements.c.contractor_id)
        .join(managements, managements.c.id == suspensions.c.management_id)
        .where(suspensions.c.to_ms.is_(None), suspensions.c.until_day.is_not(None))
        .order_by(suspensions.c.id)
    )
    if scope.contractor_id is not None:
        query = query.where(managements.c.contractor_id == scope.contractor_id)
    rows = (await tx.execute(query)).all()
    return (
        of_suspension(date.fromisoformat(row.until_day), show_key("M", row.management_id), row.contractor_id)
        for row in rows
    )


async def _of_notices(tx: Tx, scope: Scope) -> list[Due]:
    """What is planned and not notified: a correction that tells the day of the notice takes it off the list."""
    query = select(records).where(records.c.kind == "planned-notice").order_by(records.c.id)
    if scope.contractor_id is not None:
        query = query.where(records.c.contractor_id == scope.contractor_id)
    rows = (await tx.execute(query)).all()
    corrected = {row.corrects_id for row in rows}
    found: list[Due] = []
    for row in rows:
        if row.id not in corrected and row.notified is None:
            of = json.loads(row.facts)["of"]
            found.append(notice_to_give(of, date.fromisoformat(row.day), f"record {row.id}", row.contractor_id))
    return found
