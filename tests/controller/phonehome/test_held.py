"""What is held at the gate, or waits in a tunnel, is judged by what is so when its turn comes."""

from __future__ import annotations

import asyncio

from controller.phonehome.gate import AT_ONCE, Turn
from controller.store import arms_keys, slots
from drivers.arms.parameters import ConfigSolicitationAnswer
from tests.controller.phonehome.site import ALL, BY, Device, Site, Unit, until


async def crowd(site: Site) -> None:
    """As many in work as there is room for."""
    for _ in range(AT_ONCE):
        assert await site.home.context.gate.enter("busy") is Turn.AT_ONCE


async def held(site: Site, unit: Unit) -> asyncio.Task[tuple[int, object]]:
    """A pull of the unit that waits at the gate."""
    gate = site.home.context.gate
    before = gate.entered
    task: asyncio.Task[tuple[int, object]] = asyncio.create_task(site.pull(unit))
    await until(lambda: gate.entered > before)
    assert not task.done()
    return task


def make_room(site: Site) -> None:
    """All that were in work are done."""
    for _ in range(AT_ONCE):
        site.home.context.gate.leave()


async def test_whoever_is_held_gets_its_config_when_there_is_room(site: Site) -> None:
    unit = await site.unit()
    await crowd(site)
    pull = await held(site, unit)
    make_room(site)
    status, message = await pull
    assert status == 200
    assert isinstance(getattr(message, "parameters", None), ConfigSolicitationAnswer)


async def test_an_adapter_that_lost_its_place_while_it_was_held_gets_nothing_of_it(site: Site) -> None:
    unit = await site.unit()
    await crowd(site)
    pull = await held(site, unit)
    await release(site, unit)
    make_room(site)
    status, message = await pull
    assert (status, getattr(message, "result_code", None)) in {(200, 404), (401, None)}
    assert not isinstance(getattr(message, "parameters", None), ConfigSolicitationAnswer)


async def test_a_key_that_ended_while_its_holder_was_held_opens_nothing(site: Site) -> None:
    unit = await site.unit()
    await crowd(site)
    pull = await held(site, unit)
    async with site.database.write() as tx:
        await arms_keys.rotate(tx, site.keyring, unit.adapter_id, "rs", at_ms=BY.at_ms, at_once=True)
    make_room(site)
    assert await pull == (401, None)


async def test_a_place_that_another_process_took_ends_the_tunnel_at_the_next_look(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    await release(site, unit)  # in the database alone: nobody tells this node
    await asyncio.wait_for(device.ended.wait(), 10)
    assert not site.home.context.peers[unit.adapter_id].paths


async def release(site: Site, unit: Unit) -> None:
    """Take the unit out of its slot."""
    async with site.database.write() as tx:
        await slots.release(tx, ALL, BY, unit.adapter_id)
