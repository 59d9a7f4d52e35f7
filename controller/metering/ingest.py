"""Readings into slot-days: paired with their neighbours, added where time is not accounted for yet.

Idempotent: the same readings again, in any order, change nothing. One ingestion at a time in a process; between
processes the revision of a slot-day decides, and the loser reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.clock import Clock
from controller.metering.pairing import paired
from controller.store import traffic
from controller.store.database import Tx
from controller.store.traffic import Kept, KeptDay, TrafficDatabase
from inventory.counters import Flag, Increment
from inventory.errors import Conflict, StaleVersion
from inventory.slotday import DAY_MS, DirectionDay, add, days_touched

ATTEMPTS = 5
THREAD_FROM = 200
"""A batch with more readings is computed in a thread, so that the loop goes on."""

Interface = tuple[int, str]
"""Entry and name: an interface is never identified by its index."""


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
    """One interface's share of a batch."""

    interface_id: int
    new: list[Kept]
    series: list[Kept]
    increments: tuple[list[Increment], list[Increment]] = field(default_factory=lambda: ([], []))
    """Of the two directions, in and out."""
    days: dict[int, KeptDay] = field(default_factory=dict)
    changed: Sequence[KeptDay] = ()

    def told(self, oldest_ms: int) -> int:
        """How many readings told something: a reading so old that its copy is forgotten did so if its day changed."""
        days = {kept.day.start_ms for kept in self.changed}
        return sum(1 for r in self.new if r.t_ms >= oldest_ms or r.t_ms - r.t_ms % DAY_MS in days)


class Ingestor:
    """Adds readings to the traffic database. Keeps each interface's last readings in memory."""

    def __init__(self, database: TrafficDatabase, clock: Clock, *, heartbeat_interval_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._interval_ms = heartbeat_interval_ms
        self._ids: dict[Interface, int] = {}
        self._last: dict[int, Sequence[Kept]] = {}
        """The two newest of each interface: the outlier rule looks at three in a row."""
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
                    self._last.clear()
        raise Conflict("other nodes keep changing the same slot-days", next_step="Send the readings again.")

    async def _attempt(self, taken: Taken) -> Added:
        readings = taken.readings
        if not readings and taken.beside is None:
            return Added(0, 0, 0)
        await self._know(readings)
        async with self._database.read() as tx:
            strange = {self._ids[name] for name in readings} - self._last.keys()
            bare = strange - await traffic.with_readings(tx, strange)
            works = [
                await self._gather(tx, self._ids[name], kept, self._ids[name] in bare)
                for name, kept in readings.items()
                if kept
            ]
        works = [work for work in works if work.new]
        total = sum(len(kept) for kept in readings.values())
        new = sum(len(work.new) for work in works)
        await self._compute(new, _pair_up, works)
        async with self._database.read() as tx:
            await _days(tx, works)
        await self._compute(new, _add_up, works)
        now_ms = self._clock.now_ms()
        oldest_ms = now_ms - traffic.READINGS_KEPT_MS
        async with self._database.write() as tx:
            await traffic.save_slot_days(tx, [kept for work in works for kept in work.changed], now_ms)
            await traffic.keep_readings(
                tx,
                (
                    (work.interface_id, r)
                    for work in works
                    for r in work.new
                    if r.t_ms >= oldest_ms or r is work.series[-1]
                ),
            )
            if taken.beside is not None:
                await taken.beside(tx)
        self._last.update({work.interface_id: work.series[-2:] for work in works if len(work.series) > 1})
        told = sum(work.told(oldest_ms) for work in works)
        return Added(told, total - told, sum(len(work.changed) for work in works))

    async def _compute(self, size: int, step: Callable[[list[_Work], int], None], works: list[_Work]) -> None:
        if size > THREAD_FROM:
            await asyncio.to_thread(step, works, self._interval_ms)
        else:
            step(works, self._interval_ms)

    async def _know(self, names: Iterable[Interface]) -> None:
        missing = [name for name in names if name not in self._ids]
        if missing:
            async with self._database.write() as tx:
                await traffic.add_interfaces(tx, missing)
                self._ids.update(await traffic.interface_ids(tx, missing))

    async def _gather(self, tx: Tx, interface_id: int, readings: Sequence[Kept], bare: bool) -> _Work:
        """The readings that are new, among their kept neighbours, by time. `bare`: it has no kept ones at all."""
        first: dict[int, Kept] = {}
        for reading in readings:
            first.setdefault(reading.t_ms, reading)
        last = self._last.get(interface_id)
        around: list[Kept] = []
        if last is not None and last[-1].t_ms < min(first):
            around = list(last)
        elif not bare:
            around = await traffic.readings_around(tx, interface_id, min(first), max(first))
        kept = {r.t_ms: r for r in around}
        followed = {r.follows_ms for r in first.values() if r.follows_ms is not None} - kept.keys() - first.keys()
        if followed:
            kept.update({r.t_ms: r for r in await traffic.readings_at(tx, interface_id, followed)})
        new = [first[t_ms] for t_ms in sorted(first) if t_ms not in kept]
        return _Work(interface_id, new, sorted([*kept.values(), *new], key=lambda r: r.t_ms))


def _pair_up(works: list[_Work], interval_ms: int) -> None:
    for work in works:
        work.increments = paired(work.series, {r.t_ms for r in work.new}, interval_ms)


def _add_up(works: list[_Work], interval_ms: int) -> None:
    for work in works:
        speeds = {r.speed_bps for r in work.series if r.speed_bps}
        changed: set[int] = set()
        for number, increments in enumerate(work.increments):
            days = {start: _direction(kept, number) for start, kept in work.days.items()}
            marked = [_corrected(increment, work.days) for increment in increments]
            changed |= add(days, marked, max(speeds, default=None))
        for start in changed:
            work.days[start].day.origins.update(_origins(work, start))
        work.changed = [work.days[start] for start in sorted(changed)]


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
    days = await traffic.slot_days_of(tx, touched)
    shared = {
        (interface_id, start)
        for (interface_id, _), kept in days.items()
        for direction in (kept.day.into, kept.day.out)
        for pending in direction.pending
        for start in days_touched(pending)
    }
    if shared - touched:
        days.update(await traffic.slot_days_of(tx, shared - touched))
    of_interface: dict[int, dict[int, KeptDay]] = {}
    for (interface_id, start), kept in days.items():
        of_interface.setdefault(interface_id, {})[start] = kept
    for work in works:
        work.days = of_interface.get(work.interface_id, {})
