"""Two nodes on one PostgreSQL: what one is asked for, the node does that the adapter has its tunnel to."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from controller.store import arms_keys, truths
from controller.store import identities as rows
from controller.store import nodes as leases
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import CommandResult, CommandResults, PingCounts, PullConfig
from inventory.operations import OperationState
from tests.controller.operations.asking import QUICK, Asking, asking, request, tells_open
from tests.controller.phonehome.site import Device, Site, Unit, eventually

pytestmark = pytest.mark.postgres


async def dies(site: Site, by: Site) -> None:
    """Its node is gone, and the other one has seen that its lease has run out."""
    async with by.database.write() as tx:
        assert await leases.take_over(tx, by.node, before_ms=site.clock.now_ms() + 7_200_000) == [site.node]


async def ready(site: Site, unit: Unit) -> Device:
    """The unit with its tunnel to that node, which is on record."""
    device = Device(site, unit)
    await device.ready()
    device.answering = False
    await site.home.ledger.flush()
    return device


async def test_an_operation_is_carried_out_by_the_node_that_has_the_tunnel(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    async with asking(first) as asked, asking(second) as other:
        number = await asked.ask(unit, "md-command", command="show version")
        other.service.wake()  # it looks every few seconds by itself
        await request(device, "md-command")
        device.say(Response("md-command", 100, CommandResults((CommandResult(0, "5.66"),))))
        ended, _ = await asked.ended(number)
        assert ended.state is OperationState.DONE
        assert [step.state.value for step in await asked.journal(number)] == ["waiting", "sending", "done"]


async def test_a_node_that_starts_leaves_alone_what_another_one_has_begun(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    async with asking(second) as other:
        number = await other.ask(unit, "ping", address="192.0.2.1", count=1)
        await request(device, "ping-start")
        device.say(Response("ping-start", 100, transaction_id=7))
        await other.reaches(number, OperationState.RUNNING)

        await first.restart()
        assert (await second.contact(unit)).tunnel_open, "the tunnel of the other node is open"
        async with asking(first) as begun:
            await begun.service.dispatch()
            assert not begun.service._tasks
            assert (await begun.read(number)).state is OperationState.RUNNING


async def test_an_operation_that_waits_goes_to_the_node_where_its_adapter_comes_back(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    await device.cut()

    async def gone() -> bool:
        return not (await second.contact(unit)).tunnel_open

    await eventually(gone)
    async with asking(first) as asked, asking(second):
        number = await asked.ask(unit, "md-command", command="show version")
        back = await ready(first, unit)
        await request(back, "md-command")
        back.say(Response("md-command", 100, CommandResults((CommandResult(0, "5.66"),))))
        ended, _ = await asked.ended(number)
        assert ended.state is OperationState.DONE


async def test_a_key_that_is_rotated_at_one_node_reaches_the_adapter_of_the_other(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    async with first.database.write() as tx:
        await arms_keys.rotate(tx, first.keyring, unit.adapter_id, "rs", at_ms=first.clock.now_ms())
    await first.home.key_rotated(unit.adapter_id)

    asked = await asyncio.wait_for(device.next(), 10)
    assert isinstance(asked, Request)
    assert (asked.type, asked.parameters) == ("pull-config", PullConfig("LS"))
    device.say(Response("pull-config", 100))
    async with second.database.read() as tx:
        (identity,) = await rows.by_adapter(tx, second.keyring, [unit.adapter_id])
    assert identity.rs_keys.in_flight, "it learns the new key from the Location Server"


async def sent_and_dead(nodes: tuple[Site, Site], unit: Unit) -> int:
    """A ping that the second node has sent before it died; its number."""
    first, second = nodes
    device = await ready(second, unit)
    async with asking(second) as other:
        number = await other.ask(unit, "ping", address="192.0.2.1", count=1)
        await request(device, "ping-start")
        device.say(Response("ping-start", 100, transaction_id=7))
        await other.reaches(number, OperationState.RUNNING)
    await device.cut()
    await dies(second, first)
    return number


async def told(asked: Asking, number: int) -> list[str]:
    """What the journal says."""
    return [step.said for step in await asked.journal(number)]


async def test_what_a_dead_node_had_sent_is_settled_by_the_other_when_the_adapter_comes_there(
    nodes: tuple[Site, Site],
) -> None:
    first, _ = nodes
    unit = await first.unit()
    number = await sent_and_dead(nodes, unit)
    async with asking(first) as asked:
        back = await ready(first, unit)
        await tells_open(back)
        ended, _ = await asked.ended(number)
        assert ended.state is OperationState.NOT_DONE
        assert "the node that had sent it is gone, and the answer or the result with it" in await told(asked, number)


async def test_what_a_dead_node_had_sent_ends_as_unknown_when_the_adapter_never_returns(
    nodes: tuple[Site, Site],
) -> None:
    first, _ = nodes
    unit = await first.unit()
    number = await sent_and_dead(nodes, unit)
    async with asking(first, dataclasses.replace(QUICK, settle_s=1.0)) as asked:
        ended, _ = await asked.ended(number)
    assert ended.state is OperationState.UNKNOWN
    assert ended.finished_ms is not None


async def test_what_waits_for_an_adapter_of_a_dead_node_goes_on_where_it_comes_back(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    await dies(second, first)  # killed: nobody has noted that its tunnels are gone
    async with asking(first) as asked:
        number = await asked.ask(unit, "md-command", command="show version")
        back = await ready(first, unit)
        await request(back, "md-command")
        back.say(Response("md-command", 100, CommandResults((CommandResult(0, "5.66"),))))
        assert (await asked.ended(number))[0].state is OperationState.DONE
    await device.cut()


async def test_a_result_that_is_awaited_at_one_node_is_left_to_it_when_the_adapter_opens_a_tunnel_to_the_other_too(
    nodes: tuple[Site, Site],
) -> None:
    first, second = nodes
    unit = await first.unit()
    device = await ready(second, unit)
    async with asking(first) as asked, asking(second) as other:
        number = await other.ask(unit, "ping", address="192.0.2.1", count=1)
        await request(device, "ping-start")
        device.say(Response("ping-start", 100, transaction_id=7))
        await other.reaches(number, OperationState.RUNNING)
        also = await ready(first, unit)
        await asked.service.dispatch()
        assert not asked.service._tasks
        device.say(
            Request("ping-done", unit.distribution_id, PingCounts(1, 0), transaction_id=7, transaction_result=100)
        )
        assert (await other.ended(number))[0].state is OperationState.DONE
        assert also.inbox.empty(), "nobody asked it what it holds open"


async def test_a_tunnel_that_ends_late_does_not_hide_the_one_to_the_other_node(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    before = await ready(second, unit)
    await ready(first, unit)
    await before.cut()

    async def ended() -> bool:
        return "phonehome.tunnel-ended" in [kind for kind, _ in await second.events(unit)]

    await eventually(ended)
    contact = await first.contact(unit)
    assert contact.tunnel_open
    assert contact.node == "first"


async def test_a_tunnel_that_stays_open_is_put_on_record_when_the_other_node_dies(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    await ready(first, unit)
    await ready(second, unit)
    assert (await first.contact(unit)).node == "second"
    await dies(second, first)

    async def ours() -> bool:
        return (await first.contact(unit)).node == "first"

    await eventually(ours)


async def test_what_a_place_runs_is_read_by_the_node_that_has_the_way_to_its_adapter(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    await ready(second, unit)

    async def unread(site: Site) -> list[int]:
        async with site.database.read() as tx:
            found = await truths.unread(tx, older_than_ms=site.clock.now_ms(), node=site.node)
        return [one.adapter_id for one in found]

    assert await unread(second) == [unit.adapter_id]
    assert await unread(first) == []
    await dies(second, first)
    assert await unread(first) == [unit.adapter_id]
