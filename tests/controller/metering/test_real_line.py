"""The real thing: a line that the kernel limits, traffic of iperf3, counters of snmpd, and what we make of them.

A minute by default. With KAJITORI_REAL_S the line is full for so many seconds (`make test-deep`).
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import date

import pytest
from sqlalchemy import delete

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.metering.poller import CounterPoller
from controller.metering.series import link_series
from controller.metering.service import MeteringService
from controller.store import alarms, counteragents, levels, links, traffic
from controller.store.links import NewLink
from controller.store.tables.metering import link_capacities
from controller.store.tables.metering import links as link_rows
from inventory.countersources import CounterAgent
from inventory.links import Capacity, CapacityKind, Direction, Link, LinkRole
from inventory.periods import TOKYO
from inventory.saturation import AlarmRules
from inventory.secrets import Secret
from inventory.timeslots import SLOT_MS
from tests import namespaces, snmpd
from tests.controller.metering.conftest import EVERYTHING, Place

POLL_S = 6
"""A multiple of the three seconds that this agent keeps its counters for before it looks again."""
CACHE_S = 4.0
RATE_BPS = 10_000_000
FULL_S = float(os.environ.get("KAJITORI_REAL_S", "36"))
RULES = AlarmRules(step_ms=POLL_S * 1000, raise_steps=3, clear_steps=2)
COMMUNITY = "kite-and-lantern"


@pytest.fixture(autouse=True)
def parts() -> None:
    reason = namespaces.missing() or ("snmpd is not installed" if snmpd.program() is None else None)
    if reason:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)


async def metered(place: Place, clock: SystemClock) -> Link:
    """The router's port as a link of 10 Mbit/s, in place of the fixture's."""
    async with place.database.write() as tx:
        await tx.execute(delete(link_capacities))
        await tx.execute(delete(link_rows))
        link = await links.add(
            tx,
            EVERYTHING,
            place.by(),
            NewLink(place.entry_id, "wan", LinkRole.WAN, None, None, "static", TOKYO),
        )
        rate = Capacity(CapacityKind.LINE, RATE_BPS, RATE_BPS, date(2025, 1, 1), None, "test", "tbf")
        await links.set_capacity(tx, EVERYTHING, place.by(), link.id, rate)
    return link


async def poll_for(seconds: float, poller: CounterPoller, metering: MeteringService) -> list[bool]:
    """Poll and look for alarms every six seconds; the alarms raised (True) and cleared (False)."""
    changes = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        begun = time.monotonic()
        await poller.poll()
        changes += [change.raised for change in await metering.check_alarms()]
        await asyncio.sleep(max(0.0, POLL_S - (time.monotonic() - begun)))
    return changes


@pytest.mark.slow
@pytest.mark.snmpd
@pytest.mark.timeout(int(FULL_S) + 120)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_line_is_measured_within_two_percent_and_its_alarm_rises_and_clears(
    place: Place, keyring: Keyring
) -> None:
    clock = SystemClock()
    metering = MeteringService(place.database, place.traffic, clock, alarm=RULES)
    poller = CounterPoller(place.database, keyring, metering, clock, interval_s=POLL_S)
    link = await metered(place, clock)
    with namespaces.line("10mbit") as line, snmpd.agent(COMMUNITY, address=line.management, enter=line.enter) as agent:
        async with place.database.write() as tx:
            told = CounterAgent("snmp-v2c", line.management, agent.port, community=Secret(COMMUNITY))
            await counteragents.put(tx, EVERYTHING, place.by(), keyring, place.adapter_id, told, if_version=None)
        await poller.poll()
        first_ms, first_octets = await last_reading(place)
        received = line.received()
        with line.sending("-u", "-b", "20M"):  # more than passes: the line is full, however slow the sender is
            assert await poll_for(FULL_S, poller, metering) == [True]
        await asyncio.sleep(CACHE_S)
        await poller.poll()
        last_ms, last_octets = await last_reading(place)
        truth = line.received() - received
        measured = last_octets - first_octets
        assert abs(measured - truth) <= 0.02 * truth, f"{measured} octets measured, {truth} came out of the line"
        rate_bps = measured * 8_000 / (last_ms - first_ms)
        assert 0.7 * RATE_BPS < rate_bps < 1.02 * RATE_BPS
        async with place.database.read() as tx:
            (alarm,) = await alarms.of_links(tx, [link.id])
        assert (alarm.direction, alarm.cleared_ms) == (Direction.UP, None)
        # The slots hold every octet that was read, on the grid of five minutes, whatever the poll.
        begin = first_ms // SLOT_MS * SLOT_MS
        end = -(-last_ms // SLOT_MS) * SLOT_MS
        async with place.traffic.read() as tx:
            series = await link_series(tx, link, begin, end)
        assert sum(series.out.known) == measured
        with line.sending("-u", "-b", "2M"):
            assert await poll_for(4 * POLL_S, poller, metering) == [False]
    async with place.database.read() as tx:
        (alarm,) = await alarms.of_links(tx, [link.id])
        assert await levels.of_link(tx, link.id) == []  # a level takes days, and no minute makes one
    assert alarm.cleared_ms is not None


async def last_reading(place: Place) -> tuple[int, int]:
    """Instant and octets that had left, of the newest reading."""
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, "wan")])
        found = await traffic.readings_around(tx, ids[(place.entry_id, "wan")], 2**50, 2**50)
    return found[-1].t_ms, found[-1].out_octets
