"""https-simple on two nodes: the one to which an adapter announced itself dies, and the adapter notices nothing."""

from __future__ import annotations

import asyncio

import pytest

from controller.settings import ArmsSettings
from controller.store import nodes as leases
from controller.store import whereabouts
from controller.store.whereabouts import Orphan
from drivers.arms.messages import Request
from drivers.arms.parameters import ReadStorage, StoredConfigs
from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.identity import SA_W2, fleet_member
from tests.controller.phonehome.devices import FIRST, record, settings_of
from tests.controller.phonehome.site import Site, Unit

pytestmark = pytest.mark.postgres


@pytest.fixture
def arms_settings() -> ArmsSettings:
    return ArmsSettings(
        ls_port=0,
        rs_port=0,
        heartbeat_port=0,
        pulls_per_s=10_000,
        heartbeat_interval_s=10,
        push_methods=("https-simple",),
        push_ports="1024-65535",
    )


@pytest.fixture
def pace() -> float:
    return 30.0


async def dies(site: Site, by: Site) -> None:
    """Its node is gone, and the other one has seen that its lease has run out."""
    async with by.database.write() as tx:
        assert await leases.take_over(tx, by.node, before_ms=site.clock.now_ms() + 7_200_000) == [site.node]


async def stored(site: Site, unit: Unit) -> list[str | bytes]:
    """read-storage over that node: its result comes on a connection of the adapter's own."""
    asked = Request("read-storage-start", "", ReadStorage("running"))
    started = await site.home.link.request(unit.serial, asked, timeout_s=60)
    assert started.transaction_id
    done = await site.home.link.wait_done(unit.serial, started.transaction_id, timeout_s=600)
    assert isinstance(done.parameters, StoredConfigs)
    return [config.content for config in done.parameters.configs]


async def test_an_adapter_that_announced_itself_to_a_dead_node_alone_is_dialled_by_another(
    nodes: tuple[Site, Site],
) -> None:
    first, second = nodes
    unit = await record(second, SA_W2, 1)
    first.home.provisioned()
    device = ArmsDevice(fleet_member(SA_W2, 1), settings_of(second))
    device.start()
    try:
        await second.home.link.wait_ready(unit.serial, timeout_s=600)
        before = await second.contact(unit)
        assert before.node == "second"
        assert before.push_endpoint
        await dies(second, first)

        await first.home.link.wait_ready(unit.serial, timeout_s=600)
        found = await first.contact(unit)
        assert (found.node, found.push_endpoint) == ("first", before.push_endpoint)
        assert await stored(first, unit) == [FIRST], "and its result comes to the node that dials it"
        told = dict(await first.events(unit))
        assert told["phonehome.endpoint-taken-over"]["node"] == "second"
    finally:
        await device.stop()


async def test_of_two_nodes_one_takes_an_endpoint_over(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    # A port that `arms.push_ports` does not name: the nodes leave it alone meanwhile.
    orphan = Orphan(unit.adapter_id, "https://127.0.0.1:1/", "https://127.0.0.1:2/rs/arms", "third")
    identity = await first.home.context.identity(unit.distribution_id)
    assert identity is not None
    first.home.ledger.contact(
        identity, push_endpoint=orphan.endpoint, push_result_url=orphan.result_url, node=orphan.node
    )
    await first.home.ledger.flush()

    async def take(site: Site) -> bool:
        async with site.database.write() as tx:
            return await whereabouts.take_over(tx, orphan, site.node, result_url=orphan.result_url)

    assert sorted(await asyncio.gather(take(first), take(second))) == [False, True]


async def test_a_node_that_has_lost_its_lease_takes_no_endpoint_over(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    await dies(second, first)
    unit = await first.unit()
    identity = await first.home.context.identity(unit.distribution_id)
    assert identity is not None
    first.home.ledger.contact(
        identity, push_endpoint="https://127.0.0.1:1/", push_result_url="https://127.0.0.1:2/rs/arms", node="third"
    )
    await first.home.ledger.flush()
    orphan = Orphan(unit.adapter_id, "https://127.0.0.1:1/", "https://127.0.0.1:2/rs/arms", "third")
    async with second.database.write() as tx:
        assert not await whereabouts.take_over(tx, orphan, second.node, result_url=orphan.result_url)


async def test_only_an_endpoint_of_a_dead_node_is_an_orphan(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    units = [await first.unit() for _ in range(3)]
    for unit, node in zip(units, ("first", "second", None), strict=True):
        identity = await first.home.context.identity(unit.distribution_id)
        assert identity is not None
        first.home.ledger.contact(
            identity, push_endpoint="https://127.0.0.1:1/", push_result_url="https://127.0.0.1:2/rs/arms", node=node
        )
    await first.home.ledger.flush()

    async def found() -> list[int]:
        async with first.database.read() as tx:
            return [one.adapter_id for one in await whereabouts.orphans(tx)]

    assert await found() == []
    await dies(second, first)
    assert await found() == [units[1].adapter_id]
