"""Shapes of what adapters run, kept by reading, and on how many adapters of a model one stands."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, bindparam, func, insert, select

from controller.keyring import Keyring
from controller.store.configs import opened
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.rows import in_parts
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.push import config_shapes, config_versions
from inventory.catalogue import model
from inventory.plans import ConfigText


@dataclass(frozen=True, slots=True)
class Unlearnt:
    """A last reading whose shapes are not known yet; the text holds secrets."""

    version_id: int
    family: str
    text: ConfigText


async def unlearnt(tx: Tx, keyring: Keyring, limit: int) -> list[Unlearnt]:
    """Last readings of occupied places whose shapes are not known yet, at most so many."""
    columns = (
        config_versions.c.id,
        config_versions.c.entry_id,
        config_versions.c.kind,
        config_versions.c.digest,
        config_versions.c.at_ms,
        config_versions.c.text_sealed,
        adapters.c.model,
    )
    rows = await tx.execute(
        select(*columns)
        .join(placements, placements.c.entry_id == config_versions.c.entry_id)
        .join(adapters, adapters.c.id == placements.c.adapter_id)
        .where(placements.c.to_ms.is_(None), config_versions.c.id.in_(_last_readings()))
        .where(config_versions.c.at_ms >= placements.c.from_ms)
        .where(config_versions.c.id.not_in(select(config_shapes.c.version_id)))
        .order_by(config_versions.c.id)
        .limit(limit)
    )
    return [
        Unlearnt(
            row.id,
            model(row.model).family,
            opened(keyring, row.text_sealed, row.entry_id, row.kind, row.digest, row.at_ms),
        )
        for row in rows
    ]


async def learn(tx: Tx, version_id: int, shapes: Collection[int] | None) -> None:
    """Keep the shapes of a reading; None for one that cannot be read. Repeatable."""
    known = await tx.scalar(select(config_shapes.c.version_id).where(config_shapes.c.version_id == version_id))
    if known is None:
        packed = None if shapes is None else struct.pack(f">{len(shapes)}Q", *sorted(shapes))
        await tx.execute(insert(config_shapes).values(version_id=version_id, shapes=packed))


async def standing(tx: Tx, adapter_id: int, shapes: Collection[int]) -> tuple[Counter[int], int]:
    """On how many adapters of its model each of these shapes stands, and how many were counted, itself included."""
    wanted = set(shapes)
    alike = await tx.scalars(_ALIKE, {"of_adapter": adapter_id})
    versions = alike.all()
    found: Counter[int] = Counter()
    for some in in_parts(versions):
        query = select(config_shapes.c.shapes).where(config_shapes.c.version_id.in_(some))
        for packed in await tx.scalars(query):
            found.update(wanted.intersection(struct.unpack(f">{len(packed) // 8}Q", packed)))
    return found, len(versions)


def _last_readings() -> Select[tuple[int]]:
    newest = select(func.max(config_versions.c.id)).where(config_versions.c.kind == "truth")
    return newest.group_by(config_versions.c.entry_id)


_OF_ADAPTER: Final = select(adapters.c.model).where(adapters.c.id == bindparam("of_adapter")).scalar_subquery()
_ALIKE: Final = direct(
    select(config_shapes.c.version_id)
    .join(config_versions, config_versions.c.id == config_shapes.c.version_id)
    .join(placements, placements.c.entry_id == config_versions.c.entry_id)
    .join(adapters, adapters.c.id == placements.c.adapter_id)
    .where(placements.c.to_ms.is_(None), config_shapes.c.version_id.in_(_last_readings()))
    .where(config_versions.c.at_ms >= placements.c.from_ms, config_shapes.c.shapes.is_not(None))
    .where(adapters.c.model == _OF_ADAPTER)
)
