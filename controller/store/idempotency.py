"""`Idempotency-Key`: the same request sent twice acts once and gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import delete, select, update

from controller.keyring import Keyring
from controller.store.database import Tx
from controller.store.rows import insert_new
from controller.store.tables.system import idempotency_keys
from inventory.errors import BadInput, Conflict

KEY_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was answered."""

    status: int
    body: str = field(repr=False)


async def reserve(
    tx: Tx, keyring: Keyring, *, caller: str, key: str, request_digest: bytes, now_ms: int
) -> Answer | None:
    """Take a key of a caller for one request; None: it is new, carry the request out and `complete` it.

    The answer of the first request if this is the same one again. Raises Conflict while that one is under way (or its
    process died: its outcome is then unknown), BadInput if the key came with another request.
    """
    if not 0 < len(key) <= KEY_AT_MOST:
        raise BadInput(
            f"an Idempotency-Key has 1 to {KEY_AT_MOST} characters",
            field="Idempotency-Key",
            next_step="Send a random UUID for each new request.",
        )
    made = await insert_new(
        tx,
        idempotency_keys,
        {"caller": caller, "key": key, "request_digest": request_digest, "reserved_ms": now_ms},
    )
    if made is not None:
        return None
    row = (
        await tx.execute(
            select(idempotency_keys).where(idempotency_keys.c.caller == caller, idempotency_keys.c.key == key)
        )
    ).one()
    if row.request_digest != request_digest:
        raise BadInput(
            "this Idempotency-Key was used for another request",
            field="Idempotency-Key",
            next_step="Send a new key with a new request.",
        )
    if row.status is None:
        raise Conflict(
            "the first request with this Idempotency-Key is under way, or its outcome is unknown",
            next_step="Ask again in a moment; if this stays, look whether the thing was made, then use a new key.",
            facts={"reserved_ms": row.reserved_ms},
        )
    return Answer(row.status, keyring.unseal(row.answer_sealed, context=_context(caller, key)).reveal())


async def complete(tx: Tx, keyring: Keyring, *, caller: str, key: str, answer: Answer) -> None:
    """Keep the answer, sealed: it may hold a key that is shown once. Do it in the transaction of the change."""
    await tx.execute(
        update(idempotency_keys)
        .where(idempotency_keys.c.caller == caller, idempotency_keys.c.key == key)
        .values(status=answer.status, answer_sealed=keyring.seal(answer.body, context=_context(caller, key)))
    )


async def release(tx: Tx, *, caller: str, key: str) -> None:
    """Give a key back whose request was refused without any effect."""
    await tx.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.caller == caller, idempotency_keys.c.key == key, idempotency_keys.c.status.is_(None)
        )
    )


async def prune(tx: Tx, *, before_ms: int) -> int:
    """Forget keys reserved before an instant; returns how many."""
    return (await tx.execute(delete(idempotency_keys).where(idempotency_keys.c.reserved_ms < before_ms))).rowcount


def _context(caller: str, key: str) -> str:
    return f"idempotency_keys.{caller}.{key}"
