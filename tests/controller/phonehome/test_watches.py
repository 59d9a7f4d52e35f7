"""One identity in two places, and silences of one cause: what an operator gets as incidents, over real UDP."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest

from controller.settings import ArmsSettings
from controller.store import incidents
from drivers.arms import framing, heartbeat
from drivers.arms.heartbeat import Tlv
from drivers.arms.ids import DistributionId
from inventory.incidents import Incident, IncidentKind
from tests.controller.phonehome.site import ALL, Device, Site, Unit, eventually


@pytest.fixture
def arms_settings() -> ArmsSettings:
    """The shortest legal interval: 10 s."""
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, heartbeat_interval_s=10)


@pytest.fixture
def pace() -> float:
    """Ten seconds are a fifth of one."""
    return 50.0


def beat(unit: Unit, octets: int) -> bytes:
    value = heartbeat.LAYOUTS[0x38].struct.pack(0, octets, 7, 1, 1, 0, 0)
    who = DistributionId.parse(unit.distribution_id)
    return heartbeat.encode(who, [Tlv(0x38, value)], unit.passphrase.reveal().encode())


def send(site: Site, source: str, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", site.home.ports[2]))


async def found(site: Site, kind: IncidentKind) -> list[Incident]:
    async with site.database.read() as tx:
        return await incidents.page(tx, ALL, kind=kind)


def in_s(site: Site, intervals: float) -> float:
    return intervals * 10 / site.clock.pace


async def test_one_identity_alive_in_two_places_is_an_incident_until_one_stays_away(site: Site) -> None:
    unit = await site.unit()
    octets = itertools.count(1_000_000, 1000)
    standing: list[Incident] = []
    for number in range(14):
        send(site, "127.0.0.1", beat(unit, next(octets)))
        await asyncio.sleep(in_s(site, 0.4))
        send(site, "127.0.0.2", beat(unit, 500 + number))
        await asyncio.sleep(in_s(site, 0.6))
        if standing := await found(site, IncidentKind.CLONE):
            break
    (clone,) = standing
    assert (clone.state, clone.adapter_id) == ("open", unit.adapter_id)
    assert clone.facts["rule"] == "MPC-11"
    sources = clone.facts["sources"]
    assert isinstance(sources, list)
    assert {one["source"] for one in sources} == {"127.0.0.1", "127.0.0.2"}
    assert all(0 < one["first_ms"] <= one["last_ms"] <= site.clock.now_ms() for one in sources)

    async def over() -> bool:
        send(site, "127.0.0.1", beat(unit, next(octets)))
        await asyncio.sleep(in_s(site, 0.9))
        return [one.state for one in await found(site, IncidentKind.CLONE)] == ["closed"]

    await eventually(over)
    (kept,) = await found(site, IncidentKind.CLONE)
    history = kept.facts["sources"]
    assert isinstance(history, list)
    assert {one["source"] for one in history} == {"127.0.0.1", "127.0.0.2"}
    kinds = [kind for kind, _ in await site.events(unit)]
    assert kinds.count("phonehome.source-changed") <= 6


async def test_a_changed_address_is_told_and_is_no_violation(site: Site) -> None:
    unit = await site.unit()
    for number in range(8):
        send(site, "127.0.0.1" if number < 4 else "127.0.0.2", beat(unit, 1000 + number))
        await asyncio.sleep(in_s(site, 1))
    assert await found(site, IncidentKind.CLONE) == []
    changes = [facts for kind, facts in await site.events(unit) if kind == "phonehome.source-changed"]
    assert changes == [{"before": "127.0.0.1", "now": "127.0.0.2"}]


async def test_a_second_unit_s_tunnel_is_a_violation_when_the_one_it_wanted_to_replace_lives_on(site: Site) -> None:
    unit = await site.unit()
    first, second, third = (Device(site, unit) for _ in range(3))
    await first.ready()
    assert await second.open() == 200  # once is a reconnection of which the end got lost
    assert await third.open() == 403

    async def told() -> list[Incident]:
        second.raw(framing.encode(framing.Echo("echo-request")))
        return await found(site, IncidentKind.CLONE)

    (clone,) = await eventually(told)
    assert clone.facts["evidence"] == ["a tunnel went on being used after another one was asked for"]
    await second.cut()


async def test_adapters_of_one_site_that_fall_silent_together_are_one_incident_that_ends_when_all_are_back(
    site: Site,
) -> None:
    units = [await site.unit() for _ in range(5)]
    for number in range(3):
        send(site, "127.0.0.1", *(beat(unit, 1000 + number) for unit in units))
        await asyncio.sleep(in_s(site, 1))

    async def told() -> list[Incident]:
        return await found(site, IncidentKind.SILENCE)

    (silence,) = await eventually(told)
    assert silence.facts["count"] == 5
    assert silence.facts["adapters"] == sorted(unit.serial for unit in units)
    assert silence.adapter_id is None

    async def closed() -> bool:
        send(site, "127.0.0.1", *(beat(unit, 2000) for unit in units))
        return [one.state for one in await told()] == ["closed"]

    await eventually(closed)


async def test_an_adapter_alone_is_an_incident_of_its_own_and_a_restart_of_ours_forgets_neither(site: Site) -> None:
    lost, others = await site.unit(), [await site.unit() for _ in range(3)]
    octets = itertools.count(1000)
    send(site, "127.0.0.1", beat(lost, 1))

    async def told() -> list[Incident]:
        send(site, "127.0.0.1", *(beat(unit, next(octets)) for unit in others))
        await asyncio.sleep(in_s(site, 0.9))
        return await found(site, IncidentKind.SILENCE)

    (silence,) = await eventually(told)
    assert (silence.adapter_id, silence.title) == (lost.adapter_id, f"{lost.serial} is silent")

    await site.restart()

    async def closed() -> bool:
        send(site, "127.0.0.1", beat(lost, next(octets)))
        return [one.state for one in await told()] == ["closed"]

    await eventually(closed)
    assert "phonehome.heard-again" in [kind for kind, _ in await site.events(lost)]
