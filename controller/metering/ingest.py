"""Readings into slot-days: paired with their neighbours, added where time is not accounted for yet.

Idempotent: the same readings again, in any order, change nothing. One ingestion at a time in a process; between
processes the revision of a slot-day decides, and the loser reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from controller.clock import Clock
from controller.store import traffic
from controller.store.database import Tx
from controller.store.traffic import Kept, KeptDay, TrafficDatabase
from inventory.counters import (
    PAIR_MAX_MS,
    Flag,
    Increment,
    RateReport,
    Reading,
    pair,
    rate_pair,
)
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
    """Adds readings to the traffic database. Keeps each interface's last reading in memory."""

    def __init__(self, database: TrafficDatabase, clock: Clock, *, heartbeat_interval_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._interval_ms = heartbeat_interval_ms
        self._ids: dict[Interface, int] = {}
        self._last: dict[int, Kept] = {}
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
            works = [await self._gather(tx, self._ids[name], kept) for name, kept in readings.items() if kept]
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
        self._last.update({work.interface_id: work.series[-1] for work in works})
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

    async def _gather(self, tx: Tx, interface_id: int, readings: Sequence[Kept]) -> _Work:
        """The readings that are new, among their kept neighbours, by time."""
        first: dict[int, Kept] = {}
        for reading in readings:
            first.setdefault(reading.t_ms, reading)
        last = self._last.get(interface_id)
        if last is not None and last.t_ms < min(first):
            around = [last]
        else:
            around = await traffic.readings_around(tx, interface_id, min(first), max(first))
        kept = {r.t_ms: r for r in around}
        new = [first[t_ms] for t_ms in sorted(first) if t_ms not in kept]
        return _Work(interface_id, new, sorted([*kept.values(), *new], key=lambda r: r.t_ms))


def _pair_up(works: list[_Work], interval_ms: int) -> None:
    for work in works:
        fresh = {r.t_ms for r in work.new}
        for a, b in pairwise(work.series):
            if a.t_ms in fresh or b.t_ms in fresh:
                into, out = increments_between(a, b, interval_ms)
                work.increments[0].extend(into)
                work.increments[1].extend(out)


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


def increments_between(a: Kept, b: Kept, interval_ms: int) -> tuple[Sequence[Increment], Sequence[Increment]]:
    """Increments of both directions between two kept readings of one interface.

    Readings of two different adapters, or across a step of the controller's clock, make no pair: that time is
    a gap. So is a pair longer than a day, which says no more than that nothing is known.
    """
    if b.t_ms - a.t_ms > PAIR_MAX_MS:
        return (), ()
    if b.clock_stepped:
        lost = Increment(a.t_ms, b.t_ms, 0, None, Flag.GAP, frozenset({Flag.CLOCK}))
        return (lost,), (lost,)
    if b.rates:
        into, out = (RateReport(b.t_ms, octets) for octets in (b.in_octets, b.out_octets))
        return rate_pair(a.t_ms, into, interval_ms), rate_pair(a.t_ms, out, interval_ms)
    speed_bps = max((s for s in (a.speed_bps, b.speed_bps) if s), default=None)
    name = "" if _same_counter(a, b) else "another"
    return (
        pair(_reading(a, a.in_octets, ""), _reading(b, b.in_octets, name), b.counter_bits, speed_bps),
        pair(_reading(a, a.out_octets, ""), _reading(b, b.out_octets, name), b.counter_bits, speed_bps),
    )


def _same_counter(a: Kept, b: Kept) -> bool:
    """Imported readings do not say which adapter they are of; they join with any."""
    same_adapter = None in (a.adapter_id, b.adapter_id) or a.adapter_id == b.adapter_id
    return same_adapter and not a.rates and a.counter_bits == b.counter_bits


def _reading(kept: Kept, octets: int, name: str) -> Reading:
    return Reading(kept.t_ms, octets, kept.uptime_cs, kept.discontinuity, name, kept.restarted_at_ms)
