"""A daemon that is frozen in the middle of a change, beyond its lease, and woken: it sends nothing any more."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from controller.keyring import Keyring
from controller.store.database import Database
from drivers.simulator.control import ask_control
from inventory.plans import Outcome, PushState
from tests.controller.push import daemon_process
from tests.controller.push import router_process as router
from tests.controller.push.daemon_process import Orders
from tests.controller.push.processes import child
from tests.controller.push.router_site import prepare, service
from tests.controller.store.fleet import ALL
from tests.controller.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
PACE = 10.0
LEASE_S = 1.5
MANY = 10**9
"""A cut that never comes: what is left of it tells how many bytes the router was sent."""


async def test_a_process_that_is_woken_after_its_lease_sends_nothing(postgres_url: str, tmp_path: Path) -> None:
    async with child(router.main, PACE) as device:
        port, control = await device.tells()

        async def ask(command: str, **more: object) -> dict[str, Any]:
            answer: dict[str, Any] = await ask_control("127.0.0.1", control, command, **more)
            return answer

        first = Orders(tmp_path, PACE, database=postgres_url, node="first", lease_s=LEASE_S)
        await prepare(first, port)
        async with child(daemon_process.main, first) as frozen:
            await ask("wait_for", what="armed", timeout_s=60)
            await ask("fault", name="answer_delay_s", value=PACE)
            await ask("wait_for", what="line", timeout_s=60)
            os.kill(frozen.pid, signal.SIGSTOP)
            await ask("fault", name="answer_delay_s", value=0)
            second = Orders(tmp_path, PACE, database=postgres_url, node="second", lease_s=LEASE_S)
            async with child(daemon_process.main, second):
                state, outcome = await ended(second)
                assert (state, outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
                await ask("fault", name="cut_input_after", value=MANY)
                before = len((await ask("truth"))["log"])
                os.kill(frozen.pid, signal.SIGCONT)
                assert await frozen.tells() == "fenced"
        assert (await ask("faults"))["cut_input_after"] == MANY
        truth = await ask("truth")
        assert {record["what"] for record in truth["log"][before:]} <= {"ended"}
        assert router.CHANGE not in truth["running"]
        assert truth["pending"] is None
        assert await ended(second) == (PushState.REVERTED, Outcome.NOT_DONE)


async def ended(orders: Orders) -> tuple[PushState, Outcome | None]:
    """State and outcome of push 1 when it is over."""
    keyring = Keyring.open(orders.folder / "master.key")
    database = await Database.open(orders.url())
    try:
        pushing = service(database, keyring, orders.pace)

        async def is_over() -> bool:
            return (await pushing.status(ALL, 1)).finished_ms is not None

        await until(is_over, 60)
        push = await pushing.status(ALL, 1)
    finally:
        await database.close()
    return push.state, push.outcome
