"""Contract lines and options: their states, what may happen in each, and what follows (service-terms §8).

A *request* that a state does not know is refused with the events that it allows. A *fact* happened in the world or the
calendar: it is never refused; where it does not fit, it is an alert and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final

from inventory.catalogue import Service
from inventory.contractevents import (
    PROVIDER_GROUNDS,
    Abolition,
    Accept,
    BackInEntry,
    BillingStarts,
    ChangeCounts,
    ChangeDue,
    ChangeOption,
    ContractEvent,
    DayOver,
    DependencyEnds,
    LeavesEntry,
    Notice,
    ProviderTerminates,
    Refuse,
    Resume,
    Suspend,
    Withdraw,
    event_name,
)
from inventory.deadlines import minimum_period_end, require_notice, termination_effective
from inventory.errors import RuleViolation
from inventory.fees import Kind, a_kind
from inventory.optionrules import network_type_change, packs_change, plan_change

OPTIONS: Final = frozenset[Kind]({"ultra-send-back", "mobile-access", "packet-share-group", "ultra-firewall"})
MINIMUM_MONTHS: Final[Mapping[Kind, int]] = {
    "management": 1,
    "adapter": 12,
    "adapter-rental": 12,
    "ultra-send-back": 1,
    "mobile-access": 1,
    "packet-share-group": 1,
    "ultra-firewall": 1,
}
"""MPC-5, MPC-9.3, SMF-16.1."""


class State(StrEnum):
    """Where a contract line or an option stands."""

    APPLIED = "applied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DORMANT = "dormant"
    TERMINATING = "terminating"
    ENDED = "ended"


FINAL: Final = frozenset({State.REFUSED, State.WITHDRAWN, State.ENDED})


class Cause(StrEnum):
    """Why a line ends; on equal days the first named here decides (service-terms §8)."""

    ABOLITION = "abolition"
    PROVIDER = "provider"
    DEPENDENCY = "dependency"
    NOTICE = "notice"


_WEIGHT: Final = {cause: number for number, cause in enumerate(Cause)}


class Follows(StrEnum):
    """What a step brings with it; whoever keeps the contract acts on it."""

    INITIAL_FEE = "initial-fee"
    ONE_TIME_FEE = "one-time-fee"
    MINIMUM_PERIOD = "minimum-period"
    MINIMUM_PERIOD_SUM = "minimum-period-sum"
    SLOTS_FREED = "slots-freed"
    RETURN_DUE = "return-due"
    OPTIONS_END = "options-end"
    TOGETHER_ENDS = "together-ends"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change of an option that waits for its day."""

    what: str
    """`plan`, `network-type` or `packs-gb`."""
    value: str | int
    first_day: date


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract line or option. Days are Tokyo days."""

    service: Service
    kind: Kind
    state: State
    applied: date
    concluded: date | None = None
    billing_start: date | None = None
    """As written in the provider's acknowledgement (SMF-15.3)."""
    started: bool = False
    """Its billing start date has come."""
    effective: date | None = None
    """Last day of service, once it is known."""
    cause: Cause | None = None
    suspended: bool = False
    """A terminating line carries its suspension as a mark."""
    suspended_until: date | None = None
    """Last day of the notified period of a suspension (SMF-21); None: none was notified, or it is not suspended."""
    values: Mapping[str, str | int] = field(default_factory=dict)
    """Of an option: `plan`, `network-type`, `packs-gb`."""
    pending: tuple[PendingChange, ...] = ()

    @property
    def is_option(self) -> bool:
        """An option; else a contract line."""
        return self.kind in OPTIONS

    @property
    def minimum_period_end(self) -> date | None:
        """Last day of the minimum period; None before the billing start date is known."""
        if self.billing_start is None:
            return None
        return minimum_period_end(self.billing_start, MINIMUM_MONTHS[self.kind])

    @property
    def entitled(self) -> bool:
        """Whether it gives its service now: it has started, has not ended and is not suspended (SMF-21)."""
        return self.started and self.state in {State.ACTIVE, State.TERMINATING} and not self.suspended


@dataclass(frozen=True, slots=True)
class ContractStep:
    """What an event does."""

    contract: Contract
    rule: str
    follows: tuple[Follows, ...] = ()
    alert: str | None = None
    """Why somebody should look: a fact that does not fit."""


def apply(service: Service, kind: Kind, day: date, values: Mapping[str, str | int] | None = None) -> Contract:
    """A new application (MPC-9.1, SMF-3.1)."""
    return Contract(service, kind, State.APPLIED, day, values=dict(values or {}))


def step(contract: Contract, event: ContractEvent) -> ContractStep:
    """What the event makes of the contract. Raises RuleViolation for a request that its state or a guard refuses."""
    row = _ROWS[type(event)]
    fits = contract.state in row.states and row.covers(contract)
    if fits:
        return row.act(contract, event)
    if event.is_fact:
        words = f"{event_name(event)} does not fit {a_kind(contract.kind)} that is {contract.state}"
        return ContractStep(contract, row.rule(contract), alert=words)
    raise RuleViolation(
        f"{a_kind(contract.kind)} that is {contract.state} knows no {event_name(event)}",
        rule=row.rule(contract),
        field="event",
        next_step=f"Possible now: {', '.join(allowed(contract)) or 'nothing, it is final'}.",
        facts={"state": str(contract.state), "allowed": list(allowed(contract))},
    )


def allowed(contract: Contract) -> tuple[str, ...]:
    """Names of the events that its state knows, requests and facts, in the order of the terms."""
    return tuple(
        event_name(kind) for kind, row in _ROWS.items() if contract.state in row.states and row.covers(contract)
    )


# --- the guards and what they lead to ---------------------------------------------------------------------------------


def _rule(contract: Contract, mpc: str, smfsx: str) -> str:
    return mpc if contract.service == "mpc" else smfsx


def _accept(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, Accept)
    if event.obstacles:
        first = event.obstacles[0]
        raise RuleViolation(
            "; ".join(one.words for one in event.obstacles),
            rule=first.rule,
            next_step=first.next_step,
            facts={"rules": [one.rule for one in event.obstacles]},
        )
    accepted = replace(contract, state=State.ACCEPTED, concluded=event.day, billing_start=event.billing_start)
    fee = () if contract.kind == "packet-share-group" else (Follows.INITIAL_FEE,)
    return ContractStep(accepted, _rule(contract, "MPC-15", "SMF-15.2"), fee)


def _refuse(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, Refuse)
    if not 1 <= event.reason <= 7:
        raise RuleViolation(
            f"{event.reason} is none of the seven reasons", rule="SMF-3.2", field="reason", next_step="Give 1 to 7."
        )
    return ContractStep(replace(contract, state=State.REFUSED), "SMF-3.2", (Follows.NOTIFY,))


def _withdraw(contract: Contract, event: ContractEvent) -> ContractStep:
    return ContractStep(replace(contract, state=State.WITHDRAWN), _rule(contract, "MPC-9.1", "SMF-3.1"))


def _start(contract: Contract, event: ContractEvent) -> ContractStep:
    rule = _rule(contract, "MPC-9.3" if contract.is_option else "MPC-5", "SMF-16.1")
    if contract.started or contract.billing_start is None or event.day < contract.billing_start:
        return ContractStep(contract, rule, alert=f"its billing start date is {contract.billing_start}")
    assert isinstance(event, BillingStarts)
    state = contract.state
    if state is State.ACCEPTED:
        outside = contract.kind == "ultra-firewall" and not event.in_entry
        state = State.DORMANT if outside else State.ACTIVE
    return ContractStep(replace(contract, state=state, started=True), rule, (Follows.MINIMUM_PERIOD,))


def _counts(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, ChangeCounts)
    rule = _rule(contract, "MPC-8", "SMF-5.1")
    if contract.effective is not None and event.first_day > contract.effective:
        raise RuleViolation(
            f"the management ends on {contract.effective}",
            rule=rule,
            field="first_day",
            next_step=f"Choose a day until {contract.effective}.",
        )
    return ContractStep(contract, rule)


def _suspend(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, Suspend)
    if isinstance(event.ground, bool) or event.ground not in {1, 2, 3, 4}:
        raise RuleViolation(
            f"{event.ground} is none of the four grounds", rule="SMF-21", field="ground", next_step="Give 1 to 4."
        )
    if not event.emergency and (event.notified is None or event.notified > event.day or event.until is None):
        raise RuleViolation(
            "reason and period are notified before a suspension",
            rule="SMF-21",
            field="notified",
            next_step="Notify the contractor, or record the emergency.",
        )
    if contract.suspended:
        raise RuleViolation("it is suspended already", rule="SMF-21", next_step="Resume it first.")
    state = State.SUSPENDED if contract.state is State.ACTIVE else contract.state
    return ContractStep(replace(contract, state=state, suspended=True, suspended_until=event.until), "SMF-21")


def _resume(contract: Contract, event: ContractEvent) -> ContractStep:
    if not contract.suspended:
        raise RuleViolation("it is not suspended", rule="SMF-21", next_step="Nothing has to be done.")
    state = State.ACTIVE if contract.state is State.SUSPENDED else contract.state
    return ContractStep(replace(contract, state=state, suspended=False, suspended_until=None), "SMF-21")


def _notice(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, Notice)
    rule = _rule(contract, "MPC-9.5" if contract.is_option else "MPC-14", "SMF-23.2")
    return _ending(contract, termination_effective(event.day, event.named), Cause.NOTICE, rule)


def _provider(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, ProviderTerminates)
    rule = "SMF-25" if event.ground == "harassment" else "SMF-23.1"
    if event.ground not in PROVIDER_GROUNDS:
        raise RuleViolation(
            f"{str(event.ground)[:40]} is no ground for a termination by the provider",
            rule=rule,
            field="ground",
            next_step=f"Give one of {', '.join(PROVIDER_GROUNDS)}.",
        )
    if event.notified is None or event.effective < event.notified or event.effective < event.day:
        raise RuleViolation(
            "a termination by the provider is notified, and not back-dated",
            rule=rule,
            field="effective",
            next_step="Choose a day from the notice on.",
        )
    return _ending(contract, event.effective, Cause.PROVIDER, rule)


def _abolish(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, Abolition)
    require_notice("abolition", event.effective, event.notified)
    return _ending(contract, event.effective, Cause.ABOLITION, "SMF-22")


def _ending(contract: Contract, effective: date, cause: Cause, rule: str) -> ContractStep:
    """Of several effective days the earliest holds, with its cause; on equal days abolition."""
    if contract.effective is not None and contract.cause is not None:
        held, wanted = (contract.effective, _WEIGHT[contract.cause]), (effective, _WEIGHT[cause])
        if held <= wanted:
            effective, cause = contract.effective, contract.cause
    ending = replace(contract, state=State.TERMINATING, effective=effective, cause=cause)
    return ContractStep(ending, rule, (Follows.NOTIFY,))


def _over(contract: Contract, event: ContractEvent) -> ContractStep:
    rule = _rule(contract, "MPC-9.5" if contract.is_option else "MPC-14", "SMF-23.2")
    assert contract.effective is not None
    if event.day <= contract.effective:
        return ContractStep(contract, rule, alert=f"its last day of service is {contract.effective}")
    return ContractStep(_ended(contract), rule, _after_the_end(contract, contract.cause))


_FALLS_BY: Final[Mapping[Kind, str]] = {"mobile-access": "MPC-9.8", "packet-share-group": "MPC-9.7"}


def _dependency(contract: Contract, event: ContractEvent) -> ContractStep:
    rule = _rule(contract, _FALLS_BY.get(contract.kind, "MPC-6.5"), "SMF-23.3")
    if contract.state is State.APPLIED:
        return ContractStep(replace(contract, state=State.WITHDRAWN), rule)
    assert isinstance(event, DependencyEnds)
    cause = Cause.ABOLITION if event.by_abolition else Cause.DEPENDENCY
    fallen = replace(contract, effective=event.day, cause=cause)
    return ContractStep(_ended(fallen), rule, _after_the_end(fallen, cause))


def _ended(contract: Contract) -> Contract:
    return replace(contract, state=State.ENDED, pending=())


def _after_the_end(contract: Contract, cause: Cause | None) -> tuple[Follows, ...]:
    follows: list[Follows] = []
    if contract.started and cause is not Cause.ABOLITION:
        follows.append(Follows.MINIMUM_PERIOD_SUM)
    if contract.kind == "management":
        follows += [Follows.SLOTS_FREED, Follows.OPTIONS_END]
    elif contract.kind in {"adapter", "adapter-rental"}:
        follows += [Follows.RETURN_DUE, Follows.OPTIONS_END]
    elif contract.kind in {"mobile-access", "packet-share-group"}:
        follows.append(Follows.TOGETHER_ENDS)
    return tuple(follows)


def _leaves(contract: Contract, event: ContractEvent) -> ContractStep:
    return ContractStep(replace(contract, state=State.DORMANT), "SMF-2")


def _back(contract: Contract, event: ContractEvent) -> ContractStep:
    return ContractStep(replace(contract, state=State.ACTIVE), "SMF-2")


_CHANGES: Final[Mapping[str, tuple[Kind, str]]] = {
    "plan": ("mobile-access", "MPC-9.2(2)(i)"),
    "network-type": ("mobile-access", "MPC-9.2(2)(ii)"),
    "packs-gb": ("packet-share-group", "MPC-9.2(3)"),
}


def _change(contract: Contract, event: ContractEvent) -> ContractStep:
    assert isinstance(event, ChangeOption)
    kind, rule = _CHANGES.get(event.what, ("ultra-firewall", "SMF-5.2"))
    if contract.kind != kind or event.what not in _CHANGES:
        raise RuleViolation(
            f"the {event.what} of {a_kind(contract.kind)} cannot change",
            rule="SMF-5.2" if contract.kind == "ultra-firewall" else rule,
            field="what",
            next_step="End the option and apply for another.",
        )
    first_day = _first_day(contract, event)
    if contract.effective is not None and first_day > contract.effective:
        raise RuleViolation(
            f"the option ends on {contract.effective}, before the change would take effect on {first_day}",
            rule=rule,
            field="requested",
            next_step="Leave it as it is.",
        )
    pending = PendingChange(event.what, event.value, first_day)
    others = tuple(one for one in contract.pending if one.what != event.what)
    follows = (Follows.ONE_TIME_FEE,) if event.what == "network-type" else ()
    return ContractStep(replace(contract, pending=(*others, pending)), rule, follows)


def _first_day(contract: Contract, event: ChangeOption) -> date:
    before = contract.values.get(event.what)
    match event.what, before, event.value:
        case "plan", str(before), str(after):
            return plan_change(before, after, event.day)
        case "network-type", str(before), str(after):
            return network_type_change(before, after, event.day)
        case "packs-gb", int(before), int(after):
            return packs_change(before, after, event.day)
        case _:
            raise RuleViolation(
                f"{event.value!r} is no value for {event.what}",
                rule=_CHANGES[event.what][1],
                field="value",
                next_step="Give a plan or network type by name, packs as whole GB.",
            )


def _change_due(contract: Contract, event: ContractEvent) -> ContractStep:
    due = [one for one in contract.pending if one.first_day <= event.day]
    if not due:
        return ContractStep(contract, "MPC-9.2", alert="no change waits for this day")
    values = {**contract.values, **{one.what: one.value for one in due}}
    pending = tuple(one for one in contract.pending if one not in due)
    left = contract.values.get("plan") == "packet-share" != values.get("plan")
    follows = (Follows.TOGETHER_ENDS,) if left else ()
    return ContractStep(replace(contract, values=values, pending=pending), _CHANGES[due[0].what][1], follows)


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    states: frozenset[State]
    act: Callable[[Contract, ContractEvent], ContractStep]
    mpc_rule: str
    smfsx_rule: str
    kinds: frozenset[Kind] | None = None
    lines_only: bool = False
    options_only: bool = False

    def covers(self, contract: Contract) -> bool:
        """Whether the row is one of this kind's table."""
        if self.kinds is not None and contract.kind not in self.kinds:
            return False
        return not (self.lines_only and contract.is_option) and not (self.options_only and not contract.is_option)

    def rule(self, contract: Contract) -> str:
        """The rule that speaks for this service."""
        return _rule(contract, self.mpc_rule, self.smfsx_rule)


_APPLIED: Final = frozenset({State.APPLIED})
_RUNNING: Final = frozenset({State.ACTIVE, State.TERMINATING})
_IN_FORCE: Final = frozenset({State.ACCEPTED, State.ACTIVE, State.SUSPENDED, State.DORMANT, State.TERMINATING})
_FIREWALL: Final = frozenset[Kind]({"ultra-firewall"})

_ROWS: Final[Mapping[type, _Row]] = {
    Accept: _Row(_APPLIED, _accept, "MPC-9.1", "SMF-3.1"),
    Refuse: _Row(_APPLIED, _refuse, "SMF-3.2", "SMF-3.2"),
    Withdraw: _Row(_APPLIED, _withdraw, "MPC-9.1", "SMF-3.1"),
    BillingStarts: _Row(frozenset({State.ACCEPTED, State.TERMINATING}), _start, "MPC-5", "SMF-16.1"),
    ChangeCounts: _Row(_RUNNING, _counts, "MPC-8", "SMF-5.1", kinds=frozenset[Kind]({"management"})),
    Suspend: _Row(_RUNNING, _suspend, "SMF-21", "SMF-21", lines_only=True),
    Resume: _Row(frozenset({State.SUSPENDED, State.TERMINATING}), _resume, "SMF-21", "SMF-21", lines_only=True),
    ChangeOption: _Row(_RUNNING, _change, "MPC-9.2", "SMF-5.2", options_only=True),
    ChangeDue: _Row(_RUNNING, _change_due, "MPC-9.2", "SMF-5.2", options_only=True),
    LeavesEntry: _Row(frozenset({State.ACTIVE}), _leaves, "SMF-2", "SMF-2", kinds=_FIREWALL),
    BackInEntry: _Row(frozenset({State.DORMANT}), _back, "SMF-2", "SMF-2", kinds=_FIREWALL),
    Notice: _Row(_IN_FORCE, _notice, "MPC-14", "SMF-23.2"),
    ProviderTerminates: _Row(_IN_FORCE, _provider, "SMF-23.1", "SMF-23.1"),
    Abolition: _Row(_IN_FORCE, _abolish, "SMF-22", "SMF-22"),
    DependencyEnds: _Row(_IN_FORCE | _APPLIED, _dependency, "MPC-9.8", "SMF-23.3", options_only=True),
    DayOver: _Row(frozenset({State.TERMINATING}), _over, "MPC-14", "SMF-23.2"),
}
