"""Heartbeats over real UDP: who is believed, what is written, and when silence is silence."""

from __future__ import annotations

import asyncio
import itertools
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from controller.metering.service import MeteringService
from controller.phonehome.silence import Silence
from controller.settings import ArmsSettings
from controller.store import identities as rows
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.phonehome import arms_identities
from controller.store.traffic import TrafficDatabase
from drivers.arms import heartbeat
from drivers.arms.heartbeat import Tlv
from drivers.arms.ids import DistributionId
from inventory.adapters import Life, LifeEvent
from inventory.explain import Contact
from inventory.secrets import Secret
from tests.clock import ManualClock
from tests.controller.phonehome.site import BY, Device, Site, Unit, eventually, until

_OCTETS = itertools.count(1000)


@pytest.fixture
def arms_settings() -> ArmsSettings:
    """The shortest legal interval: 10 s."""
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, heartbeat_interval_s=10)


@pytest.fixture
def pace() -> float:
    """Ten seconds are a third of one."""
    return 30.0


def beat(unit: Unit, *, key: str | None = None, count: int | None = None) -> bytes:
    """A heartbeat with one interface; each has other counters."""
    value = heartbeat.LAYOUTS[0x38].struct.pack(0, count or next(_OCTETS), 7, 1, 1, 0, 0)
    who = DistributionId.parse(unit.distribution_id)
    return heartbeat.encode(who, [Tlv(0x38, value)], (key or unit.passphrase.reveal()).encode())


def send(site: Site, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", site.home.ports[2]))


async def test_a_heartbeat_is_handed_on_with_its_place_after_it_is_durable(site: Site) -> None:
    unit = await site.unit()
    send(site, beat(unit, count=125_000))
    await until(lambda: len(site.beats) == 1)

    got = site.beats[0]
    assert (got.adapter_id, got.entry_id) == (unit.adapter_id, unit.entry_id)
    reading = got.statistics[0]
    assert (reading.name, reading.index, reading.values[0]) == ("traffic-count", 0, 125_000)
    record = await site.contact(unit)
    assert record.last_heartbeat_ms == got.received_ms
    assert record.source == "127.0.0.1"


async def test_unknown_senders_wrong_keys_and_noise_are_dropped_and_counted(site: Site) -> None:
    unit, ended = await site.unit(), await site.unit()
    await site.live(ended, LifeEvent.LOSS_REPORTED)
    key = unit.ls_key
    stranger = Unit(0, "X", "0001-0000-0101-0000-0200-00FF-FE99-9999", key, key, key, None, None, 0)
    send(site, b"", b"x" * 60, beat(stranger), beat(ended), beat(unit, key="wrong"), beat(unit)[:60], beat(unit))
    await until(lambda: len(site.beats) == 1)

    counts = site.home.heartbeats.counts
    assert counts.accepted == 1
    assert counts.refused == {"malformed": 2, "unknown-id": 2, "wrong-key": 1, "truncated": 1}
    assert (await site.contact(ended)).last_heartbeat_ms is None


async def test_what_another_node_changed_of_a_sender_is_seen_when_it_is_looked_up_again(site: Site) -> None:
    """Nobody told this node. What stands as before is believed on; a new passphrase, a place or a life is read."""
    unit = await site.unit()
    identities, mine = arms_identities.c, arms_identities.c.adapter_id == unit.adapter_id
    send(site, beat(unit))
    await until(lambda: len(site.beats) == 1)
    stale(site)
    send(site, beat(unit))
    await until(lambda: len(site.beats) == 2)
    stale(site)
    sealed = site.keyring.seal(Secret("made elsewhere"), context=rows.context("passphrase", unit.adapter_id))
    async with site.database.write() as tx:
        await tx.execute(update(arms_identities).where(mine).values({identities.passphrase_sealed: sealed}))
    send(site, beat(unit), beat(unit, key="made elsewhere"))
    await until(lambda: len(site.beats) == 3)
    assert site.home.heartbeats.counts.refused == {"wrong-key": 1}

    stale(site)
    async with site.database.write() as tx:
        ended = update(placements).where(placements.c.adapter_id == unit.adapter_id).values(to_ms=BY.at_ms + 1)
        await tx.execute(ended)
    send(site, beat(unit, key="made elsewhere"))
    await until(lambda: len(site.beats) == 4)
    assert [one.entry_id for one in site.beats] == [unit.entry_id] * 3 + [None]

    stale(site)
    async with site.database.write() as tx:
        await tx.execute(update(adapters).where(adapters.c.id == unit.adapter_id).values(life=Life.RETIRED.value))
    send(site, beat(unit, key="made elsewhere"))
    await until(lambda: site.home.heartbeats.counts.refused.get("unknown-id") == 1)


def stale(site: Site) -> None:
    """As if every sender had been looked up a while ago."""
    for sender in site.home.heartbeats.senders.known.values():
        sender.fresh_until_ms = -1


async def test_a_heartbeat_sent_to_several_receivers_counts_once_and_nothing_is_refused(site: Site) -> None:
    unit = await site.unit()
    first, second = beat(unit), beat(unit)
    send(site, first, first, second, first, second)
    await until(lambda: site.home.heartbeats.counts.duplicate == 3)
    await until(lambda: len(site.beats) == 2)
    assert site.home.heartbeats.counts.dropped == 0


async def test_a_replayed_heartbeat_is_refused_and_counted_for_its_adapter(site: Site) -> None:
    unit = await site.unit()
    first, second = beat(unit), beat(unit)
    send(site, first)
    await asyncio.sleep(10 / site.clock.pace)
    send(site, second, first, first)
    await until(lambda: site.home.heartbeats.counts.dropped == 2)
    assert len(site.beats) <= 2
    (told,) = await site.refused_beats(unit)
    assert (told.reason, told.count, told.source) == ("replay", 2, "127.0.0.1")


async def test_a_replay_is_told_however_many_heartbeats_came_in_between(site: Site) -> None:
    unit = await site.unit()
    first, *others = (beat(unit) for _ in range(40))
    send(site, first, *others)
    await until(lambda: len(site.beats) == 40)
    heard = await site.contact(unit)
    send(site, first)
    await until(lambda: site.home.heartbeats.counts.refused == {"replay": 1})
    assert (await site.contact(unit)).last_heartbeat_ms == heard.last_heartbeat_ms, "it is no sign of life"


async def test_a_replay_is_told_after_a_restart(site: Site, tmp_path: Path) -> None:
    unit = await site.unit()
    traffic = await TrafficDatabase.open(f"sqlite:///{tmp_path / 'traffic.db'}")
    try:
        site.metering = MeteringService(site.database, traffic, site.clock)
        await site.metering.catch_up()
        sent = [beat(unit) for _ in range(3)]
        send(site, *sent)
        await until(lambda: len(site.beats) == 3)
        await site.home.stop()
        site.metering = MeteringService(site.database, traffic, site.clock)  # nothing was settled when it ended
        await asyncio.gather(site.restart(), site.metering.catch_up())
        send(site, *sent, beat(unit))
        await until(lambda: len(site.beats) == 4)
        assert site.home.heartbeats.counts.refused == {"replay": 3}
        (told,) = await site.refused_beats(unit)
        assert (told.reason, told.count) == ("replay", 3)
    finally:
        await site.home.stop()
        await traffic.close()


@pytest.mark.postgres
async def test_what_one_node_has_counted_is_a_replay_at_the_other(nodes: tuple[Site, Site], postgres_url: str) -> None:
    first, second = nodes
    unit = await first.unit()
    traffic = await TrafficDatabase.open(postgres_url)
    try:
        a_minute_ago = ManualClock(first.clock.now_ms() - 60_000)
        first.metering = MeteringService(first.database, traffic, a_minute_ago)
        second.metering = MeteringService(second.database, traffic, second.clock)
        await second.metering.catch_up()
        await first.metering.catch_up()
        sent = beat(unit)
        send(first, sent)
        await until(lambda: len(first.beats) == 1)
        await first.metering.settle()
        send(second, sent, beat(unit))
        await until(lambda: len(second.beats) == 1)
        assert second.home.heartbeats.counts.refused == {"replay": 1}
    finally:
        first.metering = second.metering = None
        await traffic.close()


async def test_packets_without_statistics_are_always_alike_and_only_slowed(site: Site) -> None:
    unit = await site.unit()
    bare = heartbeat.encode(DistributionId.parse(unit.distribution_id), [], unit.passphrase.reveal().encode())
    send(site, bare, bare)
    await until(lambda: site.home.heartbeats.counts.dropped == 1)
    await asyncio.sleep(10 / site.clock.pace / 2)
    send(site, bare)
    await until(lambda: len(site.beats) == 2)


async def test_a_storm_of_heartbeats_is_written_a_row_an_adapter(site: Site) -> None:
    units = [await site.unit() for _ in range(3)]
    for _ in range(40):
        send(site, *(beat(unit) for unit in units))
        await asyncio.sleep(0)
    await until(lambda: site.home.heartbeats.counts.accepted == 120)
    await until(lambda: len(site.beats) == 120)


async def test_contact_goes_on_while_metering_is_busy_and_nothing_is_lost(site: Site) -> None:
    """An import of past readings takes seconds; nobody is silent only because nobody takes its counters."""
    unit = await site.unit()
    site.takes_beats.clear()
    send(site, beat(unit))
    await until(lambda: site.home.heartbeats.counts.accepted == 1)
    send(site, beat(unit))
    await until(lambda: site.home.heartbeats.counts.accepted == 2)
    assert site.beats == []
    site.takes_beats.set()
    await until(lambda: len(site.beats) == 2)
    assert site.beats[0].received_ms <= site.beats[1].received_ms


async def test_silence_is_told_once_within_two_and_a_half_intervals_and_so_is_its_end(site: Site) -> None:
    unit = await site.unit()
    interval_s = 10 / site.clock.pace
    for _ in range(3):
        send(site, beat(unit))
        await asyncio.sleep(interval_s)
    heard_ms = site.beats[-1].monotonic_ms

    async def is_silent() -> bool:
        return (await site.contact(unit)).stage is Contact.SILENT

    async def is_heard() -> bool:
        return not await is_silent()

    await eventually(is_silent)
    # That it is not later than 2.5 intervals is shown without a clock below.
    assert site.clock.monotonic_ms() - heard_ms >= 2 * interval_s * 1000

    send(site, beat(unit))
    await eventually(is_heard)
    kinds = [kind for kind, _ in await site.events(unit)]
    assert kinds.count("phonehome.silent") == 1
    assert kinds.count("phonehome.heard-again") == 1


async def test_silence_while_the_tunnel_is_open_guesses_another_cause(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    send(site, beat(unit))

    async def silent_events() -> list[dict[str, Any]]:
        return [facts for kind, facts in await site.events(unit) if kind == "phonehome.silent"]

    told = await eventually(silent_events)
    assert told[0]["tunnel_open"] is True
    assert "UDP" in told[0]["cause"]


@pytest.mark.parametrize("jitter_ms", [0, 500, 3000, 9000])
def test_silence_is_declared_within_two_and_a_half_intervals_whatever_the_rhythm(jitter_ms: int) -> None:
    interval_ms = 10_000
    silence = Silence(interval_ms)
    at_ms = 0
    for number in range(20):
        at_ms = number * interval_ms + (jitter_ms if number % 2 else 0)
        assert silence.due(at_ms) == []
        silence.heard(1, at_ms)
    step = interval_ms // 10
    told = next(now for now in range(at_ms, at_ms + 10 * interval_ms, step) if silence.due(now))
    assert 2 * interval_ms < told - at_ms <= 2.5 * interval_ms
    assert silence.due(told + 100 * interval_ms) == []
    assert silence.heard(1, told + 100 * interval_ms)


def test_an_adapter_that_is_busy_with_a_configure_is_not_silent() -> None:
    silence = Silence(10_000)
    silence.heard(1, 0)
    silence.heard(2, 0)
    for now_ms in range(0, 100_000, 1000):
        silence.excuse(1, now_ms)
    assert silence.due(100_000) == [2]


def test_one_lost_heartbeat_is_not_silence() -> None:
    silence = Silence(10_000)
    for at_ms in (0, 10_000, 20_000, 40_000, 50_000, 70_500):
        assert silence.due(at_ms) == []
        silence.heard(1, at_ms)
