"""Idle tunnels: private memory of each in the server, and its share of a core while they send their echoes."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from pathlib import Path

from tests.bench import fleet, load, served
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores

SPARE_FILES = 2_000
"""Open files that are left to the rest of the daemon."""
MAKERS = 2
RESTS_S = 900.0
"""The daemon reads the config of whoever is new; these answer that they are busy. Idle is what comes after that."""
ECHO_S = 60.0
"""The default of `arms.echo_interval_s`."""


@dataclass(frozen=True, slots=True)
class _Held:
    kb: float
    share: float
    echoes: int


def as_many() -> int:
    """How many one process can hold here."""
    return min(18_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_FILES)


async def measure(folder: Path, *, count: int, with_certificates: int, watch_s: float) -> list[Figure]:
    """Without and with a client certificate; beside a bare TLS server that holds the same connections."""
    figures = []
    for number, certified in ((count, False), (with_certificates, True)):
        place = folder / ("certified" if certified else "plain")
        await asyncio.to_thread(place.mkdir, parents=True)
        ours = await _daemon(place, number, certified, watch_s)
        base = await _bare(place, number, certified, watch_s)
        what = f"{number:,} idle tunnels {'with' if certified else 'without'} a client certificate"
        bare = "bare TLS server with the same connections"
        load_by = f"the load by {MAKERS} processes"
        figures += [
            Figure(f"{what}, private memory of each in the server, {load_by}", ours.kb, "KB", bare, base.kb),
            Figure(
                f"{what}, share of a core at an echo each {ECHO_S:.0f} s ({ours.echoes} served in {watch_s:.0f} s)",
                ours.share,
                "cores",
                bare,
                base.share,
            ),
        ]
    return figures


async def _daemon(folder: Path, count: int, certified: bool, watch_s: float) -> _Held:
    server = Child(served.daemon, folder, count, cores()[0])
    ports = await server.hear()
    if certified:
        await asyncio.to_thread(fleet.certificates, folder / "pki", folder / "certificates", fleet.members(count))
    return await _hold(server, ports, folder, count, certified, watch_s)


async def _bare(folder: Path, count: int, certified: bool, watch_s: float) -> _Held:
    server = Child(served.bare, folder / "pki", 100, cores()[0])
    return await _hold(server, await server.hear(), folder, count, certified, watch_s)


async def _hold(
    server: Child, ports: tuple[int, int, int], folder: Path, count: int, certified: bool, watch_s: float
) -> _Held:
    """Open all, let it come to rest, watch it."""
    members = fleet.members(count)
    part = -(-count // MAKERS)
    makers = [
        Child(
            load.run,
            load.Order(
                ports[0],
                ports[1],
                members[start : start + part],
                start,
                2,
                cores()[1],
                folder / "certificates" if certified else None,
                ECHO_S,
            ),
        )
        for number, start in enumerate(range(0, count, part))
    ]
    before = await server.tell("read")
    opened = await asyncio.gather(*(maker.tell("open", 32) for maker in makers))
    if sum(each.answers["tunnel 200"] for each in opened) != count:
        raise RuntimeError(f"not all tunnels opened: {[(each.answers, each.failures) for each in opened]}")
    await asyncio.gather(*(maker.tell("echo") for maker in makers))
    async with asyncio.timeout(RESTS_S):
        while (await server.tell("read")).unread:  # noqa: ASYNC110  # another process
            await asyncio.sleep(5.0)
    await asyncio.sleep(15.0)  # what the opening left to be written is written
    first, told = await server.tell("read"), [await maker.tell("report") for maker in makers]
    await asyncio.sleep(watch_s)
    last, after = await server.tell("read"), [await maker.tell("report") for maker in makers]
    if last.tunnels != count:
        raise RuntimeError(f"{count - last.tunnels} of {count} tunnels were lost: {[each.failures for each in after]}")
    for child in (*makers, server):
        await child.end()
    return _Held(
        (last.private_kb - before.private_kb) / count,
        (last.cpu_s - first.cpu_s) / watch_s,
        sum(each.echoes for each in after) - sum(each.echoes for each in told),
    )
