"""The heartbeat receiver: UDP in, batches out, silence declared (arms-protocol §9, §12, architecture §6).

A datagram is only put into a queue when it comes. A batch is looked up, verified, judged and written in one
transaction; nothing is ever answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.phonehome.context import Context
from controller.phonehome.silence import Silence
from controller.phonehome.undisturbed import undisturbed
from controller.store import phonehome as rows
from drivers.arms import heartbeat
from drivers.arms.heartbeat import Heartbeat
from drivers.arms.ids import DistributionId
from inventory.adapters import FINAL
from inventory.contacts import ArmsIdentity
from inventory.errors import ProtocolViolation
from inventory.explain import Contact

BATCH_S: Final = 0.1
SLICE: Final = 1000
"""Datagrams judged before the loop gets its turn."""
MAX_QUEUED: Final = 50_000
"""Datagrams that wait, and beats that are not yet taken; a datagram has at most 1024 bytes."""
MAX_STRANGERS: Final = 10_000
"""Of those that wait, so many from ids that were not looked up yet: made-up ids do not displace real adapters."""
MAX_UNKNOWN: Final = 20_000
"""Ids that are known to be nobody's."""
RECEIVE_BUFFER_BYTES: Final = 8 * 1024 * 1024
FRESH_S: Final = 30.0
"""How long a looked-up key and place are believed."""
REMEMBERED: Final = 16
"""Digests kept of each adapter, against replays."""


def grace_ms(interval_s: int) -> int:
    """How long an old passphrase is accepted after the config pull that brought the new one: packets on the way, and a
    client that begins with the new one at its next interval only."""
    return 2 * interval_s * 1000


@dataclass(frozen=True, slots=True)
class Beat:
    """A verified heartbeat, as it is handed on. `entry_id` is the place where its adapter sat when it came."""

    adapter_id: int
    entry_id: int | None
    received_ms: int
    monotonic_ms: int
    heartbeat: Heartbeat


OnBeats = Callable[[Sequence[Beat]], Awaitable[None]]
"""Takes the beats of a batch; called after they are durable."""


@dataclass(slots=True)
class _Sender:
    identity: ArmsIdentity
    looked_up_ms: float
    source: str | None = None
    last_ms: int | None = None
    digests: OrderedDict[bytes, None] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class _Datagram:
    data: bytes
    source: str
    received_ms: int
    monotonic_ms: int
    stranger: bool
    """Its id was not looked up yet when it came."""


class HeartbeatReceiver(asyncio.DatagramProtocol):
    """Listens, and runs the batches."""

    def __init__(self, context: Context, on_beats: OnBeats) -> None:
        self._context = context
        self._on_beats = on_beats
        self._queue: deque[_Datagram] = deque()
        self._wake = asyncio.Event()
        self._judged: deque[Beat] = deque()
        self._judged_some = asyncio.Event()
        self._handing_on = asyncio.Lock()
        self._senders: dict[bytes, _Sender] = {}
        self._unknown: dict[bytes, int] = {}
        self._strangers = 0
        self._interval_ms = context.settings.heartbeat_interval_s * 1000 / context.clock.pace
        self._grace_ms = grace_ms(context.settings.heartbeat_interval_s)
        self.silence = Silence(self._interval_ms)
        self._transport: asyncio.DatagramTransport | None = None
        self.counts: dict[str, int] = {"accepted": 0, "dropped": 0}
        """Accepted, and dropped by reason: for metrics and tests."""

    # --- the socket -------------------------------------------------------------------------------------------------

    async def listen(self, host: str, port: int) -> int:
        """Open the socket; the port that was bound is returned."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._transport = transport
        bound = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return int(bound.getsockname()[1])

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """See `asyncio.DatagramProtocol`."""
        clock = self._context.clock
        refusal = self._refusal(data, clock.monotonic_ms())
        if refusal is not None:
            self._drop(refusal)
            return
        stranger = data[28:44] not in self._senders
        self._strangers += stranger
        self._queue.append(_Datagram(data, str(addr[0]), clock.now_ms(), clock.monotonic_ms(), stranger))
        self._wake.set()

    def _refusal(self, data: bytes, now_ms: int) -> str | None:
        """Why it is dropped as it comes, before it costs memory or a look-up; None: it is put into the queue."""
        try:
            id_ = heartbeat.sender(data).binary
        except ProtocolViolation as violation:
            return violation.reason
        if len(self._queue) >= MAX_QUEUED:
            return "queue-full"
        if id_ not in self._senders:
            if self._unknown.get(id_, -math.inf) >= now_ms - FRESH_S * 1000:
                return "unknown"
            if self._strangers >= MAX_STRANGERS:
                return "queue-full"
        return None

    def _drop(self, reason: str) -> None:
        self.counts["dropped"] += 1
        self.counts[reason] = self.counts.get(reason, 0) + 1

    # --- batches ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Judge and write what comes, at most ten times a second. Cancel to stop; then `flush`."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(BATCH_S)
            await undisturbed(self._judge_all())

    async def hand_on(self) -> None:
        """Give what was judged to `on_beats`, beside `run`: whoever takes them may be busy, contact is judged on."""
        while True:
            await self._judged_some.wait()
            await undisturbed(self._hand_on_all())

    async def flush(self) -> None:
        """Judge, write and hand on everything that has come so far."""
        await self._judge_all()
        await self._hand_on_all()

    async def _hand_on_all(self) -> None:
        async with self._handing_on:
            self._judged_some.clear()
            while self._judged:
                beats = [self._judged.popleft() for _ in range(min(SLICE, len(self._judged)))]
                await self._on_beats(beats)

    async def _judge_all(self) -> None:
        self._wake.clear()
        while self._queue:
            taken = [self._queue.popleft() for _ in range(min(SLICE, len(self._queue)))]
            self._strangers -= sum(datagram.stranger for datagram in taken)
            await self._look_up(taken)
            beats = [beat for datagram in taken if (beat := self._judge(datagram)) is not None]
            if beats:
                await self._context.ledger.flush()
                self._keep(beats)
            await asyncio.sleep(0)

    def _keep(self, beats: Sequence[Beat]) -> None:
        """For `hand_on`; the oldest are dropped when nobody takes them: counters only lose resolution by that."""
        self._judged.extend(beats)
        while len(self._judged) > MAX_QUEUED:
            self._judged.popleft()
            self._drop("not-taken")
        self._judged_some.set()

    async def _look_up(self, datagrams: Iterable[_Datagram]) -> None:
        """Keys and places of senders that are not known, or not lately."""
        now_ms = self._context.clock.monotonic_ms()
        stale_ms = now_ms - FRESH_S * 1000
        wanted: set[bytes] = set()
        for datagram in datagrams:
            id_ = datagram.data[28:44]
            sender = self._senders.get(id_)
            if sender is None:
                if self._unknown.get(id_, -math.inf) < stale_ms and len(id_) == 16:
                    wanted.add(id_)
            elif sender.looked_up_ms < stale_ms:
                wanted.add(id_)
        if not wanted:
            return
        texts = {str(DistributionId(id_)): id_ for id_ in wanted}
        async with self._context.database.read() as tx:
            found = await rows.by_distribution_ids(tx, self._context.keyring, list(texts))
        known = {texts[identity.distribution_id]: identity for identity in found if identity.life not in FINAL}
        for id_ in wanted:
            self._remember(id_, known.get(id_), now_ms)

    def _remember(self, id_: bytes, identity: ArmsIdentity | None, now_ms: int) -> None:
        if identity is None:
            self._senders.pop(id_, None)
            if len(self._unknown) >= MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[id_] = now_ms
            return
        sender = self._senders.get(id_)
        if sender is None:
            self._senders[id_] = _Sender(identity, now_ms)
        else:
            sender.identity, sender.looked_up_ms = identity, now_ms

    def keys_changed(self, distribution_id: str) -> None:
        """A passphrase was rotated or delivered: what is remembered of this adapter is looked up anew."""
        sender = self._senders.get(DistributionId.parse(distribution_id).binary)
        if sender is not None:
            sender.looked_up_ms = -math.inf

    def _judge(self, datagram: _Datagram) -> Beat | None:
        """The beat, or None for what is dropped; the reason is counted, an unknown sender hears nothing (§10.1)."""
        sender = self._senders.get(datagram.data[28:44])
        if sender is None:
            self._drop("unknown")
            return None
        try:
            decoded = self._decode(datagram, sender)
        except ProtocolViolation as violation:
            self._drop(violation.reason)
            return None
        if self._replayed(sender, decoded, datagram):
            self._drop("replay")
            return None
        self.counts["accepted"] += 1
        self._accept(sender, datagram)
        return Beat(
            sender.identity.adapter_id,
            sender.identity.entry_id,
            datagram.received_ms,
            datagram.monotonic_ms,
            decoded,
        )

    def _decode(self, datagram: _Datagram, sender: _Sender) -> Heartbeat:
        """With the newest passphrase, or while it is rotated the one before. Raises ProtocolViolation."""
        newest, *older = sender.identity.passphrases.accepted(datagram.received_ms, grace_ms=self._grace_ms)
        try:
            return heartbeat.decode(datagram.data, newest.reveal().encode())
        except ProtocolViolation:
            if not older:
                raise
        return heartbeat.decode(datagram.data, older[0].reveal().encode())

    def _replayed(self, sender: _Sender, decoded: Heartbeat, datagram: _Datagram) -> bool:
        """Statistics never come twice with the same digest; a packet without them always does, so it is only slowed."""
        if not decoded.tlvs:
            last_ms = sender.last_ms
            return last_ms is not None and datagram.monotonic_ms - last_ms < self._interval_ms / 4
        if decoded.digest in sender.digests:
            return True
        sender.digests[decoded.digest] = None
        if len(sender.digests) > REMEMBERED:
            sender.digests.popitem(last=False)
        return False

    def _accept(self, sender: _Sender, datagram: _Datagram) -> None:
        ledger, identity = self._context.ledger, sender.identity
        now_ms = datagram.received_ms
        ledger.contact(identity, last_heartbeat_ms=now_ms, last_seen_ms=now_ms, source=datagram.source)
        if sender.source not in {None, datagram.source}:
            ledger.event("phonehome.source-changed", identity, before=sender.source, now=datagram.source)
        sender.source = datagram.source
        sender.last_ms = datagram.monotonic_ms
        self._context.boots.heartbeat(identity.adapter_id, now_ms)
        if self.silence.heard(identity.adapter_id, datagram.monotonic_ms):
            peer = self._context.peers.get(identity.adapter_id)
            stage = Contact.READY if peer is not None and peer.ready.is_set() else Contact.CONFIRMED
            ledger.contact(identity, stage=stage, stage_ms=now_ms)
            ledger.event("phonehome.heard-again", identity, source=datagram.source)

    # --- silence ----------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Declare silent whoever is, a tenth of an interval after it is due at the latest."""
        while True:
            await self._context.clock.wait(self._context.settings.heartbeat_interval_s / 10)
            await undisturbed(self.look())

    async def look(self) -> None:
        """One look at the clock."""
        clock = self._context.clock
        now_ms = clock.monotonic_ms()
        for adapter_id, peer in self._context.peers.items():
            if peer.configuring or peer.one_at_a_time.locked():
                self.silence.excuse(adapter_id, now_ms)
        silent = self.silence.due(now_ms)
        if not silent:
            return
        async with self._context.database.read() as tx:
            identities = await rows.by_adapter(tx, self._context.keyring, silent)
        for identity in identities:
            of_it = self._context.peers.get(identity.adapter_id)
            tunnel = of_it is not None and bool(of_it.paths)
            cause = "its tunnel is still open: UDP is blocked, or its client hangs" if tunnel else "line or power"
            self._context.ledger.contact(identity, stage=Contact.SILENT, stage_ms=clock.now_ms())
            self._context.ledger.event("phonehome.silent", identity, tunnel_open=tunnel, cause=cause)
