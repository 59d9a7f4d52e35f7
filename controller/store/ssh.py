"""Contacts of adapters that are reached over SSH: when they last answered, and what they said they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Executable, Row, bindparam, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.push import device_locks
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
    credential_refused_ms: int | None
    """When it refused the credential that it still has on record; None: it did not."""


_SOME: Final = direct(
    select(ssh_contacts).where(ssh_contacts.c.adapter_id.in_(bindparam("of_adapters", expanding=True)))
)


async def contacts(tx: Tx, adapter_ids: Collection[int]) -> dict[int, SshContact]:
    """Contacts of these adapters; those never tried are left out."""
    rows = await tx.execute(_SOME, {"of_adapters": list(adapter_ids)})
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
            "credential_refused_ms": None,
        },
    )


async def missed(tx: Tx, adapter_id: int, *, stage: Contact, reason: str, at_ms: int, credential: bool = False) -> None:
    """It did not answer (`silent`, `never-seen`) or refused us (`refused`), for its `credential` if that is so."""
    values: dict[str, object] = {"stage": stage, "stage_ms": at_ms, "refusal": reason}
    await _put(tx, adapter_id, {**values, "credential_refused_ms": at_ms} if credential else values)


async def suspect(tx: Tx, adapter_id: int) -> str | None:
    """What it said when it refused the credential on record; None: it did not, or a push is under way on it."""
    held = select(device_locks.c.adapter_id).where(device_locks.c.adapter_id == adapter_id)
    refusal: str | None = await tx.scalar(
        select(ssh_contacts.c.refusal).where(
            ssh_contacts.c.adapter_id == adapter_id,
            ssh_contacts.c.credential_refused_ms.is_not(None),
            ~held.exists(),
        )
    )
    return refusal


async def endpoint_changed(tx: Tx, adapter_id: int, at_ms: int) -> None:
    """Where or as whom it is reached is new: what it refused before says nothing of that."""
    seen = ssh_contacts.c.last_seen_ms.is_not(None)
    await tx.execute(
        update(ssh_contacts)
        .where(
            ssh_contacts.c.adapter_id == adapter_id,
            ssh_contacts.c.stage == Contact.REFUSED,
            ssh_contacts.c.quarantine.is_(None),
        )
        .values(
            stage=case((seen, Contact.SILENT.value), else_=Contact.NEVER_SEEN.value),
            stage_ms=at_ms,
            refusal=None,
            credential_refused_ms=None,
        )
    )


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
    """Numbers of the seated adapters on path `ssh` that are not in quarantine and have not refused their credential,
    in their order."""
    shut = select(ssh_contacts.c.adapter_id).where(
        or_(ssh_contacts.c.quarantine.is_not(None), ssh_contacts.c.credential_refused_ms.is_not(None))
    )
    found = await tx.scalars(
        select(adapters.c.id)
        .join(placements, placements.c.adapter_id == adapters.c.id)
        .where(adapters.c.path == "ssh", placements.c.to_ms.is_(None), adapters.c.id.not_in(shut))
        .order_by(adapters.c.id)
    )
    return list(found)


async def _put(tx: Tx, adapter_id: int, values: dict[str, object]) -> None:
    await tx.execute(
        _upsert(tx.dialect.name, tuple(values)),
        {"adapter_id": adapter_id, **{f"new_{k}": v for k, v in values.items()}},
    )


@cache
def _upsert(dialect: str, names: tuple[str, ...]) -> Executable:
    made = sqlite.insert(ssh_contacts) if dialect == "sqlite" else postgresql.insert(ssh_contacts)
    new = {name: bindparam(f"new_{name}", type_=ssh_contacts.c[name].type) for name in names}
    put = made.values(adapter_id=bindparam("adapter_id"), **new)
    return direct(
        put.on_conflict_do_update(index_elements=["adapter_id"], set_={name: made.excluded[name] for name in names})
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
        credential_refused_ms=row.credential_refused_ms,
    )
