"""Watches for saturated links: the last complete steps of each link against its capacity of today (§5.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from controller.clock import Clock
from controller.metering.pairing import paired
from controller.metering.series import kept_ports, series_of
from controller.store import alarms, events, links, traffic
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.scope import Scope
from controller.store.traffic import Kept, TrafficDatabase
from inventory.counters import Increment
from inventory.linkdays import KNOWN_MS
from inventory.links import Capacity, CapacityKind, Direction, Governing, Link, LinkRole, governing
from inventory.periods import day_of
from inventory.saturation import DEFAULT_ALARM, AlarmRules, raised_after
from inventory.timeslots import SLOT_MS, octets_between

PAGE: Final = 500
CAPACITY_KEPT_MS: Final = 600_000
"""Capacities are read again after so long; a link's version or a new capacity counts at the latest then."""
LATE_STEPS: Final = 3
"""The newest steps may not be there yet; so many are waited for before they count as unknown."""
LINE: Final = (Direction.DOWN, Direction.UP)

Rates = dict[Direction, list[float | None]]
"""bit/s of each step, the newest last; None where it is not wholly measured."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm that was raised or cleared."""

    link: Link
    direction: Direction
    raised: bool


class AlarmWatch:
    """Checks every link. The same steps again change nothing."""

    def __init__(
        self,
        database: Database,
        traffic_database: TrafficDatabase,
        clock: Clock,
        *,
        rules: AlarmRules = DEFAULT_ALARM,
        interval_ms: int = 60_000,
    ) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._rules = rules
        self._interval_ms = interval_ms
        self._capacities: dict[int, tuple[int, list[Capacity]]] = {}

    @property
    def step_s(self) -> float:
        """Seconds after which there is something new to look at."""
        return self._rules.step_ms / 1000

    async def check(self) -> list[AlarmChange]:
        """Look at the last complete steps of every link; the alarms that were raised or cleared."""
        changed, after = [], 0
        async with self._database.read() as tx:
            standing = await alarms.standing(tx)
        while True:
            async with self._database.read() as tx:
                page = await links.page(tx, Scope.everything(), after=after, limit=PAGE)
            for link in page:
                changed += await self._check(link, {d for number, d in standing if number == link.id})
            if len(page) < PAGE:
                return changed
            after = page[-1].id

    async def _check(self, link: Link, standing: set[Direction]) -> list[AlarmChange]:
        rates = await self._rates(link)
        changed = []
        for direction in LINE:
            # Cheap first: a link that nobody measured just now has nothing to say.
            if rates[direction][-1:] in ([], [None]):
                continue
            capacity = await self._capacity(link, direction)
            if capacity is None or capacity.kind is CapacityKind.LEARNED:
                continue
            shares = [None if rate is None else rate / capacity.used_bps for rate in rates[direction]]
            was = direction in standing
            now = raised_after(was, shares, self._rules)
            if now != was and await self._tell(link, direction, now, capacity, shares):
                changed.append(AlarmChange(link, direction, now))
        return changed

    async def _tell(
        self, link: Link, direction: Direction, raised: bool, capacity: Governing, shares: Sequence[float | None]
    ) -> bool:
        now_ms = self._clock.now_ms()
        facts: dict[str, object] = {
            "link": link.id,
            "interface": link.interface,
            "direction": direction.value,
            "step_s": self._rules.step_ms // 1000,
            "shares": [None if one is None else round(one, 4) for one in shares],
            "capacity_kind": capacity.kind.value,
            "capacity_bps": capacity.used_bps,
        }
        async with self._database.write() as tx:
            if raised:
                done = await alarms.raise_(tx, link.id, direction, now_ms, facts)
            else:
                done = await alarms.clear(tx, link.id, direction, now_ms)
            if done:
                kind = "link.saturated" if raised else "link.saturation-cleared"
                await events.record(tx, NewEvent(kind, now_ms, entry_id=link.entry_id, facts=facts))
        return done

    async def _capacity(self, link: Link, direction: Direction) -> Governing | None:
        now_ms = self._clock.now_ms()
        known = self._capacities.get(link.id)
        if known is None or now_ms - known[0] > CAPACITY_KEPT_MS:
            async with self._database.read() as tx:
                known = (now_ms, await links.capacities(tx, link.id))
            self._capacities[link.id] = known
        return governing(link, known[1], direction, day_of(now_ms, link.zone))

    async def _rates(self, link: Link) -> Rates:
        """Rates of the last complete steps: from slots, or from the readings themselves where steps are shorter."""
        step_ms = self._rules.step_ms
        end_ms = self._clock.now_ms() // step_ms * step_ms
        start_ms = end_ms - (self._rules.steps + LATE_STEPS) * step_ms
        if step_ms == SLOT_MS:
            async with self._traffic.read() as tx:
                ports = await kept_ports(tx, link, start_ms, end_ms)
            found = await asyncio.to_thread(series_of, ports, start_ms, end_ms)
            into, out = (
                [
                    octets * 8_000 / SLOT_MS if ms >= KNOWN_MS else None
                    for octets, ms in zip(series.known, series.covered_ms, strict=True)
                ]
                for series in (found.into, found.out)
            )
        else:
            into, out = await self._from_readings(link, start_ms, end_ms)
        # What cannot be there yet is not missing: the newest step counts once its last reading has come.
        for _ in range(LATE_STEPS):
            if into and into[-1] is None and out[-1] is None:
                into.pop()
                out.pop()
        down, up = (into, out) if link.role is LinkRole.WAN else (out, into)
        return {Direction.DOWN: down, Direction.UP: up}

    async def _from_readings(
        self, link: Link, start_ms: int, end_ms: int
    ) -> tuple[list[float | None], list[float | None]]:
        async with self._traffic.read() as tx:
            ids = await traffic.interface_ids(tx, [(link.entry_id, port.interface) for port in link.ports])
            series = [await traffic.readings_around(tx, one, start_ms, end_ms) for one in ids.values()]
        if len(series) != len(link.ports):
            return [], []
        steps = range(start_ms, end_ms, self._rules.step_ms)
        ports = [_steps(one, steps, self._interval_ms) for one in series]
        into, out = ([_sum(step) for step in zip(*(port[n] for port in ports), strict=True)] for n in (0, 1))
        return into, out


def _sum(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) else None


def _steps(series: Sequence[Kept], steps: range, interval_ms: int) -> tuple[list[float | None], list[float | None]]:
    into, out = paired(series, {one.t_ms for one in series}, interval_ms)
    return _rates_of(into, steps), _rates_of(out, steps)


def _rates_of(increments: Sequence[Increment], steps: range) -> list[float | None]:
    found: list[float | None] = []
    for begin in steps:
        octets = covered_ms = 0
        for one in increments:
            a, b = max(begin, one.t0_ms), min(begin + steps.step, one.t1_ms)
            if one.exact and a < b:
                octets += octets_between(one, a, b)
                covered_ms += b - a
        found.append(octets * 8_000 / steps.step if covered_ms >= steps.step else None)
    return found
