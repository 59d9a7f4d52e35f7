"""One node asks another to read an adapter that only the other has a way to; the reading is stored as truth."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from controller.store.database import Tx
from controller.store.tables.inventory import adapters
from controller.store.tables.push import reading_requests
from controller.store.truths import Unread
from inventory.catalogue import model


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was seen to. `code` and `said` of the error, if it could not be read."""

    code: str | None
    said: str


async def ask(tx: Tx, adapter_id: int, entry_id: int, node: str, *, until_ms: int) -> int:
    """Ask `node`, until an instant; the number of the request."""
    made = await tx.execute(
        insert(reading_requests)
        .values(adapter_id=adapter_id, entry_id=entry_id, node=node, until_ms=until_ms)
        .returning(reading_requests.c.id)
    )
    return int(made.scalar_one())


async def asked_of(tx: Tx, node: str, now_ms: int) -> list[tuple[int, Unread]]:
    """What this node is asked to read: number of the request and place, the oldest first."""
    rows = await tx.execute(
        select(reading_requests.c.id, adapters.c.id, reading_requests.c.entry_id, adapters.c.model)
        .join(adapters, adapters.c.id == reading_requests.c.adapter_id)
        .where(
            reading_requests.c.node == node,
            reading_requests.c.done_ms.is_(None),
            reading_requests.c.until_ms > now_ms,
        )
        .order_by(reading_requests.c.id)
    )
    return [(row[0], Unread(row[1], row[2], model(row[3]).family)) for row in rows]


async def answer(tx: Tx, number: int, at_ms: int, *, code: str | None = None, said: str = "") -> None:
    """It was read, or could not be."""
    mine = reading_requests.c.id == number
    await tx.execute(update(reading_requests).where(mine).values(done_ms=at_ms, code=code, said=said))


async def answered(tx: Tx, number: int) -> Answered | None:
    """What came of a request; None while nothing has."""
    mine = select(reading_requests.c.code, reading_requests.c.said).where(
        reading_requests.c.id == number, reading_requests.c.done_ms.is_not(None)
    )
    row = (await tx.execute(mine)).one_or_none()
    return None if row is None else Answered(row.code, row.said or "")


async def forget(tx: Tx, number: int, before_ms: int) -> None:
    """The request is over, and so are those that ended before that instant."""
    over = (reading_requests.c.id == number) | (reading_requests.c.until_ms < before_ms)
    await tx.execute(delete(reading_requests).where(over))
