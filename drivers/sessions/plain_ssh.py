"""asyncssh's client connections without what costs and helps nobody here.

Before each packet asyncssh sends one that says nothing (RFC 4253 §11.2), against an attack on ciphers in CBC mode
(RFC 4251 §9.3.1); with every other cipher it protects nothing, and what has no CBC goes without. Lines of log are
made for each packet whether or not a log is kept: none is. The timer against silence is set anew for each packet:
ours looks, when it strikes, whether there was silence. And what arrives is nearly always a few octets for an open
channel, in one packet of a cipher that authenticates what it encrypts (AES in GCM): that packet is opened by the
library's own cipher and handed to its channel at once. Any other packet takes the library's way.
"""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Callable
from typing import Final

import asyncssh
from asyncssh.encryption import Encryption, GCMEncryption
from asyncssh.logging import SSHLogger
from asyncssh.misc import MACError
from asyncssh.packet import SSHPacketLogger

_IGNORE: Final = 2
_DATA: Final = 94
_LENGTH: Final = 4
_TAG: Final = 16


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


class _Opened(Encryption):
    """Stands in for a cipher while the library reads a packet that was opened already."""

    def __init__(self, packet: bytes) -> None:
        self._packet = packet

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:
        return self._packet


class _PlainClient(asyncssh.SSHClientConnection):
    _heard_s = 0.0

    def _recv_pkthdr(self) -> bool:
        cipher = self._recv_encryption
        if not self._auth_final or type(cipher) is not GCMEncryption or self._decompressor is not None:
            return super()._recv_pkthdr()
        buffer = self._inpbuf
        end = _LENGTH + int.from_bytes(buffer[:_LENGTH], "big") + _TAG
        if len(buffer) < self._recv_blocksize or end - _LENGTH - _TAG > self._max_recv_pktlen:
            return super()._recv_pkthdr()
        if len(buffer) < end:
            return False
        head, mac = buffer[:_LENGTH], buffer[end - _TAG : end]
        packet = cipher.decrypt_packet(self._recv_seq, head, buffer[_LENGTH : end - _TAG], _LENGTH, mac)
        if not packet:
            raise MACError("MAC verification failed")
        if self._delivered(packet[1 : -packet[0]], buffer[end:]):
            return True
        return self._as_ever(cipher, packet)

    def _delivered(self, payload: bytes, rest: bytes) -> bool:
        """Whether this was data for an open channel of ours, and is there now."""
        if payload[0] != _DATA:
            return False
        channel = self._channels.get(int.from_bytes(payload[1:5], "big"))
        data = payload[9:]
        if type(channel) is not _PlainChannel or int.from_bytes(payload[5:9], "big") != len(data):
            return False
        if not channel.takes(len(data)):
            return False
        self._inpbuf = rest
        channel._accept_data(data)
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF
        return True

    def _as_ever(self, cipher: Encryption, packet: bytes) -> bool:
        """The library's own way for a packet that was opened already."""
        self._recv_encryption = opened = _Opened(packet)
        self._pktlen = int.from_bytes(self._inpbuf[:_LENGTH], "big")
        self._packet, self._inpbuf = self._inpbuf[: self._recv_blocksize], self._inpbuf[self._recv_blocksize :]
        try:
            return self._recv_packet()
        finally:
            if self._recv_encryption is opened:  # a key exchange puts a new cipher in its place
                self._recv_encryption = cipher

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
    def takes(self, size: int) -> bool:
        """Whether so many octets may arrive now."""
        return self._recv_state == "open" and size <= self._recv_window

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
