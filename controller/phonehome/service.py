"""Phone-home as one thing: listeners, receiver, batcher, background work; started and stopped by the daemon."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from controller.clock import Clock
from controller.keyring import Keyring
from controller.phonehome import abroad, importing
from controller.phonehome.beats import Batch, Keep, Recall
from controller.phonehome.boots import Boots
from controller.phonehome.certificates import Read, read
from controller.phonehome.clonesharing import CloneSharing
from controller.phonehome.clonewatch import CloneWatch
from controller.phonehome.confirming import Confirmations
from controller.phonehome.context import Context, OnPowerOn, Startup
from controller.phonehome.doors import Doors
from controller.phonehome.exchange import STAGE_S, Exchange
from controller.phonehome.gate import Gate
from controller.phonehome.heartbeat import HeartbeatReceiver
from controller.phonehome.ledger import Ledger
from controller.phonehome.link import PushLink
from controller.phonehome.listener import Crowd, Listener, room
from controller.phonehome.loops import LoopGuard
from controller.phonehome.peer import Path as Way
from controller.phonehome.peer import Peer
from controller.phonehome.pki import Pki
from controller.phonehome.proof import Prover
from controller.phonehome.renewal import Renewal
from controller.phonehome.rotation import Rotations
from controller.phonehome.silencewatch import SilenceWatch
from controller.phonehome.simple import SimplePath
from controller.phonehome.tunnel import SILENCE_LOOK_S, Tunnel
from controller.phonehome.undisturbed import undisturbed
from controller.settings import ArmsSettings
from controller.store import arms_keys, installation, phonehome, whereabouts
from controller.store import identities as rows
from controller.store.database import Database
from inventory.admission import Door, admit
from inventory.certificates import AUTHORITIES, IMPORT_FOLLOWS, AuthorityRole
from inventory.contacts import ArmsIdentity
from inventory.errors import Conflict, FleetError
from inventory.explain import Contact
from inventory.replays import Told
from inventory.secrets import Secret

log = structlog.get_logger(__name__)

SWEEP_S: Final = 10.0
"""How often open tunnels are compared with the placements."""
SWEEP_AT_ONCE: Final = 500
TAKEN_OVER_AT_ONCE: Final = 200
"""Endpoints of a dead node that one sweep takes over: each is asked who it is, and other nodes take their share."""


async def _nobody(_batch: Batch) -> None:
    """Takes heartbeats where no metering runs."""


async def _nothing(_adapter_ids: Sequence[int]) -> Mapping[int, Told]:
    """Is remembered where no metering runs."""
    return {}


def _no_one(_adapter_id: int, _at_ms: int) -> None:
    """Takes power-ons where no metering runs."""


class PhoneHome:
    """LS, RS, tunnels and heartbeats of one node.

    `startup` gives the startup config of an entry; `keep` makes proven heartbeats durable, `recall` tells which were
    counted in the last day.
    """

    def __init__(
        self,
        *,
        settings: ArmsSettings,
        clock: Clock,
        keyring: Keyring,
        database: Database,
        folder: Path,
        startup: Startup,
        keep: Keep = _nobody,
        recall: Recall = _nothing,
        on_power_on: OnPowerOn = _no_one,
        node: str = "one",
    ) -> None:
        self.pki = Pki.open(folder, now_ms=clock.now_ms())
        interval_ms = settings.heartbeat_interval_s * 1000 / clock.pace
        ledger = Ledger(database, clock, node)
        self._context = Context(
            settings=settings,
            clock=clock,
            keyring=keyring,
            database=database,
            pki=self.pki,
            ledger=ledger,
            clones=CloneWatch(database, clock, interval_ms),
            gate=Gate(clock, ceiling=settings.pulls_per_s),
            loops=LoopGuard(clock, database, requests=settings.loop_requests, window_s=settings.loop_window_s),
            boots=Boots(clock, ledger),
            startup=startup,
            on_power_on=on_power_on,
            node=node,
        )
        self.link = PushLink(self._context)
        self.heartbeats = HeartbeatReceiver(self._context, keep, recall)
        locations = abroad.read(settings.locations)
        self._abroad = None if locations is None else abroad.AbroadWatch(self._context, locations)
        self._silence = SilenceWatch(self._context, self.heartbeats.silence, interval_ms)
        self._sharing = CloneSharing(self._context, self.heartbeats.senders, interval_ms)
        self._listeners: list[Listener[Exchange]] = []
        self.crowd = Crowd(clock, at_most=room(settings.connections), per_source=settings.unproven_per_source)
        self.renewal = Renewal(self._context)
        prover = Prover(self._context)
        self._confirmations = Confirmations(self._context, prover)
        self._doors = Doors(self._context, prover, self.renewal, self._confirmations)
        self.rotations = Rotations(self._context, self.link, self.heartbeats)

    @property
    def ports(self) -> tuple[int, int, int]:
        """Bound ports: LS, RS, heartbeat."""
        return self._context.ls_port, self._context.rs_port, self._context.heartbeat_port

    @property
    def context(self) -> Context:
        """What its parts share."""
        return self._context

    @property
    def crowded(self) -> bool:
        """Adapters are held at the gate."""
        return self._context.gate.held > 0

    @property
    def ledger(self) -> Ledger:
        """The batcher; `flush` it to read one's own writes."""
        return self._context.ledger

    async def start(self) -> None:
        """Open the listeners, and begin. Raises Conflict when this node has other CAs than the installation."""
        context, settings = self._context, self._context.settings
        await self._share_authorities()
        await self._after_restart()
        floor = settings.tls_floor
        location = self.pki.location_context(floor)
        resource = self.pki.resource_context(floor, settings.client_certificates)
        for host in settings.listens_on:
            # A port that the system chose for the first address is that of all.
            beats, ls, rs = (
                context.heartbeat_port or settings.heartbeat_port,
                context.ls_port or settings.ls_port,
                context.rs_port or settings.rs_port,
            )
            context.heartbeat_port = await self.heartbeats.listen(host, beats)
            context.ls_port = self._listen(self._doors.location, location, host, ls)
            context.rs_port = self._listen(self._doors.resource, resource, host, rs)
        for work, name in (
            (context.ledger.run, "ledger"),
            (self.heartbeats.run, "heartbeats"),
            (self.heartbeats.hand_on, "hand-on"),
            (self._silence.watch, "silence"),
            (self._sweep, "sweep"),
            (self._listen_for_silence, "silent tunnels"),
            (self._share_evidence, "evidence of clones"),
            (self.renewal.watch, "renewal"),
            (self.renewal.issue, "certificates"),
            (self.rotations.run, "rotations"),
        ):
            context.spawn(_again(work, name, context), f"phonehome {name}")
        if self._abroad is not None:
            context.spawn(_again(self._abroad.watch, "abroad", context), "phonehome abroad")

    async def stop(self) -> None:
        """Refuse new connections, end the tunnels in order, write what is noted."""
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(_farewell(peer) for peer in list(self._context.peers.values())))
        await self._doors.stop()
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        self.heartbeats.close()
        await self._context.stop_tasks()
        await self.heartbeats.flush()
        await self._context.ledger.flush()

    def _listen(self, handler: Callable[[Exchange], Awaitable[None]], tls: ssl.SSLContext, host: str, port: int) -> int:
        listener = Listener(
            self.crowd,
            self._doors.connection,
            handler,
            tls,
            deadline_s=STAGE_S / self._context.clock.pace,
            on_refusal=lambda source, words: self._context.ledger.claim("", source, words),
        )
        self._listeners.append(listener)
        return listener.listen(host, port)

    async def _share_authorities(self) -> None:
        """All nodes have the same CAs. Where there is one node, what it has is right."""
        mine: dict[str, str] = {role: read(self.pki.authority(role).certificate).fingerprint for role in AUTHORITIES}
        async with self._context.database.write() as tx:
            if self._context.database.dialect == "postgresql":
                await installation.require(tx, mine)
                return
            for role, fingerprint in mine.items():
                await installation.settle(tx, role, fingerprint)

    async def _after_restart(self) -> None:
        """Endpoints have survived, tunnels not; whoever was in contact is heard within 2.5 intervals, or is silent."""
        context = self._context
        async with context.database.read() as tx:
            records = await phonehome.contacts(tx)
            identities = {
                each.adapter_id: each
                for each in await rows.by_adapter(tx, context.keyring, [record.adapter_id for record in records])
            }
        await context.loops.remember()
        now_ms = context.clock.monotonic_ms()
        for record in records:
            identity = identities.get(record.adapter_id)
            ours = context.database.dialect == "sqlite" or record.node in {None, context.node}
            if identity is not None and ours and record.tunnel_open:
                context.ledger.contact(identity, tunnel_open=0)
            if identity is not None and ours and record.push_endpoint and record.push_result_url:
                self._restore(identity, record.push_endpoint, record.push_result_url)
            if record.last_heartbeat_ms is not None and record.stage in {Contact.READY, Contact.CONFIRMED}:
                self.heartbeats.silence.heard(record.adapter_id, now_ms)
            elif record.stage is Contact.SILENT:
                self.heartbeats.silence.was_silent(record.adapter_id, now_ms)

    def _restore(self, identity: ArmsIdentity, endpoint: str, result_url: str) -> None:
        if admit(Door.TUNNEL, identity.caller(key_ok=True, startup=True)).admitted:
            self._confirmations.restore(identity, endpoint, result_url)
        else:
            self._context.ledger.contact(identity, push_endpoint=None, push_result_url=None)

    # --- for the rest of the daemon -----------------------------------------------------------------------------------

    def provisioned(self) -> None:
        """Adapters got their identities, on record: make their certificates now, beside the loop."""
        self.renewal.wanted()

    async def key_rotated(self, adapter_id: int) -> None:
        """A key of an adapter was rotated, and that is committed: see the rotation through."""
        self.renewal.wanted()
        await self.rotations.begun(adapter_id)

    async def import_authority(
        self, role: AuthorityRole, certificate: str, key: Secret, *, confirmed: bool = False
    ) -> Read:
        """Use a CA of the operator's own from now on: new connections see it, open ones stay. What was taken.

        Raises BadInput for one that clients would not accept, Conflict when adapters trust another and `confirmed` is
        false. After either nothing has changed.
        """
        now_ms = self._context.clock.now_ms()
        taken = importing.authority(role, certificate, key, now_ms=now_ms)
        told = read(taken.certificate)
        if told.fingerprint == read(self.pki.authority(role).certificate).fingerprint:
            return told
        if role != "sa-ca" and not confirmed:
            async with self._context.database.read() as tx:
                known = await arms_keys.in_contact(tx)
            if known:
                raise Conflict(
                    f"{known} adapters trust another CA: {IMPORT_FOLLOWS[role]}",
                    next_step="Send it with `confirmed` when you have prepared that.",
                    facts={"adapters": known},
                )
        leaves = {
            name: await asyncio.to_thread(self.pki.make_leaf, name, now_ms=now_ms, authority=taken)
            for name in self.pki.leaves_of(role)
        }
        async with self._context.database.write() as tx:
            await installation.announce(tx, role, told.fingerprint)
        self.pki.replace(leaves, role=role, by=taken)
        async with self._context.database.write() as tx:
            await installation.settle(tx, role, told.fingerprint)
        await self.renewal.look()
        self.renewal.wanted()
        return told

    async def place_changed(self, adapter_id: int) -> None:
        """A slot was given, taken or promoted, a contract suspended: whoever may not stay is put out at once."""
        self.heartbeats.senders.forget(adapter_id)
        await self._recheck([adapter_id])
        await self.rotations.begun(adapter_id)

    async def clear_quarantine(self, adapter_id: int) -> None:
        """An operator has looked: the adapter proves itself again at its next contact."""
        async with self._context.database.write() as tx:
            await phonehome.write(
                tx, phonehome.Batch(contacts={adapter_id: {"quarantine": None, "quarantine_ms": None}})
            )
        peer = self._context.peers.get(adapter_id)
        if peer is not None:
            peer.pulled("quarantine cleared")
            peer.set_quarantine(None)

    # --- background ---------------------------------------------------------------------------------------------------

    async def _share_evidence(self) -> None:
        if self._context.database.dialect != "postgresql":
            await asyncio.Event().wait()  # there is one node
        while True:
            await self._context.clock.wait(self._context.settings.heartbeat_interval_s / 2)
            await undisturbed(self._sharing.look())

    async def _listen_for_silence(self) -> None:
        while True:
            await asyncio.sleep(
                SILENCE_LOOK_S / self._context.clock.pace
            )  # as the echoes that are awaited: no clock jumps
            for peer in list(self._context.peers.values()):
                for path in list(peer.paths.values()):
                    if isinstance(path, Tunnel):
                        path.look()

    async def _sweep(self) -> None:
        while True:
            self._confirmations.prove_unproven()
            await self._context.clock.wait(SWEEP_S)
            await undisturbed(self._context.loops.look())
            open_now = [adapter_id for adapter_id, peer in self._context.peers.items() if peer.paths]
            for start in range(0, len(open_now), SWEEP_AT_ONCE):
                await undisturbed(self._compare(open_now[start : start + SWEEP_AT_ONCE]))
            if self._context.database.dialect == "postgresql":
                await undisturbed(self._put_on_record())
                await undisturbed(self._take_endpoints_over())

    async def _put_on_record(self) -> None:
        """An adapter with ways to several nodes is on record with one of them. Where that way has ended, or its node,
        ours is put on record: what is asked of the adapter comes here then."""
        usable = {adapter_id: peer for adapter_id, peer in self._context.peers.items() if peer.confirmed}
        if not usable:
            return
        async with self._context.database.read() as tx:
            unheld = await whereabouts.unheld(tx, list(usable))
        for adapter_id in unheld:
            for path in usable[adapter_id].confirmed:
                self._context.ledger.contact(usable[adapter_id].identity, **self._on_record(path))

    async def _take_endpoints_over(self) -> None:
        """Endpoints of a node that died: the adapter notices nothing, and nobody else would ever dial it."""
        context, peers = self._context, self._context.peers
        async with context.database.read() as tx:
            found = await whereabouts.orphans(tx)
        taken = 0
        for orphan in found:
            url = self._confirmations.result_url_here(orphan.endpoint, orphan.result_url)
            if url is None or ((peer := peers.get(orphan.adapter_id)) is not None and peer.paths):
                continue
            if taken >= TAKEN_OVER_AT_ONCE:
                return
            async with context.database.write() as tx:
                if not await whereabouts.take_over(tx, orphan, context.node, result_url=url):
                    continue
                (identity,) = await rows.by_adapter(tx, context.keyring, [orphan.adapter_id])
            taken += 1
            self._restore(identity, orphan.endpoint, url)
            context.ledger.event("phonehome.endpoint-taken-over", identity, node=orphan.node, endpoint=orphan.endpoint)

    def _on_record(self, path: Way) -> dict[str, object]:
        if isinstance(path, SimplePath):
            return {
                "push_endpoint": path.endpoint.url,
                "push_result_url": path.result_url,
                "node": self._context.node,
            }
        return {"tunnel_open": 1, "node": self._context.node}

    async def _compare(self, adapter_ids: Sequence[int]) -> None:
        """Look again at those that stand otherwise than when they were read last, by whichever process."""
        async with self._context.database.read() as tx:
            standings = await rows.standings(tx, adapter_ids)
        peers = self._context.peers
        changed = [
            adapter_id
            for adapter_id, standing in standings.items()
            if (peer := peers.get(adapter_id)) is not None and rows.standing_of(peer.identity) != standing
        ]
        if changed:
            await self._recheck(changed)

    async def _recheck(self, adapter_ids: Sequence[int]) -> None:
        async with self._context.database.read() as tx:
            identities = await rows.by_adapter(tx, self._context.keyring, adapter_ids)
        for identity in identities:
            peer = self._context.peers.get(identity.adapter_id)
            if peer is None:
                continue
            self._context.peer(identity)
            answer = admit(Door.TUNNEL, identity.caller(key_ok=True, startup=True))
            if not answer.admitted and peer.paths:
                self._context.ledger.refused(identity, answer)
                self._context.ledger.event("phonehome.put-out", identity, reason=answer.reason)
                self._context.ledger.contact(identity, stage=Contact.REFUSED, stage_ms=self._context.clock.now_ms())
                self.heartbeats.silence.forget(identity.adapter_id)
                peer.pulled(answer.reason)


async def _again(work: Callable[[], Awaitable[None]], name: str, context: Context) -> None:
    """Keep a loop going: what fails once, such as a database that is away, is logged and tried again."""
    while True:
        try:
            await work()
        except (FleetError, OSError, SQLAlchemyError):
            log.exception("phonehome.loop-failed", loop=name)
            await context.clock.wait(1.0)


async def _farewell(peer: Peer) -> None:
    for path in list(peer.paths.values()):
        if isinstance(path, Tunnel):
            await path.close("this node stops")
