"""What fleet and quality reports are made of, in few statements whatever the size of the fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Integer, and_, case, cast, func, or_, select

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.slotdays import KeptDay
from controller.store.tables.inventory import adapters, entries, placements
from controller.store.tables.metering import level_changes, link_levels, links, proposals
from inventory.congestion import Level
from inventory.fleetreport import FleetChange, FleetLink
from inventory.links import Direction
from inventory.slotday import DAY_MS, decode
from inventory.slots import show_key


@dataclass(frozen=True, slots=True)
class DaysOfDirection:
    """Days of one direction of a link, added up."""

    covered_ms: int
    slots: int
    busy_max: float | None
    busy_mean: float | None
    valid_day: date | None
    """The last valid one."""


async def fleet_links(tx: Tx, at_ms: int) -> dict[int, FleetLink]:
    """Every link of an open entry, with the model that sat there at an instant."""
    seated = and_(
        placements.c.entry_id == links.c.entry_id,
        placements.c.from_ms <= at_ms,
        or_(placements.c.to_ms.is_(None), placements.c.to_ms > at_ms),
    )
    rows = await tx.execute(
        select(links.c.id, links.c.entry_id, links.c.interface, entries.c.name, adapters.c.model, adapters.c.hardware)
        .join(entries, entries.c.id == links.c.entry_id)
        .outerjoin(placements, seated)
        .outerjoin(adapters, adapters.c.id == placements.c.adapter_id)
        .where(or_(entries.c.closed_ms.is_(None), entries.c.closed_ms > at_ms))
        .order_by(links.c.id, placements.c.from_ms)
    )
    return {
        row.id: FleetLink(row.id, show_key("E", row.entry_id), row.name, row.interface, row.hardware or row.model or "")
        for row in rows
    }


async def days_of_directions(tx: Tx, first: date, after: date) -> dict[tuple[int, Direction], DaysOfDirection]:
    """Days [first, after) of every link and direction, added up by the database."""
    c = t.link_days.c
    busy = case((c.valid == 1, c.busy_util))
    rows = await tx.execute(
        select(
            c.link_id,
            c.direction,
            cast(func.sum(c.covered_ms), c.covered_ms.type).label("covered_ms"),
            cast(func.sum(c.slots), Integer).label("slots"),
            func.max(busy).label("busy_max"),
            func.avg(busy).label("busy_mean"),
            func.max(case((c.valid == 1, c.day))).label("valid_day"),
        )
        .where(c.day >= first.isoformat(), c.day < after.isoformat())
        .group_by(c.link_id, c.direction)
        .order_by(c.link_id, c.direction)
    )
    return {
        (row.link_id, Direction(row.direction)): DaysOfDirection(
            int(row.covered_ms),
            int(row.slots),
            row.busy_max,
            None if row.busy_mean is None else float(row.busy_mean),
            None if row.valid_day is None else date.fromisoformat(row.valid_day),
        )
        for row in rows
    }


async def levels_after(tx: Tx, last: date) -> dict[tuple[int, Direction], Level]:
    """Level of every direction that is judged, at the end of a day."""
    judged = await tx.execute(select(link_levels.c.link_id, link_levels.c.direction))
    found = {(row.link_id, Direction(row.direction)): Level.CALM for row in judged}
    c = level_changes.c
    changed = await tx.execute(
        select(c.link_id, c.direction, c.after).where(c.day <= last.isoformat()).order_by(c.day, c.id)
    )
    found.update({(row.link_id, Direction(row.direction)): Level(row.after) for row in changed})
    return found


async def level_changes_between(tx: Tx, first: date, after: date) -> list[FleetChange]:
    """Changes of level on the days [first, after), by day."""
    c = level_changes.c
    rows = await tx.execute(
        select(level_changes)
        .where(c.day >= first.isoformat(), c.day < after.isoformat())
        .order_by(c.day, c.link_id, c.direction, c.id)
    )
    return [
        FleetChange(
            row.link_id, Direction(row.direction), date.fromisoformat(row.day), Level(row.before), Level(row.after)
        )
        for row in rows
    ]


async def proposals_between(tx: Tx, start_ms: int, end_ms: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Proposals drafted in [start, end) by remedy, decided in it by state, and how many were open at its end."""
    c = proposals.c
    made = await tx.execute(
        select(c.kind, func.count()).where(c.created_ms >= start_ms, c.created_ms < end_ms).group_by(c.kind)
    )
    decided = await tx.execute(
        select(c.state, func.count())
        .where(c.decided_ms >= start_ms, c.decided_ms < end_ms, c.state.notin_(("draft", "sent")))
        .group_by(c.state)
    )
    undecided = or_(c.state.in_(("draft", "sent")), c.decided_ms >= end_ms)
    left: int = await tx.scalar(select(func.count()).where(c.created_ms < end_ms, undecided)) or 0
    return dict(_pairs(made)), dict(_pairs(decided)), left


def _pairs(rows: Iterable[Any]) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in rows]


async def interfaces(tx: Tx) -> dict[tuple[int, str], int]:
    """Ids of all interfaces by (entry, name)."""
    rows = await tx.execute(select(t.interfaces.c.entry_id, t.interfaces.c.name, t.interfaces.c.id))
    return {(row.entry_id, row.name): row.id for row in rows}


async def slot_days_of_all(
    tx: Tx, interface_ids: Iterable[int], start_ms: int, end_ms: int
) -> dict[int, list[KeptDay]]:
    """Slot-days of some interfaces that overlap [start, end)."""
    c = t.slot_days.c
    found: dict[int, list[KeptDay]] = {}
    for some in in_parts(list(interface_ids)):
        rows = await tx.execute(
            select(c.interface_id, c.start_ms, c.revision, c.closed_revision, c.slots, c.updated_ms)
            .where(c.interface_id.in_(some), c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
            .order_by(c.interface_id, c.start_ms)
        )
        for row in rows:
            kept = KeptDay(row.interface_id, row.revision, row.closed_revision > 0, decode(row.start_ms, row.slots))
            found.setdefault(row.interface_id, []).append(kept)
    return found


async def newest_revision_of_all(tx: Tx, start_ms: int, end_ms: int) -> int | None:
    """When any slot of [start, end) changed last."""
    c = t.slot_days.c
    within = and_(c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    found: int | None = await tx.scalar(select(func.max(c.updated_ms)).where(within))
    return found
