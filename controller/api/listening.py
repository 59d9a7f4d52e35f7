"""The HTTP side of the API against clients that send too much or too slowly; bodies are judged in `app.LimitedBody`."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_AT_MOST: Final = 64 * 1024
"""Octets of a request line and its header fields; the parser itself knows no limit."""
HEAD_S: Final = 15.0
"""From the connection, or the first octet of a further request, to the end of the head."""
SHORTEST_S: Final = 5.0
"""What a client and this machine compute is not faster under a pace: no deadline of the API is pressed below this."""
KEPT_S: Final = 75
"""How long a connection stays open between requests: longer than clients (5 s) and proxies (60 s) keep theirs. Who
closes first must be the one who sends, or a request meets a connection that is being closed (RFC 9112 §9.3.1)."""
CONNECTIONS_AT_MOST: Final = 1000
"""More are answered 503."""


def deadline_s(seconds: float, pace: float) -> float:
    """Real seconds that a client has, of a deadline that is longer than `SHORTEST_S`."""
    return max(seconds / pace, min(seconds, SHORTEST_S))


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with a limit and a deadline for the head."""

    pace: float = 1.0

    def __init__(self, *passed: Any, **named: Any) -> None:
        super().__init__(*passed, **named)
        self._head_octets = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._head_ends()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._in_head:
            self._head_octets += len(data)
        super().data_received(data)
        if self._in_head and self._head_octets > HEAD_AT_MOST and not self.transport.is_closing():
            self.send_400_response("The head is too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_begins()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_ends()
        super().on_headers_complete()

    def _head_begins(self) -> None:
        if self._head_timer is None:
            self._head_octets = 0
            self._head_timer = self.loop.call_later(deadline_s(HEAD_S, self.pace), self._too_slow)
        self._in_head = True

    def _head_ends(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.send_400_response("The head took too long.")


def bounded(pace: float) -> type[BoundedHttp]:
    """The protocol with its deadline divided by the pace."""
    return type("BoundedHttp", (BoundedHttp,), {"pace": pace})
