"""Where adapters are reached over SSH: address, sealed credential, pinned host key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from controller.keyring import Keyring
from controller.store import audit, events
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.events import NewEvent
from controller.store.rows import adapter_row, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters, endpoints
from drivers.sessions.contract import Endpoint, Hop, Rest
from inventory.errors import BadInput, Conflict
from inventory.secrets import Secret


async def put(tx: Tx, scope: Scope, by: By, adapter_id: int, *, endpoint: Endpoint, keyring: Keyring) -> None:
    """Set or replace an adapter's endpoint; a pinned key stays with the adapter if the new endpoint names none.
    The adapter's version rises.

    Raises BadInput for an empty host or user name or a port outside 1–65535, NotFound.
    """
    adapter = await adapter_row(tx, scope, adapter_id)
    await tx.execute(update(adapters).where(adapters.c.id == adapter_id).values(version=adapters.c.version + 1))
    for field, wrong in (
        ("host", not endpoint.host.strip()),
        ("username", not endpoint.username),
        ("port", not 0 < endpoint.port < 65536),
    ):
        if wrong:
            raise BadInput(f"the endpoint's {field} is missing or out of range", field=field, next_step="Correct it.")
    enable = endpoint.enable_password
    values: dict[str, Any] = {
        "host": endpoint.host.strip(),
        "port": endpoint.port,
        "username": endpoint.username,
        "password_sealed": keyring.seal(endpoint.password, context=_context("password", adapter_id)),
        "enable_password_sealed": keyring.seal(enable, context=_context("enable", adapter_id)) if enable else None,
        "profile": endpoint.profile,
        "transport": endpoint.transport,
        "aaa_domain": endpoint.aaa_domain or None,
        "jump_sealed": _sealed_jump(keyring, endpoint.jump, adapter_id),
        **_rest_values(keyring, endpoint.rest, adapter_id),
    }
    if endpoint.host_key is not None:
        values |= {"host_key": endpoint.host_key, "host_key_pinned_ms": by.at_ms}
    changed = await tx.execute(update(endpoints).where(endpoints.c.adapter_id == adapter_id).values(**values))
    if changed.rowcount == 0:
        await tx.execute(insert(endpoints).values(adapter_id=adapter_id, **values))
    shown = {"host": values["host"], "port": endpoint.port, "username": endpoint.username, "profile": endpoint.profile}
    shown |= {"aaa_domain": endpoint.aaa_domain} if endpoint.aaa_domain else {}
    shown |= {"transport": endpoint.transport, "jump": [f"{hop.host}:{hop.port}" for hop in endpoint.jump]}
    await events.record(tx, NewEvent("adapter.endpoint", by.at_ms, adapter_id=adapter_id, facts=shown))
    audit.record(tx, by, "adapter.endpoint", adapter.serial_shown, contractor_id=adapter.contractor_id, after=shown)


@dataclass(frozen=True, slots=True)
class Reached:
    """Where an adapter is reached, without any credential. `jumped`: over other hosts; `rest`: by its API too."""

    host: str
    port: int
    username: str
    jumped: bool
    rest: bool


async def reached_at(tx: Tx, adapter_id: int) -> Reached | None:
    """Where an adapter is reached; None if it has no endpoint."""
    row = await _row(tx, adapter_id)
    if row is None:
        return None
    return Reached(row.host, row.port, row.username, row.jump_sealed is not None, row.rest_token_sealed is not None)


async def get(tx: Tx, scope: Scope, keyring: Keyring, adapter_id: int) -> Endpoint | None:
    """The adapter's endpoint with its credential; None if it has none. Raises NotFound."""
    await adapter_row(tx, scope, adapter_id)
    row = await _row(tx, adapter_id)
    if row is None:
        return None
    enable: bytes | None = row.enable_password_sealed
    return Endpoint(
        host=row.host,
        port=row.port,
        username=row.username,
        password=keyring.unseal(row.password_sealed, context=_context("password", adapter_id)),
        enable_password=keyring.unseal(enable, context=_context("enable", adapter_id)) if enable else None,
        host_key=row.host_key,
        profile=row.profile,
        transport=row.transport or "ssh",
        aaa_domain=row.aaa_domain or "",
        jump=_opened_jump(keyring, row.jump_sealed, adapter_id),
        rest=_opened_rest(keyring, row, adapter_id),
    )


async def pin_certificate(tx: Tx, scope: Scope, by: By, adapter_id: int, certificate: str) -> None:
    """Keep the fingerprint of the certificate that the device's REST API showed first; a later one changes nothing."""
    adapter = await adapter_row(tx, scope, adapter_id)
    pinned = await tx.execute(
        update(endpoints)
        .where(endpoints.c.adapter_id == adapter_id, endpoints.c.rest_certificate.is_(None))
        .values(rest_certificate=certificate)
    )
    if pinned.rowcount:
        shown = {"rest_certificate": certificate}
        audit.record(
            tx, by, "adapter.certificate-pinned", adapter.serial_shown, contractor_id=adapter.contractor_id, after=shown
        )


async def pin_host_key(tx: Tx, scope: Scope, by: By, adapter_id: int, host_key: str) -> None:
    """Keep the key that the device showed at its first contact (trust on first use).

    The same key again is welcome. Raises Conflict for another one: that is a mismatch to quarantine, and the record
    is never changed by a device (architecture §1).
    """
    adapter = await adapter_row(tx, scope, adapter_id)
    pinned = await tx.execute(
        update(endpoints)
        .where(endpoints.c.adapter_id == adapter_id, endpoints.c.host_key.is_(None))
        .values(host_key=host_key, host_key_pinned_ms=by.at_ms)
    )
    if pinned.rowcount == 0:
        row = await _row(tx, adapter_id)
        if row is None:
            raise not_found(f"endpoint of adapter {adapter.serial_shown}")
        if row.host_key != host_key:
            raise Conflict(
                f"{adapter.serial_shown} shows another host key than the pinned one",
                next_step="Find out why. If the device was reset, have an operator forget the pinned key.",
            )
        return
    await events.record(
        tx, NewEvent("adapter.host-key-pinned", by.at_ms, adapter_id=adapter_id, facts={"host_key": host_key})
    )
    audit.record(
        tx,
        by,
        "adapter.host-key-pinned",
        adapter.serial_shown,
        contractor_id=adapter.contractor_id,
        after={"host_key": host_key},
    )


async def forget_host_key(tx: Tx, scope: Scope, by: By, adapter_id: int) -> None:
    """An operator's word that the device may show a new key, and a new certificate of its API; the next contact pins
    them. Raises NotFound."""
    adapter = await adapter_row(tx, scope, adapter_id)
    row = await _row(tx, adapter_id)
    if row is None:
        raise not_found(f"endpoint of adapter {adapter.serial_shown}")
    await tx.execute(
        update(endpoints)
        .where(endpoints.c.adapter_id == adapter_id)
        .values(host_key=None, host_key_pinned_ms=None, rest_certificate=None)
    )
    audit.record(
        tx,
        by,
        "adapter.host-key-forgotten",
        adapter.serial_shown,
        contractor_id=adapter.contractor_id,
        before={"host_key": row.host_key},
    )


def _sealed_jump(keyring: Keyring, jump: tuple[Hop, ...], adapter_id: int) -> bytes | None:
    if not jump:
        return None
    plain = [
        {
            "host": hop.host,
            "port": hop.port,
            "username": hop.username,
            "password": hop.password.reveal(),
            "host_key": hop.host_key,
            "profile": hop.profile,
        }
        for hop in jump
    ]
    return keyring.seal(Secret(json.dumps(plain)), context=_context("jump", adapter_id))


def _opened_jump(keyring: Keyring, sealed: bytes | None, adapter_id: int) -> tuple[Hop, ...]:
    if sealed is None:
        return ()
    plain = json.loads(keyring.unseal(sealed, context=_context("jump", adapter_id)).reveal())
    return tuple(Hop(**{**hop, "password": Secret(hop["password"])}) for hop in plain)


def _rest_values(keyring: Keyring, rest: Rest | None, adapter_id: int) -> dict[str, Any]:
    if rest is None:
        return {"rest_token_sealed": None, "rest_port": None, "rest_certificate": None}
    values: dict[str, Any] = {
        "rest_token_sealed": keyring.seal(rest.token, context=_context("rest", adapter_id)),
        "rest_port": rest.port,
    }
    return values if rest.certificate is None else {**values, "rest_certificate": rest.certificate}


def _opened_rest(keyring: Keyring, row: AnyRow, adapter_id: int) -> Rest | None:
    if row.rest_token_sealed is None:
        return None
    token = keyring.unseal(row.rest_token_sealed, context=_context("rest", adapter_id))
    return Rest(token, row.rest_port, row.rest_certificate)


_ROW: Final = direct(select(endpoints).where(endpoints.c.adapter_id == bindparam("of_adapter")))


async def _row(tx: Tx, adapter_id: int) -> AnyRow | None:
    return (await tx.execute(_ROW, {"of_adapter": adapter_id})).one_or_none()


def _context(what: str, adapter_id: int) -> str:
    return f"endpoints.{what}.{adapter_id}"
