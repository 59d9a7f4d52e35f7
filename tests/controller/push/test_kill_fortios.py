"""`kill -9` of the daemon at each journalled state of a push to a FortiGate that lives on in a process of its own.

As `test_kill_ios`; here nobody may ask the unit before its guard has fired, so each way back takes its time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from inventory.plans import SSH_ORDER, PushState
from tests.controller.push.daemon_process import Halt
from tests.controller.push.processes import Journal, killed_at, to_the_end
from tests.controller.push.router_process import FIREWALL
from tests.controller.push.router_site import Site, site_of
from tests.deep.depth import sample

pytestmark = pytest.mark.slow

STATES = SSH_ORDER[1:]
OFTEN = (PushState.APPLYING, PushState.CONFIRMED)
PACE = 40.0
"""Two minutes of guard are 3 s; a push takes one."""


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Site]:
    async with site_of(FIREWALL, sqlite_template, tmp_path, PACE) as site:
        yield site


@pytest.mark.parametrize("state", sample(STATES, OFTEN))
async def test_killed_at_a_state_and_started_again_at_once(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()


@pytest.mark.parametrize("state", sample(STATES[:-1], (PushState.SAVED,)))
async def test_killed_before_the_unit_was_asked(site: Site, state: PushState) -> None:
    await killed_at(replace(site.orders, halt=Halt(state, "before")))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()


async def test_killed_again_while_it_reconciles(site: Site) -> None:
    await killed_at(replace(site.orders, halt=Halt(PushState.APPLIED)))
    await killed_at(replace(site.orders, halt=Halt(PushState.RECONCILE)))
    await to_the_end(site.orders)
    await site.must_tell_the_truth()
    assert "reverted" in {state for state, _ in Journal(site.orders.folder).rows()}
