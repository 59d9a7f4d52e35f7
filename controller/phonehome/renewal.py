"""Certificates that end are made anew in the background: leaves of the listeners, and those of adapters.

A key takes 50 ms, so it is made in a thread. What cannot be renewed here, an authority, is an incident long before.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from controller.phonehome.certificates import ADAPTER_DAYS, DAY_MS, RENEW_IN_LAST, read
from controller.phonehome.context import Context
from controller.phonehome.pki import Kept
from controller.store import arms_keys, events, incidents
from controller.store.events import NewEvent
from controller.store.scope import By
from inventory.certificates import Standing, explain
from inventory.incidents import IncidentKind, NewIncident

log = structlog.get_logger(__name__)

LOOK_S: Final = 3600.0
"""How often it is looked whether something ends."""
AT_ONCE: Final = 4
"""Adapters whose certificates are made before the loop looks around."""


class Renewal:
    """Looks every hour, and when it is told that an adapter needs a certificate."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wanted = asyncio.Event()
        self._standings: dict[str, Standing] = {}

    def wanted(self) -> None:
        """An adapter needs a certificate, or the authority that signs them is another one."""
        self._wanted.set()

    async def watch(self) -> None:
        """Look every hour. Cancel to stop."""
        while True:
            await self.look()
            self._wanted.set()
            await self._context.clock.wait(LOOK_S)

    async def look(self) -> None:
        """One look: renew the leaves that are due, and say which certificates end."""
        context = self._context
        now_ms = context.clock.now_ms()
        for name in context.pki.due(now_ms):
            pair = await asyncio.to_thread(context.pki.make_leaf, name, now_ms=now_ms)
            context.pki.replace({name: pair})
            until_ms = read(pair.certificate).not_after_ms
            log.info("pki.renewed", certificate=name, until_ms=until_ms)
            async with context.database.write() as tx:
                facts = {"certificate": name, "until_ms": until_ms}
                await events.record(tx, NewEvent("pki.renewed", now_ms, facts=facts))
        for kept in context.pki.kept():
            await self._judge(kept, now_ms)

    async def _judge(self, kept: Kept, now_ms: int) -> None:
        """An incident while a certificate is about to end or has ended; settled when another has taken its place."""
        told = explain(kept.role, kept.read.not_after_ms, now_ms)
        before = self._standings.get(kept.role, None)
        if told.standing is before:
            return
        self._standings[kept.role] = told.standing
        by, cause = By("phone-home", now_ms), f"certificate {kept.role}"
        async with self._context.database.write() as tx:
            if told.standing is Standing.VALID:
                await incidents.settle(
                    tx, by, IncidentKind.CERTIFICATE, cause, "a certificate that lives longer is in use"
                )
                return
            facts = {"subject": kept.read.subject, "until_ms": kept.read.not_after_ms, "next": told.next_action}
            await incidents.note(tx, by, NewIncident(IncidentKind.CERTIFICATE, cause, told.summary, facts=facts))
        log.warning("pki.ends", certificate=kept.role, words=told.summary)

    # --- adapters -----------------------------------------------------------------------------------------------------

    async def issue(self) -> None:
        """Make the certificates of adapters that have none, or one that ends or is of a former authority."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while await self.issue_some():
                pass

    async def issue_some(self) -> bool:
        """Make the next few; whether there were any."""
        context, pki = self._context, self._context.pki
        now_ms, authority = context.clock.now_ms(), pki.adapter_authority
        issuer = read(pki.adapter_ca_certificate)
        # None lives longer than its authority, so near that one's end there is nothing to be won.
        before_ms = min(now_ms + ADAPTER_DAYS * DAY_MS // RENEW_IN_LAST, issuer.not_after_ms)
        async with context.database.read() as tx:
            due = await arms_keys.certificates_due(tx, authority=authority, before_ms=before_ms, limit=AT_ONCE)
        for adapter_id, distribution_id in due:
            pair = await asyncio.to_thread(pki.issue, distribution_id, now_ms=now_ms)
            async with context.database.write() as tx:
                await arms_keys.put_certificate(
                    tx,
                    context.keyring,
                    adapter_id,
                    pair.certificate,
                    pair.key,
                    authority=authority,
                    made_ms=now_ms,
                    until_ms=read(pair.certificate).not_after_ms,
                )
        return bool(due)
