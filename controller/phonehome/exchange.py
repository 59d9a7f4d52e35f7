"""One connection of an adapter: its head, its body, our answer; each stage with a deadline (arms-protocol §5, §7)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from controller.phonehome.certificates import common_name, serial_of, until_ms
from controller.phonehome.listener import Connection
from controller.phonehome.room import Held
from drivers.arms import framing
from drivers.arms.framing import Head, HeadDecoder
from drivers.arms.ids import Credential, read_basic
from drivers.arms.xml import Element, TreeParser
from inventory.errors import ProtocolViolation

STAGE_S: Final = 30.0
"""The clients give each stage 30 s (§7); so do we. Divided by the pace."""
LONG_STAGE_S: Final = 900.0
"""For the body of a `-done` of a proven adapter, which may have 64 MiB."""
MAX_UNREAD: Final = 131_072
"""Bytes that wait for their reader before the other side is made to wait."""
BROKEN: Final = (ConnectionError, ssl.SSLError, EOFError, TimeoutError, OSError)
"""What a connection ends with when the other side or the network fails."""


class Taker(Protocol):
    """Whoever takes what comes once the head is read: nothing waits for an idle connection, so it costs no task."""

    def received(self, piece: bytes) -> None:
        """Bytes came."""
        ...

    def lost(self, error: Exception | None) -> None:
        """The connection is over, by whomever; called once."""
        ...


class Exchange(asyncio.Protocol):
    """The server's end of one TLS connection: a coroutine reads it, or a `Taker` is told.

    `over` is called when the connection is no more.
    """

    __slots__ = (
        "_closed",
        "_drainers",
        "_ended",
        "_error",
        "_full",
        "_over",
        "_pace",
        "_reader",
        "_rest",
        "_socket",
        "_taker",
        "_transport",
        "_unread",
        "_unread_bytes",
        "body_bytes",
        "certificate_name",
        "certificate_serial",
        "certificate_until_ms",
        "connection",
        "head",
        "local",
        "source",
        "tls_version",
    )

    def __init__(self, connection: Connection, over: Callable[[Exchange], None], *, pace: float) -> None:
        self.connection = connection
        self._over = over
        self._pace = pace
        self._rest = b""
        self._unread: deque[bytes] | None = None
        self._unread_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._drainers: list[asyncio.Future[None]] = []
        self._taker: Taker | None = None
        self._closed: asyncio.Future[None] | None = None
        self._full = False
        self._ended = False
        self._error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self.source = ""
        """Address of the other side."""
        self.local = ""
        """Our address that it came to."""
        self.certificate_name: str | None = None
        """CN of the certificate that the other side showed; None if none."""
        self.certificate_serial: str | None = None
        """Its serial number in hex."""
        self.certificate_until_ms: int | None = None
        """When that certificate ends or has ended."""
        self.tls_version = ""
        """Such as `TLSv1.3`."""
        self.head: Head | None = None
        self.body_bytes = 0
        """What has come of the body."""

    # --- the loop's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's class is none of asyncio's
        peer = transport.get_extra_info("peername")
        self.source = str(peer[0]) if peer else ""
        here = transport.get_extra_info("sockname")
        self.local = str(here[0]) if here else ""
        certificate = transport.get_extra_info("peercert")
        self.certificate_name = common_name(certificate)
        self.certificate_serial = serial_of(certificate)
        self.certificate_until_ms = until_ms(certificate)
        tls = transport.get_extra_info("ssl_object")
        self.tls_version = (tls.version() if tls is not None else None) or ""
        if certificate:
            # The transport keeps it for as long as a tunnel lives; nobody looks at the rest of it.
            certificate.clear()
        if hasattr(socket, "TCP_QUICKACK"):
            self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._acknowledge_at_once()
        if self._taker is not None:
            self._taker.received(data)
            return
        if self._unread is None:
            self._unread = deque()
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > MAX_UNREAD:
            self.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`. TLS cannot be half closed, so its transport closes; a plain one can be answered.

        For a `Taker` it is over: nobody would tell it that nothing more comes.
        """
        self._ended = True
        self._wake()
        return not self.tls_version and self._taker is None

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._ended = True
        self._error = exc
        self._transport = None
        self._socket = None
        self._wake()
        self._resume_drainers()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.lost(exc)
        self.connection.ended()
        self._over(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full = False
        self._resume_drainers()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _resume_drainers(self) -> None:
        drainers, self._drainers = self._drainers, []
        for drainer in drainers:
            if not drainer.done():
                drainer.set_result(None)

    @property
    def lost(self) -> bool:
        """The connection is over."""
        return self._transport is None

    # --- reading ------------------------------------------------------------------------------------------------------

    async def read_head(self) -> Head:
        """The head of the request. Raises ProtocolViolation (`slow`, `cut`, …)."""
        decoder = HeadDecoder()
        ends_s = self._in(STAGE_S)
        while True:
            found = decoder.feed(await self._some("head", STAGE_S, ends_s))
            if found is not None:
                self.head, self._rest = found
                return self.head

    def credential(self) -> Credential | None:
        """What the Authorization header says; None when it is missing or broken."""
        assert self.head is not None
        return read_basic(self.head.get("Authorization"))

    async def read_document(self, *, limit: int, long: bool, held: Held) -> Element:
        """The XML of the body, parsed as it comes; `held` counts it. Raises ProtocolViolation."""
        assert self.head is not None
        body = framing.body_decoder(self.head, limit=limit)
        parser = TreeParser(limit=limit)
        seconds = LONG_STAGE_S if long else STAGE_S
        ends_s = self._in(seconds)
        piece, self._rest = self._rest, b""
        while True:
            self.body_bytes += len(piece)
            held.set(self.body_bytes)
            parser.feed(body.feed(piece))
            if body.done:
                return parser.close()
            piece = await self._some("body", seconds, ends_s)

    def hand_over(self, taker: Taker) -> None:
        """From now on `taker` is told of whatever comes, first of what came with the head."""
        self._taker, self._reader = taker, None
        waiting = [self._rest, *(self._unread or ())]
        self._rest, self._unread, self._unread_bytes, self.head = b"", None, 0, None
        for piece in waiting:
            if piece:
                taker.received(piece)
        if self._transport is None:
            self._taker = None
            taker.lost(self._error)
        else:
            self.connection.keep(self.abort)
            self.resume_reading()
            if self._ended:  # its end came with the head
                self._transport.close()

    def pause_reading(self) -> None:
        """Let the other side wait."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let it go on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- writing ------------------------------------------------------------------------------------------------------

    async def answer(self, answer: bytes) -> None:
        """Send the answer and close. A client that is gone is no error.

        Nothing waits for the closing: the listener's `ssl_shutdown_timeout` ends a connection that does not close.
        """
        with contextlib.suppress(*BROKEN):
            self.write(answer)
            await self.drain()
        if self._transport is not None:
            self.connection.keep(self.abort)
            self._transport.close()

    def write(self, piece: bytes) -> None:
        """One write, one TLS record. `drain` waits for room."""
        if self._transport is not None:
            self._transport.write(piece)

    @property
    def full(self) -> bool:
        """The other side does not read on: what is written is kept in memory."""
        return self._full

    @property
    def unsent_bytes(self) -> int:
        """What is written and not yet with the kernel."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until the other side reads on. Raises TimeoutError when it does not, ConnectionError when it is gone."""
        if self._transport is None:
            raise ConnectionResetError("the connection is lost")
        if not self._full:
            return
        drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drainers.append(drained)
        async with asyncio.timeout(STAGE_S / self._pace):
            await drained
        if self._transport is None:
            raise ConnectionResetError("the connection is lost")

    async def close(self) -> None:
        """Close in an orderly way, or at once if that takes too long."""
        if self._transport is None:
            return
        self._transport.close()
        loop = asyncio.get_running_loop()
        if self._closed is None:
            self._closed = loop.create_future()
        timer = loop.call_later(STAGE_S / self._pace, self.abort)
        try:
            await asyncio.shield(self._closed)
        finally:
            timer.cancel()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _in(self, seconds: float) -> float:
        """The loop's time in so many seconds of protocol time."""
        return asyncio.get_running_loop().time() + seconds / self._pace

    async def _some(self, stage: str, seconds: float, ends_s: float) -> bytes:
        """The next bytes. A timer runs only while there are none: nearly every request comes in one piece."""
        loop = asyncio.get_running_loop()
        while True:
            if loop.time() >= ends_s:
                raise ProtocolViolation(f"the {stage} took longer than {seconds:.0f} s", reason="slow")
            if self._unread:
                break
            if self._error is not None:
                raise ProtocolViolation(f"the connection broke in the {stage}: {self._error}", reason="cut")
            if self._ended:
                raise ProtocolViolation(f"the connection ended in the {stage}", reason="cut")
            self._reader = loop.create_future()
            timer = loop.call_at(ends_s, self._wake)
            try:
                await self._reader
            finally:
                timer.cancel()
        piece = self._unread.popleft()
        if self._unread_bytes > MAX_UNREAD >= self._unread_bytes - len(piece):
            self.resume_reading()
        self._unread_bytes -= len(piece)
        return piece

    def _acknowledge_at_once(self) -> None:
        """The client does not switch Nagle off: a delayed ACK of ours would cost 44 ms a message (§5.3)."""
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
