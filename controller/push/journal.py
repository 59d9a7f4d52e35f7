"""The one writer of push journals: rows that wait together are committed together, each durable before it is answered.

Group commit, because each commit is a sync of the disk (architecture §5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from controller.store import pushes
from controller.store.database import Database, Tx
from inventory.plans import JournalRow

Compose = Callable[[Tx], Awaitable[JournalRow]]
"""Makes a row inside the transaction that stores it, together with whatever must be true with it; awaits only `Tx`."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    push_id: int
    row: JournalRow | None
    compose: Compose | None
    written: asyncio.Future[JournalRow]


class Journal:
    """Appends to push journals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, push_id: int, row: JournalRow) -> JournalRow:
        """Return when the row is durable. A caller that is cancelled: as `append_with`."""
        return await self._append(push_id, row, None)

    async def append_with(self, push_id: int, compose: Compose) -> JournalRow:
        """As `append`, with a row that is made in the transaction. An error of `compose` stores nothing and is raised.

        A caller that is cancelled while waiting may find the row stored or not: the journal says which, and says so
        already when the cancellation arrives, so that whoever comes next counts on from the right row.
        """
        return await self._append(push_id, None, compose)

    async def _append(self, push_id: int, row: JournalRow | None, compose: Compose | None) -> JournalRow:
        written: asyncio.Future[JournalRow] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(push_id, row, compose, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            await asyncio.wait((written,))
            written.exception()
            raise

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                answers = await self._commit(batch)
            except BaseException as error:
                for one in batch:
                    if not one.written.done():
                        one.written.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for one, answer in zip(batch, answers, strict=True):
                if one.written.done():
                    continue
                if isinstance(answer, Exception):
                    one.written.set_exception(answer)
                else:
                    one.written.set_result(answer)

    async def _commit(self, batch: list[_Waiting]) -> list[JournalRow | Exception]:
        async def append(tx: Tx) -> list[JournalRow | Exception]:
            plain = await self._append_plain(tx, batch)
            return [plain.get(one.push_id) or await self._append_one(tx, one) for one in batch]

        return await self._database.change(append)

    async def _append_plain(self, tx: Tx, batch: list[_Waiting]) -> dict[int, JournalRow]:
        """The rows that nothing else must be true with, all at once; none of them where one cannot be stored."""
        rows = {one.push_id: one.row for one in batch if one.row is not None and not pushes.is_final(one.row)}
        if not rows or len({one.push_id for one in batch}) < len(batch):
            return {}
        try:
            async with tx.begin_nested():
                await pushes.append_all(tx, list(rows.items()))
        except IntegrityError:
            return {}  # one by one, it is told to its own caller
        return rows

    async def _append_one(self, tx: Tx, one: _Waiting) -> JournalRow | Exception:
        try:
            async with tx.begin_nested():
                row = one.row if one.compose is None else await one.compose(tx)
                assert row is not None
                await pushes.append(tx, one.push_id, row)
        except Exception as error:  # noqa: BLE001 - it belongs to its caller, not to the others of the batch
            return error
        return row
