"""`kill -9` of the daemon at each journalled state of a push to an IOS router that lives on in a process of its own.

After the restart the push ends in the true state, and the router's own log shows the change at most once.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.keyring import Keyring
from controller.store import configs
from controller.store.database import Database
from drivers.simulator.control import ask_control
from inventory.plans import Outcome, PushState
from tests.controller.push import router_process as router
from tests.controller.push.daemon_process import Halt, Orders
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.processes import Journal, child, killed_at, to_the_end
from tests.controller.push.router_site import prepare, service
from tests.controller.store.fleet import ALL

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
PACE = 10.0
"""Two minutes of guard are 12 s, and the next daemon is there long before."""


@dataclass(frozen=True)
class Site:
    """A router, and a data directory in which push 1 to it is due."""

    orders: Orders
    control: int

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
        """What is reported against what the router itself holds; returns the state, which must be the one that the
        router's record leads to."""
        state, outcome, startup = await self.reported()
        truth = await ask_control("127.0.0.1", self.control, "truth")
        running, saved, log = str(truth["running"]), str(truth["saved"]), truth["log"]
        assert isinstance(log, list)
        sent = [record for record in log if record["what"] == "line" and router.CHANGE.strip() in str(record["detail"])]
        undone = any(record["what"] == "reverted" for record in log)
        assert len(sent) <= 1, sent
        assert truth["pending"] is None
        if sent and not undone:
            assert (state, outcome) == (PushState.DONE, Outcome.DONE)
            assert startup is not None
            assert all(router.CHANGE in text for text in (running, saved, startup))
        else:
            assert (state, outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
            assert startup is None
            assert all(router.CHANGE not in text for text in (running, saved))
        return state


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Site]:
    shutil.copyfile(sqlite_template, tmp_path / "kajitori.db")
    async with child(router.main, PACE) as device:
        port, control = await device.tells()
        orders = Orders(tmp_path, PACE)
        await prepare(orders, port)
        yield Site(orders, control)


async def test_not_killed_it_goes_straight_to_its_end(site: Site) -> None:
    await to_the_end(site.orders)
    assert await site.must_tell_the_truth() is PushState.DONE
    assert "reconcile" not in {state for state, _ in Journal(site.orders.folder).rows()}


@pytest.mark.parametrize("state", STATES)
async def test_killed_at_a_state_and_started_again_at_once(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()


@pytest.mark.parametrize("state", [PushState.ARMED, PushState.APPLYING, PushState.CONFIRMED, PushState.SAVED])
async def test_killed_before_the_router_was_asked(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state, "before")))
    await to_the_end(site.orders)
    ended = await site.must_tell_the_truth()
    assert ended is PushState.REVERTED or state in (PushState.CONFIRMED, PushState.SAVED)


@pytest.mark.parametrize("state", [PushState.APPLYING, PushState.VERIFIED])
async def test_killed_and_away_until_the_router_went_back(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state)))
    await ask_control("127.0.0.1", site.control, "wait_for", what="reverted", timeout_s=60)
    await to_the_end(site.orders)
    assert await site.must_tell_the_truth() is PushState.REVERTED


async def test_killed_again_while_it_reconciles_and_once_more_while_it_confirms(site: Site) -> None:
    for state in (PushState.APPLIED, PushState.RECONCILE, PushState.CONFIRMED):
        await killed_at(replace(site.orders, halt=Halt(state)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()
