"""Attacks with and without a key: what each may cost, and that others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from pathlib import Path

import pytest
import uvloop

from controller.keyring import Keyring
from controller.phonehome import heartbeat as receiver
from controller.phonehome.ledger import EVENTS_OF_ONE
from controller.phonehome.room import FREE, Room
from controller.phonehome.senders import MAX_UNKNOWN
from controller.phonehome.tunnel import CONFIRMATIONS
from controller.settings import ArmsSettings
from controller.store.database import Database
from drivers.arms import heartbeat, xml
from drivers.arms.ids import DistributionId
from drivers.arms.messages import Request
from drivers.arms.parameters import PushConfirmationStart
from inventory.errors import ProtocolViolation
from tests.controller.phonehome.site import Device, Site, Unit, answer_of, eventually, hang_up, http10, until
from tests.controller.phonehome.test_hostile import body, chunked
from tests.drivers.arms.splits import refusal
from tests.fuzz.answers import outside

BOMB = (
    b'<!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">'.encode() for n in range(9))
    + b"]><arms-message>&j;</arms-message>"
)
DOCUMENTS = {
    "entity bomb": BOMB,
    "attribute flood": b"<arms-message " + b" ".join(f'a{n}="x"'.encode() for n in range(600)) + b"/>",
    "deep nesting": b"<a>" * 2500,
    "ten thousand children": b"<arms-message>" + b"<a/>" * 1900 + b"</arms-message>",
    "invalid UTF-8": b"<arms-message>\xc3\x28\xff</arms-message>",
    "NULs": b"\x00" * 4000,
    "UTF-16": "<arms-message/>".encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(300),
    "external entity": b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x"><a/>',
    "processing instruction": b"<?php x ?><a/>",
    "a comment without end": b"<!--" + b"x" * 7000,
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_hostile_document_is_400_at_both_doors(site: Site, name: str) -> None:
    unit = await site.unit()
    for door, key in (("ls", unit.ls_key), ("rs", unit.rs_key)):
        octets = http10(f"/{door}/arms", unit.distribution_id, key, DOCUMENTS[name])
        assert answer_of(await site.send(door, octets)) == (400, None)  # type: ignore[arg-type]  # both are doors
    assert (await site.pull(unit))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST /rs/arms HTTP/1.0\r\n" + b"X: y\r\n" * 3000,
        b"POST /rs/arms HTTP/1.0\r\nX: " + b"y" * 200_000,
        b"POST /" + b"a" * 3000 + b" HTTP/1.0\r\n\r\n",
        b"POST /rs/arms HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /rs/arms HTTP/1.0\r\nContent-Length: -1\r\n\r\n",
        b"POST /rs/arms HTTP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 500,
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"POST /rs/arms HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
        b"GET /rs/arms HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=lambda head: head[:60].decode("latin-1").replace("\r\n", " "),
)
async def test_a_hostile_head_or_a_lie_about_a_length_is_400(site: Site, head: bytes) -> None:
    answer = b""
    with contextlib.suppress(ConnectionError):  # what it sent on may have met a closed door
        answer = await site.send("rs", head)
    assert answer == b"" or outside("rs", answer) is None
    assert answer_of(answer)[0] in {0, 400}


async def test_ten_thousand_tiny_chunks_are_read_and_answered_soon(site: Site) -> None:
    unit = await site.unit()
    octets = body(unit) + b" " * 7000
    sent = chunked(unit, [octets[at : at + 1] for at in range(len(octets))])
    async with asyncio.timeout(5):
        assert answer_of(await site.send("rs", sent))[0] == 200


async def test_a_tag_without_end_is_refused_before_it_is_read_again_and_again() -> None:
    parser = xml.TreeParser(limit=1 << 26)
    parser.feed(b"<a ")

    def flood() -> None:
        for _ in range(1000):
            parser.feed(b'b="x" ' * 1000)

    assert refusal(flood) == "oversize"
    assert parser._size < 256 * 1024


def test_a_long_text_is_not_taken_for_a_tag() -> None:
    for text in (b"x" * 2_000_000, b"line\n" * 400_000, b"&lt;" * 100_000):
        parser = xml.TreeParser(limit=1 << 22)
        parser.feed(b"<a>")
        for at in range(0, len(text), 65_536):
            parser.feed(text[at : at + 65_536])
        parser.feed(b"</a>")
        assert len(parser.close().text) >= 100_000


class TestTunnels:
    """30 s are one."""

    @pytest.fixture
    def pace(self) -> float:
        return 30.0

    async def test_a_client_that_never_reads_is_dropped_and_its_buffer_is_bounded(self, site: Site) -> None:
        unit, other = await site.unit(), await site.unit()
        device = Device(site, unit)
        assert await device.open() == 200
        assert device._task is not None
        device._task.cancel()
        device._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport has it
        path = next(iter(site.home._context.peers[unit.adapter_id].paths.values()))
        echo = b"fff0;echo-request;trail\r\n" + b"e" * 0xFFF0 + b"\r\n"
        largest = 0

        async def flood() -> None:
            nonlocal largest
            with contextlib.suppress(ConnectionError):
                while path.ended is None:
                    device.raw(echo)
                    largest = max(largest, path._exchange.unsent_bytes)  # type: ignore[attr-defined]
                    await asyncio.sleep(0.001)

        async with asyncio.timeout(10):
            await flood()
        assert "does not read" in (path.ended or "")
        assert largest < 1024 * 1024
        await hang_up(device._writer)
        assert (await site.pull(other))[0] == 200

    async def test_confirmations_that_are_started_and_never_answered_end_the_tunnel(self, site: Site) -> None:
        unit = await site.unit()
        device = Device(site, unit)
        device.answering = False
        assert await device.open() == 200
        for _ in range(CONFIRMATIONS + 1):
            device.say(Request("push-confirmation-start", unit.distribution_id, PushConfirmationStart("https-tunnel")))
        async with asyncio.timeout(10):
            await device.ended.wait()
        assert len(device.requests) == CONFIRMATIONS

    async def test_results_that_nobody_asked_for_do_not_fill_the_log_or_the_database(self, site: Site) -> None:
        unit, other = await site.unit(), await site.unit()
        device = Device(site, unit)
        assert await device.open() == 200
        for id_ in range(1, 1001):
            device.say(Request("ping-done", unit.distribution_id, transaction_result=502, transaction_id=id_))
        await until(lambda: device.inbox.qsize() == 1000, seconds=20)
        assert len(site.home._context.peers[unit.adapter_id].transactions) <= 16
        assert len(await site.events(unit)) <= EVENTS_OF_ONE + 20
        assert site.home.ledger.dropped >= 800
        await site.pull(other)
        assert await eventually(lambda: site.events(other)) != []
        await device.cut()

    async def test_a_result_told_on_two_connections_leaves_none_of_them_open(self, site: Site) -> None:
        unit = await site.unit()
        result = (
            f'<arms-message><arms-request type="configure-done"><transaction-result>100</transaction-result>'
            f"<distribution-id>{unit.distribution_id}</distribution-id><transaction-id>9</transaction-id>"
            "<configure-done-request></configure-done-request></arms-request></arms-message>"
        ).encode()
        octets = http10("/rs/arms", unit.distribution_id, unit.rs_key, result)

        async def tell() -> bytes:
            try:
                return await site.send("rs", octets)
            except ConnectionError:
                return b""

        async with asyncio.timeout(10):
            told = await asyncio.gather(tell(), tell(), tell())
        assert [answer_of(answer)[0] for answer in told].count(200) >= 1
        await until(lambda: site.home.crowd.open == 0)


async def test_large_results_of_all_adapters_share_what_room_there_is(site: Site) -> None:
    one, other = await site.unit(), await site.unit()
    site.home._context.room = Room(1024 * 1024)
    devices = [Device(site, unit) for unit in (one, other)]
    for device in devices:
        assert await device.open() == 200
    piece = b"ffff;id=3\r\n" + b"x" * 0xFFFF + b"\r\n"
    for _ in range(12):
        devices[0].raw(piece)
        devices[1].raw(piece)
    await until(lambda: sum(device.ended.is_set() for device in devices) == 1)
    left = next(device for device in devices if not device.ended.is_set())
    await left.cut()
    await until(lambda: site.home._context.room._left == 1024 * 1024)


def test_room_is_given_back_and_what_is_refused_takes_none() -> None:
    room = Room(1000)
    first, second = room.hold(), room.hold()
    first.set(FREE + 900)
    with pytest.raises(ProtocolViolation):
        second.set(FREE + 101)
    second.set(FREE + 100)
    first.set(0)
    second.set(FREE + 1000)
    second.set(0)
    assert room._left == 1000


# --- datagrams --------------------------------------------------------------------------------------------------------


def datagrams(count: int, known: Unit) -> list[bytes]:
    """Junk of all lengths; a third has the form of a heartbeat and an id that nobody has, a tenth a known id."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        if number % 10 == 0:
            id_ = DistributionId.parse(known.distribution_id)
            made.append(heartbeat.encode(id_, [], b"a wrong key"))
        elif number % 3 == 0:
            made.append(heartbeat.encode(DistributionId(chance.randbytes(16)), [], b"x"))
        else:
            made.append(chance.randbytes(chance.choice((0, 1, 23, 24, 43, 44, 45, 500, 1024, 1025, 1400))))
    return made


@pytest.mark.slow
def test_a_hundred_thousand_junk_datagrams_cost_little_and_displace_no_adapter(
    sqlite_url: str, keyring: Keyring, folder: Path, arms_settings: ArmsSettings
) -> None:
    """On the loop of the daemon; no faster than the socket is read: what its buffer loses would cost nothing at all."""

    async def story() -> None:
        database = await Database.open(sqlite_url)
        site = Site(database, keyring, folder, arms_settings, 10.0)
        await site.home.start()
        try:
            await flooded(site, await site.unit())
        finally:
            await site.home.stop()
            await database.close()

    uvloop.run(story())


async def flooded(site: Site, unit: Unit) -> None:
    """100,000 junk datagrams, and an honest heartbeat after each 10,000."""
    key, id_ = unit.passphrase.reveal().encode(), DistributionId.parse(unit.distribution_id)
    junk, address = datagrams(10_000, unit), ("127.0.0.1", site.home.ports[2])
    counts, queue = site.home.heartbeats.counts, site.home.heartbeats._waiting
    largest = before = resident_bytes()
    begun_ms = site.clock.monotonic_ms()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        async def send(datagram: bytes) -> None:
            nonlocal sent
            sender.sendto(datagram, address)
            sent += 1
            if sent % 50 == 0:
                while counts.dropped + counts.accepted + len(queue) < sent:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0)

        for ten_thousand in range(10):
            for datagram in junk:
                await send(datagram)
            await send(heartbeat.encode(id_, [heartbeat.Tlv(0x33, bytes((0, ten_thousand, 7)))], key))
            largest = max(largest, resident_bytes())
    await until(lambda: len(site.beats) == 10, seconds=20)
    await until(lambda: not queue, seconds=20)
    assert counts.accepted == 10
    assert counts.dropped == 100_000
    assert largest - before < 64 * 1024 * 1024
    assert len(site.home.heartbeats.senders.unknown) <= MAX_UNKNOWN
    seconds = (site.clock.monotonic_ms() - begun_ms) / 1000
    assert len(await site.claims()) <= receiver.CLAIMS_PER_S * (seconds + 1)
    assert len(await site.events()) < 20


def resident_bytes() -> int:
    """What this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_made_up_ids_are_forgotten_and_do_not_displace_adapters_that_wait(site: Site) -> None:
    unit = await site.unit()
    home = site.home.heartbeats
    id_ = DistributionId.parse(unit.distribution_id)
    key = unit.passphrase.reveal().encode()
    home._received(heartbeat.encode(id_, [], key), "127.0.0.1", site.clock.now_ms(), site.clock.monotonic_ms())
    await until(lambda: len(site.beats) == 1)

    for _ in range(receiver.MAX_STRANGERS + 500):
        home._received(
            heartbeat.encode(DistributionId(os.urandom(16)), [], b"x"),
            "127.0.0.1",
            site.clock.now_ms(),
            site.clock.monotonic_ms(),
        )
    home._received(
        heartbeat.encode(id_, [heartbeat.Tlv(0x33, b"\0\0\x05")], key),
        "127.0.0.1",
        site.clock.now_ms(),
        site.clock.monotonic_ms(),
    )

    assert home.counts.refused["queue-full"] == 500
    await until(lambda: len(site.beats) == 2)
    await until(lambda: not home._waiting)
    assert home._strangers == 0
