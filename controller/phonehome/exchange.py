"""One connection of an adapter: its head, its body, our answer; each stage with a deadline (arms-protocol §5, §7)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from typing import Final

from controller.phonehome.certificates import common_name, until_ms
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
READ_BYTES: Final = 65_536
BROKEN: Final = (ConnectionError, ssl.SSLError, EOFError, TimeoutError, OSError)
"""What a connection ends with when the other side or the network fails."""


class Exchange:
    """The server's end of one TLS connection."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, connection: Connection, *, pace: float) -> None:
        self._reader = reader
        self._writer = writer
        self.connection = connection
        self._pace = pace
        self._rest = b""
        peer = writer.get_extra_info("peername")
        self.source: str = str(peer[0]) if peer else ""
        """Address of the other side."""
        here = writer.get_extra_info("sockname")
        self.local: str = str(here[0]) if here else ""
        """Our address that it came to."""
        self.certificate_name = common_name(writer.get_extra_info("peercert"))
        """CN of the certificate that the other side showed; None if none."""
        self.certificate_until_ms = until_ms(writer.get_extra_info("peercert"))
        """When that certificate ends or has ended."""
        tls = writer.get_extra_info("ssl_object")
        self.tls_version: str = (tls.version() if tls is not None else None) or ""
        """Such as `TLSv1.3`."""
        self._socket = writer.get_extra_info("socket")
        self.head: Head | None = None

    async def read_head(self) -> Head:
        """The head of the request. Raises ProtocolViolation (`slow`, `cut`, …)."""
        decoder = HeadDecoder()
        async with self._stage("head", STAGE_S):
            while True:
                found = decoder.feed(await self._some("head"))
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
        async with self._stage("body", LONG_STAGE_S if long else STAGE_S):
            piece, self._rest = self._rest, b""
            taken = 0
            while True:
                taken += len(piece)
                held.set(taken)
                parser.feed(body.feed(piece))
                if body.done:
                    return parser.close()
                piece = await self._some("body")

    async def pieces(self, first_silence_s: float) -> AsyncIterator[bytes]:
        """What comes until the other side closes; raises TimeoutError after a silence of so many seconds."""
        if self._rest:
            piece, self._rest = self._rest, b""
            yield piece
        while True:
            async with asyncio.timeout(first_silence_s / self._pace):
                piece = await self._reader.read(READ_BYTES)
            if not piece:
                return
            self._acknowledge_at_once()
            yield piece

    async def answer(self, answer: bytes) -> None:
        """Send the answer and close. A client that is gone is no error."""
        with contextlib.suppress(*BROKEN):
            self._writer.write(answer)
            async with asyncio.timeout(STAGE_S / self._pace):
                await self._writer.drain()
        await self.close()

    def write(self, piece: bytes) -> None:
        """One write, one TLS record. `drain` waits for room."""
        self._writer.write(piece)

    async def drain(self) -> None:
        """Wait until the other side reads on. Raises TimeoutError when it does not."""
        async with asyncio.timeout(STAGE_S / self._pace):
            await self._writer.drain()

    async def close(self) -> None:
        """Close in an orderly way, or at once if that takes too long."""
        self._writer.close()
        try:
            async with asyncio.timeout(STAGE_S / self._pace):
                await self._writer.wait_closed()
        except BROKEN:
            self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._writer.transport.abort()

    async def _some(self, stage: str) -> bytes:
        try:
            piece = await self._reader.read(READ_BYTES)
        except (ConnectionError, ssl.SSLError) as error:
            raise ProtocolViolation(f"the connection broke in the {stage}: {error}", reason="cut") from None
        if not piece:
            raise ProtocolViolation(f"the connection ended in the {stage}", reason="cut")
        self._acknowledge_at_once()
        return piece

    @contextlib.asynccontextmanager
    async def _stage(self, stage: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds / self._pace):
                yield
        except TimeoutError:
            raise ProtocolViolation(f"the {stage} took longer than {seconds:.0f} s", reason="slow") from None

    def _acknowledge_at_once(self) -> None:
        """The client does not switch Nagle off: a delayed ACK of ours would cost 44 ms a message (§5.3)."""
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
