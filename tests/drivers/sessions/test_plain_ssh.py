"""What we send over SSH: words, and nothing empty between them where no cipher needs that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncssh
import pytest
from asyncssh.packet import SSHPacket

from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.dial import hang_up
from drivers.sessions.dialogue import ConnectionEnded
from drivers.sessions.ssh import ChannelStream
from drivers.sessions.wire import dial
from inventory.secrets import Secret


class Counting(asyncssh.SSHServerConnection):
    """Counts the empty packets that arrive."""

    empty = 0

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        if pkttype == 2:
            type(self).empty += 1
        return super().process_packet(pkttype, pktid, packet)


class Door(asyncssh.SSHServer):
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        conn.__class__ = Counting

    def begin_auth(self, username: str) -> bool:
        return False


@pytest.mark.parametrize(("cipher", "expected"), [("aes256-gcm@openssh.com", False), ("aes256-cbc", True)])
async def test_empty_packets_are_sent_where_the_cipher_is_in_cbc_mode_only(cipher: str, expected: bool) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    Counting.empty = 0

    async def echo(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(await process.stdin.readline())
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        encryption_algs=[cipher],
        process_factory=echo,
        encoding=None,
    )
    try:
        pinned = key.export_public_key().decode().strip()
        endpoint = Endpoint(
            "127.0.0.1", server.get_port(), "op", Secret("correct horse"), host_key=pinned, profile="compat"
        )
        connection, _ = await dial(endpoint, Limits())
        async with asyncio.timeout(10):
            process = await connection.create_process(encoding=None)
            process.stdin.write(b"show clock\n")
            assert await process.stdout.readline() == b"show clock\n"
        await hang_up(connection)
    finally:
        server.close()
        await server.wait_closed()
    assert bool(Counting.empty) is expected


@asynccontextmanager
async def peer(
    serve: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]],
) -> AsyncIterator[Endpoint]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Door, server_host_keys=[key], process_factory=serve, encoding=None
    )
    try:
        pinned = key.export_public_key().decode().strip()
        yield Endpoint("127.0.0.1", server.get_port(), "op", Secret("correct horse"), host_key=pinned)
    finally:
        server.close()
        await server.wait_closed()


async def shell(connection: asyncssh.SSHClientConnection) -> ChannelStream:
    _, stream = await connection.create_session(ChannelStream, term_type="vt100", encoding=None)
    assert isinstance(stream, ChannelStream)
    return stream


async def test_a_closed_connection_is_gone_before_the_collector_comes() -> None:
    """Thousands of logins an hour: their buffers must not wait for a collection that hardly ever runs."""

    async def greet(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"r1#")
        await process.stdin.read()

    gc.disable()
    try:
        async with peer(greet) as endpoint, asyncio.timeout(10):
            connection, caller = await dial(endpoint, Limits())
            stream = await shell(connection)
            assert await stream.read() == b"r1#"
            await hang_up(connection)
            gone = asyncio.Event()
            weakref.finalize(connection, gone.set)
            del connection, caller, stream
            await gone.wait()
    finally:
        gc.enable()


async def test_whoever_waits_for_the_end_of_a_connection_learns_of_it_whoever_gave_up() -> None:
    async def greet(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()

    async with peer(greet) as endpoint, asyncio.timeout(10):
        connection, _ = await dial(endpoint, Limits())
        channel, _ = await connection.create_session(ChannelStream, term_type="vt100", encoding=None)
        impatient = asyncio.create_task(connection.wait_closed())
        others = [asyncio.create_task(thing.wait_closed()) for thing in (connection, channel, connection)]
        await asyncio.sleep(0)  # they wait now
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert not connection.is_closed()
        assert not any(task.done() for task in others)
        connection.abort()
        await asyncio.gather(*others)
        assert connection.is_closed()
        await connection.wait_closed()


async def test_what_nobody_reads_stays_with_the_device_and_comes_whole_afterwards() -> None:
    said = bytes(range(256)) * 40_000
    stuck = asyncio.Event()

    async def talk(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(said)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await process.stdout.drain()
        stuck.set()
        await process.stdin.readline()
        process.exit(0)

    async with peer(talk) as endpoint, asyncio.timeout(20):
        connection, _ = await dial(endpoint, Limits())
        stream = await shell(connection)
        await stuck.wait()
        heard = bytearray(await stream.read())
        assert len(heard) < len(said) / 2
        while len(heard) < len(said):
            heard += await stream.read()
        assert heard == said
        stream.write(b"exit\n")
        assert await stream.read() == b""
        await hang_up(connection)


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes128-ctr"])
async def test_what_comes_in_any_pieces_and_through_a_new_key_exchange_comes_whole(cipher: str) -> None:
    said = [bytes([number % 256]) * (number * 37 % 5000 + 1) for number in range(200)]

    async def talk(process: asyncssh.SSHServerProcess[bytes]) -> None:
        for piece in said:
            process.stdout.write(piece)
            if len(piece) % 3 == 0:
                await process.stdout.drain()
                await asyncio.sleep(0)
        process.stderr.write(b"not of the terminal")
        await process.stdin.readline()
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        encryption_algs=[cipher],
        rekey_bytes=50_000,
        process_factory=talk,
        encoding=None,
    )
    try:
        pinned = key.export_public_key().decode().strip()
        endpoint = Endpoint("127.0.0.1", server.get_port(), "op", Secret("correct horse"), host_key=pinned)
        connection, _ = await dial(endpoint, Limits())
        async with asyncio.timeout(10):
            stream, heard = await shell(connection), bytearray()
            while len(heard) < sum(map(len, said)):
                heard += await stream.read()
            assert heard == b"".join(said)
            stream.write(b"exit\n")
            assert await stream.read() == b""
        await hang_up(connection)
    finally:
        server.close()
        await server.wait_closed()


async def test_a_packet_that_was_tampered_with_ends_the_connection() -> None:
    async def greet(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"r1#")
        await process.stdin.read()

    async with peer(greet) as endpoint, asyncio.timeout(10):
        connection, _ = await dial(endpoint, Limits())
        stream = await shell(connection)
        assert await stream.read() == b"r1#"
        connection.data_received((32).to_bytes(4, "big") + bytes(48))
        with pytest.raises(ConnectionEnded, match="MAC"):
            await stream.read()


@asynccontextmanager
async def choppy(port: int) -> AsyncIterator[int]:
    """A port from which octets go on to another in pieces of all small sizes, both ways."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = 0
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                while octets:
                    size = size % 61 + 1
                    writer.write(octets[:size])
                    octets = octets[size:]
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, onward), carry(there, writer))
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(join, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await over.wait()


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_a_conversation_over_a_line_that_chops_everything_stays_whole_through_new_keys(cipher: str) -> None:
    heard: list[bytes] = []

    async def answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
        while line := await process.stdin.readline():
            heard.append(line)
            process.stdout.write(line[::-1] * 3 + b"#")
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        encryption_algs=[cipher, "aes128-ctr"],
        rekey_bytes=3000,
        process_factory=answer,
        encoding=None,
    )
    lines = [bytes([97 + number % 26]) * (number * 13 % 90) + b"\n" for number in range(120)]
    try:
        async with choppy(server.get_port()) as port, asyncio.timeout(20):
            pinned = key.export_public_key().decode().strip()
            connection, _ = await dial(
                Endpoint("127.0.0.1", port, "op", Secret("correct horse"), host_key=pinned), Limits()
            )
            stream = await shell(connection)
            for line in lines:
                stream.write(line)
                said = b""
                while not said.endswith(b"#"):
                    said += await stream.read()
                assert said == line[::-1] * 3 + b"#"
            await hang_up(connection)
    finally:
        server.close()
        await server.wait_closed()
    assert heard == lines


async def test_more_than_a_window_is_typed_as_the_other_side_makes_room() -> None:
    text = bytes(range(32, 127)) * 60_000
    read = asyncio.Event()
    arrived = bytearray()

    async def take(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await read.wait()
        while octets := await process.stdin.read(65536):
            arrived.extend(octets)
            if len(arrived) == len(text):
                process.stdout.write(b"all")
        process.exit(0)

    async with peer(take) as endpoint, asyncio.timeout(20):
        connection, _ = await dial(endpoint, Limits())
        stream = await shell(connection)
        for at in range(0, len(text), 1000):
            stream.write(text[at : at + 1000])
        read.set()
        assert await stream.read() == b"all"
        await hang_up(connection)
    assert arrived == text
