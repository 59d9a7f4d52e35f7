"""Records of back-tests by link, in the traffic database; groups of them are summed when they are told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from sqlalchemy import select

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.tables.base import to_json
from controller.store.tables.inventory import adapters, entries, managements, placements
from inventory.backtest import HorizonRecord, Record
from inventory.links import Direction, Link
from inventory.metering import RULE_VERSION


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link counts: whose it is, and the model and line type that it is compared by."""

    contractor_id: int
    model: str
    line_type: str

    @property
    def kind(self) -> tuple[str, str]:
        """What comparable links have in common."""
        return self.model, self.line_type


@dataclass(frozen=True, slots=True)
class Kept:
    """The record of one direction of a link."""

    link_id: int
    direction: Direction
    place: Place
    record: Record


async def place_of(tx: Tx, link: Link) -> Place | None:
    """Contractor and model at a link's entry, in the main database; None if nobody sits there."""
    row = (
        await tx.execute(
            select(managements.c.contractor_id, adapters.c.model)
            .join(entries, entries.c.management_id == managements.c.id)
            .join(placements, placements.c.entry_id == entries.c.id)
            .join(adapters, adapters.c.id == placements.c.adapter_id)
            .where(entries.c.id == link.entry_id, placements.c.to_ms.is_(None))
        )
    ).one_or_none()
    return None if row is None else Place(row.contractor_id, row.model, link.line_type)


async def put(tx: Tx, kept: Kept, made_ms: int) -> None:
    """Write a record over the one before."""
    values = {
        "contractor_id": kept.place.contractor_id,
        "model": kept.place.model,
        "line_type": kept.place.line_type,
        "record": to_json(asdict(kept.record)),
        "rule_version": RULE_VERSION,
        "made_ms": made_ms,
    }
    made = upsert(tx, t.backtests).values(link_id=kept.link_id, direction=kept.direction.value, **values)
    await tx.execute(made.on_conflict_do_update(index_elements=["link_id", "direction"], set_=values))


async def read(tx: Tx) -> list[Kept]:
    """All records, by link and direction."""
    c = t.backtests.c
    rows = await tx.execute(select(t.backtests).order_by(c.link_id, c.direction))
    found = []
    for row in rows:
        told = json.loads(row.record)
        record = Record(
            told["origins"],
            tuple(HorizonRecord(**one) for one in told["horizons"]),
            told["warnings"],
            told["came_true"],
            tuple(told["lead_days"]),
            told["link_months"],
        )
        place = Place(row.contractor_id, row.model, row.line_type)
        found.append(Kept(row.link_id, Direction(row.direction), place, record))
    return found
