"""Rows of phone-home: contacts and claims; identities and boots have files of their own.

What operators read takes a scope. Contacts, claims and events are written in batches, one transaction each
(architecture §3a.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, delete, or_, select, update

from controller.store import boots, bulk, heartbeats, startups
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.scope import Scope
from controller.store.startups import Proof
from controller.store.tables.inventory import adapters, entries, managements, placements
from controller.store.tables.phonehome import arms_claims, arms_contacts
from inventory.catalogue import DeviceClass, Service
from inventory.contacts import Claim, ContactRecord, RefusedBeats
from inventory.errors import NotFound
from inventory.explain import Contact

MAX_CLAIMS: Final = 10_000
"""Anybody can claim anything: only the latest are kept."""


async def contact(tx: Tx, scope: Scope, adapter_id: int) -> ContactRecord:
    """The last contact with an adapter. Raises NotFound when it does not phone home or is out of scope."""
    query = (
        select(arms_contacts)
        .join(adapters, adapters.c.id == arms_contacts.c.adapter_id)
        .where(arms_contacts.c.adapter_id == adapter_id)
    )
    if scope.contractor_id is not None:
        owner = (
            select(managements.c.contractor_id)
            .join(entries, entries.c.management_id == managements.c.id)
            .join(placements, placements.c.entry_id == entries.c.id)
            .where(placements.c.adapter_id == adapter_id, placements.c.to_ms.is_(None))
            .scalar_subquery()
        )
        query = query.where((adapters.c.contractor_id == scope.contractor_id) | (owner == scope.contractor_id))
    row = (await tx.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"adapter {adapter_id} does not phone home", next_step="List the adapters.")
    return _contact(row)


@dataclass(frozen=True, slots=True)
class SeenAt:
    """From where an adapter was last in contact."""

    adapter_id: int
    serial: str
    service: Service
    device_class: DeviceClass | None
    source: str
    seen_ms: int


async def seen_since(tx: Tx, since_ms: int) -> list[SeenAt]:
    """Adapters that were in contact since an instant, with their last source; for the daemon itself."""
    query = (
        select(
            adapters.c.id,
            adapters.c.serial_shown,
            adapters.c.service,
            adapters.c.device_class,
            arms_contacts.c.source,
            arms_contacts.c.last_seen_ms,
        )
        .join(arms_contacts, arms_contacts.c.adapter_id == adapters.c.id)
        .where(arms_contacts.c.last_seen_ms >= since_ms, arms_contacts.c.source.is_not(None))
        .order_by(adapters.c.id)
    )
    return [SeenAt(*row) for row in await tx.execute(query)]


async def contacts(tx: Tx, adapter_ids: Iterable[int] | None = None) -> list[ContactRecord]:
    """The contacts of these adapters, or of all; for the daemon itself."""
    query = select(arms_contacts)
    if adapter_ids is not None:
        query = query.where(arms_contacts.c.adapter_id.in_(list(adapter_ids)))
    return [_contact(row) for row in (await tx.execute(query)).mappings()]


def _contact(row: RowMapping) -> ContactRecord:
    values = dict(row)
    return ContactRecord(**{**values, "stage": Contact(values["stage"]), "tunnel_open": bool(values["tunnel_open"])})


async def claims(tx: Tx, *, after: int = 0, limit: int = 50) -> list[Claim]:
    """Claims in the order of their ids; they belong to nobody, so only the provider lists them."""
    rows = await tx.execute(select(arms_claims).where(arms_claims.c.id > after).order_by(arms_claims.c.id).limit(limit))
    return [Claim(**row) for row in rows.mappings()]


@dataclass(slots=True)
class Batch:
    """What has been noted since the last write; merged, so that a storm costs a row per adapter."""

    contacts: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Changed columns of `arms_contacts` by adapter. `tunnel_open` 0 is written only where no other node has one."""
    node: str | None = None
    """The node that has noted it."""
    refusals: dict[int, int] = field(default_factory=dict)
    """How often each adapter was refused."""
    claims: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    """(claimed, source, reason) → [first_ms, last_ms, count]."""
    boots: boots.Noted = field(default_factory=boots.Noted)
    proofs: list[Proof] = field(default_factory=list)
    """Startup versions that a boot has shown to work."""

    beats: dict[tuple[int, str], RefusedBeats] = field(default_factory=dict)
    """(adapter, reason) → heartbeats that were refused in its name."""

    def __bool__(self) -> bool:
        return bool(self.contacts or self.refusals or self.claims or self.boots or self.proofs or self.beats)


_TUNNEL_ENDED: Final = (
    update(arms_contacts)
    .where(
        arms_contacts.c.adapter_id == bindparam("of_adapter"),
        or_(arms_contacts.c.node.is_(None), arms_contacts.c.node == bindparam("of_node")),
    )
    .values(tunnel_open=0)
)


async def write(tx: Tx, batch: Batch) -> None:
    """Write a batch in the open transaction."""
    by_columns: dict[tuple[str, ...], list[tuple[object, ...]]] = defaultdict(list)
    ended: list[Mapping[str, Any]] = []
    for adapter_id, values in batch.contacts.items():
        told = values
        if batch.node is not None and tx.dialect.name == "postgresql" and told.get("tunnel_open") == 0:
            told = {column: value for column, value in values.items() if column != "tunnel_open"}
            ended.append({"of_adapter": adapter_id, "of_node": batch.node})
        if told:
            by_columns[tuple(told)].append((*told.values(), adapter_id))
    for columns, rows in by_columns.items():
        named = ", ".join(f"{arms_contacts.c[column].name} = ?" for column in columns)
        await bulk.execute(tx, f"UPDATE arms_contacts SET {named} WHERE adapter_id = ?", rows)  # noqa: S608 (columns)
    if ended:
        await tx.execute(_TUNNEL_ENDED, ended)
    if batch.refusals:
        await tx.execute(
            update(arms_contacts)
            .where(arms_contacts.c.adapter_id == bindparam("of_adapter"))
            .values(refusal_count=arms_contacts.c.refusal_count + bindparam("more")),
            [{"of_adapter": adapter_id, "more": count} for adapter_id, count in batch.refusals.items()],
        )
    await boots.write(tx, batch.boots)
    await startups.proved(tx, batch.proofs)
    await heartbeats.count_refused(tx, batch.beats)
    if batch.claims:
        await _write_claims(tx, batch.claims)


async def _write_claims(tx: Tx, noted: Mapping[tuple[str, str, str], list[int]]) -> None:
    rows = [
        {"claimed": claimed, "source": source, "reason": reason, "first_ms": first, "last_ms": last, "count": count}
        for (claimed, source, reason), (first, last, count) in noted.items()
    ]
    statement = upsert(tx, arms_claims)
    statement = statement.on_conflict_do_update(
        index_elements=["claimed", "source", "reason"],
        set_={
            "last_ms": statement.excluded.last_ms,
            "count": arms_claims.c["count"] + statement.excluded["count"],
        },
    )
    await tx.execute(statement, rows)
    oldest = select(arms_claims.c.id).order_by(arms_claims.c.last_ms.desc()).offset(MAX_CLAIMS)
    await tx.execute(delete(arms_claims).where(arms_claims.c.id.in_(oldest)))
