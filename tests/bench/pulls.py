"""Pulls per second of server CPU, against a bare TLS handshake with a fixed answer of the same size."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench import fleet, load, served
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores

ADAPTERS = 400
STARTUP_ANSWER = 14_500
"""Bytes of the answer to a config-solicitation with 10 KB of config."""


async def measure(folder: Path, *, rounds: int, seconds: float) -> list[Figure]:
    """Both servers are up on the same core; the load turns from one to the other, so that both see the same machine."""
    ours, theirs = cores()
    measured = Child(served.daemon, folder, ADAPTERS, ours)
    ls, rs, _ = await measured.hear()
    bare = Child(served.bare, folder / "pki", STARTUP_ANSWER, ours)
    port, _, _ = await bare.hear()
    members = fleet.members(ADAPTERS)
    sides = [
        (measured, Child(load.run, load.Order(ls, rs, members, 0, 2, theirs))),
        (bare, Child(load.run, load.Order(port, port, members, 0, 3, theirs))),
    ]
    rates: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for rate, (server, maker) in zip(rates, sides, strict=True):
            before, made = await server.tell("read"), await maker.tell("report")
            answered = await maker.tell("config", seconds if turn else 1.0)
            after = await server.tell("read")
            if turn:  # the first warms up
                rate.append((len(answered.pulls) - len(made.pulls)) / (after.cpu_s - before.cpu_s))
    for server, maker in sides:
        await maker.end()
        await server.end()
    return [
        Figure(
            "config pulls of 10 KB per second of server CPU, the load by one process",
            statistics.median(rates[0]),
            "/CPU s",
            "bare TLS handshake and a fixed answer of the same size",
            statistics.median(rates[1]),
        )
    ]
