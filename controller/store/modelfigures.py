"""Figures of models that operators entered: what a device can carry, and whether it may be recommended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import insert, select

from controller.store import audit
from controller.store.database import Tx
from controller.store.scope import By
from controller.store.tables.base import AnyRow
from controller.store.tables.metering import model_figures
from inventory.capacities import ModelBook, PublishedModel, folded
from inventory.catalogue import model
from inventory.errors import NotFound


@dataclass(frozen=True, slots=True)
class EnteredFigures:
    """One row as it was entered."""

    known: PublishedModel
    read_on: date
    actor: str
    recorded_ms: int


async def enter(tx: Tx, by: By, known: PublishedModel, read_on: date) -> None:
    """Keep what is known of a piece of hardware from now on; the rows before it stay as they were."""
    values = {
        "forwarding_bps": known.forwarding_bps,
        "ipsec_bps": known.ipsec_bps,
        "inspected_bps": known.inspected_bps,
        "packets_per_s": known.packets_per_s,
        "ports": known.ports,
        "port_speed_bps": known.port_speed_bps,
        "line_types": None if known.line_types is None else json.dumps(sorted(known.line_types)),
        "offered": int(known.sold),
        "offered_until": known.offered_until.isoformat() if known.offered_until else None,
        "origin": known.origin,
        "source": known.source,
        "read_on": read_on.isoformat(),
    }
    await _put(tx, by, known.model, known.hardware, values, withdrawn=False)
    audit.record(tx, by, "model-figures.enter", known.hardware, after={"model": known.model, **values})


async def withdraw(tx: Tx, by: By, hardware: str) -> str:
    """Take back what was entered; what is shipped counts again. The model. Raises NotFound where nothing is entered."""
    found = next((one for one in await entered(tx) if folded(one.known.hardware) == folded(hardware)), None)
    if found is None:
        raise NotFound(
            f"no figures are entered for {hardware[:80]}",
            next_step="List the figures; shipped ones stay.",
            field="hardware",
        )
    values: dict[str, object] = {
        "offered": 0,
        "origin": found.known.origin,
        "source": found.known.source,
        "read_on": found.read_on.isoformat(),
    }
    await _put(tx, by, found.known.model, found.known.hardware, values, withdrawn=True)
    audit.record(tx, by, "model-figures.withdraw", found.known.hardware, after={"model": found.known.model})
    return found.known.model


async def _put(tx: Tx, by: By, model_key: str, hardware: str, values: Mapping[str, object], *, withdrawn: bool) -> None:
    row = {
        "model": model_key,
        "hardware": hardware,
        "hardware_key": folded(hardware),
        "withdrawn": int(withdrawn),
        "actor": by.actor,
        "recorded_ms": by.at_ms,
    }
    await tx.execute(insert(model_figures).values(**row, **values))


async def entered(tx: Tx) -> list[EnteredFigures]:
    """What operators entered and did not take back, by hardware."""
    rows = await tx.execute(select(model_figures).order_by(model_figures.c.id))
    newest = {row.hardware_key: row for row in rows}
    return [_entered(row) for _, row in sorted(newest.items()) if not row.withdrawn]


async def book(tx: Tx) -> ModelBook:
    """Everything that is known of models, entered and shipped."""
    return ModelBook(one.known for one in await entered(tx))


def _entered(row: AnyRow) -> EnteredFigures:
    known = PublishedModel(
        hardware=row.hardware,
        family=model(row.model).family,
        source=row.source,
        forwarding_bps=row.forwarding_bps,
        ipsec_bps=row.ipsec_bps,
        inspected_bps=row.inspected_bps,
        packets_per_s=row.packets_per_s,
        sold=bool(row.offered),
        ports=row.ports,
        port_speed_bps=row.port_speed_bps,
        line_types=None if row.line_types is None else frozenset(json.loads(row.line_types)),
        offered_until=date.fromisoformat(row.offered_until) if row.offered_until else None,
        origin=row.origin,
        model=row.model,
    )
    return EnteredFigures(known, date.fromisoformat(row.read_on), row.actor, row.recorded_ms)
