"""The table of contract lines and options, row by row: which rule speaks, where a guard begins, what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from inventory.catalogue import Service
from inventory.contractevents import (
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
)
from inventory.contracts import Cause, Contract, ContractStep, Follows, PendingChange, State, allowed, apply, step
from inventory.errors import RuleViolation
from inventory.fees import Kind

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 10)
ONE = timedelta(days=1)
SERVICES: tuple[Service, ...] = ("mpc", "smfsx")


def line(kind: Kind = "management", service: Service = "mpc", **values: str | int) -> Contract:
    """In service since a year."""
    start = DAY - ONE * 365
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return Contract(service, kind, State.ACTIVE, start, start, start, started=True, values=named)


def refused(contract: Contract, event: ContractEvent) -> RuleViolation:
    with pytest.raises(RuleViolation) as found:
        step(contract, event)
    return found.value


def spoken(service: Service, mpc: str, smfsx: str) -> str:
    return mpc if service == "mpc" else smfsx


@pytest.mark.rule("SMF-3.2")
@pytest.mark.parametrize("reason", range(9))
def test_reasons_for_a_refusal_are_numbered_from_one_to_seven(reason: int) -> None:
    applied = apply("mpc", "management", DAY)
    if 1 <= reason <= 7:
        done = step(applied, Refuse(DAY, reason))
        assert (done.contract.state, done.rule, done.follows) == (State.REFUSED, "SMF-3.2", (Follows.NOTIFY,))
    else:
        assert (refused(applied, Refuse(DAY, reason)).rule, applied.state) == ("SMF-3.2", State.APPLIED)


@pytest.mark.rule("MPC-9.1", "SMF-3.1", "MPC-15", "SMF-15.2")
@pytest.mark.parametrize("service", SERVICES)
def test_an_application_is_withdrawn_or_accepted_by_the_rule_of_its_service(service: Service) -> None:
    applied = apply(service, "management", DAY)
    withdrawn = step(applied, Withdraw(DAY))
    assert (withdrawn.contract.state, withdrawn.rule) == (State.WITHDRAWN, spoken(service, "MPC-9.1", "SMF-3.1"))
    taken = step(applied, Accept(DAY, DAY + ONE))
    assert (taken.rule, taken.follows) == (spoken(service, "MPC-15", "SMF-15.2"), (Follows.INITIAL_FEE,))
    assert refused(taken.contract, Withdraw(DAY)).rule == spoken(service, "MPC-9.1", "SMF-3.1")
    assert step(apply("mpc", "packet-share-group", DAY), Accept(DAY, DAY)).follows == ()


@pytest.mark.rule("SMF-2", "SMF-16.1", "MPC-5", "MPC-9.3")
@pytest.mark.parametrize(
    ("kind", "service", "in_entry", "state", "rule"),
    [
        ("ultra-firewall", "smfsx", False, State.DORMANT, "SMF-16.1"),
        ("ultra-firewall", "smfsx", True, State.ACTIVE, "SMF-16.1"),
        ("management", "mpc", False, State.ACTIVE, "MPC-5"),
        ("mobile-access", "mpc", False, State.ACTIVE, "MPC-9.3"),
    ],
)
def test_a_start_outside_an_entry_lets_only_ultra_firewall_sleep(
    kind: Kind, service: Service, in_entry: bool, state: State, rule: str
) -> None:
    accepted = step(apply(service, kind, DAY), Accept(DAY, DAY)).contract
    done = step(accepted, BillingStarts(DAY, in_entry))
    assert (done.contract.state, done.rule, done.follows) == (state, rule, (Follows.MINIMUM_PERIOD,))
    early = step(accepted, BillingStarts(DAY - ONE, in_entry))
    assert (early.contract, early.alert is not None) == (accepted, True)
    ending = step(accepted, Notice(DAY)).contract
    assert step(ending, BillingStarts(DAY, in_entry)).contract.state is State.TERMINATING


@pytest.mark.rule("MPC-8", "SMF-5.1")
@pytest.mark.parametrize("service", SERVICES)
def test_counts_change_until_the_last_day_of_a_management_and_of_nothing_else(service: Service) -> None:
    rule = spoken(service, "MPC-8", "SMF-5.1")
    ending = replace(line(service=service), state=State.TERMINATING, effective=DAY, cause=Cause.NOTICE)
    assert step(ending, ChangeCounts(DAY, DAY)) == ContractStep(ending, rule)
    assert refused(ending, ChangeCounts(DAY, DAY + ONE)).rule == rule
    assert refused(line("adapter-rental", "smfsx"), ChangeCounts(DAY, DAY)).rule == "SMF-5.1"
    suspended = replace(line(service=service), state=State.SUSPENDED, suspended=True)
    assert refused(suspended, ChangeCounts(DAY, DAY)).rule == rule


@pytest.mark.rule("SMF-21")
@pytest.mark.parametrize("ground", [0, 1, 2, 3, 4, 5, True])
def test_the_four_grounds_of_a_suspension(ground: int) -> None:
    event = Suspend(DAY, ground, until=DAY + ONE, notified=DAY)
    if ground is not True and 1 <= ground <= 4:
        done = step(line(), event)
        assert (done.contract.state, done.contract.suspended, done.rule) == (State.SUSPENDED, True, "SMF-21")
        assert done.contract.suspended_until == DAY + ONE
    else:
        assert (refused(line(), event).rule, refused(line(), event).field) == ("SMF-21", "ground")


@pytest.mark.rule("SMF-21")
def test_a_suspension_is_notified_with_its_period_by_its_day_or_is_an_emergency() -> None:
    for notified, until in ((None, DAY), (DAY + ONE, DAY), (DAY, None)):
        late = refused(line(), Suspend(DAY, 1, until=until, notified=notified))
        assert (late.rule, late.field) == ("SMF-21", "notified")
        assert step(line(), Suspend(DAY, 1, until=until, notified=notified, emergency=True)).contract.suspended
    assert refused(line("mobile-access"), Suspend(DAY, 1, emergency=True)).rule == "SMF-21"


@pytest.mark.rule("SMF-21")
def test_a_terminating_line_is_marked_suspended_once_and_resumed_once() -> None:
    ending = replace(line(), state=State.TERMINATING, effective=DAY + ONE * 9, cause=Cause.NOTICE)
    marked = step(ending, Suspend(DAY, 4, until=DAY + ONE, notified=DAY)).contract
    assert (marked.state, marked.suspended, marked.entitled) == (State.TERMINATING, True, False)
    assert refused(marked, Suspend(DAY, 4, emergency=True)).rule == "SMF-21"
    again = step(marked, Resume(DAY))
    assert (again.contract, again.rule) == (ending, "SMF-21")
    assert refused(ending, Resume(DAY)).rule == "SMF-21"
    back = step(step(line(), Suspend(DAY, 1, emergency=True)).contract, Resume(DAY)).contract
    assert (back.state, back.suspended, back.suspended_until) == (State.ACTIVE, False, None)


@pytest.mark.rule("SMF-23.1", "SMF-25")
def test_the_provider_terminates_from_the_day_of_its_notice_on() -> None:
    for ground, rule in (("insolvency", "SMF-23.1"), ("harassment", "SMF-25")):
        event = ProviderTerminates(DAY, DAY, ground, DAY)  # type: ignore[arg-type]  # a ground, by its text
        done = step(line(), event)
        assert (done.contract.effective, done.contract.cause, done.rule) == (DAY, Cause.PROVIDER, rule)
        assert done.follows == (Follows.NOTIFY,)
        for late in (
            replace(event, effective=DAY - ONE),
            replace(event, effective=DAY - ONE, notified=DAY - ONE),
            replace(event, notified=DAY + ONE),
            replace(event, notified=None),
        ):
            assert refused(line(), late).rule == rule


@pytest.mark.rule("SMF-22")
def test_an_abolition_is_notified_three_months_before() -> None:
    done = step(line(), Abolition(DAY, date(2025, 9, 10), DAY))
    assert (done.contract.effective, done.contract.cause, done.rule) == (date(2025, 9, 10), Cause.ABOLITION, "SMF-22")
    assert refused(line(), Abolition(DAY, date(2025, 9, 9), DAY)).rule == "SMF-22"


@pytest.mark.rule("MPC-14", "MPC-9.5", "SMF-23.2", "SMF-22")
@pytest.mark.parametrize(
    ("kind", "service", "rule"),
    [
        ("adapter", "mpc", "MPC-14"),
        ("mobile-access", "mpc", "MPC-9.5"),
        ("adapter-rental", "smfsx", "SMF-23.2"),
        ("ultra-firewall", "smfsx", "SMF-23.2"),
    ],
)
def test_of_several_last_days_the_earliest_holds_and_on_equal_days_the_abolition(
    kind: Kind, service: Service, rule: str
) -> None:
    noticed = step(line(kind, service), Notice(DAY, date(2025, 9, 10)))
    assert (noticed.rule, noticed.contract.effective) == (rule, date(2025, 9, 10))
    abolished = step(noticed.contract, Abolition(DAY, date(2025, 9, 10), DAY)).contract
    assert (abolished.effective, abolished.cause) == (date(2025, 9, 10), Cause.ABOLITION)
    again = step(abolished, Notice(DAY, date(2025, 9, 10))).contract
    assert again.cause is Cause.ABOLITION
    assert step(abolished, Notice(DAY, date(2025, 9, 11))).contract == abolished
    sooner = step(abolished, Notice(DAY, date(2025, 9, 9))).contract
    assert (sooner.effective, sooner.cause) == (date(2025, 9, 9), Cause.NOTICE)
    over = step(sooner, DayOver(date(2025, 9, 10)))
    assert (over.contract.state, over.rule) == (State.ENDED, rule)
    assert step(sooner, DayOver(date(2025, 9, 9))).alert is not None


AFTER: dict[Kind, tuple[Follows, ...]] = {
    "management": (Follows.MINIMUM_PERIOD_SUM, Follows.SLOTS_FREED, Follows.OPTIONS_END),
    "adapter": (Follows.MINIMUM_PERIOD_SUM, Follows.RETURN_DUE, Follows.OPTIONS_END),
    "adapter-rental": (Follows.MINIMUM_PERIOD_SUM, Follows.RETURN_DUE, Follows.OPTIONS_END),
    "mobile-access": (Follows.MINIMUM_PERIOD_SUM, Follows.TOGETHER_ENDS),
    "packet-share-group": (Follows.MINIMUM_PERIOD_SUM, Follows.TOGETHER_ENDS),
    "ultra-send-back": (Follows.MINIMUM_PERIOD_SUM,),
    "ultra-firewall": (Follows.MINIMUM_PERIOD_SUM,),
}


@pytest.mark.rule("MPC-10.3", "SMF-9.3", "MPC-9.7", "MPC-9.8", "SMF-23.3", "MPC-16.2")
@pytest.mark.parametrize("kind", AFTER)
def test_what_follows_the_end_of_each_kind(kind: Kind) -> None:
    ending = replace(line(kind), state=State.TERMINATING, effective=DAY, cause=Cause.NOTICE)
    assert step(ending, DayOver(DAY + ONE)).follows == AFTER[kind]
    abolished = step(replace(ending, cause=Cause.ABOLITION), DayOver(DAY + ONE))
    assert abolished.follows == AFTER[kind][1:]
    never_began = step(replace(ending, started=False), DayOver(DAY + ONE))
    assert never_began.follows == AFTER[kind][1:]


@pytest.mark.rule("SMF-2")
def test_ultra_firewall_leaves_its_entry_and_comes_back() -> None:
    asleep = step(line("ultra-firewall", "smfsx"), LeavesEntry(DAY))
    assert (asleep.contract.state, asleep.rule) == (State.DORMANT, "SMF-2")
    awake = step(asleep.contract, BackInEntry(DAY))
    assert (awake.contract.state, awake.rule) == (State.ACTIVE, "SMF-2")
    other = step(line("mobile-access"), LeavesEntry(DAY))
    assert (other.contract.state, other.alert is not None) == (State.ACTIVE, True)


@pytest.mark.rule("SMF-5.2", "MPC-9.2(2)(i)", "MPC-9.2(2)(ii)", "MPC-9.2(3)")
@pytest.mark.parametrize(
    ("contract", "what", "value", "rule", "first_day"),
    [
        (line("mobile-access", plan="normal"), "plan", "10GB", "MPC-9.2(2)(i)", date(2025, 7, 1)),
        (line("mobile-access", network_type="dynamic-ip"), "network-type", "fixed-ip", "MPC-9.2(2)(ii)", DAY),
        (line("packet-share-group", packs_gb=50), "packs-gb", 51, "MPC-9.2(3)", date(2025, 7, 1)),
    ],
)
def test_a_change_waits_for_its_day_by_its_own_rule_until_the_last_day(
    contract: Contract, what: str, value: str | int, rule: str, first_day: date
) -> None:
    done = step(contract, ChangeOption(DAY, what, value))
    assert (done.rule, done.contract.pending) == (rule, (PendingChange(what, value, first_day),))
    assert done.follows == ((Follows.ONE_TIME_FEE,) if what == "network-type" else ())
    ending = replace(contract, state=State.TERMINATING, effective=first_day, cause=Cause.NOTICE)
    assert step(ending, ChangeOption(DAY, what, value)).contract.pending != ()
    gone = replace(ending, effective=first_day - ONE)
    assert refused(gone, ChangeOption(DAY, what, value)).rule == rule
    assert refused(contract, ChangeOption(DAY, what, 7 if isinstance(value, str) else "seven")).rule == rule
    assert refused(line("ultra-firewall", "smfsx"), ChangeOption(DAY, what, value)).rule == "SMF-5.2"
    assert refused(line("ultra-send-back"), ChangeOption(DAY, what, value)).rule == rule


@pytest.mark.rule("SMF-5.2")
def test_nothing_of_an_option_changes_that_the_terms_do_not_name() -> None:
    for one in (line("ultra-firewall", "smfsx"), line("mobile-access", plan="normal")):
        assert refused(one, ChangeOption(DAY, "adapter", "a2")).rule == "SMF-5.2"
    assert refused(line("management", "smfsx"), ChangeOption(DAY, "plan", "10GB")).rule == "SMF-5.2"


@pytest.mark.rule("MPC-9.7")
@pytest.mark.parametrize(
    ("before", "after", "leaves"),
    [("packet-share", "normal", True), ("normal", "packet-share", False), ("normal", "10GB", False)],
)
def test_only_who_leaves_the_packet_share_plan_may_end_a_group(before: str, after: str, leaves: bool) -> None:
    pending = (PendingChange("plan", after, DAY),)
    done = step(replace(line("mobile-access", plan=before), pending=pending), ChangeDue(DAY))
    assert done.contract.values["plan"] == after
    assert done.follows == ((Follows.TOGETHER_ENDS,) if leaves else ())
    assert done.rule == "MPC-9.2(2)(i)"
    none = step(line("mobile-access", plan=before), ChangeDue(DAY))
    assert (none.alert is not None, none.rule) == (True, "MPC-9.2")
    other = replace(
        line("mobile-access", plan="packet-share"), pending=(PendingChange("network-type", "fixed-ip", DAY),)
    )
    assert step(other, ChangeDue(DAY)).follows == ()


@pytest.mark.rule("MPC-9.7", "MPC-9.8", "SMF-23.3")
@pytest.mark.parametrize(
    ("kind", "service", "rule"),
    [
        ("mobile-access", "mpc", "MPC-9.8"),
        ("packet-share-group", "mpc", "MPC-9.7"),
        ("ultra-send-back", "mpc", "MPC-6.5"),
        ("ultra-firewall", "smfsx", "SMF-23.3"),
    ],
)
def test_an_option_falls_with_what_it_hangs_on_by_the_rule_that_says_so(
    kind: Kind, service: Service, rule: str
) -> None:
    done = step(line(kind, service), DependencyEnds(DAY))
    assert (done.contract.state, done.contract.effective, done.rule) == (State.ENDED, DAY, rule)
    assert done.contract.cause is Cause.DEPENDENCY
    assert step(line(kind, service), DependencyEnds(DAY, by_abolition=True)).contract.cause is Cause.ABOLITION
    applied = step(apply(service, kind, DAY), DependencyEnds(DAY))
    assert (applied.contract.state, applied.rule) == (State.WITHDRAWN, rule)
    own = step(line("adapter"), DependencyEnds(DAY))
    assert (own.contract.state, own.alert is not None) == (State.ACTIVE, True)


@pytest.mark.parametrize(
    ("contract", "events"),
    [
        (apply("mpc", "adapter", DAY), ("accept", "refuse", "withdraw")),
        (line("adapter"), ("suspend", "notice", "provider-terminates", "abolition")),
        (line(), ("change-counts", "suspend", "notice", "provider-terminates", "abolition")),
        (
            line("ultra-firewall", "smfsx"),
            (
                "change-option",
                "change-due",
                "leaves-entry",
                "notice",
                "provider-terminates",
                "abolition",
                "dependency-ends",
            ),
        ),
        (replace(line(), state=State.ENDED), ()),
    ],
)
def test_each_state_says_what_it_knows(contract: Contract, events: tuple[str, ...]) -> None:
    assert allowed(contract) == events
    told = refused(contract, Accept(DAY, DAY)) if contract.state is not State.APPLIED else None
    assert told is None or told.facts["allowed"] == list(events)


@pytest.mark.parametrize(("kind", "article"), [("adapter", "an"), ("management", "a"), ("ultra-firewall", "an")])
def test_refusals_read_as_a_person_writes(kind: Kind, article: str) -> None:
    assert refused(line(kind), Withdraw(DAY)).message == f"{article} {kind} that is active knows no withdraw"
    assert step(line(kind), DayOver(DAY)).alert == f"day-over does not fit {article} {kind} that is active"
