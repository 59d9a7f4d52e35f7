"""Instants by which an interface had gone down: the evidence that a line flaps (metering specification §7.5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import in_parts, upsert

Fall = tuple[int, int]
"""Interface and the instant of the reading that told it."""


async def keep(tx: Tx, found: Sequence[Fall], taken_back: Collection[Fall] = ()) -> None:
    """Keep falls, each once; those that a late reading tells otherwise go."""
    c = t.link_falls.c
    for interface_id, t_ms in taken_back:
        await tx.execute(delete(t.link_falls).where(c.interface_id == interface_id, c.t_ms == t_ms))
    if found:
        rows = [{"interface_id": interface_id, "t_ms": t_ms} for interface_id, t_ms in found]
        await tx.execute(upsert(tx, t.link_falls).on_conflict_do_nothing(), rows)


async def of_interfaces(tx: Tx, interface_ids: Collection[int], start_ms: int, end_ms: int) -> list[int]:
    """Instants of the falls of some interfaces in [start_ms, end_ms), by time."""
    c, found = t.link_falls.c, []
    for some in in_parts(interface_ids):
        rows = await tx.scalars(select(c.t_ms).where(c.interface_id.in_(some), c.t_ms >= start_ms, c.t_ms < end_ms))
        found += list(rows)
    return sorted(found)
