"""The one writer of push journals: rows that wait together are committed together, each durable before it is answered.

Group commit, because each commit is a sync of the disk (architecture §5), and each statement costs as much as a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.keyring import Keyring
from controller.store import configs, entitlement, pushes, startups, transcripts
from controller.store.configs import Kind, NewVersion
from controller.store.database import Database, Tx
from controller.store.startups import Proof
from controller.store.transcripts import NewWords
from inventory.plans import ConfigText, JournalRow, Push, Verdict

APART_S: Final = 0.015
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
class Moment:
    """What a decision rests on besides the journal, as it is when a row is stored."""

    push: Push
    same_place: bool
    """The entry still has the adapter that the plan was made for."""
    stopped: str | None
    """Why contracts no longer let the adapter be controlled."""


Follow = Callable[[JournalRow, Moment], JournalRow | None]
"""The intention that follows an outcome, or None if something else must come first. Pure: it is called in the thread
of the database, and perhaps more than once."""


@dataclass(frozen=True, slots=True)
class Written:
    """A row as it was stored, and the one that followed it in the same transaction; `moment` is None without one."""

    row: JournalRow
    next: JournalRow | None = None
    moment: Moment | None = None

    @property
    def rows(self) -> tuple[JournalRow, ...]:
        """Both, in their order."""
        return (self.row,) if self.next is None else (self.row, self.next)


@dataclass(frozen=True, slots=True)
class _Waiting:
    push_id: int
    row: JournalRow
    reading: NewVersion | None
    release: Release | None
    words: NewWords | None
    follow: Follow | None
    written: asyncio.Future[Written]


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
        return (await self.go_on(push_id, row, None, reading=reading, release=release, words=words)).row

    async def go_on(
        self,
        push_id: int,
        row: JournalRow,
        follow: Follow | None,
        *,
        reading: NewVersion | None = None,
        release: Release | None = None,
        words: NewWords | None = None,
    ) -> Written:
        """As `append`, with the intention that follows: what a row of its own would cost falls away.

        `follow` decides it from what stands in the database at that moment; the intention is as durable as its outcome.
        """
        written: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(push_id, row, reading, release, words, follow, written))
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

    async def _commit(self, batch: list[_Waiting]) -> Sequence[Written | Exception]:
        """All at once; where one of them cannot be stored, one by one, so that it is told to its own caller."""

        async def append(tx: Tx) -> Sequence[Written | Exception]:
            together = await self._tried(tx, batch)
            if not isinstance(together, Exception):
                return together
            apart = [await self._tried(tx, [one]) for one in batch]
            return [one if isinstance(one, Exception) else one[0] for one in apart]

        return await self._database.change(append)

    async def _tried(self, tx: Tx, batch: Sequence[_Waiting]) -> list[Written] | Exception:
        if len({one.push_id for one in batch}) < len(batch):
            return ValueError("two rows of one push, which are stored in their order")
        try:
            async with tx.begin_nested():
                return await self._store(tx, batch)
        except Exception as error:  # noqa: BLE001 - it belongs to its caller, not to the others of the batch
            return error

    async def _store(self, tx: Tx, batch: Sequence[_Waiting]) -> list[Written]:
        readings = [one.reading for one in batch if one.reading is not None]
        if readings:
            await configs.put_all(tx, self._keyring, readings)
        await transcripts.put_all(tx, self._keyring, [one.words for one in batch if one.words is not None])
        refused = await self._release(tx, [one for one in batch if one.release is not None])
        rows = [_moved(one.row) if one.push_id in refused else one.row for one in batch]
        moments = await _moments(tx, [one.push_id for one in batch if one.follow is not None])
        written = [_followed(one.follow, row, moments.get(one.push_id)) for one, row in zip(batch, rows, strict=True)]
        stored = [(one.push_id, row) for one, done in zip(batch, written, strict=True) for row in done.rows]
        await pushes.append_all(tx, stored)
        return written

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


async def _moments(tx: Tx, push_ids: Sequence[int]) -> dict[int, Moment]:
    if not push_ids:
        return {}
    found = await pushes.unread(tx, push_ids)
    stops = await entitlement.stops(tx, {push.adapter_id for push, _ in found.values()})
    return {
        push_id: Moment(
            push,
            seat == pushes.Seat(push.generation, push.adapter_id),
            None if (stop := stops.get(push.adapter_id)) is None else str(stop),
        )
        for push_id, (push, seat) in found.items()
    }


def _followed(follow: Follow | None, row: JournalRow, moment: Moment | None) -> Written:
    following = None if follow is None or moment is None or pushes.is_final(row) else follow(row, moment)
    return Written(row) if following is None else Written(row, following, moment)


def _moved(row: JournalRow) -> JournalRow:
    return replace(row, verdict=Verdict.FAILED, said="the place has a new adapter, which must not get this change")
