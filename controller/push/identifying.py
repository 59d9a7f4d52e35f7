"""Who answers at an adapter's endpoint: asked when that was changed, on request, and now and then.

The serial number is proven before anything is ever written (architecture §1). What is made of the answer stands in
`controller.push.contacts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from controller.clock import Clock
from controller.push.reaching import DAEMON, FleetReach
from controller.store import adapters, entitlement, pushes, ssh
from controller.store.database import Database
from controller.store.scope import Scope
from inventory.adapters import Adapter
from inventory.errors import Conflict, DeviceError, RuleViolation

log = structlog.get_logger(__name__)
WATCH_S = 300.0
"""Seconds between two looks at every adapter on path `ssh`."""


class Identifier:
    """Contacts over SSH."""

    def __init__(self, database: Database, clock: Clock, reach: FleetReach) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._wanted: set[int] = set()
        self._wake = asyncio.Event()

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
        device = await self._reach.over_ssh(adapter, actor=actor, again=True)
        try:
            await device.identify()
        finally:
            await device.close()

    def wanted(self, adapter_id: int) -> None:
        """Where it is reached was changed, and that is committed: it is looked at now."""
        self._wanted.add(adapter_id)
        self._wake.set()

    async def watch(self) -> None:
        """Look at every seated adapter on path `ssh`, again and again, one at a time; never while a push holds it, and
        not at one that refused its credential. Where the endpoint was changed it is looked at once more, at once."""
        while True:
            async with self._database.read() as tx:
                seated = await ssh.to_watch(tx)
            await self._look(seated)
            over = asyncio.ensure_future(self._clock.wait(WATCH_S))
            try:
                while not over.done():
                    woken = asyncio.ensure_future(self._wake.wait())
                    await asyncio.wait({over, woken}, return_when=asyncio.FIRST_COMPLETED)
                    woken.cancel()
                    self._wake.clear()
                    new, self._wanted = self._wanted, set()
                    async with self._database.read() as tx:
                        seated = await ssh.to_watch(tx)
                    await self._look([each for each in seated if each in new])
            finally:
                over.cancel()

    async def _look(self, adapter_ids: Sequence[int]) -> None:
        for adapter_id in adapter_ids:
            async with self._database.read() as tx:
                adapter = await adapters.get(tx, Scope.everything(), adapter_id)
            try:
                await self.identify(Scope.everything(), adapter, DAEMON)
            except (Conflict, RuleViolation, DeviceError) as error:
                log.info("ssh.not-identified", adapter=adapter.serial.shown, code=error.code, why=error.message)
