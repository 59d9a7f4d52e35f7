"""Wanted module versions of entries, and the module lists that adapters told."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import select

from controller.store import audit, configs, events, incidents
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import in_parts, require_version, upsert
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.phonehome import arms_modules
from controller.store.tables.push import entry_modules
from inventory.incidents import IncidentKind
from inventory.modules import Reported, ReportedModule, Wanted, WantedModule, checked


async def wanted(tx: Tx, scope: Scope, entry_id: int) -> Wanted:
    """What an entry wants; nothing at all when nobody has said. Raises NotFound."""
    await configs.require_entry(tx, scope, entry_id)
    row = (await tx.execute(select(entry_modules).where(entry_modules.c.entry_id == entry_id))).one_or_none()
    if row is None:
        return Wanted()
    return Wanted(unpack_wanted(row.modules), row.version, row.at_ms, row.actor)


async def want(
    tx: Tx, scope: Scope, by: By, entry_id: int, modules: Sequence[WantedModule], *, if_version: int | None
) -> Wanted:
    """Replace what an entry wants; an empty list wants nothing. Raises NotFound, BadInput, StaleVersion."""
    kept = checked(modules)
    before = await wanted(tx, scope, entry_id)
    require_version(f"the modules of E-{entry_id}", before.version, if_version)
    values = {
        "modules": to_json([asdict(one) for one in kept]),
        "at_ms": by.at_ms,
        "actor": by.actor,
        "version": before.version + 1,
    }
    made = upsert(tx, entry_modules)
    await tx.execute(
        made.values(entry_id=entry_id, **values).on_conflict_do_update(index_elements=["entry_id"], set_=values)
    )
    facts = {"modules": [f"{one.id}: {one.version}" for one in kept]}
    await events.record(tx, NewEvent("entry.modules", by.at_ms, entry_id=entry_id, facts=facts))
    audit.record(
        tx,
        by,
        "entry.modules",
        f"E-{entry_id}",
        contractor_id=await configs.owner(tx, entry_id),
        before={"modules": [f"{one.id}: {one.version}" for one in before.modules]},
        after=facts,
    )
    await incidents.settle(tx, by, IncidentKind.MODULE, f"entry {entry_id}", "other module versions are wanted")
    return Wanted(kept, before.version + 1, by.at_ms, by.actor)


async def wanted_of(tx: Tx, entry_ids: Collection[int]) -> dict[int, tuple[WantedModule, ...]]:
    """What these entries want. The caller has checked their scope."""
    found: dict[int, tuple[WantedModule, ...]] = {}
    for some in in_parts(entry_ids):
        rows = await tx.execute(select(entry_modules).where(entry_modules.c.entry_id.in_(some)))
        found.update((row.entry_id, unpack_wanted(row.modules)) for row in rows)
    return found


async def report(tx: Tx, adapter_id: int, modules: Sequence[ReportedModule], at_ms: int) -> None:
    """Store the module list that an adapter told (`read-module-list`)."""
    values = {"modules": to_json([asdict(one) for one in modules]), "at_ms": at_ms}
    made = upsert(tx, arms_modules)
    await tx.execute(
        made.values(adapter_id=adapter_id, **values).on_conflict_do_update(index_elements=["adapter_id"], set_=values)
    )


async def reported(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Reported]:
    """The last module lists of these adapters. The caller has checked their scope."""
    found: dict[int, Reported] = {}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(select(arms_modules).where(arms_modules.c.adapter_id.in_(some)))
        for row in rows:
            modules = tuple(ReportedModule(**one) for one in json.loads(row.modules))
            found[row.adapter_id] = Reported(modules, row.at_ms)
    return found


def unpack_wanted(text: str | None) -> tuple[WantedModule, ...]:
    """The modules of a stored text; none of None."""
    return () if text is None else tuple(WantedModule(**one) for one in json.loads(text))
