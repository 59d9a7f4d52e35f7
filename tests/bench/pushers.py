"""Who changes the fleet of `pushed`, each in a fresh process of its own: ours, nornir with netmiko, and a floor.

Each changes the first few of the fleet beforehand, so that nothing counts that is loaded or compiled once in the life
of a process. Then it says "ready", begins with the others when it is told to, and answers what it took.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import os
import re
import resource
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeVar

import asyncssh
import uvloop

from controller.clock import SystemClock
from controller.engine.dbos_engine import DbosEngine
from controller.engine.lease import NodeLease
from controller.engine.node import NodeId
from controller.keyring import Keyring
from controller.main import settle_heap
from controller.push.reaching import FleetReach
from controller.push.service import Policy, PushService
from controller.push.texts import TextPlanner
from controller.settings import PushSettings, SessionSettings
from controller.store import adapters, configs, contractors, counts, migrate, slots
from controller.store.database import Database
from controller.store.scope import By, Scope
from drivers.sessions.admission import limit_here
from drivers.sessions.contract import Endpoint
from drivers.sessions.permission import PERMIT
from inventory.plans import ConfigText, Outcome
from inventory.secrets import Secret
from tests.bench.load import allow_files
from tests.bench.pushed import IOS_LINES, PASSWORD, USER, Unit
from tests.controller.push.daemon_process import NoLink

MODELS: Final = {"ios": "Cisco IOS", "fortios": "FortiGate"}
FLOOR_AT_ONCE: Final = 100
WARM_UP: Final = 5
"""Devices that are changed before it counts."""
_SESSIONS: Final = SessionSettings(devices=4000, logins=120, logins_per_s=10_000)
"""For devices that bear it: nobody beside us has a cap. The default of 150 logins a second is no more than 75 pushes a
second. So many logins at once keep the processor busy; more of them would only let more pushes hold two sessions at the
same time."""
_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Took:
    """What it took to change the fleet. `peak_kb`: the most memory beyond what the process held before; with plans."""

    seconds: float
    cpu_s: float
    peak_kb: int
    plan_seconds: float = 0.0
    """Before that, until all plans were computed, proven, stored and approved (ours only: the others have none)."""
    plan_cpu_s: float = 0.0


class _Meter:
    """From its making on."""

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins at what is held now
        self._before_kb = _status_kb("VmRSS")
        self._cpu_s = cpu_s()
        self._began_s = time.monotonic()

    def took(self) -> Took:
        return Took(*self.spent(), _status_kb("VmHWM") - self._before_kb)

    def spent(self) -> tuple[float, float]:
        """Seconds by the clock and of CPU, so far."""
        return time.monotonic() - self._began_s, cpu_s() - self._cpu_s


def cpu_s() -> float:
    """CPU time of this process and its threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _status_kb(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def _begin(cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    allow_files()


# --- ours -------------------------------------------------------------------------------------------------------------


def ours(
    pipe: Connection, folder: Path, units: list[Unit], at_once: int, cpu: int | None, profile: str | None = None
) -> None:
    """The whole safe procedure, by the daemon's own parts: plan, approve, journal, engine, guard, new login, verify,
    confirm, save, read back. `profile`: a file for cProfile's figures."""
    _begin(cpu)
    uvloop.run(_ours(pipe, folder, units, at_once, profile))
    os._exit(0)


async def _ours(pipe: Connection, folder: Path, units: list[Unit], at_once: int, profile: str | None) -> None:
    limit_here(_SESSIONS.most())
    clock = SystemClock(1.0)
    keyring = Keyring.open(folder / "master.key")
    url = f"sqlite:///{folder / 'kajitori.db'}"
    await migrate.upgrade(url)
    database = await Database.open(url)
    with NodeId.claim(folder / "node") as node:
        await _register(database, keyring, clock, units)
        lease = NodeLease(database, clock, node.node_id)
        await lease.open()
        PERMIT.set(lease.permit)
        holding = asyncio.create_task(lease.hold())
        service = PushService(
            database=database,
            keyring=keyring,
            clock=clock,
            reach=FleetReach(database, keyring, clock, NoLink()),
            planner=TextPlanner(),
            policy=Policy(at_once=PushSettings(at_once=at_once).at_once, source="192.0.2.9"),
            lease=lease,
        )
        ended: asyncio.Queue[int] = asyncio.Queue()

        async def advance(push_id: int) -> bool:
            finished = await service.go_on(push_id)
            if finished:
                ended.put_nowait(push_id)
            return finished

        async def planned(entries: range) -> list[int]:
            return await _each(entries, at_once, lambda entry: _planned(service, entry))

        async def pushed(plans: list[int]) -> list[int]:
            pushes = await _each(plans, at_once, lambda plan: service.start(Scope.everything(), plan, "ann"))
            for _ in pushes:
                await ended.get()
            return pushes

        engine = await DbosEngine.open(f"sqlite:///{folder / 'engine.db'}", node_id=node.node_id, advance=advance)
        dispatching = asyncio.create_task(service.run(engine))
        pushes = await pushed(await planned(range(1, WARM_UP + 1)))
        settle_heap()
        await _told(pipe)
        with _profiled(profile):
            meter = _Meter()
            plans = await planned(range(WARM_UP + 1, len(units) + 1))
            plan_seconds, plan_cpu_s = meter.spent()
            pushes += await pushed(plans)
            whole = meter.took()
        took = Took(whole.seconds - plan_seconds, whole.cpu_s - plan_cpu_s, whole.peak_kb, plan_seconds, plan_cpu_s)
        for push_id in pushes:
            push = await service.status(Scope.everything(), push_id)
            if push.outcome is not Outcome.DONE:
                said = [(row.state, row.said) for row in await service.journal(Scope.everything(), push_id)]
                raise AssertionError(f"push {push_id} is {push.state}: {said}")
        pipe.send(took)
        await asyncio.to_thread(pipe.recv)
        for task in (dispatching, holding):
            task.cancel()
        await asyncio.gather(dispatching, holding, return_exceptions=True)
        await engine.close()
    await database.close()


async def _planned(service: PushService, entry_id: int) -> int:
    plan = await service.make_plan(Scope.everything(), entry_id, "ann")
    for person in ("bob", "carol")[: plan.approvals_needed]:
        await service.approve(Scope.everything(), plan.id, person)
    return plan.id


async def _register(database: Database, keyring: Keyring, clock: SystemClock, units: list[Unit]) -> None:
    by, everything = By("bench", clock.now_ms()), Scope.everything()
    async with database.write() as tx:
        owner = await contractors.create(tx, everything, by, name="bench")
        await counts.create_management(
            tx,
            everything,
            by,
            contractor_id=owner.id,
            service="mpc",
            classes=("III",),
            name="bench",
            entry_count=len(units),
            standby_count=0,
        )
        for entry_id, unit in enumerate(units, 1):
            endpoint = Endpoint("127.0.0.1", unit.port, USER, Secret(PASSWORD), host_key=unit.host_key)
            adapter = await adapters.register(
                tx,
                everything,
                by,
                serial=unit.serial,
                contractor_id=owner.id,
                service="mpc",
                device_class="III",
                model=MODELS[unit.family],
                endpoint=endpoint,
                keyring=keyring,
            )
            await slots.assign(tx, everything, by, adapter.id, entry_id=entry_id)
            await configs.put(
                tx,
                everything,
                keyring,
                entry_id,
                kind="working",
                config=ConfigText.single(unit.wanted),
                digest="bench",
                author="bench",
                reason="bench",
                at_ms=by.at_ms,
            )


# --- nornir with netmiko ----------------------------------------------------------------------------------------------


def nornir(pipe: Connection, units: list[Unit], threads: int, cpu: int | None) -> None:
    """Log in, type the ten lines, log out: no reading, no guard, no proof, nothing saved."""
    _begin(cpu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are measured, not used
        from nornir.core import Nornir
        from nornir.core.inventory import Defaults, Groups, Host, Hosts, Inventory
        from nornir.core.plugins.connections import ConnectionPluginRegister
        from nornir.core.task import Result, Task
        from nornir.plugins.runners import ThreadedRunner
        from nornir_netmiko.tasks import netmiko_send_config

    ConnectionPluginRegister.auto_register()
    hosts = Hosts(
        {
            unit.serial: Host(
                unit.serial,
                hostname="127.0.0.1",
                port=unit.port,
                username=USER,
                password=PASSWORD,
                platform="cisco_ios",
            )
            for unit in units
        }
    )
    fleet = Nornir(Inventory(hosts, Groups(), Defaults()), runner=ThreadedRunner(num_workers=threads))

    def change(task: Task) -> Result:
        task.run(netmiko_send_config, config_commands=list(IOS_LINES))
        task.host.close_connections()
        return Result(task.host)

    def run(some: list[Unit]) -> None:
        named = {unit.serial for unit in some}
        result = fleet.filter(filter_func=lambda host: host.name in named).run(change)
        assert len(result) == len(some)
        if result.failed:
            raise AssertionError(next(iter(result.failed_hosts.values()))[-1].result)

    run(units[:WARM_UP])
    pipe.send("ready")
    pipe.recv()
    meter = _Meter()
    run(units[WARM_UP:])
    took = meter.took()
    pipe.send(took)
    pipe.recv()
    os._exit(0)


# --- the floor --------------------------------------------------------------------------------------------------------


def floor(pipe: Connection, units: list[Unit], cpu: int | None) -> None:
    """asyncssh alone: connect, one read, one write, once."""
    _begin(cpu)
    uvloop.run(_floor(pipe, units))
    os._exit(0)


async def _floor(pipe: Connection, units: list[Unit]) -> None:
    await _each(units[:WARM_UP], FLOOR_AT_ONCE, _touch)
    await _told(pipe)
    meter = _Meter()
    await _each(units[WARM_UP:], FLOOR_AT_ONCE, _touch)
    pipe.send(meter.took())
    await asyncio.to_thread(pipe.recv)


async def _touch(unit: Unit) -> None:
    key = asyncssh.import_public_key(unit.host_key)
    async with asyncssh.connect(
        "127.0.0.1",
        unit.port,
        username=USER,
        password=PASSWORD,
        known_hosts=([key], [], []),
        config=None,
        client_keys=None,
        agent_path=None,
    ) as connection:
        shell = await connection.create_process(term_type="vt100", encoding=None)
        await shell.stdout.read(4096)
        shell.stdin.write(b"show clock\n")
        await shell.stdout.read(4096)
        shell.close()


# --- all of them ------------------------------------------------------------------------------------------------------


async def _told(pipe: Connection) -> None:
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)


async def _each(things: Iterable[_Thing], at_once: int, work: Callable[[_Thing], Awaitable[_Made]]) -> list[_Made]:
    """Work on all of them, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(thing: _Thing) -> _Made:
        async with gate:
            return await work(thing)

    return await asyncio.gather(*(one(thing) for thing in things))


@contextmanager
def _profiled(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)
