"""Clients that ask again and again without getting on: slowed down, flagged, let go when they have calmed down.

Our answers trigger none of the loops that are known (arms-protocol §8, §12); a client may find one of its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from controller.clock import Clock
from controller.phonehome.gate import HOLD_S
from controller.phonehome.undisturbed import undisturbed
from controller.store import incidents
from controller.store.database import Database
from controller.store.scope import By, Scope
from inventory.contacts import ArmsIdentity
from inventory.incidents import IncidentKind, NewIncident

SLOW_S: Final = 120.0
"""How long a caught client is answered slowly; longer than its longest retry interval (60 s by default), so that it
hears 301 at least once. Protocol time, as all times here."""
CALM_S: Final = 600.0
"""How long after it was last caught a client that keeps its pace counts as calm: the incident is settled."""
HELD_AT_ONCE: Final = 4
"""Connections of one caught client that are held; more are answered at once."""
KIND: Final = IncidentKind.CLIENT_LOOP


@dataclass(slots=True)
class _Asker:
    asked_ms: deque[float] = field(default_factory=deque)
    caught_ms: float | None = None
    words: str = ""
    held: int = 0


class LoopGuard:
    """Counts what each proven adapter asks of LS, RS and tunnel; results of operations are not counted."""

    def __init__(self, clock: Clock, database: Database, *, requests: int, window_s: int) -> None:
        self._clock = clock
        self._database = database
        self._requests = requests
        self._window_s = window_s
        self._askers: dict[int, _Asker] = {}

    def _now_ms(self) -> float:
        return self._clock.monotonic_ms() * self._clock.pace

    async def enter(self, identity: ArmsIdentity, reason: str) -> str | None:
        """Count a request; None when it may go on. A caught client was held for up to 20 s, and the words say why.

        `reason` is why it pulls, for the incident.
        """
        asker = self._askers.setdefault(identity.adapter_id, _Asker())
        now_ms = self._now_ms()
        if asker.caught_ms is not None and now_ms - asker.caught_ms < SLOW_S * 1000:
            return await self._slow(asker)
        asked = asker.asked_ms
        asked.append(now_ms)
        while now_ms - asked[0] > self._window_s * 1000:
            asked.popleft()
        if len(asked) <= self._requests:
            return None
        asker.caught_ms = now_ms
        asker.words = f"it asked {len(asked)} times within {self._window_s} s"
        asked.clear()
        await undisturbed(self._flag(identity, asker.words, reason))
        return await self._slow(asker)

    async def _slow(self, asker: _Asker) -> str:
        words = asker.words
        if asker.held < HELD_AT_ONCE:
            asker.held += 1
            try:
                await self._clock.wait(HOLD_S)
            finally:
                asker.held -= 1
        return words

    async def _flag(self, identity: ArmsIdentity, words: str, reason: str) -> None:
        by = By("phone-home", self._clock.now_ms())
        new = NewIncident(
            KIND,
            _cause(identity.adapter_id),
            f"{identity.serial}: {words}",
            adapter_id=identity.adapter_id,
            entry_id=identity.entry_id,
            management_id=identity.management_id,
            facts={"adapter": str(identity.serial), "asked": words, "reason": reason[:200]},
        )
        async with self._database.write() as tx:
            await incidents.note(tx, by, new)

    async def look(self) -> None:
        """Settle the incidents of those who have calmed down, and forget who has not asked for a while.

        An incident from before a restart is settled when its adapter keeps its pace from then on.
        """
        now_ms = self._now_ms()
        for adapter_id, asker in list(self._askers.items()):
            if asker.caught_ms is None and (not asker.asked_ms or now_ms - asker.asked_ms[-1] > self._window_s * 1000):
                del self._askers[adapter_id]
        calm = [
            adapter_id
            for adapter_id, asker in self._askers.items()
            if asker.caught_ms is not None and now_ms - asker.caught_ms > CALM_S * 1000
        ]
        if not calm:
            return
        by = By("phone-home", self._clock.now_ms())
        async with self._database.write() as tx:
            for adapter_id in calm:
                await incidents.settle(tx, by, KIND, _cause(adapter_id), "it keeps its pace again")
        for adapter_id in calm:
            self._askers[adapter_id].caught_ms = None

    async def remember(self) -> None:
        """After a restart: whoever has an open incident is watched as if just caught, but not slowed."""
        async with self._database.read() as tx:
            known = await incidents.page(tx, Scope.everything(), kind=KIND, limit=10_000, still_open=True)
        since_ms = self._now_ms() - SLOW_S * 1000
        for one in known:
            if one.adapter_id is not None:
                self._askers[one.adapter_id] = _Asker(caught_ms=since_ms, words=one.title)


def _cause(adapter_id: int) -> str:
    return f"adapter {adapter_id}"
