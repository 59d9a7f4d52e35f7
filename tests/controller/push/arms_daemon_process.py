"""A daemon with phone-home and pushes, in a process of its own that a test may kill at any moment.

It can be told to stand still at a state, before or after the adapter has been asked for it: some states of an ARMS push
ask nothing of the adapter, and no fault of the adapter could hold them open.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import uvloop

from controller.clock import SystemClock
from controller.engine.dbos_engine import DbosEngine
from controller.engine.node import NodeId
from controller.keyring import Keyring
from controller.phonehome.service import PhoneHome
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.settings import ArmsSettings
from controller.store import configs
from controller.store.database import Database
from drivers.push import Device, PushJob, Step
from inventory.plans import ConfigText, PushState
from tests.controller.push.place import ENTRY_ID
from tests.controller.store.fleet import ALL


@dataclass(frozen=True)
class Halt:
    """Stand still for ever at this state, and say so."""

    state: PushState
    when: Literal["before", "after"]


class HaltingReach:
    """Devices of the fleet that stand still at one state."""

    def __init__(self, reach: FleetReach, halt: Halt | None, told: Connection) -> None:
        self._reach = reach
        self._halt = halt
        self._told = told

    async def device_for(self, adapter_id: int) -> Device:
        device: Any = await self._reach.device_for(adapter_id)
        enter, halt = device.enter, self._halt

        async def stand_still() -> None:
            self._told.send("halted")
            await asyncio.Event().wait()

        async def halting(state: PushState, job: PushJob) -> Step:
            if halt == Halt(state, "before"):
                await stand_still()
            step: Step = await enter(state, job)
            if halt == Halt(state, "after"):
                await stand_still()
            return step

        device.enter = halting
        found: Device = device
        return found


def main(told: Connection, folder: Path, pace: float, arms: dict[str, Any], halt: Halt | None, start: bool) -> None:
    """Be the daemon of `folder` until killed. With `start` it plans, approves and starts push 1 first."""
    logging.basicConfig(filename=folder / "daemon.log", level=logging.INFO)
    uvloop.run(serve(told, folder, pace, arms, halt, start))


async def serve(
    told: Connection, folder: Path, pace: float, arms: dict[str, Any], halt: Halt | None, start: bool
) -> None:
    """See `main`."""
    clock = SystemClock(pace)
    keyring = Keyring.open(folder / "master.key")
    with NodeId.claim(folder / "node.id") as node:
        database = await Database.open(f"sqlite:///{folder / 'kajitori.db'}")

        async def startup(entry_id: int) -> ConfigText | None:
            async with database.read() as tx:
                return await configs.latest_text(tx, ALL, keyring, entry_id, "startup")

        home = PhoneHome(
            settings=ArmsSettings(**arms),
            clock=clock,
            keyring=keyring,
            database=database,
            folder=folder,
            startup=startup,
        )
        service = PushService(
            database=database,
            keyring=keyring,
            clock=clock,
            reach=HaltingReach(FleetReach(database, keyring, clock, home.link), halt, told),
            planner=TextPlanner(),
        )
        await home.start()
        engine = await DbosEngine.open(
            f"sqlite:///{folder / 'engine.db'}", node_id=node.node_id, advance=service.advance
        )
        if start:
            plan = await service.make_plan(ALL, ENTRY_ID, "ann")
            for person in ("bob", "carol")[: plan.approvals_needed]:
                await service.approve(ALL, plan.id, person)
            await service.start(ALL, plan.id, "ann")
        await service.run(engine)
