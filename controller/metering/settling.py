"""Heartbeats that are durable become readings, and what they tell of each adapter, off the receiver's way.

Exactly once: contents are counted under a unique key, and a batch goes in the transaction that adds its readings. A
crash between keeping and settling costs nothing: the next start settles what was left.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from controller.clock import Clock
from controller.metering.ingest import Added, Ingestor, Interface, Taken
from controller.phonehome.beats import Batch, Beat, unpacked
from controller.store import beats as rows
from controller.store import linkports
from controller.store.beats import KeptBatch, KeptStatistics
from controller.store.database import Database, Tx
from controller.store.linkports import Port
from controller.store.traffic import Kept, TrafficDatabase
from drivers.arms import heartbeat
from inventory.processors import BUSY_PERCENT
from inventory.replays import Told, digest
from inventory.timeslots import SLOT_MS

AT_ONCE: Final = 2_500
"""Heartbeats settled in one transaction: some 20,000 readings at most."""
CLOCK_STEP_MS: Final = 1_000
"""Wall and monotonic clock may drift apart by so much between two heartbeats before it counts as a step."""
RESTARTS_KEPT: Final = 8
ON_THE_WAY_MS: Final = 5_000
"""What another node has counted so lately may be a copy of what is just being looked up here; see `Settler`."""
CATCH_UP_S: Final = 10.0
"""How long after a start the first heartbeats wait for those that a crash left unsettled."""


SLICE: Final = 100
"""Heartbeats that are computed before the loop gets its turn: about 2 ms."""

Content = tuple[int, int]
"""Adapter, and what `mark` says of its statistics."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A heartbeat, the run that received it, and its content; None: it has no statistics."""

    run: str
    beat: Beat
    content: Content | None


@dataclass(slots=True)
class Restarts:
    """When adapters were powered on, as far as heartbeats that are not settled may need it."""

    _known: dict[int, list[int]] = field(default_factory=dict)

    def declare(self, adapter_id: int, at_ms: int) -> None:
        """A phone-home with trigger "power on"."""
        self._known.setdefault(adapter_id, []).append(at_ms)
        del self._known[adapter_id][:-RESTARTS_KEPT]

    def between(self, adapter_id: int, before_ms: int, at_ms: int) -> int | None:
        """The last one after `before_ms` and not after `at_ms`."""
        return max((one for one in self._known.get(adapter_id, ()) if before_ms < one <= at_ms), default=None)


@dataclass(frozen=True, slots=True)
class Stood:
    """Where both clocks stood at the last heartbeat, and the latest that the wall clock has shown."""

    wall_ms: int
    monotonic_ms: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """A heartbeat after a step of the wall clock: what it follows, and how long that truly was."""

    follows_ms: int
    elapsed_ms: int
    shadowed: bool
    """The clock went back, and has not reached again where it was."""


def step_between(before: Stood, wall_ms: int, monotonic_ms: int) -> tuple[Step | None, Stood]:
    """Whether the wall clock stepped since, by more than a second against the monotonic one; and where both stand."""
    elapsed_ms = monotonic_ms - before.monotonic_ms
    stands = Stood(wall_ms, monotonic_ms, max(before.latest_ms, wall_ms))
    stepped = abs(wall_ms - before.wall_ms - elapsed_ms) > CLOCK_STEP_MS
    was_shadowed = before.wall_ms < before.latest_ms
    if not stepped and not was_shadowed:
        return None, stands
    return Step(before.wall_ms, elapsed_ms, wall_ms <= before.latest_ms), stands


class Clocks:
    """Where the clocks stood at the last heartbeat of each adapter, by the run that received it."""

    def __init__(self, restarts: Restarts) -> None:
        self._last: dict[tuple[str, int], Stood] = {}
        self._new: dict[tuple[str, int], Stood] = {}
        self._restarts = restarts

    def begin(self) -> None:
        """Begin an attempt, which is as if it had not been until `commit`."""
        self._new = {}

    def commit(self) -> None:
        """What was judged in the attempt has been written."""
        self._last.update(self._new)

    def judge(self, run: str, beat: Beat) -> tuple[Step | None, int | None]:
        """The step of the wall clock since the heartbeat before, and when the adapter was powered on since."""
        key = (run, beat.adapter_id)
        before = self._new.get(key) or self._last.get(key)
        if before is None:
            self._new[key] = Stood(beat.received_ms, beat.monotonic_ms, beat.received_ms)
            return None, None
        step, self._new[key] = step_between(before, beat.received_ms, beat.monotonic_ms)
        return step, self._restarts.between(beat.adapter_id, before.wall_ms, beat.received_ms)


class Settler:
    """Keeps batches, and settles them."""

    def __init__(
        self,
        database: Database,
        traffic_database: TrafficDatabase,
        clock: Clock,
        ingestor: Ingestor,
        restarts: Restarts,
    ) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._ingestor = ingestor
        self._restarts = restarts
        self._clocks = Clocks(restarts)
        self._run = secrets.token_hex(8)
        self._caught_up = asyncio.Event()
        """What was left by a crash has been settled."""
        self.waiting = 0
        """Heartbeats of this run that are kept and not settled."""

    async def keep(self, batch: Batch) -> None:
        """Make a batch durable: when this returns it is committed, and the database has synced it to the disk."""
        async with self._traffic.write() as tx:
            await rows.keep(tx, self._run, batch.count, batch.packed, self._clock.now_ms())
        self.waiting += batch.count

    async def adopt(self) -> None:
        """At the start, on a database of one process: what a crash left is settled without waiting."""
        if not self._traffic.shared:
            async with self._traffic.write() as tx:
                await rows.adopt(tx, self._run)

    async def settle(self) -> Added:
        """Settle everything that is kept, in order."""
        total = Added(0, 0, 0)
        while (added := await self._settle_some()) is not None:
            total = Added(total.new + added.new, total.duplicates + added.duplicates, total.slot_days + added.slot_days)
        return total

    async def catch_up(self) -> None:
        """At the start: settle what was left by a crash. From then on `recall` knows all."""
        await self.adopt()
        await self.settle()
        self._caught_up.set()

    async def recall(self, adapter_ids: Sequence[int]) -> Mapping[int, Told]:
        """What was counted of these adapters in the last day; after a start, once what a crash left is counted too."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._caught_up.wait()
        except TimeoutError:
            self._caught_up.set()  # heartbeats must not wait for it any longer
        now_ms = self._clock.now_ms()
        until_ms = now_ms - ON_THE_WAY_MS if self._traffic.shared else now_ms
        async with self._traffic.read() as tx:
            return await rows.heard_lately(tx, adapter_ids, now_ms, until_ms=until_ms)

    async def put_together(self) -> None:
        """Pack the contents that are an hour old, and forget those of more than a day ago; little at a time."""
        now_ms = self._clock.now_ms()
        async with self._traffic.read() as tx:
            portions = await rows.adapters_heard(tx)
        for first_id in portions:
            async with self._traffic.write() as tx:
                await rows.put_together(tx, first_id, now_ms)
        async with self._traffic.write() as tx:
            await rows.prune_heard(tx, now_ms)

    async def _settle_some(self) -> Added | None:
        """The oldest batches; None when there are none."""
        batches: list[KeptBatch] = []
        copies = 0
        again = self._traffic.shared  # with other nodes copies are the rule; alone they were told apart on arrival

        async def offered() -> Taken:
            nonlocal copies, again
            async with self._traffic.read() as tx:
                batches[:] = await rows.unsettled(tx, self._run, self._clock.now_ms(), at_most=AT_ONCE)
            told = [one async for one in _told(batches)]
            known: set[Content] = set()
            if again:
                async with self._traffic.read() as tx:
                    known = await rows.heard(tx, {one.content for one in told if one.content is not None})
            new = [one async for one in _once(told, known)]
            copies, again = len(told) - len(new), True
            return await self._taken(batches, new)

        added = await self._ingestor.take(offered)
        self._clocks.commit()
        self.waiting -= sum(one.count for one in batches if one.run == self._run)
        return replace(added, duplicates=added.duplicates + copies) if batches else None

    async def _taken(self, batches: Sequence[KeptBatch], new: Sequence[_Told]) -> Taken:
        self._clocks.begin()
        links_of = await self._links({one.beat.entry_id for one in new if one.beat.entry_id is not None})
        readings: dict[Interface, list[Kept]] = {}
        latest: dict[tuple[int, int], KeptStatistics] = {}
        busy: set[tuple[int, int]] = set()
        for number, one in enumerate(new, 1):
            beat = one.beat
            self._read(one.run, beat, links_of, readings)
            if beat.content:
                place = (beat.adapter_id, beat.received_ms // rows.PERIOD_MS)
                latest[place] = KeptStatistics(beat.adapter_id, beat.received_ms, beat.entry_id, beat.content)
                if (heartbeat.processor(beat.content) or 0) >= BUSY_PERCENT:
                    busy.add((beat.adapter_id, beat.received_ms // SLOT_MS))
            if not number % SLICE:
                await asyncio.sleep(0)
        contents = {one.content for one in new if one.content is not None}

        async def beside(tx: Tx) -> None:
            await rows.forget(tx, [one.id for one in batches])
            await rows.count_once(tx, contents, self._clock.now_ms())
            await rows.put_statistics(tx, latest.values())
            if busy:
                await rows.put_busy(tx, busy)

        return Taken(readings, beside if batches else None)

    def _read(
        self, run: str, beat: Beat, known: Mapping[tuple[int, int], Port], into: dict[Interface, list[Kept]]
    ) -> None:
        step, restarted_ms = self._clocks.judge(run, beat)
        if beat.entry_id is None:
            return  # it sits in no place, and its traffic is nobody's
        for ifindex, octets_in, octets_out, rates, errors_in, errors_out in heartbeat.traffic(beat.content):
            port = known.get((beat.entry_id, ifindex))
            name = port.interface if port else f"ifindex {ifindex}"
            into.setdefault((beat.entry_id, name), []).append(
                Kept(
                    t_ms=beat.received_ms,
                    in_octets=octets_in,
                    out_octets=octets_out,
                    source="heartbeat",
                    rates=rates,
                    in_errors=None if rates else errors_in,
                    out_errors=None if rates else errors_out,
                    restarted_at_ms=restarted_ms,
                    speed_bps=port.speed_bps if port else None,
                    adapter_id=beat.adapter_id,
                    clock_stepped=step is not None,
                    follows_ms=step.follows_ms if step else None,
                    elapsed_ms=step.elapsed_ms if step else None,
                    shadowed=step.shadowed if step else False,
                )
            )

    async def _links(self, entry_ids: Collection[int]) -> Mapping[tuple[int, int], Port]:
        if not entry_ids:
            return {}
        async with self._database.read() as tx:
            found = await linkports.of_entries(tx, entry_ids)
        return {(port.entry_id, port.ifindex): port for port in found if port.ifindex is not None}


def mark(content: bytes) -> int:
    """64 bits that are the same on every node for the same statistics, as a signed number."""
    return int.from_bytes(digest(content), "big", signed=True)


async def _told(batches: Sequence[KeptBatch]) -> AsyncIterator[_Told]:
    """The heartbeats of batches, in order."""
    for batch in batches:
        for number, beat in enumerate(unpacked(batch.packed), 1):
            yield _Told(batch.run, beat, (beat.adapter_id, mark(beat.content)) if beat.content else None)
            if not number % SLICE:
                await asyncio.sleep(0)


async def _once(told: Sequence[_Told], known: Collection[Content]) -> AsyncIterator[_Told]:
    """Heartbeats whose content was not counted yet, each content once.

    One without statistics is always alike, and is a sign of life only.
    """
    seen = set(known)
    for number, one in enumerate(told, 1):
        if one.content is None:
            yield one
        elif one.content not in seen:
            seen.add(one.content)
            yield one
        if not number % SLICE:
            await asyncio.sleep(0)
