"""What a push does next, from its journal alone. Pure: the same journal always gives the same answer.

A crash needs no code of its own: a restarted daemon holds no contact, and the journal says what was intended.
Nothing here ever sends the change twice: after any unfinished or lost step from ARMED on, only a reading decides
(architecture §4, devices-ios-fortios §C.5 and §C.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.push import Guard
from inventory.plans import ARMS_ORDER, FINAL, SSH_ORDER, TOUCHED, JournalRow, Phase, PushState, Verdict

_EARLY_WAITS_S: Final = (2.0, 8.0, 30.0)
_RECONCILE_WAITS_S: Final = (2.0, 8.0, 30.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_SAVES: Final = 3
_REVERTS: Final = 3
_CONFIRMS: Final = 3
_READ_BACKS: Final = 2
_REFUSALS: Final = 2
_UNSAVED: Final = "the device runs the change, not saved as far as was seen"
LEFT: Final = "the adapter that the plan was made for has left the place"
"""A promotion, a release or another assignment: nothing of the push is for whoever sits there now."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the journal does not hold. `held`: the device of this process has been in unbroken contact since the last
    row. `same_place`: the entry still has the adapter that the plan was made for."""

    push_id: int
    guard: Guard
    held: bool
    same_place: bool
    cancelled_by: str | None = None
    stopped: str | None = None
    """Why contracts no longer let the adapter be controlled: nothing new is begun, and what is ends safely."""

    @property
    def order(self) -> tuple[PushState, ...]:
        """A client that rolls back by itself (ARMS) must be answered before it can be read; else verify first."""
        return ARMS_ORDER if self.guard == "client rollback" else SSH_ORDER


@dataclass(frozen=True, slots=True)
class Enter:
    """Journal the intention, then do what the state asks of the device; wait `wait_s` before."""

    state: PushState
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Connect anew, read, compare; `wait_s` before. `after_guard`: not before the device's guard must have fired."""

    wait_s: float = 0.0
    after_guard: bool = False


@dataclass(frozen=True, slots=True)
class Revert:
    """Take the device back to the base now; a reading follows."""


@dataclass(frozen=True, slots=True)
class End:
    """The push is over."""

    state: PushState
    said: str


Action = Enter | Reconcile | Revert | End


def finished(journal: Sequence[JournalRow]) -> bool:
    """Whether the last row is a final state that was reached."""
    last = journal[-1]
    return last.phase is Phase.OUTCOME and last.state in FINAL and last.verdict is Verdict.OK


def touched(journal: Sequence[JournalRow]) -> bool:
    """Whether a command that can change the device may have been sent."""
    return any(row.state in TOUCHED for row in journal)


def decide(journal: Sequence[JournalRow], facts: Facts) -> Action:
    """The next action of a push that is not finished; `journal` has at least the row PLANNED."""
    last = journal[-1]
    if not touched(journal):
        return _untouched(journal, facts)
    if last.state is PushState.DONE or (last.state is PushState.SAVED and last.verdict is Verdict.OK):
        return _read_back(journal)
    if last.state is PushState.RECONCILE and last.phase is Phase.OUTCOME:
        return _reconciled(journal, facts)
    if not facts.held or last.phase is Phase.INTENTION:
        return Reconcile(after_guard=last.verdict is Verdict.REFUSED)
    return _held(journal, facts)


def _untouched(journal: Sequence[JournalRow], facts: Facts) -> Action:
    last = journal[-1]
    if not facts.same_place:
        return End(PushState.NOT_DONE, LEFT)
    if facts.cancelled_by:
        return End(PushState.NOT_DONE, f"cancelled by {facts.cancelled_by} before anything was sent")
    if facts.stopped:
        return End(PushState.NOT_DONE, f"stopped by the contract before anything was sent: {facts.stopped}")
    if last.verdict in (Verdict.FAILED, Verdict.REFUSED):
        return End(PushState.NOT_DONE, f"{last.said.rstrip('.')}; nothing was sent")
    if last.verdict is Verdict.LOST:
        losses = sum(row.verdict is Verdict.LOST for row in journal)
        if losses > len(_EARLY_WAITS_S):
            return End(PushState.NOT_DONE, f"{last.said.rstrip('.')}; tried {losses} times, nothing was sent")
        return Enter(PushState.PREFLIGHT, _spread(_EARLY_WAITS_S[losses - 1], facts.push_id, losses))
    if not facts.held or last.phase is Phase.INTENTION:
        return Enter(PushState.PREFLIGHT)
    return Enter(_next(facts.order, last.state))


def _held(journal: Sequence[JournalRow], facts: Facts) -> Action:
    """After an outcome of a touching step, contact unbroken."""
    last = journal[-1]
    if last.verdict is Verdict.ROLLED_BACK:
        return End(PushState.REVERTED, last.said)
    if last.verdict in (Verdict.LOST, Verdict.REFUSED):
        return Reconcile(after_guard=last.verdict is Verdict.REFUSED)
    if last.state is PushState.REVERTING:
        return Reconcile()
    if last.state is PushState.SAVED:
        return End(PushState.QUARANTINED, f"{_UNSAVED}: {last.said}")
    may_revert = facts.guard != "client rollback" and not _intended(journal, PushState.CONFIRMED)
    if last.verdict is Verdict.FAILED:
        # A refused ARMED changed nothing; a reading proves it more cheaply than a revert.
        return Revert() if may_revert and last.state is not PushState.ARMED else Reconcile()
    if may_revert and (facts.cancelled_by or facts.stopped or not facts.same_place):
        return Revert()
    return Enter(_next(facts.order, last.state))


def _reconciled(journal: Sequence[JournalRow], facts: Facts) -> Action:
    last = journal[-1]
    if last.verdict in (Verdict.LOST, Verdict.FAILED, Verdict.ROLLED_BACK):
        return _unreached(journal, facts)
    if last.verdict is Verdict.REFUSED:
        # A credential or key that the change itself broke is whole again once the guard has fired; more than one
        # further try could lock the account.
        if sum(row.verdict is Verdict.REFUSED for row in journal) < _REFUSALS:
            return Reconcile(after_guard=True)
        return End(PushState.QUARANTINED, last.said)
    if not facts.held:
        return Reconcile()
    reverts = _intended(journal, PushState.REVERTING)
    match last.verdict:
        case Verdict.FOUND_BASE:
            return End(PushState.REVERTED, _why(journal, facts))
        case Verdict.FOUND_INTENT_GUARDED if not _unwanted(journal, facts) and _confirms_left(journal):
            return Enter(next(state for state in facts.order if state in (PushState.VERIFIED, PushState.CONFIRMED)))
        case Verdict.FOUND_INTENT if not reverts:
            if _intended(journal, PushState.SAVED) < _SAVES:
                return Enter(PushState.SAVED)
            return End(PushState.QUARANTINED, f"{_UNSAVED}: {_last_said(journal, PushState.SAVED)}")
        case Verdict.FOUND_INTENT if reverts < _REVERTS:
            return Revert()
        case Verdict.FOUND_INTENT_GUARDED | Verdict.FOUND_BASE_GUARDED | Verdict.FOUND_NEITHER_GUARDED:
            if reverts < _REVERTS:
                return Revert()
            return End(PushState.QUARANTINED, f"the device did not go back after {reverts} attempts")
        case Verdict.FOUND_NEITHER if not _intended(journal, PushState.APPLYING):
            why = _why(journal, facts).rstrip(".")
            return End(PushState.NOT_DONE, f"{why}; none of its lines was sent, and another has changed the device")
        case _:
            return End(PushState.QUARANTINED, f"the device is neither as before nor as wanted; {_why(journal, facts)}")


def _unreached(journal: Sequence[JournalRow], facts: Facts) -> Action:
    losses = 0
    for row in reversed(journal):
        if row.state is not PushState.RECONCILE:
            break
        losses += row.phase is Phase.OUTCOME
    if facts.cancelled_by:
        return End(PushState.QUARANTINED, f"left to a person by {facts.cancelled_by}; {journal[-1].said}")
    if not facts.same_place and losses > len(_EARLY_WAITS_S):
        return End(PushState.QUARANTINED, f"{LEFT} and is not reached; {journal[-1].said}")
    wait_s = _RECONCILE_WAITS_S[min(losses, len(_RECONCILE_WAITS_S)) - 1]
    return Reconcile(_spread(wait_s, facts.push_id, losses))


def _read_back(journal: Sequence[JournalRow]) -> Action:
    """After SAVED the change is done; the last reading only says whether the device still shows it."""
    last = journal[-1]
    if last.state is PushState.DONE and last.phase is Phase.OUTCOME:
        if last.verdict is Verdict.FAILED:
            return End(PushState.QUARANTINED, last.said)
        if last.verdict is Verdict.REFUSED or _intended(journal, PushState.DONE) >= _READ_BACKS:
            return End(PushState.DONE, f"verified and saved; it could not be read once more: {last.said}")
        return Enter(PushState.DONE, _EARLY_WAITS_S[0])
    return Enter(PushState.DONE)


def _unwanted(journal: Sequence[JournalRow], facts: Facts) -> bool:
    stopped = bool(facts.cancelled_by or facts.stopped)
    return stopped or not facts.same_place or _intended(journal, PushState.REVERTING) > 0


def _confirms_left(journal: Sequence[JournalRow]) -> bool:
    return _intended(journal, PushState.CONFIRMED) < _CONFIRMS


def _last_said(journal: Sequence[JournalRow], state: PushState) -> str:
    return next((row.said for row in reversed(journal) if row.state is state and row.said), "no answer came")


def _intended(journal: Sequence[JournalRow], state: PushState) -> int:
    return sum(row.state is state and row.phase is Phase.INTENTION for row in journal)


def _why(journal: Sequence[JournalRow], facts: Facts) -> str:
    """The first thing that went wrong once the device was touched, for the person who reads the end."""
    first = next(index for index, row in enumerate(journal) if row.state in TOUCHED)
    for row in journal[first:]:
        if row.verdict in (Verdict.FAILED, Verdict.LOST, Verdict.REFUSED) and row.said:
            return f"{row.state}: {row.said}"
    return _not_wanted(facts) or "contact was lost while the change was under way"


def _not_wanted(facts: Facts) -> str:
    """Why a change that nothing went wrong with is taken back; empty where it is still wanted."""
    if not facts.same_place:
        return LEFT
    if facts.cancelled_by:
        return f"cancelled by {facts.cancelled_by}"
    return f"stopped by the contract: {facts.stopped}" if facts.stopped else ""


def _next(order: tuple[PushState, ...], state: PushState) -> PushState:
    return order[order.index(state) + 1]


def _spread(wait_s: float, push_id: int, turn: int) -> float:
    """± 30 %, different for each push and turn, the same at each replay."""
    return wait_s * (0.7 + 0.6 * ((push_id * 2_654_435_761 + turn * 40_503) % 1000) / 1000)
