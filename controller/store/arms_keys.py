"""Rotation of an adapter's keys, and its certificate, in the database. What is accepted when: `inventory.keys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, select, update

from controller.keyring import Keyring, new_key
from controller.store.database import Tx
from controller.store.identities import by_adapter, context
from controller.store.rows import in_parts, not_found
from controller.store.tables.inventory import adapters
from controller.store.tables.phonehome import arms_contacts, arms_identities
from inventory.adapters import FINAL
from inventory.contacts import ArmsIdentity
from inventory.errors import Conflict
from inventory.keys import KeyKind, Keys, deadline
from inventory.secrets import Secret


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """How the certificate of an adapter stands; instants in milliseconds UTC."""

    pem: str | None
    until_ms: int | None
    made_ms: int | None
    rotated_ms: int | None
    """When an operator last asked for a new one."""
    delivered_ms: int | None
    serial: str | None
    delivered_serial: str | None
    """Of the one that a config pull last brought."""

    @property
    def making(self) -> bool:
        """A new one was asked for and is not made yet."""
        return self.pem is None or self.until_ms == 0

    @property
    def waiting(self) -> bool:
        """It was made and no config pull has fetched it yet."""
        return not self.making and (self.delivered_serial is None or self.delivered_serial != self.serial)


async def rotate(
    tx: Tx,
    keyring: Keyring,
    adapter_id: int,
    kind: KeyKind,
    *,
    at_ms: int,
    at_once: bool = False,
    deadline_s: int | None = None,
    forget: bool = False,
) -> Secret | None:
    """A new key of that kind; the LS key is returned, this once.

    The old one goes on being accepted until the adapter has the new one, or, for an LS or RS key, until the deadline;
    `at_once` ends it now, and `forget` then also forgets that the adapter has it. Raises Conflict while a rotation is
    in flight, BadInput for a deadline that has no meaning, NotFound for an adapter that does not phone home.
    """
    (identity,) = await by_adapter(tx, keyring, [adapter_id]) or (None,)
    if identity is None:
        raise not_found("ARMS identity of this adapter")
    until_ms = deadline(kind, deadline_s, at_ms, at_once=at_once)
    key = new_key()

    def seal(secret: Secret | None, column: str) -> bytes | None:
        return None if secret is None else keyring.seal(secret, context=context(column, adapter_id))

    done = True
    match kind:
        case "ls":
            before = identity.ls_keys.rotated_ms
            ls = identity.ls_keys.rotate(keyring.digest(key), at_ms, deadline_ms=until_ms, at_once=at_once)
            done = await _set_of(
                tx,
                adapter_id,
                "ls_rotated_ms",
                before,
                ls_key_digest=ls.current,
                previous_ls_key_digest=ls.previous,
                ls_rotated_ms=ls.rotated_ms,
                ls_deadline_ms=ls.deadline_ms,
            )
        case "rs":
            before = identity.rs_keys.rotated_ms
            rs = identity.rs_keys.rotate(key, at_ms, deadline_ms=until_ms, at_once=at_once)
            done = await _set_of(
                tx,
                adapter_id,
                "rs_rotated_ms",
                before,
                rs_key_sealed=seal(rs.current, "rs_key"),
                previous_rs_key_sealed=None if forget else seal(rs.previous, "previous"),
                rs_rotated_ms=rs.rotated_ms,
                rs_deadline_ms=rs.deadline_ms,
            )
        case "heartbeat":
            before = identity.passphrases.rotated_ms
            heartbeat = identity.passphrases.rotate(key, at_ms, at_once=at_once)
            done = await _set_of(
                tx,
                adapter_id,
                "passphrase_rotated_ms",
                before,
                passphrase_sealed=seal(heartbeat.current, "passphrase"),
                previous_passphrase_sealed=None if at_once else seal(heartbeat.previous, "previous_passphrase"),
                passphrase_rotated_ms=heartbeat.rotated_ms,
                passphrase_delivered_ms=None,
            )
        case "certificate":
            await _set(tx, adapter_id, certificate_rotated_ms=at_ms, certificate_until_ms=0)
            if at_once:  # '' is the number of none
                await _set(tx, adapter_id, certificate_serial="", previous_certificate_serial=None)
    if not done:
        raise Conflict("somebody rotates this key at the same moment", next_step="Look at the keys, and decide again.")
    return key if kind == "ls" else None


async def unseated(tx: Tx, keyring: Keyring, adapter_id: int, *, at_ms: int) -> None:
    """The unit lost its place: what it was given to stand there ends now (architecture §6). No-op without identity."""
    if not await by_adapter(tx, keyring, [adapter_id]):
        return
    await rotate(tx, keyring, adapter_id, "rs", at_ms=at_ms, at_once=True, forget=True)
    await rotate(tx, keyring, adapter_id, "heartbeat", at_ms=at_ms, at_once=True)


async def fetched(tx: Tx, adapter_id: int, rs: Keys[Secret]) -> None:
    """The LS has handed out this RS key: the one before ends. A rotation since then is left alone."""
    await _set_of(tx, adapter_id, "rs_rotated_ms", rs.rotated_ms, previous_rs_key_sealed=None, rs_deadline_ms=None)


async def ls_key_used(tx: Tx, adapter_id: int, ls: Keys[bytes]) -> None:
    """The new LS key was used, or the deadline of the old one has passed: the old one ends."""
    await _set_of(tx, adapter_id, "ls_rotated_ms", ls.rotated_ms, previous_ls_key_digest=None, ls_deadline_ms=None)


async def passphrase_delivered(tx: Tx, adapter_id: int, passphrases: Keys[Secret], *, at_ms: int) -> None:
    """A config pull has handed out this passphrase: the one before has its grace from now."""
    await _set_of(tx, adapter_id, "passphrase_rotated_ms", passphrases.rotated_ms, passphrase_delivered_ms=at_ms)


async def passphrase_settled(tx: Tx, adapter_id: int, passphrases: Keys[Secret]) -> None:
    """The grace is over."""
    await _set_of(
        tx,
        adapter_id,
        "passphrase_rotated_ms",
        passphrases.rotated_ms,
        previous_passphrase_sealed=None,
        passphrase_delivered_ms=None,
    )


async def allow_legacy_tls(tx: Tx, adapter_id: int, allowed: bool | None) -> None:
    """Whether this adapter may speak TLS below 1.2 where the listeners do; None: as the settings say."""
    await _set(tx, adapter_id, legacy_tls=None if allowed is None else int(allowed))


async def rotating(tx: Tx) -> list[int]:
    """Adapters with an RS key, passphrase or certificate that is being rotated; for the daemon, once at its start."""
    unfinished = or_(
        arms_identities.c.previous_rs_key_sealed.is_not(None),
        arms_identities.c.previous_passphrase_sealed.is_not(None),
        arms_identities.c.certificate_rotated_ms.is_not(None),
    )
    return list((await tx.execute(select(arms_identities.c.adapter_id).where(unfinished))).scalars())


async def rotating_among(tx: Tx, keyring: Keyring, adapter_ids: Sequence[int]) -> list[ArmsIdentity]:
    """Those of these adapters that have any key in rotation."""
    unfinished = or_(
        arms_identities.c.previous_ls_key_digest.is_not(None),
        arms_identities.c.previous_rs_key_sealed.is_not(None),
        arms_identities.c.previous_passphrase_sealed.is_not(None),
        arms_identities.c.certificate_rotated_ms.is_not(None),
    )
    found: list[int] = []
    for some in in_parts(adapter_ids):
        query = select(arms_identities.c.adapter_id).where(unfinished, arms_identities.c.adapter_id.in_(some))
        found += (await tx.execute(query)).scalars()
    return await by_adapter(tx, keyring, found) if found else []


# --- certificates ---------------------------------------------------------------------------------------------------


async def certificates_due(
    tx: Tx, *, authority: str, before_ms: int, limit: int, of: int | None = None
) -> list[tuple[int, str]]:
    """Adapter and distribution id of identities that need a certificate: those that have none, one of another
    authority, or one that ends before that instant; of all adapters, or of one."""
    query = (
        select(arms_identities.c.adapter_id, arms_identities.c.distribution_id)
        .join(adapters, adapters.c.id == arms_identities.c.adapter_id)
        .where(
            adapters.c.life.not_in([life.value for life in FINAL]),
            or_(
                arms_identities.c.certificate.is_(None),
                arms_identities.c.certificate_authority.is_(None),
                arms_identities.c.certificate_authority != authority,
                arms_identities.c.certificate_until_ms < before_ms,
            ),
        )
        .limit(limit)
    )
    if of is not None:
        query = query.where(arms_identities.c.adapter_id == of)
    return [(row.adapter_id, row.distribution_id) for row in await tx.execute(query)]


async def put_certificate(
    tx: Tx,
    keyring: Keyring,
    adapter_id: int,
    certificate: str,
    key: Secret,
    *,
    authority: str,
    made_ms: int,
    until_ms: int,
    serial: str,
    known: str | None,
    former: str | None = None,
) -> bool:
    """Store the certificate of an adapter; its next config pull brings it, and until then the one that it has stands.

    `serial` is its serial number, `known` the remembered one when it was begun: when that is another now, somebody else
    has made one, which may be on its way to the adapter, and this one is dropped (False). `former` is the number of the
    one stored now, which counts where none was remembered.
    """
    identity = arms_identities.c
    delivered = (
        select(arms_contacts.c.certificate_delivered_serial).where(arms_contacts.c.adapter_id == adapter_id)
    ).scalar_subquery()
    stored = func.coalesce(identity.certificate_serial, former)
    it_has = case((delivered == stored, stored), else_=identity.previous_certificate_serial)
    done = await tx.execute(
        update(arms_identities)
        .where(identity.adapter_id == adapter_id, identity.certificate_serial.is_not_distinct_from(known))
        .values(
            certificate=certificate,
            certificate_key_sealed=keyring.seal(key, context=context("certificate_key", adapter_id)),
            certificate_authority=authority,
            certificate_made_ms=made_ms,
            certificate_until_ms=until_ms,
            certificate_serial=serial,
            previous_certificate_serial=func.coalesce(it_has, stored),
        )
    )
    return bool(done.rowcount)


async def certificates(tx: Tx, adapter_ids: Sequence[int]) -> dict[int, CertificateRecord]:
    """How the certificates of these adapters stand; those without an identity are left out."""
    rows = await tx.execute(
        select(
            arms_identities.c.adapter_id,
            arms_identities.c.certificate,
            arms_identities.c.certificate_until_ms,
            arms_identities.c.certificate_made_ms,
            arms_identities.c.certificate_rotated_ms,
            arms_contacts.c.certificate_delivered_ms,
            arms_identities.c.certificate_serial,
            arms_contacts.c.certificate_delivered_serial,
        )
        .join(arms_contacts, arms_contacts.c.adapter_id == arms_identities.c.adapter_id)
        .where(arms_identities.c.adapter_id.in_(adapter_ids))
    )
    return {row[0]: CertificateRecord(*row[1:]) for row in rows}


async def certificate_settled(tx: Tx, adapter_id: int, record: CertificateRecord) -> None:
    """The adapter has the certificate that was asked for."""
    await _set_of(tx, adapter_id, "certificate_rotated_ms", record.rotated_ms, certificate_rotated_ms=None)


async def in_contact(tx: Tx) -> int:
    """How many adapters in service have ever been in contact: they trust the authorities that they were told of."""
    query = (
        select(func.count())
        .select_from(arms_contacts)
        .join(adapters, adapters.c.id == arms_contacts.c.adapter_id)
        .where(arms_contacts.c.last_seen_ms.is_not(None), adapters.c.life.not_in([life.value for life in FINAL]))
    )
    return int(await tx.scalar(query) or 0)


async def _set(tx: Tx, adapter_id: int, **columns: Any) -> None:
    await tx.execute(update(arms_identities).where(arms_identities.c.adapter_id == adapter_id).values(**columns))


async def _set_of(tx: Tx, adapter_id: int, name: str, rotation_ms: int | None, **columns: Any) -> bool:
    """Only while that rotation is still the newest; whether it was."""
    done = await tx.execute(
        update(arms_identities)
        .where(arms_identities.c.adapter_id == adapter_id, arms_identities.c[name] == rotation_ms)
        .values(**columns)
    )
    return bool(done.rowcount)
