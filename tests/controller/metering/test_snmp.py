"""Counters from a real SNMP agent, down to the slots."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from controller.keyring import Keyring
from controller.metering.poller import CounterPoller
from controller.store import counteragents, links, slotdays, traffic
from controller.store.links import NewLink
from controller.store.tables.metering import links as rows
from drivers.sessions.snmp import SnmpReader, SnmpTarget, SnmpUser
from inventory.counters import Flag
from inventory.countersources import CounterAgent, SourceState
from inventory.errors import AuthenticationFailed, BadInput, StaleVersion, Unreachable
from inventory.links import LinkRole
from inventory.periods import TOKYO
from inventory.secrets import Secret
from inventory.slotday import flags_of
from tests import snmpd
from tests.controller.metering.conftest import EVERYTHING, Place, seated

pytestmark = pytest.mark.snmpd

COMMUNITY = "kite-and-lantern"
PASSWORD = "paper-and-bamboo"
PRIVACY = "string-and-wind-1"


@pytest.fixture(scope="module")
def agent() -> Iterator[snmpd.Agent]:
    if snmpd.program() is None:
        missing = "snmpd is not installed (Debian: apt-get install snmpd)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    users = (f"createUser reader SHA {PASSWORD} AES {PRIVACY}", f"createUser plain MD5 {PASSWORD}")
    with snmpd.agent(COMMUNITY, *users) as running:
        yield running


def target(agent: snmpd.Agent) -> SnmpTarget:
    return SnmpTarget("127.0.0.1", agent.port, Secret(COMMUNITY), timeout_s=2.0)


def as_user(agent: snmpd.Agent, password: str = PASSWORD, privacy: str = PRIVACY) -> SnmpTarget:
    user = SnmpUser("reader", "sha1", Secret(password), "aes128", Secret(privacy))
    return SnmpTarget("127.0.0.1", agent.port, user=user, timeout_s=0.5, attempts=2)


def known(agent: snmpd.Agent, community: str = COMMUNITY, port: int | None = None) -> CounterAgent:
    return CounterAgent("snmp-v2c", "127.0.0.1", port or agent.port, community=Secret(community))


async def give(place: Place, keyring: Keyring, agent: CounterAgent, adapter_id: int | None = None) -> None:
    async with place.database.write() as tx:
        number = adapter_id or place.adapter_id
        await counteragents.put(tx, EVERYTHING, place.by(), keyring, number, agent, if_version=None)


async def link(place: Place, interface: str, speed_bps: int | None, entry_id: int | None = None) -> None:
    async with place.database.write() as tx:
        new = NewLink(entry_id or place.entry_id, interface, LinkRole.LAN, speed_bps, None, "static", TOKYO)
        await links.add(tx, EVERYTHING, place.by(), new)


async def no_wan(place: Place) -> None:
    """The place's first link is renamed to one that an agent on this machine has."""
    async with place.database.write() as tx:
        await tx.execute(
            update(rows).where(rows.c.id == place.link.id).values(interface="lo", port_speed_bps=10_000_000_000)
        )


def poller(place: Place, keyring: Keyring) -> CounterPoller:
    return CounterPoller(place.database, keyring, place.metering, place.clock, timeout_s=0.3)


async def source(place: Place, adapter_id: int | None = None) -> counteragents.Source:
    async with place.database.read() as tx:
        number = adapter_id or place.adapter_id
        return (await counteragents.sources(tx, [number]))[number]


async def another(place: Place, serial: str = "FGT2") -> tuple[int, int]:
    """A second adapter in an entry of its own: both numbers."""
    now = place.clock.now_ms()
    async with place.database.write() as tx:
        entry_id, adapter_id = await seated(tx, place.contractor_id, 1, serial, serial, now)
    return adapter_id, entry_id


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
    assert found.out_packets
    assert found.out_drops == 0


async def test_interfaces_are_discovered_with_index_speed_and_state(agent: snmpd.Agent) -> None:
    (lo,) = [one for one in await SnmpReader(target(agent), lambda: 1).discover() if one.name == "lo"]
    assert (lo.ifindex, lo.speed_bps, lo.up) == (1, 10_000_000, True)


async def test_a_user_of_version_3_reads_the_same_with_authentication_and_privacy(agent: snmpd.Agent) -> None:
    (found,) = await SnmpReader(as_user(agent), lambda: 1_000).read(["lo"])
    assert (found.name, found.counter_bits) == ("lo", 64)
    only_auth = replace(as_user(agent), user=SnmpUser("plain", "md5", Secret(PASSWORD)))
    assert [one.name for one in await SnmpReader(only_auth, lambda: 1).read(["lo"])] == ["lo"]


@pytest.mark.parametrize(
    ("password", "privacy", "said"),
    [
        ("another-password", PRIVACY, "refused the user or its keys"),
        (PASSWORD, "another-privacy", "without privacy and is silent with it: the privacy password or protocol"),
    ],
    ids=["auth", "privacy"],
)
async def test_a_wrong_password_of_version_3_is_told_and_the_password_is_not_in_the_error(
    agent: snmpd.Agent, password: str, privacy: str, said: str
) -> None:
    with pytest.raises(AuthenticationFailed) as failed:
        await SnmpReader(as_user(agent, password, privacy), lambda: 1).read(["lo"])
    assert said in failed.value.message
    assert "another" not in f"{failed.value!r} {failed.value.message} {failed.value.facts}"


async def test_a_privacy_that_fits_no_more_is_named_also_where_the_agent_wants_privacy_and_never_after_mere_loss(
    agent: snmpd.Agent,
) -> None:
    """An agent that read well with these passwords is not left alone for an hour because it fell silent."""
    settings = agent.home / "snmpd.conf"
    before = settings.read_text()
    other_protocol = replace(as_user(agent), user=replace(as_user(agent).user or SnmpUser(""), privacy="des"))
    reader = SnmpReader(as_user(agent), lambda: 1)
    await reader.read(["lo"])
    try:
        settings.write_text(before.replace("rouser reader auth", "rouser reader priv"))
        agent.restart()
        with pytest.raises(AuthenticationFailed, match="without privacy"):
            await SnmpReader(other_protocol, lambda: 1).read(["lo"])
        reader._target = other_protocol
        with pytest.raises(Unreachable, match="without privacy and is silent with it, which it was not before"):
            await reader.read(["lo"])
    finally:
        settings.write_text(before)
        agent.restart()
    gone = replace(as_user(agent), port=_closed_port(), timeout_s=0.1)
    with pytest.raises(Unreachable, match="no counters after"):
        await SnmpReader(gone, lambda: 1).read(["lo"])


async def test_a_user_without_the_authentication_that_the_agent_wants_is_refused_and_not_without_interfaces(
    agent: snmpd.Agent,
) -> None:
    bare = replace(as_user(agent), user=SnmpUser("reader"))
    with pytest.raises(AuthenticationFailed):
        await SnmpReader(bare, lambda: 1).read(["lo"])
    with pytest.raises(AuthenticationFailed):
        await SnmpReader(bare, lambda: 1).discover()


async def test_an_interface_that_does_not_exist_is_left_out(agent: snmpd.Agent) -> None:
    reader = SnmpReader(target(agent), lambda: 1_000)
    assert [c.name for c in await reader.read(["ge99", "lo"])] == ["lo"]


async def test_a_wrong_community_is_unreachable_and_the_community_is_not_in_the_error(agent: snmpd.Agent) -> None:
    wrong = replace(target(agent), community=Secret("wrong-kite"), timeout_s=0.2, attempts=2)
    with pytest.raises(Unreachable) as failed:
        await SnmpReader(wrong, lambda: 1).read(["lo"])
    assert "kite" not in f"{failed.value!r} {failed.value.message}"


async def test_polls_become_slots_and_a_restarted_agent_is_never_a_jump(
    agent: snmpd.Agent, place: Place, keyring: Keyring
) -> None:
    # The loopback says it is a 10 Mbit/s port; the inventory knows better, and its word counts.
    await no_wan(place)
    await give(place, keyring, known(agent))
    polling = poller(place, keyring)
    start = place.clock.now_ms()
    assert await polling.poll() == 1
    send(50)
    # Only the test's clock moves fast; the agent's uptime does not, and must not look like a restart.
    place.clock.advance(4)
    reader = SnmpReader(target(agent), place.clock.now_ms)
    before = (await reader.read(["lo"]))[0].in_octets
    assert await polling.poll() == 1
    place.clock.advance(20)
    agent.restart()
    assert await polling.poll() == 1
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, "lo")])
        (kept,) = (await slotdays.days_between(tx, ids[(place.entry_id, "lo")], start, start + 1)).values()
        readings = await traffic.readings_around(tx, ids[(place.entry_id, "lo")], start, place.clock.now_ms())
    assert before <= readings[1].in_octets
    assert [r.source for r in readings] == ["snmp"] * 3
    assert [r.up for r in readings] == [True] * 3
    index = (start - kept.day.start_ms) // 300_000
    assert kept.day.into.known[index] == readings[1].in_octets - readings[0].in_octets
    packets = [reading.out_packets or 0 for reading in readings]
    assert kept.day.out.packets[index] == packets[1] - packets[0]
    assert Flag.AMBIGUOUS in flags_of(kept.day.into.marks[index])
    assert kept.day.origins == {"snmp"}
    assert (await source(place)).state is SourceState.OK


async def test_a_device_without_answer_and_one_with_a_wrong_community_are_silent_and_stop_nobody(
    agent: snmpd.Agent, place: Place, keyring: Keyring
) -> None:
    await no_wan(place)
    await give(place, keyring, known(agent))
    deaf, deaf_entry = await another(place)
    await link(place, "lo", None, deaf_entry)
    await give(place, keyring, known(agent, "wrong-kite"), deaf)
    dead, dead_entry = await another(place, "FGT3")
    await link(place, "lo", None, dead_entry)
    await give(place, keyring, known(agent, port=_closed_port()), dead)
    polling = poller(place, keyring)
    assert await polling.poll() == 1
    states = [(await source(place, one)).state for one in (place.adapter_id, deaf, dead)]
    assert states == [SourceState.OK, SourceState.SILENT, SourceState.SILENT]
    assert "kite" not in (await source(place, deaf)).reason
    # From now on they are asked apart: the round does not wait for them.
    place.clock.advance(60)
    assert await polling.poll() == 1
    await polling.settled()
    await give(place, keyring, known(agent), deaf)
    place.clock.advance(60)
    await polling.poll()
    await polling.settled()
    assert (await source(place, deaf)).state is SourceState.OK


async def test_an_interface_that_a_link_names_and_no_device_has_is_told_and_the_others_are_read(
    agent: snmpd.Agent, place: Place, keyring: Keyring
) -> None:
    await give(place, keyring, known(agent))
    await link(place, "lo", None)
    assert await poller(place, keyring).poll() == 1
    told = await source(place)
    assert (told.state, told.reason, told.interfaces) == (SourceState.INCOMPLETE, "no wan1", 1)
    async with place.database.read() as tx:
        named = {one.found.name for one in await counteragents.interfaces(tx, EVERYTHING, place.adapter_id)}
        (lo,) = [one for one in await links.page(tx, EVERYTHING) if one.interface == "lo"]
    assert "lo" in named
    assert lo.port_speed_bps == 10_000_000  # none was entered: the device's own word, in the audit


async def test_a_credential_is_sealed_versioned_and_refused_where_it_does_not_fit(
    agent: snmpd.Agent, place: Place, keyring: Keyring
) -> None:
    await give(place, keyring, known(agent))
    async with place.database.read() as tx:
        found = await counteragents.get(tx, EVERYTHING, keyring, place.adapter_id)
        rows = (await tx.exec_driver_sql("SELECT * FROM counter_agents")).all()
    assert found.community == Secret(COMMUNITY)
    assert COMMUNITY.encode() not in repr(rows).encode()
    for wrong, field in (
        (CounterAgent("snmp-v2c", "192.0.2.1", 161), "community"),
        (CounterAgent("snmp-v3", "192.0.2.1", 161), "username"),
        (CounterAgent("snmp-v3", "192.0.2.1", 161, "u", "sha1", auth_password=Secret("short")), "auth_password"),
        (CounterAgent("snmp-v3", "192.0.2.1", 161, "u", "sha1"), "auth_password"),
        (CounterAgent("snmp-v3", "192.0.2.1", 161, "u", None, "des", privacy_password=Secret("x" * 8)), "auth"),
        (CounterAgent("fortios-rest", "192.0.2.1", 443, token=Secret("t")), "fingerprint"),
        (CounterAgent("snmp-v2c", "192.0.2.1", 161, community=Secret("c"), token=Secret("t")), "token"),
    ):
        with pytest.raises(BadInput) as refused:
            await give(place, keyring, wrong)
        assert refused.value.field == field
    with pytest.raises(StaleVersion):
        async with place.database.write() as tx:
            await counteragents.put(tx, EVERYTHING, place.by(), keyring, place.adapter_id, known(agent), if_version=9)


async def test_of_two_nodes_one_has_the_turn_until_it_falls_silent(place: Place) -> None:
    now = place.clock.now_ms()
    async with place.database.write() as tx:
        assert await counteragents.take_turn(tx, "counters", "a", now, now + 1_000)
        assert not await counteragents.take_turn(tx, "counters", "b", now + 500, now + 1_500)
        assert await counteragents.take_turn(tx, "counters", "a", now + 900, now + 2_000)
        assert not await counteragents.take_turn(tx, "counters", "b", now + 2_000, now + 3_000)
        assert await counteragents.take_turn(tx, "counters", "b", now + 2_001, now + 3_000)


def _closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
