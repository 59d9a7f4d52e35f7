"""No ARMS message carries the serial number: the device is asked for it after the confirmation (architecture §1)."""

from __future__ import annotations

import re
from typing import Final

import structlog

from controller.phonehome import syncing
from controller.phonehome.context import Context
from controller.phonehome.peer import Path, Peer
from drivers.arms.messages import Request
from drivers.arms.parameters import Command, CommandResults, MdCommand
from inventory.adapters import SerialNumber
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput, DeviceError
from inventory.explain import Contact

log = structlog.get_logger(__name__)

BY_DISTRIBUTION_ID: Final = frozenset({"seil-x86-ayame", "seil-x86-fuji"})
"""Software routers print `(unknown)`; their start-up key names the distribution id (devices-seil §6.2)."""
TRIES: Final = 3
PAUSE_S: Final = 10.0
TIMEOUT_S: Final = 60.0
_LINE: Final = re.compile(r"^[ \t]*([A-Za-z0-9 ]+?)[ \t]*:[ \t](.*)$", re.MULTILINE)


def shown(output: str, name: str) -> str | None:
    """The value of a `name : value` line (devices-seil §6.1); None when there is none."""
    for found in _LINE.finditer(output):
        if found[1].lower() == name.lower():
            return found[2].strip()
    return None


class Prover:
    """Asks each adapter that has confirmed its path who it is, once a boot."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def confirmed(self, peer: Peer, path: Path) -> None:
        """A path was confirmed."""
        context, identity = self._context, peer.identity
        now_ms = context.clock.now_ms()
        context.clones.confirmed(identity.adapter_id)
        context.boots.confirmed(identity)
        if peer.proven:
            context.ledger.contact(identity, stage=Contact.READY, stage_ms=now_ms, last_seen_ms=now_ms)
            return
        context.ledger.contact(identity, stage=Contact.CONFIRMED, stage_ms=now_ms, last_seen_ms=now_ms)
        context.spawn(self.prove(peer, path), f"prove {identity.serial}")

    async def prove(self, peer: Peer, path: Path) -> None:
        """Ask over a confirmed path who is there, three times at most, and judge the answer."""
        for attempt in range(TRIES):
            if attempt:
                await self._context.clock.wait(PAUSE_S)
            if peer.proven or path.ended is not None:
                return
            try:
                async with peer.one_at_a_time:
                    told = await self._told(peer.identity, path)
            except DeviceError as error:
                log.warning("phonehome.proof-failed", adapter=str(peer.identity.serial), error=error.message)
                continue
            if told is not None:
                if self._judge(peer, told):
                    await syncing.compare(self._context, peer, path)
                return
        if path.ended is None:
            self._context.ledger.event(
                "phonehome.unproven", peer.identity, words="the device does not say who it is; it is not pushed to"
            )

    async def _told(self, identity: ArmsIdentity, path: Path) -> str | None:
        """What the device says it is; None when it does not say."""
        by_id = identity.model.key in BY_DISTRIBUTION_ID
        command, name = ("show key", "Distribution ID") if by_id else ("show system", "Serial")
        asked = Request("md-command", identity.distribution_id, MdCommand((Command(0, command),)), description="push")
        response = await path.ask(asked, timeout_s=TIMEOUT_S)
        if not isinstance(response.parameters, CommandResults):
            return None
        output = "".join(
            each.content if isinstance(each.content, str) else each.content.decode("utf-8", "replace")
            for each in response.parameters.results
        )
        return shown(output, name)

    def _judge(self, peer: Peer, told: str) -> bool:
        """Whether it is who it should be; quarantine if not."""
        context, identity = self._context, peer.identity
        now_ms = context.clock.now_ms()
        if identity.model.key in BY_DISTRIBUTION_ID:
            same = told.upper() == identity.distribution_id
        else:
            same = _same_serial(told, identity.serial)
        if same:
            peer.prove()
            context.ledger.contact(
                identity,
                stage=Contact.READY,
                stage_ms=now_ms,
                proven_serial=told,
                proven_ms=now_ms,
                last_seen_ms=now_ms,
            )
            context.boots.ready(identity, told)
            context.ledger.event("phonehome.ready", identity, shown=told)
            return True
        reason = f"the device shows {told!r}, on record is {identity.serial}"
        peer.set_quarantine(reason)
        context.ledger.contact(identity, quarantine=reason, quarantine_ms=now_ms)
        context.ledger.event("phonehome.identity-mismatch", identity, shown=told, on_record=str(identity.serial))
        return False


def _same_serial(told: str, on_record: SerialNumber) -> bool:
    try:
        return SerialNumber.parse(told) == on_record
    except BadInput:
        return False
