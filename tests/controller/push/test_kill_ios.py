"""`kill -9` of the daemon at each journalled state of a push to an IOS router that lives on in a process of its own.

After the restart the push ends in the true state, and the router's own log shows the change at most once.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store import adapters, configs
from controller.store.database import Database
from drivers.sessions.contract import Endpoint
from drivers.simulator.control import ask_control
from inventory.plans import ConfigText, Outcome, Phase, PushState
from inventory.secrets import Secret
from tests.controller.push import daemon_process
from tests.controller.push import router_process as router
from tests.controller.push.daemon_process import NoLink
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.processes import Journal, child
from tests.controller.store.fleet import ALL, BY, Fleet

pytestmark = pytest.mark.slow

STATES = (
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
    PushState.VERIFIED,
    PushState.CONFIRMED,
    PushState.SAVED,
    PushState.DONE,
)
SLOW_ANSWERS_S = 1.0
"""Protocol seconds before each answer of the router, so that every state lasts long enough to be killed in."""


@dataclass(frozen=True)
class Site:
    """A router, and a data directory in which push 1 to it is due."""

    folder: Path
    control: int
    pace: float

    async def fault(self, name: str, value: object) -> None:
        await ask_control("127.0.0.1", self.control, "fault", name=name, value=value)

    async def daemon_until(self, state: PushState) -> None:
        """A daemon runs until it has written that it is about to enter `state`; then it is killed."""
        async with child(daemon_process.main, self.folder, self.pace):
            await Journal(self.folder / "kajitori.db").intends(state)
        assert Journal(self.folder / "kajitori.db").rows()[-1] == (state.value, Phase.INTENTION.value)

    async def daemon_to_the_end(self) -> None:
        async with child(daemon_process.main, self.folder, self.pace):
            await Journal(self.folder / "kajitori.db").ends()

    async def reported(self) -> tuple[PushState, Outcome | None, str | None]:
        """State, outcome and the startup config of the entry, as our database has them."""
        keyring = Keyring.open(self.folder / "master.key")
        database = await Database.open(f"sqlite:///{self.folder / 'kajitori.db'}")
        try:
            push = await service(database, keyring, self.pace).status(ALL, 1)
            async with database.read() as tx:
                startup = await configs.latest_text(tx, ALL, keyring, ENTRY_ID, "startup")
        finally:
            await database.close()
        return push.state, push.outcome, None if startup is None else startup.text()

    async def must_tell_the_truth(self) -> PushState:
        """What is reported against what the router itself holds; returns the state."""
        state, outcome, startup = await self.reported()
        truth = await ask_control("127.0.0.1", self.control, "truth")
        running, saved, log = str(truth["running"]), str(truth["saved"]), truth["log"]
        assert isinstance(log, list)
        sent = [record for record in log if record["what"] == "line" and router.CHANGE.strip() in str(record["detail"])]
        assert len(sent) <= 1, sent
        assert truth["pending"] is None
        if outcome is Outcome.DONE:
            assert router.CHANGE in running
            assert router.CHANGE in saved
            assert startup is not None
            assert router.CHANGE in startup
            assert len(sent) == 1
        else:
            assert outcome is Outcome.NOT_DONE
            assert router.CHANGE not in running
            assert router.CHANGE not in saved
            assert startup is None
        return state


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


async def prepare(folder: Path, port: int, pace: float) -> None:
    """Plan, approve and start the change of one line; no daemon runs yet."""
    keyring = Keyring.open(folder / "master.key")
    database = await Database.open(f"sqlite:///{folder / 'kajitori.db'}")
    try:
        adapter_id = await register(database, keyring, port)
        pushing = service(database, keyring, pace)
        device = await FleetReach(database, keyring, SystemClock(pace), NoLink()).device_for(adapter_id)
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


@pytest.fixture
async def site(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Site]:
    pace: float = request.param
    shutil.copyfile(sqlite_template, tmp_path / "kajitori.db")
    async with child(router.main, pace) as device:
        port, control = await device.tells()
        await prepare(tmp_path, port, pace)
        made = Site(tmp_path, control, pace)
        await made.fault("answer_delay_s", SLOW_ANSWERS_S)
        yield made


WHILE_THE_GUARD_RUNS = 10.0
"""Pace at which two minutes of guard are 12 s: the next daemon is there long before."""
AFTER_THE_GUARD = 120.0
"""Pace at which they are 1 s: the router has gone back before the next daemon has started."""


@pytest.mark.parametrize("site", [WHILE_THE_GUARD_RUNS], indirect=True, ids=["guard runs"])
async def test_not_killed_it_goes_straight_to_its_end(site: Site) -> None:
    await site.daemon_to_the_end()
    assert await site.must_tell_the_truth() is PushState.DONE
    assert "reconcile" not in {state for state, _ in Journal(site.folder / "kajitori.db").rows()}


@pytest.mark.parametrize("site", [WHILE_THE_GUARD_RUNS], indirect=True, ids=["guard runs"])
@pytest.mark.parametrize("state", STATES)
async def test_killed_and_started_again_at_once(site: Site, state: PushState) -> None:
    await site.daemon_until(state)
    await site.daemon_to_the_end()
    ended = await site.must_tell_the_truth()
    if state is PushState.APPLYING:
        # It depends on how many of its lines the router had taken when the daemon died.
        assert ended in (PushState.REVERTED, PushState.DONE)
    else:
        assert ended is (PushState.REVERTED if state is PushState.ARMED else PushState.DONE)


@pytest.mark.parametrize("site", [AFTER_THE_GUARD], indirect=True, ids=["guard has fired"])
@pytest.mark.parametrize("state", [PushState.APPLYING, PushState.APPLIED, PushState.VERIFIED, PushState.CONFIRMED])
async def test_killed_and_started_again_after_the_router_went_back(site: Site, state: PushState) -> None:
    await site.fault("answer_delay_s", SLOW_ANSWERS_S * AFTER_THE_GUARD / WHILE_THE_GUARD_RUNS / 4)
    await site.daemon_until(state)
    await site.daemon_to_the_end()
    await site.must_tell_the_truth()


@pytest.mark.parametrize("site", [WHILE_THE_GUARD_RUNS], indirect=True, ids=["guard runs"])
async def test_killed_again_while_it_reconciles(site: Site) -> None:
    await site.daemon_until(PushState.APPLIED)
    await site.daemon_until(PushState.RECONCILE)
    await site.daemon_until(PushState.CONFIRMED)
    await site.daemon_to_the_end()
    assert await site.must_tell_the_truth() is PushState.DONE
