"""Mobile accesses and packet share groups: which lines they are, and which links their SIM sat behind (MPC-9.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import or_, select

from controller.store import contracts, links
from controller.store.database import Tx
from controller.store.rows import in_parts, insert_new
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.contracts import contract_lines, line_links
from controller.store.tables.inventory import entries, placements, standbys
from controller.store.tables.metering import mobile_warnings
from inventory.calendar import Month
from inventory.links import Link

KINDS = ("mobile-access", "packet-share-group")
LINE_TYPE = "mobile"
"""Line type of the links that a SIM carries."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """A unit in an entry from `from_ms` until `to_ms` (None: still), and the entry's mobile links."""

    adapter_id: int
    from_ms: int
    to_ms: int | None
    links: tuple[Link, ...]


async def line_ids(
    tx: Tx,
    scope: Scope,
    *,
    contractor_id: int | None = None,
    management_id: int | None = None,
    adapter_id: int | None = None,
    after: int = 0,
    limit: int,
) -> list[int]:
    """Numbers of mobile accesses and groups above `after`, ascending; every filter given must hold.

    Of a management: those whose adapter sits there now. With a management or an adapter, groups are left out: they
    belong to no adapter (see `contracts.Standing.group_line_id`).
    """
    c = contract_lines.c
    query = select(c.id).where(c.kind.in_(KINDS), c.id > after).order_by(c.id).limit(limit)
    for owner in (scope.contractor_id, contractor_id):
        if owner is not None:
            query = query.where(c.contractor_id == owner)
    if adapter_id is not None:
        query = query.where(c.on_line_id.in_(select(line_links.c.line_id).where(line_links.c.adapter_id == adapter_id)))
    if management_id is not None:
        p = placements.c
        seated = select(p.adapter_id).where(
            p.to_ms.is_(None),
            or_(
                p.entry_id.in_(select(entries.c.id).where(entries.c.management_id == management_id)),
                p.standby_id.in_(select(standbys.c.id).where(standbys.c.management_id == management_id)),
            ),
        )
        query = query.where(c.on_line_id.in_(select(line_links.c.line_id).where(line_links.c.adapter_id.in_(seated))))
    return list(await tx.scalars(query))


async def warn(tx: Tx, line_id: int, month: Month, stage: str, day: date | None, at_ms: int) -> bool:
    """Keep that a plan's end is told; whether it was not told before. The unique index decides, on any node."""
    values = {
        "line_id": line_id,
        "month": str(month),
        "stage": stage,
        "day": day.isoformat() if day else None,
        "at_ms": at_ms,
    }
    return await insert_new(tx, mobile_warnings, values) is not None


async def sittings(tx: Tx, on_line_ids: Collection[int], start_ms: int) -> dict[int, list[Sitting]]:
    """Adapter line → where its units sat in entries that they had not left by `start_ms`, in order of time."""
    p, found = placements.c, dict[int, list[Sitting]]()
    units = await contracts.links(tx, on_line_ids)
    line_of = {adapter: line for line, (_, adapters) in units.items() for adapter in adapters}
    rows: list[AnyRow] = []
    for some in in_parts(line_of):
        query = select(p.adapter_id, p.entry_id, p.from_ms, p.to_ms).where(
            p.adapter_id.in_(some), p.entry_id.is_not(None), or_(p.to_ms.is_(None), p.to_ms > start_ms)
        )
        rows += (await tx.execute(query.order_by(p.from_ms, p.id))).all()
    by_entry: dict[int, list[Link]] = {}
    # Whoever may see the access may see what it used, also in the entry of another contractor's management (MPC-6.2).
    for part in in_parts({row.entry_id for row in rows}):
        for link in await links.of_entries(tx, Scope.everything(), part):
            if link.line_type == LINE_TYPE:
                by_entry.setdefault(link.entry_id, []).append(link)
    for row in rows:
        sitting = Sitting(row.adapter_id, row.from_ms, row.to_ms, tuple(by_entry.get(row.entry_id, ())))
        found.setdefault(line_of[row.adapter_id], []).append(sitting)
    return found
