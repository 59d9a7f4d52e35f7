"""Which adapter sits at a place, as metering sees it: its model and hardware."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from controller.store.database import Tx
from controller.store.tables.inventory import adapters, placements
from inventory.adapters import Life


@dataclass(frozen=True, slots=True)
class Equipment:
    """The adapter that sits in an entry."""

    adapter_id: int
    model_key: str
    hardware: str
    service: str
    device_class: str | None
    failed: bool = False
    """A failure of it is reported: another unit is to take its place, or it is repaired there."""


async def seated(tx: Tx, entry_id: int) -> Equipment | None:
    """The adapter seated in an entry now; None if it is empty."""
    a = adapters.c
    row = (
        await tx.execute(
            select(a.id, a.model, a.hardware, a.service, a.device_class, a.life)
            .join(placements, placements.c.adapter_id == a.id)
            .where(placements.c.entry_id == entry_id, placements.c.to_ms.is_(None))
        )
    ).one_or_none()
    if row is None:
        return None
    failed = row.life == Life.FAILED
    return Equipment(row.id, row.model, row.hardware, row.service, row.device_class, failed)
