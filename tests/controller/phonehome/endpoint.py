"""A push endpoint that is not the device that it should be: it writes down every byte that it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from controller.phonehome.certificates import Pair, common_name
from drivers.arms.messages import Response, write
from drivers.arms.xml import DECLARATION

OK_HEAD = b"HTTP/1.0 200 OK\r\nServer: armsd\r\nConnection: close\r\nContent-Type: text/xml\r\n\r\n"
CLIENT_DECLARATION = b'<?xml version="1.0" encoding="US-ASCII" ?>\r'
Answering: TypeAlias = Callable[[bytes, StreamWriter], Awaitable[None]]


def answer_to(type_: str, code: int = 100) -> bytes:
    """A whole answer in the client's form."""
    return OK_HEAD + CLIENT_DECLARATION + write(Response(type_, code)).removeprefix(DECLARATION)


class Endpoint:
    """Listens with a certificate; `answering` is given what came and writes what it likes."""

    def __init__(self, pair: Pair, client_ca: str, answering: Answering) -> None:
        self.received: list[bytes] = []
        """What each connection sent, after TLS."""
        self.callers: list[str | None] = []
        """CN of the certificate that each caller showed."""
        self.connections = 0
        self._pair = pair
        self._client_ca = client_ca
        self.answering = answering
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1") -> Endpoint:
        """Listen on a free port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=self._client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self._pair.key.reveal() + self._pair.certificate)
            file.flush()
            context.load_cert_chain(file.name)
        self._server = await asyncio.start_server(self._serve, host, 0, ssl=context)
        return self

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """What a device would announce."""
        return f"https://127.0.0.1:{self.port}/"

    async def stop(self) -> None:
        """Close it."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.callers.append(common_name(writer.get_extra_info("peercert")))
        try:
            with contextlib.suppress(asyncio.CancelledError, OSError, ssl.SSLError):
                request = await self._request(reader)
                await self.answering(request, writer)
                await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _request(self, reader: StreamReader) -> bytes:
        at = len(self.received)
        self.received.append(b"")
        while b"</arms-message>" not in self.received[at] and (octets := await reader.read(65536)):
            self.received[at] += octets
        return self.received[at]
