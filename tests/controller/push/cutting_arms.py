"""A push over ARMS whose tunnel breaks after the n-th byte, told from what the simulated SA-W2 itself holds.

Everything is real: the adapter boots, phones home over TLS, opens its tunnel; phone-home, push engine and journal are
the daemon's. Bytes are those of the tunnel before TLS, counted by the adapter from the moment at which the change is
about to be sent until it is saved.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.phonehome.service import PhoneHome
from controller.push.reaching import FleetReach
from controller.push.service import Policy, PushService
from controller.push.texts import TextPlanner
from controller.store import configs
from controller.store.database import Database
from drivers.simulator.arms_client import ArmsDevice, ArmsSettings
from inventory.plans import Outcome, Phase, PushState
from inventory.secrets import Secret
from tests.controller.push import adapter_process, daemon_process, test_kill_arms
from tests.controller.push.cutting import Direction, Ended
from tests.controller.push.place import ENTRY_ID
from tests.controller.store.fleet import ALL
from tests.controller.waiting import until

PACE = 60.0
SWITCHES: dict[Direction, str] = {"output": "cut_to_server_after", "input": "cut_to_device_after"}
ROLLBACK_S = 120


@dataclass(frozen=True)
class StartedArms:
    """A data directory in which push 1 is due, and the key with which the adapter comes."""

    folder: Path
    ls_key: str
    family: str = "arms"

    async def cut_at(self, folder: Path, direction: Direction, byte: int) -> Ended:
        """See `cut_at`."""
        return await cut_at(self, folder, direction, byte)


class Site:
    """A daemon's phone-home and push part, and one adapter."""

    def __init__(self, folder: Path, database: Database, ls_key: str) -> None:
        self._clock = SystemClock(PACE)
        keyring = Keyring.open(folder / "master.key")
        self.database = database
        self.keyring = keyring
        self.home: PhoneHome = daemon_process.phone_home(folder, (0, 0, 0), self._clock, keyring, database)
        self.service = PushService(
            database=database,
            keyring=keyring,
            clock=self._clock,
            reach=FleetReach(database, keyring, self._clock, self.home.link),
            planner=TextPlanner(),
            policy=Policy(client_rollback_s=ROLLBACK_S),
        )
        self._root = Pki.open(folder, now_ms=self._clock.now_ms()).root_certificate
        self._ls_key = ls_key
        self.adapter: ArmsDevice

    async def start(self) -> None:
        """Both come up, and the adapter phones home."""
        await self.home.start()
        settings = ArmsSettings(
            ls_urls=(f"https://127.0.0.1:{self.home.ports[0]}/",),
            root_ca_pem=self._root,
            pace=PACE,
            shortest_timeout_s=0.5,
            boot_s=1.0,
            methods=("https-tunnel",),
        )
        self.adapter = ArmsDevice(replace(adapter_process.UNIT, ls_key=Secret(self._ls_key)), settings)
        self.adapter.start()
        await self.adapter.ground_truth.until("confirmed", timeout_s=60)

    async def stop(self) -> None:
        await self.adapter.stop()
        await self.home.stop()

    async def startup(self) -> str:
        """What the place's next boot will get."""
        async with self.database.read() as tx:
            found = await configs.latest_text(tx, ALL, self.keyring, ENTRY_ID, "startup")
        assert found is not None
        return found.text()


@asynccontextmanager
async def site_of(folder: Path, ls_key: str) -> AsyncIterator[Site]:
    """A site that is up."""
    database = await Database.open(f"sqlite:///{folder / 'kajitori.db'}")
    try:
        site = Site(folder, database, ls_key)
        await site.start()
        try:
            yield site
        finally:
            await site.stop()
    finally:
        await database.close()


async def prepare(template: Path, folder: Path) -> StartedArms:
    """Plan, approve and start the change; the adapter it was planned on goes, and will come again."""
    home = folder / "arms"
    home.mkdir()
    shutil.copyfile(template, home / "kajitori.db")
    ls_key = await test_kill_arms.prepare(home)
    async with site_of(home, ls_key) as site:
        plan = await site.service.make_plan(ALL, ENTRY_ID, "ann")
        for person in ("bob", "carol")[: plan.approvals_needed]:
            await site.service.approve(ALL, plan.id, person)
        assert await site.service.start(ALL, plan.id, "ann") == 1
    return StartedArms(home, ls_key)


async def cut_at(started: StartedArms, folder: Path, direction: Direction, byte: int) -> Ended:
    """As `cutting.cut_at`."""
    case = folder / f"arms-{direction}-{byte}"
    shutil.copytree(started.folder, case)
    try:
        async with site_of(case, started.ls_key) as site:
            ended = await _carry_out(site, direction, byte)
            await _must_be_true(site, ended.outcome)
            return ended
    finally:
        shutil.rmtree(case, ignore_errors=True)


async def _carry_out(site: Site, direction: Direction, byte: int) -> Ended:
    name, left = SWITCHES[direction], None
    faults = site.adapter._runtime.faults
    async with asyncio.timeout(300):
        while not await site.service.advance(1):
            last = (await site.service.journal(ALL, 1))[-1]
            if last.state is PushState.ARMED and last.phase is Phase.OUTCOME:
                await site.adapter.set_fault(name, byte)
            if last.state is PushState.SAVED and last.phase is Phase.OUTCOME:
                left = getattr(faults, name)
                await site.adapter.set_fault(name, None)
    return Ended((await site.service.status(ALL, 1)).outcome, left)


async def _must_be_true(site: Site, outcome: Outcome | None) -> None:
    """The controller's word is what the adapter runs, and what its next boot would get; the change came once."""
    log = site.adapter.ground_truth

    # What was cut at its very end may still be on its way back.
    async def is_quiet() -> bool:
        return not (await site.adapter.truth())["open_transactions"]

    await until(is_quiet, 60)
    truth: Any = await site.adapter.truth()
    running, startup = truth["modules"][0]["running"], await site.startup()
    wanted = {Outcome.DONE: test_kill_arms.INTENT, Outcome.NOT_DONE: test_kill_arms.BASE}
    assert outcome in wanted, f"the push ended {outcome}"
    assert sorted(running.split()) == sorted(wanted[outcome].split()), running
    assert sorted(startup.split()) == sorted(wanted[outcome].split()), startup
    assert log.count("applied", how="configure") <= 1
