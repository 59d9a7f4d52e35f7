"""asyncssh's client connections without what costs and helps nobody here.

Before each packet asyncssh sends one that says nothing (RFC 4253 §11.2), against an attack on ciphers in CBC mode
(RFC 4251 §9.3.1); with every other cipher it protects nothing, and what has no CBC goes without. Lines of log are
made for each packet whether or not a log is kept: none is. The timer against silence is set anew for each packet:
ours looks, when it strikes, whether there was silence.

What passes on an open channel (RFC 4254 §5.2) in packets of AES-GCM (RFC 5647) goes a short way: it is all that a
conversation consists of. Whatever is in the least unusual about a packet is left to the library, untouched: another
kind, another cipher, a piece of one, a wrong tag, a full window, keys that are due for a change.
"""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import time
from collections.abc import Callable
from typing import Final, Literal

import asyncssh
from asyncssh.encryption import Encryption, GCMEncryption
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger
from asyncssh.public_key import SSHX509Certificate
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_IGNORE: Final = 2
_CHANNEL_DATA: Final = 94
_DATA: Final = bytes([_CHANNEL_DATA])
_TAG_OCTETS: Final = 16
_DATA_AT: Final = 10
"""Where in a packet the data begin: after the padding's length, the kind, the channel and their own length."""
_SEQUENCE: Final = 0xFFFFFFFF
_INVOCATION: Final = 0xFFFFFFFFFFFFFFFF


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
_NO_ALGORITHMS: Final[set[bytes]] = set()
_NO_KEYS: Final[set[asyncssh.SSHKey]] = set()
_NO_CERTIFICATES: Final[set[SSHX509Certificate]] = set()


class _Over(asyncio.Event):
    """Set once, when all is over; it makes room for whoever waits only when somebody does."""

    def __init__(self) -> None:
        self._is_over = False
        self._told: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._is_over

    def set(self) -> None:
        self._is_over = True
        if self._told is not None and not self._told.done():
            self._told.set_result(None)

    async def wait(self) -> Literal[True]:
        if not self._is_over:
            if self._told is None:
                self._told = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._told)
        return True


class _Keys:
    """One direction's AES-GCM, with the library's own count of its packets: both ways go on from the same."""

    __slots__ = ("_cipher", "encryption")

    def __init__(self, encryption: GCMEncryption) -> None:
        self.encryption = encryption
        self._cipher = encryption._cipher

    def aes(self) -> AESGCM:
        """The cipher, made anew: it holds 2 KB, and a packet would gain less than a microsecond by a lasting one."""
        return AESGCM(self._cipher._key)

    @property
    def nonce(self) -> bytes:
        return self._cipher._iv

    def step(self) -> None:
        """The packet of this nonce has passed."""
        nonce = self._cipher._iv
        count = (int.from_bytes(nonce[4:], "big") + 1) & _INVOCATION
        self._cipher._iv = nonce[:4] + count.to_bytes(8, "big")


def _keys_of(encryption: Encryption | None, known: _Keys | None) -> _Keys | None:
    """Those of the present keys; None for another cipher."""
    if known is not None and known.encryption is encryption:
        return known
    return _Keys(encryption) if type(encryption) is GCMEncryption else None


class _PlainClient(asyncssh.SSHClientConnection):
    _heard_s = 0.0
    _sending: _Keys | None = None
    _receiving: _Keys | None = None
    is_short = False
    """Whether it has a channel of ours: to look into packets for others would be for nothing."""

    def _recv_data(self) -> None:
        if self.is_short and self._auth_final and self._transport is not None and self._decompressor is None:
            keys = self._receiving = _keys_of(self._recv_encryption, self._receiving)
            if keys is not None and self._recv_handler == self._recv_pkthdr:
                self._inpbuf = self._taken(self._inpbuf, keys)
                if not self._inpbuf:
                    return
        super()._recv_data()

    def _taken(self, octets: bytes, keys: _Keys) -> bytes:
        """Give the channels what is theirs; what is left begins with a packet that the library must look at."""
        at, least = 0, 4 + _TAG_OCTETS
        self._reset_keepalive_timer()
        aes = keys.aes()
        while len(octets) - at > least:
            header = octets[at : at + 4]
            end = at + least + int.from_bytes(header, "big")
            if end > len(octets):
                break
            try:
                packet = aes.decrypt(keys.nonce, octets[at + 4 : end], header)
            except InvalidTag:
                break
            channel = self._channels.get(int.from_bytes(packet[2:6], "big"))
            data = _data(packet)
            if data is None or not isinstance(channel, _PlainChannel) or not channel.has_room(len(data)):
                break
            keys.step()
            self._recv_seq = (self._recv_seq + 1) & _SEQUENCE
            at = end
            channel.take(data)
            if self._recv_encryption is not keys.encryption or self._transport is None:
                break
        return octets[at:] if at else octets

    def sends_shortly(self) -> bool:
        """Whether data may be sent by `send_data` now."""
        keys = self._sending = _keys_of(self._send_encryption, self._sending)
        return (
            keys is not None
            and self._auth_complete
            and self._kex_complete
            and self._compressor is None
            and self._rekey_bytes_sent < self._rekey_bytes
            and not (self._rekey_seconds and time.monotonic() >= self._rekey_time)
        )

    def send_data(self, channel: int, data: bytes) -> None:
        """Send data of a channel in a packet of its own; its window is the caller's affair."""
        keys = self._sending
        assert keys is not None
        payload = b"".join((_DATA, channel.to_bytes(4, "big"), len(data).to_bytes(4, "big"), data))
        padding = -(self._send_enchdrlen + len(payload)) % self._send_blocksize
        if padding < 4:
            padding += self._send_blocksize
        packet = b"".join((bytes((padding,)), payload, os.urandom(padding)))
        header = len(packet).to_bytes(4, "big")
        self._send(header + keys.aes().encrypt(keys.nonce, packet, header))
        keys.step()
        self._send_seq = (self._send_seq + 1) & _SEQUENCE
        self._rekey_bytes_sent += len(packet)

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


def _data(packet: bytes) -> bytes | None:
    """What a packet brings to a channel; None for one of another kind, or whose lengths contradict each other."""
    if len(packet) < _DATA_AT or packet[1] != _CHANNEL_DATA:
        return None
    end = _DATA_AT + int.from_bytes(packet[6:_DATA_AT], "big")
    return packet[_DATA_AT:end] if end + packet[0] == len(packet) else None


class _PlainChannel(asyncssh.SSHClientChannel[bytes]):
    def has_room(self, size: int) -> bool:
        """Whether so many octets may come now without a word about the window."""
        return (
            self._recv_state == "open"
            and self._send_state not in ("close_pending", "closed")
            and not self._recv_paused
            and 2 * (self._recv_window - size) >= self._init_recv_window
        )

    def take(self, data: bytes) -> None:
        """Deliver data for which there is room."""
        self._recv_window -= len(data)
        if data and self._session is not None:
            self._session.data_received(data, None)

    def write(self, data: bytes, datatype: int | None = None) -> None:
        room = min(self._send_window, self._send_pktsize)
        if (
            datatype is None
            and self._send_state == "open"
            and not self._send_buf
            and 0 < len(data) <= room
            and self._send_chan is not None
            and isinstance(self._conn, _PlainClient)
            and self._conn.sends_shortly()
        ):
            self._send_window -= len(data)
            self._conn.send_data(self._send_chan, data)
        else:
            super().write(data, datatype)

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
    channel._close_event = _Over()
    channel.__dict__ = dict(channel.__dict__)  # half the room: the library's was made to grow
    connection = channel.get_connection()
    if isinstance(connection, _PlainClient):
        connection.is_short = True


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
    _forget_login(connection, alike)
    return connection


def _forget_login(connection: asyncssh.SSHClientConnection, alike: asyncssh.SSHClientConnectionOptions) -> None:
    """Let go of what only a login needs, a quarter of what a connection holds; a later change of keys brings its own.

    Each of its empty sets is as large as a set of four; nobody adds to them after the login.
    """
    connection._options = alike
    connection._client_kexinit = connection._server_kexinit = b""
    connection._server_sig_algs = _NO_ALGORITHMS
    if not (connection._trusted_host_keys or connection._trusted_ca_keys or connection._revoked_host_keys):
        connection._trusted_host_keys = connection._trusted_ca_keys = connection._revoked_host_keys = _NO_KEYS
    if not connection._x509_revoked_certs:
        connection._x509_revoked_certs = _NO_CERTIFICATES
    if not connection._close_event.is_set():
        connection._close_event = _Over()


def _in_cbc(connection: asyncssh.SSHClientConnection) -> bool:
    return "cbc" in str(connection.get_extra_info("send_cipher", "cbc"))
