"""Day close: the slots of a final day become figures, a run of days a level, a change of level an event."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from controller.clock import Clock
from controller.metering import outlooks
from controller.metering.series import KeptPorts, first_slot_day, kept_ports, metered, series_of
from controller.store import (
    dayfigures,
    events,
    levels,
    linkports,
    links,
    maintenance,
    months,
    reports,
    retention,
    slotdays,
)
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.levels import LevelChange, LinkLevel
from controller.store.scope import By, Scope
from controller.store.slotdays import KeptBlob
from controller.store.traffic import TrafficDatabase
from inventory import linkdays, linkmonths
from inventory.linkdays import LinkDay
from inventory.linkmonths import LinkMonth, plateau_bps
from inventory.links import Capacity, CapacityKind, Direction, Link, governing
from inventory.maintenance import MaintenanceWindow, left_out
from inventory.metering import RULE_VERSION
from inventory.periods import TOKYO, Period, day_of, day_start_ms, span_of
from inventory.slotday import DAY_MS, day_start, part_digest
from inventory.timeslots import SLOT_MS

FINAL_AFTER_MS = 900_000
"""A slot, and so a day, is final 15 minutes after its end (§2.4)."""
HISTORY_DAYS = 400
PLATEAU_DAYS = 30
RECENT_DAYS = 3
"""Older days wait for no neighbour any more, whatever their zone."""
AT_ONCE = 50
"""Links whose changed slot-days are read together."""

_SlotDay = tuple[int, int]
"""Interface and UTC midnight."""


@dataclass(frozen=True, slots=True)
class _Changed:
    """A link's slot-days whose figures are missing or stale: interface, UTC midnight, revision, whether again."""

    link: Link
    days: tuple[tuple[int, int, int, bool], ...]


class DayCloser:
    """Makes figures and levels. Repeatable: the same slots give the same figures, levels and changes."""

    def __init__(self, database: Database, traffic_database: TrafficDatabase, clock: Clock) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._made: dict[tuple[int, date], dict[_SlotDay, bytes]] = {}
        """Of days that were made: the digest of their part of each slot-day. The slot-day of a local day that is over
        goes on changing, for the next one has begun in it."""

    async def close(self) -> int:
        """Figures of all link-days that are final and stale; how many were made (a direction is not a day)."""
        made = 0
        waiting = await self._changed()
        for first in range(0, len(waiting), AT_ONCE):
            some = waiting[first : first + AT_ONCE]
            async with self._traffic.read() as tx:
                # Before the figures: what changes in between is looked at again next time.
                blobs = await slotdays.blobs_of(tx, [day[:2] for changed in some for day in changed.days])
            for changed in some:
                made += await self._close_link(changed, blobs)
        recent = day_of(self._clock.now_ms(), TOKYO) - timedelta(days=RECENT_DAYS)
        self._made = {key: parts for key, parts in self._made.items() if key[1] >= recent}
        return made

    async def _changed(self) -> list[_Changed]:
        async with self._database.read() as tx:
            zones = await linkports.zones(tx)
        if not zones:
            return []
        now_ms = self._clock.now_ms()
        async with self._traffic.read() as tx:
            # The slot-days of today are of interest once a local day has ended in them; until then they are many.
            rows = await slotdays.changed_days(tx, max(_newest_final(zone, now_ms) for zone in zones))
        async with self._database.read() as tx:
            known = await links.by_interface(tx, Scope.everything(), {(row.entry_id, row.name) for row in rows})
        days: dict[int, list[tuple[int, int, int, bool]]] = {}
        of_number = {}
        for row in rows:
            link = known.get((row.entry_id, row.name))
            if link is not None:
                of_number[link.id] = link
                days.setdefault(link.id, []).append((row.interface_id, row.start_ms, row.revision, row.again))
        return [_Changed(of_number[number], tuple(sorted(mine))) for number, mine in sorted(days.items())]

    async def _close_link(self, changed: _Changed, blobs: Mapping[_SlotDay, KeptBlob]) -> int:
        link, now_ms = changed.link, self._clock.now_ms()
        stale: dict[date, dict[_SlotDay, bytes]] = {}
        rejudged: set[date] = set()
        finished = []
        for interface_id, start, revision, again in changed.days:
            overlapped = _local_days(start, link.zone)
            kept = blobs.get((interface_id, start))
            if kept is None:
                continue  # forgotten meanwhile, since it is 400 days old
            for day in overlapped:
                if _is_final(day, link.zone, now_ms):
                    span = (day_start_ms(day, link.zone), day_start_ms(day + timedelta(days=1), link.zone))
                    stale.setdefault(day, {})[interface_id, start] = part_digest(start, kept.slots, *span)
                    rejudged |= {day} if again else set()
            if _is_final(overlapped[-1], link.zone, now_ms):
                finished.append((interface_id, start, revision))
        todo = [
            day
            for day, parts in sorted(stale.items())
            if day in rejudged or not _same(parts, self._made.get((link.id, day), {}))
        ]
        made = 0
        if todo:
            made = await self._make(link, todo)
        for day, parts in stale.items():
            self._made.setdefault((link.id, day), {}).update(parts)
        if finished:
            async with self._traffic.write() as tx:
                await slotdays.mark_closed(tx, finished)
        return made

    async def _make(self, link: Link, days: list[date]) -> int:
        start_ms = day_start_ms(days[0], link.zone)
        end_ms = day_start_ms(days[-1] + timedelta(days=1), link.zone)
        async with self._database.read() as tx:
            capacities = await links.known_capacities(tx, link)
            windows = (await maintenance.holding(tx, [link.entry_id], start_ms, end_ms))[link.entry_id]
        figures: list[LinkDay] = []
        kept = await self._figures_of_what_is_forgotten(link, days)
        for day in days:
            if day in kept:
                continue
            found = await self._figures(link, capacities, windows, day)
            # A UTC day begins in one local day and ends in the next; one of them may hold nothing of it.
            if any(one.covered_ms or one.octets_low for one in found):
                figures += found
        now_ms = self._clock.now_ms()
        async with self._traffic.write() as tx:
            for one in figures:
                await dayfigures.put(tx, now_ms, one)
        if figures:
            await self._months(link, [one.day for one in figures])
            await self._learn(link, capacities)
            await self.judge(link)
            async with self._database.write() as tx:
                await reports.mark_remade(tx, link.id, sorted({one.day for one in figures}), now_ms)
        return len(figures) // len(Direction)

    async def _figures_of_what_is_forgotten(self, link: Link, days: list[date]) -> set[date]:
        """Of these days those that have figures and no longer all slots: made again they would be of a part."""
        now_ms = self._clock.now_ms()
        old = [day for day in days if retention.forgotten(day_start_ms(day, link.zone), now_ms)]
        if not old:
            return set()
        async with self._traffic.read() as tx:
            return {one.day for one in await dayfigures.of_link(tx, link.id, old[0], old[-1] + timedelta(days=1))}

    async def _figures(
        self, link: Link, capacities: list[Capacity], windows: list[MaintenanceWindow], day: date
    ) -> list[LinkDay]:
        start_ms = day_start_ms(day, link.zone)
        end_ms = day_start_ms(day + timedelta(days=1), link.zone)
        async with self._traffic.read() as tx:
            ports = await kept_ports(tx, link, start_ms, end_ms)
        excluded = left_out(windows, start_ms, (end_ms - start_ms) // SLOT_MS, link.zone)
        # In a thread: a catch-up over weeks would hold the loop for seconds.
        return await asyncio.to_thread(_judge, link, capacities, day, (start_ms, end_ms, excluded), ports)

    async def _months(self, link: Link, days: list[date]) -> None:
        """Figures of the months that are over and had one of these days: made anew as often as a day changes."""
        now_ms = self._clock.now_ms()
        for first in sorted({day.replace(day=1) for day in days}):
            span = span_of(Period.MONTH, first, link.zone)
            if now_ms < span.end_ms + FINAL_AFTER_MS:
                continue
            async with self._database.read() as tx:
                capacities = await links.known_capacities(tx, link)
            async with self._traffic.read() as tx:
                known = {one.month for one in await months.of_link(tx, link.id)}
                if first in known and retention.forgotten(span.start_ms, now_ms):
                    continue  # as with days: anew it would be of a part
                ports = await kept_ports(tx, link, span.start_ms, span.end_ms)
                begun_ms = await first_slot_day(tx, link)
            months_span = (span.start_ms, span.end_ms, begun_ms)
            found = await asyncio.to_thread(_month, link, capacities, first, months_span, ports)
            async with self._traffic.write() as tx:
                for one in found:
                    await months.put(tx, now_ms, one)
            await outlooks.keep_record(self._database, self._traffic, link, capacities, now_ms)

    async def _learn(self, link: Link, capacities: list[Capacity]) -> None:
        """Look for a plateau where neither line nor shaper is known; a learned ceiling may ask, never assert (§4)."""
        today = day_of(self._clock.now_ms(), link.zone)
        known = [c for c in capacities if c.kind in (CapacityKind.LINE, CapacityKind.SHAPED) and c.holds_on(today)]
        if any(c.down_bps or c.up_bps for c in known):
            return
        start_ms, end_ms = (day_start_ms(today - timedelta(days=n), link.zone) for n in (PLATEAU_DAYS, 0))
        async with self._traffic.read() as tx:
            ports = await kept_ports(tx, link, start_ms, end_ms)
        down, up = await asyncio.to_thread(_plateaus, link, ports, start_ms, end_ms)
        held = next((c for c in capacities if c.kind is CapacityKind.LEARNED and c.holds_on(today)), None)
        down, up = (
            _kept_ceiling(new, old)
            for new, old in ((down, held.down_bps if held else None), (up, held.up_bps if held else None))
        )
        if (down, up) == ((held.down_bps, held.up_bps) if held else (None, None)):
            return
        reason = "this line behaves as if limited near this rate: enter the line rate"
        by = By("daemon", self._clock.now_ms())
        new = Capacity(CapacityKind.LEARNED, down, up, today, None, by.actor, reason)
        async with self._database.write() as tx:
            await links.set_capacity(tx, Scope.everything(), by, link.id, new)

    async def judge(self, link: Link) -> None:
        """Levels of a link from all its kept days; changes that are new are recorded with their evidence."""
        now_ms = self._clock.now_ms()
        today = day_of(now_ms, link.zone)
        async with self._traffic.read() as tx:
            days = await dayfigures.of_link(tx, link.id, today - timedelta(days=HISTORY_DAYS), today)
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
                    verdict.causes,
                )
                await levels.put(tx, state)
                for change in verdict.changes:
                    proof = linkdays.evidence(run, change)
                    row = LevelChange(
                        0, link.id, direction, change.day, change.before, change.after, proof, RULE_VERSION, now_ms
                    )
                    if await levels.add_change(tx, row):
                        await events.record(tx, _event(link, row))


def _same(parts: Mapping[_SlotDay, bytes], made: Mapping[_SlotDay, bytes]) -> bool:
    """Whether a day was made from these very parts of its slot-days."""
    return all(made.get(key) == digest for key, digest in parts.items())


def _local_days(start_ms: int, zone: str) -> list[date]:
    """Local days that a UTC day overlaps, in order."""
    first, last = day_of(start_ms, zone), day_of(start_ms + DAY_MS - 1, zone)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _is_final(day: date, zone: str, now_ms: int) -> bool:
    return now_ms >= day_start_ms(day + timedelta(days=1), zone) + FINAL_AFTER_MS


def _newest_final(zone: str, now_ms: int) -> int:
    """Begin of the newest UTC day in which a local day has ended that is final."""
    start_ms = day_start(now_ms)
    while not _is_final(_local_days(start_ms, zone)[0], zone, now_ms):
        start_ms -= DAY_MS
    return start_ms


def _event(link: Link, change: LevelChange) -> NewEvent:
    facts = {
        "link": link.id,
        "interface": link.interface,
        "direction": change.direction.value,
        "day": change.day.isoformat(),
        "before": int(change.before),
        "after": int(change.after),
        "causes": [one["cause"] for one in change.evidence["causes"]],
    }
    return NewEvent("link.level", change.recorded_ms, entry_id=link.entry_id, facts=facts)


def _judge(
    link: Link, capacities: list[Capacity], day: date, span: tuple[int, int, frozenset[int]], ports: KeptPorts
) -> list[LinkDay]:
    start_ms, end_ms, excluded = span
    found = series_of(ports, start_ms, end_ms)
    return [
        linkdays.judge_day(
            link,
            direction,
            day,
            series,
            capacity=governing(link, capacities, direction, day),
            origins=found.origins,
            more=linkdays.beside(link, direction, found.into, found.out, excluded),
        )
        for direction, series in linkdays.direction_series(link, found.into, found.out).items()
    ]


def _month(
    link: Link, capacities: list[Capacity], first: date, span: tuple[int, int, int | None], ports: KeptPorts
) -> list[LinkMonth]:
    start_ms, end_ms, begun_ms = span
    found = metered(series_of(ports, start_ms, end_ms), begun_ms, end_ms)
    if not found.into.known:
        return []
    last = day_of(end_ms - 1, link.zone)
    return [
        linkmonths.judge(link, direction, first, series, governing(link, capacities, direction, last))
        for direction, series in linkdays.direction_series(link, found.into, found.out).items()
    ]


def _plateaus(link: Link, ports: KeptPorts, start_ms: int, end_ms: int) -> tuple[int | None, int | None]:
    """Plateau of the down and of the up direction, in bit/s."""
    found = series_of(ports, start_ms, end_ms)
    series = linkdays.direction_series(link, found.into, found.out)
    down, up = (plateau_bps(series[direction][0]) for direction in (Direction.DOWN, Direction.UP))
    return down, up


def _kept_ceiling(new: int | None, old: int | None) -> int | None:
    """The old figure while the new one is the same within 3 %: a history is not begun anew for nothing."""
    if new is not None and old is not None and abs(new - old) * 100 <= 3 * old:
        return old
    return new if new is not None else old
