"""Heartbeats per second to a durable reading, one process, against bare UDP receive and HMAC on the same loop.

*Durable*: proven, packed, committed; the database has synced it to the disk (SQLite WAL with `synchronous=FULL`).
*In slots*: the same, and every reading of it is paired, added to its slot-day and committed as well. Every heartbeat is
of another adapter, as it is outside; each adapter sends one a round. Ours and the bare receiver take turns; the best
round of each counts, because others use the machine too. The receiver is on one core, the load, a process of its own
that has made its datagrams beforehand, on another.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import multiprocessing
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from controller.main import Daemon
from controller.settings import ApiSettings, ArmsSettings, Settings
from drivers.arms.ids import DistributionId
from tests.bench import fleet
from tests.bench.figure import Figure
from tests.bench.processes import cores

SMALL, LARGE = 192, 624
"""Bytes of a heartbeat with one interface, and with nine (arms-protocol §13.3)."""
ROUNDS = 3
OUTSTANDING = 1_000
"""Datagrams on their way at most, so that the kernel's buffer loses none and the receiver sets the pace."""
INTERVAL_S = 15
APART_S = 12.0
"""Rounds begin so far apart, as an adapter's heartbeats do: what comes faster is looked into as a possible clone."""
DEADLINE_S = 300.0
Sender = tuple[bytes, bytes]
"""Distribution id in binary, passphrase."""


def datagram(sender: Sender, octets: int, size: int) -> bytes:
    """A heartbeat of 192 or 624 bytes: CPU, memory, disk and radio, and 1 or 9 interfaces' counters (§9)."""
    identity, passphrase = sender
    body = struct.pack(">HH", 0x0011, 16) + identity
    body += struct.pack(">HHHB", 0x0033, 3, 0, 34) + struct.pack(">HHH5B", 0x0034, 7, 0, 66, 4, 16, 11, 3)
    body += struct.pack(">HHHQQ", 0x0035, 18, 0, 106_179_223, 162_256_233)
    body += struct.pack(">HHHQQ", 0x0037, 18, 0, 3_326_044_800, 31_033_693_568)
    for ifindex in range(1 if size == SMALL else 9):
        body += struct.pack(">HHH6Q", 0x0038, 50, ifindex, octets, octets, 1, 1, 0, 0)
    filler = size - 24 - len(body) - 4
    body += struct.pack(">HH", 0x7FFF, filler) + bytes(filler)  # a type that receivers skip
    head = struct.pack(">HH", 0x0001, 20)
    return head + hmac.digest(passphrase, head + bytes(20) + body, "sha1") + body


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends: where to, first number, how many, and their size."""

    port: int
    first: int
    count: int
    size: int


def send(orders: Connection, core: int | None, senders: list[Sender], taken: Synchronized[int]) -> None:
    """The load: different heartbeats, never more than OUTSTANDING ahead of what was taken; until the orders end."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    while (load := orders.recv()) is not None:
        made = [
            datagram(senders[number % len(senders)], (load.first + number) * 1000, load.size)
            for number in range(load.count)
        ]
        orders.send("made")
        orders.recv()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect(("127.0.0.1", load.port))
            ends = time.monotonic() + DEADLINE_S
            for number, one in enumerate(made):
                while number - taken.value > OUTSTANDING:
                    if time.monotonic() > ends:
                        return
                    time.sleep(0.0002)
                out.send(one)


@dataclass(frozen=True, slots=True)
class Rate:
    """Datagrams a second of the clock, and a second of this process's CPU time."""

    wall: float
    cpu: float


class Loader:
    """The process that makes the load; it is started once, because starting takes seconds on a busy machine."""

    def __init__(self, senders: list[Sender], core: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.senders = senders
        self.taken: Synchronized[int] = context.Value("q", 0, lock=False)
        self._next = 0.0
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=send, args=(theirs, core, senders, self.taken))
        self._process.start()

    async def rate(self, load: Load, count: Callable[[], int], done: Callable[[], Awaitable[object]]) -> Rate:
        """From the first datagram that was taken until `done`; `count` tells how many were taken."""
        self.taken.value = 0
        self._orders.send(load)
        await asyncio.to_thread(self._orders.recv)
        watch = asyncio.create_task(self._follow(count))
        self._orders.send("go")
        try:
            async with asyncio.timeout(DEADLINE_S):
                while count() == 0:  # noqa: ASYNC110 (a counter has no event)
                    await asyncio.sleep(0.001)
                begun, cpu = time.perf_counter(), time.process_time()
                await done()
            took, used = time.perf_counter() - begun, time.process_time() - cpu
            return Rate(load.count / took, load.count / used)
        finally:
            watch.cancel()

    async def rest(self) -> None:
        """Until the adapters may send again."""
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + APART_S

    async def _follow(self, count: Callable[[], int]) -> None:
        while True:
            self.taken.value = count()
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """No more orders."""
        self._orders.send(None)
        self._process.join()


class Bare(asyncio.DatagramProtocol):
    """The baseline: receive, look the key up, verify the HMAC, count."""

    def __init__(self, senders: list[Sender], count: int) -> None:
        self._keys = dict(senders)
        self._count = count
        self.taken = 0
        self.done = asyncio.Event()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """See `asyncio.DatagramProtocol`."""
        want = hmac.digest(self._keys[data[28:44]], data[:4] + bytes(20) + data[24:], hashlib.sha1)
        if hmac.compare_digest(want, data[4:24]):
            self.taken += 1
            if self.taken >= self._count:
                self.done.set()


async def bare(loader: Loader, count: int, size: int) -> Rate:
    """Baseline datagrams per second."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Bare(loader.senders, count), local_addr=("127.0.0.1", 0)
    )
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    port = transport.get_extra_info("socket").getsockname()[1]
    try:
        return await loader.rate(Load(port, 0, count, size), lambda: protocol.taken, protocol.done.wait)
    finally:
        transport.close()


async def measure(folder: Path, *, count: int) -> list[Figure]:
    """Durable, and in slots, per second; both sizes, beside the bare receiver; `count` adapters, one heartbeat each."""
    settings = Settings(
        data_directory=folder,
        log_level="error",
        api=ApiSettings(port=0),
        arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, heartbeat_interval_s=INTERVAL_S),
    )
    ours, load = cores()
    everywhere = os.sched_getaffinity(0)
    if ours is not None:
        os.sched_setaffinity(0, {ours})
    daemon = await Daemon.open(settings)
    try:
        await daemon.start()
        await fleet.register(daemon, count, startups=False)
        loader = Loader(_senders(count), load)
        try:
            return [figure for size in (SMALL, LARGE) for figure in await _measure(daemon, loader, count, size)]
        finally:
            loader.close()
    finally:
        await daemon.stop()
        os.sched_setaffinity(0, everywhere)


async def _measure(daemon: Daemon, loader: Loader, count: int, size: int) -> list[Figure]:
    durable, settled, base = [], [], []
    await _ours(daemon, loader, Load(0, 0, count, size), in_slots=True)  # the first looks every key up
    for number in range(ROUNDS):
        base.append(await bare(loader, count, size))
        first = (2 * number + 1) * count
        durable.append(await _ours(daemon, loader, Load(0, first, count, size), in_slots=False))
        await daemon.metering.settle()
        settled.append(await _ours(daemon, loader, Load(0, first + count, count, size), in_slots=True))
    found = []
    for what, rates in (("durable", durable), ("durable and in slots", settled)):
        name = f"heartbeats of {size} bytes of {count:,} adapters, one process, {what},"
        for unit, pick in (("/s", _wall), ("/s of CPU", _cpu)):
            bare_name = f"bare UDP receive + HMAC{unit.removeprefix('/s')}"
            found.append(Figure(name, max(map(pick, rates)), unit, bare_name, max(map(pick, base))))
    return found


def _wall(rate: Rate) -> float:
    return rate.wall


def _cpu(rate: Rate) -> float:
    return rate.cpu


async def _ours(daemon: Daemon, loader: Loader, load: Load, *, in_slots: bool) -> Rate:
    await loader.rest()
    received = daemon.phonehome.heartbeats.counts
    first, kept = received.accepted, received.durable

    async def done() -> None:
        while received.durable < kept + load.count:  # noqa: ASYNC110 (a counter has no event)
            await asyncio.sleep(0.001)
        if in_slots:
            await daemon.metering.settle()

    port = daemon.phonehome.ports[2]
    return await loader.rate(replace(load, port=port), lambda: received.accepted - first, done)


def _senders(count: int) -> list[Sender]:
    return [(DistributionId.parse(one.distribution_id).binary, fleet.RS_KEY.encode()) for one in fleet.members(count)]
