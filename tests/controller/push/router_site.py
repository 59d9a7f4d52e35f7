"""A push to a box of `router_process`, registered and started before any daemon runs, and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store import adapters, configs
from controller.store.database import Database
from drivers.sessions.contract import Endpoint
from drivers.simulator.control import ask_control
from inventory.plans import ConfigText, Outcome, PushState
from inventory.secrets import Secret
from tests.controller.push import router_process as router
from tests.controller.push.daemon_process import NoLink, Orders
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.processes import child
from tests.controller.push.router_process import ROUTER, Box
from tests.controller.store.fleet import ALL, BY, Fleet


def service(database: Database, keyring: Keyring, pace: float) -> PushService:
    clock = SystemClock(pace)
    return PushService(
        database=database,
        keyring=keyring,
        clock=clock,
        reach=FleetReach(database, keyring, clock, NoLink()),
        planner=TextPlanner(),
    )


async def register(database: Database, keyring: Keyring, port: int, box: Box) -> int:
    """The box as an adapter, seated in E-1; returns its id."""
    fleet = Fleet(database, keyring)
    owner = await fleet.contractor()
    management = await fleet.management(owner, classes=("III",), entry_count=1, standby_count=0)
    async with database.write() as tx:
        adapter = await adapters.register(
            tx,
            ALL,
            BY,
            serial=router.SERIAL,
            contractor_id=owner.id,
            service="mpc",
            device_class="III",
            model=box.model,
            endpoint=Endpoint("127.0.0.1", port, router.USER, Secret(router.PASSWORD)),
            keyring=keyring,
        )
    await fleet.assign(adapter, management=management)
    return adapter.id


async def prepare(orders: Orders, port: int, box: Box = ROUTER) -> None:
    """Plan, approve and start the change of the box; no daemon runs yet."""
    keyring = Keyring.open(orders.folder / "master.key")
    database = await Database.open(orders.url())
    try:
        adapter_id = await register(database, keyring, port, box)
        pushing = service(database, keyring, orders.pace)
        device = await FleetReach(database, keyring, SystemClock(orders.pace), NoLink()).device_for(adapter_id)
        try:
            running = (await device.read()).text()
        finally:
            await device.close()
        wanted = running.replace(box.before, box.before + box.change)
        assert wanted != running
        async with database.write() as tx:
            await configs.put(
                tx,
                ALL,
                keyring,
                ENTRY_ID,
                kind="working",
                config=ConfigText.single(wanted),
                digest="w",
                author="ann",
                reason="the warehouse",
                at_ms=BY.at_ms,
            )
        plan = await pushing.make_plan(ALL, ENTRY_ID, "ann")
        await pushing.approve(ALL, plan.id, "bob")
        if plan.approvals_needed > 1:
            await pushing.approve(ALL, plan.id, "carol")
        assert await pushing.start(ALL, plan.id, "ann") == 1
    finally:
        await database.close()


@dataclass(frozen=True)
class Site:
    """A box, and a data directory in which push 1 to it is due."""

    orders: Orders
    control: int
    box: Box

    async def reported(self) -> tuple[PushState, Outcome | None, str | None]:
        """State, outcome and the startup config of the entry, as our database has them."""
        keyring = Keyring.open(self.orders.folder / "master.key")
        database = await Database.open(self.orders.url())
        try:
            push = await service(database, keyring, self.orders.pace).status(ALL, 1)
            async with database.read() as tx:
                startup = await configs.latest_text(tx, ALL, keyring, ENTRY_ID, "startup")
        finally:
            await database.close()
        return push.state, push.outcome, None if startup is None else startup.text()

    async def must_tell_the_truth(self) -> PushState:
        """What is reported against what the box itself holds; returns the state, which must be the one that the
        box's record leads to."""
        state, outcome, startup = await self.reported()
        truth = await ask_control("127.0.0.1", self.control, "truth")
        running, saved, log = str(truth["running"]), str(truth["saved"]), truth["log"]
        assert isinstance(log, list)
        sent = [record for record in log if record["what"] == "line" and self.box.mark in str(record["detail"])]
        undone = any(
            record["what"] == "reverted" or str(record["detail"].get("line")).startswith("delete ") for record in log
        )
        assert len(sent) <= 1, sent
        assert truth["pending"] is None
        assert "set cfg-" not in running
        assert running == saved
        if sent and not undone:
            assert (state, outcome) == (PushState.DONE, Outcome.DONE)
            assert startup is not None
            assert all(self.box.mark in text for text in (running, startup))
        else:
            assert (state, outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
            assert startup is None
            assert self.box.mark not in running
        return state


@asynccontextmanager
async def site_of(box: Box, template: Path, folder: Path, pace: float) -> AsyncIterator[Site]:
    """The box up, the push due."""
    shutil.copyfile(template, folder / "kajitori.db")
    async with child(router.main, pace, box) as device:
        port, control = await device.tells()
        orders = Orders(folder, pace)
        await prepare(orders, port, box)
        yield Site(orders, control, box)
