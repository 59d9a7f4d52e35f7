"""Identities of adapters that phone home: made once, sealed, and read by the daemon as itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    ScalarSelect,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from controller.keyring import Keyring, new_key
from controller.store.database import Tx
from controller.store.tables.contracts import control_stops
from controller.store.tables.inventory import adapters, checklist_items, entries, placements, standbys, suspensions
from controller.store.tables.operations import operations
from controller.store.tables.phonehome import arms_contacts, arms_identities
from controller.store.tables.push import device_locks
from inventory import onboarding
from inventory.adapters import Life, SerialNumber
from inventory.admission import Place
from inventory.catalogue import model
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput, Conflict
from inventory.explain import Contact
from inventory.keys import Keys, accepted_certificates
from inventory.operations import HOLDING
from inventory.secrets import Secret

BEGUN: Final = tuple(sorted(state.value for state in HOLDING))
"""States of an operation that the adapter is at work on, or has to answer for."""


async def provision(
    tx: Tx, keyring: Keyring, adapter_id: int, *, distribution_id: str, at_ms: int, ls_key: Secret | None = None
) -> Secret:
    """Give an adapter its ARMS identity and return its LS key; this is the only time it is shown.

    `ls_key` is one that the installer or the factory has already written into the device (8 to 64 visible ASCII
    characters); None makes a random one. The certificate follows in the background. Raises BadInput, or Conflict
    when the adapter or the distribution id has an identity.
    """
    key = ls_key or new_key()
    text = key.reveal()
    if not 8 <= len(text) <= 64 or not text.isascii() or not text.isprintable() or " " in text:
        raise BadInput("an LS key has 8 to 64 visible ASCII characters", field="ls_key")
    try:
        await tx.execute(
            insert(arms_identities).values(
                adapter_id=adapter_id,
                distribution_id=distribution_id,
                ls_key_digest=keyring.digest(key),
                rs_key_sealed=keyring.seal(new_key(), context=context("rs_key", adapter_id)),
                passphrase_sealed=keyring.seal(new_key(), context=context("passphrase", adapter_id)),
                made_ms=at_ms,
            )
        )
    except IntegrityError:
        raise Conflict(
            f"the adapter or the distribution id {distribution_id} has an ARMS identity already",
            field="distribution_id",
            next_step="Look the distribution id up; one identity belongs to one adapter for ever.",
        ) from None
    await tx.execute(
        insert(arms_contacts).values(adapter_id=adapter_id, stage=Contact.NEVER_SEEN, tunnel_open=0, refusal_count=0)
    )
    return key


async def shut_out(tx: Tx, adapter_id: int, reason: str | None) -> None:
    """Deliberate shut-out by an operator (501), or None to let it in again."""
    await tx.execute(update(arms_identities).where(arms_identities.c.adapter_id == adapter_id).values(shut_out=reason))


def context(column: str, adapter_id: int) -> str:
    """What a sealed value of an identity is bound to."""
    return f"arms_identities.{column}.{adapter_id}"


def _unentitled(column: Column[int], number: ColumnElement[int]) -> ScalarSelect[str]:
    """Words and rule of the open stop on an adapter or a management."""
    return (
        select(control_stops.c.reason + " (" + control_stops.c.rule + ")")
        .where(column == number, control_stops.c.to_ms.is_(None))
        .scalar_subquery()
    )


def _identities() -> Select[Any]:
    """Identity, adapter, open placement, its management and that one's open suspension."""
    management = func.coalesce(entries.c.management_id, standbys.c.management_id)
    of_management = _unentitled(control_stops.c.management_id, management)
    begun = select(operations.c.id).where(operations.c.adapter_id == adapters.c.id, operations.c.state.in_(BEGUN))
    pushed = select(device_locks.c.adapter_id).where(device_locks.c.adapter_id == adapters.c.id)
    return (
        select(
            arms_identities,
            adapters.c.serial_shown,
            adapters.c.model,
            adapters.c.contractor_id,
            adapters.c.device_class,
            adapters.c.life,
            placements.c.entry_id,
            placements.c.standby_id,
            management.label("management_id"),
            suspensions.c.reason.label("suspended"),
            func.coalesce(_unentitled(control_stops.c.adapter_id, adapters.c.id), of_management).label("unentitled"),
            or_(begun.exists(), pushed.exists()).label("finishing"),
            arms_contacts.c.quarantine,
            arms_contacts.c.ls_ms,
            arms_contacts.c.certificate_delivered_ms,
            arms_contacts.c.certificate_delivered_serial,
            arms_contacts.c.tls,
            arms_contacts.c.tls_best,
        )
        .join(adapters, adapters.c.id == arms_identities.c.adapter_id)
        .join(arms_contacts, arms_contacts.c.adapter_id == arms_identities.c.adapter_id)
        .outerjoin(placements, (placements.c.adapter_id == adapters.c.id) & placements.c.to_ms.is_(None))
        .outerjoin(entries, entries.c.id == placements.c.entry_id)
        .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
        .outerjoin(suspensions, (suspensions.c.management_id == management) & suspensions.c.to_ms.is_(None))
    )


# Built once: a statement that is made anew each time costs more than its rows do.
_BY_DISTRIBUTION_ID: Final = _identities().where(
    arms_identities.c.distribution_id.in_(bindparam("distribution_ids", expanding=True))
)
_BY_ADAPTER: Final = _identities().where(arms_identities.c.adapter_id.in_(bindparam("adapter_ids", expanding=True)))
_TICKED: Final = select(checklist_items.c.adapter_id, checklist_items.c.item).where(
    checklist_items.c.adapter_id.in_(bindparam("adapter_ids", expanding=True))
)


async def by_distribution_id(tx: Tx, keyring: Keyring, distribution_id: str) -> ArmsIdentity | None:
    """The identity with this distribution id (upper case); None when no adapter ever had it."""
    found = await by_distribution_ids(tx, keyring, [distribution_id])
    return found[0] if found else None


async def by_adapter(tx: Tx, keyring: Keyring, adapter_ids: Sequence[int]) -> list[ArmsIdentity]:
    """The identities of these adapters."""
    return await _read(tx, keyring, _BY_ADAPTER, {"adapter_ids": list(adapter_ids)})


async def by_distribution_ids(tx: Tx, keyring: Keyring, distribution_ids: Sequence[str]) -> list[ArmsIdentity]:
    """The identities with these distribution ids; unknown ones are left out."""
    return await _read(tx, keyring, _BY_DISTRIBUTION_ID, {"distribution_ids": list(distribution_ids)})


Standing = tuple[object, ...]
"""What may end a tunnel: life, place, management, suspension, shut-out, quarantine, ticked items."""

_MANAGEMENT: Final = func.coalesce(entries.c.management_id, standbys.c.management_id)
_STANDINGS: Final = (
    select(
        arms_identities.c.adapter_id,
        adapters.c.life,
        placements.c.entry_id,
        _MANAGEMENT,
        suspensions.c.reason,
        arms_identities.c.shut_out,
        arms_contacts.c.quarantine,
        select(func.count())
        .where(checklist_items.c.adapter_id == arms_identities.c.adapter_id)
        .correlate(arms_identities)
        .scalar_subquery(),
    )
    .join(adapters, adapters.c.id == arms_identities.c.adapter_id)
    .join(arms_contacts, arms_contacts.c.adapter_id == arms_identities.c.adapter_id)
    .outerjoin(placements, (placements.c.adapter_id == adapters.c.id) & placements.c.to_ms.is_(None))
    .outerjoin(entries, entries.c.id == placements.c.entry_id)
    .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
    .outerjoin(suspensions, (suspensions.c.management_id == _MANAGEMENT) & suspensions.c.to_ms.is_(None))
    .where(arms_identities.c.adapter_id.in_(bindparam("adapter_ids", expanding=True)))
)


async def standings(tx: Tx, adapter_ids: Sequence[int]) -> dict[int, Standing]:
    """How these adapters stand now, without anything that must be unsealed: cheap enough for all of a node's."""
    rows = await tx.execute(_STANDINGS, {"adapter_ids": list(adapter_ids)})
    return {row[0]: tuple(row[1:]) for row in rows.all()}


def standing_of(identity: ArmsIdentity) -> Standing:
    """The same of an identity that was read before."""
    return (
        identity.life.value,
        identity.entry_id,
        identity.management_id,
        identity.suspended,
        identity.shut_out,
        identity.quarantine,
        identity.ticked,
    )


async def by_serial(tx: Tx, keyring: Keyring, serial: str) -> ArmsIdentity | None:
    """The identity of the adapter with this serial number; None when it does not phone home."""
    key = SerialNumber.parse(serial).key
    found = await _read(tx, keyring, _identities().where(adapters.c.serial_key == key))
    return found[0] if found else None


def by_distribution_ids_whole(
    connection: Connection, keyring: Keyring, distribution_ids: Sequence[str]
) -> list[ArmsIdentity]:
    """The same as `by_distribution_ids`, for `Database.read_whole`."""
    return _read_whole(connection, keyring, _BY_DISTRIBUTION_ID, {"distribution_ids": list(distribution_ids)})


async def _read(
    tx: Tx, keyring: Keyring, query: Select[Any], values: Mapping[str, object] | None = None
) -> list[ArmsIdentity]:
    return await tx.run_sync(_read_whole, keyring, query, values)


def _read_whole(
    connection: Connection, keyring: Keyring, query: Select[Any], values: Mapping[str, object] | None
) -> list[ArmsIdentity]:
    rows = connection.execute(query, values).mappings().all()
    ticked: dict[int, set[str]] = defaultdict(set)
    seated = [row["adapter_id"] for row in rows if row["entry_id"] is not None]
    if seated:
        items = connection.execute(_TICKED, {"adapter_ids": seated})
        for item in items:
            ticked[item.adapter_id].add(item.item)
    return [_identity(row, keyring, ticked[row["adapter_id"]]) for row in rows]


def _identity(row: RowMapping, keyring: Keyring, ticked: set[str]) -> ArmsIdentity:
    adapter_id = row["adapter_id"]
    life = Life(row["life"])

    def secret(column: str, name: str) -> Secret | None:
        sealed = row[column]
        return None if sealed is None else keyring.unseal(sealed, context=context(name, adapter_id))

    rs_key, passphrase = secret("rs_key_sealed", "rs_key"), secret("passphrase_sealed", "passphrase")
    assert rs_key is not None
    assert passphrase is not None
    previous_rs_key = secret("previous_rs_key_sealed", "previous")
    previous_passphrase = secret("previous_passphrase_sealed", "previous_passphrase")
    place = Place.NONE
    if row["entry_id"] is not None:
        place = Place.ENTRY
    elif row["standby_id"] is not None:
        place = Place.STANDBY
    provided = [item for item in onboarding.required(row["device_class"]) if item in ticked]
    return ArmsIdentity(
        adapter_id=adapter_id,
        distribution_id=row["distribution_id"],
        serial=SerialNumber.parse(row["serial_shown"]),
        model=model(row["model"]),
        contractor_id=row["contractor_id"],
        ls_keys=Keys(row["ls_key_digest"], row["previous_ls_key_digest"], row["ls_rotated_ms"], row["ls_deadline_ms"]),
        rs_keys=Keys(rs_key, previous_rs_key, row["rs_rotated_ms"], row["rs_deadline_ms"]),
        passphrases=Keys(
            passphrase,
            previous_passphrase,
            row["passphrase_rotated_ms"],
            delivered_ms=row["passphrase_delivered_ms"],
        ),
        certificate=row["certificate"],
        certificate_key=secret("certificate_key_sealed", "certificate_key"),
        life=life,
        place=place,
        entry_id=row["entry_id"],
        management_id=row["management_id"],
        missing=onboarding.missing(row["device_class"], provided) if place is Place.ENTRY else (),
        suspended=row["suspended"],
        unentitled=row["unentitled"],
        finishing=bool(row["finishing"]),
        shut_out=row["shut_out"],
        quarantine=row["quarantine"],
        ticked=len(ticked),
        ls_ms=row["ls_ms"],
        certificate_serial=row["certificate_serial"],
        certificate_issued=row["certificate_delivered_ms"] is not None,
        certificate_serials=accepted_certificates(
            row["certificate_serial"],
            row["previous_certificate_serial"],
            delivered=row["certificate_delivered_serial"],
        ),
        legacy_tls=None if row["legacy_tls"] is None else bool(row["legacy_tls"]),
        tls=row["tls"],
        tls_best=row["tls_best"],
    )
