"""A boot storm: all adapters of a node are powered on within seconds, and have to be push-ready soon and fairly."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.bench import fleet, load, served
from tests.bench.figure import Figure
from tests.bench.processes import Child, cores

WITHIN_S = 10.0
GIVES_UP_S = 600.0
MAKERS = 2


@dataclass(frozen=True, slots=True)
class Course:
    """How a storm went; seconds since the first was powered on."""

    all_ready_s: float
    waits_s: list[float]
    """From power on to push-ready, of each, sorted."""
    pulls_per_s: list[int]
    """Pulls answered with 100 in each second."""
    answers: Counter[str]
    late_ms: float


async def measure(folder: Path, *, count: int, steady: int, steady_s: float) -> list[Figure]:
    """First the steady rate of whole boots in a closed loop, then the storm of others, on the same server."""
    server = Child(served.daemon, folder, count + steady, cores()[0])
    ports = await server.hear()
    members = fleet.members(count + steady)
    rate = await _steady(ports, members[count:], count, steady_s)
    course = await _storm(server, ports, members[:count])
    await server.end()
    ideal_s = count / rate
    median_s = statistics.median(course.waits_s)
    peak = max(range(len(course.pulls_per_s)), key=course.pulls_per_s.__getitem__)
    after = course.pulls_per_s[peak:-1] or course.pulls_per_s
    told = ", ".join(f"{what}: {times}" for what, times in sorted(course.answers.items()))
    print(
        f"boot storm: pulls in each second {course.pulls_per_s}; the loop was late by {course.late_ms:.0f} ms; {told}"
    )
    makers = f"the load by {MAKERS} processes"
    return [
        Figure(
            f"boot storm of {count:,} adapters within {WITHIN_S:.0f} s until all are push-ready, {makers}",
            course.all_ready_s,
            "s",
            f"{count:,} ÷ the steady rate of {rate:.1f} boots/s",
            ideal_s,
        ),
        Figure("boot storm, the unluckiest adapter's wait", course.waits_s[-1], "s", "the median's", median_s),
        Figure(
            "boot storm, most pulls in a second after the peak", max(after[1:] or after), "/s", "the peak", after[0]
        ),
        Figure("boot storm, fewest pulls in a second after the peak", min(after), "/s", "the peak", after[0]),
    ]


def _order(ports: tuple[int, int, int], members: list[fleet.Member], first: int, source: int) -> load.Order:
    return load.Order(ports[0], ports[1], members, first, source, cores()[1])


async def _steady(ports: tuple[int, int, int], members: list[fleet.Member], first: int, seconds: float) -> float:
    """Boots a second when as many wait as keep the server busy, and no more."""
    part = len(members) // MAKERS
    makers = [
        Child(load.run, _order(ports, members[number * part : (number + 1) * part], first + number * part, 2))
        for number in range(MAKERS)
    ]
    await asyncio.gather(*(maker.tell("whole", 2.0) for maker in makers))
    before = [await maker.tell("report") for maker in makers]
    after = await asyncio.gather(*(maker.tell("whole", seconds) for maker in makers))
    for maker in makers:
        await maker.end()
    booted = sum(each.boots for each in after) - sum(each.boots for each in before)
    seconds_taken: float = max(each.at_s for each in after) - max(each.at_s for each in before)
    return float(booted / seconds_taken)


async def _storm(server: Child, ports: tuple[int, int, int], members: list[fleet.Member]) -> Course:
    part = -(-len(members) // MAKERS)
    makers = [
        Child(load.run, _order(ports, members[start : start + part], start, 3))
        for number, start in enumerate(range(0, len(members), part))
    ]
    await server.tell("read")
    await asyncio.gather(*(maker.tell("boot", WITHIN_S) for maker in makers))
    async with asyncio.timeout(GIVES_UP_S):
        while True:
            await asyncio.sleep(1.0)
            told = [await maker.tell("report") for maker in makers]
            if sum(len(each.ready) for each in told) == len(members):
                break
    state = await server.tell("read")
    for maker in makers:
        await maker.end()
    began = {number: at_s for each in told for number, at_s in each.began.items()}
    ready = {number: at_s for each in told for number, at_s in each.ready.items()}
    first_s = min(began.values())
    seconds = Counter(int(at_s - first_s) for each in told for at_s in each.pulls)
    return Course(
        max(ready.values()) - first_s,
        sorted(ready[number] - began[number] for number in began),
        [seconds[second] for second in range(max(seconds) + 1)],
        sum((each.answers + each.failures for each in told), Counter()),
        state.late_ms,
    )
