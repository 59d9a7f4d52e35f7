"""Metering: heartbeats, polls and imported readings become slot-days; days become levels and proposals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Final

import structlog

from controller.clock import Clock
from controller.metering import imports
from controller.metering.alarms import AlarmChange, AlarmWatch
from controller.metering.dayclose import DayCloser
from controller.metering.drafting import Drafter
from controller.metering.ingest import Added, Ingestor, Interface
from controller.metering.mobile import MobileUse
from controller.metering.mobilewatch import MobileWatch
from controller.metering.settling import Restarts, Settler
from controller.phonehome.beats import Batch
from controller.store import beats, linkports, links, retention, slotdays
from controller.store.database import Database
from controller.store.proposals import Proposal
from controller.store.scope import By, Scope
from controller.store.traffic import Kept, TrafficDatabase
from drivers.sessions.counting import FoundInterface
from inventory.calendar import tokyo_day
from inventory.replays import Told
from inventory.saturation import DEFAULT_ALARM, AlarmRules
from inventory.slotday import day_start

log = structlog.get_logger()

HOUR_MS: Final = 3_600_000
AT_ONCE_FOLDED: Final = 500
"""Interfaces whose readings become slots in one transaction; a fleet of no more is folded at every poll."""
FOLD_MS: Final = 240_000
SETTLE_S: Final = 15.0
"""Seconds after which heartbeats that are durable have become readings and slots."""
MANY_WAIT: Final = 10_000
"""With so many of them that is not waited for."""


@dataclass(frozen=True, slots=True)
class PolledReading:
    """Counters of one interface from one SNMP answer."""

    adapter_id: int
    entry_id: int
    interface: str
    reading: Kept


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `new` + `duplicates` = lines with a reading."""

    lines: int
    new: int
    duplicates: int
    slot_days: int
    first_ms: int | None
    last_ms: int | None


class MeteringService:
    """The daemon's metering. Start `run` as a task; everything else may be called at any time."""

    def __init__(
        self,
        database: Database,
        traffic_database: TrafficDatabase,
        clock: Clock,
        *,
        heartbeat_interval_s: int = 60,
        tick_s: float = 300.0,
        alarm: AlarmRules = DEFAULT_ALARM,
        line_offers_bps: Sequence[int] = (),
        model_ladder: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._tick_s = tick_s
        self._ingestor = Ingestor(traffic_database, clock, heartbeat_interval_ms=heartbeat_interval_s * 1000)
        self._closer = DayCloser(database, traffic_database, clock)
        self._drafter = Drafter(
            database, traffic_database, clock, line_offers_bps=line_offers_bps, model_ladder=model_ladder
        )
        self._mobile = MobileWatch(database, traffic_database, clock)
        self._mobile_day: date | None = None
        self._unlooked = False
        """Whether days were closed since the last daily look."""
        self._restarts = Restarts()
        self._settler = Settler(database, traffic_database, clock, self._ingestor, self._restarts)
        self._alarms = AlarmWatch(
            database, traffic_database, clock, rules=alarm, interval_ms=heartbeat_interval_s * 1000
        )
        self._past_changed = asyncio.Event()
        self._pruned_day_ms: int | None = None
        self._packed_hour: int | None = None
        """The hour in which the contents of heartbeats were last put together."""
        self._polled: dict[Interface, list[Kept]] = {}
        self._folded_ms = clock.monotonic_ms()
        self._folding: asyncio.Task[None] | None = None

    async def import_readings(self, scope: Scope, lines: AsyncIterator[bytes] | bytes) -> ImportReport:
        """Import past readings, NDJSON, one a line. The same lines again change nothing.

        All lines are checked before any is used. Raises BadInput that names each wrong line and field.
        """
        split = await imports.split_lines(lines)
        found, wrong = await asyncio.to_thread(imports.parse, split, self._clock.now_ms())
        names = {(line.entry_id, line.interface) for line in found}
        async with self._database.read() as tx:
            known = await links.by_interface(tx, scope, names)
        wrong += imports.unlinked(found, known)
        if wrong:
            raise imports.refused(wrong)
        readings: dict[Interface, list[Kept]] = {name: [] for name in sorted(names)}
        for line in found:
            name = (line.entry_id, line.interface)
            speed = next((port.port_speed_bps for port in known[name].ports if port.interface == name[1]), None)
            readings[name].append(replace(line.reading, speed_bps=speed))
        added = await self._ingestor.add(readings) if found else Added(0, 0, 0)
        if added.slot_days:
            self._mobile_day = None
            self._past_changed.set()
        times = [line.reading.t_ms for line in found]
        return ImportReport(
            len(found),
            added.new,
            added.duplicates,
            added.slot_days,
            min(times, default=None),
            max(times, default=None),
        )

    def declare_restart(self, adapter_id: int, at_ms: int) -> None:
        """A phone-home with trigger "power on": counters of this adapter began at zero at that time (§2.3)."""
        self._restarts.declare(adapter_id, at_ms)

    async def keep(self, batch: Batch) -> None:
        """Make heartbeats durable; `settle` makes readings of them. See `Settler.keep`."""
        await self._settler.keep(batch)

    async def catch_up(self) -> None:
        """Settle what a crash left; the first thing of `run_settling`."""
        await self._settler.catch_up()

    async def recall(self, adapter_ids: Sequence[int]) -> Mapping[int, Told]:
        """Which heartbeats of these adapters were counted in the last day. See `Settler.recall`."""
        return await self._settler.recall(adapter_ids)

    @property
    def unsettled(self) -> int:
        """Heartbeats that are durable and not yet readings and slots."""
        return self._settler.waiting

    async def settle(self) -> Added:
        """Make readings, slots and statistics of all heartbeats that are kept; the same again changes nothing."""
        return await self._settler.settle()

    async def ingest_polled(self, readings: Iterable[PolledReading]) -> Added:
        """Add counters that were polled. A port speed that the inventory knows wins over what the device says.

        Of a large fleet they are folded into slots every four minutes, several readings of an interface at once: what
        a crash loses in between are readings, no octets, for counters go on and the next pair is longer.
        """
        for r in readings:
            self._polled.setdefault((r.entry_id, r.interface), []).append(r.reading)
        now_ms = self._clock.monotonic_ms()
        if len(self._polled) <= AT_ONCE_FOLDED:
            return await self.fold()
        if now_ms - self._folded_ms >= FOLD_MS and (self._folding is None or self._folding.done()):
            self._folding = asyncio.create_task(self._fold_quietly())
        return Added(0, 0, 0)

    async def _fold_quietly(self) -> None:
        try:
            await self.fold()
        except Exception:  # a task of its own: nobody else would hear of it; the next poll brings longer pairs
            log.exception("polled counters were not folded into slots")

    async def fold(self) -> Added:
        """Make slots of all polled readings that wait, in portions, so that others get their turn.

        When it returns, those that an earlier fold has taken are in slots, too.
        """
        if self._folding is not None and self._folding is not asyncio.current_task():
            await asyncio.wait([self._folding])
        waiting, self._polled = self._polled, {}
        self._folded_ms = self._clock.monotonic_ms()
        total = Added(0, 0, 0)
        names = iter(waiting)
        while some := {name: waiting[name] for name in islice(names, AT_ONCE_FOLDED)}:
            added = await self._add_polled(some)
            total = Added(total.new + added.new, total.duplicates + added.duplicates, total.slot_days + added.slot_days)
            await asyncio.sleep(0)
        return total

    async def _add_polled(self, found: dict[Interface, list[Kept]]) -> Added:
        async with self._database.read() as tx:
            ports = await linkports.of_entries(tx, {entry_id for entry_id, _ in found})
        for port in ports:
            name = (port.entry_id, port.interface)
            if port.speed_bps and name in found:
                found[name] = [
                    kept if kept.speed_bps == port.speed_bps else replace(kept, speed_bps=port.speed_bps)
                    for kept in found[name]
                ]
        return await self._ingestor.add(found)

    async def ports_found(self, entry_id: int, found: Sequence[FoundInterface]) -> None:
        """Take port speeds from what a device named, where the inventory has none: the daemon's word, in the audit."""
        speeds = {one.name: one.speed_bps for one in found if one.speed_bps}
        async with self._database.read() as tx:
            wanting = [
                (link, port)
                for link in await links.of_entries(tx, Scope.everything(), [entry_id])
                for port in link.ports
                if port.port_speed_bps is None and port.interface in speeds
            ]
        if wanting:
            async with self._database.write() as tx:
                for link, port in wanting:
                    by = By("daemon", self._clock.now_ms())
                    await links.learn_speed(tx, by, link, port.interface, speeds[port.interface] or 0)

    async def rejudge(self, names: Iterable[Interface] | None, start_ms: int, end_ms: int) -> None:
        """Have days judged again whose slots are the same: a capacity or a maintenance window of theirs has changed.

        `names` None: every link's.
        """
        async with self._traffic.write() as tx:
            await slotdays.reopen(tx, None if names is None else list(names), start_ms, end_ms)
        self._past_changed.set()

    async def close_days(self) -> int:
        """Make the figures of every day that is final and whose slots changed; how many link-days were made."""
        made = await self._closer.close()
        self._unlooked = self._unlooked or made > 0
        return made

    async def draft_proposals(self) -> list[Proposal]:
        """Check each congested place once and draft what it needs."""
        return await self._drafter.draft_all()

    async def warn_of_mobile_plans(self) -> list[MobileUse]:
        """Tell of plans that run out this month, once each; a look a day, and one after each import."""
        today = tokyo_day(self._clock.now_ms())
        if self._mobile_day == today:
            return []
        told = await self._mobile.check()
        self._mobile_day = today
        return told

    async def check_alarms(self) -> list[AlarmChange]:
        """Look at the last steps of every link; the saturation alarms that were raised or cleared."""
        return await self._alarms.check()

    async def run_alarms(self) -> None:
        """Look for saturated links until cancelled, once a step."""
        while True:
            await self._clock.wait(self._alarms.step_s)
            await self.check_alarms()

    async def run_settling(self) -> None:
        """Settle heartbeats until cancelled: every 15 s, and whenever many wait. First what was left by a crash."""
        await self.catch_up()
        while True:
            await self.settle()
            for _ in range(round(SETTLE_S)):
                await self._clock.wait(1.0)
                if self._settler.waiting >= MANY_WAIT:
                    break

    async def run(self) -> None:
        """Close days, draft proposals and forget old readings until cancelled; at once after an import."""
        while True:
            self._past_changed.clear()
            await self.tick()
            waits: list[asyncio.Future[object]] = [
                asyncio.ensure_future(self._clock.wait(self._tick_s)),
                asyncio.ensure_future(self._past_changed.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def tick(self) -> None:
        """One round of `run`."""
        await self._drafter.expire()
        await self.close_days()
        if self._unlooked:  # also where a report has closed the days
            self._unlooked = False
            await self.draft_proposals()
            await self.warn_of_mobile_plans()
        now_ms = self._clock.now_ms()
        async with self._traffic.write() as tx:
            await retention.prune_readings(tx, now_ms)
            if day_start(now_ms) != self._pruned_day_ms:
                await retention.prune_slot_days(tx, now_ms)
                await beats.prune_busy(tx, now_ms)
        self._pruned_day_ms = day_start(now_ms)
        if now_ms // HOUR_MS != self._packed_hour:
            await self._settler.put_together()
            self._packed_hour = now_ms // HOUR_MS
