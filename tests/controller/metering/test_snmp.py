"""Counters from a real SNMP agent, down to the slots."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.metering.poller import PolledPlace, SnmpPoller
from controller.store import links, traffic
from controller.store.links import NewLink
from drivers.sessions.snmp import SnmpReader, SnmpTarget
from inventory.counters import Flag
from inventory.errors import Unreachable
from inventory.links import LinkRole
from inventory.periods import TOKYO
from inventory.secrets import Secret
from inventory.slotday import flags_of
from tests import snmpd
from tests.controller.metering.conftest import EVERYTHING, Place

pytestmark = pytest.mark.snmpd

COMMUNITY = "kite-and-lantern"


@pytest.fixture
def agent() -> Iterator[snmpd.Agent]:
    if snmpd.program() is None:
        missing = "snmpd is not installed (Debian: apt-get install snmpd)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with snmpd.agent(COMMUNITY) as running:
        yield running


def target(agent: snmpd.Agent) -> SnmpTarget:
    return SnmpTarget("127.0.0.1", agent.port, Secret(COMMUNITY), timeout_s=2.0)


def send(datagrams: int) -> None:
    """Traffic on loopback that the agent will count."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to,
    ):
        to.bind(("127.0.0.1", 0))
        for _ in range(datagrams):
            out.sendto(bytes(1_000), to.getsockname())


async def test_one_answer_holds_uptime_name_and_both_counters(agent: snmpd.Agent) -> None:
    reader = SnmpReader(target(agent), lambda: 1_000)
    assert "lo" in await reader.names()
    (found,) = await reader.read(["lo"])
    assert (found.name, found.t_ms, found.counter_bits) == ("lo", 1_000, 64)
    assert found.in_octets == found.out_octets
    assert found.uptime_cs is not None
    assert found.speed_bps == 10_000_000


async def test_an_interface_that_does_not_exist_is_left_out(agent: snmpd.Agent) -> None:
    reader = SnmpReader(target(agent), lambda: 1_000)
    assert [c.name for c in await reader.read(["ge99", "lo"])] == ["lo"]


async def test_a_wrong_community_is_unreachable_and_the_community_is_not_in_the_error(agent: snmpd.Agent) -> None:
    wrong = replace(target(agent), community=Secret("wrong-kite"), timeout_s=0.2, attempts=2)
    with pytest.raises(Unreachable) as failed:
        await SnmpReader(wrong, lambda: 1).read(["lo"])
    assert "kite" not in f"{failed.value!r} {failed.value.message}"


async def test_polls_become_slots_and_a_restarted_agent_is_never_a_jump(agent: snmpd.Agent, place: Place) -> None:
    async with place.database.write() as tx:
        # The loopback says it is a 10 Mbit/s port; the inventory knows better, and its word counts.
        lo = NewLink(place.entry_id, "lo", LinkRole.LAN, 10_000_000_000, None, "static", TOKYO)
        await links.add(tx, EVERYTHING, place.by(), lo)
    polled = PolledPlace(place.adapter_id, place.entry_id, target(agent), ("lo",))
    poller = SnmpPoller(place.metering, place.clock, [polled])
    start = place.clock.now_ms()
    assert await poller.poll() == 1
    send(50)
    # Only the test's clock moves fast; the agent's uptime does not, and must not look like a restart.
    place.clock.advance(4)
    reader = SnmpReader(target(agent), place.clock.now_ms)
    before = (await reader.read(["lo"]))[0].in_octets
    assert await poller.poll() == 1
    place.clock.advance(20)
    agent.restart()
    assert await poller.poll() == 1
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, "lo")])
        (kept,) = (await traffic.slot_days_between(tx, ids[(place.entry_id, "lo")], start, start + 1)).values()
        readings = await traffic.readings_around(tx, ids[(place.entry_id, "lo")], start, place.clock.now_ms())
    assert before <= readings[1].in_octets
    assert [r.source for r in readings] == ["snmp"] * 3
    index = (start - kept.day.start_ms) // 300_000
    assert kept.day.into.known[index] == readings[1].in_octets - readings[0].in_octets
    assert Flag.AMBIGUOUS in flags_of(kept.day.into.marks[index])
    assert kept.day.origins == {"snmp"}


async def test_a_dead_agent_stops_nobody_s_poll(agent: snmpd.Agent, place: Place) -> None:
    dead = PolledPlace(
        99, place.entry_id, replace(target(agent), port=_closed_port(), timeout_s=0.2, attempts=2), ("eth9",)
    )
    alive = PolledPlace(place.adapter_id, place.entry_id, target(agent), ("lo",))
    assert await SnmpPoller(place.metering, place.clock, [dead, alive]).poll() == 1


def _closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
