"""The one writer of push journals: rows that wait together are committed together, each durable before it is answered.

Group commit, because each commit is a sync of the disk (architecture §5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.store import pushes
from controller.store.database import Database, Tx
from inventory.plans import JournalRow

Compose = Callable[[Tx], Awaitable[JournalRow]]
"""Makes a row inside the transaction that stores it, together with whatever must be true with it; awaits only `Tx`."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    push_id: int
    compose: Compose
    written: asyncio.Future[JournalRow]


class Journal:
    """Appends to push journals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, push_id: int, row: JournalRow) -> JournalRow:
        """Return when the row is durable."""

        async def compose(_tx: Tx) -> JournalRow:
            return row

        return await self.append_with(push_id, compose)

    async def append_with(self, push_id: int, compose: Compose) -> JournalRow:
        """As `append`, with a row that is made in the transaction. An error of `compose` stores nothing and is raised.

        A caller that is cancelled while waiting may find the row stored or not: the journal says which, and says so
        already when the cancellation arrives, so that whoever comes next counts on from the right row.
        """
        written: asyncio.Future[JournalRow] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(push_id, compose, written))
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
        answers: list[JournalRow | Exception] = []
        async with self._database.write() as tx:
            for one in batch:
                try:
                    async with tx.begin_nested():
                        row = await one.compose(tx)
                        await pushes.append(tx, one.push_id, row)
                except Exception as error:  # noqa: BLE001 - it belongs to its caller, not to the others of the batch
                    answers.append(error)
                else:
                    answers.append(row)
        return answers
