"""Gathers what `inventory.clones` judges, and keeps the incident of each violation (MPC-11)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.clock import Clock
from controller.phonehome.beats import Heard
from controller.phonehome.peer import Path
from controller.store import incidents
from controller.store.database import Database
from controller.store.scope import By, Scope
from controller.store.sightings import Shared
from drivers.arms import heartbeat
from inventory import clones
from inventory.clones import Clones, Contest, Lately, Sighting
from inventory.contacts import ArmsIdentity
from inventory.incidents import Incident, IncidentKind, NewIncident

MAX_KEPT: Final = 24
ALIKE: Final = 0.1
"""Heartbeats without statistics are all alike. A unit sends its copies to all receivers at once; so two of them at two
nodes are one within this share of the interval only."""
BY: Final = "phone-home"


@dataclass(slots=True)
class _Asked:
    at_ms: int
    source: str
    present: Path


@dataclass(slots=True)
class _Case:
    """One identity of which something is known that may count. Times are monotonic milliseconds."""

    identity: ArmsIdentity
    heard: dict[int, Sighting] = field(default_factory=dict)
    marks: dict[int, str] = field(default_factory=dict)
    """What their copies at other nodes are known by; empty: without statistics."""
    elsewhere: dict[int, Sighting] = field(default_factory=dict)
    """Heard by other nodes."""
    their_marks: dict[int, str] = field(default_factory=dict)
    """The same of those."""
    asked: list[_Asked] = field(default_factory=list)
    pulled: tuple[int, str] | None = None
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Sources of the violation that stands, first and last sight."""
    noted_ms: int | None = None
    """When the violation was last noted; None: there is none."""

    def lately(self) -> Lately:
        pulled_ms, pulled_from = self.pulled or (None, "")
        seen = [*self.heard.values(), *self.elsewhere.values()]
        return Lately(
            tuple(sorted(seen, key=lambda one: one.at_ms)),
            tuple(Contest(one.at_ms, one.source, one.present.source, one.present.heard_ms) for one in self.asked),
            pulled_ms,
            pulled_from,
        )

    def forget(self, before_ms: float) -> bool:
        """Drop what is too old to count; whether nothing is left."""
        self.heard = {at_ms: one for at_ms, one in self.heard.items() if at_ms > before_ms}
        self.marks = {at_ms: mark for at_ms, mark in self.marks.items() if at_ms in self.heard}
        self.elsewhere = {at_ms: one for at_ms, one in self.elsewhere.items() if at_ms > before_ms}
        self.their_marks = {at_ms: mark for at_ms, mark in self.their_marks.items() if at_ms in self.elsewhere}
        self.asked = [one for one in self.asked if one.at_ms > before_ms]
        if self.pulled is not None and self.pulled[0] <= before_ms:
            self.pulled = None
        return not (self.heard or self.asked or self.pulled) and self.noted_ms is None


class CloneWatch:
    """Told by the receiver and the doors; `look` judges."""

    def __init__(self, database: Database, clock: Clock, interval_ms: float) -> None:
        self._database = database
        self._clock = clock
        self._interval_ms = interval_ms
        self._cases: dict[int, _Case] = {}
        self._looked_at_old = False

    # --- what is seen -------------------------------------------------------------------------------------------------

    def heartbeats(self, identity: ArmsIdentity, heard: Iterable[Heard]) -> None:
        """Proven heartbeats that came faster than one unit sends them, or while it pulled."""
        case = self._case(identity)
        for at_ms, source, content in heard:
            if at_ms not in case.heard:
                told = heartbeat.traffic(content or b"")
                counters = tuple((i, into + out) for i, into, out, rate, *_ in told if not rate)
                case.heard[at_ms] = Sighting(at_ms, source, counters)
                if content is not None:
                    mark = case.marks[at_ms] = hashlib.sha256(content).hexdigest()[:16] if content else ""
                    for told_ms in list(self._alike(case.their_marks, mark, at_ms)):
                        del case.elsewhere[told_ms], case.their_marks[told_ms]
        for at_ms in sorted(case.heard)[:-MAX_KEPT]:
            del case.heard[at_ms]
            case.marks.pop(at_ms, None)

    def told(self, shift_ms: int) -> list[Shared]:
        """What other nodes may need, on the wall clock."""
        return [
            Shared(adapter_id, mark, replace(case.heard[at_ms], at_ms=at_ms + shift_ms))
            for adapter_id, case in self._cases.items()
            for at_ms, mark in case.marks.items()
        ]

    def heard_elsewhere(self, shared: Iterable[Shared], shift_ms: int) -> None:
        """What other nodes heard of identities that this one hears too. A copy of what is known counts once."""
        for one in shared:
            case = self._cases.get(one.adapter_id)
            at_ms = one.sighting.at_ms - shift_ms
            if case is None or self._is_copy(case, one.mark, at_ms):
                continue
            case.elsewhere[at_ms] = replace(one.sighting, at_ms=at_ms)
            case.their_marks[at_ms] = one.mark

    def _is_copy(self, case: _Case, mark: str, at_ms: int) -> bool:
        known = (case.marks, case.their_marks)
        return any(True for marks in known for _ in self._alike(marks, mark, at_ms))

    def _alike(self, marks: Mapping[int, str], mark: str, at_ms: int) -> Iterator[int]:
        """Instants at which a copy of the same heartbeat was heard."""
        apart_ms = self._interval_ms * (0.5 if mark else ALIKE)
        return (heard_ms for heard_ms, known in marks.items() if known == mark and abs(at_ms - heard_ms) < apart_ms)

    def asked(self, identity: ArmsIdentity, source: str, present: Path) -> None:
        """A second tunnel was asked for, and refused, while `present` was alive."""
        case = self._case(identity)
        case.asked = [*case.asked[1 - MAX_KEPT :], _Asked(self._clock.monotonic_ms(), source, present)]

    def pulled(self, identity: ArmsIdentity, source: str) -> None:
        """It asked LS or RS with the right key: it has left push mode."""
        self._case(identity).pulled = (self._clock.monotonic_ms(), source)

    def confirmed(self, adapter_id: int) -> None:
        """It is in push mode again."""
        case = self._cases.get(adapter_id)
        if case is not None:
            case.pulled = None

    def pulls(self, adapter_id: int) -> bool:
        """Whether it has pulled and not confirmed since."""
        case = self._cases.get(adapter_id)
        return case is not None and case.pulled is not None

    def calm(self, adapter_id: int) -> bool:
        """No violation stands."""
        case = self._cases.get(adapter_id)
        return case is None or case.noted_ms is None

    def _case(self, identity: ArmsIdentity) -> _Case:
        case = self._cases.get(identity.adapter_id)
        if case is None:
            case = self._cases[identity.adapter_id] = _Case(identity)
        case.identity = identity
        return case

    # --- what follows -------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Open, keep up and end violations."""
        now_ms = self._clock.monotonic_ms()
        window_ms = clones.WINDOW * self._interval_ms
        for adapter_id, case in list(self._cases.items()):
            found = clones.judge(case.lately(), self._interval_ms, now_ms)
            if found is not None:
                await self._note(case, found, now_ms)
            elif case.noted_ms is not None and now_ms - case.noted_ms > window_ms:
                await self._settle(case.identity.adapter_id)
                case.noted_ms, case.sources = None, {}
            if case.forget(now_ms - 2 * window_ms):
                del self._cases[adapter_id]
        if not self._looked_at_old:
            await self._settle_old(window_ms)

    async def _note(self, case: _Case, found: Clones, now_ms: int) -> None:
        """At once when it begins; then once an interval, so that its last sight is known."""
        for one in found.sources:
            first_ms, last_ms = case.sources.get(one.source, (one.first_ms, one.last_ms))
            case.sources[one.source] = (min(first_ms, one.first_ms), max(last_ms, one.last_ms))
        if case.noted_ms is not None and now_ms - case.noted_ms < self._interval_ms:
            return
        case.noted_ms = now_ms
        identity, shift_ms = case.identity, self._clock.now_ms() - now_ms
        names = " and ".join(list(case.sources)[:4])
        new = NewIncident(
            IncidentKind.CLONE,
            _cause(identity.adapter_id),
            f"{identity.serial} is alive in two places at once: {names}",
            adapter_id=identity.adapter_id,
            entry_id=identity.entry_id,
            management_id=identity.management_id,
            facts={
                "rule": "MPC-11",
                "evidence": [one.value for one in found.evidence],
                "sources": [
                    {"source": source, "first_ms": first + shift_ms, "last_ms": last + shift_ms}
                    for source, (first, last) in case.sources.items()
                ],
            },
        )
        async with self._database.write() as tx:
            await incidents.note(tx, By(BY, self._clock.now_ms()), new)

    async def _settle(self, adapter_id: int) -> None:
        async with self._database.write() as tx:
            why = f"for {clones.WINDOW} heartbeat intervals it was seen in one place only"
            await incidents.settle(tx, By(BY, self._clock.now_ms()), IncidentKind.CLONE, _cause(adapter_id), why)

    async def _settle_old(self, window_ms: float) -> None:
        """Violations of the time before this start: those that nobody has noted for a window have ended."""
        self._looked_at_old = True
        stand = False
        for incident in await self._standing():
            adapter_id = incident.adapter_id
            if adapter_id is None or not self.calm(adapter_id):
                continue
            if self._clock.now_ms() - incident.last_ms > window_ms:
                await self._settle(adapter_id)
            else:
                stand = True
        self._looked_at_old = not stand

    async def _standing(self) -> list[Incident]:
        async with self._database.read() as tx:
            found: list[Incident] = []
            for state in ("open", "acknowledged"):
                found += await incidents.page(tx, Scope.everything(), limit=1000, state=state, kind=IncidentKind.CLONE)
        return found


def _cause(adapter_id: int) -> str:
    return f"adapter {adapter_id}"
