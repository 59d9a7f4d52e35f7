"""Counters over real sockets from agents that move their indexes, lie, dawdle, or speak REST; others go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.keyring import Keyring
from controller.metering import poller
from controller.metering.poller import CounterPoller
from controller.metering.series import link_series
from controller.store import counteragents, falls, slotdays, traffic
from controller.store.counteragents import Source
from controller.store.links import NewLink, add
from drivers.sessions.counting import FoundInterface, InterfaceCounters
from drivers.sessions.forti_counters import FortiTarget
from inventory.counters import Flag
from inventory.countersources import CounterAgent, SourceState
from inventory.links import LinkRole
from inventory.periods import TOKYO
from inventory.secrets import Secret
from inventory.slotday import flags_of
from inventory.timeslots import SLOT_MS
from tests.controller.metering import snmp_program
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import ON_SQLITE
from tests.controller.metering.snmp_program import Agent, Port
from tests.controller.metering.test_snmp import another
from tests.drivers.sessions.test_forti_counters import TOKEN, device

pytestmark = ON_SQLITE

COMMUNITY = "kite-and-lantern"
MB = 1_000_000


@pytest.fixture
async def agent(place: Place) -> AsyncIterator[Agent]:
    """An agent of the place's adapter that was started an hour ago."""
    begun_ms = place.clock.now_ms() - 3_600_000
    told = Agent(COMMUNITY, lambda: (place.clock.now_ms() - begun_ms) // 10, {1: Port("wan1", 10 * MB)})
    async with snmp_program.running(told) as agent:
        yield agent


async def polled(
    place: Place, keyring: Keyring, *agents: tuple[int, CounterAgent], timeout_s: float = 3.0
) -> CounterPoller:
    """A poller of these adapters, after its first round."""
    async with place.database.write() as tx:
        for number, one in agents:
            await counteragents.put(tx, EVERYTHING, place.by(), keyring, number, one, if_version=None)
    made = CounterPoller(place.database, keyring, place.metering, place.clock, timeout_s=timeout_s)
    await made.poll()
    return made


def by_snmp(agent: Agent) -> CounterAgent:
    return CounterAgent("snmp-v2c", "127.0.0.1", agent.port, community=Secret(COMMUNITY))


async def next_round(place: Place, polling: CounterPoller) -> int:
    place.clock.advance(60)
    return await polling.poll()


async def states(place: Place, *adapters: int) -> list[Source]:
    async with place.database.read() as tx:
        found = await counteragents.sources(tx, adapters)
    return [found[number] for number in adapters]


async def counted(place: Place, entry_id: int, start_ms: int) -> tuple[int, set[Flag]]:
    """Certain octets received in the slot of an instant, and its flags."""
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(entry_id, "wan1")])
        (number,) = ids.values()
        (kept,) = (await slotdays.days_between(tx, number, start_ms, start_ms + 1)).values()
    index = (start_ms - kept.day.start_ms) // SLOT_MS
    return kept.day.into.known[index], set(flags_of(kept.day.into.marks[index]))


async def neighbour(place: Place) -> tuple[int, int]:
    """Another adapter with a link of the same name in an entry of its own."""
    adapter_id, entry_id = await another(place)
    async with place.database.write() as tx:
        new = NewLink(entry_id, "wan1", LinkRole.WAN, 1_000 * MB, None, "dhcp", TOKYO)
        await add(tx, EVERYTHING, place.by(), new)
    return adapter_id, entry_id


async def test_a_port_is_followed_by_its_name_when_the_indexes_move_without_a_restart(
    place: Place, keyring: Keyring, agent: Agent
) -> None:
    start_ms = place.clock.now_ms()
    polling = await polled(place, keyring, (place.adapter_id, by_snmp(agent)))
    agent.ports = {1: Port("lan", 900 * MB), 7: Port("wan1", 13 * MB)}
    assert await next_round(place, polling) == 1
    agent.ports = {1: Port("wan1", 14 * MB), 7: Port("lan", 901 * MB)}
    assert await next_round(place, polling) == 1
    assert await counted(place, place.entry_id, start_ms) == (4 * MB, {Flag.MEASURED})
    (told,) = await states(place, place.adapter_id)
    assert told.state is SourceState.OK


@pytest.mark.parametrize("step_ms", [3_600_000, -45_000])
async def test_a_step_of_the_controller_s_clock_breaks_no_pair_and_makes_no_agent_a_liar(
    place: Place, keyring: Keyring, agent: Agent, step_ms: int
) -> None:
    begun_ms = place.clock.monotonic_ms() - 3_600_000
    agent.uptime_cs = lambda: (place.clock.monotonic_ms() - begun_ms) // 10
    start_ms = place.clock.now_ms() // SLOT_MS * SLOT_MS
    polling = await polled(place, keyring, (place.adapter_id, by_snmp(agent)))
    agent.ports[1].into = 5_010 * MB  # more than the port can carry in 15 s, not in 60
    place.clock.step_ms(step_ms)
    assert await next_round(place, polling) == 1
    agent.ports[1].into = 5_016 * MB
    assert await next_round(place, polling) == 1
    (told,) = await states(place, place.adapter_id)
    assert told.state is SourceState.OK
    async with place.traffic.read() as tx:
        found = (await link_series(tx, place.link, start_ms - 12 * SLOT_MS, start_ms + 24 * SLOT_MS)).into
    assert sum(found.known) == 5_006 * MB
    assert sum(found.covered_ms) == 120_000
    assert Flag.CLOCK in set().union(*found.flags)


@pytest.mark.parametrize(
    ("into", "said"),
    [
        (5 * MB, "wan1 in fell from 10000000 to 5000000 without a restart"),
        (10**14, "more than its port can carry"),
        ("many", "where 1.3.6.1.2.1.31.1.1.1.6.1 is a count"),
    ],
    ids=["falls", "leaps", "is no number"],
)
async def test_an_agent_that_lies_is_told_by_name_and_its_neighbour_is_read_on(
    place: Place, keyring: Keyring, agent: Agent, into: int | str, said: str
) -> None:
    start_ms = place.clock.now_ms()
    honest_id, honest_entry = await neighbour(place)
    async with snmp_program.running(Agent(COMMUNITY, agent.uptime_cs, {1: Port("wan1", 70 * MB)})) as honest:
        polling = await polled(place, keyring, (place.adapter_id, by_snmp(agent)), (honest_id, by_snmp(honest)))
        agent.ports[1].into, honest.ports[1].into = into, 71 * MB
        await next_round(place, polling)
        liar, other = await states(place, place.adapter_id, honest_id)
    assert (liar.state, other.state) == (SourceState.LYING, SourceState.OK)
    assert said in liar.reason
    assert await counted(place, honest_entry, start_ms) == (MB, {Flag.MEASURED})
    if isinstance(into, int):
        octets, flags = await counted(place, place.entry_id, start_ms)
        assert octets == 0  # nothing of a lie is certain
        assert flags & {Flag.RESET, Flag.AMBIGUOUS}


async def test_an_agent_that_dawdles_is_silent_for_itself_and_the_next_round_does_not_wait_for_it(
    place: Place, keyring: Keyring, agent: Agent
) -> None:
    start_ms = place.clock.now_ms()
    honest_id, honest_entry = await neighbour(place)
    async with snmp_program.running(Agent(COMMUNITY, agent.uptime_cs, {1: Port("wan1", 70 * MB)})) as honest:
        agent.delay_s = 1.2  # each answer comes after the question was given up
        both = ((place.adapter_id, by_snmp(agent)), (honest_id, by_snmp(honest)))
        polling = await polled(place, keyring, *both, timeout_s=0.8)
        slow, other = await states(place, place.adapter_id, honest_id)
        assert (slow.state, other.state) == (SourceState.SILENT, SourceState.OK)
        honest.ports[1].into = 72 * MB
        assert await next_round(place, polling) == 1  # its neighbour's; it is asked in a lane of its own
        agent.delay_s = 0.0
        await polling.settled()
        await next_round(place, polling)
        await polling.settled()
        (again,) = await states(place, place.adapter_id)
    assert again.state is SourceState.OK
    assert await counted(place, honest_entry, start_ms) == (2 * MB, {Flag.MEASURED})


def by_rest(target: FortiTarget) -> CounterAgent:
    return CounterAgent("fortios-rest", target.host, target.port, token=Secret(TOKEN), fingerprint=target.fingerprint)


async def test_a_fortigate_without_snmp_is_metered_over_rest_and_never_with_another_certificate(
    place: Place, keyring: Keyring, tmp_path: Path
) -> None:
    start_ms = place.clock.now_ms()
    row: dict[str, Any] = {"rx_bytes": 10 * MB, "tx_bytes": 0, "link": True, "speed": 1000.0}
    async with device(tmp_path, 200, {"results": {"wan1": row}}) as (target, heard):
        polling = await polled(place, keyring, (place.adapter_id, by_rest(target)))
        row["rx_bytes"] = 15 * MB
        assert await next_round(place, polling) == 1
        octets, flags = await counted(place, place.entry_id, start_ms)
        assert (octets, Flag.MEASURED in flags) == (5 * MB, True)  # the uptime that is told beside them stands still
        (told,) = await states(place, place.adapter_id)
        assert told.state is SourceState.OK
        sent = len(heard)
        other = CounterAgent("fortios-rest", target.host, target.port, token=Secret(TOKEN), fingerprint="00" * 32)
        polling = await polled(place, keyring, (place.adapter_id, other))
        (told,) = await states(place, place.adapter_id)
    assert told.state is SourceState.REFUSED
    assert "certificate" in told.reason
    assert len(heard) == sent  # no token went there
    assert TOKEN not in told.reason


async def test_half_duplex_and_a_state_that_was_come_to_anew_between_two_polls_are_kept(
    place: Place, keyring: Keyring, agent: Agent
) -> None:
    agent.ports = {1: Port("wan1", 10 * MB, duplex=2, last_change=500), 2: Port("lan", 0, duplex=3), 3: Port("x", 0)}
    polling = await polled(place, keyring, (place.adapter_id, by_snmp(agent)))
    async with place.database.read() as tx:
        told = {one.found.name: one.found.half_duplex for one in await counteragents.interfaces(tx, EVERYTHING, 1)}
        assert await counteragents.half_duplex(tx, place.adapter_id, ["wan1", "lan", "x"]) == ["wan1"]
    assert told == {"wan1": True, "lan": False, "x": None}
    await next_round(place, polling)
    agent.ports[1].last_change = 360_500
    await next_round(place, polling)
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, "wan1")])
        assert len(await falls.of_interfaces(tx, list(ids.values()), 0, 2**60)) == 1


class Shrinking(Agent):
    """Its second interface goes in the middle of the walk."""

    def table(self) -> dict[snmp_program.Oid, bytes]:
        if self.asked > 1:
            self.ports.pop(2, None)
        return super().table()


async def test_an_interface_that_goes_while_the_table_is_read_is_no_trouble_of_the_others(
    place: Place, keyring: Keyring, agent: Agent
) -> None:
    start_ms = place.clock.now_ms()
    ports = {1: Port("wan1", 10 * MB), 2: Port("wan2", 0)}
    async with snmp_program.running(Shrinking(COMMUNITY, agent.uptime_cs, ports)) as shrinking:
        polling = await polled(place, keyring, (place.adapter_id, by_snmp(shrinking)))
        shrinking.ports[1].into = 12 * MB
        assert await next_round(place, polling) == 1
    (told,) = await states(place, place.adapter_id)
    assert told.state is SourceState.OK
    assert await counted(place, place.entry_id, start_ms) == (2 * MB, {Flag.MEASURED})


LONG = b"\x46\x08" + b"\x7f" * 8
"""A Counter64 where a smaller type stands."""


@pytest.mark.parametrize(
    "odd",
    [
        {snmp_program.UPTIME: LONG},
        {(*snmp_program.IF_X, 15, 1): LONG},
        {(*snmp_program.IF_X, 19, 1): LONG},
        {(*snmp_program.IF, 9, 1): LONG},
    ],
    ids=["uptime", "speed", "discontinuity", "last change"],
)
async def test_a_number_that_no_agent_may_give_is_a_lie_and_its_neighbour_is_read_on(
    place: Place, keyring: Keyring, agent: Agent, odd: dict[snmp_program.Oid, bytes]
) -> None:
    start_ms = place.clock.now_ms()
    honest_id, honest_entry = await neighbour(place)
    async with snmp_program.running(Agent(COMMUNITY, agent.uptime_cs, {1: Port("wan1", 70 * MB)})) as honest:
        polling = await polled(place, keyring, (place.adapter_id, by_snmp(agent)), (honest_id, by_snmp(honest)))
        agent.odd, honest.ports[1].into = odd, 71 * MB
        await next_round(place, polling)
        liar, other = await states(place, place.adapter_id, honest_id)
    assert (liar.state, other.state) == (SourceState.LYING, SourceState.OK)
    assert await counted(place, honest_entry, start_ms) == (MB, {Flag.MEASURED})


async def test_names_that_are_padded_and_indexes_that_no_interface_has_trouble_nobody(
    place: Place, keyring: Keyring, agent: Agent
) -> None:
    agent.ports = {1: Port("wan1\0\0", 10 * MB), 2**31: Port("far", 0)}
    await polled(place, keyring, (place.adapter_id, by_snmp(agent)))
    (told,) = await states(place, place.adapter_id)
    async with place.database.read() as tx:
        named = [one.found.name for one in await counteragents.interfaces(tx, EVERYTHING, place.adapter_id)]
    assert (told.state, named) == (SourceState.OK, ["wan1"])


class Broken:
    """A reader with a fault of its own."""

    async def discover(self) -> list[FoundInterface]:
        raise LookupError("a fault in a driver")

    async def read(self, names: Sequence[str]) -> list[InterfaceCounters]:
        raise LookupError("a fault in a driver")


async def test_a_fault_in_the_reading_of_one_device_is_told_there_and_holds_up_no_other(
    place: Place, keyring: Keyring, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = poller.reader_of
    honest_id, _ = await neighbour(place)
    async with snmp_program.running(Agent(COMMUNITY, agent.uptime_cs, {1: Port("wan1", 70 * MB)})) as honest:
        monkeypatch.setattr(
            poller, "reader_of", lambda one, *rest: Broken() if one.port == agent.port else whole(one, *rest)
        )
        await polled(place, keyring, (place.adapter_id, by_snmp(agent)), (honest_id, by_snmp(honest)))
        broken, other = await states(place, place.adapter_id, honest_id)
    assert (broken.state, other.state) == (SourceState.LYING, SourceState.OK)
    assert broken.reason == "not understood: LookupError"
