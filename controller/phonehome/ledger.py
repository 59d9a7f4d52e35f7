"""The one batcher of phone-home: contacts, claims and events of a moment are one transaction (architecture §3a.2)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any, Final

import structlog

from controller.clock import Clock
from controller.phonehome.undisturbed import undisturbed
from controller.store import events
from controller.store import phonehome as rows
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.startups import Proof
from inventory.admission import Answer
from inventory.contacts import ArmsIdentity, RefusedBeats

log = structlog.get_logger(__name__)

FLUSH_S: Final = 0.1
MAX_CLAIMS_PENDING: Final = 2000
MAX_EVENTS_PENDING: Final = 5000
_ROUTINE: Final = frozenset({"phonehome.pulled", "phonehome.ready", "phonehome.tunnel-ended"})
"""What every boot brings is an event like others, but no line of the log: it would be most of the work of a pull."""
EVENTS_OF_ONE: Final = 100
"""Events that one adapter may cause at once; then one a second."""


class Ledger:
    """Takes notes at once and writes them a little later, in the order of the contacts' last word."""

    def __init__(self, database: Database, clock: Clock, node: str | None = None) -> None:
        """`node`: what is noted of its tunnels does not touch those of other nodes."""
        self._database = database
        self._clock = clock
        self._node = node
        self._batch = rows.Batch(node=node)
        self._events: list[NewEvent] = []
        self._allowed: dict[int, tuple[float, int]] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self.dropped = 0
        """Claims and events that were not kept because too many came at once."""

    def contact(self, identity: ArmsIdentity, **columns: Any) -> None:
        """Change columns of the adapter's contact."""
        self._batch.contacts.setdefault(identity.adapter_id, {}).update(columns)
        self._wake.set()

    def refused(self, identity: ArmsIdentity, answer: Answer) -> None:
        """The adapter, or somebody in its name, was refused: code, reason, time and count."""
        self.contact(
            identity,
            refusal_code=answer.code,
            refusal_reason=answer.reason,
            refusal_ms=self._clock.now_ms(),
        )
        self._batch.refusals[identity.adapter_id] = self._batch.refusals.get(identity.adapter_id, 0) + 1

    def beat_refused(self, identity: ArmsIdentity, reason: str, source: str, at_ms: int) -> None:
        """A heartbeat in the adapter's name was refused; counted by reason, with the last time and source."""
        key = (identity.adapter_id, reason)
        noted = self._batch.beats.get(key)
        count, first_ms = (1, at_ms) if noted is None else (noted.count + 1, noted.first_ms)
        self._batch.beats[key] = RefusedBeats(identity.adapter_id, reason, count, first_ms, at_ms, source)
        self._wake.set()

    def claim(self, claimed: str, source: str, reason: str) -> None:
        """Somebody who is not admitted as who he says. Claims that repeat are counted; beyond 2000 at once, dropped."""
        now_ms = self._clock.now_ms()
        key = (claimed[:64], source, reason[:200])
        noted = self._batch.claims.get(key)
        if noted is not None:
            noted[1], noted[2] = now_ms, noted[2] + 1
        elif len(self._batch.claims) < MAX_CLAIMS_PENDING:
            self._batch.claims[key] = [now_ms, now_ms, 1]
        else:
            self.dropped += 1
        self._wake.set()

    def boot(self, identity: ArmsIdentity, **columns: Any) -> None:
        """The adapter pulled its configuration: a boot begins."""
        self._batch.boots.begin(identity.adapter_id, **columns)
        self._wake.set()

    def boot_step(self, identity: ArmsIdentity, **columns: Any) -> None:
        """The latest boot got further."""
        self._batch.boots.step(identity.adapter_id, **columns)
        self._wake.set()

    def first_beat(self, adapter_id: int, at_ms: int) -> None:
        """The first heartbeat of the latest boot."""
        self._batch.boots.step(adapter_id, heartbeat_ms=at_ms)
        self._wake.set()

    def proof(self, proof: Proof) -> None:
        """A startup version is shown to work."""
        self._batch.proofs.append(proof)
        self._wake.set()

    def event(self, kind: str, identity: ArmsIdentity | None, **facts: Any) -> None:
        """Something an operator may want to read. `facts` hold no secrets. Of an adapter that is too noisy, and when
        too much happens at once, it is dropped and counted."""
        if len(self._events) >= MAX_EVENTS_PENDING or (identity is not None and not self._allow(identity)):
            self.dropped += 1
            return
        if kind not in _ROUTINE:
            log.info(kind, adapter=str(identity.serial) if identity else None, **facts)
        self._events.append(
            NewEvent(
                kind,
                self._clock.now_ms(),
                adapter_id=identity.adapter_id if identity else None,
                entry_id=identity.entry_id if identity else None,
                management_id=identity.management_id if identity else None,
                facts=facts,
            )
        )
        self._wake.set()

    def _allow(self, identity: ArmsIdentity) -> bool:
        """Whether it may cause one more event: each becomes a row and a line of the log."""
        now_ms = self._clock.monotonic_ms()
        left, at_ms = self._allowed.get(identity.adapter_id, (float(EVENTS_OF_ONE), now_ms))
        left = min(float(EVENTS_OF_ONE), left + (now_ms - at_ms) / 1000)
        if left < 1:
            self._allowed[identity.adapter_id] = left, now_ms
            return False
        self._allowed[identity.adapter_id] = left - 1, now_ms
        if left - 1 < 1:
            log.warning("phonehome.noisy", adapter=str(identity.serial))
        return True

    async def run(self) -> None:
        """Write whenever there is something, at most every tenth of a second. Cancel to stop; then `flush`."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(FLUSH_S)
            await undisturbed(self.flush())

    async def flush(self) -> None:
        """Write what has been noted so far. A batch that cannot be written is kept for the next time."""
        async with self._writing:
            self._wake.clear()
            batch, self._batch = self._batch, rows.Batch(node=self._node)
            noted, self._events = self._events, []
            if not batch and not noted:
                return
            try:
                async with self._database.write() as tx:
                    await rows.write(tx, batch)
                    await events.record_all(tx, noted)
            except BaseException:
                self._events = noted + self._events
                with contextlib.suppress(Exception):
                    self._keep(batch)
                raise

    def _keep(self, batch: rows.Batch) -> None:
        """Put an unwritten batch under what has been noted since."""
        for adapter_id, columns in batch.contacts.items():
            self._batch.contacts[adapter_id] = {**columns, **self._batch.contacts.get(adapter_id, {})}
        for adapter_id, count in batch.refusals.items():
            self._batch.refusals[adapter_id] = self._batch.refusals.get(adapter_id, 0) + count
        for key, one in batch.beats.items():
            later = self._batch.beats.get(key)
            self._batch.beats[key] = (
                one if later is None else replace(later, count=one.count + later.count, first_ms=one.first_ms)
            )
        self._batch.claims = {**batch.claims, **self._batch.claims}
        self._batch.boots.put_before(batch.boots)
        self._batch.proofs = batch.proofs + self._batch.proofs
        self._wake.set()
