"""Newest readings of the configurations of places with links, to look for shapers in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from controller.keyring import Keyring
from controller.store.configs import opened
from controller.store.database import Tx
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.metering import links
from controller.store.tables.push import config_versions
from inventory.plans import ConfigText


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device was found to run; the text holds secrets."""

    version_id: int
    entry_id: int
    model: str
    at_ms: int
    text: ConfigText


async def new_links(tx: Tx, *, after: int) -> tuple[int, list[int]]:
    """The highest number of a link, and the entries of those beyond `after`."""
    rows = (await tx.execute(select(links.c.id, links.c.entry_id).where(links.c.id > after))).all()
    return max((row.id for row in rows), default=after), sorted({row.entry_id for row in rows})


async def readings(
    tx: Tx, keyring: Keyring, *, after: int, limit: int, of_entries: Sequence[int] | None = None
) -> list[Reading]:
    """Newest reading of each occupied place with links, of the adapter that sits there, by version beyond `after`."""
    c = config_versions.c
    among = c.entry_id.in_(select(links.c.entry_id)) if of_entries is None else c.entry_id.in_(of_entries)
    newest = select(func.max(c.id)).where(c.kind == "truth").group_by(c.entry_id)
    rows = await tx.execute(
        select(c.id, c.entry_id, c.kind, c.digest, c.at_ms, c.text_sealed, adapters.c.model)
        .join(placements, placements.c.entry_id == c.entry_id)
        .join(adapters, adapters.c.id == placements.c.adapter_id)
        .where(placements.c.to_ms.is_(None), c.at_ms >= placements.c.from_ms)
        .where(c.id > after, c.id.in_(newest), among)
        .order_by(c.id)
        .limit(limit)
    )
    return [
        Reading(
            row.id,
            row.entry_id,
            row.model,
            row.at_ms,
            opened(keyring, row.text_sealed, row.entry_id, row.kind, row.digest, row.at_ms),
        )
        for row in rows
    ]
