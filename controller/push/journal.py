"""The one writer of push journals: rows that wait together are committed together, each durable before it is answered.

Group commit, because each commit is a sync of the disk (architecture §5), and each statement costs as much as a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.keyring import Keyring
from controller.store import configs, pushes, startups, transcripts
from controller.store.configs import Kind, NewVersion
from controller.store.database import Database, Tx
from controller.store.startups import Proof
from controller.store.transcripts import NewWords
from inventory.plans import ConfigText, JournalRow, Verdict

APART_S: Final = 0.03
"""Commits begin so far apart while more than one row waits; one alone never waits."""
_RELEASED: Final[tuple[Kind, ...]] = ("running", "startup")


@dataclass(frozen=True, slots=True)
class Release:
    """What a place runs and boots from now on, unless it has another occupant than `seat` says: then its row fails."""

    entry_id: int
    seat: pushes.Seat
    config: ConfigText
    digest: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    push_id: int
    row: JournalRow
    reading: NewVersion | None
    release: Release | None
    words: NewWords | None
    written: asyncio.Future[JournalRow]


class Journal:
    """Appends to push journals."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._began_s = float("-inf")

    async def append(
        self,
        push_id: int,
        row: JournalRow,
        *,
        reading: NewVersion | None = None,
        release: Release | None = None,
        words: NewWords | None = None,
    ) -> JournalRow:
        """Return the row as it was stored, when it is durable together with `reading`, `release` and `words`.

        A caller that is cancelled while waiting may find the row stored or not: the journal says which, and says so
        already when the cancellation arrives, so that whoever comes next counts on from the right row.
        """
        written: asyncio.Future[JournalRow] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(push_id, row, reading, release, words, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            await asyncio.wait((written,))
            written.exception()
            raise

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            early_s = self._began_s + APART_S - loop.time()
            if len(self._waiting) > 1 and early_s > 0:
                await asyncio.sleep(early_s)
            self._began_s = loop.time()
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

    async def _commit(self, batch: list[_Waiting]) -> Sequence[JournalRow | Exception]:
        """All at once; where one of them cannot be stored, one by one, so that it is told to its own caller."""

        async def append(tx: Tx) -> Sequence[JournalRow | Exception]:
            together = await self._tried(tx, batch)
            if not isinstance(together, Exception):
                return together
            apart = [await self._tried(tx, [one]) for one in batch]
            return [one if isinstance(one, Exception) else one[0] for one in apart]

        return await self._database.change(append)

    async def _tried(self, tx: Tx, batch: Sequence[_Waiting]) -> list[JournalRow] | Exception:
        if len({one.push_id for one in batch}) < len(batch):
            return ValueError("two rows of one push, which are stored in their order")
        try:
            async with tx.begin_nested():
                return await self._store(tx, batch)
        except Exception as error:  # noqa: BLE001 - it belongs to its caller, not to the others of the batch
            return error

    async def _store(self, tx: Tx, batch: Sequence[_Waiting]) -> list[JournalRow]:
        readings = [one.reading for one in batch if one.reading is not None]
        if readings:
            await configs.put_all(tx, self._keyring, readings)
        await transcripts.put_all(tx, self._keyring, [one.words for one in batch if one.words is not None])
        refused = await self._release(tx, [one for one in batch if one.release is not None])
        rows = [_moved(one.row) if one.push_id in refused else one.row for one in batch]
        await pushes.append_all(tx, [(one.push_id, row) for one, row in zip(batch, rows, strict=True)])
        return rows

    async def _release(self, tx: Tx, batch: Sequence[_Waiting]) -> set[int]:
        """Running and startup become the intent with the very row that says so; the pushes whose place has moved on."""
        wanted = {one.push_id: (one.release, one.row.at_ms) for one in batch if one.release is not None}
        if not wanted:
            return set()
        seats = await pushes.seats_of(tx, {release.entry_id for release, _ in wanted.values()}, lock=True)
        refused = {push_id for push_id, (release, _) in wanted.items() if seats[release.entry_id] != release.seat}
        new = [
            NewVersion(one.entry_id, kind, one.config, one.digest, one.author, one.reason, at_ms)
            for push_id, (one, at_ms) in wanted.items()
            if push_id not in refused
            for kind in _RELEASED
        ]
        if new:
            made = zip(new, await configs.put_all(tx, self._keyring, new), strict=True)
            # The device runs this text and has confirmed a new connection with it: no boot need prove it again.
            proofs = [Proof(version_id, one.at_ms, one.reason) for one, version_id in made if one.kind == "startup"]
            await startups.proved(tx, proofs)
        return refused


def _moved(row: JournalRow) -> JournalRow:
    return replace(row, verdict=Verdict.FAILED, said="the place has a new adapter, which must not get this change")
