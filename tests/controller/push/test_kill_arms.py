"""`kill -9` of the daemon at each journalled state of a push over ARMS; the adapter lives on in a process of its own.

After the restart the push ends in the true state, and the adapter's own log shows the change at most once.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.store import adapters, checklist, configs, identities, pushes
from controller.store.database import Database
from drivers.simulator.control import ask_control
from inventory import onboarding
from inventory.plans import ConfigText, Outcome, PushState
from tests.controller.push import adapter_process
from tests.controller.push.daemon_process import Halt, Orders
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.processes import Journal, child, free_ports, killed_at, to_the_end
from tests.controller.store.fleet import ALL, BY, Fleet
from tests.controller.waiting import until
from tests.deep.depth import sample

pytestmark = pytest.mark.slow

BASE = "hostname: osaka\ninterface.ge0.address: dhcp\n"
INTENT = "hostname: osaka\ninterface.ge0.address: dhcp\ninterface.ge1.address: 192.0.2.1/24\n"
CHANGE = "interface.ge1.address"
PACE = 30.0
"""Thirty seconds between an adapter's retries are one."""
STATES = (
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
    PushState.CONFIRMED,
    PushState.VERIFIED,
    PushState.SAVED,
    PushState.DONE,
)


@dataclass(frozen=True)
class Site:
    """An adapter, and what the daemon that it phones home to shall do."""

    orders: Orders
    control: int

    async def killed_at(self, halt: Halt) -> None:
        """A daemon plans and starts the push, and is killed where it stands still."""
        await killed_at(replace(self.orders, halt=halt, start=True))

    async def log(self) -> list[Any]:
        """The adapter's own record."""
        answer: Any = await ask_control("127.0.0.1", self.control, "log")
        records: list[Any] = answer["records"]
        return records

    async def must_tell_the_truth(self) -> PushState:
        """What is reported against what the adapter itself holds; returns the state, which must be the one that the
        adapter's record leads to."""
        keyring = Keyring.open(self.orders.folder / "master.key")
        database = await Database.open(f"sqlite:///{self.orders.folder / 'kajitori.db'}")
        try:
            async with database.read() as tx:
                push = await pushes.get(tx, ALL, 1)
                startup = await configs.latest_text(tx, ALL, keyring, ENTRY_ID, "startup")
        finally:
            await database.close()
        truth: Any = await ask_control("127.0.0.1", self.control, "truth")
        log = await self.log()
        applied = [one for one in log if one["what"] == "applied" and one["detail"]["how"] == "configure"]
        undone = any(one["what"] == "rolled-back" for one in log)
        assert len(applied) <= 1, applied
        assert truth["open_transactions"] == {}
        assert startup is not None
        running = truth["modules"][0]["running"]
        if applied and not undone:
            assert (push.state, push.outcome) == (PushState.DONE, Outcome.DONE)
            assert CHANGE in running
            assert CHANGE in startup.text()
        else:
            assert (push.state, push.outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
            assert CHANGE not in running
            assert CHANGE not in startup.text()
        return push.state


async def prepare(folder: Path, url: str | None = None) -> str:
    """The adapter on record in E-1 with its startup and working config; returns its LS key. `url`: of another database
    than the one of the folder."""
    keyring = Keyring.open(folder / "master.key")
    database = await Database.open(url or f"sqlite:///{folder / 'kajitori.db'}")
    fleet = Fleet(database, keyring)
    unit = adapter_process.UNIT
    try:
        owner = await fleet.contractor()
        management = await fleet.management(owner, entry_count=1, standby_count=1)
        async with database.write() as tx:
            adapter = await adapters.register(
                tx,
                ALL,
                BY,
                serial=unit.serial_number,
                contractor_id=owner.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=unit.distribution_id,
                keyring=keyring,
            )
            for item in onboarding.required(adapter.device_class):
                await checklist.tick(tx, ALL, BY, adapter.id, item)
            ls_key = await identities.provision(
                tx, keyring, adapter.id, distribution_id=unit.distribution_id, at_ms=BY.at_ms
            )
        await fleet.assign(adapter, management=management)
        kinds: tuple[tuple[configs.Kind, str], ...] = (("startup", BASE), ("working", INTENT))
        async with database.write() as tx:
            for kind, text in kinds:
                await configs.put(
                    tx,
                    ALL,
                    keyring,
                    ENTRY_ID,
                    kind=kind,
                    config=ConfigText.single(text),
                    digest=kind,
                    author="ann",
                    reason="test",
                    at_ms=BY.at_ms,
                )
    finally:
        await database.close()
    return ls_key.reveal()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of certificates for all stories: five RSA keys take a while."""
    folder = tmp_path_factory.mktemp("pki")
    Pki.open(folder, now_ms=SystemClock().now_ms())
    return folder


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path, certificates: Path) -> AsyncIterator[Site]:
    shutil.copyfile(sqlite_template, tmp_path / "kajitori.db")
    shutil.copytree(certificates, tmp_path, dirs_exist_ok=True)
    ls_key = await prepare(tmp_path)
    root = Pki.open(tmp_path, now_ms=SystemClock().now_ms()).root_certificate
    ports = free_ports()
    url = f"https://127.0.0.1:{ports[0]}/"
    async with child(adapter_process.main, url, root, ls_key, PACE) as adapter:
        yield Site(Orders(tmp_path, PACE, ports), await adapter.tells())


async def test_not_killed_it_goes_straight_to_its_end(site: Site) -> None:
    await to_the_end(replace(site.orders, start=True))
    assert await site.must_tell_the_truth() is PushState.DONE
    assert "reconcile" not in {state for state, _ in Journal(site.orders.folder).rows()}


@pytest.mark.parametrize("state", sample(STATES, STATES[3:8]))
async def test_killed_at_a_state_and_started_again_at_once(site: Site, state: PushState) -> None:
    await site.killed_at(Halt(state))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()


@pytest.mark.parametrize("state", sample(STATES[:-1], (PushState.APPLYING, PushState.CONFIRMED)))
async def test_killed_before_the_adapter_was_asked(site: Site, state: PushState) -> None:
    await site.killed_at(Halt(state, "before"))
    await to_the_end(site.orders)
    ended = await site.must_tell_the_truth()
    assert ended is PushState.REVERTED or state is not PushState.APPLYING


@pytest.mark.parametrize("state", [PushState.APPLYING, PushState.REACHABLE])
async def test_killed_and_away_until_the_adapter_has_rolled_back(site: Site, state: PushState) -> None:
    await site.killed_at(Halt(state))

    async def rolled_back() -> bool:
        return any(one["what"] == "rolled-back" for one in await site.log())

    await until(rolled_back, 60)
    await to_the_end(site.orders)
    assert await site.must_tell_the_truth() is PushState.REVERTED


async def test_killed_again_while_it_reconciles(site: Site) -> None:
    await site.killed_at(Halt(PushState.APPLIED))
    await killed_at(replace(site.orders, halt=Halt(PushState.RECONCILE)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()
