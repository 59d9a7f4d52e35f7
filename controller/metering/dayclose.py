"""Day close: the slots of a final day become figures, a run of days a level, a change of level an event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from controller.clock import Clock
from controller.store import events, links, reports, traffic
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.links import LevelChange, LinkLevel
from controller.store.scope import Scope
from controller.store.traffic import KeptDay, TrafficDatabase
from inventory import linkdays
from inventory.linkdays import LinkDay
from inventory.links import Capacity, Direction, Link, governing
from inventory.metering import RULE_VERSION
from inventory.periods import TOKYO, day_of, day_start_ms
from inventory.slotday import DAY_MS, window

FINAL_AFTER_MS = 900_000
"""A slot, and so a day, is final 15 minutes after its end (§2.4)."""
HISTORY_DAYS = 400
RECENT_DAYS = 3
"""Older days wait for no neighbour any more, whatever their zone."""


@dataclass(frozen=True, slots=True)
class _Changed:
    """An interface's slot-days whose figures are missing or stale: UTC midnight and revision."""

    interface_id: int
    link: Link
    days: tuple[tuple[int, int], ...]


class DayCloser:
    """Makes figures and levels. Repeatable: the same slots give the same figures, levels and changes."""

    def __init__(self, database: Database, traffic_database: TrafficDatabase, clock: Clock) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._made: dict[tuple[int, date], set[tuple[int, int]]] = {}

    async def close(self) -> int:
        """Figures of all link-days that are final and stale; how many were made (a direction is not a day)."""
        made = 0
        for changed in await self._changed():
            made += await self._close_link(changed)
        recent = day_of(self._clock.now_ms(), TOKYO) - timedelta(days=RECENT_DAYS)
        self._made = {key: revisions for key, revisions in self._made.items() if key[1] >= recent}
        return made

    async def _changed(self) -> list[_Changed]:
        async with self._traffic.read() as tx:
            rows = await traffic.changed_days(tx)
        async with self._database.read() as tx:
            known = await links.by_interface(tx, Scope.everything(), {(row.entry_id, row.name) for row in rows})
        found = []
        for interface_id, group in groupby(rows, key=lambda row: row.interface_id):
            mine = list(group)
            link = known.get((mine[0].entry_id, mine[0].name))
            if link is not None:
                found.append(_Changed(interface_id, link, tuple((row.start_ms, row.revision) for row in mine)))
        return found

    async def _close_link(self, changed: _Changed) -> int:
        link, now_ms = changed.link, self._clock.now_ms()
        stale: dict[date, set[tuple[int, int]]] = {}
        finished = []
        for start, revision in changed.days:
            overlapped = _local_days(start, link.zone)
            for day in overlapped:
                if _is_final(day, link.zone, now_ms):
                    stale.setdefault(day, set()).add((start, revision))
            if _is_final(overlapped[-1], link.zone, now_ms):
                finished.append((changed.interface_id, start, revision))
        # A day that was made from these very revisions waits only for its neighbour to be final.
        todo = [day for day, made in sorted(stale.items()) if not made <= self._made.get((link.id, day), set())]
        made = 0
        if todo:
            made = await self._make(changed.interface_id, link, todo)
            self._made.update({(link.id, day): stale[day] for day in todo})
        if finished:
            async with self._traffic.write() as tx:
                await traffic.mark_closed(tx, finished)
        return made

    async def _make(self, interface_id: int, link: Link, days: list[date]) -> int:
        async with self._database.read() as tx:
            capacities = await links.capacities(tx, link.id)
        figures: list[LinkDay] = []
        for day in days:
            found = await self._figures(interface_id, link, capacities, day)
            # A UTC day begins in one local day and ends in the next; one of them may hold nothing of it.
            if any(one.covered_ms or one.octets_low for one in found):
                figures += found
        now_ms = self._clock.now_ms()
        async with self._traffic.write() as tx:
            for one in figures:
                await traffic.put_link_day(tx, now_ms, one)
        if figures:
            await self.judge(link)
            async with self._database.write() as tx:
                await reports.mark_remade(tx, link.id, sorted({one.day for one in figures}), now_ms)
        return len(figures) // len(Direction)

    async def _figures(self, interface_id: int, link: Link, capacities: list[Capacity], day: date) -> list[LinkDay]:
        start_ms = day_start_ms(day, link.zone)
        end_ms = day_start_ms(day + timedelta(days=1), link.zone)
        async with self._traffic.read() as tx:
            kept = await traffic.slot_days_between(tx, interface_id, start_ms, end_ms)
        # In a thread: a catch-up over weeks would hold the loop for seconds.
        return await asyncio.to_thread(_judge, link, capacities, day, (start_ms, end_ms), list(kept.values()))

    async def judge(self, link: Link) -> None:
        """Levels of a link from all its kept days; changes that are new are recorded with their evidence."""
        now_ms = self._clock.now_ms()
        today = day_of(now_ms, link.zone)
        async with self._traffic.read() as tx:
            days = await traffic.link_days(tx, link.id, today - timedelta(days=HISTORY_DAYS), today)
        async with self._database.write() as tx:
            for direction in Direction:
                run = [day for day in days if day.direction is direction]
                verdict = linkdays.judge_run(run)
                if verdict is None:
                    continue
                state = LinkLevel(
                    link.id,
                    direction,
                    verdict.level,
                    verdict.since,
                    verdict.valid_day,
                    run[-1].day,
                    verdict.valid_days,
                    verdict.capacity_kind,
                    RULE_VERSION,
                    now_ms,
                )
                await links.put_level(tx, state)
                for change in verdict.changes:
                    proof = linkdays.evidence(run, change)
                    row = LevelChange(
                        0, link.id, direction, change.day, change.before, change.after, proof, RULE_VERSION, now_ms
                    )
                    if await links.add_change(tx, row):
                        await events.record(tx, _event(link, row))


def _local_days(start_ms: int, zone: str) -> list[date]:
    """Local days that a UTC day overlaps, in order."""
    first, last = day_of(start_ms, zone), day_of(start_ms + DAY_MS - 1, zone)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _is_final(day: date, zone: str, now_ms: int) -> bool:
    return now_ms >= day_start_ms(day + timedelta(days=1), zone) + FINAL_AFTER_MS


def _event(link: Link, change: LevelChange) -> NewEvent:
    facts = {
        "link": link.id,
        "interface": link.interface,
        "direction": change.direction.value,
        "day": change.day.isoformat(),
        "before": int(change.before),
        "after": int(change.after),
    }
    return NewEvent("link.level", change.recorded_ms, entry_id=link.entry_id, facts=facts)


def _judge(
    link: Link, capacities: list[Capacity], day: date, span: tuple[int, int], kept: list[KeptDay]
) -> list[LinkDay]:
    into = window((k.day.into for k in kept), *span)
    out = window((k.day.out for k in kept), *span)
    origins = tuple(sorted({origin for k in kept for origin in k.day.origins}))
    return [
        linkdays.judge_day(
            link,
            direction,
            day,
            series,
            capacity=governing(link, capacities, direction, day),
            origins=origins,
        )
        for direction, series in linkdays.direction_series(link, into, out).items()
    ]
