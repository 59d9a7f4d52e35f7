"""Plans, pushes and operations in words: how far each is, and what to do next (architecture §8)."""

from __future__ import annotations

from typing import Final

from inventory.explain import Explanation, Fact
from inventory.operations import OperationState
from inventory.plans import PlanStanding, PushState

_AGAIN: Final = "Read the reason; have {plan} recomputed: the new one shows what would be sent now."
_PUSH: Final = {
    PushState.PLANNED: ("waits for its turn", "Nothing to do; cancel it if it is no longer wanted."),
    PushState.PREFLIGHT: ("is checking identity and preconditions; the device is untouched", "Wait."),
    PushState.BASELINED: ("has read the device and found the plan's base; the device is untouched", "Wait."),
    PushState.ARMED: ("has armed the device's own way back", "Wait; the device undoes by itself if contact is lost."),
    PushState.APPLYING: ("is sending the change", "Wait; the device undoes by itself if contact is lost."),
    PushState.APPLIED: ("has sent the change and not seen the device again yet", "Wait for the new connection."),
    PushState.REACHABLE: ("reached the device again on a new connection", "Wait for the reading."),
    PushState.VERIFIED: ("read the device back: it runs what was wanted", "Wait for the next step."),
    PushState.CONFIRMED: ("told the device to keep the change", "Wait for the next step."),
    PushState.SAVED: ("saved the change; it survives a reboot", "Wait for the last record."),
    PushState.DONE: ("is done", "Nothing to do."),
    PushState.REVERTING: ("is taking the change back", "Wait; the device returns to its former config."),
    PushState.REVERTED: ("was taken back: the device runs its former config", _AGAIN),
    PushState.RECONCILE: ("is reading the device before anything else is sent", "Wait; send nothing."),
    PushState.QUARANTINED: (
        "ended in doubt and is left to a person; nothing more is written by itself",
        "Read the reason and the differences, then decide: a new plan leads to the wanted config, one back before this"
        " push to the former.",
    ),
    PushState.NOT_DONE: ("was not carried out; the device was not touched", _AGAIN),
}
_BEGUN: Final = {
    PushState.BASELINED: "is reading the device to compare it with the plan's base; it is untouched",
    PushState.ARMED: "is arming the device's own way back",
    PushState.APPLIED: "is ending the change at the device",
    PushState.REACHABLE: "has sent the change and waits for the device on a new connection",
    PushState.VERIFIED: "is reading the device back",
    PushState.CONFIRMED: "is telling the device to keep the change",
    PushState.SAVED: "is saving the change",
    PushState.DONE: "has saved the change and reads the device once more",
}
"""States that were begun and not yet reached, where `_PUSH` tells what was reached."""
_UNGUARDED: Final = {
    PushState.ARMED: ("is about to send the change, which this device does not take back by itself", "Wait."),
    PushState.APPLYING: (
        "is sending the change",
        "Wait; this device takes nothing back by itself: if contact is lost it is read first.",
    ),
}
_STOPS: Final = "Wait: before the device is told to keep the change it is taken back, else a reading decides."
_STOPS_EARLY: Final = "Wait: it ends before anything is sent."


_PLAN: Final = {
    PlanStanding.WAITS_FIRST: ("waits for approval; nothing is sent before", "Read it and approve it."),
    PlanStanding.WAITS_SECOND: (
        "has one approval and waits for a second one",
        "Have it approved by a person who neither made it nor approved it first.",
    ),
    PlanStanding.APPROVED: ("is approved and was not started", "Start it, now or at a time within a month."),
    PlanStanding.STARTED: ("was started; its push says how far it is", "Look at its push."),
    PlanStanding.STALE: (
        "no longer fits what it was made for, and is never forced",
        "Have it recomputed: the new plan shows what would be sent now.",
    ),
    PlanStanding.EXPIRED: ("is older than plans are valid", "Have it recomputed."),
}


def explain_plan(
    key: str, standing: PlanStanding, *, since_ms: int, reason: str = "", facts: tuple[Fact, ...] = ()
) -> Explanation:
    """Standing of a plan in words. `reason` is what has changed under it; `facts` who made it and what it touches."""
    said, then = _PLAN[standing]
    summary = f"{key} {said}" + (f": {reason}" if reason else "")
    return Explanation(key, standing.value, summary, (*facts, Fact(since_ms, f"{key} {said}", "plan")), then)


def explain_push(
    key: str,
    state: PushState,
    *,
    since_ms: int,
    plan: str = "its plan",
    begun: bool = False,
    guarded: bool = True,
    stopped_by: str = "",
    reason: str = "",
    moved: str = "",
    journal: tuple[Fact, ...] = (),
) -> Explanation:
    """State of a push in words. `begun`: the state was begun and is not reached yet; `guarded`: the device takes an
    unconfirmed change back by itself; `stopped_by`: who has asked a push that is under way to stop. `reason` is why it
    left the straight way, or what was said last; `moved` what has changed under its `plan` while it waits; `journal`
    its journal as facts."""
    said, then = _PUSH[state] if guarded else _UNGUARDED.get(state, _PUSH[state])
    if begun and (guarded or state not in _UNGUARDED):
        said = _BEGUN.get(state, said)
    then = then.format(plan=plan)
    if stopped_by:
        early = state in (PushState.PLANNED, PushState.PREFLIGHT, PushState.BASELINED)
        said, then = f"{said}; {stopped_by} has asked it to stop", _STOPS_EARLY if early else _STOPS
    if state is PushState.PLANNED and moved:
        said, then = f"waits and would send nothing: {moved}", f"Cancel it, and have {plan} recomputed."
    summary = f"{key} {said}" + (f": {reason}" if reason else "")
    facts = (*journal, Fact(since_ms, f"{key} {said}", "push journal"))
    return Explanation(key, state.value, summary, facts, then)


_OPERATION: Final = {
    OperationState.WAITING: ("waits for its turn and for contact; nothing was sent", "Wait, or cancel it."),
    OperationState.SENDING: ("is being sent; the adapter has not answered yet", "Wait for the answer."),
    OperationState.RUNNING: ("was accepted; the adapter carries it out", "Wait for the result."),
    OperationState.RETURNING: (
        "was accepted; the adapter has left and its next pull, or a new login to it, is awaited",
        "Wait for it; until then it cannot be pushed to.",
    ),
    OperationState.SETTLING: (
        "was sent and its answer or result did not come; the adapter is asked what it still holds open",
        "Wait; it is not sent again.",
    ),
    OperationState.DONE: ("is done", "Nothing to do; read the result."),
    OperationState.NOT_DONE: ("was not carried out, or ended in a failure", "Read the reason; then ask again."),
    OperationState.UNKNOWN: (
        "ended in doubt: it may have been carried out or not",
        "Look at the adapter before you ask again; nothing is sent by itself.",
    ),
}


def operation_words(key: str, state: OperationState) -> str:
    """State of an operation in a clause, as the explanation of its adapter shows it."""
    return f"{key} {_OPERATION[state][0]}"


def explain_operation(
    key: str, state: OperationState, *, since_ms: int, reason: str = "", journal: tuple[Fact, ...] = ()
) -> Explanation:
    """State of an operation in words. `reason` is what it said last; `journal` its journal as facts."""
    said = operation_words(key, state)
    facts = (*journal, Fact(since_ms, said, "operations"))
    return Explanation(key, state.value, said + (f": {reason}" if reason else ""), facts, _OPERATION[state][1])
