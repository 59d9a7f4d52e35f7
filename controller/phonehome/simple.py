"""https-simple: we dial the adapter, one connection for each request (arms-protocol §5.4).

The adapter's certificate is verified before a byte of the request, and with it the key, is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from controller.phonehome.certificates import common_name
from controller.phonehome.endpoints import Endpoint
from controller.phonehome.exchange import BROKEN
from controller.phonehome.peer import Peer
from drivers.arms import framing, messages, rules
from drivers.arms.framing import Head, HeadDecoder
from drivers.arms.ids import basic
from drivers.arms.messages import Request, Response
from inventory.errors import CommandRejected, OutcomeUnknown, ProtocolViolation, Unreachable
from inventory.secrets import Secret

KEY: Final = "https-simple"
"""An adapter has one listener, so there is one such path among those of a peer."""
DIAL_S: Final = 45.0
"""TCP and TLS: the adapter's kernel accepts while a script of 30 s runs, and shakes hands only after it (§5.4)."""
SEND_S: Final = 30.0
GAP_S: Final = 45.0
"""Silence in the middle of an answer after which the adapter hangs; a script of 30 s runs between head and body."""
CLOSE_S: Final = 5.0
READ_BYTES: Final = 65_536
ANSWER_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of an answer; long results come as a `-done` instead."""
_BIG_BYTES: Final = 256 * 1024
_END: Final = b"</arms-message>"
_SHORTEST_S: Final = 3.0
"""What machines compute is not faster under a pace."""


@dataclass(frozen=True, slots=True)
class Dialling:
    """What a call needs besides the adapter: the TLS context, which is kept up to date, and the pace."""

    tls: ssl.SSLContext
    """Verifies the adapter CA and shows our RS certificate."""
    pace: float

    def real_s(self, seconds: float) -> float:
        """Real seconds of so many of protocol time."""
        return max(seconds / self.pace, min(seconds, _SHORTEST_S))


class SimplePath:
    """The push endpoint of one adapter, as a path beside its tunnels; see `peer.Path`."""

    key = KEY
    method = "https-simple"

    def __init__(
        self,
        peer: Peer,
        endpoint: Endpoint,
        *,
        source: str,
        result_url: str,
        dialling: Dialling,
        on_drop: Callable[[], None],
    ) -> None:
        self.endpoint = endpoint
        self.source = source
        self.result_url = result_url
        """Where the adapter posts its results; in every request (§6.5)."""
        self.heard_ms = peer.clock.monotonic_ms()
        self.confirmed_ms: int | None = None
        self.ended: str | None = None
        self._peer = peer
        self._dialling = dialling
        self._on_drop = on_drop

    def drop(self, reason: str) -> None:
        """Nothing is open between two requests; the endpoint is not dialled any more."""
        if self.ended is None:
            self.ended = reason
            self._on_drop()

    async def ask(self, request: Request, *, timeout_s: float) -> Response:
        """Dial, verify, send, read the answer; `timeout_s` real seconds for all of it.

        Raises BadInput for a request that must not be sent, Unreachable when nothing was sent, OutcomeUnknown when it
        was sent and not answered, CommandRejected when the adapter refused it as HTTP, before it looked into it.
        """
        document = rules.encode(replace(request, result_url=self.result_url))
        call = _Call(self._peer, self.endpoint, self._dialling, request.type)
        try:
            async with asyncio.timeout(timeout_s):
                head, body = await self._with_each_key(call, document)
        except TimeoutError:
            raise call.failed(f"no answer within {timeout_s:.0f} s") from None
        self.heard_ms = self._peer.clock.monotonic_ms()
        if head.status != 200:
            # Its status line alone counts: the rest of such an answer contradicts itself (§5.4).
            raise call.refused(head.status)
        response = await _read(call, body)
        self._peer.started(request.type, response, None)
        return response

    async def _with_each_key(self, call: _Call, document: bytes) -> tuple[Head, bytes]:
        """The key that it knows as far as we know; turned away with 401, the other one that is good now (§10.4)."""
        first, *others = self._peer.identity.rs_keys.towards(self._peer.clock.now_ms())
        head, body = await call.make(document, first)
        for key in others if head.status == 401 else ():
            head, body = await call.make(document, key)
        return head, body


async def _read(call: _Call, body: bytes) -> Response:
    try:
        message = await asyncio.to_thread(messages.read, body) if len(body) > _BIG_BYTES else messages.read(body)
    except ProtocolViolation as violation:
        raise call.failed(f"its answer cannot be read: {violation.message}") from None
    if not isinstance(message, Response) or message.type not in {call.step, "generic-error"}:
        raise call.failed(f"it answered with {message.type[:64]!r}")
    return message


class _Call:
    """Connections for one request: a second one only when the first was turned away with 401."""

    def __init__(self, peer: Peer, endpoint: Endpoint, dialling: Dialling, step: str) -> None:
        self.step = step
        self._identity = peer.identity
        self._endpoint = endpoint
        self._dialling = dialling
        self._sent = False

    async def make(self, document: bytes, key: Secret) -> tuple[Head, bytes]:
        """Head and body of the answer. Raises Unreachable or OutcomeUnknown."""
        self._sent = False
        reader, writer = await self._dial()
        try:
            self._verify(writer)
            authorization = basic(self._identity.distribution_id, key)
            self._sent = True
            writer.write(framing.push_request_head(authorization, len(document)) + document)
            async with asyncio.timeout(self._dialling.real_s(SEND_S)):
                await writer.drain()
            answer = await self._answer(reader)
            await self._hang_up(writer)
            return answer
        except TimeoutError:
            raise self.failed("it hung in the middle of its answer, or did not take the request") from None
        except BROKEN as error:
            raise self.failed(f"the connection broke ({type(error).__name__})") from None
        except ProtocolViolation as violation:
            raise self.failed(f"its answer cannot be read: {violation.message}") from None
        finally:
            writer.transport.abort()

    async def _dial(self) -> tuple[StreamReader, StreamWriter]:
        dial_s = self._dialling.real_s(DIAL_S)
        try:
            async with asyncio.timeout(dial_s):
                return await asyncio.open_connection(
                    str(self._endpoint.address),
                    self._endpoint.port,
                    ssl=self._dialling.tls,
                    ssl_handshake_timeout=dial_s,
                    ssl_shutdown_timeout=self._dialling.real_s(CLOSE_S),
                )
        except ssl.SSLCertVerificationError as error:
            raise self.failed(f"its certificate is not of our adapter CA ({error.verify_message})") from None
        except TimeoutError:
            raise self.failed(f"no TLS connection within {dial_s:.0f} s") from None
        except BROKEN as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise self.failed(f"it cannot be dialled ({words})") from None

    def _verify(self, writer: StreamWriter) -> None:
        """The chain was verified by the handshake; the name must be the adapter's own (§3)."""
        name = common_name(writer.get_extra_info("peercert"))
        if name != self._identity.distribution_id:
            raise self.failed(f"its certificate is that of {(name or 'nobody')[:64]!r}")

    async def _answer(self, reader: StreamReader) -> tuple[Head, bytes]:
        """The status, and with 200 the bytes to the end of the message. A reset after it is normal."""
        decoder = HeadDecoder()
        found = decoder.feed(await self._some(reader))  # a script may run before the first byte
        while found is None:
            found = decoder.feed(await self._more(reader))
        head, rest = found
        if not head.status:
            raise ProtocolViolation("it answered with a request", reason="malformed")
        if head.status != 200:
            return head, b""
        body = bytearray(rest)
        searched = 0
        while (end := body.find(_END, searched)) < 0:
            searched = max(0, len(body) - len(_END))
            body += await self._more(reader)
            if len(body) > ANSWER_LIMIT:
                raise ProtocolViolation(f"it is longer than {ANSWER_LIMIT} bytes", reason="oversize")
        return head, bytes(body[: end + len(_END)])

    async def _more(self, reader: StreamReader) -> bytes:
        async with asyncio.timeout(self._dialling.real_s(GAP_S)):
            return await self._some(reader)

    async def _some(self, reader: StreamReader) -> bytes:
        piece = await reader.read(READ_BYTES)
        if not piece:
            raise ProtocolViolation("it ended in the middle", reason="cut")
        return piece

    async def _hang_up(self, writer: StreamWriter) -> None:
        """The adapter closes after its answer; a reset is as good (§5.4)."""
        writer.close()
        with contextlib.suppress(*BROKEN):
            async with asyncio.timeout(self._dialling.real_s(CLOSE_S)):
                await writer.wait_closed()

    def failed(self, words: str) -> Unreachable | OutcomeUnknown:
        """What went wrong, told apart by whether the request had left."""
        said = f"{self.step} to {self._endpoint.url}: {words}"
        if self._sent:
            return OutcomeUnknown(
                said,
                serial=str(self._identity.serial),
                step=self.step,
                next_step="Read the device back before anything else is sent.",
            )
        return Unreachable(
            said,
            serial=str(self._identity.serial),
            step=self.step,
            next_step="Nothing was sent. Check that the adapter's push port can be reached from here.",
        )

    def refused(self, status: int) -> CommandRejected:
        """It turned the request away before it looked into it."""
        rejected = CommandRejected(
            f"{self.step} to {self._endpoint.url} was refused with HTTP {status}",
            serial=str(self._identity.serial),
            step=self.step,
            next_step="Nothing was started. 401: let the adapter pull again from the LS, which gives it the RS key.",
        )
        rejected.facts["http_status"] = status
        return rejected
