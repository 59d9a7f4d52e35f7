"""One transition of a push: read the journal, decide, journal the intention, act, journal the outcome (§5).

Each intention is durable before the device sees its command. Nothing here is lost by a crash: what is held in memory
is the contact to the device, and without it the journal leads to a reading.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.push.decide import End, Enter, Facts, Reconcile, Revert, decide, finished
from controller.push.journal import Follow, Journal, Moment, Release, Written
from controller.push.outcomes import Outcome, failed
from controller.push.planning import Planner
from controller.push.reach import Reach
from controller.push.reconcile import Compared, guard_left_s, observe
from controller.store import entitlement, plans, pushes
from controller.store.configs import NewVersion
from controller.store.database import Database, Tx
from controller.store.plans import Course
from controller.store.transcripts import new_words
from controller.together import Together
from drivers.errors import LockedOut
from drivers.push import Device, PushJob
from drivers.sessions.permission import PERMIT, Permit, permitted
from drivers.sessions.transcript import Words
from inventory.entitlement import Stop
from inventory.errors import CommandRejected, FleetError, NotFound
from inventory.plans import JournalRow, Phase, Push, PushState, Verdict

log: Final = structlog.get_logger(__name__)

_AUTHOR: Final = "push"
_TELLING: Final = frozenset({PushState.APPLYING, PushState.DONE, PushState.RECONCILE, PushState.REVERTING})
"""With the outcome of these, and of whatever did not go well, what was typed and said is stored: rarely enough to cost
little, and before a process that dies could take much of it along."""
_LOOK_S: Final = 5.0
"""How often a push that waits looks whether its adapter has come to another node."""
_READS_APART_S: Final = 0.015
"""Many pushes that go on at the same time are read together; one alone never waits."""


@dataclass(slots=True)
class _Contact:
    """The device of a push as this process holds it. `held`: in unbroken contact since the last journal row.

    `course` never changes but for what the device names in the journal, so it is read once.
    """

    course: Course
    rows: list[JournalRow]
    """The journal as it was when a transition began, and what this process has written since."""
    device: Device | None = None
    held: bool = False
    words: Words = field(default_factory=Words)
    """What was typed and said since the last piece of the transcript that was stored."""

    @property
    def job(self) -> PushJob:
        """What the driver needs."""
        return self.course.job

    def learn(self, rows: list[JournalRow]) -> None:
        """The journal is this now; a transaction that the device has named in it is part of the job."""
        self.rows = rows
        named = [row.transaction_id for row in rows if row.transaction_id is not None]
        if named and named[-1] != self.job.transaction_id:
            self.course = replace(self.course, job=replace(self.job, transaction_id=named[-1]))

    async def drop(self) -> None:
        device, self.device, self.held = self.device, None, False
        if device is not None:
            await device.close()


@dataclass(slots=True)
class _Turn:
    """Who advances a push now, and whether somebody has nudged it since the transition began."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: int = 0
    """How many want to advance it."""
    nudged: bool = False
    waits: asyncio.Event | None = None

    def nudge(self) -> None:
        self.nudged = True
        if self.waits is not None:
            self.waits.set()


@dataclass(frozen=True, slots=True)
class _Push:
    """One push as read from the database at the beginning of a transition, and the contact to its device."""

    push: Push
    rows: list[JournalRow]
    same_place: bool
    stopped: str | None
    contact: _Contact

    @property
    def course(self) -> Course:
        return self.contact.course


@dataclass(frozen=True, slots=True)
class _Read:
    """What a transition begins with. `course` only where this process has nothing of the push yet."""

    standing: pushes.Standing
    stop: Stop | None
    course: Course | None


class Advance:
    """Carries out pushes, one transition a call. Calls for the same push wait for each other."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        reach: Reach,
        planner: Planner,
        *,
        permit: Permit | None = None,
        node: str | None = None,
    ) -> None:
        """`node`: a push whose adapter came back to another node is given to that one; None: this is the only one."""
        self._permit = permit
        self._node = node if database.dialect == "postgresql" else None
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._reach = reach
        self._planner = planner
        self._journal = Journal(database, keyring)
        self._standings = Together(self._read_standings, apart_s=_READS_APART_S)
        self._contacts: dict[int, _Contact] = {}
        self._turns: defaultdict[int, _Turn] = defaultdict(_Turn)
        self._acting = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopping = False

    async def __call__(self, push_id: int) -> bool:
        """Take the next transition of a push; True when it is finished, or another node goes on with it. See
        `controller.engine.port.Advance`.

        Raises NotPermittedError when another node carries the push out now: nothing was sent or journalled since.
        """
        return await self._advance(push_id, on=False)

    async def go_on(self, push_id: int) -> bool:
        """As calling it again and again while one state is entered after the other without a wait, for less: each
        outcome is durable together with the next intention, decided from what stands in the database at that moment.
        """
        return await self._advance(push_id, on=True)

    async def _advance(self, push_id: int, *, on: bool) -> bool:
        if self._permit is not None:
            PERMIT.set(self._permit)
        async with self._turn(push_id):
            try:
                done = await self._transition(push_id, on=on)
            except BaseException:
                # Whatever broke the transition, nobody may go on with a session in an unknown condition.
                await self._forget(push_id)
                raise
            if done:
                await self._forget(push_id)
        return done

    @contextlib.asynccontextmanager
    async def _turn(self, push_id: int) -> AsyncIterator[None]:
        turn = self._turns[push_id]
        turn.asked += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.asked -= 1
            if not turn.asked:
                del self._turns[push_id]

    def nudge(self, push_id: int) -> None:
        """Cut a wait of a push short, because something about it has changed."""
        if push_id in self._turns:
            self._turns[push_id].nudge()

    async def stop(self, *, deadline_s: float) -> bool:
        """Begin no new transition, and wait until those under way have journalled their outcome.

        False if one was still under way at the deadline (real seconds); it will be reconciled after the restart.
        """
        self._stopping = True
        try:
            await asyncio.wait_for(self._quiet.wait(), deadline_s)
        except TimeoutError:
            return False
        return True

    async def _transition(self, push_id: int, *, on: bool) -> bool:
        await self._unless_stopping()
        self._turns[push_id].nudged = False
        current = await self._load(push_id)
        if finished(current.rows):
            return True
        action = decide(current.rows, self._facts(current))
        if isinstance(action, End):
            await self._end(current, action)
            return True
        wait_s = action.wait_s if isinstance(action, Enter | Reconcile) else 0.0
        match await self._wait_for_turn(current, wait_s):
            case "nudged":
                return False
            case "handed over":
                return True
        await self._unless_stopping()
        with self._act():
            row = await self._intend(current, _state_of(action))
            if not isinstance(action, Reconcile):
                return await self._act_on(current, action, row, on=on)
        await current.contact.drop()  # an open session could postpone the guard
        await self._clock.wait(self._guard_wait_s(current, action))
        await self._unless_stopping()
        with self._act():
            return await self._act_on(current, action, row, on=on)

    async def _act_on(self, current: _Push, action: Enter | Reconcile | Revert, row: JournalRow, *, on: bool) -> bool:
        """Carry out what was journalled, and with `on` what follows it at once; True when the push is finished."""
        while True:
            outcome = await self._carry_out(action, current)
            written = await self._journal_outcome(current, row, outcome, on=on)
            if written.next is None or written.moment is None:
                return finished((written.row,))
            action, row = Enter(written.next.state), written.next
            current = replace(
                current,
                push=written.moment.push,
                rows=current.contact.rows,
                same_place=written.moment.same_place,
                stopped=written.moment.stopped,
            )

    async def _wait_for_turn(self, current: _Push, wait_s: float) -> Literal["here", "nudged", "handed over"]:
        """Wait, unless the adapter of a push that has lost its contact is at another node, or comes there meanwhile."""
        while True:
            if await self._hand_over(current):
                return "handed over"
            slice_s = wait_s if self._node is None else min(wait_s, _LOOK_S)
            if await self._pause(current.push.id, slice_s):
                return "nudged"
            wait_s -= slice_s
            if wait_s <= 0:
                return "here"

    async def _hand_over(self, current: _Push) -> bool:
        """Nothing of this push is under way here: the node that the adapter came to goes on from the journal."""
        if self._node is None or current.contact.held:
            return False
        async with self._database.write() as tx:
            to = await pushes.hand_over(tx, current.push, self._node)
        if to is not None:
            log.info("push.handed-over", push=current.push.id, to=to, why="its adapter is there, or it was taken over")
        return to is not None

    async def _load(self, push_id: int) -> _Push:
        contact = self._contacts.get(push_id)
        found = await self._standings.get(push_id)
        if found is None:
            raise NotFound(f"no push {push_id}", next_step="List the pushes of the entry.")
        push, rows = found.standing.push, found.standing.rows
        if contact is None:
            assert found.course is not None
            contact = self._contacts[push_id] = _Contact(found.course, rows)
        contact.learn(rows)
        same_place = found.standing.seat == pushes.Seat(push.generation, push.adapter_id)
        return _Push(push, rows, same_place, None if found.stop is None else str(found.stop), contact)

    async def _read_standings(self, push_ids: Sequence[int]) -> dict[int, _Read]:
        known = {push_id: contact.rows for push_id, contact in self._contacts.items() if contact.rows}
        begun = {push_id for push_id in push_ids if push_id not in self._contacts}

        async def read(tx: Tx) -> dict[int, _Read]:
            found = await pushes.standing(tx, push_ids, known)
            stops = await entitlement.stops(tx, {one.push.adapter_id for one in found.values()})
            plan_of = {push_id: one.push.plan_id for push_id, one in found.items() if push_id in begun}
            courses = await plans.courses(tx, self._keyring, plan_of)
            return {
                push_id: _Read(one, stops.get(one.push.adapter_id), courses.get(push_id))
                for push_id, one in found.items()
            }

        return await self._database.look(read)

    def _facts(self, current: _Push) -> Facts:
        return Facts(
            push_id=current.push.id,
            guard=current.course.guard,
            held=current.contact.held,
            same_place=current.same_place,
            cancelled_by=current.push.cancelled_by,
            stopped=current.stopped,
        )

    def _guard_wait_s(self, current: _Push, action: Reconcile) -> float:
        """How long to stay silent first, where the family may not be read while its guard runs."""
        if current.course.read_during_guard and not action.after_guard:
            return 0.0
        return guard_left_s(
            current.rows,
            current.course.guard,
            current.contact.job,
            now_ms=self._clock.now_ms(),
            pace=self._clock.pace,
        )

    async def _carry_out(self, action: Enter | Reconcile | Revert, current: _Push) -> Outcome:
        contact = current.contact
        outcome = await self._attempt(action, current)
        if outcome.verdict in (Verdict.LOST, Verdict.REFUSED):
            await contact.drop()
        else:
            contact.held = True
        return outcome

    async def _attempt(self, action: Enter | Reconcile | Revert, current: _Push) -> Outcome:
        contact = current.contact
        try:
            match action:
                case Enter(PushState.DONE):
                    return await self._read_back(current)
                case Enter(state):
                    return await self._enter(state, current)
                case Revert():
                    assert contact.device is not None
                    return Outcome(Verdict.OK, (await contact.device.revert(contact.job)).said)
                case Reconcile():
                    return await self._reconcile(current)
        except FleetError as error:
            return failed(error)

    async def _enter(self, state: PushState, current: _Push) -> Outcome:
        contact = current.contact
        if state is PushState.PREFLIGHT:
            await self._connect(current)
        assert contact.device is not None
        step = await contact.device.enter(state, contact.job)
        reading = (contact.job.base, current.course.base_digest) if state is PushState.BASELINED else None
        return Outcome(Verdict.OK, step.said, transaction_id=step.transaction_id, reading=reading)

    async def _connect(self, current: _Push) -> Device:
        contact = current.contact
        await contact.drop()
        contact.device = await self._reach.device_for(current.push.adapter_id, contact.words)
        await contact.device.identify()
        return contact.device

    async def _reconcile(self, current: _Push) -> Outcome:
        contact = current.contact
        await contact.drop()
        contact.device = await self._reach.device_for(current.push.adapter_id, contact.words)
        course = current.course
        compared = Compared(course.family, course.base_digest, course.intent_digest)
        try:
            found = await observe(
                contact.device, contact.job, compared, current.rows, planner=self._planner, clock=self._clock
            )
        except LockedOut as error:
            # For a while, in which nothing is sent: no credential is at stake.
            return Outcome(Verdict.LOST, error.message)
        return Outcome(found.verdict, found.verdict.value, found.differences, reading=(found.reading, found.digest))

    async def _read_back(self, current: _Push) -> Outcome:
        contact = current.contact
        device = contact.device if contact.held else None
        try:
            if device is None:
                device = await self._connect(current)
            reading = await device.read()
        except CommandRejected as error:
            # It was not read, which is not the same as showing something else.
            return Outcome(Verdict.LOST, error.message)
        course = current.course
        digest = await self._planner.digest(course.family, reading)
        if digest == course.intent_digest:
            return Outcome(Verdict.OK, "verified, saved and read back", reading=(reading, digest))
        difference = await self._planner.difference(course.family, contact.job.intent, reading)
        return Outcome(
            Verdict.FAILED,
            "it was saved, and the device shows something else now",
            f"from the wanted config:\n{difference}",
            reading=(reading, digest),
        )

    async def _intend(self, current: _Push, state: PushState) -> JournalRow:
        await permitted()
        row = JournalRow(
            seq=current.rows[-1].seq + 1,
            attempt=current.push.attempt,
            state=state,
            phase=Phase.INTENTION,
            at_ms=self._clock.now_ms(),
        )
        stored = await self._journal.append(current.push.id, row)
        _known(current, stored)
        return stored

    async def _journal_outcome(self, current: _Push, intended: JournalRow, outcome: Outcome, *, on: bool) -> Written:
        """Store the outcome with all that must be true with it, and with `on` the intention that follows at once."""
        await permitted()
        row = replace(
            intended,
            seq=intended.seq + 1,
            phase=Phase.OUTCOME,
            at_ms=self._clock.now_ms(),
            verdict=outcome.verdict,
            said=outcome.said,
            detail=outcome.detail,
            transaction_id=outcome.transaction_id,
        )

        push = current.push
        reading = None
        if outcome.reading is not None:
            why = f"read during push {push.id}"
            reading = NewVersion(push.entry_id, "truth", *outcome.reading, _AUTHOR, why, row.at_ms)
        release = None
        if row.state is PushState.SAVED and row.verdict is Verdict.OK:
            seat = pushes.Seat(push.generation, push.adapter_id)
            intent, digest = current.contact.job.intent, current.course.intent_digest
            release = Release(push.entry_id, seat, intent, digest, push.started_by, f"push {push.id}")
        follow = self._follow(current) if on and current.contact.held and not self._stopping else None
        telling = row.state in _TELLING or row.verdict is not Verdict.OK
        words = new_words(push, row, current.contact.words.take()) if telling else None
        written = await self._journal.go_on(push.id, row, follow, reading=reading, release=release, words=words)
        _known(current, *written.rows)
        return written

    def _follow(self, current: _Push) -> Follow:
        rows, guard = current.contact.rows, current.course.guard

        def follow(row: JournalRow, moment: Moment) -> JournalRow | None:
            facts = Facts(
                push_id=moment.push.id,
                guard=guard,
                held=True,
                same_place=moment.same_place,
                cancelled_by=moment.push.cancelled_by,
                stopped=moment.stopped,
            )
            match decide([*rows, row], facts):
                case Enter(state, wait_s) if wait_s <= 0:
                    return JournalRow(row.seq + 1, row.attempt, state, Phase.INTENTION, self._clock.now_ms())
            return None

        return follow

    async def _end(self, current: _Push, end: End) -> None:
        await permitted()
        row = JournalRow(
            seq=current.rows[-1].seq + 1,
            attempt=current.push.attempt,
            state=end.state,
            phase=Phase.OUTCOME,
            at_ms=self._clock.now_ms(),
            verdict=Verdict.OK,
            said=end.said,
            detail=next((row.detail for row in reversed(current.rows) if row.detail), ""),
        )

        await self._journal.append(
            current.push.id, row, words=new_words(current.push, row, current.contact.words.take())
        )

    async def _pause(self, push_id: int, seconds: float) -> bool:
        """Wait, or return True early when somebody nudges the push."""
        if seconds <= 0:
            return False
        turn = self._turns[push_id]
        if turn.nudged:
            return True
        turn.waits = asyncio.Event()
        nudged = asyncio.ensure_future(turn.waits.wait())
        waited = asyncio.ensure_future(self._clock.wait(seconds))
        try:
            await asyncio.wait((nudged, waited), return_when=asyncio.FIRST_COMPLETED)
            return nudged.done()
        finally:
            turn.waits = None
            for task in (nudged, waited):
                task.cancel()
            await asyncio.gather(nudged, waited, return_exceptions=True)

    async def _unless_stopping(self) -> None:
        if self._stopping:
            await asyncio.Event().wait()  # parked: the engine cancels it, and takes it up again after the restart

    @contextlib.contextmanager
    def _act(self) -> Iterator[None]:
        """While something is sent to a device: a stop waits for its outcome."""
        self._acting += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._acting -= 1
            if not self._acting:
                self._quiet.set()

    async def _forget(self, push_id: int) -> None:
        contact = self._contacts.pop(push_id, None)
        if contact is not None:
            await contact.drop()


def _known(current: _Push, *written: JournalRow) -> None:
    """Rows that are durable need not be read again."""
    current.contact.learn([*current.contact.rows, *written])


def _state_of(action: Enter | Reconcile | Revert) -> PushState:
    match action:
        case Enter(state):
            return state
        case Reconcile():
            return PushState.RECONCILE
        case Revert():
            return PushState.REVERTING
