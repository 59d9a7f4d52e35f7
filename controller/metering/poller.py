"""Polls interface counters: one loop for the fleet, one request in flight per device, each device's trouble its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.metering.service import MeteringService, PolledReading
from controller.metering.settling import CLOCK_STEP_MS, Step, Stood, step_between
from controller.store import counteragents, links
from controller.store.counteragents import Seated, Source
from controller.store.database import Database
from controller.store.traffic import Kept
from drivers.sessions.counting import CounterReader, FoundInterface, InterfaceCounters
from drivers.sessions.forti_counters import FortiReader, FortiTarget
from drivers.sessions.snmp import SnmpReader, SnmpTarget, SnmpUser
from inventory.countersources import CounterAgent, Poll, SourceState, Told, judge, lie
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, ProtocolViolation, Unreachable

log = structlog.get_logger()

AT_ONCE: Final = 64
SICK_AT_ONCE: Final = 64
"""Devices that did not answer last time are asked in a lane of their own, so that they hold up nobody."""
REFUSED_REST_MS: Final = 3_600_000
"""A device that refused the credential is left alone for so long, unless the credential changes."""
DISCOVER_MS: Final = 3_600_000
TURN: Final = "counters"

Answer = tuple[list[InterfaceCounters], list[FoundInterface] | None]


@dataclass(slots=True)
class _Device:
    """One agent and what the last polls of it told."""

    seated: Seated
    reader: CounterReader
    interfaces: tuple[str, ...] = ()
    state: SourceState = SourceState.NEVER
    asked_ms: int = 0
    discovered_ms: int | None = None
    told: dict[str, Told] = field(default_factory=dict)
    stood: dict[str, Stood] = field(default_factory=dict)
    """Where both clocks stood at the last reading of each interface."""
    since_lie: int | None = None
    last_lie: str = ""
    busy: bool = False

    @property
    def sick(self) -> bool:
        return self.state in (SourceState.SILENT, SourceState.REFUSED)

    def lies(self, counters: Sequence[InterfaceCounters], shift_ms: int) -> list[str]:
        """What in these answers contradicts the ones before; by the monotonic clock, for the other one may step.

        `shift_ms`: how far the wall clock is ahead of the monotonic one.
        """
        found = []
        for one in counters:
            now = Told(
                one.name,
                one.t_ms - shift_ms,
                one.in_octets,
                one.out_octets,
                one.counter_bits,
                one.uptime_cs,
                one.discontinuity,
                one.speed_bps,
            )
            said = lie(self.told[one.name], now) if one.name in self.told else None
            self.told[one.name] = now
            if said:
                found.append(said)
        return found

    def step(self, one: InterfaceCounters, shift_ms: int) -> Step | None:
        """The step of the wall clock since the reading of the interface before (§2.1)."""
        before, monotonic_ms = self.stood.get(one.name), one.t_ms - shift_ms
        if before is None:
            self.stood[one.name] = Stood(one.t_ms, monotonic_ms, one.t_ms)
            return None
        step, self.stood[one.name] = step_between(before, one.t_ms, monotonic_ms)
        return step


@dataclass(frozen=True, slots=True)
class _Round:
    """What one device gave: readings, how it went, and the interfaces that it named."""

    readings: Sequence[PolledReading]
    source: Source
    found: Sequence[FoundInterface] | None = None


class CounterPoller:
    """Polls the agents of seated adapters every `interval_s`; of several nodes one has the turn."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        metering: MeteringService,
        clock: Clock,
        *,
        node: str = "",
        interval_s: float = 60.0,
        timeout_s: float = 2.0,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._metering = metering
        self._clock = clock
        self._node = node
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._devices: dict[int, _Device] = {}
        self._well = asyncio.Semaphore(AT_ONCE)
        self._sick = asyncio.Semaphore(SICK_AT_ONCE)
        self._later: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll, again and again, until cancelled."""
        try:
            while True:
                begun_ms = self._clock.monotonic_ms()
                if await self._has_turn():
                    await self.poll()
                took_s = (self._clock.monotonic_ms() - begun_ms) / 1000
                await self._clock.wait(max(1.0, self._interval_s - took_s))
        finally:
            for task in self._later:
                task.cancel()

    async def settled(self) -> None:
        """Wait for the devices that are asked apart from the round."""
        while self._later:
            await asyncio.wait(set(self._later))

    async def poll(self) -> int:
        """Ask every device once; how many readings were new. Those that were silent are asked apart, unwaited for."""
        await self._refresh()
        now_ms = self._clock.now_ms()
        due = [one for one in self._devices.values() if not one.busy and self._is_due(one, now_ms)]
        for device in due:
            device.busy = True
            if device.sick:
                task = asyncio.create_task(self._apart(device))
                self._later.add(task)
                task.add_done_callback(self._later.discard)
        rounds = await asyncio.gather(*(self._ask(one, self._well) for one in due if not one.sick))
        return await self._take(rounds)

    async def _has_turn(self) -> bool:
        now_ms = self._clock.now_ms()
        async with self._database.write() as tx:
            return await counteragents.take_turn(
                tx, TURN, self._node, now_ms, now_ms + round(3 * self._interval_s * 1000)
            )

    def _is_due(self, device: _Device, now_ms: int) -> bool:
        return device.state is not SourceState.REFUSED or now_ms - device.asked_ms >= REFUSED_REST_MS

    async def _refresh(self) -> None:
        """Agents and the interfaces of their places' links, as they are now."""
        known = {number: device.seated for number, device in self._devices.items()}
        async with self._database.read() as tx:
            seated = await counteragents.seated(tx, self._keyring, known)
            of_entries = await links.counted(tx, {one.entry_id for one in seated.values()})
        devices = {}
        for number, one in seated.items():
            device = self._devices.get(number)
            if device is None or device.seated is not one:
                device = _Device(one, reader_of(one.agent, self._clock.now_ms, self._timeout_s))
            device.interfaces = tuple(of_entries.get(one.entry_id, ()))
            devices[number] = device
        self._devices = devices

    async def _apart(self, device: _Device) -> None:
        try:
            await self._take([await self._ask(device, self._sick)])
        except Exception:  # a task of its own: nobody else would hear of it
            log.exception("counters were not kept", adapter=device.seated.adapter_id)

    async def _ask(self, device: _Device, lane: asyncio.Semaphore) -> _Round:
        async with lane:
            try:
                return await self._asked(device)
            finally:
                device.busy = False

    async def _asked(self, device: _Device) -> _Round:
        device.asked_ms = self._clock.now_ms()
        try:
            async with asyncio.timeout(max(self._interval_s, 3 * self._timeout_s)):
                found = await self._discovered(device)
                shift_ms, counters = await self._read(device)
        except TimeoutError:
            slow = Unreachable("it did not answer all questions within one polling interval", step="read counters")
            return self._failed(device, slow)
        except DeviceError as error:
            return self._failed(device, error)
        except Exception as error:  # nothing that one device says may hold up the others
            log.exception("counters not understood", adapter=device.seated.adapter_id)
            return self._failed(
                device, ProtocolViolation(f"not understood: {type(error).__name__}", reason="malformed")
            )
        if {one.name for one in counters} != set(device.interfaces):
            device.discovered_ms = None  # somebody renamed or removed one: look again next time
        lies = device.lies(counters, shift_ms)
        if lies:
            device.since_lie, device.last_lie = 0, "; ".join(lies[:3])
        elif device.since_lie is not None:
            device.since_lie += 1
        took_ms = max((one.round_trip_ms for one in counters), default=0)
        names = [one.name for one in counters]
        state, reason = judge(Poll(device.interfaces, names, took_ms, lies, device.since_lie, device.last_lie))
        return self._round(device, state, reason, (shift_ms, counters), found)

    async def _read(self, device: _Device) -> tuple[int, list[InterfaceCounters]]:
        """Counters, and how far the wall clock was ahead of the monotonic one all the while.

        Where it stepped meanwhile, nobody knows on which side of the step an answer was: it is asked again.
        """
        while True:
            shift_ms = self._shift_ms()
            counters = await device.reader.read(device.interfaces)
            if abs(self._shift_ms() - shift_ms) <= CLOCK_STEP_MS:
                return shift_ms, counters

    def _shift_ms(self) -> int:
        return self._clock.now_ms() - self._clock.monotonic_ms()

    async def _discovered(self, device: _Device) -> list[FoundInterface] | None:
        """Interfaces, where it is time to look for them again."""
        now_ms = self._clock.now_ms()
        if device.discovered_ms is not None and now_ms - device.discovered_ms < DISCOVER_MS:
            return None
        found = await device.reader.discover()
        device.discovered_ms = now_ms
        return found

    def _failed(self, device: _Device, error: DeviceError) -> _Round:
        # Another certificate than the recorded one gets no token, and is not asked again and again for its own.
        refused = isinstance(error, AuthenticationFailed | IdentityMismatch)
        state = SourceState.REFUSED if refused else SourceState.LYING
        if isinstance(error, Unreachable):
            state = SourceState.SILENT
        log.warning("counters not read", adapter=device.seated.adapter_id, code=error.code, reason=error.message)
        return self._round(device, state, error.message, (0, []), None)

    def _round(
        self,
        device: _Device,
        state: SourceState,
        reason: str,
        read: tuple[int, Sequence[InterfaceCounters]],
        found: list[FoundInterface] | None,
    ) -> _Round:
        shift_ms, counters = read
        device.state = state
        seated = device.seated
        source = Source(
            seated.adapter_id,
            state,
            reason,
            device.asked_ms,
            device.asked_ms,
            None if state in (SourceState.SILENT, SourceState.REFUSED) else device.asked_ms,
            max((one.round_trip_ms for one in counters), default=None),
            len(counters),
        )
        name = "fortios-rest" if seated.agent.protocol == "fortios-rest" else "snmp"
        readings = [
            PolledReading(
                seated.adapter_id,
                seated.entry_id,
                one.name,
                kept(one, name, seated.adapter_id, device.step(one, shift_ms)),
            )
            for one in counters
        ]
        return _Round(readings, source, found)

    async def _take(self, rounds: Collection[_Round]) -> int:
        added = await self._metering.ingest_polled(reading for one in rounds for reading in one.readings)
        if rounds:
            async with self._database.write() as tx:
                await counteragents.put_sources(tx, [one.source for one in rounds])
                for one in rounds:
                    if one.found is not None:
                        number = one.source.adapter_id
                        await counteragents.put_interfaces(tx, number, one.found, one.source.asked_ms)
        for one in rounds:
            if one.found is not None and one.source.adapter_id in self._devices:
                entry_id = self._devices[one.source.adapter_id].seated.entry_id
                await self._metering.ports_found(entry_id, one.found)
        return added.new


def reader_of(agent: CounterAgent, now_ms: Callable[[], int], timeout_s: float) -> CounterReader:
    """The reader that speaks an agent's protocol."""
    if agent.protocol == "fortios-rest":
        assert agent.token is not None
        assert agent.fingerprint is not None
        target = FortiTarget(agent.host, agent.port, agent.token, agent.fingerprint, timeout_s=2 * timeout_s)
        return FortiReader(target, now_ms)
    user = None
    if agent.protocol == "snmp-v3":
        user = SnmpUser(agent.username, agent.auth, agent.auth_password, agent.privacy, agent.privacy_password)
    return SnmpReader(SnmpTarget(agent.host, agent.port, agent.community, user, timeout_s=timeout_s), now_ms)


def kept(counters: InterfaceCounters, source: str, adapter_id: int, step: Step | None = None) -> Kept:
    """A reading of a poll as it is kept; `step`: of the wall clock since the one before."""
    return Kept(
        t_ms=counters.t_ms,
        in_octets=counters.in_octets,
        out_octets=counters.out_octets,
        source=source,
        counter_bits=counters.counter_bits,
        uptime_cs=counters.uptime_cs,
        discontinuity=counters.discontinuity,
        speed_bps=counters.speed_bps,
        adapter_id=adapter_id,
        up=counters.up,
        in_packets=counters.in_packets,
        out_packets=counters.out_packets,
        out_drops=counters.out_drops,
        in_errors=counters.in_errors,
        out_errors=counters.out_errors,
        last_change=counters.last_change,
        clock_stepped=step is not None,
        follows_ms=step.follows_ms if step else None,
        elapsed_ms=step.elapsed_ms if step else None,
        shadowed=step.shadowed if step else False,
    )
