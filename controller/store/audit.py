"""Who changed what, from what to what. Rows are appended in the transaction of the change, and chained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from controller.store import chain
from controller.store.database import Tx
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.system import audit
from inventory.errors import Conflict


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change. `before` and `after` hold the fields that changed; secrets never stand in them."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    digest: str
    """Hexadecimal SHA-256 over this row and the digest of the one before."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was found whole: so many rows, ending with this digest. Kept elsewhere, it also proves the end."""

    rows: int
    digest: str


def record(
    tx: Tx,
    by: By,
    action: str,
    subject: str,
    *,
    contractor_id: int | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Have a change recorded when `tx` commits. `subject` is a key (`E-12`) or a serial number.

    `contractor_id` is the owner who may see the row; None: the provider only.
    """
    row = {
        "at_ms": by.at_ms,
        "actor": by.actor,
        "action": action,
        "subject": subject,
        "contractor_id": contractor_id,
        "before": to_json(dict(before or {})),
        "after": to_json(dict(after or {})),
    }
    chain.add(tx, row)


async def page(
    tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, subject: str | None = None, actor: str | None = None
) -> list[AuditRow]:
    """Rows with a number above `after`, in their order."""
    query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    if scope.contractor_id is not None:
        query = query.where(audit.c.contractor_id == scope.contractor_id)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    return [
        AuditRow(
            id=row.id,
            at_ms=row.at_ms,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            before=json.loads(row.before),
            after=json.loads(row.after),
            digest=row.digest.hex(),
        )
        for row in await tx.execute(query)
    ]


async def verify(tx: Tx) -> Chain:
    """Walk the whole chain. Raises Conflict that names the first row which was altered, or follows a missing one."""
    previous, rows, last = chain.START, 0, 0
    while True:
        batch = (await tx.execute(select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(1000))).all()
        if not batch:
            return Chain(rows, previous.hex())
        for row in batch:
            if row.previous != previous or chain.digest(previous, dict(row._mapping)) != row.digest:
                raise Conflict(
                    f"audit row {row.id} does not fit the one before it: one of them was altered or removed",
                    next_step="Compare with your last backup, and find who can write to the database.",
                    facts={"row": row.id, "rows_before": rows},
                )
            previous, rows, last = row.digest, rows + 1, row.id
