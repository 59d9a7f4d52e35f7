"""Whether contracts let an adapter be controlled: the one question of whoever talks to adapters (service-terms §8).

A management or an adapter without a contract line is controlled as before; only lines and suspensions stop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import exists, func, or_, select

from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.tables.contracts import control_stops, line_links
from controller.store.tables.inventory import entries, placements, standbys, suspensions
from inventory.entitlement import Stop
from inventory.errors import RuleViolation
from inventory.slots import show_key

_ANY: Final = select(
    or_(
        exists().where(suspensions.c.to_ms.is_(None)).correlate(None),
        exists().where(control_stops.c.to_ms.is_(None)).correlate(None),
    )
)
"""Whether anything is stopped at all: most of the time nothing is, and it is asked before every step of a push."""


async def stops(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Stop]:
    """Adapter → why it is not controlled; those that are controlled are left out."""
    found: dict[int, Stop] = {}
    if not await tx.scalar(_ANY):
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
