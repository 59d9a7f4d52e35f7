"""One https-tunnel: chunks in, chunks out, one adapter at the other end (arms-protocol §5.3)."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from controller.phonehome.exchange import BROKEN, Exchange
from controller.phonehome.peer import Peer
from controller.phonehome.room import Held
from drivers.arms import framing, messages, rules
from drivers.arms.framing import Assembler, Echo, End, Frame, Piece, TunnelDecoder
from drivers.arms.messages import Message, Request, Response
from drivers.arms.parameters import PushConfirmationStart
from drivers.arms.results import SUCCESS
from inventory.errors import BadInput, OutcomeUnknown, ProtocolViolation

SILENCE_LOOK_S: Final = 5.0
"""How often all tunnels are looked at for one from which nothing comes."""
GRACE_S: Final = 60.0
"""Silence beyond two echo intervals after which a tunnel is dropped."""
CONFIRMATIONS: Final = 4
"""Confirmations of one tunnel that may be without an answer; a client that starts more never answers."""
_BIG_BYTES: Final = 256 * 1024
"""Messages above this are parsed beside the loop."""
_REFUSED: Final = 301


@dataclass(slots=True)
class Expected:
    """A request of ours that the adapter has not answered; it answers strictly in order."""

    type: str
    answer: asyncio.Future[Response]
    deadline_ms: int
    transaction_id: int | None = None


class Tunnel:
    """A tunnel whose adapter is proven by its key. `start` it; it lives by itself until it ends.

    It has no task: bytes are taken as they come, and only what must wait (for an adapter that does not read, for a big
    message) is waited for by a task of its own, while the adapter is made to wait too.
    """

    __slots__ = (
        "_assembler",
        "_behind",
        "_clock",
        "_decoder",
        "_exchange",
        "_expected",
        "_held",
        "_ids",
        "_looked_ms",
        "_on_confirmed",
        "_on_ended",
        "_peer",
        "_quiet",
        "_silence_s",
        "_waiting",
        "ended",
        "heard_ms",
        "key",
        "source",
    )

    method = "https-tunnel"

    def __init__(
        self,
        exchange: Exchange,
        peer: Peer,
        *,
        key: str,
        echo_interval_s: int,
        on_confirmed: Callable[[Peer, Tunnel], None],
        on_ended: Callable[[Peer, Tunnel], None],
        held: Held,
    ) -> None:
        self.key = key
        self.source = exchange.source
        self.heard_ms = peer.clock.monotonic_ms()
        self._exchange = exchange
        self._peer = peer
        self._clock = peer.clock
        self._silence_s = 2 * echo_interval_s + GRACE_S
        self._looked_ms = 0
        self._quiet = 0
        self._on_confirmed = on_confirmed
        self._on_ended = on_ended
        self._held = held
        self._ids = itertools.count(secrets.randbelow(2**20) + 1)
        self._expected: list[Expected] = []
        self._decoder = TunnelDecoder()
        self._assembler = Assembler(limit=messages.DONE_LIMIT)
        self._behind: list[bytes] = []
        self._waiting: asyncio.Task[None] | None = None
        self.ended: str | None = None
        """Why it ended; None while it is open."""

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Accept it, and take what comes."""
        self._exchange.write(framing.TUNNEL_ACCEPTED)
        self._exchange.hand_over(self)

    @property
    def certificate_serial(self) -> str | None:
        """Serial number in hex of the certificate that opened it; None if none was shown."""
        return self._exchange.certificate_serial

    def look(self) -> None:
        """End it if it is silent for too long; called every `SILENCE_LOOK_S`, so that it needs no timer of its own.

        Looks are counted, not time: a node that was frozen reads what has come meanwhile before it judges. Silence is
        normal while a script of ours runs (§5.3).
        """
        if self.heard_ms != self._looked_ms:
            self._looked_ms, self._quiet = self.heard_ms, 0
            return
        self._quiet += 1
        if self._expected and self._clock.monotonic_ms() < self._expected[0].deadline_ms:
            return
        if self._quiet * SILENCE_LOOK_S >= self._silence_s and self.ended is None:
            self.drop("nothing was heard for too long")

    def lost(self, error: Exception | None) -> None:
        """See `Taker`."""
        self._end("the adapter closed the connection" if error is None else _broken(error))
        if self._waiting is not None:
            self._waiting.cancel()
        self._peer.closed(self)
        self._on_ended(self._peer, self)

    def _end(self, reason: str) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        self._held.set(0)
        for expected in self._expected:
            if not expected.answer.done():
                expected.answer.set_exception(self._unknown(expected.type, f"the tunnel ended: {reason}"))
                expected.answer.exception()
        self._expected.clear()

    def drop(self, reason: str) -> None:
        """See `peer.Path`."""
        self._end(reason)
        self._exchange.abort()

    async def close(self, reason: str) -> None:
        """The orderly end: the adapter drops the tunnel and comes back after its interval."""
        if self.ended is None:
            self._exchange.write(framing.encode(End()))
        self._end(reason)
        await self._exchange.close()

    # --- frames in ----------------------------------------------------------------------------------------------------

    def received(self, piece: bytes) -> None:
        """See `Taker`."""
        self.heard_ms = self._clock.monotonic_ms()
        if self.ended is not None:
            return
        if self._waiting is not None:
            # TLS had it already when the adapter was made to wait.
            self._behind.append(piece)
            return
        try:
            frames = iter(self._decoder.feed(piece))
            document = self._take_all(frames)
        except ProtocolViolation as violation:
            self.drop(f"{violation.reason}: {violation.message}")
            return
        if document is not None or self._exchange.full:
            self._exchange.pause_reading()
            self._waiting = asyncio.get_running_loop().create_task(self._catch_up(document, frames))

    async def _catch_up(self, document: bytes | None, frames: Iterator[Frame]) -> None:
        """Go on with what had to wait; what came meanwhile follows in order."""
        try:
            while self.ended is None:
                if document is not None:
                    self._message(await asyncio.to_thread(messages.read, document), len(document))
                await self._room_to_write()
                document = self._take_all(frames)
                if document is not None or self._exchange.full:
                    continue
                if not self._behind:
                    break
                frames = iter(self._decoder.feed(self._behind.pop(0)))
        except ProtocolViolation as violation:
            self.drop(f"{violation.reason}: {violation.message}")
        except BROKEN as error:
            self.drop(_broken(error))
        finally:
            self._waiting = None
        self._exchange.resume_reading()

    async def _room_to_write(self) -> None:
        try:
            await self._exchange.drain()
        except TimeoutError:
            raise ProtocolViolation("it does not read what it is sent", reason="unread") from None

    def _take_all(self, frames: Iterator[Frame]) -> bytes | None:
        """Take frames until one must wait; then the document that is to be parsed beside the loop, if that is why."""
        for frame in frames:
            match frame:
                case End():
                    self.drop("the adapter ended it")
                case Echo(kind="echo-request"):
                    self._exchange.write(framing.encode(Echo("echo-response", frame.body)))
                case Piece():
                    document = self._assembler.add(frame)
                    self._held.set(self._assembler.bytes)
                    if document is not None and len(document) > _BIG_BYTES:
                        return document
                    if document is not None:
                        self._message(messages.read(document), len(document))
                case _:
                    pass
            if self.ended is not None or self._exchange.full:
                break
        return None

    def _message(self, message: Message, size: int) -> None:
        if isinstance(message, Response):
            self._response(message)
        elif message.distribution_id != self._peer.identity.distribution_id:
            raise ProtocolViolation("a message in the tunnel names another adapter", reason="identity")
        else:
            self._request(message, size)

    def _request(self, request: Request, size: int) -> None:
        if request.type.endswith("-done"):
            self._peer.finished(request, self._answer_done, size=size)
        elif request.type == "push-confirmation-start":
            self._confirm(request)
        else:
            self._send(Response(request.type, _REFUSED, description="Server Busy"))

    def _answer_done(self, response: Response) -> bool:
        """Our answer to a `-done` that came on this tunnel, if it is still there."""
        if self.ended is None:
            self._send(response)
        return self.ended is None

    def _confirm(self, request: Request) -> None:
        """Both answers back to back (§6.4); the ids are random and bound to this tunnel."""
        method = request.parameters
        assert isinstance(method, PushConfirmationStart)
        if method.method != "https-tunnel":
            raise ProtocolViolation("only https-tunnel can be confirmed in a tunnel", reason="malformed")
        if sum(each.type == "push-confirmation-done" for each in self._expected) >= CONFIRMATIONS:
            raise ProtocolViolation("it starts confirmations and answers none", reason="order")
        id_ = 1 + secrets.randbelow(rules.MAX_ID)
        self._send(Response("push-confirmation-start", SUCCESS, transaction_id=id_, description="Success"))
        done = Request(
            "push-confirmation-done",
            self._peer.identity.distribution_id,
            transaction_id=id_,
            description="push",
        )
        self._expect("push-confirmation-done", 60.0, id_)
        self._send(done)

    def _response(self, response: Response) -> None:
        if not self._expected:
            raise ProtocolViolation(f"an answer of type {response.type!r} to no request", reason="order")
        expected = self._expected.pop(0)
        if response.type not in {expected.type, "generic-error"}:
            raise ProtocolViolation(f"{expected.type} was answered by {response.type!r}", reason="order")
        self._peer.started(expected.type, response, self)
        if expected.type == "push-confirmation-done":
            self._confirmed(expected, response)
        if not expected.answer.done():
            expected.answer.set_result(response)

    def _confirmed(self, expected: Expected, response: Response) -> None:
        if response.result_code != SUCCESS or response.transaction_id not in {expected.transaction_id, None}:
            raise ProtocolViolation("the confirmation was not confirmed", reason="order")
        self._peer.confirm(self)
        self._on_confirmed(self._peer, self)

    # --- messages out -------------------------------------------------------------------------------------------------

    async def ask(self, request: Request, *, timeout_s: float) -> Response:
        """Send a request, wait for its response. Raises BadInput before, OutcomeUnknown after something was sent."""
        chunks = framing.encode_message(rules.encode(request), id=self._next_id())
        if self.ended is not None:
            raise self._unknown(request.type, f"the tunnel ended: {self.ended}")
        expected = self._expect(request.type, timeout_s, None)
        for chunk in chunks:
            self._exchange.write(chunk)
        try:
            async with asyncio.timeout(timeout_s):
                await self._exchange.drain()
                return await expected.answer
        except TimeoutError:
            # A late answer would be taken for that of the next request.
            self.drop(f"no answer to {request.type} within {timeout_s:.0f} s")
            raise self._unknown(request.type, f"no answer within {timeout_s:.0f} s") from None
        except BROKEN as error:
            self.drop(f"the connection broke ({type(error).__name__})")
            raise self._unknown(request.type, "the connection broke while it was sent") from None

    def _expect(self, type_: str, timeout_s: float, transaction_id: int | None) -> Expected:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        deadline_ms = self._clock.monotonic_ms() + round(timeout_s * 1000)
        expected = Expected(type_, future, deadline_ms, transaction_id)
        self._expected.append(expected)
        return expected

    def _send(self, message: Message) -> None:
        try:
            document = rules.encode(message)
        except BadInput as refused:
            # What it asked has no legal answer, such as a type that no answer belongs to.
            raise ProtocolViolation(f"it cannot be answered: {refused.message}", reason="malformed") from refused
        for chunk in framing.encode_message(document, id=self._next_id()):
            self._exchange.write(chunk)

    def _next_id(self) -> int:
        return next(self._ids) % framing.MAX_ID or 1

    def _unknown(self, step: str, words: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{step}: {words}",
            serial=str(self._peer.identity.serial),
            step=step,
            next_step="Read the device back before anything else is sent.",
        )


def _broken(error: BaseException) -> str:
    return f"the connection broke ({type(error).__name__})"
