"""Heartbeats per second to a durable reading, one process, against bare UDP receive and HMAC on the same loop.

*Durable*: proven, packed, committed; the database has synced it to the disk (SQLite WAL with `synchronous=FULL`).
*In slots*: the same, and every reading of it is paired, added to its slot-day and committed as well. Ours and the bare
receiver take turns; the best run of each counts, because others use the machine too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import multiprocessing
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from controller.main import Daemon
from controller.phonehome.heartbeat import Counts
from controller.settings import ApiSettings, ArmsSettings, Settings
from controller.store import adapters, contractors, counts, phonehome, slots
from controller.store.scope import By, Scope
from tests.bench.figure import Figure

ADAPTERS = 200
SMALL, LARGE = 192, 624
"""Bytes of a heartbeat with one interface, and with nine (arms-protocol §13.3)."""
ROUNDS = 3
OUTSTANDING = 200
"""Datagrams on their way at most, so that the kernel's buffer loses none and the receiver sets the pace."""
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


def send(orders: Connection, senders: list[Sender], taken: Synchronized[int]) -> None:
    """The load: different heartbeats, never more than OUTSTANDING ahead of what was taken; until the orders end."""
    while (load := orders.recv()) is not None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect(("127.0.0.1", load.port))
            ends = time.monotonic() + DEADLINE_S
            for number in range(load.count):
                while number - taken.value > OUTSTANDING:
                    if time.monotonic() > ends:
                        return
                    time.sleep(0.0002)
                out.send(datagram(senders[number % len(senders)], (load.first + number) * 1000, load.size))


class Loader:
    """The process that makes the load; it is started once, because starting takes seconds on a busy machine."""

    def __init__(self, senders: list[Sender]) -> None:
        context = multiprocessing.get_context("spawn")
        self.senders = senders
        self.taken: Synchronized[int] = context.Value("q", 0)
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=send, args=(theirs, senders, self.taken))
        self._process.start()

    async def rate(self, load: Load, done: Callable[[], Awaitable[object]]) -> float:
        """Datagrams per second, from the first that was taken until `done`."""
        self.taken.value = 0
        self._orders.send(load)
        async with asyncio.timeout(DEADLINE_S):
            while self.taken.value == 0:  # noqa: ASYNC110 (another process counts)
                await asyncio.sleep(0.001)
            begun = time.perf_counter()
            await done()
        return load.count / (time.perf_counter() - begun)

    def close(self) -> None:
        """No more orders."""
        self._orders.send(None)
        self._process.join()


class Bare(asyncio.DatagramProtocol):
    """The baseline: receive, look the key up, verify the HMAC, count."""

    def __init__(self, senders: list[Sender], taken: Synchronized[int], count: int) -> None:
        self._keys = dict(senders)
        self._taken = taken
        self._count = count
        self.done = asyncio.Event()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """See `asyncio.DatagramProtocol`."""
        want = hmac.digest(self._keys[data[28:44]], data[:4] + bytes(20) + data[24:], hashlib.sha1)
        if hmac.compare_digest(want, data[4:24]):
            self._taken.value += 1
            if self._taken.value >= self._count:
                self.done.set()


async def bare(loader: Loader, count: int, size: int) -> float:
    """Baseline datagrams per second."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Bare(loader.senders, loader.taken, count), local_addr=("127.0.0.1", 0)
    )
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    port = transport.get_extra_info("socket").getsockname()[1]
    try:
        return await loader.rate(Load(port, 0, count, size), protocol.done.wait)
    finally:
        transport.close()


async def measure(folder: Path, *, count: int) -> list[Figure]:
    """Durable, and in slots, per second; for both sizes, beside the bare receiver."""
    settings = Settings(
        data_directory=folder,
        log_level="error",
        api=ApiSettings(port=0),
        arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
    )
    daemon = await Daemon.open(settings)
    try:
        await daemon.start()
        loader = Loader(await _register(daemon))
        try:
            return [figure for size in (SMALL, LARGE) for figure in await _measure(daemon, loader, count, size)]
        finally:
            loader.close()
    finally:
        await daemon.stop()


async def _measure(daemon: Daemon, loader: Loader, count: int, size: int) -> list[Figure]:
    durable, settled, base = [], [], []
    for _ in range(ROUNDS):
        base.append(await bare(loader, count, size))
        durable.append(await _ours(daemon, loader, count, size, in_slots=False))
        await daemon.metering.settle()
        settled.append(await _ours(daemon, loader, count, size, in_slots=True))
    name = f"heartbeats of {size} bytes, one process,"
    bare_name = "bare UDP receive + HMAC"
    return [
        Figure(f"{name} durable", max(durable), "/s", bare_name, max(base)),
        Figure(f"{name} durable and in slots", max(settled), "/s", bare_name, max(base)),
    ]


async def _ours(daemon: Daemon, loader: Loader, count: int, size: int, *, in_slots: bool) -> float:
    received = daemon.phonehome.heartbeats
    first = received.counts.durable

    async def done() -> None:
        while received.counts.durable < first + count:  # noqa: ASYNC110 (a counter has no event)
            await asyncio.sleep(0.001)
        if in_slots:
            await daemon.metering.settle()

    watch = asyncio.create_task(_follow(received.counts, first, loader.taken))
    try:
        return await loader.rate(Load(daemon.phonehome.ports[2], first, count, size), done)
    finally:
        watch.cancel()


async def _follow(counted: Counts, first: int, taken: Synchronized[int]) -> None:
    while True:
        taken.value = counted.accepted - first
        await asyncio.sleep(0.001)


async def _register(daemon: Daemon) -> list[Sender]:
    """Adapters in entries, straight through the store."""
    senders = []
    by, everything = By("bench", daemon.clock.now_ms()), Scope.everything()
    async with daemon.db.write() as tx:
        owner = await contractors.create(tx, everything, by, name="bench")
        management = await counts.create_management(
            tx,
            everything,
            by,
            contractor_id=owner.id,
            service="mpc",
            classes=["I"],
            name="bench",
            entry_count=ADAPTERS,
            standby_count=0,
        )
        for number in range(ADAPTERS):
            made = await adapters.register(
                tx,
                everything,
                by,
                serial=f"BENCH-{number:05d}",
                contractor_id=owner.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=f"0001-0000-0101-0080-0000-0000-0000-{number + 1:04X}",
            )
            await daemon.provision(tx, made)
            await slots.assign(tx, everything, by, made.id, management_id=management.id)
    async with daemon.db.read() as tx:
        found = await phonehome.by_adapter(tx, daemon.keyring, list(range(1, ADAPTERS + 1)))
    for identity in found:
        raw = bytes.fromhex(identity.distribution_id.replace("-", ""))
        senders.append((raw, identity.passphrase.reveal().encode()))
    return senders
