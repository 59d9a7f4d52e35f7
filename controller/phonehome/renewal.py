"""Certificates that end are made anew in the background: leaves of the listeners, and those of adapters.

A key takes 50 ms, so it is made in a thread. What cannot be renewed here, an authority, is an incident long before.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from controller.phonehome.certificates import ADAPTER_DAYS, DAY_MS, RENEW_IN_LAST, read, serial_number
from controller.phonehome.context import Context
from controller.phonehome.pki import Kept
from controller.store import arms_keys, events, incidents, installation
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.scope import By
from inventory.certificates import AUTHORITIES, AuthorityRole, CertificateWords, Standing, explain
from inventory.contacts import ArmsIdentity
from inventory.incidents import IncidentKind, NewIncident

log = structlog.get_logger(__name__)

LOOK_S: Final = 3600.0
"""How often it is looked whether something ends."""
AT_ONCE: Final = 4
"""Adapters whose certificates are made before the loop looks around."""
PATIENCE_S: Final = 5.0
"""How long a pull waits for the certificates of others; without one of its own the adapter can still open a tunnel."""


class Renewal:
    """Looks every hour, and when it is told that an adapter needs a certificate."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wanted = asyncio.Event()
        self._standings: dict[str, Standing] = {}
        self._foreign_told: dict[str, bool] = {}
        self._one_at_a_time = asyncio.Lock()

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
        changed = [
            (kept, told)
            for kept in context.pki.kept()
            if (told := explain(kept.role, kept.read.not_after_ms, now_ms)).standing
            is not self._standings.get(kept.read.fingerprint)
        ]
        if changed:
            async with context.database.write() as tx:
                for kept, told in changed:
                    await self._judge(tx, kept, told, now_ms)
            self._standings.update({kept.read.fingerprint: told.standing for kept, told in changed})

        for role in AUTHORITIES:
            await self._judge_shared(role, await self._foreign(role))

    async def _foreign(self, role: AuthorityRole) -> bool:
        """Whether another node has imported another CA, and this one still has the former."""
        context = self._context
        if context.database.dialect != "postgresql":
            return False
        mine = read(context.pki.authority(role).certificate).fingerprint
        async with context.database.read() as tx:
            return not await installation.agrees(tx, role, mine)

    async def _judge_shared(self, role: AuthorityRole, foreign: bool) -> None:
        """An incident while this node has another CA than the installation."""
        by, node = By("phone-home", self._context.clock.now_ms()), self._context.node
        cause = f"{role} of node {node}"
        if self._foreign_told.get(cause) is foreign:
            return
        async with self._context.database.write() as tx:
            if foreign:
                summary = f"node {node} has another {role} than the installation"
                next_step = "Stop this node, copy pki/ from the node where the CA was imported, and start it again."
                new = NewIncident(IncidentKind.CERTIFICATE, cause, summary, facts={"next": next_step})
                await incidents.note(tx, by, new)
            else:
                await incidents.settle(tx, by, IncidentKind.CERTIFICATE, cause, "it has the same one again")
        self._foreign_told[cause] = foreign

    async def _judge(self, tx: Tx, kept: Kept, told: CertificateWords, now_ms: int) -> None:
        """An incident while a certificate is about to end or has ended; settled when another has taken its place."""
        by, cause = By("phone-home", now_ms), f"certificate {kept.role}"
        if told.standing is Standing.VALID:
            await incidents.settle(tx, by, IncidentKind.CERTIFICATE, cause, "a certificate that lives longer is in use")
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
        if await self._foreign("sa-ca"):
            return False  # with two authorities the nodes would make each other's certificates anew for ever
        issuer = read(pki.adapter_ca_certificate)
        # None lives longer than its authority, so near that one's end there is nothing to be won.
        before_ms = min(now_ms + ADAPTER_DAYS * DAY_MS // RENEW_IN_LAST, issuer.not_after_ms)
        due_of = partial(arms_keys.certificates_due, authority=authority, before_ms=before_ms, limit=AT_ONCE)
        async with context.database.read() as tx:
            due = await due_of(tx)
        for adapter_id, distribution_id in due:
            async with self._one_at_a_time:
                # A pull may have made it while we waited: what that has brought is not replaced behind its back.
                async with context.database.read() as tx:
                    still = await due_of(tx, of=adapter_id)
                if still:
                    await self._make(adapter_id, distribution_id)
        return bool(due)

    async def have(self, identity: ArmsIdentity) -> ArmsIdentity:
        """The adapter with a certificate, made now if it has none: it pulls before the loop came to it, or was
        registered at another node. Without one when many wait; it gets it with a later pull then."""
        if identity.certificate is not None:
            return identity
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            return identity
        try:
            found = await self._context.identity(identity.distribution_id)
            if found is not None and found.certificate is None:
                await self._make(identity.adapter_id, identity.distribution_id)
                found = await self._context.identity(identity.distribution_id)
        finally:
            self._one_at_a_time.release()
        return found or identity

    async def _make(self, adapter_id: int, distribution_id: str) -> None:
        context, now_ms = self._context, self._context.clock.now_ms()
        authority = context.pki.adapter_authority
        stored = await context.identity(distribution_id)
        former = None if stored is None or stored.certificate is None else serial_number(stored.certificate)
        pair = await asyncio.to_thread(context.pki.issue, distribution_id, now_ms=now_ms)
        await context.ledger.flush()  # a pull of this moment is on record before it is decided which one it has
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
                serial=serial_number(pair.certificate),
                known=None if stored is None else stored.certificate_serial,
                former=former,
            )
