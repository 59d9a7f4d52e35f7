"""Pushes: the whole safe procedure beside the same lines sent with no safety at all, and beside a bare SSH floor.

The fleet is one process on a core of its own; whoever changes it is a fresh process on the other core, and a fresh
fleet each time. Runs take turns, so that all see the same machine; a figure is the median of its runs.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import pushed, pushers
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores
from tests.bench.pushers import Took

THREADS = (50, 100, 200)
FLOOR = "bare asyncssh: connect, one read, one write, once"
_Begin = Callable[[Path, list[pushed.Unit]], Child]


async def measure(
    folder: Path,
    *,
    count: int,
    mixed: int,
    rounds: int,
    threads: Sequence[int] = THREADS,
    at_once: int = 600,
) -> list[Figure]:
    """`count` IOS devices against both baselines, then `mixed` devices of several families against the floor."""
    client, _ = cores()

    def unsafe(number: int) -> _Begin:
        return lambda _place, units: Child(pushers.nornir, units, number, client)

    def ours(place: Path, units: list[pushed.Unit]) -> Child:
        return Child(pushers.ours, place, units, at_once, client)

    def floor(_place: Path, units: list[pushed.Unit]) -> Child:
        return Child(pushers.floor, units, client)

    sides: dict[str, _Begin] = {"ours": ours, FLOOR: floor}
    with_nornir = sides | {f"nornir + netmiko, {number} threads, no safety": unsafe(number) for number in threads}
    found = await _in_turns(folder, count, ("ios",), with_nornir, rounds)
    best = min((name for name in found if name not in sides), key=lambda name: found[name].seconds)
    figures = _figures(f"{count} IOS devices", count, found["ours"], {best: found[best], FLOOR: found[FLOOR]})
    found = await _in_turns(folder, mixed, ("ios", "fortios"), sides, rounds)
    return figures + _figures(f"{mixed} IOS and FortiOS devices", mixed, found["ours"], {FLOOR: found[FLOOR]})


async def _in_turns(
    folder: Path,
    count: int,
    families: tuple[str, ...],
    sides: dict[str, _Begin],
    rounds: int,
) -> dict[str, Took]:
    """Medians of each side."""
    size = count + pushers.WARM_UP
    fleet = Child(pushed.main, size, families, cores()[1])
    await fleet.hear()
    took: dict[str, list[Took]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, begin in sides.items():
            units = await fleet.tell("renew")
            with tempfile.TemporaryDirectory(dir=folder) as place:
                client = begin(Path(place), units)
                await client.hear()
                took[name].append(await client.tell("go"))
                await client.end()
            saved, running = await fleet.tell("changed")
            expected = {"ours": (size, size), FLOOR: (0, 0)}.get(name, (0, size))
            assert (saved, running) == expected, f"{name}: {saved} saved and {running} running of {size}"
    await fleet.end()
    return {name: _median(runs) for name, runs in took.items()}


def _median(runs: list[Took]) -> Took:
    return Took(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_s for run in runs),
        round(statistics.median(run.peak_kb for run in runs)),
        statistics.median(run.plan_seconds for run in runs),
        statistics.median(run.plan_cpu_s for run in runs),
    )


def _figures(what: str, count: int, ours: Took, others: dict[str, Took]) -> list[Figure]:
    found = []
    for name, other in others.items():
        peak_mb = [took.peak_kb / 1024 / count for took in (ours, other)]
        whole = Took(ours.seconds + ours.plan_seconds, ours.cpu_s + ours.plan_cpu_s, ours.peak_kb)
        for took, how in (
            (ours, "approved plan to read-back"),
            (whole, "the same with plan and approval before"),
        ):
            rates = [60 * count / one.seconds for one in (took, other)]
            cpu_ms = [1000 * one.cpu_s / count for one in (took, other)]
            found += [
                Figure(f"safe push of ten lines to {what}, {how}", rates[0], "devices/min", name, rates[1]),
                Figure(f"CPU of it, {what}, {how}", cpu_ms[0], "ms/device", name, cpu_ms[1]),
            ]
        found.append(Figure(f"peak memory of all of it, {what}", peak_mb[0], "MB/device", name, peak_mb[1]))
    return found
