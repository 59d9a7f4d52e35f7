"""Many connections at once: the crowd is bounded before the handshake, and an honest adapter gets through it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from controller.phonehome import listener
from controller.phonehome.listener import Connection, Crowd, room, source_of
from controller.settings import ArmsSettings
from inventory.secrets import Secret
from tests.clock import ManualClock
from tests.controller.phonehome.site import Device, Site, eventually, until

Connect = Callable[..., Awaitable[asyncio.StreamReader]]


@pytest.fixture
async def raw(site: Site) -> AsyncIterator[Connect]:
    """Opens TCP connections, from any loopback address, that are dropped at the end."""
    opened: list[asyncio.StreamWriter] = []

    async def connect(door: str, source: str, sent: bytes = b"") -> asyncio.StreamReader:
        port = site.home.ports[0 if door == "ls" else 1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        opened.append(writer)
        writer.write(sent)
        return reader

    yield connect
    for writer in opened:
        writer.transport.abort()
    await asyncio.sleep(0)


class TestOneSource:
    """Ten from one source; five seconds are half of one."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, unproven_per_source=10)

    async def test_half_open_handshakes_of_one_source_are_limited_and_others_are_served(
        self, site: Site, raw: Connect
    ) -> None:
        unit = await site.unit()
        readers = [await raw("rs", "127.0.0.9", b"\x16\x03\x01\x02\x00\x01") for _ in range(40)]
        await until(lambda: site.home.crowd.counts["refused"] == 30)

        assert site.home.crowd.unproven == 10
        assert (await site.pull(unit))[0] == 200
        refused = [reader for reader in readers if reader.at_eof()]
        assert len(refused) <= 30

    async def test_an_adapter_behind_the_same_address_is_served_as_soon_as_the_others_have_dawdled(
        self, site: Site, raw: Connect
    ) -> None:
        unit = await site.unit()
        for _ in range(10):
            await raw("rs", "127.0.0.1")
        await until(lambda: site.home.crowd.unproven == 10)

        async def served() -> bool:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                return (await site.pull(unit))[0] == 200
            return False

        await eventually(served, seconds=5)
        assert site.home.crowd.counts["put-out"] >= 1

    async def test_who_has_shown_its_key_is_not_counted_against_its_source(self, site: Site) -> None:
        devices = [Device(site, await site.unit()) for _ in range(15)]
        for device in devices:
            assert await device.open() == 200
        assert (site.home.crowd.open, site.home.crowd.unproven) == (15, 0)
        for device in devices:
            await device.cut()
        await until(lambda: site.home.crowd.open == 0)

    async def test_a_wrong_key_proves_nothing_and_takes_nobodys_turn_at_the_gate(self, site: Site) -> None:
        unit = await site.unit()
        gate = site.home._context.gate
        before = gate.entered
        assert await Device(site, unit).open(key=Secret("x" * 40)) == 401
        assert gate.entered == before
        await until(lambda: site.home.crowd.open == 0)


async def test_garbage_plain_http_and_alerts_on_the_tls_port_end_at_once_and_cost_nothing(
    site: Site, raw: Connect
) -> None:
    unit = await site.unit()
    for sent in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 4096,
        bytes(range(256)) * 64,
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x80\x2e\x01\x00\x02",
        b"SSH-2.0-x\r\n",
    ):
        reader = await raw("ls", "127.0.0.1", sent)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                await reader.read()
    await until(lambda: site.home.crowd.open == 0)
    assert site.home.crowd.counts["handshake"] == 6
    assert await site.claims() == []
    assert (await site.pull(unit))[0] == 200


async def test_a_handshake_that_does_not_go_on_is_ended_after_30_s(site: Site, raw: Connect) -> None:
    reader = await raw("rs", "127.0.0.1", b"\x16\x03\x01")
    async with asyncio.timeout(30 / site.clock.pace + 5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    await until(lambda: site.home.crowd.open == 0)


async def test_a_handshake_may_not_be_repeated(site: Site) -> None:
    pki = site.home.pki
    for context in (pki.location_context("1.2"), pki.resource_context("1.2"), pki.resource_context("1.0")):
        assert context.options & ssl.OP_NO_RENEGOTIATION


class TestCounting:
    """The books, without sockets."""

    pytestmark = pytest.mark.fast

    @pytest.fixture
    def crowd(self, clock: ManualClock) -> Crowd:
        return Crowd(clock, at_most=8, per_source=3)

    def test_an_ipv6_site_is_one_source_and_a_mapped_address_is_the_ipv4_one(self) -> None:
        assert source_of("2001:db8:1:2::1") == source_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
        assert source_of("::ffff:192.0.2.7") == source_of("192.0.2.7") == "192.0.2.7"
        assert source_of("fe80::1%eth0") == "fe80::/64"

    def test_half_of_all_connections_may_be_unproven_and_leaving_makes_room(self, crowd: Crowd) -> None:
        entered = [crowd.enter(f"192.0.2.{number}") for number in range(5)]
        assert [each is not None for each in entered] == [True] * 4 + [False]
        first = entered[0]
        assert first is not None
        first.prove(7)
        assert crowd.enter("192.0.2.99") is not None
        assert crowd.enter("192.0.2.98") is None
        crowd.leave(first)
        assert (crowd.open, crowd.unproven) == (4, 4)

    def test_one_adapter_cannot_take_all_the_room_with_its_key(self, clock: ManualClock) -> None:
        crowd = Crowd(clock, at_most=1000, per_source=100)
        entered = [crowd.enter("192.0.2.1") for _ in range(listener.PROVEN_OF_ONE + 5)]
        for connection in entered:
            assert connection is not None
            connection.prove(7)
            connection.prove(7)
        assert crowd.unproven == 5
        for connection in entered:
            crowd.leave(connection)  # type: ignore[arg-type]  # none was refused
        assert (crowd.open, crowd.unproven, crowd._unproven, crowd._of_adapter) == (0, 0, {}, {})

    async def test_the_one_that_dawdled_longest_makes_room_but_nobody_within_five_seconds(
        self, crowd: Crowd, clock: ManualClock
    ) -> None:
        async def wait() -> None:
            await asyncio.Event().wait()

        entered: list[Connection] = []
        for _ in range(3):
            connection = crowd.enter("192.0.2.1")
            assert connection is not None
            connection.task = asyncio.create_task(wait())
            entered.append(connection)
        assert crowd.enter("192.0.2.1") is None

        clock._monotonic_ms += 5000
        assert crowd.enter("192.0.2.1") is not None
        await asyncio.gather(*[e.task for e in entered if e.task and e.task.cancelling()], return_exceptions=True)
        assert [each.task.cancelled() for each in entered if each.task] == [True, False, False]
        for each in entered[1:]:
            assert each.task is not None
            each.task.cancel()

    def test_there_are_never_more_connections_than_files(self) -> None:
        assert room(10) == 10
        assert 16 <= room(0) < 10**6
        assert room(10**9) == room(0)
