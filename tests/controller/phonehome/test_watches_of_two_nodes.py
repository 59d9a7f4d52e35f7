"""One identity in two places when each node hears only one of them, and when it only looks like that; on PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from drivers.arms import heartbeat
from drivers.arms.heartbeat import Tlv
from drivers.arms.ids import DistributionId
from inventory.incidents import Incident, IncidentKind
from tests.controller.phonehome.site import Site, Unit
from tests.controller.phonehome.test_watches import arms_settings, beat, found, in_s, send

pytestmark = pytest.mark.postgres
__all__ = ["arms_settings"]


@pytest.fixture
def pace() -> float:
    """Ten seconds are half a one."""
    return 20.0


def with_cpu(unit: Unit, percent: int) -> bytes:
    """Statistics without traffic counters."""
    return _beat(unit, [Tlv(0x33, heartbeat.LAYOUTS[0x33].struct.pack(0, percent))])


def bare(unit: Unit, _number: int) -> bytes:
    """The smallest heartbeat: always alike."""
    return _beat(unit, [])


def _beat(unit: Unit, tlvs: list[Tlv]) -> bytes:
    who = DistributionId.parse(unit.distribution_id)
    return heartbeat.encode(who, tlvs, unit.passphrase.reveal().encode())


KINDS = (beat, with_cpu, bare)


@pytest.mark.parametrize("pace", [10.0])  # slower, so that a busy machine keeps their rhythm
async def test_two_units_of_which_each_node_hears_one_are_told_with_both_sources(nodes: tuple[Site, Site]) -> None:
    """Whatever their heartbeats tell: counters, other statistics, nothing."""
    first, second = nodes
    units = [(await first.unit(), made) for made in KINDS]
    standing: list[Incident] = []
    for number in range(45):
        send(first, "127.0.0.1", *(made(unit, 100 + number) for unit, made in units))
        await asyncio.sleep(in_s(first, 0.45))
        send(second, "127.0.0.2", *(made(unit, 50 + number) for unit, made in units))
        await asyncio.sleep(in_s(first, 0.5))
        standing = await found(first, IncidentKind.CLONE)
        if len(standing) == len(units):
            break
    assert {one.adapter_id for one in standing} == {unit.adapter_id for unit, _ in units}
    for clone in standing:
        assert (clone.state, clone.facts["rule"]) == ("open", "MPC-11")
        sources = clone.facts["sources"]
        assert isinstance(sources, list)
        assert {one["source"] for one in sources} == {"127.0.0.1", "127.0.0.2"}


async def test_one_unit_that_each_node_sees_behind_another_address_is_no_violation(nodes: tuple[Site, Site]) -> None:
    first, second = nodes
    units = [(await first.unit(), made) for made in KINDS]
    for number in range(9):
        packets = [made(unit, 40 + number) for unit, made in units]
        send(first, "127.0.0.1", *packets)
        send(second, "127.0.0.2", *packets)
        await asyncio.sleep(in_s(first, 1))
    assert await found(first, IncidentKind.CLONE) == []


async def test_one_unit_that_changes_nodes_and_addresses_is_no_violation(nodes: tuple[Site, Site]) -> None:
    units = [(await nodes[0].unit(), made) for made in KINDS]
    for number in range(10):
        there = number // 5
        send(nodes[there], f"127.0.0.{1 + there}", *(made(unit, 40 + number) for unit, made in units))
        await asyncio.sleep(in_s(nodes[0], 1))
    assert await found(nodes[0], IncidentKind.CLONE) == []
