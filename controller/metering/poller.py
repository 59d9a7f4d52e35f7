"""Polls interface counters over SNMP: one loop for the fleet, one request in flight per device."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from controller.clock import Clock
from controller.metering.service import MeteringService, PolledReading
from controller.store.traffic import Kept
from drivers.sessions.snmp import InterfaceCounters, SnmpReader, SnmpTarget
from inventory.errors import DeviceError

log = structlog.get_logger()

AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class PolledPlace:
    """An entry's adapter with an SNMP agent, and the interfaces that its links are on."""

    adapter_id: int
    entry_id: int
    target: SnmpTarget
    interfaces: tuple[str, ...]


class SnmpPoller:
    """Polls places every `interval_s`. A device that does not answer is a gap of its own, nobody else's."""

    def __init__(
        self, metering: MeteringService, clock: Clock, places: Sequence[PolledPlace], *, interval_s: float = 60.0
    ) -> None:
        self._metering = metering
        self._clock = clock
        self._interval_s = interval_s
        self._readers = {place: SnmpReader(place.target, clock.now_ms) for place in places}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Poll all places, again and again, until cancelled."""
        while True:
            await self.poll()
            await self._clock.wait(self._interval_s)

    async def poll(self) -> int:
        """Poll all places once; how many readings were new. A device that fails is logged and left out."""
        found = await asyncio.gather(*(self._poll(place, reader) for place, reader in self._readers.items()))
        added = await self._metering.ingest_polled(reading for readings in found for reading in readings)
        return added.new

    async def _poll(self, place: PolledPlace, reader: SnmpReader) -> list[PolledReading]:
        async with self._slots:
            try:
                counters = await reader.read(place.interfaces)
            except DeviceError as error:
                log.warning("counters not read", adapter=place.adapter_id, code=error.code, reason=error.message)
                return []
        return [PolledReading(place.adapter_id, place.entry_id, one.name, _kept(place, one)) for one in counters]


def _kept(place: PolledPlace, counters: InterfaceCounters) -> Kept:
    return Kept(
        t_ms=counters.t_ms,
        in_octets=counters.in_octets,
        out_octets=counters.out_octets,
        source="snmp",
        counter_bits=counters.counter_bits,
        uptime_cs=counters.uptime_cs,
        discontinuity=counters.discontinuity,
        speed_bps=counters.speed_bps,
        adapter_id=place.adapter_id,
    )
