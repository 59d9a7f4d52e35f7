"""Levels judged from the days of links, for each direction: the present ones, and each change of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select

from controller.store import links
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.scope import Scope
from controller.store.tables.base import to_json
from controller.store.tables.metering import level_changes, link_levels
from inventory.congestion import Cause, CauseFlag, Level
from inventory.links import CapacityKind, Direction, Link


@dataclass(frozen=True, slots=True)
class LinkLevel:
    """State of one direction of a link, as judged last."""

    link_id: int
    direction: Direction
    level: Level
    since_day: date
    valid_day: date | None
    """Last valid day."""
    judged_day: date
    valid_days: int
    """In the present history."""
    capacity_kind: CapacityKind
    rule_version: str
    made_ms: int
    causes: tuple[CauseFlag, ...] = ()
    """One flag each; empty for calm, and for what was judged before causes were told."""


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A change of level, and what it rests on."""

    id: int
    link_id: int
    direction: Direction
    day: date
    before: Level
    after: Level
    evidence: Mapping[str, Any]
    rule_version: str
    recorded_ms: int


async def put(tx: Tx, state: LinkLevel) -> None:
    """Write the state of one direction, over the one before."""
    values = {
        "level": int(state.level),
        "since_day": state.since_day.isoformat(),
        "valid_day": state.valid_day.isoformat() if state.valid_day else None,
        "judged_day": state.judged_day.isoformat(),
        "valid_days": state.valid_days,
        "capacity_kind": state.capacity_kind.value,
        "rule_version": state.rule_version,
        "made_ms": state.made_ms,
        "causes": json.dumps([[one.cause.value, one.days] for one in state.causes]),
    }
    statement = upsert(tx, link_levels).values(link_id=state.link_id, direction=state.direction.value, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["link_id", "direction"], set_=values))


async def of_link(tx: Tx, link_id: int) -> list[LinkLevel]:
    """States of a link's directions."""
    c = link_levels.c
    rows = await tx.execute(select(link_levels).where(c.link_id == link_id).order_by(c.direction))
    return [
        LinkLevel(
            row.link_id,
            Direction(row.direction),
            Level(row.level),
            date.fromisoformat(row.since_day),
            date.fromisoformat(row.valid_day) if row.valid_day else None,
            date.fromisoformat(row.judged_day),
            row.valid_days,
            CapacityKind(row.capacity_kind),
            row.rule_version,
            row.made_ms,
            tuple(CauseFlag(Cause(cause), days) for cause, days in json.loads(row.causes or "[]")),
        )
        for row in rows
    ]


async def hot(tx: Tx, scope: Scope, *, level: int, after: int = 0, limit: int = 100) -> list[tuple[Link, LinkLevel]]:
    """Links with a direction at or above a level, by number of the link, after one; its highest direction."""
    c = link_levels.c
    ids = select(c.link_id).where(c.level >= level)
    found = await links.page(tx, scope, after=after, limit=limit, among=ids)
    return [(link, max(await of_link(tx, link.id), key=lambda state: state.level)) for link in found]


async def add_change(tx: Tx, change: LevelChange) -> bool:
    """Record a change of level; whether it was new. `id` is not used."""
    statement = upsert(tx, level_changes).values(
        link_id=change.link_id,
        direction=change.direction.value,
        day=change.day.isoformat(),
        before=int(change.before),
        after=int(change.after),
        evidence=to_json(dict(change.evidence)),
        rule_version=change.rule_version,
        recorded_ms=change.recorded_ms,
    )
    added = await tx.execute(statement.on_conflict_do_nothing().returning(level_changes.c.id))
    return added.first() is not None


async def changes(tx: Tx, scope: Scope, link_id: int, *, limit: int = 100) -> list[LevelChange]:
    """Changes of level of a link, the newest first. Raises NotFound."""
    await links.get(tx, scope, link_id)
    c = level_changes.c
    rows = await tx.execute(
        select(level_changes).where(c.link_id == link_id).order_by(c.day.desc(), c.id.desc()).limit(limit)
    )
    return [
        LevelChange(
            row.id,
            row.link_id,
            Direction(row.direction),
            date.fromisoformat(row.day),
            Level(row.before),
            Level(row.after),
            json.loads(row.evidence),
            row.rule_version,
            row.recorded_ms,
        )
        for row in rows
    ]
