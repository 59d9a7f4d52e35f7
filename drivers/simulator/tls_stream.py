"""TLS on an asyncio TCP stream, one record at a time.

The standard streams join what arrives and keep a quarter of a megabyte for each connection. The ARMS client
cares about record borders (arms-protocol §5.3), some of its quirks *are* record borders, and it closes TCP
without closing TLS; so the simulator drives the TLS engine itself. An idle stream costs a few kilobytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

READ_OCTETS = 8192
"""The client reads at most this much in one call, so a record of 16 KiB arrives in two reads."""


class LinkLost(Exception):
    """A connection could not be made, broke, or was silent for too long. The words are for the log."""


class TlsStream:
    """An open TLS connection. Made by `connect_tls` and `accept_tls`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._silent = False

    @property
    def local_address(self) -> tuple[str, int]:
        host, port = self._writer.get_extra_info("sockname")[:2]
        return str(host), int(port)

    @property
    def is_closed(self) -> bool:
        return self._writer.transport.is_closing()

    async def handshake(self) -> None:
        """Raises LinkLost with the words of the TLS library when the other side is refused or refuses."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except ssl.SSLError as error:
                with contextlib.suppress(LinkLost):
                    await self._flush()
                raise LinkLost(f"TLS handshake: {error}") from error
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """What one TLS read gives: at most one record and at most 8192 bytes; empty at the end."""
        while True:
            try:
                return self.tls.read(READ_OCTETS)
            except ssl.SSLWantReadError:
                await self._flush()
                if self._incoming.eof:
                    return b""
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise LinkLost(f"TLS read: {error}") from error

    async def write(self, octets: bytes) -> None:
        """Send bytes as a record of their own (16 KiB at most in one record)."""
        try:
            self.tls.write(octets)
        except ssl.SSLError as error:
            raise LinkLost(f"TLS write: {error}") from error
        await self._flush()

    async def close(self) -> None:
        """Orderly end: TLS close, then TCP close."""
        if self._silent:
            return
        with contextlib.suppress(ssl.SSLError, LinkLost):
            try:
                self.tls.unwrap()
            finally:
                await self._flush()
        self.hang_up()

    def hang_up(self) -> None:
        """End TCP without a TLS close, as the reference client does before it applies a configuration."""
        if not self._silent:
            self._writer.close()

    def fall_silent(self) -> None:
        """Neither read, write nor close any more: what a power cut looks like. Only `aclose` ends it."""
        self._silent = True
        with contextlib.suppress(RuntimeError):
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport

    def drop(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()

    async def aclose(self) -> None:
        """Drop the connection at once and wait until the socket is gone."""
        self.drop()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _flush(self) -> None:
        if self._silent or not self._outgoing.pending:
            return
        self._writer.write(self._outgoing.read())
        try:
            await self._writer.drain()
        except OSError as error:
            raise LinkLost(f"send: {error}") from error

    async def _receive(self) -> None:
        try:
            octets = await self._reader.read(65536)
        except OSError as error:
            raise LinkLost(f"receive: {error}") from error
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()


async def connect_tls(
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    local_host: str | None,
    timeout_s: float,
    proxy: tuple[str, int] | None = None,
) -> TlsStream:
    """Dial, from `local_host` and through an HTTP proxy if one is given, and shake hands. Raises LinkLost."""
    stream: TlsStream | None = None
    local = None if local_host is None else (local_host, 0)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(*(proxy or (host, port)), local_addr=local)
            stream = TlsStream(reader, writer, context)
            if proxy is not None:
                await _through_proxy(reader, writer, host, port)
            await stream.handshake()
    except asyncio.CancelledError:
        if stream is not None:
            stream.drop()
        raise
    except (OSError, LinkLost) as error:  # TimeoutError is an OSError
        if stream is not None:
            await stream.aclose()
        raise LinkLost(f"{host} port {port}: {str(error) or 'time-out'}") from error
    return stream


async def _through_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """CONNECT, as the client writes it; IPv6 in brackets here (arms-protocol §5.1, §5.5). Raises LinkLost."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise LinkLost("the proxy gave no answer") from error
    if answer.split(b" ")[1:2] != [b"200"]:
        raise LinkLost(f"the proxy answered {answer[:60]!r}")


async def accept_tls(connection: socket.socket, context: ssl.SSLContext, *, timeout_s: float) -> TlsStream:
    """The server's half of the handshake on an accepted socket. Raises LinkLost."""
    reader, writer = await asyncio.open_connection(sock=connection)
    stream = TlsStream(reader, writer, context, server_side=True)
    try:
        async with asyncio.timeout(timeout_s):
            await stream.handshake()
    except asyncio.CancelledError:
        stream.drop()
        raise
    except (OSError, LinkLost) as error:
        await stream.aclose()
        raise LinkLost(f"handshake with the server: {str(error) or 'time-out'}") from error
    return stream
