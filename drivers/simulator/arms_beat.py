"""The rhythm of heartbeats: when the device sends which figures (arms-protocol §9)."""

from __future__ import annotations

import asyncio
import socket

from drivers.simulator import arms_heartbeat as heartbeat
from drivers.simulator.arms_answers import HeartbeatServer
from drivers.simulator.arms_heartbeat import Counters
from drivers.simulator.arms_runtime import ArmsRuntime

PACKET_OCTETS = 700
"""Mean packet size from which packet counters are made; the generator gives octets only."""

TRUNCATED_OCTETS = 5


class Heart:
    """Sends one datagram to each server per interval, the first one at once."""

    def __init__(self, runtime: ArmsRuntime, servers: tuple[HeartbeatServer, ...]) -> None:
        self._runtime = runtime
        self._servers = servers
        self._before: tuple[int, dict[int, tuple[int, int]]] | None = None
        """Instant and counters of the last datagram; None makes the next one a first one."""

    async def beat(self) -> None:
        """Until cancelled. With different intervals the client never sends, though it says "started"."""
        self._runtime.truth_log.note("heartbeat-started", servers=len(self._servers))
        if len({server.interval_s for server in self._servers}) != 1:
            return
        interval_s = self._servers[0].interval_s / self._runtime.settings.pace
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            async with self._runtime.thread:  # a script that runs keeps it back; missed ones are not made up
                self._send()
            due += interval_s
            while due <= loop.time():
                due += interval_s
            await asyncio.sleep(due - loop.time())

    def _send(self) -> None:
        runtime = self._runtime
        if "configure" in runtime.open_transactions.values() or runtime.faults.no_heartbeat:
            return
        statistics = self._statistics()
        cut = TRUNCATED_OCTETS if runtime.faults.truncated_heartbeat else 0
        for server in self._servers:
            octets = heartbeat.datagram(
                runtime.identity.distribution_id_octets,
                server.passphrase.reveal().encode(),
                statistics,
                cut_octets=cut,
            )
            # A socket for each packet: the source port changes every time.
            family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as outlet:
                if runtime.settings.local_host is not None:
                    outlet.bind((runtime.settings.local_host, 0))
                outlet.setblocking(False)
                try:
                    outlet.sendto(octets, (server.host, server.port))
                except OSError as error:
                    runtime.truth_log.note("heartbeat-unsent", why=str(error))
                else:
                    runtime.heartbeats_sent += 1

    def _statistics(self) -> list[bytes]:
        """First packet: memory and disk only, 88 bytes; then CPU and rates too, which are differences."""
        runtime = self._runtime
        now_ms = runtime.now_ms()
        used, free = runtime.unit.memory_octets()
        counters = {index: count(now_ms) for index, count in runtime.interfaces.items()}
        tlvs = [heartbeat.memory(0, used, free), heartbeat.disk(0, 24 * 2**20, 104 * 2**20)]
        if self._before is not None:
            before_ms, before = self._before
            busy, interrupt = runtime.unit.load_percent()
            idle = 100 - busy - interrupt
            tlvs += [
                heartbeat.cpu(0, 100 - idle),
                heartbeat.cpu_detail(0, idle=idle, interrupt=interrupt, user=busy, system=0, other=0),
            ]
            tlvs += [heartbeat.traffic_count(index, _counters(*now)) for index, now in counters.items()]
            tlvs += [
                heartbeat.traffic_rate(index, _rates(before[index], now, now_ms - before_ms))
                for index, now in counters.items()
            ]
        self._before = (now_ms, counters)
        return tlvs


def _counters(octets_in: int, octets_out: int) -> Counters:
    return Counters(octets_in, octets_out, octets_in // PACKET_OCTETS, octets_out // PACKET_OCTETS)


def _rates(before: tuple[int, int], now: tuple[int, int], elapsed_ms: int) -> Counters:
    passed_ms = max(1, elapsed_ms)
    octets = [max(0, new - old) * 1000 // passed_ms for old, new in zip(before, now, strict=True)]
    return _counters(*octets)
