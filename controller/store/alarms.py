"""Saturation alarms of links: whether one stands, since when, and on what it rests."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from controller.store.database import Tx
from controller.store.rows import in_parts, upsert
from controller.store.tables.base import to_json
from controller.store.tables.counting import link_alarms
from inventory.links import Direction


@dataclass(frozen=True, slots=True)
class LinkAlarm:
    """The last alarm of one direction; `cleared_ms` None: it stands."""

    link_id: int
    direction: Direction
    since_ms: int
    cleared_ms: int | None
    evidence: Mapping[str, Any]


async def raise_(tx: Tx, link_id: int, direction: Direction, at_ms: int, evidence: Mapping[str, Any]) -> bool:
    """Raise an alarm; False if it stands already, as another node may have raised it."""
    values = {"since_ms": at_ms, "cleared_ms": None, "evidence": to_json(dict(evidence))}
    made = upsert(tx, link_alarms).values(link_id=link_id, direction=direction.value, **values)
    put = made.on_conflict_do_update(
        index_elements=["link_id", "direction"], set_=values, where=link_alarms.c.cleared_ms.is_not(None)
    )
    return (await tx.execute(put.returning(link_alarms.c.link_id))).first() is not None


async def clear(tx: Tx, link_id: int, direction: Direction, at_ms: int) -> bool:
    """Clear an alarm; False if none stands."""
    c = link_alarms.c
    mine = (c.link_id == link_id, c.direction == direction.value, c.cleared_ms.is_(None))
    return bool((await tx.execute(update(link_alarms).where(*mine).values(cleared_ms=at_ms))).rowcount)


async def standing(tx: Tx) -> set[tuple[int, Direction]]:
    """Alarms that stand, by link and direction."""
    c = link_alarms.c
    rows = await tx.execute(select(c.link_id, c.direction).where(c.cleared_ms.is_(None)))
    return {(row.link_id, Direction(row.direction)) for row in rows}


async def known(tx: Tx) -> dict[tuple[int, Direction], bool]:
    """Every link and direction that ever had an alarm, and whether one stands."""
    c = link_alarms.c
    rows = await tx.execute(select(c.link_id, c.direction, c.cleared_ms))
    return {(row.link_id, Direction(row.direction)): row.cleared_ms is None for row in rows}


async def of_links(tx: Tx, link_ids: Collection[int]) -> list[LinkAlarm]:
    """The last alarm of each direction of some links, by link and direction."""
    found = []
    c = link_alarms.c
    for some in in_parts(link_ids):
        rows = await tx.execute(select(link_alarms).where(c.link_id.in_(some)).order_by(c.link_id, c.direction))
        found += [
            LinkAlarm(row.link_id, Direction(row.direction), row.since_ms, row.cleared_ms, json.loads(row.evidence))
            for row in rows
        ]
    return found
