"""Control port of a simulated device: what an examiner asks behind the controller's back.

One JSON object a line in, one a line out, in order, on loopback only:

    → {"cmd": "fault", "name": "wrong_key", "value": true}
    ← {"ok": true, "result": {…}}
    → {"cmd": "frobnicate"}
    ← {"ok": false, "error": {"code": "not-found", "message": …, "next_step": …}}

A connection may ask as often as it likes. A line that is no JSON object, or has no text `cmd`, is answered
with `bad-input`; the connection stays open. Which commands exist is the device's own matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType

from inventory.errors import BadInput, FleetError, NotFound

Handler = Callable[[dict[str, object]], Awaitable[dict[str, object]]]
"""Takes the whole request (with `cmd`), returns the `result` object. A FleetError becomes an error answer."""

LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""A whole configuration text fits into one request."""


class ControlServer:
    """A listening control port; `port` is the one the system chose."""

    def __init__(self, server: asyncio.Server, open_writers: set[asyncio.StreamWriter]) -> None:
        self._server = server
        self._open_writers = open_writers
        self.host, self.port = server.sockets[0].getsockname()[:2]

    async def aclose(self) -> None:
        """Stop listening and end the connections that are open. May be called twice."""
        self._server.close()
        for writer in tuple(self._open_writers):
            writer.close()
        await self._server.wait_closed()

    async def __aenter__(self) -> ControlServer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def serve_control(handlers: Mapping[str, Handler], *, host: str = "127.0.0.1", port: int = 0) -> ControlServer:
    """Listen and answer each request with the handler that its `cmd` names.

    Requests of one connection are answered in order; connections do not wait for each other. `handlers` is
    looked up at each request, so commands may be added while it runs.
    """
    open_writers: set[asyncio.StreamWriter] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            while line := await reader.readline():
                answer = await _answer(line, handlers)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # The examiner hung up, or sent a line beyond the limit: nobody is left to be told.
            pass
        finally:
            open_writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(converse, host, port, limit=LINE_LIMIT_BYTES)
    return ControlServer(server, open_writers)


async def _answer(line: bytes, handlers: Mapping[str, Handler]) -> dict[str, object]:
    try:
        request = _request(line)
        handler = handlers.get(str(request["cmd"]))
        if handler is None:
            raise NotFound(
                f"No control command {request['cmd']!r}.", next_step=f"Known: {', '.join(sorted(handlers))}."
            )
        return {"ok": True, "result": await handler(request)}
    except FleetError as error:
        shown = {"code": error.code, "message": error.message, "next_step": error.next_step}
        return {"ok": False, "error": shown}


def _request(line: bytes) -> dict[str, object]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise BadInput(f"Not JSON: {error}.", next_step="Send one JSON object a line.") from error
    if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
        raise BadInput("A request is an object with a text `cmd`.", field="cmd", next_step='Example: {"cmd": "truth"}.')
    return request


async def ask_control(host: str, port: int, cmd: str, **arguments: object) -> dict[str, object]:
    """One request on a connection of its own; returns `result`.

    Raises BadInput with the device's words when it answers with an error; OSError when nobody listens.
    """
    reader, writer = await asyncio.open_connection(host, port, limit=LINE_LIMIT_BYTES)
    try:
        writer.write(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        await writer.drain()
        answer = json.loads(await reader.readline())
    finally:
        writer.close()
        await writer.wait_closed()
    if not answer["ok"]:
        raise BadInput(answer["error"]["message"], next_step=answer["error"]["next_step"], field="cmd")
    result = answer["result"]
    assert isinstance(result, dict)
    return result
