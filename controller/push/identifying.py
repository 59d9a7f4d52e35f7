"""Who answers at an adapter's endpoint: asked at registration, on request, and now and then.

The serial number is proven before anything is ever written (architecture §1). The host key shown at the first contact
is pinned; another serial number or host key later is quarantine, never an update of the record.
"""

from __future__ import annotations

import structlog

from controller.clock import Clock
from controller.push.reaching import FleetReach
from controller.store import adapters, checklist, endpoints, entitlement, events, pushes, ssh
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.scope import By, Scope
from inventory.adapters import Adapter, Life, LifeEvent
from inventory.errors import Conflict, DeviceError, IdentityMismatch, RuleViolation, Unreachable
from inventory.explain import Contact

log = structlog.get_logger(__name__)
WATCH_S = 300.0
"""Seconds between two looks at every adapter on path `ssh`."""
DAEMON = "daemon"


class Identifier:
    """Contacts over SSH."""

    def __init__(self, database: Database, clock: Clock, reach: FleetReach) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach

    async def identify(self, scope: Scope, adapter: Adapter, actor: str) -> None:
        """Connect, prove serial number and host key, record the contact; the first one puts it in service.

        Raises RuleViolation where its contract gives no service, Conflict while a push holds the adapter or it is in
        quarantine or phones home, DeviceError.
        """
        if adapter.path != "ssh":
            raise Conflict(f"{adapter.serial} phones home; it is not called", next_step="See its contact in explain.")
        async with self._database.read() as tx:
            await entitlement.require(tx, adapter.id)
            holder = await pushes.holder(tx, adapter.id)
            known = (await ssh.contacts(tx, [adapter.id])).get(adapter.id)
        if holder is not None:
            raise Conflict(f"push {holder} is under way on {adapter.serial}", next_step="Wait until it is over.")
        if known is not None and known.quarantine is not None:
            raise Conflict(
                f"{adapter.serial} is in quarantine: {known.quarantine}", next_step="Look, then release it first."
            )
        device = await self._reach.over_ssh(adapter)
        try:
            identity = await device.identify()
        except IdentityMismatch as error:
            await self._shut(adapter, error.message)
            raise
        except Unreachable as error:
            await self._missed(adapter, known, error.message, refused=False)
            raise
        except DeviceError as error:
            await self._missed(adapter, known, error.message, refused=True)
            raise
        finally:
            await device.close()
        by = By(actor, self._clock.now_ms())
        firmware = f"{identity.model} {identity.version}".strip()
        async with self._database.write() as tx:
            if device.host_key is not None:
                await endpoints.pin_host_key(tx, Scope.everything(), by, adapter.id, device.host_key)
            if device.certificate is not None:
                await endpoints.pin_certificate(tx, Scope.everything(), by, adapter.id, device.certificate)
            await ssh.reached(tx, adapter.id, serial=identity.serial, firmware=firmware, at_ms=by.at_ms)
            if known is None or known.stage is not Contact.READY:
                facts = {"serial_number": identity.serial, "firmware": firmware}
                await events.record(tx, NewEvent("contact.reached", by.at_ms, adapter_id=adapter.id, facts=facts))
            if adapter.life is Life.INSTALLED and not await checklist.missing(tx, Scope.everything(), adapter.id):
                await adapters.set_life(tx, Scope.everything(), by, adapter.id, LifeEvent.FIRST_CONTACT)

    async def watch(self) -> None:
        """Look at every seated adapter on path `ssh`, again and again, one at a time; never while a push holds it."""
        while True:
            async with self._database.read() as tx:
                wanted = await ssh.to_watch(tx)
            for adapter_id in wanted:
                async with self._database.read() as tx:
                    adapter = await adapters.get(tx, Scope.everything(), adapter_id)
                try:
                    await self.identify(Scope.everything(), adapter, DAEMON)
                except (Conflict, RuleViolation, DeviceError) as error:
                    log.info("ssh.not-identified", adapter=adapter.serial.shown, code=error.code, why=error.message)
            await self._clock.wait(WATCH_S)

    async def _shut(self, adapter: Adapter, reason: str) -> None:
        at_ms = self._clock.now_ms()
        async with self._database.write() as tx:
            await ssh.quarantined(tx, adapter.id, reason=reason, at_ms=at_ms)
            facts = {"reason": reason}
            await events.record(tx, NewEvent("contact.quarantined", at_ms, adapter_id=adapter.id, facts=facts))

    async def _missed(self, adapter: Adapter, known: ssh.SshContact | None, reason: str, *, refused: bool) -> None:
        at_ms = self._clock.now_ms()
        if refused:
            stage = Contact.REFUSED
        else:
            stage = Contact.SILENT if known is not None and known.last_seen_ms is not None else Contact.NEVER_SEEN
        async with self._database.write() as tx:
            await ssh.missed(tx, adapter.id, stage=stage, reason=reason, at_ms=at_ms)
            if known is None or known.stage is not stage:
                facts = {"reason": reason}
                await events.record(tx, NewEvent(f"contact.{stage}", at_ms, adapter_id=adapter.id, facts=facts))
