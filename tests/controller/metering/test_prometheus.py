"""What Prometheus sees is what REST shows; what it cannot be told is told of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from controller.api.app import build
from controller.keyring import Keyring
from controller.settings import MetricsSettings
from controller.store import alarms, api_keys, events, telemetry
from controller.store.scope import By
from controller.store.tables.inventory import adapters
from controller.telemetry import exposition
from controller.telemetry.exposition import Sample, metric
from controller.telemetry.forwarding import RemoteWriter
from controller.telemetry.remotewrite import LITERAL_AT_MOST, snappy
from inventory.links import Direction
from inventory.periods import TOKYO, day_of, day_start_ms
from tests import prometheus
from tests.controller.house import House
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place
from tests.controller.metering.reporting import ON_SQLITE, metered
from tests.controller.metering.test_api import daemon

ROOT = Path(__file__).parents[3]
SLOT_MS = 300_000


@dataclass
class Receiver:
    """An HTTP server that takes remote writes, or does not."""

    answers: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?i)content-length: (\d+)", head)
                assert length is not None
                self.bodies.append(await reader.readexactly(int(length[1])))
                status = self.answers.pop(0) if self.answers else 204
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[str]:
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/write"
    finally:
        server.close()


def writer(place: Place, url: str, node: str = "one", **more: int) -> RemoteWriter:
    settings = MetricsSettings(remote_write_url=url, timeout_s=60, **more)  # type: ignore[arg-type]  # numbers are numbers
    return RemoteWriter(place.database, place.traffic, place.clock, settings, node=node)


async def state(place: Place) -> telemetry.Progress:
    async with place.database.read() as tx:
        found = await telemetry.progress(tx)
    assert found is not None
    return found


async def begun(place: Place, days: int = 2) -> None:
    """Traffic up to the last midnight in Tokyo, and the clock a quarter and an hour after it."""
    await metered(place, days)
    place.clock.step_ms(place.today_ms() + 75 * 60_000 - place.clock.now_ms() - DAY_MS)


@ON_SQLITE
async def test_a_real_prometheus_gives_back_the_slots_that_rest_shows(place: Place, keyring: Keyring) -> None:
    await begun(place)
    with prometheus.receiving() as url:
        sending = writer(place, f"{url}/api/v1/write")
        assert await sending.round() == 0, "it begins now, and sends no history"
        place.clock.advance(3_600)
        assert await sending.round() == 12
        assert await sending.round() == 0
        end_ms = (await state(place)).sent_to_ms
        slot_ms = end_ms - SLOT_MS
        async with rest(place, keyring) as api:
            day = day_of(slot_ms, TOKYO)
            query = {"first": day.isoformat(), "after": day_of(slot_ms + DAY_MS, TOKYO).isoformat()}
            shown = (await api.get(f"/api/v1/links/{place.link.id}/slots", params=query)).json()
        at = (slot_ms - day_start_ms(day, TOKYO)) // SLOT_MS
        for direction in ("down", "up"):
            for bound in ("low", "high"):
                labels = f'link="{place.link.id}", direction="{direction}", bound="{bound}"'
                (found,) = prometheus.asked(url, f"kajitori_link_slot_octets{{{labels}}}", end_ms)
                assert int(found["value"][1]) == shown[direction][bound][at]
        (covered,) = prometheus.asked(url, 'kajitori_link_slot_covered_seconds{direction="up"}', end_ms)
        assert covered["value"][1] == "300"
        assert covered["metric"]["place"] == "Osaka 2"


async def test_a_receiver_that_was_away_gets_what_it_missed_and_a_gap_is_told(place: Place) -> None:
    await begun(place)
    async with listening(receiver := Receiver(answers=[503])) as url:
        sending = writer(place, url, remote_write_backlog_s=1800)
        await sending.round()
        place.clock.advance(600)
        assert await sending.round() == 0
        assert "503" in str((await state(place)).last_failure)
        assert await sending.round() == 2, "the same slots again"
        assert receiver.bodies[0] == receiver.bodies[1]
        place.clock.advance(3600)
        assert await sending.round() == 6
        reached = await state(place)
        assert (reached.gaps, reached.gap_slots) == (1, 6)
    async with place.database.write() as tx:
        await events.publish(tx)
    async with place.database.read() as tx:
        told = [event for event in await events.latest(tx, EVERYTHING, limit=100) if event.kind == "metrics.gap"]
    assert [event.facts["slots"] for event in told] == [6]


@ON_SQLITE
async def test_a_slot_that_is_refused_for_good_is_left_out_and_the_next_one_goes(place: Place) -> None:
    await begun(place)
    async with listening(Receiver(answers=[400])) as url:
        sending = writer(place, url)
        await sending.round()
        place.clock.advance(600)
        assert await sending.round() == 1
        assert (await state(place)).gap_slots == 1


@ON_SQLITE
async def test_a_refusal_without_end_is_cut_and_a_missing_token_is_told(place: Place, tmp_path: Path) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 no\r\nContent-Length: 1000000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"no " * 10_000)
                await writer.drain()
        writer.close()

    await begun(place)
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        sending = writer(place, url)
        await sending.round()
        place.clock.advance(300)
        await sending.round()
        assert (await state(place)).last_failure == f"answered 400: {'no ' * 66}no"
    finally:
        server.close()
    place.clock.advance(300)
    settings = MetricsSettings(remote_write_url=url, remote_write_token_file=tmp_path / "token")
    assert await RemoteWriter(place.database, place.traffic, place.clock, settings, node="one").round() == 0
    assert "token of remote write cannot be read" in str((await state(place)).last_failure)


async def test_one_node_sends_and_another_takes_over(place: Place) -> None:
    await begun(place)
    async with listening(Receiver()) as url:
        one, two = writer(place, url), writer(place, url, "two")
        await one.round()
        place.clock.advance(240)
        assert await two.round() == 0
        place.clock.advance(360)
        assert sorted([await two.round(), await one.round()]) == [0, 2]


@ON_SQLITE
async def test_a_slot_that_nobody_measured_is_not_sent(place: Place) -> None:
    await begun(place)
    place.clock.advance(2 * DAY_MS / 1000)
    async with listening(receiver := Receiver()) as url:
        sending = writer(place, url)
        await sending.round()
        place.clock.advance(600)
        assert await sending.round() == 2
        assert receiver.bodies == []


@contextlib.asynccontextmanager
async def rest(place: Place, keyring: Keyring) -> AsyncIterator[httpx.AsyncClient]:
    async with place.database.write() as tx:
        key = await api_keys.first_key(tx, keyring, By("first start", place.clock.now_ms()))
    assert key is not None
    parts = daemon(place, keyring, Path("unused"))
    transport = httpx.ASGITransport(build(parts))  # type: ignore[arg-type]  # the parts that these routers use
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


def value(text: str, name: str, **labels: object) -> float:
    """The one sample of a scrape with these labels among its own."""
    found = [
        line
        for line in text.splitlines()
        if line.startswith(f"{name}{{") and all(f'{label}="{one}"' in line for label, one in labels.items())
    ]
    assert len(found) == 1, found
    return float(found[0].rpartition(" ")[2])


async def test_level_busy_hour_and_coverage_are_the_same_in_rest_and_in_the_scrape(
    place: Place, keyring: Keyring
) -> None:
    await metered(place, 10, without=range(2700, 2720))
    async with rest(place, keyring) as api:
        text = (await api.get("/metrics/links")).text
        first, after = (day_of(place.today_ms(n), TOKYO).isoformat() for n in (1, 0))
        query = {"first": first, "after": after}
        days = (await api.get(f"/api/v1/links/{place.link.id}/days", params=query)).json()
        levels = (await api.get(f"/api/v1/links/{place.link.id}/congestion")).json()["levels"]
    if prometheus.installed():
        prometheus.promtool("check", "metrics", given=text)
    assert {day["direction"] for day in days} == {"down", "up", "device"}
    for day in days:
        about = {"link": place.link.id, "direction": day["direction"], "place": "Osaka 2"}
        assert value(text, "kajitori_link_coverage_ratio", **about) == day["coverage"]
        assert value(text, "kajitori_link_unknown_slots", **about) == day["unknown_slots"]
        assert value(text, "kajitori_link_hot_slots", **about) == day["hot90"]
        if day["busy_util"] is not None:
            assert value(text, "kajitori_link_busy_hour_ratio", **about) == day["busy_util"]
    for one in levels:
        assert value(text, "kajitori_link_level", link=place.link.id, direction=one["direction"]) == one["level"]


@ON_SQLITE
async def test_of_a_direction_without_a_capacity_no_slot_is_told_to_be_hot_or_not(
    place: Place, keyring: Keyring
) -> None:
    async with place.database.write() as tx:
        await tx.execute(update(adapters).values(hardware="a box that nobody published figures of"))
    await metered(place, 2)
    async with rest(place, keyring) as api:
        text = (await api.get("/metrics/links")).text
    hot = [line for line in text.splitlines() if line.startswith("kajitori_link_hot_slots{")]
    assert len(hot) == 2
    assert 'direction="device"' not in "".join(hot)


@ON_SQLITE
async def test_a_saturation_alarm_is_one_while_it_stands_and_nought_when_it_was_cleared(
    place: Place, keyring: Keyring
) -> None:
    async with place.database.write() as tx:
        await alarms.raise_(tx, place.link.id, Direction.UP, 1, {})
    async with rest(place, keyring) as api:
        raised = (await api.get("/metrics/links")).text
        async with place.database.write() as tx:
            await alarms.clear(tx, place.link.id, Direction.UP, 2)
        cleared = (await api.get("/metrics/links")).text
    assert value(raised, "kajitori_link_saturated", link=place.link.id, direction="up") == 1
    assert value(cleared, "kajitori_link_saturated", link=place.link.id, direction="up") == 0
    assert "kajitori_link_saturated{" not in "".join(line for line in raised.splitlines() if 'direction="down"' in line)


def test_the_scrape_of_a_running_daemon_is_what_prometheus_reads(house: House, api: httpx.Client) -> None:
    text = httpx.get(f"{house.url}/metrics", headers=dict(api.headers), trust_env=False).text
    assert "kajitori_build_info{" in text
    assert 'kajitori_heartbeats_total{result="accepted"}' in text
    if prometheus.installed():
        prometheus.promtool("check", "metrics", given=text)


def test_without_a_key_nobody_scrapes(house: House) -> None:
    for path in ("/metrics", "/metrics/links"):
        assert httpx.get(f"{house.url}{path}", trust_env=False).status_code == 401


def test_the_rules_of_deploy_do_what_they_say() -> None:
    folder = ROOT / "deploy/prometheus"
    assert "SUCCESS" in prometheus.promtool("check", "rules", "kajitori.rules.yml", folder=folder)
    assert "SUCCESS" in prometheus.promtool("test", "rules", "kajitori.rules.test.yml", folder=folder)


@pytest.mark.fast
def test_rules_and_dashboard_ask_only_for_metrics_that_there_are() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "controller/telemetry").glob("*.py"))
    known = set(re.findall(r'"((?:kajitori|process)_[a-z_]+)"', source))
    known |= {f"kajitori_link_{name}" for name in re.findall(r'_of_days\(\s*"([a-z_]+)"', source)}
    dashboard = (ROOT / "deploy/grafana/kajitori.json").read_text(encoding="utf-8")
    assert json.loads(dashboard)["panels"]
    rules = (ROOT / "deploy/prometheus/kajitori.rules.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\b((?:kajitori|process)_[a-z_]+)\b", dashboard + rules))
    assert asked <= known


@pytest.mark.fast
def test_labels_are_escaped_and_whole_numbers_stay_whole() -> None:
    odd = exposition.Metric("a_b", "gauge", "odd\nnames", (Sample(2**53, {"place": 'Osa"ka\\\n2'}),))
    assert exposition.exposed([odd]).splitlines()[2] == 'a_b{place="Osa\\"ka\\\\\\n2"} 9007199254740992'
    assert exposition.exposed([metric("a", "counter", "none")]).count("\n") == 2


@pytest.mark.fast
@pytest.mark.parametrize("length", [0, 1, 59, 60, 61, 255, 256, LITERAL_AT_MOST, LITERAL_AT_MOST + 1, 200_000])
def test_a_snappy_block_of_literals_reads_back(length: int) -> None:
    plain = bytes(i % 251 for i in range(length))
    assert unsnapped(snappy(plain)) == plain


def unsnapped(block: bytes) -> bytes:
    """A reader of Snappy's block format, for literals, after its format description."""
    at, length, shift = 0, 0, 0
    while True:
        octet = block[at]
        at += 1
        length |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            break
    found = b""
    while at < len(block):
        tag = block[at]
        at += 1
        assert tag & 3 == 0
        size = tag >> 2
        if size >= 60:
            octets = size - 59
            size = int.from_bytes(block[at : at + octets], "little")
            at += octets
        found += block[at : at + size + 1]
        at += size + 1
    assert len(found) == length
    return found
