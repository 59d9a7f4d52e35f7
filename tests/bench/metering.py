"""Metering at fleet size: exact percentiles from storage, readings per second with roll-ups, polls beside bare SNMP.

CPU time of this process is what counts for the percentile: others use the machine too.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np
from gufo.snmp.aio import SnmpSession
from sqlalchemy import insert

from controller.clock import SystemClock
from controller.main import Daemon, settle_heap
from controller.metering.percentiles import month_of
from controller.metering.service import MeteringService, PolledReading
from controller.settings import ApiSettings, ArmsSettings, Settings
from controller.store import traffic_tables as tables
from controller.store.traffic import Kept, TrafficDatabase
from drivers.sessions.snmp import (
    DISCONTINUITY,
    IN_64,
    IN_ERRORS,
    IN_PACKETS_64,
    LAST_CHANGE,
    NAME,
    OPERATION,
    OUT_64,
    OUT_DROPS,
    OUT_ERRORS,
    OUT_PACKETS_64,
    SPEED_BPS,
    SPEED_MBPS,
    UPTIME,
    SnmpReader,
    SnmpTarget,
)
from inventory.counters import Flag, Increment
from inventory.metering import p95
from inventory.secrets import Secret
from inventory.slotday import DAY_MS, SLOTS, SlotDay, encode
from tests import snmpd
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores

COLUMNS = (
    *(IN_64, OUT_64, IN_PACKETS_64, OUT_PACKETS_64, SPEED_MBPS, SPEED_BPS, DISCONTINUITY, OPERATION),
    *(LAST_CHANGE, OUT_DROPS, IN_ERRORS, OUT_ERRORS),
)
"""What a poll asks for; the bare library is asked for the same."""

MONTH_DAYS = 31
MONTH_START_MS = 1_759_276_800_000 - 9 * 3_600_000
"""Begin of October 2025 in Tokyo, 31 days."""
PORT_BPS = 1_000_000_000
KINDS = 64
"""So many different interfaces; the others are copies, for the making of the data is not what is measured."""


async def measure(folder: Path, *, interfaces: int, per_s: int, seconds: float, polls: int) -> list[Figure]:
    """All figures of metering."""
    return [
        *await percentiles(folder / "months", interfaces),
        *await readings(folder / "readings", per_s, seconds),
        *await polling(polls),
    ]


def _days(seed: int) -> list[SlotDay]:
    """A month of one interface, by UTC day; of ten two have gaps, and one has long pairs whose sums are known."""
    made = np.random.default_rng(seed)
    found = []
    for day in range(MONTH_DAYS + 1):
        start = (MONTH_START_MS // DAY_MS + day) * DAY_MS
        one = SlotDay.empty(start)
        for direction in (one.into, one.out):
            direction.known = [int(value) for value in made.integers(100_000, 3_000_000, SLOTS)]
            direction.spans = [(start, start + DAY_MS)]
            if seed % 10 in (1, 2, 3) and day in (5, 17):
                hole = (start + 40 * 300_000, start + 52 * 300_000)
                direction.spans = [(start, hole[0]), (hole[1], start + DAY_MS)]
                octets = sum(direction.known[40:52])
                direction.known[40:52] = [0] * 12
                if seed % 10 == 3:
                    direction.pending = [Increment(*hole, octets, octets, Flag.DERIVED)]
        found.append(one)
    return found


async def percentiles(folder: Path, interfaces: int) -> list[Figure]:
    """Exact p95 interval of every interface over a month, both directions, from storage, beside numpy in memory."""
    folder.mkdir()  # noqa: ASYNC240 (a bench; nothing else runs yet)
    traffic = await TrafficDatabase.open(f"sqlite:///{folder / 'traffic.db'}")
    try:
        blobs = [[(day.start_ms, encode(day)) for day in _days(seed)] for seed in range(min(KINDS, interfaces))]
        await _store(traffic, interfaces, blobs)
        begun = time.process_time()
        done = 0
        async for _ in month_of(
            traffic, MONTH_START_MS, MONTH_START_MS + MONTH_DAYS * DAY_MS, speed_of=lambda _: PORT_BPS
        ):
            done += 1
        ours = time.process_time() - begun
        assert done == interfaces
    finally:
        await traffic.close()
    arrays = [
        np.random.default_rng(seed).integers(0, 3_000_000, MONTH_DAYS * SLOTS) for seed in range(min(KINDS, interfaces))
    ]
    begun = time.process_time()
    for number in range(interfaces):
        for _ in range(2):
            np.percentile(arrays[number % len(arrays)], 95, method="inverted_cdf")
    numpy_s = time.process_time() - begun
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    name = (
        f"exact p95 interval of {interfaces} interfaces × one month × 2 directions from storage, peak {peak_mb:.0f} MB,"
    )
    begun = time.process_time()
    for number in range(interfaces):
        for _ in range(2):
            p95(arrays[number % len(arrays)])
    return [
        Figure(name, ours, "s CPU", "numpy.percentile of the same size in memory", numpy_s),
        Figure("the selection alone, in memory,", time.process_time() - begun, "s CPU", "numpy.percentile", numpy_s),
    ]


async def _store(traffic: TrafficDatabase, interfaces: int, blobs: list[list[tuple[int, bytes]]]) -> None:
    for first in range(0, interfaces, 500):
        async with traffic.write() as tx:
            some = range(first + 1, min(first + 500, interfaces) + 1)
            await tx.execute(insert(tables.interfaces), [{"id": n, "entry_id": n, "name": "ge0"} for n in some])
            await tx.execute(
                insert(tables.slot_days),
                [
                    {
                        "interface_id": n,
                        "start_ms": start,
                        "revision": 1,
                        "closed_revision": 1,
                        "slots": blob,
                        "updated_ms": 1,
                    }
                    for n in some
                    for start, blob in blobs[n % len(blobs)]
                ],
            )


async def readings(folder: Path, per_s: int, seconds: float) -> list[Figure]:
    """Readings that become slots while the API answers a process on another core: 10 × 20,000 interfaces a minute."""
    folder.mkdir()  # noqa: ASYNC240 (a bench; nothing else runs yet)
    settings = Settings(
        data_directory=folder,
        log_level="error",
        api=ApiSettings(port=0),
        arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
    )
    ours, other = cores()
    everywhere = os.sched_getaffinity(0)
    if ours is not None:
        os.sched_setaffinity(0, {ours})
    daemon = await Daemon.open(settings)
    try:
        await daemon.start()
        settle_heap()
        key = (folder / "admin.key").read_text().strip()
        asking = Child(_ask, daemon.api_port, key, seconds, other)
        await asking.hear()  # the first answers build what they need
        used = time.process_time()
        taken, after_s = await _feed(daemon.metering, daemon.clock.now_ms(), per_s, seconds)
        used = time.process_time() - used
        asked = sorted(await asking.hear())
        await asking.end()
    finally:
        await daemon.stop()
        os.sched_setaffinity(0, everywhere)
    p50, p99 = (asked[int(len(asked) * share)] * 1000 if asked else float("nan") for share in (0.5, 0.99))
    name = (
        f"readings rolled up into slot-days at {per_s}/s for {seconds:.0f} s, "
        f"{used / (seconds + after_s):.2f} cores used, the last in its slot after {after_s:.1f} s more, "
        f"API p50 {p50:.1f} ms, p99 {p99:.1f} ms,"
    )
    return [Figure(name, taken, "/s", "asked for", per_s)]


async def _feed(metering: MeteringService, now_ms: int, per_s: int, seconds: float) -> tuple[float, float]:
    """Offer a second's readings each second, each interface once a minute.

    Returns readings a second that were taken, and the seconds until those that still waited then were in slots, too.
    """
    start_ms = now_ms - 3_600_000
    count = 0.0
    begun = time.perf_counter()
    interfaces = max(1, per_s * 60)
    for second in range(int(seconds)):
        base = Kept(start_ms + second * 1000, 0, 0, "snmp", speed_bps=PORT_BPS, adapter_id=1)
        octets = (second // 60 + 1) * 7_000_000
        one = replace(base, in_octets=octets, out_octets=octets)
        first = (second % 60) * per_s
        batch = [PolledReading(1, 1 + (first + n) % interfaces, "ge0", one) for n in range(per_s)]
        await metering.ingest_polled(batch)
        count += len(batch)
        await asyncio.sleep(max(0.0, begun + second + 1 - time.perf_counter()))
    took = max(time.perf_counter() - begun, seconds)
    ended = time.perf_counter()
    await metering.fold()
    return count / took, time.perf_counter() - ended


def _ask(pipe: Connection, port: int, key: str, seconds: float, core: int | None) -> None:
    """A process: seconds of each answer of a list, twenty times a second; told are "ready" and then all of them."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, trust_env=False) as client:
        _answers(client, 1.0)
        pipe.send("ready")
        pipe.send(_answers(client, seconds))
    pipe.recv()


def _answers(client: httpx.Client, seconds: float) -> list[float]:
    found = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        client.get("/adapters", params={"limit": 50}).raise_for_status()
        found.append(time.perf_counter() - begun)
        time.sleep(0.05)
    return found


@dataclass(frozen=True, slots=True)
class _Turn:
    ours: float
    bare: float


async def polling(polls: int) -> list[Figure]:
    """SNMP polls a second, ours (name followed, both widths probed, types checked) beside the bare library."""
    if snmpd.program() is None:
        return []
    with snmpd.agent("bench") as agent:
        await _turn(agent.port, polls)  # the agent is slow at first
        turns = [await _turn(agent.port, polls) for _ in range(3)]
    name = "SNMP polls of one interface, one device, name followed and checked,"
    ours = statistics.median(turn.ours for turn in turns)
    return [Figure(name, ours, "/s", "bare gufo-snmp", statistics.median(turn.bare for turn in turns))]


async def _turn(port: int, polls: int) -> _Turn:
    reader = SnmpReader(SnmpTarget("127.0.0.1", port, Secret("bench")), SystemClock().now_ms)
    await reader.read(["lo"])
    begun = time.perf_counter()
    for _ in range(polls):
        assert len(await reader.read(["lo"])) == 1
    ours = polls / (time.perf_counter() - begun)
    oids = [UPTIME, *(f"{column}.1" for column in (NAME, *COLUMNS))]
    async with SnmpSession(addr="127.0.0.1", port=port, community="bench") as session:
        begun = time.perf_counter()
        for _ in range(polls):
            await session.get_many(oids)
        bare = polls / (time.perf_counter() - begun)
    return _Turn(ours, bare)
