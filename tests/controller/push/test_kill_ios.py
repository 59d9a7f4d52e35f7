"""`kill -9` of the daemon at each journalled state of a push to an IOS router that lives on in a process of its own.

After the restart the push ends in the true state, and the router's own log shows the change at most once. Some states
in every run, all of them in `make test-deep`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.simulator.control import ask_control
from inventory.plans import SSH_ORDER, PushState
from tests.controller.push.daemon_process import Halt
from tests.controller.push.processes import Journal, killed_at, to_the_end
from tests.controller.push.router_process import ROUTER
from tests.controller.push.router_site import Site, site_of
from tests.deep.depth import sample

pytestmark = pytest.mark.slow

STATES = SSH_ORDER[1:]
OFTEN = (PushState.BASELINED, PushState.ARMED, PushState.APPLYING, PushState.VERIFIED, PushState.SAVED)
BEFORE = (PushState.ARMED, PushState.APPLYING)
"""Before these the router has nothing of the change, and is not asked for it after a restart."""
AWAY = (PushState.APPLYING, PushState.VERIFIED)
PACE = 10.0
"""Two minutes of guard are 12 s, and the next daemon is there long before."""


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Site]:
    async with site_of(ROUTER, sqlite_template, tmp_path, PACE) as site:
        yield site


async def test_not_killed_it_goes_straight_to_its_end(site: Site) -> None:
    await to_the_end(site.orders)
    assert await site.must_tell_the_truth() is PushState.DONE
    assert "reconcile" not in {state for state, _ in Journal(site.orders.folder).rows()}


@pytest.mark.parametrize("state", sample(STATES, OFTEN))
async def test_killed_at_a_state_and_started_again_at_once(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()


@pytest.mark.parametrize("state", sample(STATES[:-1], BEFORE))
async def test_killed_before_the_router_was_asked(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state, "before")))
    await to_the_end(site.orders)
    ended = await site.must_tell_the_truth()
    assert ended is PushState.REVERTED or state not in BEFORE


@pytest.mark.parametrize("state", sample(AWAY, AWAY[:1]))
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
