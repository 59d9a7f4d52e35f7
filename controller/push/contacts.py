"""What every contact over SSH says of an adapter, whoever asked for it: who answered, or why nobody did.

The host key that is shown at the first contact is pinned; another serial number or host key later is quarantine, never
an update of the record (architecture §1). A credential that was refused is suspect until it is changed or an operator
has it tried: devices lock accounts out (devices-ios-fortios §C.5).
"""

from __future__ import annotations

from typing import Final

from controller.clock import Clock
from controller.store import adapters, checklist, endpoints, events, pushes, ssh
from controller.store.database import Database, Tx
from controller.store.events import NewEvent
from controller.store.scope import By, Scope
from drivers.device import CommandLineDevice
from drivers.errors import DomainPaused
from drivers.push import Identity
from inventory.adapters import Adapter, Life, LifeEvent
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, Unreachable
from inventory.explain import Contact

FRESH_MS: Final = 60_000
"""An adapter that was reached so lately need not be noted again."""


class ContactBook:
    """Keeps what contacts say. Instants are milliseconds UTC."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def took(
        self,
        adapter: Adapter,
        device: CommandLineDevice,
        said: Identity | DeviceError,
        *,
        actor: str,
        before: ssh.SshContact | None = None,
        pinned: bool = False,
    ) -> None:
        """The device has identified itself, or has not.

        `before`: its contact as it stood when it was called; `pinned`: it was called with the host key on record, and
        has shown that one.
        """
        if isinstance(said, Identity):
            if adapter.life is Life.INSTALLED or not self._is_fresh(before):
                await self._reached(adapter, device, said, By(actor, self._clock.now_ms()), pinned=pinned)
        elif isinstance(said, IdentityMismatch):
            await self._shut(adapter, said.message)
        else:

            async def read(tx: Tx) -> tuple[ssh.SshContact | None, bool]:
                known = (await ssh.contacts(tx, [adapter.id])).get(adapter.id)
                return known, await pushes.holder(tx, adapter.id) is not None

            known, held = await self._database.look(read)
            # A device that a push is changing may well be away for a while. That it refuses us is noted: when the push
            # is over, nobody else may show it the same credential again.
            if not held or _refused_its_credential(said):
                await self._missed(adapter, known, said)

    def _is_fresh(self, contact: ssh.SshContact | None) -> bool:
        if contact is None or contact.stage is not Contact.READY or contact.last_seen_ms is None:
            return False
        return self._clock.now_ms() - contact.last_seen_ms < FRESH_MS

    async def _reached(
        self, adapter: Adapter, device: CommandLineDevice, identity: Identity, by: By, *, pinned: bool
    ) -> None:
        everything = Scope.everything()
        firmware = f"{identity.model} {identity.version}".strip()

        async def note(tx: Tx) -> None:
            # As it is now: another contact of the same moment may have put it in service already.
            life = (await adapters.get(tx, everything, adapter.id)).life
            known = (await ssh.contacts(tx, [adapter.id])).get(adapter.id)
            if device.host_key is not None and not pinned:
                await endpoints.pin_host_key(tx, everything, by, adapter.id, device.host_key)
            if device.certificate is not None:
                await endpoints.pin_certificate(tx, everything, by, adapter.id, device.certificate)
            await ssh.reached(tx, adapter.id, serial=identity.serial, firmware=firmware, at_ms=by.at_ms)
            if known is None or known.stage is not Contact.READY:
                facts = {"serial_number": identity.serial, "firmware": firmware}
                await events.record(tx, NewEvent("contact.reached", by.at_ms, adapter_id=adapter.id, facts=facts))
            if life is Life.INSTALLED and not await checklist.missing(tx, everything, adapter.id):
                await adapters.set_life(tx, everything, by, adapter.id, LifeEvent.FIRST_CONTACT)

        await self._database.change(note)

    async def _shut(self, adapter: Adapter, reason: str) -> None:
        at_ms = self._clock.now_ms()
        async with self._database.write() as tx:
            await ssh.quarantined(tx, adapter.id, reason=reason, at_ms=at_ms)
            facts = {"reason": reason}
            await events.record(tx, NewEvent("contact.quarantined", at_ms, adapter_id=adapter.id, facts=facts))

    async def _missed(self, adapter: Adapter, known: ssh.SshContact | None, error: DeviceError) -> None:
        at_ms = self._clock.now_ms()
        if isinstance(error, DomainPaused):
            return  # it was not spoken to
        if not isinstance(error, Unreachable):
            stage = Contact.REFUSED
        elif known is not None and known.credential_refused_ms is not None:
            return  # that it does not answer just now says nothing of the credential, which is what holds us up
        else:
            stage = Contact.SILENT if known is not None and known.last_seen_ms is not None else Contact.NEVER_SEEN
        async with self._database.write() as tx:
            if (await adapters.get(tx, Scope.everything(), adapter.id)).version != adapter.version:
                return  # changed meanwhile, perhaps the very endpoint that this was: the next look tells
            credential = _refused_its_credential(error)
            await ssh.missed(tx, adapter.id, stage=stage, reason=error.message, at_ms=at_ms, credential=credential)
            if known is None or known.stage is not stage:
                facts = {"reason": error.message}
                await events.record(tx, NewEvent(f"contact.{stage}", at_ms, adapter_id=adapter.id, facts=facts))


def _refused_its_credential(error: DeviceError) -> bool:
    """Not so where the login was accepted and the session then ended: a device that restarts does that, too."""
    return isinstance(error, AuthenticationFailed) and error.facts.get("step") != "first prompt"
