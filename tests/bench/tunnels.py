"""Idle tunnels: private memory of each in the server, and its share of a core while they send their echoes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.bench import fleet, load, served
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores

MAKERS = 2
READY_S = 120.0
"""Within which all have shown their serial numbers after the last tunnel was opened."""
REST_S = 5.0
"""What the opening left to be written is written then."""
ECHO_S = 60.0
"""The default of `arms.echo_interval_s`."""


@dataclass(frozen=True, slots=True)
class _Held:
    kb: float
    share: float
    echoes: int


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
    server = Child(served.daemon, folder, count, cores()[0], True)
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
    async with asyncio.timeout(READY_S):
        while (await server.tell("read")).ready < count:  # noqa: ASYNC110  # another process
            await asyncio.sleep(1.0)
    await asyncio.sleep(REST_S)
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
