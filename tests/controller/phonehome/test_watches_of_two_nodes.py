"""One identity in two places when each node hears only one of them, and when it only looks like that; on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from inventory.incidents import Incident, IncidentKind
from tests.controller.phonehome.site import Site
from tests.controller.phonehome.test_watches import arms_settings, beat, found, in_s, send

pytestmark = pytest.mark.postgres
__all__ = ["arms_settings"]


@pytest.fixture
def pace() -> float:
    """Ten seconds are half a one."""
    return 20.0


async def test_two_units_of_which_each_node_hears_one_are_told_with_both_sources(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    octets = itertools.count(1_000_000, 1000)
    standing: list[Incident] = []
    for number in range(16):
        send(first, "127.0.0.1", beat(unit, next(octets)))
        await asyncio.sleep(in_s(first, 0.4))
        send(second, "127.0.0.2", beat(unit, 500 + number))
        await asyncio.sleep(in_s(first, 0.6))
        if standing := await found(first, IncidentKind.CLONE):
            break
    (clone,) = standing
    assert (clone.state, clone.adapter_id, clone.facts["rule"]) == ("open", unit.adapter_id, "MPC-11")
    sources = clone.facts["sources"]
    assert isinstance(sources, list)
    assert {one["source"] for one in sources} == {"127.0.0.1", "127.0.0.2"}


async def test_one_unit_that_each_node_sees_behind_another_address_is_no_violation(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    unit = await first.unit()
    for number in range(9):
        packet = beat(unit, 1000 + number)
        send(first, "127.0.0.1", packet)
        send(second, "127.0.0.2", packet)
        await asyncio.sleep(in_s(first, 1))
    assert await found(first, IncidentKind.CLONE) == []


async def test_one_unit_that_changes_nodes_and_addresses_is_no_violation(nodes: tuple[Site, Site]) -> None:
    unit = await nodes[0].unit()
    for number in range(10):
        there = number // 5
        send(nodes[there], f"127.0.0.{1 + there}", beat(unit, 1000 + number))
        await asyncio.sleep(in_s(nodes[0], 1))
    assert await found(nodes[0], IncidentKind.CLONE) == []
