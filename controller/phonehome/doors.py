"""The two TLS listeners: LS, and RS with its tunnels (arms-protocol §10.2, architecture §6)."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from controller.phonehome import answers, believing, tls
from controller.phonehome.confirming import Confirmations
from controller.phonehome.context import Context
from controller.phonehome.exchange import Exchange
from controller.phonehome.listener import Connection
from controller.phonehome.peer import CLAIM_S
from controller.phonehome.proof import Prover
from controller.phonehome.pulls import Pulls
from controller.phonehome.renewal import Renewal
from controller.phonehome.replies import IDENTITY, PHRASES, Asked, Replies
from controller.phonehome.tunneldoor import TunnelDoor
from drivers.arms import framing, messages, rules
from drivers.arms.ids import Credential, DistributionId
from drivers.arms.messages import Envelope, Request, Response
from drivers.arms.parameters import ConfigSolicitation, PushConfirmationStart, PushMethodQuery, RsSolicitation
from inventory.admission import Caller, Door, admit
from inventory.contacts import ArmsIdentity
from inventory.errors import FleetError, ProtocolViolation

log = structlog.get_logger(__name__)

STOP_S: Final = 2.0
"""What a connection may still take when the node stops; those that are held at the gate are cut after it."""
DONE_S: Final = 2 * CLAIM_S
"""What a `-done` over HTTP may wait for its answer; whoever wants it stored has claimed and stored it long before."""


class Doors:
    """The listeners' protocols; one a connection."""

    def __init__(self, context: Context, prover: Prover, renewal: Renewal, confirmations: Confirmations) -> None:
        self._context = context
        self._confirmations = confirmations
        self._open: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = self._open.discard  # made once, for a connection keeps it for its whole life
        self._replies = Replies(context)
        self._pulls = Pulls(context, self._replies, renewal)
        self._tunnels = TunnelDoor(context, prover)

    def connection(self, connection: Connection) -> Exchange:
        """What speaks on a new connection."""
        return Exchange(connection, self._over, pace=self._context.clock.pace)

    async def location(self, exchange: Exchange) -> None:
        """A connection to the LS."""
        await self._serve(Door.LS, exchange)

    async def resource(self, exchange: Exchange) -> None:
        """A connection to the RS: a pull, a `-done`, or a tunnel."""
        await self._serve(Door.RS, exchange)

    async def _serve(self, door: Door, exchange: Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        if exchange.lost:
            return
        self._open.add(exchange)
        self._tasks.add(task)
        try:
            await self._exchange(door, exchange)
        except asyncio.CancelledError:
            exchange.abort()
        except Exception:
            # One connection must not take the listener down.
            log.exception("phonehome.connection-failed", source=exchange.source)
            exchange.abort()
        finally:
            self._tasks.discard(task)

    async def stop(self) -> None:
        """End every connection that is still open: its socket first, so that what it is writing is written."""
        for exchange in list(self._open):
            exchange.abort()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_S)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        while self._open:  # noqa: ASYNC110  # the loop tells each that it is gone
            await asyncio.sleep(0)

    # --- who is it ----------------------------------------------------------------------------------------------------

    async def _exchange(self, door: Door, exchange: Exchange) -> None:
        try:
            head = await exchange.read_head()
            credential = exchange.credential()
        except ProtocolViolation as violation:
            await self._malformed(exchange, None, "", violation)
            return
        user = _well_formed(credential.user) if credential else None
        of_user = await self._context.identity(user) if user else None
        if door is Door.RS and head.target.partition("?")[0] in answers.TUNNEL_PATHS:
            await self._tunnels.take(exchange, of_user, credential, user)
            return
        trusted = (
            of_user is not None
            and believing.key_ok(self._context, door, of_user, credential)
            and believing.doubt(self._context, door, of_user, exchange, pulling=True) is None
        )
        if of_user is not None and trusted:
            exchange.connection.prove(of_user.adapter_id)
        long = trusted and door is Door.RS
        try:
            if head.method != "POST":
                raise ProtocolViolation(f"the method {head.method!r} is not POST", reason="malformed")
            limit = messages.DONE_LIMIT if long else messages.PULL_LIMIT
            held = self._context.room.hold()
            try:
                envelope = messages.open_envelope(await exchange.read_document(limit=limit, long=long, held=held))
            finally:
                held.set(0)
            if envelope.kind != "request":
                raise ProtocolViolation("a response was sent as a request", reason="envelope")
        except ProtocolViolation as violation:
            await self._malformed(exchange, of_user if trusted else None, user or "", violation)
            return
        await self._identified(door, exchange, envelope, credential, of_user)

    async def _identified(
        self,
        door: Door,
        exchange: Exchange,
        envelope: Envelope,
        credential: Credential | None,
        of_user: ArmsIdentity | None,
    ) -> None:
        named = _well_formed(envelope.distribution_id or "")
        identity = of_user
        if identity is None or identity.distribution_id != named:
            identity = await self._context.identity(named) if named else None
        caller = Caller(known=False)
        if identity is not None:
            key_ok = believing.key_ok(self._context, door, identity, credential)
            same = credential is not None and credential.user == envelope.distribution_id
            pulling = door is Door.LS or envelope.type == "config-solicitation"
            doubt = believing.doubt(self._context, door, identity, exchange, pulling=pulling) if key_ok else None
            caller = identity.caller(key_ok=key_ok, same_id=same, doubt=doubt)
        answer = admit(Door.LS, caller)
        if answer.code in IDENTITY or identity is None:
            shown = (envelope.distribution_id or "")[:64]
            await self._replies.refuse(exchange, envelope.type, answer, identity, shown)
            return
        tls.note(self._context.ledger, identity, exchange.tls_version, exchange.source)
        try:
            request = messages.decode(envelope)
            assert isinstance(request, Request)
            await self._dispatch(door, Asked(request, identity, exchange))
        except ProtocolViolation as violation:
            await self._malformed(exchange, identity, identity.distribution_id, violation)

    # --- refusals -----------------------------------------------------------------------------------------------------

    async def _malformed(
        self, exchange: Exchange, identity: ArmsIdentity | None, claimed: str, violation: ProtocolViolation
    ) -> None:
        """HTTP 400 without XML: the client retries slowly (§10.3). A connection that is gone gets no answer."""
        reason = f"{violation.reason}: {violation.message}"
        self._context.ledger.claim(claimed, exchange.source, reason)
        if identity is not None:
            self._context.ledger.event(
                "phonehome.malformed", identity, source=exchange.source, reason=violation.reason, words=reason
            )
        if violation.reason == "cut":
            exchange.abort()
        else:
            await exchange.answer(framing.response(400, PHRASES[400], b""))

    # --- what does it want --------------------------------------------------------------------------------------------

    async def _dispatch(self, door: Door, asked: Asked) -> None:
        request = asked.request
        if door is Door.RS and request.type.endswith("-done"):
            await self._done(asked)
            return
        match (door, request.parameters):
            case (Door.LS, RsSolicitation()):
                await self._pulls.take(door, asked)
            case (Door.RS, ConfigSolicitation() | PushMethodQuery()):
                await self._pulls.take(door, asked)
            case (Door.RS, PushConfirmationStart()):
                refusal = await self._confirmations.take(request, asked.identity, asked.exchange)
                if refusal is not None:
                    await self._replies.refuse(asked.exchange, request.type, refusal, asked.identity, "")
            case (Door.RS, _) if request.type == "push-ready":
                await self._replies.busy(asked)
            case _:
                raise ProtocolViolation(f"{request.type[:64]!r} is not for this server", reason="unknown-type")

    async def _done(self, asked: Asked) -> None:
        """A result over HTTP; a configure-done waits for whoever stores it."""
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def answer(response: Response) -> bool:
            if not answered.done():
                answered.set_result(response)
            return not answered.cancelled()

        peer = self._context.peer(asked.identity)
        peer.finished(asked.request, answer, size=asked.exchange.body_bytes)
        try:
            async with asyncio.timeout(DONE_S / self._context.clock.pace):
                response = await answered
        except TimeoutError:
            # The same result was told on another connection, which is the one that is answered.
            asked.exchange.abort()
            return
        await asked.exchange.answer(framing.response(200, "OK", rules.encode(response)))


def _well_formed(text: str) -> str | None:
    """The id in the form that the database has; None for what is none."""
    try:
        return str(DistributionId.parse(text))
    except FleetError:
        return None
