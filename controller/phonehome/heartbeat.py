"""The heartbeat receiver: UDP in, proven at once, durable in batches (arms-protocol §9, §12, architecture §6).

A datagram of a sender that is known is proven when it is read from the socket, and packed; what is packed is handed to
`keep`, which makes it durable, several times a second. A sender that is not known, or not lately, waits for the next
look-up. Nothing is ever answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from controller.phonehome.beats import HEAD, Batch, Keep, Recall
from controller.phonehome.context import Context
from controller.phonehome.senders import Sender, Senders
from controller.phonehome.silence import Silence
from controller.phonehome.undisturbed import undisturbed
from drivers.arms import heartbeat
from drivers.arms.ids import DistributionId
from inventory.explain import Contact

BATCH_S: Final = 0.1
AT_ONCE: Final = 256
"""Datagrams read before the loop gets its turn."""
MAX_QUEUED: Final = 50_000
"""Datagrams that wait, and heartbeats that are not kept yet; a datagram has at most 1024 bytes."""
MAX_STRANGERS: Final = 10_000
"""Of those that wait, so many from ids that were not looked up yet: made-up ids do not displace real adapters."""
RECEIVE_BUFFER_BYTES: Final = 8 * 1024 * 1024
CLAIMS_PER_S: Final = 20
"""Unknown senders that are recorded one by one; of a flood only the number is kept."""
HASTE: Final = 0.75
"""A heartbeat that comes within this share of the interval makes the ones after it be remembered for the clone rule."""
SUSPECT: Final = 8
"""Intervals for which they are."""
_SO_MEMINFO: Final = 55
"""Linux: what the kernel knows of a socket's memory; the ninth number is how many datagrams it dropped."""

WRONG_KEY: Final = "wrong-key"
TRUNCATED: Final = "truncated"
OVERSIZE: Final = "oversize"
MALFORMED: Final = "malformed"
REPLAY: Final = "replay"
HASTY: Final = "too-soon"


@dataclass(slots=True)
class Counts:
    """What came since the node started. Everything that came is in exactly one number, but for `dropped`: their sum."""

    accepted: int = 0
    duplicate: int = 0
    """Second copies of an accepted heartbeat: sent to several receivers, or doubled on the way. Counted once."""
    refused: dict[str, int] = field(default_factory=dict)
    """By reason."""
    durable: int = 0
    """Of the accepted ones, those that a crash no longer loses."""

    def refuse(self, reason: str, count: int = 1) -> None:
        """Something was dropped."""
        self.refused[reason] = self.refused.get(reason, 0) + count

    @property
    def dropped(self) -> int:
        """All that was refused."""
        return sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class _Datagram:
    """One whose sender must be looked up."""

    octets: bytes
    id: bytes
    source: str
    received_ms: int
    monotonic_ms: int
    stranger: bool
    """Its id was not looked up yet when it came."""


class HeartbeatReceiver:
    """Listens, proves, packs, and notes contact."""

    def __init__(self, context: Context, keep: Keep, recall: Recall) -> None:
        self._context = context
        self._clock = context.clock
        self._keep = keep
        self.senders = Senders(context, recall)
        self._interval_ms = context.settings.heartbeat_interval_s * 1000 / context.clock.pace
        self.silence = Silence(self._interval_ms)
        self.counts = Counts()
        self._waiting: deque[_Datagram] = deque()
        self._strangers = 0
        self._packed: list[bytes] = []
        self._touched: list[Sender] = []
        self._wake = asyncio.Event()
        self._to_keep = asyncio.Event()
        self._keeping = asyncio.Lock()
        self._sockets: list[socket.socket] = []
        self._kernel_dropped = 0
        self._claims_left = float(CLAIMS_PER_S)
        self._claims_ms = context.clock.monotonic_ms()

    # --- the socket -------------------------------------------------------------------------------------------------

    async def listen(self, host: str, port: int) -> int:
        """Open a socket, one for each address; the port that was bound is returned. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            if family == socket.AF_INET6:
                # Beside 0.0.0.0 on the same port there is room for :: only when it is IPv6 alone.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((host, port))
            with contextlib.suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        except BaseException:
            bound.close()
            raise
        self._sockets.append(bound)
        asyncio.get_running_loop().add_reader(bound, self._readable, bound)
        return int(bound.getsockname()[1])

    def close(self) -> None:
        """Close the sockets."""
        while self._sockets:
            bound = self._sockets.pop()
            asyncio.get_running_loop().remove_reader(bound)
            bound.close()

    def _readable(self, bound: socket.socket) -> None:
        """Take what the kernel holds, each with the instant at which it was taken."""
        receive, now_ms, monotonic_ms = bound.recvfrom, self._clock.now_ms, self._clock.monotonic_ms
        for _ in range(AT_ONCE):
            try:
                datagram, address = receive(heartbeat.MAX_DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error that an earlier datagram caused
            self._received(datagram, address[0], now_ms(), monotonic_ms())

    def _received(self, datagram: bytes, source: str, received_ms: int, at_ms: int) -> None:
        sender = self.senders.known.get(datagram[28:44])
        if sender is not None and at_ms < sender.fresh_until_ms:
            self._judge(sender, datagram, source, received_ms, at_ms)
        else:
            self._wait(sender, datagram, source, received_ms, at_ms)

    def _wait(self, sender: Sender | None, datagram: bytes, source: str, received_ms: int, at_ms: int) -> None:
        """For the next look-up; what needs none is refused before it costs memory."""
        id_ = heartbeat.id_of(datagram)
        if id_ is None:
            self.counts.refuse(MALFORMED)
        elif sender is None and self.senders.is_unknown(id_, at_ms):
            self._unknown(id_, source)
        elif len(self._waiting) >= MAX_QUEUED or (sender is None and self._strangers >= MAX_STRANGERS):
            self.counts.refuse("queue-full")
        else:
            self._strangers += sender is None
            self._waiting.append(_Datagram(datagram, id_, source, received_ms, at_ms, sender is None))
            self._wake.set()

    def dropped_by_the_kernel(self) -> int:
        """Datagrams that found a socket's buffer full; 0 where the system does not tell."""
        with contextlib.suppress(OSError, struct.error):
            told = [bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36) for bound in self._sockets]
            if told:
                self._kernel_dropped = sum(int(struct.unpack_from("=9I", each)[8]) for each in told)
        return self._kernel_dropped

    # --- one datagram -----------------------------------------------------------------------------------------------

    def _judge(self, sender: Sender, datagram: bytes, source: str, received_ms: int, at_ms: int) -> None:
        """Prove, tell copies from news, pack."""
        if heartbeat.id_of(datagram) is None:
            self._refuse(sender, MALFORMED, source, received_ms)
            return
        intact = heartbeat.intact(datagram)
        for key in sender.keys:
            if heartbeat.proven(datagram, key):
                break
        else:
            self._refuse(sender, WRONG_KEY if intact else _spoilt(datagram), source, received_ms)
            return
        if not intact:
            self._refuse(sender, MALFORMED, source, received_ms)
            return
        content = datagram[44:]
        since_ms = None if sender.last_ms is None else at_ms - sender.last_ms
        if content:
            copy_ms = sender.copies(content, at_ms, received_ms)
            if copy_ms is not None:
                self._copy(sender, copy_ms, source, received_ms)
                return
        elif since_ms is not None and since_ms < self._interval_ms / 4:
            self._refuse(sender, HASTY, source, received_ms)
            return
        if since_ms is not None and since_ms < HASTE * self._interval_ms:
            sender.suspect_until_ms = at_ms + SUSPECT * self._interval_ms
        if at_ms < sender.suspect_until_ms:
            sender.trail.append((at_ms, source, content))
        sender.last_ms, sender.received_ms, sender.source = at_ms, received_ms, source
        if len(self._packed) < MAX_QUEUED:
            self.counts.accepted += 1
            self._packed.append(_packed(sender, received_ms, at_ms, content))
        else:
            self.counts.refuse("not-kept")  # nobody keeps them; counters only lose resolution by that
        if not sender.touched:
            sender.touched = True
            self._touched.append(sender)
            self._wake.set()

    def _copy(self, sender: Sender, since_ms: float, source: str, received_ms: int) -> None:
        """The same content again: soon after, it is the copy for another receiver; later, somebody replays it."""
        if since_ms < self._interval_ms / 2:
            self.counts.duplicate += 1
        else:
            self._refuse(sender, REPLAY, source, received_ms)

    def _refuse(self, sender: Sender, reason: str, source: str, received_ms: int) -> None:
        self.counts.refuse(reason)
        self._context.ledger.beat_refused(sender.identity, reason, source, received_ms)

    # --- look-ups and contact ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look up who is not known, and note contact, at most ten times a second. Cancel to stop; then `flush`."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(BATCH_S)
            await undisturbed(self._look_up_and_note())

    async def _look_up_and_note(self) -> None:
        self._wake.clear()
        while self._waiting:
            await self._look_up()
            self._judge_waiting()
            await asyncio.sleep(0)
        touched, self._touched = self._touched, []
        for sender in touched:
            sender.touched = False
            self._note(sender)
        if self._packed:
            self._to_keep.set()

    async def _look_up(self) -> None:
        now_ms = self._clock.monotonic_ms()
        wanted: set[bytes] = set()
        for one in self._waiting:
            if one.id not in wanted and not self.senders.is_unknown(one.id, now_ms):
                sender = self.senders.known.get(one.id)
                if sender is None or now_ms >= sender.fresh_until_ms:
                    wanted.add(one.id)
        await self.senders.look_up(list(wanted))

    def _judge_waiting(self) -> None:
        """In order of arrival, up to the first whose sender came while the others were looked up."""
        known, now_ms = self.senders.known, self._clock.monotonic_ms()
        for _ in range(min(len(self._waiting), 1000)):
            one = self._waiting[0]
            sender = known.get(one.id)
            if sender is not None and now_ms >= sender.fresh_until_ms:
                return
            if sender is None and not self.senders.is_unknown(one.id, now_ms):
                return
            self._waiting.popleft()
            self._strangers -= one.stranger
            if sender is not None:
                self._judge(sender, one.octets, one.source, one.received_ms, one.monotonic_ms)
            else:
                self._unknown(one.id, one.source)

    def _unknown(self, id_: bytes, source: str) -> None:
        """Nobody has this id, or whoever had it is retired or lost. It hears nothing (§10.1)."""
        self.counts.refuse("unknown-id")
        now_ms = self._clock.monotonic_ms()
        gained = (now_ms - self._claims_ms) / 1000 * CLAIMS_PER_S
        self._claims_left, self._claims_ms = min(CLAIMS_PER_S, self._claims_left + gained), now_ms
        if self._claims_left >= 1:
            self._claims_left -= 1
            self._context.ledger.claim(str(DistributionId(id_)), source, "heartbeat: the id is unknown")

    def _note(self, sender: Sender) -> None:
        ledger, identity = self._context.ledger, sender.identity
        assert sender.last_ms is not None
        heard_ms = sender.received_ms
        ledger.contact(identity, last_heartbeat_ms=heard_ms, last_seen_ms=heard_ms, source=sender.source)
        if sender.told_source != sender.source and self._context.clones.calm(identity.adapter_id):
            if sender.told_source is not None:
                ledger.event("phonehome.source-changed", identity, before=sender.told_source, now=sender.source)
            sender.told_source = sender.source
        clones = self._context.clones
        if sender.trail:
            clones.heartbeats(identity, sender.trail)
            sender.trail.clear()
        elif clones.pulls(identity.adapter_id):
            clones.heartbeats(identity, [(sender.last_ms, str(sender.source), None)])
        self._context.boots.heartbeat(identity.adapter_id, heard_ms)
        if self.silence.heard(identity.adapter_id, sender.last_ms):
            peer = self._context.peers.get(identity.adapter_id)
            stage = Contact.READY if peer is not None and peer.ready.is_set() else Contact.CONFIRMED
            ledger.contact(identity, stage=stage, stage_ms=heard_ms)
            ledger.event("phonehome.heard-again", identity, source=sender.source)

    # --- batches ----------------------------------------------------------------------------------------------------

    async def hand_on(self) -> None:
        """Give what is packed to `keep`, beside `run`: whoever keeps them may be busy, contact is noted on."""
        while True:
            await self._to_keep.wait()
            await undisturbed(self._hand_on_all())

    async def flush(self) -> None:
        """Look up, note and keep everything that has come so far."""
        await self._look_up_and_note()
        await self._hand_on_all()

    async def _hand_on_all(self) -> None:
        """A batch that cannot be kept stays; of too many the oldest are dropped: counters only lose resolution."""
        async with self._keeping:
            self._to_keep.clear()
            while self._packed:
                packed, self._packed = self._packed, []
                try:
                    await self._keep(Batch(len(packed), b"".join(packed)))
                except BaseException:
                    self._packed = packed + self._packed
                    self._to_keep.set()
                    raise
                self.counts.durable += len(packed)


def _spoilt(datagram: bytes) -> str:
    return OVERSIZE if len(datagram) > heartbeat.MAX_DATAGRAM else TRUNCATED


def _packed(sender: Sender, received_ms: int, at_ms: int, content: bytes) -> bytes:
    return HEAD.pack(sender.adapter_id, sender.entry, received_ms, at_ms, len(content)) + content
