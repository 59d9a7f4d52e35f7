"""Where adapters are reached over SSH: address, sealed credential, pinned host key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from controller.keyring import Keyring
from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import adapter_row, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters, endpoints
from drivers.sessions.contract import Endpoint
from inventory.errors import BadInput, Conflict


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
    }
    if endpoint.host_key is not None:
        values |= {"host_key": endpoint.host_key, "host_key_pinned_ms": by.at_ms}
    changed = await tx.execute(update(endpoints).where(endpoints.c.adapter_id == adapter_id).values(**values))
    if changed.rowcount == 0:
        await tx.execute(insert(endpoints).values(adapter_id=adapter_id, **values))
    shown = {"host": values["host"], "port": endpoint.port, "username": endpoint.username, "profile": endpoint.profile}
    await events.record(tx, NewEvent("adapter.endpoint", by.at_ms, adapter_id=adapter_id, facts=shown))
    audit.record(tx, by, "adapter.endpoint", adapter.serial_shown, contractor_id=adapter.contractor_id, after=shown)


async def reached_at(tx: Tx, adapter_id: int) -> tuple[str, int, str] | None:
    """Host, port and user name of an adapter's endpoint, without its credential; None if it has none."""
    found = await tx.execute(
        select(endpoints.c.host, endpoints.c.port, endpoints.c.username).where(endpoints.c.adapter_id == adapter_id)
    )
    row = found.one_or_none()
    return None if row is None else (row.host, row.port, row.username)


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
    """An operator's word that the device may show a new key; the next contact pins it. Raises NotFound."""
    adapter = await adapter_row(tx, scope, adapter_id)
    row = await _row(tx, adapter_id)
    if row is None:
        raise not_found(f"endpoint of adapter {adapter.serial_shown}")
    await tx.execute(
        update(endpoints).where(endpoints.c.adapter_id == adapter_id).values(host_key=None, host_key_pinned_ms=None)
    )
    audit.record(
        tx,
        by,
        "adapter.host-key-forgotten",
        adapter.serial_shown,
        contractor_id=adapter.contractor_id,
        before={"host_key": row.host_key},
    )


async def _row(tx: Tx, adapter_id: int) -> AnyRow | None:
    return (await tx.execute(select(endpoints).where(endpoints.c.adapter_id == adapter_id))).one_or_none()


def _context(what: str, adapter_id: int) -> str:
    return f"endpoints.{what}.{adapter_id}"
