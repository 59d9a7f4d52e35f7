"""The two TLS listeners: LS, and RS with its tunnels (arms-protocol §10.2, architecture §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from controller.phonehome import answers, believing, given, syncing, tls
from controller.phonehome.boots import Failure
from controller.phonehome.confirming import Confirmations
from controller.phonehome.context import Context
from controller.phonehome.exchange import Exchange
from controller.phonehome.gate import Turn
from controller.phonehome.listener import Connection
from controller.phonehome.peer import CLAIM_S, Peer
from controller.phonehome.proof import Prover
from controller.phonehome.renewal import Renewal
from controller.phonehome.tunnel import Tunnel
from controller.phonehome.undisturbed import undisturbed
from controller.store import adapters, startups
from controller.store.scope import By, Scope
from drivers.arms import framing, messages, rules
from drivers.arms.ids import Credential, DistributionId
from drivers.arms.messages import Envelope, Request, Response
from drivers.arms.parameters import (
    ANSWERS,
    ConfigSolicitation,
    Parameters,
    PushConfirmationStart,
    PushMethodQuery,
    RsSolicitation,
)
from drivers.arms.results import NAMES, SUCCESS
from inventory.adapters import Life, LifeEvent
from inventory.admission import BUSY, OTHER_ID, UNKNOWN_ID, Answer, Caller, Door, admit
from inventory.boots import MODULE_SYNC_FAILED, POWER_ON
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput, FleetError, ProtocolViolation
from inventory.explain import Contact
from inventory.startups import Served

log = structlog.get_logger(__name__)

_IDENTITY: Final = frozenset({UNKNOWN_ID, OTHER_ID, 401})
STOP_S: Final = 2.0
"""What a connection may still take when the node stops; those that are held at the gate are cut after it."""
DONE_S: Final = 2 * CLAIM_S
"""What a `-done` over HTTP may wait for its answer; whoever wants it stored has claimed and stored it long before."""
CONTEST_ECHOES: Final = 10
"""Echo intervals within which a second replacement of a live tunnel means two units with one identity (MPC-11)."""
_STEPS: Final[dict[type, int]] = {ConfigSolicitation: 1, PushMethodQuery: 2}
"""Steps of a boot that lie behind whoever asks this."""
TUNNEL_STEP: Final = 3
_PHRASES: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of an adapter that is who it says."""

    request: Request
    identity: ArmsIdentity
    exchange: Exchange


class Doors:
    """The listeners' protocols; one a connection."""

    def __init__(self, context: Context, prover: Prover, renewal: Renewal, confirmations: Confirmations) -> None:
        self._context = context
        self._confirmations = confirmations
        self._open: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # Made once, for a connection keeps them for its whole life.
        self._over = self._open.discard
        self._confirmed = prover.confirmed
        self._ended = self._tunnel_ended
        self._renewal = renewal

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
            await self._tunnel(exchange, of_user, credential, user)
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
        if answer.code in _IDENTITY or identity is None:
            shown = (envelope.distribution_id or "")[:64]
            await self._refuse(exchange, envelope.type, answer, identity, shown)
            return
        tls.note(self._context.ledger, identity, exchange.tls_version, exchange.source)
        try:
            request = messages.decode(envelope)
            assert isinstance(request, Request)
            await self._dispatch(door, _Asked(request, identity, exchange))
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
            await exchange.answer(framing.response(400, _PHRASES[400], b""))

    async def _refuse(
        self, exchange: Exchange, type_: str, answer: Answer, identity: ArmsIdentity | None, claimed: str
    ) -> None:
        ledger = self._context.ledger
        if answer.code in _IDENTITY:
            ledger.claim(claimed, exchange.source, answer.reason)
        if identity is not None:
            ledger.refused(identity, answer)
            if answer.code not in _IDENTITY:
                self._seen(identity, exchange.source, Contact.REFUSED)
        await exchange.answer(_refusal(type_, answer))

    def _seen(self, identity: ArmsIdentity, source: str, stage: Contact) -> None:
        now_ms = self._context.clock.now_ms()
        self._context.ledger.contact(identity, stage=stage, stage_ms=now_ms, last_seen_ms=now_ms, source=source)

    # --- what does it want --------------------------------------------------------------------------------------------

    async def _dispatch(self, door: Door, asked: _Asked) -> None:
        request = asked.request
        if door is Door.RS and request.type.endswith("-done"):
            await self._done(asked)
            return
        match (door, request.parameters):
            case (Door.LS, RsSolicitation()):
                await self._pull(door, asked)
            case (Door.RS, ConfigSolicitation() | PushMethodQuery()):
                await self._pull(door, asked)
            case (Door.RS, PushConfirmationStart()):
                refusal = await self._confirmations.take(request, asked.identity, asked.exchange)
                if refusal is not None:
                    await self._refuse(asked.exchange, request.type, refusal, asked.identity, "")
            case (Door.RS, _) if request.type == "push-ready":
                await self._busy(asked)
            case _:
                raise ProtocolViolation(f"{request.type[:64]!r} is not for this server", reason="unknown-type")

    async def _pull(self, door: Door, asked: _Asked) -> None:
        """A pull passes the gate before anything is looked up for it; what is held longest is told to come back."""
        context, identity = self._context, asked.identity
        key_ok = True
        trigger = getattr(asked.request.parameters, "trigger", asked.request.type)
        self._arrived(asked)
        looping = await context.loops.enter(identity, trigger)
        turn = Turn.REFUSED
        if looping is None:
            turn = await context.gate.enter(identity.serial.key, step=_STEPS.get(type(asked.request.parameters), 0))
        served: Served | None = None
        try:
            if turn is not Turn.AT_ONCE:
                # It may have lost its place, or its key, while it was held.
                identity = await context.identity(identity.distribution_id) or identity
                asked = replace(asked, identity=identity)
                key_ok = believing.key_ok(context, door, identity, asked.exchange.credential())
            if door is Door.RS and turn is not Turn.REFUSED:
                if isinstance(asked.request.parameters, ConfigSolicitation):
                    await self._judged(identity, trigger)
                served = await context.startup_of(identity)
        finally:
            if turn is not Turn.REFUSED:
                context.gate.leave()
        busy = turn is Turn.REFUSED
        answer = admit(
            door,
            identity.caller(
                key_ok=key_ok,
                startup=served is not None or busy,
                overload=busy and looping is None,
                looping=looping,
            ),
        )
        if not answer.admitted:
            if isinstance(asked.request.parameters, RsSolicitation | ConfigSolicitation):
                self._left_push(asked)
            else:
                context.boots.excuse(identity, f"it was answered {answer.code}, {answer.reason}")
            await self._refuse(asked.exchange, asked.request.type, answer, identity, identity.distribution_id)
            return
        match asked.request.parameters:
            case RsSolicitation():
                await self._location_answer(asked)
            case ConfigSolicitation() as parameters if served is not None:
                await self._config_answer(asked, parameters, served)
            case PushMethodQuery(methods=methods):
                await self._method_answer(asked, methods)
            case _:
                raise ProtocolViolation("this is no pull", reason="unknown-type")

    def _arrived(self, asked: _Asked) -> None:
        """What the very arrival of a request says, whatever it is answered."""
        match asked.request.parameters:
            case ConfigSolicitation():
                self._context.boots.rs_asked(asked.identity)
                self._seen(asked.identity, asked.exchange.source, Contact.RS_ASKED)
            case PushMethodQuery():
                self._context.boots.applied(asked.identity)
            case _:
                pass

    async def _judged(self, identity: ArmsIdentity, trigger: str) -> None:
        """A pull may be evidence against the config of the boot before it; the verdict decides what is served now."""
        failure = self._context.boots.failure(identity, trigger)
        if failure is not None:
            await undisturbed(self._failed(identity, failure))
        if trigger.strip().lower() == MODULE_SYNC_FAILED:
            await undisturbed(syncing.failed(self._context, identity))

    async def _failed(self, identity: ArmsIdentity, failure: Failure) -> None:
        context = self._context
        async with context.database.write() as tx:
            await startups.failed(
                tx,
                By("phone-home", context.clock.now_ms()),
                failure.version_id,
                why=failure.why,
                adapter_id=identity.adapter_id,
                serial=str(identity.serial),
                at_most=context.settings.config_tries,
            )

    def _left_push(self, asked: _Asked) -> None:
        peer = self._context.peers.get(asked.identity.adapter_id)
        trigger = getattr(asked.request.parameters, "trigger", "")
        self._context.clones.pulled(asked.identity, asked.exchange.source)
        if peer is not None:
            peer.pulled(str(trigger))

    async def _location_answer(self, asked: _Asked) -> None:
        context, identity = self._context, asked.identity
        self._left_push(asked)

        def note() -> None:
            self._seen(identity, asked.exchange.source, Contact.LS_ASKED)
            context.boots.ls_asked(identity)

        await self._answer(asked, answers.where_the_rs_is(context, identity, asked.exchange.source), note)
        await given.at_the_ls(context, identity, asked.exchange.credential())

    async def _config_answer(self, asked: _Asked, parameters: ConfigSolicitation, served: Served) -> None:
        context, identity = self._context, asked.identity
        self._left_push(asked)
        identity = await self._renewal.have(identity)

        def note() -> None:
            self._pulled(asked, parameters, served)

        await self._answer(asked, answers.its_config(context, identity, served, parameters), note)
        await given.at_the_rs(context, identity, asked.exchange.credential())
        await self._first_contact(identity)

    def _pulled(self, asked: _Asked, parameters: ConfigSolicitation, served: Served) -> None:
        context, identity = self._context, asked.identity
        behind = answers.syncing(identity, served, parameters)
        self._seen(identity, asked.exchange.source, Contact.MODULE_SYNCING if behind else Contact.CONFIG_PULLED)
        context.ledger.contact(
            identity,
            trigger=parameters.trigger[:200],
            firmware=(parameters.firmware or "")[:32],
            refusal_code=None,
            refusal_reason=None,
            refusal_ms=None,
        )
        context.boots.pulled(identity, parameters, served)
        if behind:
            context.boots.excuse(identity, f"it was syncing its modules ({behind})")
            context.ledger.event("phonehome.module-syncing", identity, words=behind)
        if parameters.trigger == POWER_ON:
            context.on_power_on(identity.adapter_id, context.clock.now_ms())
        context.ledger.event(
            "phonehome.pulled", identity, source=asked.exchange.source, trigger=parameters.trigger[:80]
        )

    async def _method_answer(self, asked: _Asked, offered: tuple[str, ...]) -> None:
        parameters = answers.how_to_push(self._context, asked.identity, offered)
        if parameters is None:
            answer = Answer("arms", BUSY, f"it offers no push method of arms.push_methods, but {_listed(offered)}")
            self._context.boots.excuse(asked.identity, answer.reason)
            await self._refuse(asked.exchange, asked.request.type, answer, asked.identity, "")
            return

        def note() -> None:
            self._seen(asked.identity, asked.exchange.source, Contact.METHOD_AGREED)
            self._context.boots.method_agreed(asked.identity)

        await self._answer(asked, parameters, note)

    async def _first_contact(self, identity: ArmsIdentity) -> None:
        """The first contact of an installed adapter puts it in service (service-terms §8)."""
        if identity.life is not Life.INSTALLED:
            return
        by = By("phone-home", self._context.clock.now_ms())
        async with self._context.database.write() as tx:
            await adapters.set_life(tx, Scope.everything(), by, identity.adapter_id, LifeEvent.FIRST_CONTACT)

    async def _done(self, asked: _Asked) -> None:
        """A result over HTTP; a configure-done waits for whoever stores it."""
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def answer(response: Response) -> bool:
            if not answered.done():
                answered.set_result(response)
            return not answered.cancelled()

        self._context.peer(asked.identity).finished(asked.request, answer)
        try:
            async with asyncio.timeout(DONE_S / self._context.clock.pace):
                response = await answered
        except TimeoutError:
            # The same result was told on another connection, which is the one that is answered.
            asked.exchange.abort()
            return
        await asked.exchange.answer(framing.response(200, "OK", rules.encode(response)))

    async def _answer(self, asked: _Asked, parameters: Parameters, note: Callable[[], None]) -> None:
        """Answer 100. What it means is noted before it is sent: the next request may come before the sending ends."""
        try:
            document = rules.encode(Response(asked.request.type, SUCCESS, parameters, description=NAMES[SUCCESS]))
        except BadInput as error:
            # Our own data breaks a rule of the protocol: the adapter keeps what it has and asks again.
            log.exception("phonehome.unsendable", adapter=str(asked.identity.serial))
            self._context.ledger.event("phonehome.unsendable", asked.identity, field=error.field, words=error.message)
            await self._busy(asked)
            return
        note()
        await asked.exchange.answer(framing.response(200, "OK", document))

    async def _busy(self, asked: _Asked) -> None:
        document = rules.encode(Response(asked.request.type, BUSY, description=NAMES[BUSY]))
        await asked.exchange.answer(framing.response(200, "OK", document))

    # --- tunnels ------------------------------------------------------------------------------------------------------

    async def _tunnel(
        self, exchange: Exchange, identity: ArmsIdentity | None, credential: Credential | None, user: str | None
    ) -> None:
        context = self._context
        caller = Caller(known=False)
        if identity is not None:
            key_ok = believing.key_ok(context, Door.TUNNEL, identity, credential)
            turn, looping = Turn.REFUSED, None
            if key_ok:  # who only knows its id takes nobody's turn at the gate
                exchange.connection.prove(identity.adapter_id)
                looping = await context.loops.enter(identity, "opens a tunnel")
                if looping is None:
                    turn = await context.gate.enter(identity.serial.key, step=TUNNEL_STEP)
            served: Served | None = None
            try:
                if key_ok and turn is not Turn.AT_ONCE:
                    identity = await context.identity(identity.distribution_id) or identity
                    key_ok = believing.key_ok(context, Door.TUNNEL, identity, credential)
                if turn is not Turn.REFUSED:
                    served = await context.startup_of(identity)
            finally:
                if turn is not Turn.REFUSED:
                    context.gate.leave()
            busy = turn is Turn.REFUSED
            caller = identity.caller(
                key_ok=key_ok,
                doubt=believing.doubt(context, Door.TUNNEL, identity, exchange, pulling=False) if key_ok else None,
                startup=served is not None or busy,
                overload=busy and looping is None,
                looping=looping,
            )
        answer = admit(Door.TUNNEL, caller)
        if not answer.admitted or identity is None:
            if identity is not None and caller.key_ok:
                context.boots.excuse(identity, f"its tunnel was answered {answer.code}, {answer.reason}")
            await self._refuse_tunnel(exchange, answer, identity, user or "")
            return
        await self._run_tunnel(exchange, identity)

    async def _refuse_tunnel(
        self, exchange: Exchange, answer: Answer, identity: ArmsIdentity | None, claimed: str
    ) -> None:
        if identity is None or answer.code == 401:
            self._context.ledger.claim(claimed, exchange.source, f"tunnel: {answer.reason}")
        if identity is not None:
            self._context.ledger.refused(identity, answer)
        await exchange.answer(framing.response(answer.code, _PHRASES[answer.code], b""))

    async def _run_tunnel(self, exchange: Exchange, identity: ArmsIdentity) -> None:
        context = self._context
        peer = context.peer(identity)
        echo_ms = context.settings.echo_interval_s * 1000 / context.clock.pace
        assert exchange.head is not None
        key = exchange.head.target.partition("?")[0]
        present = peer.contested(key, window_ms=CONTEST_ECHOES * echo_ms, alive_ms=1.5 * echo_ms)
        if present is not None:
            context.boots.excuse(identity, "the same identity was in use elsewhere")
            refusal = Answer("http", 403, f"the same identity is in use from {present.source}")
            context.clones.asked(identity, exchange.source, present)
            context.ledger.event(
                "phonehome.two-places", identity, sources=[present.source, exchange.source], rule="MPC-11"
            )
            await self._refuse_tunnel(exchange, refusal, identity, identity.distribution_id)
            return
        tls.note(context.ledger, identity, exchange.tls_version, exchange.source)
        tunnel = Tunnel(
            exchange,
            peer,
            key=key,
            echo_interval_s=context.settings.echo_interval_s,
            on_confirmed=self._confirmed,
            on_ended=self._ended,
            held=context.room.hold(),
        )
        former = peer.opened(tunnel)
        if former is not None:
            former.drop("a new tunnel of the same adapter replaces it")
        now_ms = context.clock.now_ms()
        context.ledger.contact(identity, tunnel_open=1, last_seen_ms=now_ms, source=exchange.source)
        tunnel.start()

    def _tunnel_ended(self, peer: Peer, tunnel: Tunnel) -> None:
        ledger = self._context.ledger
        if not peer.has_tunnel:
            ledger.contact(peer.identity, tunnel_open=0)
        ledger.event("phonehome.tunnel-ended", peer.identity, source=tunnel.source, words=tunnel.ended)


def _well_formed(text: str) -> str | None:
    """The id in the form that the database has; None for what is none."""
    try:
        return str(DistributionId.parse(text))
    except FleetError:
        return None


def _listed(offered: tuple[str, ...]) -> str:
    return ", ".join(each[:32] for each in offered[:5]) or "none"


def _refusal(type_: str, answer: Answer) -> bytes:
    if answer.kind == "http":
        return framing.response(answer.code, _PHRASES[answer.code], b"")
    if type_ not in ANSWERS:
        return framing.response(400, _PHRASES[400], b"")
    return framing.response(200, "OK", rules.encode(Response(type_, answer.code, description=NAMES[answer.code])))
