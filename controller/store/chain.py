"""The audit's hash chain: each row digests the one before it, so that an edit or a gap shows.

Rows wait until the transaction is about to commit. The lock on the end of the chain is then always the last one that a
transaction takes, so two changes cannot wait for each other on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.store.direct import direct
from controller.store.tables.base import to_json
from controller.store.tables.system import audit

START: Final = bytes(32)
"""What the first row names as its predecessor."""
FIELDS: Final = ("at_ms", "actor", "action", "subject", "contractor_id", "before", "after")

_LAST: Final = direct(select(audit.c.digest).order_by(audit.c.id.desc()).limit(1))
_INSERT: Final = insert(audit)
_PENDING: Final = "audit rows of this transaction"
_CHAIN_LOCK: Final = 0x6B616A69_01
"""Key of PostgreSQL's advisory lock on the end of the chain."""


def digest(previous: bytes, row: Mapping[str, object]) -> bytes:
    """SHA-256 over the predecessor's digest and the row's fields in canonical JSON."""
    return hashlib.sha256(previous + to_json({name: row[name] for name in FIELDS}).encode()).digest()


def begin(tx: AsyncConnection) -> None:
    """Forget what an earlier transaction on this connection left behind when it was rolled back."""
    tx.info[_PENDING] = []


def add(tx: AsyncConnection, row: Mapping[str, object]) -> None:
    """Have the row written when the transaction commits."""
    pending: list[Mapping[str, object]] = tx.info[_PENDING]
    pending.append(row)


def mark(tx: AsyncConnection) -> int:
    """How many rows wait, for `drop_since`."""
    return len(tx.info[_PENDING])


def drop_since(tx: AsyncConnection, mark: int) -> None:
    """Forget the rows of a part of the transaction that was undone."""
    del tx.info[_PENDING][mark:]


async def settle(tx: AsyncConnection) -> None:
    """Append the waiting rows to the chain; the last statements before the commit."""
    pending: list[Mapping[str, object]] = tx.info[_PENDING]
    if not pending:
        return
    if tx.dialect.name == "postgresql":
        await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    previous = await tx.scalar(_LAST) or START
    rows = []
    for row in pending:
        own = digest(previous, row)
        rows.append({**row, "previous": previous, "digest": own})
        previous = own
    await tx.execute(_INSERT, rows)
    pending.clear()
