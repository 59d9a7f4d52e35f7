"""Months of links in the traffic database: written when a month is over, and anew when late data change one."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from sqlalchemy import Row, select

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.tables.base import to_json
from inventory.linkmonths import LinkMonth
from inventory.links import CapacityKind, Direction, Governing
from inventory.metering import Interval


async def put(tx: Tx, made_ms: int, month: LinkMonth) -> None:
    """Write the figures of one link, direction and month, over the ones before."""
    key = {"link_id": month.link_id, "direction": month.direction.value, "month": month.month.isoformat()[:7]}
    values = {
        "octets_low": month.octets_low,
        "octets_high": month.octets_high,
        "p95_low": month.p95.low,
        "p95_high": month.p95.high,
        "slots": month.slots,
        "covered_ms": month.covered_ms,
        "top": to_json(month.top),
        "capacity_kind": month.capacity.kind.value if month.capacity else None,
        "nominal_bps": month.capacity.nominal_bps if month.capacity else None,
        "rule_version": month.rule_version,
        "made_ms": made_ms,
    }
    insert = upsert(tx, t.link_months).values(**key, **values)
    await tx.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))


async def of_link(tx: Tx, link_id: int) -> list[LinkMonth]:
    """Months of a link, the oldest first, by direction."""
    c = t.link_months.c
    rows = await tx.execute(select(t.link_months).where(c.link_id == link_id).order_by(c.month, c.direction))
    return [_month(row) for row in rows]


def _month(row: Row[Any]) -> LinkMonth:
    first = date.fromisoformat(f"{row.month}-01")
    return LinkMonth(
        row.link_id,
        Direction(row.direction),
        first,
        row.octets_low,
        row.octets_high,
        Interval(row.p95_low, row.p95_high),
        row.slots,
        row.covered_ms,
        tuple((slot, octets) for slot, octets in json.loads(row.top)),
        Governing(CapacityKind(row.capacity_kind), row.nominal_bps, first) if row.capacity_kind else None,
        row.rule_version,
    )
