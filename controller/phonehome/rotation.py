"""Rotations of keys, seen through: the adapter is asked to fetch the new key, and the old one ends in time.

What is accepted when is `inventory.keys`; this only makes sure that nothing stays half done. An adapter that is away
is asked when it can be pushed to again; one that is being pushed to is left alone until that is over.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from controller.phonehome.context import Context
from controller.phonehome.heartbeat import HeartbeatReceiver
from controller.phonehome.senders import grace_ms
from controller.phonehome.tunnel import Tunnel
from controller.phonehome.undisturbed import undisturbed
from controller.store import arms_keys, pushes
from controller.store import identities as rows
from controller.store.arms_keys import CertificateRecord
from drivers.arms.messages import Request
from drivers.arms.parameters import PullConfig
from drivers.sessions.arms import ArmsLink
from inventory.contacts import ArmsIdentity
from inventory.errors import FleetError, Unreachable
from inventory.keys import RotationState

LOOK_S: Final = 10.0
ANSWER_S: Final = 60.0
STALE_ANSWER_S: Final = 5.0
"""The same over a tunnel that is closed then whatever comes."""


class Rotations:
    """The rotations that are not finished."""

    def __init__(self, context: Context, link: ArmsLink, heartbeats: HeartbeatReceiver) -> None:
        self._context = context
        self._link = link
        self._heartbeats = heartbeats
        self._grace_ms = grace_ms(context.settings.heartbeat_interval_s)
        self._open: set[int] = set()
        self._asked: dict[int, frozenset[int | None]] = {}
        """Adapters that were asked to pull, and for which rotations."""
        self._asking: dict[int, frozenset[int | None]] = {}
        """Those that have not answered yet, and for which rotations they were asked."""
        self._put_out: dict[int, int | None] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Those that were not finished when the daemon stopped."""
        async with self._context.database.read() as tx:
            self._open |= set(await arms_keys.rotating(tx))

    async def begun(self, adapter_id: int) -> None:
        """A key of the adapter was rotated, and that is committed: whoever holds an old one in memory forgets it."""
        await self._take_up(adapter_id)
        self._wake.set()

    async def _take_up(self, adapter_id: int) -> None:
        self._open.add(adapter_id)
        identity = await self._identity(adapter_id)
        if identity is not None:
            self._heartbeats.senders.keys_changed(identity.distribution_id)
            peer = self._context.peers.get(adapter_id)
            if peer is not None:
                peer.identity = identity

    async def run(self) -> None:
        """Look every ten seconds, and when a rotation begins. Cancel to stop."""
        await self.load()
        while True:
            self._wake.clear()
            await undisturbed(self.look())
            waits = asyncio.ensure_future(self._context.clock.wait(LOOK_S))
            woken = asyncio.ensure_future(self._wake.wait())
            try:
                await asyncio.wait({waits, woken}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waits.cancel()
                woken.cancel()
                # Not awaited one by one: a cancellation of this loop that comes just then would be taken for theirs.
                await asyncio.wait({waits, woken})

    async def look(self) -> None:
        """One look at each of them; first at what another node has begun."""
        if self._context.database.dialect == "postgresql":
            async with self._context.database.read() as tx:
                others = set(await arms_keys.rotating(tx)) - self._open
            for adapter_id in others:
                await self._take_up(adapter_id)
        ids = sorted(self._open)
        if not ids:
            return
        async with self._context.database.read() as tx:
            identities = {each.adapter_id: each for each in await rows.by_adapter(tx, self._context.keyring, ids)}
            certificates = await arms_keys.certificates(tx, ids)
        for adapter_id in ids:
            identity = identities.get(adapter_id)
            if identity is None or not _unfinished(identity, certificates[adapter_id]):
                self._open.discard(adapter_id)
                self._asked.pop(adapter_id, None)
                self._put_out.pop(adapter_id, None)
                continue
            await self._end_old_keys(identity, certificates[adapter_id])
            wanted = _wanted(identity, certificates[adapter_id])
            if wanted is not None:
                self._ask(identity, wanted, certificates[adapter_id])
            asked_when_made = certificates[adapter_id].rotated_ms is not None and certificates[adapter_id].making
            answering = self._asking.get(adapter_id) == self._reasons(identity, certificates[adapter_id])
            if not answering and not asked_when_made:
                self._put_out_stale(identity)

    async def _identity(self, adapter_id: int) -> ArmsIdentity | None:
        async with self._context.database.read() as tx:
            found = await rows.by_adapter(tx, self._context.keyring, [adapter_id])
        return found[0] if found else None

    async def _end_old_keys(self, identity: ArmsIdentity, certificate: CertificateRecord) -> None:
        now_ms = self._context.clock.now_ms()
        heartbeat = identity.passphrases
        ends_heartbeat = (
            heartbeat.previous is not None and heartbeat.state(now_ms, grace_ms=self._grace_ms) is RotationState.SETTLED
        )
        has_certificate = certificate.rotated_ms is not None and not certificate.making and not certificate.waiting
        if not (ends_heartbeat or has_certificate):
            return
        async with self._context.database.write() as tx:
            if ends_heartbeat:
                await arms_keys.passphrase_settled(tx, identity.adapter_id, heartbeat)
            if has_certificate:
                await arms_keys.certificate_settled(tx, identity.adapter_id, certificate)

    def _stale(self, identity: ArmsIdentity) -> dict[str, list[Tunnel]]:
        """Tunnels that were opened with what is refused now, by the reason. Where we dial there is nothing to close."""
        peer = self._context.peers.get(identity.adapter_id)
        tunnels = [] if peer is None else [path for path in peer.paths.values() if isinstance(path, Tunnel)]
        rs, stands = identity.rs_keys, identity.certificate_serials
        overdue = rs.state(self._context.clock.now_ms()) is RotationState.OVERDUE
        found: dict[str, list[Tunnel]] = {}
        for tunnel in tunnels:
            if overdue and self._put_out.get(identity.adapter_id) != rs.rotated_ms:
                found.setdefault("its RS key is refused and it does not have the new one", []).append(tunnel)
            elif stands and tunnel.certificate_serial not in {None, *stands}:
                found.setdefault("the certificate that opened its tunnel was replaced", []).append(tunnel)
        return found

    def _put_out_stale(self, identity: ArmsIdentity) -> None:
        """Close them; not in the middle of a configure, whose result would be lost.

        The adapter was asked to pull before, over that very tunnel: one that is merely cut tries to open it again for
        ever, with what is refused, and never learns why (§7).
        """
        peer = self._context.peers.get(identity.adapter_id)
        if peer is None or peer.configuring:
            return
        for why, tunnels in self._stale(identity).items():
            self._put_out[identity.adapter_id] = identity.rs_keys.rotated_ms
            self._context.ledger.event("phonehome.put-out", identity, reason=why)
            for tunnel in tunnels:
                peer.closed(tunnel)
                tunnel.drop(why)

    def _ask(self, identity: ArmsIdentity, start: Literal["LS", "RS"], certificate: CertificateRecord) -> None:
        """Ask it to pull, once for the rotations that are open now, and once more when the deadline has passed; beside
        us, for it may take its time."""
        reasons = self._reasons(identity, certificate)
        peer = self._context.peers.get(identity.adapter_id)
        ready = peer is not None and peer.ready.is_set() and not peer.configuring
        if ready and identity.adapter_id not in self._asking and self._asked.get(identity.adapter_id) != reasons:
            self._asked[identity.adapter_id] = reasons
            self._asking[identity.adapter_id] = reasons
            self._context.spawn(self._ask_one(identity, start), f"pull-config {identity.serial}")

    def _reasons(self, identity: ArmsIdentity, certificate: CertificateRecord) -> frozenset[int | None]:
        """Which rotations want it to pull, and whether the old RS key is refused by now."""
        rs = identity.rs_keys
        overdue = rs.deadline_ms if rs.state(self._context.clock.now_ms()) is RotationState.OVERDUE else None
        return frozenset({rs.rotated_ms, overdue, identity.passphrases.rotated_ms, certificate.rotated_ms})

    async def _ask_one(self, identity: ArmsIdentity, start: Literal["LS", "RS"]) -> None:
        try:
            asked = await self._ask_now(identity, start)
        finally:
            del self._asking[identity.adapter_id]
        if asked:
            self._put_out_stale(identity)

    async def _ask_now(self, identity: ArmsIdentity, start: Literal["LS", "RS"]) -> bool:
        """False when nothing was sent."""
        async with self._context.database.read() as tx:
            held = await pushes.held(tx, [identity.adapter_id])
        asked = Request("pull-config", "", PullConfig(start))
        try:
            if held:
                raise Unreachable("a push to it is under way", serial=identity.serial.shown, step="pull-config")
            # In wrong hands it must end soon, and an adapter that is idle answers at once.
            within_s = STALE_ANSWER_S if self._stale(identity) else ANSWER_S
            await self._link.request(identity.serial.shown, asked, timeout_s=within_s)
        except Unreachable:
            self._asked.pop(identity.adapter_id, None)  # the next look asks again
            return False
        except FleetError as error:
            self._context.ledger.event("phonehome.not-asked-to-pull", identity, start=start, words=error.message)
        else:
            self._context.ledger.event("phonehome.asked-to-pull", identity, start=start)
        return True


def _wanted(identity: ArmsIdentity, certificate: CertificateRecord) -> Literal["LS", "RS"] | None:
    """Where a pull has to begin to bring what the adapter lacks; None when no pull would."""
    if identity.rs_keys.in_flight:
        return "LS"
    fresh_certificate = certificate.rotated_ms is not None and certificate.waiting
    return "RS" if identity.passphrases.in_flight or fresh_certificate else None


def _unfinished(identity: ArmsIdentity, certificate: CertificateRecord) -> bool:
    """Whether there is something to be done for it here; a new LS key is brought by a person."""
    keys = (identity.rs_keys, identity.passphrases)
    return any(each.previous is not None for each in keys) or certificate.rotated_ms is not None
