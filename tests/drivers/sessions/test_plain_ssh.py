"""What we send over SSH: words, and nothing empty between them where no cipher needs that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import asyncssh
import pytest
from asyncssh.packet import SSHPacket

from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.dial import hang_up
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
