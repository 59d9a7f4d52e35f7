"""What a proposal has to know of the contract behind a place: prices, the adapter's line, whether it is ending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select

from controller.store import contracts, links, managements, prices
from controller.store.database import Tx
from controller.store.rows import in_parts, upsert
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.contracts import line_links
from controller.store.tables.inventory import adapters as adapter_table
from controller.store.tables.inventory import entries, placements
from controller.store.tables.inventory import managements as management_table
from controller.store.tables.metering import proposal_checks
from inventory.catalogue import model
from inventory.prices import PriceList
from inventory.proposalmoney import OldLine, item_for


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """The contract behind an entry, as a proposal needs it."""

    prices: PriceList
    suspended: bool
    ends: date | None
    """Last day of service of the management, once it is known."""
    line: OldLine | None
    """Of the seated adapter; None for one without a line that is charged, and for what the customer bought."""
    options: frozenset[str] = frozenset()
    """Options in service on the adapter's line, by kind: another model must be able to have them."""


@dataclass(frozen=True, slots=True)
class Check:
    """What the last daily look at a link came to (metering §7.1)."""

    link_id: int
    day: date
    proposed: bool
    reason: str
    made_ms: int
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the reason rests on, JSON-ready."""


async def of_entry(tx: Tx, entry_id: int, today: date) -> ContractFacts:
    """The facts of today. An entry without contract lines has none of the dates, and is not suspended by them."""
    query = (
        select(management_table.c.id, management_table.c.contractor_id)
        .join(entries, entries.c.management_id == management_table.c.id)
        .where(entries.c.id == entry_id)
    )
    place = (await tx.execute(query)).one()
    management = await managements.get(tx, Scope.everything(), place.id)
    line = await contracts.line_of_management(tx, place.id)
    standing = [] if line is None else await contracts.standing(tx, [line], today)
    seated = await _seated(tx, entry_id)
    return ContractFacts(
        prices=await prices.price_list(tx, place.contractor_id),
        suspended=management.suspended is not None,
        ends=standing[0].contract.effective if standing else None,
        line=None if seated is None else await _line(tx, seated, today),
        options=frozenset() if seated is None else await _options(tx, seated, today),
    )


async def _seated(tx: Tx, entry_id: int) -> AnyRow | None:
    """The newest line of the adapter that sits there, with its model and class."""
    query = (
        select(line_links.c.line_id, adapter_table.c.model, adapter_table.c.device_class)
        .join(adapter_table, adapter_table.c.id == line_links.c.adapter_id)
        .join(placements, placements.c.adapter_id == adapter_table.c.id)
        .where(placements.c.entry_id == entry_id, placements.c.to_ms.is_(None))
        .order_by(line_links.c.id.desc())
    )
    found: AnyRow | None = (await tx.execute(query)).first()
    return found


async def _options(tx: Tx, row: AnyRow, today: date) -> frozenset[str]:
    line = await contracts.line(tx, Scope.everything(), row.line_id)
    every = [one for one in await contracts.lines_of(tx, line.contractor_id) if one.on_line_id == line.id]
    return frozenset(
        one.line.kind for one in await contracts.standing(tx, every, today) if one.contract.effective is None
    )


async def _line(tx: Tx, row: AnyRow, today: date) -> OldLine | None:
    if row.device_class == "III":
        return None
    line = await contracts.line(tx, Scope.everything(), row.line_id)
    found = await contracts.standing(tx, [line], today)
    if not found or found[0].contract.billing_start is None or line.kind not in ("adapter", "adapter-rental"):
        return None
    service, wanted = line.service, line.wanted
    now = item_for(service, wanted.device_class, model(row.model).key)
    concluded = item_for(service, wanted.device_class, model(wanted.model or row.model).key)
    return OldLine(line.key, now, concluded if service == "smfsx" else now, found[0].contract.billing_start)


async def interfaces_of_model(tx: Tx, model_key: str) -> list[tuple[int, str]]:
    """Metered interfaces of the places where an adapter of a model sits, by (entry, interface)."""
    query = (
        select(placements.c.entry_id)
        .join(adapter_table, adapter_table.c.id == placements.c.adapter_id)
        .where(placements.c.to_ms.is_(None), adapter_table.c.model == model_key)
    )
    found: list[tuple[int, str]] = []
    for some in in_parts(sorted(await tx.scalars(query))):
        for link in await links.of_entries(tx, Scope.everything(), some):
            found += [(link.entry_id, port.interface) for port in link.ports]
    return found


async def put_check(tx: Tx, check: Check) -> None:
    """Write what the look of today came to, over the one before."""
    values = {
        "day": check.day.isoformat(),
        "proposed": int(check.proposed),
        "reason": check.reason,
        "made_ms": check.made_ms,
        "facts": to_json(dict(check.facts)),
    }
    statement = upsert(tx, proposal_checks).values(link_id=check.link_id, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["link_id"], set_=values))


async def check(tx: Tx, link_id: int) -> Check | None:
    """The last look at a link; None before the first."""
    row = (await tx.execute(select(proposal_checks).where(proposal_checks.c.link_id == link_id))).one_or_none()
    return (
        None
        if row is None
        else Check(
            row.link_id,
            date.fromisoformat(row.day),
            bool(row.proposed),
            row.reason,
            row.made_ms,
            json.loads(row.facts) if row.facts else {},
        )
    )
