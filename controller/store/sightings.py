"""Heartbeats that nodes tell each other of, for the clone rule (MPC-11): only of adapters that two nodes hear."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.tables.base import to_json
from controller.store.tables.phonehome import arms_contacts, arms_sightings
from controller.store.tables.system import nodes
from inventory.clones import Sighting


@dataclass(frozen=True, slots=True)
class Shared:
    """A heartbeat of an adapter, on the wall clock, and by what its copies are known; empty: all alike."""

    adapter_id: int
    mark: str
    sighting: Sighting


async def several_nodes(tx: Tx) -> bool:
    """Whether there is anybody to share with."""
    return (await tx.scalar(select(func.count()).select_from(nodes)) or 0) > 1


async def last_heard(tx: Tx, adapter_ids: Sequence[int]) -> dict[int, tuple[str | None, int]]:
    """Source and instant of the last heartbeat of each, whichever node heard it."""
    found: dict[int, tuple[str | None, int]] = {}
    contact = arms_contacts.c
    for some in in_parts(adapter_ids):
        query = select(contact.adapter_id, contact.source, contact.last_heartbeat_ms)
        rows = await tx.execute(query.where(contact.adapter_id.in_(some), contact.last_heartbeat_ms.is_not(None)))
        found.update({row[0]: (row[1], row[2]) for row in rows})
    return found


async def put(tx: Tx, node: str, heard: Sequence[Shared], *, before_ms: int) -> None:
    """Tell what this node heard (PostgreSQL); what is older than `before_ms` is forgotten."""
    rows = [
        {
            "adapter_id": one.adapter_id,
            "node": node,
            "at_ms": one.sighting.at_ms,
            "source": one.sighting.source,
            "mark": one.mark,
            "counters": to_json(one.sighting.counters),
        }
        for one in heard
    ]
    if rows:
        await tx.execute(insert(arms_sightings).on_conflict_do_nothing(), rows)
    await tx.execute(delete(arms_sightings).where(arms_sightings.c.at_ms < before_ms))


async def of_others(tx: Tx, node: str, since_ms: int) -> list[Shared]:
    """What other nodes told since, oldest first."""
    query = select(arms_sightings).where(arms_sightings.c.node != node, arms_sightings.c.at_ms > since_ms)
    return [
        Shared(
            row.adapter_id,
            row.mark,
            Sighting(row.at_ms, row.source, tuple((index, octets) for index, octets in json.loads(row.counters))),
        )
        for row in await tx.execute(query.order_by(arms_sightings.c.at_ms))
    ]
