"""Octets carried between a client's socket and the SSH server behind it, so that they can stop without an end."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

_LONGEST_SHORT: Final = 1280
"""Octets of a first packet that an old parser still takes in."""
_VERSION: Final = b"\r\n"
_DISCONNECT: Final = (
    b"\x01"  # SSH_MSG_DISCONNECT
    b"\x00\x00\x00\x02"  # protocol error
    b"\x00\x00\x00\x11Incomplete packet"
    b"\x00\x00\x00\x00"
)


class Relay:
    """Serves one connection until it ends. The SSH server gets `server_end`.

    `short_only`: the client is refused when its first packet, which lists what it can do, is long.
    """

    def __init__(self, outer: socket.socket, *, short_only: bool) -> None:
        self._outer = outer
        self._short_only = short_only
        self._inner, self.server_end = socket.socketpair()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._head = b""
        for one in (outer, self._inner, self.server_end):
            one.setblocking(False)

    def fall_silent(self) -> None:
        """From now on nothing passes, in either direction, and nothing is closed."""
        self._flowing.clear()

    async def run(self) -> None:
        """Carry octets until one side ends; for ever when silent, until cancelled."""
        ways = [
            asyncio.create_task(self._carry(self._outer, self._inner, is_client=True)),
            asyncio.create_task(self._carry(self._inner, self._outer, is_client=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._inner.close()
            self._outer.close()

    def close(self) -> None:
        """Close all sockets, also when `run` never began."""
        for one in (self._outer, self._inner, self.server_end):
            one.close()

    async def _carry(self, source: socket.socket, target: socket.socket, *, is_client: bool) -> None:
        loop = asyncio.get_running_loop()
        while octets := await loop.sock_recv(source, 65536):
            await self._flowing.wait()
            if is_client and self._short_only and not self._takes(octets):
                await loop.sock_sendall(self._outer, _packet(_DISCONNECT))
                return
            await loop.sock_sendall(target, octets)
        await self._flowing.wait()

    def _takes(self, octets: bytes) -> bool:
        """Whether the first packet, as far as it is known, is short."""
        self._head = (self._head + octets)[:1024]
        _, found, packet = self._head.partition(_VERSION)
        return not found or len(packet) < 4 or int.from_bytes(packet[:4], "big") <= _LONGEST_SHORT


def _packet(payload: bytes) -> bytes:
    """An SSH packet before keys were exchanged (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)
