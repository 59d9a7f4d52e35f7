"""Whether contracts let an adapter be controlled: the one question of whoever talks to adapters (service-terms §8).

A management or an adapter without a contract line is controlled as before; only lines and suspensions stop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

from sqlalchemy import exists, func, literal, or_, select

from controller.store import contracts
from controller.store.contracts import Standing
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.rows import in_parts
from controller.store.tables.contracts import control_stops, line_links
from controller.store.tables.inventory import entries, placements, standbys, suspensions
from inventory.calendar import day_end_ms
from inventory.entitlement import Stop, stop_with
from inventory.errors import RuleViolation
from inventory.slots import show_key

_ANY: Final = direct(
    select(literal(1)).where(
        or_(
            exists().where(suspensions.c.to_ms.is_(None)).correlate(None),
            exists().where(control_stops.c.to_ms.is_(None)).correlate(None),
        )
    )
)
"""A row if anything is stopped at all: most of the time nothing is, and it is asked before every step of a push."""


async def stops(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Stop]:
    """Adapter → why it is not controlled; those that are controlled are left out."""
    found: dict[int, Stop] = {}
    if await tx.scalar(_ANY) is None:
        return found
    for some in in_parts(adapter_ids):
        of = await _managements(tx, some)
        suspended = await tx.execute(
            select(suspensions.c.management_id, suspensions.c.reason).where(
                suspensions.c.management_id.in_(set(of.values())), suspensions.c.to_ms.is_(None)
            )
        )
        by_management = {
            row.management_id: Stop("SMF-21", f"{show_key('M', row.management_id)} is suspended: {row.reason}")
            for row in suspended
        }
        rows = await tx.execute(
            select(control_stops).where(
                control_stops.c.to_ms.is_(None),
                control_stops.c.management_id.in_(set(of.values())) | control_stops.c.adapter_id.in_(some),
            )
        )
        by_adapter = {}
        for row in rows:
            if row.adapter_id is None:
                by_management.setdefault(row.management_id, Stop(row.rule, row.reason))
            else:
                by_adapter[row.adapter_id] = Stop(row.rule, row.reason)
        for adapter_id in some:
            stop = by_adapter.get(adapter_id) or by_management.get(of.get(adapter_id, 0))
            if stop is not None:
                found[adapter_id] = stop
    return found


async def carried(tx: Tx, found: Sequence[Standing], as_of: date, *, known_at_ms: int | None = None) -> dict[int, Stop]:
    """Option → why it gives no service: the line that it is on, or the management its adapter sits in, is suspended
    (service-terms §8). Options of which neither is are left out."""
    wanted = {one.line.id: one.on_line_id for one in found if one.contract.entitled and one.on_line_id is not None}
    lines = await contracts.by_number(tx, set(wanted.values()))
    on = {one.line.id: one for one in await contracts.standing(tx, lines, as_of, known_at_ms=known_at_ms)}
    at_ms = min(day_end_ms(as_of) - 1, known_at_ms or day_end_ms(as_of))
    suspended = await _suspended_seats(tx, {one.adapters[-1] for one in on.values() if one.adapters}, at_ms)
    told: dict[int, Stop] = {}
    for option, line_id in wanted.items():
        carrier = on.get(line_id)
        if carrier is None:
            continue
        management = suspended.get(carrier.adapters[-1]) if carrier.adapters else None
        if carrier.contract.suspended:
            told[option] = stop_with(carrier.line.key)
        elif management is not None:
            told[option] = stop_with(show_key("M", management))
    return told


async def _suspended_seats(tx: Tx, adapter_ids: Collection[int], at_ms: int) -> dict[int, int]:
    """Adapter → the management that it sat in at an instant, if that was suspended then."""
    found: dict[int, int] = {}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(
            select(placements.c.adapter_id, suspensions.c.management_id)
            .outerjoin(entries, entries.c.id == placements.c.entry_id)
            .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
            .join(
                suspensions,
                suspensions.c.management_id == func.coalesce(entries.c.management_id, standbys.c.management_id),
            )
            .where(
                placements.c.adapter_id.in_(some),
                *(
                    within
                    for table in (placements, suspensions)
                    for within in (table.c.from_ms <= at_ms, table.c.to_ms.is_(None) | (table.c.to_ms > at_ms))
                ),
            )
        )
        found |= {row.adapter_id: row.management_id for row in rows}
    return found


async def stop(tx: Tx, adapter_id: int) -> Stop | None:
    """Why one adapter is not controlled; None: it is."""
    return (await stops(tx, [adapter_id])).get(adapter_id)


async def require(tx: Tx, adapter_id: int) -> None:
    """Raises RuleViolation, with the rule, for an adapter that contracts keep from being controlled."""
    found = await stop(tx, adapter_id)
    if found is not None:
        raise RuleViolation(
            f"the contract does not let this adapter be controlled: {found.words}",
            rule=found.rule,
            next_step="Look at the contract line; what is not entitled is not controlled.",
        )


async def lines(tx: Tx, adapter_ids: Collection[int]) -> Mapping[int, tuple[str, ...]]:
    """Adapter → keys of the contract lines that govern it: its own, and that of the management it sits in."""
    found: dict[int, tuple[str, ...]] = {}
    for some in in_parts(adapter_ids):
        of = await _managements(tx, some)
        rows = (
            await tx.execute(
                select(line_links).where(
                    line_links.c.adapter_id.in_(some) | line_links.c.management_id.in_(set(of.values()))
                )
            )
        ).all()
        units = {row.adapter_id: show_key("L", row.line_id) for row in rows if row.adapter_id is not None}
        held = {row.management_id: show_key("L", row.line_id) for row in rows if row.management_id is not None}
        for adapter_id in some:
            keys = (units.get(adapter_id), held.get(of.get(adapter_id, 0)))
            found[adapter_id] = tuple(key for key in keys if key is not None)
    return found


async def _managements(tx: Tx, adapter_ids: Collection[int]) -> dict[int, int]:
    """Adapter → management in whose slot it sits."""
    rows = await tx.execute(
        select(
            placements.c.adapter_id,
            func.coalesce(entries.c.management_id, standbys.c.management_id).label("management_id"),
        )
        .outerjoin(entries, entries.c.id == placements.c.entry_id)
        .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
        .where(placements.c.adapter_id.in_(adapter_ids), placements.c.to_ms.is_(None))
    )
    return {row.adapter_id: row.management_id for row in rows}
