"""asyncssh's client connections without what costs and helps nobody here.

Before each packet asyncssh sends one that says nothing (RFC 4253 §11.2), against an attack on ciphers in CBC mode
(RFC 4251 §9.3.1); with every other cipher it protects nothing, and what has no CBC goes without. Lines of log are
made for each packet whether or not a log is kept: none is. The timer against silence is set anew for each packet:
ours looks, when it strikes, whether there was silence.
"""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Callable
from typing import Final

import asyncssh
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger

_IGNORE: Final = 2


class _Silent(SSHLogger):
    """Keeps nothing, and works nothing out that would be kept."""

    def get_child(self, child: str = "", context: str = "") -> _Silent:
        return self

    def log(self, level: int, msg: object, *_args: object, **_kwargs: object) -> None:
        return

    def debug1(self, msg: str, *_args: object, **_kwargs: object) -> None:
        return

    def info(self, msg: object, *_args: object, **_kwargs: object) -> None:
        return


_SILENT: Final = _Silent()


class _PlainClient(asyncssh.SSHClientConnection):
    _heard_s = 0.0

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype != _IGNORE or _in_cbc(self):
            super().send_packet(pkttype, *args)

    def _log_packet(self, *_told: object) -> None:
        return

    def _reset_keepalive_timer(self) -> None:
        self._heard_s = self._loop.time()
        if self._keepalive_timer is None and self._auth_complete:
            self._set_keepalive_timer()

    def _keepalive_timer_callback(self) -> None:
        left_s = self._heard_s + float(self._keepalive_interval) - self._loop.time()
        if left_s > 0:
            self._keepalive_timer = self._loop.call_later(left_s, self._keepalive_timer_callback)
        else:
            super()._keepalive_timer_callback()

    def _cleanup(self, exc: Exception | None) -> None:
        super()._cleanup(exc)
        # It holds a method of its own here, and so itself, with all its buffers, until the collector comes.
        self._recv_handler = _over


def _over() -> bool:
    return False


class _PlainChannel(asyncssh.SSHClientChannel[bytes]):
    def _log_packet(self, *_told: object) -> None:
        return


def make_plain(connection: asyncssh.SSHClientConnection) -> None:
    """To be called when the connection is made, before its first packet."""
    # The library makes its own class whatever it is asked for; the instance is not in use yet.
    connection.__class__ = _PlainClient
    connection._logger = _SILENT


def make_plain_channel(channel: asyncssh.SSHClientChannel[bytes]) -> None:
    """To be called when the channel is made, before its first octets."""
    channel.__class__ = _PlainChannel


async def connect(
    sock: socket.socket,
    host: str,
    port: int,
    alike: asyncssh.SSHClientConnectionOptions,
    client: Callable[[], asyncssh.SSHClient],
) -> asyncssh.SSHClientConnection:
    """As `asyncssh.connect`, with options that many connections have in common; these are not changed.

    The library computes its options for each connection, in a thread, because they may look for files of the user.
    `host` and `port` only name the peer. Raises as that does; the socket is then closed.
    """
    loop = asyncio.get_running_loop()
    options = copy.copy(alike)
    options.host = options.orig_host = host
    options.port = port
    options.protocol_factory = client
    waiter = options.waiter = loop.create_future()
    _, connection = await loop.create_connection(
        lambda: asyncssh.SSHClientConnection(loop, options, wait="auth"), sock=sock
    )
    connection.set_extra_info(host=host, port=port)
    try:
        await waiter
    except BaseException:
        connection.abort()
        await connection.wait_closed()
        raise
    return connection


def _in_cbc(connection: asyncssh.SSHClientConnection) -> bool:
    return "cbc" in str(connection.get_extra_info("send_cipher", "cbc"))
