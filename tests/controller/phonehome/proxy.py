"""A small web proxy: CONNECT, and nothing else (RFC 9110 §9.3.6)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from asyncio import StreamReader, StreamWriter

_CONNECT = re.compile(rb"CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d+) HTTP/1\.1\r\n")


class ConnectProxy:
    """Listens on a free port of 127.0.0.1, carries bytes to numeric addresses."""

    def __init__(self) -> None:
        self.targets: list[tuple[str, int]] = []
        """Where it was asked to connect to."""
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> ConnectProxy:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.sockets[0].getsockname()
        return str(host), int(port)

    async def stop(self) -> None:
        """Close it, and what it carries."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
                await self._connect(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        asked = _CONNECT.match(await reader.readuntil(b"\r\n\r\n"))
        if asked is None:
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            await writer.drain()
            return
        host, port = (asked[1] or asked[2]).decode(), int(asked[3])
        self.targets.append((host, port))
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            await writer.drain()
            return
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            carried = [asyncio.create_task(_carry(reader, back)), asyncio.create_task(_carry(there, writer))]
            try:
                await asyncio.wait(carried, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in carried:
                    each.cancel()
                await asyncio.gather(*carried, return_exceptions=True)
        finally:
            back.transport.abort()


async def _carry(source: StreamReader, sink: StreamWriter) -> None:
    while octets := await source.read(65536):
        sink.write(octets)
        await sink.drain()
