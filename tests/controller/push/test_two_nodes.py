"""Plans and pushes with two nodes: whichever is asked, the one with the adapter's tunnel reads it and changes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.store import phonehome, pushes
from controller.store.database import Database
from drivers.simulator.arms_client import ArmsDevice, ArmsSettings
from inventory.errors import DeviceError
from inventory.plans import Outcome, PushState
from inventory.secrets import Secret
from tests.controller.phonehome.conftest import certificates, folder
from tests.controller.push import adapter_process, test_kill_arms
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.two_nodes import PACE, Balancer, Node
from tests.controller.store.fleet import ALL
from tests.controller.waiting import until

pytestmark = pytest.mark.postgres
__all__ = ["certificates", "folder"]


@dataclass
class Both:
    """Two nodes, the balancer that sends the adapter's connections to one of them, and the adapter."""

    first: Node
    second: Node
    balancer: Balancer
    adapter: ArmsDevice
    ports: dict[str, int]

    async def approved(self, node: Node) -> int:
        """A plan that was asked of that node, approved and started there; the number of the push."""
        plan = await node.pushes.make_plan(ALL, ENTRY_ID, "ann")
        for person in ("bob", "carol")[: plan.approvals_needed]:
            await node.pushes.approve(ALL, plan.id, person)
        return await node.pushes.start(ALL, plan.id, "ann")

    async def holder(self, node: str | None) -> None:
        """Have the tables say that this node has the adapter's tunnel."""
        async with self.first.database.write() as tx:
            await phonehome.write(tx, phonehome.Batch(contacts={1: {"node": node}}))

    async def ended(self, number: int) -> tuple[PushState, Outcome | None]:
        async def over() -> bool:
            return (await self.first.pushes.status(ALL, number)).finished_ms is not None

        await until(over, 60)
        push = await self.first.pushes.status(ALL, number)
        return push.state, push.outcome


@pytest.fixture
async def both(postgres_url: str, tmp_path: Path, folder: Path) -> AsyncIterator[Both]:
    ls_key = await test_kill_arms.prepare(tmp_path, postgres_url)
    first = Node("first", await Database.open(postgres_url), tmp_path, folder)
    second = Node("second", await Database.open(postgres_url), tmp_path, folder)
    balancer = Balancer()
    port = await balancer.listen()
    for node in (first, second):
        await node.start()
    ports = {node.name: node.home.ports[1] for node in (first, second)}
    balancer.to = ports["second"]
    for node in (first, second):
        node.home.context.rs_port = port
    settings = ArmsSettings(
        ls_urls=(f"https://127.0.0.1:{first.home.ports[0]}/",),
        root_ca_pem=first.home.pki.root_certificate,
        pace=PACE,
        shortest_timeout_s=3.0,
        boot_s=1.0,
        methods=("https-tunnel",),
    )
    adapter = ArmsDevice(replace(adapter_process.UNIT, ls_key=Secret(ls_key)), settings)
    adapter.start()
    try:
        await adapter.ground_truth.until("confirmed", timeout_s=30)
        yield Both(first, second, balancer, adapter, ports)
    finally:
        await adapter.stop()
        await balancer.stop()
        await first.stop()
        await second.stop()


async def test_a_plan_and_a_push_that_one_node_is_asked_for_are_carried_out_by_the_one_with_the_tunnel(
    both: Both,
) -> None:
    number = await both.approved(both.first)
    assert await both.ended(number) == (PushState.DONE, Outcome.DONE)
    assert not both.first.engine.runs
    assert both.adapter.ground_truth.count("applied", how="configure") == 1


async def test_a_plan_goes_to_the_node_where_the_adapter_appears_while_another_waits_for_it(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, waits = both.first.home.link, asyncio.Event()
    wait_ready = link.wait_ready

    async def noted(serial: str, *, timeout_s: float) -> None:
        waits.set()
        await wait_ready(serial, timeout_s=timeout_s)

    monkeypatch.setattr(link, "wait_ready", noted)
    await both.holder(None)
    asked = asyncio.create_task(both.first.pushes.make_plan(ALL, ENTRY_ID, "ann"))
    waiting = asyncio.create_task(waits.wait())  # or the second has put itself on record again by then
    await asyncio.wait({asked, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await both.holder("second")
    assert (await asked).adapter_id == 1


async def test_an_adapter_that_comes_back_to_another_node_in_the_middle_of_a_push_is_read_and_not_sent_anything_again(
    both: Both,
) -> None:
    both.balancer.to = both.ports["first"]  # its next connections; the tunnel stays where it is
    number = await both.approved(both.second)
    assert await both.ended(number) == (PushState.DONE, Outcome.DONE)
    assert both.second.engine.runs
    assert both.first.engine.runs
    journal = [row.state for row in await both.first.pushes.journal(ALL, number)]
    assert PushState.RECONCILE in journal
    assert both.adapter.ground_truth.count("applied", how="configure") == 1


async def test_a_node_that_comes_back_leaves_a_push_alone_that_another_node_carries_out_by_now(both: Both) -> None:
    await both.holder("second")
    number = await both.approved(both.first)

    async def taken() -> bool:
        async with both.first.database.read() as tx:
            return await pushes.holder(tx, 1) == number

    await until(taken)
    # What the engine of the first one does at its start with what it had under way before it was taken for dead.
    async with asyncio.timeout(10):
        assert await both.first.pushes.go_on(number)
    assert await both.ended(number) == (PushState.DONE, Outcome.DONE)
    assert both.adapter.ground_truth.count("applied", how="configure") == 1


async def test_a_plan_for_an_adapter_that_its_node_cannot_read_says_why(both: Both) -> None:
    async with both.second.database.write() as tx:
        await phonehome.write(tx, phonehome.Batch(contacts={1: {"quarantine": "it showed SN-1", "quarantine_ms": 1}}))
    with pytest.raises(DeviceError, match="it showed SN-1"):
        await both.first.pushes.make_plan(ALL, ENTRY_ID, "ann")
