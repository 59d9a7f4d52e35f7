"""What LS and RS do with a pull: hold it, look up who asks now, answer (arms-protocol §6.1–§6.3, architecture §6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from controller.phonehome import answers, believing, given, syncing
from controller.phonehome.boots import Failure
from controller.phonehome.context import Context
from controller.phonehome.gate import Turn
from controller.phonehome.renewal import Renewal
from controller.phonehome.replies import Asked, Replies
from controller.phonehome.undisturbed import undisturbed
from controller.store import adapters, startups
from controller.store.scope import By, Scope
from drivers.arms.parameters import ConfigSolicitation, PushMethodQuery, RsSolicitation
from inventory.adapters import Life, LifeEvent
from inventory.admission import BUSY, Answer, Door, admit
from inventory.boots import MODULE_SYNC_FAILED, POWER_ON
from inventory.contacts import ArmsIdentity
from inventory.errors import ProtocolViolation
from inventory.explain import Contact
from inventory.startups import Served

_STEPS: Final[dict[type, int]] = {ConfigSolicitation: 1, PushMethodQuery: 2}
"""Steps of a boot that lie behind whoever asks this."""


class Pulls:
    """Location, config and push method."""

    def __init__(self, context: Context, replies: Replies, renewal: Renewal) -> None:
        self._context = context
        self._replies = replies
        self._renewal = renewal

    async def take(self, door: Door, asked: Asked) -> None:
        """A pull passes the gate before anything is looked up for it; what is held longest is told to come back."""
        context, identity = self._context, asked.identity
        key_ok, doubt = True, None
        trigger = getattr(asked.request.parameters, "trigger", asked.request.type)
        self._arrived(asked)
        looping = await context.loops.enter(identity, trigger)
        turn = Turn.REFUSED
        if looping is None:
            turn = await context.gate.enter(identity.serial.key, step=_STEPS.get(type(asked.request.parameters), 0))
        served: Served | None = None
        try:
            if turn is not Turn.AT_ONCE:
                # It may have lost its place, its key or its certificate while it was held.
                identity = await context.identity(identity.distribution_id) or identity
                asked = replace(asked, identity=identity)
                key_ok = believing.key_ok(context, door, identity, asked.exchange.credential())
                pulling = door is Door.LS or isinstance(asked.request.parameters, ConfigSolicitation)
                doubt = believing.doubt(context, door, identity, asked.exchange, pulling=pulling) if key_ok else None
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
                doubt=doubt,
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
            await self._replies.refuse(asked.exchange, asked.request.type, answer, identity, identity.distribution_id)
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

    def _arrived(self, asked: Asked) -> None:
        """What the very arrival of a request says, whatever it is answered."""
        match asked.request.parameters:
            case ConfigSolicitation():
                self._context.boots.rs_asked(asked.identity)
                self._replies.seen(asked.identity, asked.exchange.source, Contact.RS_ASKED)
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

    def _left_push(self, asked: Asked) -> None:
        peer = self._context.peers.get(asked.identity.adapter_id)
        trigger = getattr(asked.request.parameters, "trigger", "")
        self._context.clones.pulled(asked.identity, asked.exchange.source)
        if peer is not None:
            peer.pulled(str(trigger))

    async def _location_answer(self, asked: Asked) -> None:
        context, identity = self._context, asked.identity
        self._left_push(asked)

        def note() -> None:
            self._replies.seen(identity, asked.exchange.source, Contact.LS_ASKED)
            context.boots.ls_asked(identity)

        await self._replies.answer(asked, answers.where_the_rs_is(context, identity, asked.exchange.source), note)
        await given.at_the_ls(context, identity, asked.exchange.credential())

    async def _config_answer(self, asked: Asked, parameters: ConfigSolicitation, served: Served) -> None:
        context, identity = self._context, asked.identity
        self._left_push(asked)
        identity = await self._renewal.have(identity)

        def note() -> None:
            self._pulled(asked, parameters, served)

        await self._replies.answer(asked, answers.its_config(context, identity, served, parameters), note)
        await given.at_the_rs(context, identity, asked.exchange.credential())
        await self._first_contact(identity)

    def _pulled(self, asked: Asked, parameters: ConfigSolicitation, served: Served) -> None:
        context, identity = self._context, asked.identity
        behind = answers.syncing(identity, served, parameters)
        self._replies.seen(identity, asked.exchange.source, Contact.MODULE_SYNCING if behind else Contact.CONFIG_PULLED)
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

    async def _method_answer(self, asked: Asked, offered: tuple[str, ...]) -> None:
        parameters = answers.how_to_push(self._context, asked.identity, offered)
        if parameters is None:
            answer = Answer("arms", BUSY, f"it offers no push method of arms.push_methods, but {_listed(offered)}")
            self._context.boots.excuse(asked.identity, answer.reason)
            await self._replies.refuse(asked.exchange, asked.request.type, answer, asked.identity, "")
            return

        def note() -> None:
            self._replies.seen(asked.identity, asked.exchange.source, Contact.METHOD_AGREED)
            self._context.boots.method_agreed(asked.identity)

        await self._replies.answer(asked, parameters, note)

    async def _first_contact(self, identity: ArmsIdentity) -> None:
        """The first contact of an installed adapter puts it in service (service-terms §8)."""
        if identity.life is not Life.INSTALLED:
            return
        by = By("phone-home", self._context.clock.now_ms())
        async with self._context.database.write() as tx:
            await adapters.set_life(tx, Scope.everything(), by, identity.adapter_id, LifeEvent.FIRST_CONTACT)


def _listed(offered: tuple[str, ...]) -> str:
    return ", ".join(each[:32] for each in offered[:5]) or "none"
