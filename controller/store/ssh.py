"""Contacts of adapters that are reached over SSH: when they last answered, and what they said they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.store.database import Tx
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.ssh import ssh_contacts
from inventory.explain import Contact


@dataclass(frozen=True, slots=True)
class SshContact:
    """The last contact with one adapter over SSH; times are milliseconds UTC, None means never."""

    adapter_id: int
    stage: Contact
    stage_ms: int
    last_seen_ms: int | None
    proven_serial: str | None
    proven_ms: int | None
    firmware: str | None
    refusal: str | None
    quarantine: str | None
    quarantine_ms: int | None


async def contacts(tx: Tx, adapter_ids: Collection[int]) -> dict[int, SshContact]:
    """Contacts of these adapters; those never tried are left out."""
    rows = await tx.execute(select(ssh_contacts).where(ssh_contacts.c.adapter_id.in_(list(adapter_ids))))
    return {row.adapter_id: _contact(row) for row in rows}


async def reached(tx: Tx, adapter_id: int, *, serial: str | None, firmware: str, at_ms: int) -> None:
    """It answered and is who it should be. A quarantine stays until an operator clears it."""
    await _put(
        tx,
        adapter_id,
        {
            "stage": Contact.READY,
            "stage_ms": at_ms,
            "last_seen_ms": at_ms,
            "proven_serial": serial,
            "proven_ms": at_ms,
            "firmware": firmware,
            "refusal": None,
        },
    )


async def missed(tx: Tx, adapter_id: int, *, stage: Contact, reason: str, at_ms: int) -> None:
    """It did not answer (`silent`, `never-seen`) or refused us (`refused`)."""
    await _put(tx, adapter_id, {"stage": stage, "stage_ms": at_ms, "refusal": reason})


async def quarantined(tx: Tx, adapter_id: int, *, reason: str, at_ms: int) -> None:
    """Somebody else answered: nothing is sent there until an operator has looked."""
    await _put(
        tx,
        adapter_id,
        {
            "stage": Contact.REFUSED,
            "stage_ms": at_ms,
            "refusal": reason,
            "quarantine": reason,
            "quarantine_ms": at_ms,
        },
    )


async def release(tx: Tx, adapter_id: int) -> None:
    """An operator has looked: the adapter may be identified again."""
    await tx.execute(
        update(ssh_contacts)
        .where(ssh_contacts.c.adapter_id == adapter_id)
        .values(quarantine=None, quarantine_ms=None, refusal=None)
    )


async def to_watch(tx: Tx) -> list[int]:
    """Numbers of the seated adapters on path `ssh` that are not in quarantine, in their order."""
    shut = select(ssh_contacts.c.adapter_id).where(ssh_contacts.c.quarantine.is_not(None))
    found = await tx.scalars(
        select(adapters.c.id)
        .join(placements, placements.c.adapter_id == adapters.c.id)
        .where(adapters.c.path == "ssh", placements.c.to_ms.is_(None), adapters.c.id.not_in(shut))
        .order_by(adapters.c.id)
    )
    return list(found)


async def _put(tx: Tx, adapter_id: int, values: dict[str, object]) -> None:
    made = sqlite.insert(ssh_contacts) if tx.dialect.name == "sqlite" else postgresql.insert(ssh_contacts)
    await tx.execute(
        made.values(adapter_id=adapter_id, **values).on_conflict_do_update(index_elements=["adapter_id"], set_=values)
    )


def _contact(row: Row[Any]) -> SshContact:
    return SshContact(
        adapter_id=row.adapter_id,
        stage=Contact(row.stage),
        stage_ms=row.stage_ms,
        last_seen_ms=row.last_seen_ms,
        proven_serial=row.proven_serial,
        proven_ms=row.proven_ms,
        firmware=row.firmware,
        refusal=row.refusal,
        quarantine=row.quarantine,
        quarantine_ms=row.quarantine_ms,
    )
