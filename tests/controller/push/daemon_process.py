"""A daemon with its pushes, and phone-home if wanted, in a process of its own that a test may kill at any moment.

It can be told to stand still at a state, before or after the device has been asked for it, so that the kill lands
exactly there; some states ask nothing of the device, and no fault of the device could hold them open.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import uvloop

from controller.clock import SystemClock
from controller.engine.dbos_engine import DbosEngine
from controller.engine.lease import LEASE_S, NodeLease
from controller.engine.node import NodeId
from controller.keyring import Keyring
from controller.phonehome.service import PhoneHome
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.settings import ArmsSettings
from controller.store import pushes, startups
from controller.store.database import Database
from drivers.push import Device, PushJob, Step
from drivers.sessions.arms import ArmsLink
from drivers.sessions.permission import PERMIT, NotPermittedError
from drivers.sessions.transcript import Transcript
from inventory.plans import ConfigText, PushState
from inventory.startups import Served
from tests.controller.push.place import ENTRY_ID
from tests.controller.store.fleet import ALL

READS: frozenset[PushState] = frozenset({PushState.RECONCILE, PushState.DONE})
"""States that a device is not asked to enter: it is only read in them."""


@dataclass(frozen=True)
class Halt:
    """Stand still for ever at this state, and say so."""

    state: PushState
    when: Literal["before", "after"] = "after"


@dataclass(frozen=True)
class Orders:
    """What a daemon shall do. `arms`: ports of phone-home. `start`: plan, approve and start push 1 first.

    `database`: address of another database than the one of the folder. `node`: which of several nodes it is.
    """

    folder: Path
    pace: float
    arms: tuple[int, int, int] | None = None
    halt: Halt | None = None
    start: bool = False
    database: str | None = None
    node: str = "node"
    lease_s: float = LEASE_S

    def url(self) -> str:
        """Address of the database."""
        return self.database or f"sqlite:///{self.folder / 'kajitori.db'}"


class HaltingReach:
    """Devices of the fleet that stand still at one state of push 1."""

    def __init__(self, reach: FleetReach, database: Database, halt: Halt | None, told: Connection) -> None:
        self._reach = reach
        self._database = database
        self._halt = halt
        self._told = told

    async def device_for(self, adapter_id: int, *told: Transcript) -> Device:
        device: Any = await self._reach.device_for(adapter_id, *told)
        enter, read = device.enter, device.read

        async def entering(state: PushState, job: PushJob) -> Step:
            await self._stand_still_at(Halt(state, "before"))
            step: Step = await enter(state, job)
            await self._stand_still_at(Halt(state, "after"))
            return step

        async def reading() -> ConfigText:
            text: ConfigText = await read()
            if self._halt is not None and self._halt.state in READS:
                async with self._database.read() as tx:
                    rows = await pushes.rows(tx, 1)
                if rows:  # none while the plan is made
                    await self._stand_still_at(Halt(rows[-1].state))
            return text

        device.enter, device.read = entering, reading
        found: Device = device
        return found

    async def _stand_still_at(self, here: Halt) -> None:
        if here == self._halt:
            self._told.send("halted")
            await asyncio.Event().wait()


class NoLink:
    """Nobody phones home here; nothing of it is ever asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a link that is not there")


def main(told: Connection, orders: Orders) -> None:
    """Be the daemon until killed."""
    logging.basicConfig(filename=orders.folder / "daemon.log", level=logging.INFO)
    uvloop.run(serve(told, orders))


async def serve(told: Connection, orders: Orders) -> None:
    """See `main`."""
    clock = SystemClock(orders.pace)
    keyring = Keyring.open(orders.folder / "master.key")
    with NodeId.claim(orders.folder / f"{orders.node}.id") as node:
        database = await Database.open(orders.url())
        lease = NodeLease(database, clock, node.node_id, lease_s=orders.lease_s)
        await lease.open()
        PERMIT.set(lease.permit)
        held = asyncio.create_task(lease.hold())
        link: ArmsLink = NoLink()
        if orders.arms is not None:
            home = phone_home(orders.folder, orders.arms, clock, keyring, database)
            await home.start()
            link = home.link
        reach = HaltingReach(FleetReach(database, keyring, clock, link), database, orders.halt, told)
        service = PushService(
            database=database, keyring=keyring, clock=clock, reach=reach, planner=TextPlanner(), lease=lease
        )
        url = f"sqlite:///{orders.folder / f'engine-{orders.node}.db'}"
        engine = await DbosEngine.open(url, node_id=node.node_id, advance=service.go_on)
        if orders.start:
            plan = await service.make_plan(ALL, ENTRY_ID, "ann")
            for person in ("bob", "carol")[: plan.approvals_needed]:
                await service.approve(ALL, plan.id, person)
            await service.start(ALL, plan.id, "ann")
        work = asyncio.create_task(service.run(engine))
        done, _ = await asyncio.wait((held, work), return_when=asyncio.FIRST_COMPLETED)
        # As the daemon: a process that has lost its lease ends at once, whichever part of it notices first.
        if any(isinstance(task.exception(), NotPermittedError) for task in done):
            told.send("fenced")
            os._exit(1)
        await work


def phone_home(
    folder: Path, ports: tuple[int, int, int], clock: SystemClock, keyring: Keyring, database: Database
) -> PhoneHome:
    """Phone-home that serves the startup configs of the database, always at the same ports."""

    async def startup(entry_id: int) -> Served | None:
        async with database.read() as tx:
            return await startups.served(tx, keyring, entry_id)

    location, resource, heartbeat = ports
    return PhoneHome(
        settings=ArmsSettings(ls_port=location, rs_port=resource, heartbeat_port=heartbeat),
        clock=clock,
        keyring=keyring,
        database=database,
        folder=folder,
        startup=startup,
    )
