"""What goes back to an adapter over LS and RS: an answer, or a refusal that is noted (architecture §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from controller.phonehome.context import Context
from controller.phonehome.exchange import Exchange
from drivers.arms import framing, rules
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import ANSWERS, Parameters
from drivers.arms.results import NAMES, SUCCESS
from inventory.admission import BUSY, OTHER_ID, UNKNOWN_ID, Answer
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput
from inventory.explain import Contact

log = structlog.get_logger(__name__)

IDENTITY: Final = frozenset({UNKNOWN_ID, OTHER_ID, 401})
"""Refusals of whoever is not believed to be who it says."""
PHRASES: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of an adapter that is who it says."""

    request: Request
    identity: ArmsIdentity
    exchange: Exchange


class Replies:
    """Writes them, and notes what they mean."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def refuse(
        self, exchange: Exchange, type_: str, answer: Answer, identity: ArmsIdentity | None, claimed: str
    ) -> None:
        """Refuse a request; of whoever is believed its contact is noted."""
        ledger = self._context.ledger
        if answer.code in IDENTITY:
            ledger.claim(claimed, exchange.source, answer.reason)
        if identity is not None:
            ledger.refused(identity, answer)
            if answer.code not in IDENTITY:
                self.seen(identity, exchange.source, Contact.REFUSED)
        await exchange.answer(refusal(type_, answer))

    def seen(self, identity: ArmsIdentity, source: str, stage: Contact) -> None:
        """It was in contact, and how far it is."""
        now_ms = self._context.clock.now_ms()
        self._context.ledger.contact(identity, stage=stage, stage_ms=now_ms, last_seen_ms=now_ms, source=source)

    async def answer(self, asked: Asked, parameters: Parameters, note: Callable[[], None]) -> None:
        """Answer 100. What it means is noted before it is sent: the next request may come before the sending ends."""
        try:
            document = rules.encode(Response(asked.request.type, SUCCESS, parameters, description=NAMES[SUCCESS]))
        except BadInput as error:
            # Our own data breaks a rule of the protocol: the adapter keeps what it has and asks again.
            log.exception("phonehome.unsendable", adapter=str(asked.identity.serial))
            self._context.ledger.event("phonehome.unsendable", asked.identity, field=error.field, words=error.message)
            await self.busy(asked)
            return
        note()
        await asked.exchange.answer(framing.response(200, "OK", document))

    async def busy(self, asked: Asked) -> None:
        """Answer 301: it asks again after its interval."""
        document = rules.encode(Response(asked.request.type, BUSY, description=NAMES[BUSY]))
        await asked.exchange.answer(framing.response(200, "OK", document))


def refusal(type_: str, answer: Answer) -> bytes:
    """The octets of a refusal: HTTP alone, or a message where its type has an answer."""
    if answer.kind == "http":
        return framing.response(answer.code, PHRASES[answer.code], b"")
    if type_ not in ANSWERS:
        return framing.response(400, PHRASES[400], b"")
    return framing.response(200, "OK", rules.encode(Response(type_, answer.code, description=NAMES[answer.code])))
