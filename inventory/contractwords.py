"""A contract line in words: what it is, since when, what ends it, and what to do next (architecture §8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from inventory.contracts import Contract, State
from inventory.entitlement import Stop, stop_of
from inventory.explain import Explanation, Fact

_NEXT = {
    State.APPLIED: "Accept or refuse the application it stands on.",
    State.REFUSED: "Nothing: apply again when the reason is gone.",
    State.WITHDRAWN: "Nothing: apply again if it is wanted after all.",
    State.ACCEPTED: "Wait for its billing start date.",
    State.ACTIVE: "Nothing to do.",
    State.SUSPENDED: "Resume it when its ground is gone, or its period over.",
    State.DORMANT: "Put its adapter, of a designated model, into an entry; its fees go on.",
    State.TERMINATING: "Make ready for its last day: what it holds is given back afterwards.",
    State.ENDED: "Nothing: it is final. Return what was lent in time.",
}


@dataclass(frozen=True, slots=True)
class LineStep:
    """One recorded step: when it was learnt, what, its rule, and by whom."""

    recorded_ms: int
    day: date
    name: str
    rule: str
    actor: str
    alert: str | None = None
    corrected: bool = False


_NEXT_ALONE = "Apply for what it lacks, or give notice for it."


def explain_line(
    key: str,
    kind: str,
    contract: Contract,
    steps: tuple[LineStep, ...],
    carried: Stop | None = None,
    lacks: Stop | None = None,
) -> Explanation:
    """State of a line or option; each step with its rule. Two different states never read the same.

    `carried`: why an option gives no service although it would by itself. `lacks`: what it can do nothing without.
    """
    said = [f"{key} ({kind}) is {contract.state}"]
    if contract.state is State.TERMINATING and contract.suspended:
        said.append("marked suspended")
    if contract.state in {State.ACCEPTED, State.TERMINATING} and not contract.started:
        said.append(f"starts on {contract.billing_start}")
    if contract.effective is not None:
        said.append(f"its last day of service is {contract.effective}, by {contract.cause}")
    said += [f"{one.what} becomes {one.value} on {one.first_day}" for one in contract.pending]
    stop = stop_of(key, contract) or carried
    if stop is not None:
        said.append(f"not in service: {stop}")
    if lacks is not None:
        said.append(str(lacks))
    facts = tuple(
        Fact(
            one.recorded_ms,
            f"{one.name} on {one.day}"
            + (f", {one.alert}" if one.alert else "")
            + (", corrected since" if one.corrected else ""),
            one.actor,
            one.rule or None,
        )
        for one in steps
    )
    state = State.SUSPENDED if carried and contract.entitled else contract.state
    following = _NEXT_ALONE if lacks is not None and state is State.ACTIVE else _NEXT[state]
    return Explanation(key, contract.state.value, "; ".join(said), facts, following)
