"""The tour: real daemon, simulated fleet, and steps that are each checked by the API's word and the devices' own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.demo.checks import Findings, Result, Step
from controller.demo.contacting import phone_home, reach_out
from controller.demo.metering import HISTORY_DAYS, congestion, history, live, report
from controller.demo.processes import PACE, DaemonProcess, FleetProcess
from controller.demo.pushing import push
from controller.demo.registering import register
from controller.demo.rest import NotInTime, Refused, Rest
from controller.demo.roster import roster
from controller.demo.succeeding import awakening, promotion, silence
from controller.demo.world import World
from inventory.errors import FleetError
from inventory.periods import TOKYO, day_of, day_start_ms

SLOT_MS: Final = 300_000

STAGES: Final[tuple[tuple[Step, ...], ...]] = (
    (Step("register", "adapters are registered by serial number", register),),
    (
        Step("history", "35 days of readings are imported", history, ("register",)),
        Step("phone-home", "SEIL, Ayame and SA-W2 phone home over ARMS", phone_home, ("register",)),
        Step("reach-out", "Cisco IOS and FortiGate are reached and identified over SSH", reach_out, ("register",)),
    ),
    (
        Step("push-seil", "a change is pushed to a SEIL/X1", push("seil"), ("phone-home",)),
        Step("push-ayame", "a change is pushed to a SEIL/x86 Ayame", push("ayame"), ("phone-home",)),
        Step("push-sa-w2", "a change is pushed to an SA-W2", push("sa-w2"), ("phone-home",)),
        Step("push-ios", "a change is pushed to a Cisco IOS", push("ios"), ("reach-out",)),
        Step("push-fortios", "a change is pushed to a FortiGate", push("fortios"), ("reach-out",)),
    ),
    (
        Step("silence", "an entry falls silent", silence, ("push-sa-w2",)),
        Step("congestion", "an overloaded link is flagged and a switch of model drafted", congestion, ("history",)),
    ),
    (
        Step("promotion", "a standby takes its place, and the config follows", promotion, ("silence",)),
        Step("report", "a traffic report is made as HTML and CSV", report, ("history",)),
    ),
    (
        Step("awakening", "the old unit wakes and gets nothing", awakening, ("promotion",)),
        Step("live", "heartbeats go on where the import ends", live, ("history", "phone-home")),
    ),
)
"""Steps of a stage run side by side, stages one after another."""

Watcher = Callable[[Step, Result | None], None]
"""Hears of each step twice: when it begins, and of its result."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for. `port` 0: any free one."""

    directory: Path
    adapters: int = 50
    port: int = 0
    pace: float = PACE
    faults: tuple[tuple[str, str, object], ...] = ()
    """Serial number, switch, position: devices that misbehave, to see that the tour notices."""


@asynccontextmanager
async def running(wanted: Wanted) -> AsyncIterator[World]:
    """Both processes, up and later stopped in order. Raises NotStarted, BadInput."""
    now_ms = time.time_ns() // 1_000_000
    end_ms = now_ms - now_ms % SLOT_MS
    start_ms = day_start_ms(day_of(end_ms, TOKYO) - timedelta(days=HISTORY_DAYS), TOKYO)
    units = roster(wanted.adapters)
    fleet = FleetProcess(wanted.adapters, pace=wanted.pace, history_start_ms=start_ms, faults=wanted.faults)
    daemon = DaemonProcess(wanted.directory, api_port=wanted.port, pace=wanted.pace)
    try:
        await asyncio.gather(fleet.start(), daemon.start())
        async with Rest(daemon.url, daemon.admin_key()) as rest:
            yield World(rest, daemon, fleet, units, start_ms, end_ms)
    finally:
        await daemon.stop()
        await fleet.stop()


async def play(world: World, watch: Watcher, stages: Sequence[Sequence[Step]] = STAGES) -> list[Result]:
    """All steps; those that need one that failed are not carried out. Never raises for what a step finds."""
    results: dict[str, Result] = {}
    for stage in stages:
        for result in await asyncio.gather(*(_carry_out(world, step, results, watch) for step in stage)):
            results[result.name] = result
    return list(results.values())


async def _carry_out(world: World, step: Step, before: dict[str, Result], watch: Watcher) -> Result:
    lacking = [name for name in step.needs if not before[name].came_through]
    if lacking:
        result = Result(step.name, step.title, 0.0, error=f"not carried out: it needs {', '.join(lacking)}")
        watch(step, result)
        return result
    watch(step, None)
    found = Findings()
    error = ""
    started = time.monotonic()
    try:
        await step.work(world, found)
    except Exception as failure:  # noqa: BLE001 – the tour goes on; the step is untrue, and says why
        error = "; ".join(_words(one) for one in _leaves(failure))
    seconds = time.monotonic() - started
    result = Result(step.name, step.title, seconds, tuple(found.checks), error)
    if not result.true:
        result = Result(step.name, step.title, seconds, result.checks, error, tuple(world.daemon.last_lines()))
    watch(step, result)
    return result


def _leaves(failure: BaseException) -> list[BaseException]:
    """The failures in a group, or the one there is."""
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for one in failure.exceptions for leaf in _leaves(one)]
    return [failure]


def _words(failure: BaseException) -> str:
    known = isinstance(failure, Refused | NotInTime | FleetError)
    return str(failure) if known else f"{type(failure).__name__}: {failure}"
