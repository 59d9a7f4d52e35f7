"""Readings into slot-days: paired with their neighbours, added where time is not accounted for yet.

Idempotent: the same readings again, in any order, change nothing. A reading that comes late, between two that are kept,
tells better what the pair around it told, which is taken back. One ingestion at a time in a process; between
processes the revision of a slot-day decides, and the loser reads again.

Two ways, one result. What continues an interface without a hole, as nearly all readings do, is a run that is written
into the slot-day as it is kept (`slotrun`). All else is unpacked, added and packed (`slotday`).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Final

from controller.clock import Clock
from controller.metering.pairing import DIRECTIONS, Increments, fell, is_plain, paired, plain_pairs
from controller.store import falls, retention, slotdays, traffic
from controller.store.database import Tx
from controller.store.slotdays import KeptBlob, KeptDay
from controller.store.traffic import Kept, TrafficDatabase
from inventory.counters import MEASURED_MAX_MS, PAIR_MAX_MS, Flag, Increment
from inventory.errors import Conflict, StaleVersion
from inventory.slotday import DAY_MS, DirectionDay, add, day_start, days_touched, retract
from inventory.slotrun import lengthened, run_of

ATTEMPTS: Final = 5
THREAD_FROM: Final = 200
"""With more readings of the unusual kind they are computed in a thread, so that the loop goes on."""
SLICE: Final = 100
"""Readings of the usual kind that are computed before the loop gets its turn: about 3 ms."""
LONGEST: Final = 1_000
"""A longer series of one interface goes the other way, in the thread."""
REMEMBERED: Final = 250_000
"""Interfaces whose newest readings are held in memory, some 300 bytes each; of others they are read."""

Interface = tuple[int, str]
"""Entry and name: an interface is never identified by its index."""
Day = tuple[int, int]
"""Interface and UTC midnight."""


@dataclass(frozen=True, slots=True)
class Added:
    """What an ingestion did."""

    new: int
    duplicates: int
    slot_days: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Readings to be added, and what is to be written in the same transaction."""

    readings: Mapping[Interface, Sequence[Kept]]
    beside: Callable[[Tx], Awaitable[None]] | None = None


@dataclass(slots=True)
class _Work:
    """One interface's share of a batch, where it is of the unusual kind."""

    interface_id: int
    new: list[Kept]
    series: list[Kept]
    increments: tuple[list[Increment], list[Increment]] = field(default_factory=lambda: ([], []))
    """Of the two directions, in and out."""
    superseded: tuple[list[Increment], list[Increment]] = field(default_factory=lambda: ([], []))
    """What pairs told in the middle of which a new reading lies."""
    days: dict[int, KeptDay] = field(default_factory=dict)
    changed: Sequence[KeptBlob] = ()


@dataclass(slots=True)
class _Batch:
    """What is to be written, and what is remembered once it is."""

    changed: list[KeptBlob] = field(default_factory=list)
    kept: list[tuple[object, ...]] = field(default_factory=list)
    """Rows of readings."""
    newest: dict[int, Sequence[Kept]] = field(default_factory=dict)
    told: int = 0
    fallen: list[falls.Fall] = field(default_factory=list)
    taken_back: list[falls.Fall] = field(default_factory=list)

    def look_for_falls(self, number: int, series: Sequence[Kept], fresh: Collection[int] | None = None) -> None:
        """Falls that readings tell, by time; with `fresh`, of the pairs in which one of those instants is."""
        for a, b in pairwise(series):
            if fresh is None or a.t_ms in fresh or b.t_ms in fresh:
                if fell(a, b):
                    self.fallen.append((number, b.t_ms))
                elif fresh is not None and b.t_ms not in fresh:
                    self.taken_back.append((number, b.t_ms))


class Ingestor:
    """Adds readings to the traffic database. Keeps each interface's last readings in memory."""

    def __init__(self, database: TrafficDatabase, clock: Clock, *, heartbeat_interval_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._interval_ms = heartbeat_interval_ms
        self._ids: dict[Interface, int] = {}
        self._newest: dict[int, Sequence[Kept]] = {}
        """The newest of each interface, and the one before where that pair is not plain (the outlier rule looks at
        three in a row). Not used where other nodes add readings, too."""
        self._one_at_a_time = asyncio.Lock()

    async def add(self, readings: Mapping[Interface, Sequence[Kept]]) -> Added:
        """Add readings, in any order. All of them are added, or none.

        Raises Conflict if other nodes keep changing the same days.
        """

        async def these() -> Taken:
            return Taken(readings)

        return await self.take(these)

    async def take(self, offered: Callable[[], Awaitable[Taken]]) -> Added:
        """The same with what `offered` gives, asked again at each attempt, and with what it wants written beside."""
        async with self._one_at_a_time:
            for _ in range(ATTEMPTS):
                try:
                    return await self._attempt(await offered())
                except StaleVersion:
                    self._newest.clear()
        raise Conflict("other nodes keep changing the same slot-days", next_step="Send the readings again.")

    async def _attempt(self, taken: Taken) -> Added:
        if not taken.readings and taken.beside is None:
            return Added(0, 0, 0)
        await self._know(taken.readings)
        offered = {self._ids[name]: readings for name, readings in taken.readings.items() if readings}
        async with self._database.read() as tx:
            # Days before readings: who commits between the two reads makes the days stale, and this attempt with them.
            days = await slotdays.blobs_of(tx, _days_of(offered))
            newest = await self._newest_of(tx, offered.keys())
        now_ms = self._clock.now_ms()
        oldest_ms = now_ms - retention.READINGS_KEPT_MS
        batch = _Batch()
        unusual = await self._usual(offered, newest, days, oldest_ms, batch)
        if unusual:
            await self._unusual({number: offered[number] for number in unusual}, newest, oldest_ms, batch)
        async with self._database.write() as tx:
            await slotdays.save(tx, batch.changed, now_ms)
            await traffic.keep_readings(tx, batch.kept)
            await falls.keep(tx, batch.fallen, batch.taken_back)
            if taken.beside is not None:
                await taken.beside(tx)
        self._remember(batch.newest)
        total = sum(len(readings) for readings in offered.values())
        return Added(batch.told, total - batch.told, len(batch.changed))

    # --- the usual way ----------------------------------------------------------------------------------------------

    async def _usual(
        self,
        offered: Mapping[int, Sequence[Kept]],
        newest: Mapping[int, Sequence[Kept]],
        days: Mapping[Day, KeptBlob],
        oldest_ms: int,
        batch: _Batch,
    ) -> list[int]:
        """Runs into the days; the interfaces that need the other way. In slices, so that the loop goes on."""
        unusual = []
        computed = 0
        for number, readings in offered.items():
            before, changed = newest.get(number, ()), None
            if len(before) < 2 and len(readings) <= LONGEST:
                changed = _lengthened(number, readings, before, days, oldest_ms)
            if changed is None:
                unusual.append(number)
            else:
                batch.changed += changed
                batch.kept += [traffic.reading_row(number, reading) for reading in readings]
                batch.newest[number] = (readings[-1],)
                batch.look_for_falls(number, (*before, *readings))
                batch.told += len(readings)
            computed += len(readings)
            if computed >= SLICE:
                computed = 0
                await asyncio.sleep(0)
        return unusual

    async def _newest_of(self, tx: Tx, numbers: Collection[int]) -> Mapping[int, Sequence[Kept]]:
        known = {} if self._database.shared else self._newest
        strange = [number for number in numbers if number not in known]
        found = {number: _telling(kept) for number, kept in (await traffic.newest_readings(tx, strange)).items()}
        return found if len(strange) == len(numbers) else {n: known[n] for n in numbers if n in known} | found

    def _remember(self, newest: Mapping[int, Sequence[Kept]]) -> None:
        if self._database.shared:
            return
        for number, kept in newest.items():
            self._newest.pop(number, None)  # so that the first of them is the one that was heard least lately
            self._newest[number] = kept
        while len(self._newest) > REMEMBERED:
            del self._newest[next(iter(self._newest))]

    # --- the other way ----------------------------------------------------------------------------------------------

    async def _unusual(
        self,
        offered: Mapping[int, Sequence[Kept]],
        newest: Mapping[int, Sequence[Kept]],
        oldest_ms: int,
        batch: _Batch,
    ) -> None:
        async with self._database.read() as tx:
            seen = await slotdays.revisions_of(tx, _days_around(offered)) if self._database.shared else {}
            gathered = [
                await self._gather(tx, number, kept, newest.get(number, ())) for number, kept in offered.items()
            ]
        works = [work for work in gathered if work.new]
        new = sum(len(work.new) for work in works)
        await _compute(new, partial(_pair_up, works, self._interval_ms, oldest_ms))
        async with self._database.read() as tx:
            await _days(tx, works)
        for work in works:
            for start_ms, kept in work.days.items():
                if seen.get((work.interface_id, start_ms), kept.revision) != kept.revision:
                    raise StaleVersion("another node changed a slot-day meanwhile", next_step="Read it again.")
        await _compute(new, partial(_add_up, works))
        for work in works:
            batch.look_for_falls(work.interface_id, work.series, {r.t_ms for r in work.new})
            batch.changed += work.changed
            batch.kept += [
                traffic.reading_row(work.interface_id, r)
                for r in work.new
                if r.t_ms >= oldest_ms or r is work.series[-1]
            ]
            if len(work.series) > 1:
                batch.newest[work.interface_id] = _telling(work.series[-2:])
            # A reading so old that its copy is forgotten told something if its day changed.
            days = {kept.start_ms for kept in work.changed}
            batch.told += sum(1 for r in work.new if r.t_ms >= oldest_ms or day_start(r.t_ms) in days)

    async def _know(self, names: Iterable[Interface]) -> None:
        missing = [name for name in names if name not in self._ids]
        if missing:
            async with self._database.write() as tx:
                await traffic.add_interfaces(tx, missing)
                self._ids.update(await traffic.interface_ids(tx, missing))

    async def _gather(self, tx: Tx, number: int, readings: Sequence[Kept], newest: Sequence[Kept]) -> _Work:
        """The readings that are new, among their kept neighbours, by time. Without a `newest` it has no kept ones."""
        first: dict[int, Kept] = {}
        for reading in readings:
            first.setdefault(reading.t_ms, reading)
        around = newest
        if newest and newest[-1].t_ms >= min(first):
            around = await traffic.readings_around(tx, number, min(first), max(first))
        kept = {r.t_ms: r for r in around}
        followed = {r.follows_ms for r in first.values() if r.follows_ms is not None} - kept.keys() - first.keys()
        if followed:
            kept.update({r.t_ms: r for r in await traffic.readings_at(tx, number, followed)})
        new = [first[t_ms] for t_ms in sorted(first) if t_ms not in kept]
        return _Work(number, new, sorted([*kept.values(), *new], key=lambda r: r.t_ms))


async def _compute(readings: int, step: Callable[[], None]) -> None:
    if readings > THREAD_FROM:
        await asyncio.to_thread(step)
    else:
        step()


def _telling(newest: Sequence[Kept]) -> Sequence[Kept]:
    """What the next reading must know of the two newest: the one before the last only if that pair is not plain."""
    return newest[-1:] if len(newest) == 1 or is_plain(newest[-2], newest[-1]) else newest


def _days_of(offered: Mapping[int, Sequence[Kept]]) -> list[Day]:
    """Every slot-day that runs of these readings may touch."""
    return [
        (number, start_ms)
        for number, readings in offered.items()
        for start_ms in range(
            day_start(min(r.t_ms for r in readings) - MEASURED_MAX_MS), max(r.t_ms for r in readings), DAY_MS
        )
    ]


def _days_around(offered: Mapping[int, Sequence[Kept]]) -> list[Day]:
    """Every slot-day that pairs of these readings and their neighbours may touch."""
    return [
        (number, start_ms)
        for number, readings in offered.items()
        for start_ms in range(
            day_start(min(r.t_ms for r in readings) - PAIR_MAX_MS), max(r.t_ms for r in readings) + PAIR_MAX_MS, DAY_MS
        )
    ]


def _lengthened(
    number: int, readings: Sequence[Kept], before: Sequence[Kept], days: Mapping[Day, KeptBlob], oldest_ms: int
) -> list[KeptBlob] | None:
    """The days that the readings change, where they are of the usual kind; None where they are not."""
    source = readings[0].source
    if readings[0].t_ms < oldest_ms or any(r.source != source for r in readings):
        return None
    pairs = plain_pairs(before[-1] if before else None, readings)
    if pairs is None:
        return None
    if not pairs:
        return []
    run = run_of(pairs)
    changed = []
    for start_ms in run.days:
        kept = days.get((number, start_ms))
        if kept is not None and kept.closed:
            return None  # late data for a day that figures were made from leave a mark (§2.4)
        slots = lengthened(kept.slots if kept else None, start_ms, run, source)
        if slots is None:
            return None
        changed.append(KeptBlob(number, start_ms, kept.revision if kept else 0, closed=False, slots=slots))
    return changed


def _pair_up(works: list[_Work], interval_ms: int, oldest_ms: int) -> None:
    for work in works:
        fresh = sorted(r.t_ms for r in work.new)
        work.increments = paired(work.series, fresh, interval_ms)
        work.superseded = _superseded(work, fresh, interval_ms, oldest_ms)


def _superseded(work: _Work, fresh: list[int], interval_ms: int, oldest_ms: int) -> Increments:
    """What neighbours that are no longer ones had told; only of the time of which every reading is kept."""
    among = set(fresh)
    known = [r for r in work.series if r.t_ms not in among]
    if len(known) < 2 or fresh[0] > known[-1].t_ms or fresh[-1] < known[0].t_ms:
        return [], []
    before = paired(known, {r.t_ms for r in known}, interval_ms)
    into, out = (
        [
            one
            for one in before[number]
            if one.t0_ms >= oldest_ms
            and not one.again
            and Flag.CLOCK not in one.marks
            and bisect_right(fresh, one.t0_ms) < bisect_left(fresh, one.t1_ms)
        ]
        for number in DIRECTIONS
    )
    return _told_better(into, work.increments[0]), _told_better(out, work.increments[1])


def _told_better(old: Sequence[Increment], new: Iterable[Increment]) -> list[Increment]:
    """Those of the old increments whose whole time new ones tell for certain: what is certain never becomes less so."""
    certain = sorted((one for one in new if one.octets_min == one.octets_max), key=lambda one: one.t0_ms)
    begins = [one.t0_ms for one in certain]
    found = []
    for one in old:
        inside = certain[bisect_left(begins, one.t0_ms) : bisect_left(begins, one.t1_ms)]
        if sum(part.length_ms for part in inside if part.t1_ms <= one.t1_ms) == one.length_ms:
            found.append(one)
    return found


def _add_up(works: list[_Work]) -> None:
    for work in works:
        speeds = {r.speed_bps for r in work.series if r.speed_bps}
        changed: set[int] = set()
        for number, increments in enumerate(work.increments):
            days = {start: _direction(kept, number) for start, kept in work.days.items()}
            marked = [_corrected(increment, work.days) for increment in increments]
            for one in work.superseded[number]:
                changed |= retract(days, one)
            changed |= add(days, marked, max(speeds, default=None))
        for start in changed:
            work.days[start].day.origins.update(_origins(work, start))
        work.changed = [KeptBlob.of(work.days[start]) for start in sorted(changed)]


def _origins(work: _Work, start_ms: int) -> set[str]:
    """Sources of the new readings that end in a day, or just after it."""
    inside = {r.source for r in work.new if start_ms <= r.t_ms <= start_ms + DAY_MS}
    return inside or {r.source for r in work.new}


def _direction(kept: KeptDay, number: int) -> DirectionDay:
    return kept.day.out if number else kept.day.into


def _corrected(increment: Increment, days: Mapping[int, KeptDay]) -> Increment:
    """Late data for a day that figures were made from leave a mark (§2.4)."""
    if any(days[start].closed for start in days_touched(increment)):
        return replace(increment, marks=increment.marks | {Flag.CORRECTED})
    return increment


async def _days(tx: Tx, works: Sequence[_Work]) -> None:
    """Give each work every slot-day that its increments touch, and the neighbours that share an uncertain one."""
    touched = {
        (work.interface_id, start)
        for work in works
        for increments in work.increments
        for increment in increments
        for start in days_touched(increment)
    }
    days = await slotdays.days_of(tx, touched)
    shared = {
        (interface_id, start)
        for (interface_id, _), kept in days.items()
        for direction in (kept.day.into, kept.day.out)
        for pending in direction.pending
        for start in days_touched(pending)
    }
    if shared - touched:
        days.update(await slotdays.days_of(tx, shared - touched))
    of_interface: dict[int, dict[int, KeptDay]] = {}
    for (interface_id, start), kept in days.items():
        of_interface.setdefault(interface_id, {})[start] = kept
    for work in works:
        work.days = of_interface.get(work.interface_id, {})
