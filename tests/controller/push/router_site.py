"""A push to the router of `router_process`, registered and started before any daemon runs."""

from __future__ import annotations

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store import adapters, configs
from controller.store.database import Database
from drivers.sessions.contract import Endpoint
from inventory.plans import ConfigText
from inventory.secrets import Secret
from tests.controller.push import router_process as router
from tests.controller.push.daemon_process import NoLink, Orders
from tests.controller.push.place import ENTRY_ID
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


async def register(database: Database, keyring: Keyring, port: int) -> int:
    """The router's adapter, seated in E-1; returns its id."""
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
            model="Cisco IOS",
            endpoint=Endpoint("127.0.0.1", port, router.USER, Secret(router.PASSWORD)),
            keyring=keyring,
        )
    await fleet.assign(adapter, management=management)
    return adapter.id


async def prepare(orders: Orders, port: int) -> None:
    """Plan, approve and start the change of one line; no daemon runs yet."""
    keyring = Keyring.open(orders.folder / "master.key")
    database = await Database.open(orders.url())
    try:
        adapter_id = await register(database, keyring, port)
        pushing = service(database, keyring, orders.pace)
        device = await FleetReach(database, keyring, SystemClock(orders.pace), NoLink()).device_for(adapter_id)
        try:
            running = (await device.read()).text()
        finally:
            await device.close()
        wanted = running.replace(router.BEFORE, router.BEFORE + router.CHANGE)
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
