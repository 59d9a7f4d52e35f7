"""Contract lines and options: what each state knows, what is refused, what follows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from inventory.contracts import FINAL, OPTIONS, Cause, Contract, ContractStep, Follows, State, allowed, apply, step
from inventory.deadlines import earliest_after_notice
from inventory.eligibility import Obstacle
from inventory.errors import RuleViolation
from inventory.fees import KINDS, Kind

pytestmark = pytest.mark.fast

START = date(2025, 4, 1)
ONE = timedelta(days=1)


def active(kind: Kind = "adapter", **values: str | int) -> Contract:
    """A line that serves since START."""
    service = "smfsx" if kind in {"adapter-rental", "ultra-firewall"} else "mpc"
    applied = apply("smfsx" if service == "smfsx" else "mpc", kind, START - ONE * 10, values)
    accepted = step(applied, Accept(START - ONE * 5, START)).contract
    return step(accepted, BillingStarts(START)).contract


def tried(contract: Contract, event: ContractEvent) -> ContractStep | RuleViolation:
    """The step, or the refusal."""
    try:
        return step(contract, event)
    except RuleViolation as refused:
        return refused


@st.composite
def events(draw: st.DrawFn) -> ContractEvent:
    """Any event on any near day."""
    day = draw(st.dates(START - ONE * 20, START + ONE * 500))
    other = draw(st.dates(START - ONE * 20, START + ONE * 500))
    flag = draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                Accept(day, other),
                Refuse(day, draw(st.integers(0, 8))),
                Withdraw(day),
                BillingStarts(day, flag),
                ChangeCounts(day, other),
                Suspend(day, draw(st.integers(0, 5)), other, other if flag else None, draw(st.booleans())),
                Resume(day),
                ChangeOption(day, "plan", draw(st.sampled_from(["normal", "backup", "10GB", "packet-share"]))),
                ChangeOption(day, "network-type", draw(st.sampled_from(["dynamic-ip", "fixed-ip"]))),
                ChangeOption(day, "packs-gb", draw(st.integers(40, 90))),
                ChangeDue(day),
                LeavesEntry(day),
                BackInEntry(day),
                Notice(day, other if flag else None),
                ProviderTerminates(day, other, "unavoidable", day if flag else None),
                Abolition(day, other, day),
                DependencyEnds(day, flag),
                DayOver(day),
            ]
        )
    )


@given(kind=st.sampled_from(KINDS), script=st.lists(events(), max_size=14))
def test_whatever_happens_a_refused_event_changes_nothing_and_a_fact_is_never_refused(
    kind: Kind, script: list[ContractEvent]
) -> None:
    contract = apply("mpc", kind, START, {"plan": "normal", "network-type": "dynamic-ip", "packs-gb": 50})
    for event in script:
        before = contract
        taken = tried(contract, event)
        if isinstance(taken, RuleViolation):
            assert taken.rule
            assert taken.next_step
            assert not event.is_fact
            assert contract == before
            continue
        contract = taken.contract
        assert taken.rule
        if taken.alert is not None:
            assert event.is_fact
            assert contract == before
        if before.effective is not None and contract.state is State.TERMINATING:
            assert contract.effective is not None
            assert contract.effective <= before.effective
        if before.state in FINAL:
            assert contract == before
        assert (contract.state in FINAL) == (allowed(contract) == ())
        assert (contract.effective is None) or contract.state in {State.TERMINATING, State.ENDED}


@pytest.mark.rule("MPC-14", "MPC-9.5", "SMF-23.2")
def test_every_state_has_an_exit_and_every_kind_reaches_its_end() -> None:
    for kind in get_args(Kind):
        line = active(kind, plan="normal")
        ending = step(line, Notice(date(2026, 6, 1))).contract
        assert ending.effective == date(2026, 7, 1)
        ended = step(ending, DayOver(date(2026, 7, 2)))
        assert ended.contract.state is State.ENDED
        assert Follows.MINIMUM_PERIOD_SUM in ended.follows


def test_a_request_that_a_state_does_not_know_lists_what_it_knows() -> None:
    with pytest.raises(RuleViolation) as refused:
        step(active(), Withdraw(START))
    assert "active" in refused.value.message
    assert "notice" in refused.value.next_step


@pytest.mark.rule("MPC-9.1", "SMF-3.1", "MPC-6.1")
def test_an_application_is_accepted_as_a_whole_or_not_at_all() -> None:
    obstacles = (Obstacle("MPC-6.1", "there is no adapter line", "Apply for an adapter with it."),)
    with pytest.raises(RuleViolation) as refused:
        step(apply("mpc", "management", START), Accept(START, START, obstacles))
    assert refused.value.rule == "MPC-6.1"


@pytest.mark.rule("MPC-15")
def test_an_accepted_line_owes_its_initial_fee_but_a_packet_group_has_none() -> None:
    assert step(apply("mpc", "adapter", START), Accept(START, START)).follows == (Follows.INITIAL_FEE,)
    assert step(apply("mpc", "packet-share-group", START), Accept(START, START)).follows == ()


@pytest.mark.rule("SMF-3.2")
@pytest.mark.parametrize("reason", [0, 8])
def test_a_refusal_names_one_of_the_seven_reasons(reason: int) -> None:
    with pytest.raises(RuleViolation, match="seven"):
        step(apply("smfsx", "management", START), Refuse(START, reason))


def test_a_billing_start_before_its_day_is_an_alert() -> None:
    accepted = step(apply("mpc", "adapter", START), Accept(START, START + ONE * 9)).contract
    early = step(accepted, BillingStarts(START + ONE * 8))
    assert early.alert is not None
    assert early.contract is accepted


def test_the_earliest_of_several_ends_holds_with_its_cause() -> None:
    line = active()
    notice = step(line, Notice(date(2025, 5, 1), date(2025, 12, 31))).contract
    provider = step(notice, ProviderTerminates(date(2025, 6, 1), date(2025, 9, 30), "insolvency", date(2025, 6, 1)))
    assert (provider.contract.effective, provider.contract.cause) == (date(2025, 9, 30), Cause.PROVIDER)
    later = step(provider.contract, Notice(date(2025, 9, 20))).contract
    assert (later.effective, later.cause) == (date(2025, 9, 30), Cause.PROVIDER)
    gone = step(later, Abolition(date(2025, 6, 2), date(2025, 9, 30), date(2025, 6, 2))).contract
    assert gone.cause is Cause.ABOLITION


@pytest.mark.rule("SMF-22")
def test_abolition_ends_a_line_without_a_sum() -> None:
    day = earliest_after_notice("abolition", date(2025, 4, 2))
    line = step(active(), Abolition(date(2025, 4, 2), day, date(2025, 4, 2))).contract
    assert Follows.MINIMUM_PERIOD_SUM not in step(line, DayOver(day + ONE)).follows


@pytest.mark.rule("SMF-23.1", "SMF-25")
def test_a_termination_by_the_provider_is_not_back_dated() -> None:
    with pytest.raises(RuleViolation) as refused:
        step(active(), ProviderTerminates(date(2025, 6, 2), date(2025, 6, 1), "harassment", date(2025, 6, 2)))
    assert refused.value.rule == "SMF-25"


@pytest.mark.rule("SMF-21")
def test_a_suspension_is_notified_with_its_period_unless_it_is_an_emergency() -> None:
    line = active("management")
    with pytest.raises(RuleViolation) as refused:
        step(line, Suspend(START + ONE, 1))
    assert refused.value.rule == "SMF-21"
    suspended = step(line, Suspend(START + ONE, 1, emergency=True)).contract
    assert suspended.state is State.SUSPENDED
    assert not suspended.entitled


def test_a_terminating_line_keeps_serving_unless_it_is_marked_suspended() -> None:
    ending = step(active("management"), Notice(date(2025, 6, 1))).contract
    assert ending.entitled
    marked = step(ending, Suspend(date(2025, 6, 2), 2, date(2025, 6, 9), date(2025, 6, 1))).contract
    assert (marked.state, marked.entitled) == (State.TERMINATING, False)
    assert step(marked, Resume(date(2025, 6, 9))).contract.entitled


def test_a_suspended_line_takes_its_mark_along() -> None:
    suspended = step(active("management"), Suspend(START + ONE, 1, emergency=True)).contract
    ending = step(suspended, Notice(date(2025, 6, 1))).contract
    assert (ending.state, ending.entitled) == (State.TERMINATING, False)


@pytest.mark.rule("MPC-8")
def test_counts_do_not_change_after_the_last_day() -> None:
    ending = step(active("management"), Notice(date(2025, 6, 1))).contract
    step(ending, ChangeCounts(date(2025, 6, 2), date(2025, 7, 1)))
    with pytest.raises(RuleViolation):
        step(ending, ChangeCounts(date(2025, 6, 2), date(2025, 7, 2)))


@pytest.mark.rule("MPC-9.2(2)(i)")
def test_a_plan_change_waits_for_its_day_and_a_later_one_replaces_it() -> None:
    mobile = active("mobile-access", plan="normal")
    first = step(mobile, ChangeOption(date(2025, 5, 10), "plan", "10GB")).contract
    second = step(first, ChangeOption(date(2025, 5, 20), "plan", "30GB")).contract
    (pending,) = second.pending
    assert (pending.value, pending.first_day) == ("30GB", date(2025, 6, 1))
    assert step(second, ChangeDue(date(2025, 5, 31))).alert is not None
    assert step(second, ChangeDue(date(2025, 6, 1))).contract.values["plan"] == "30GB"


@pytest.mark.rule("SMF-2", "SMF-5.2")
def test_an_ultra_firewall_is_dormant_outside_an_entry_and_its_target_never_changes() -> None:
    firewall = active("ultra-firewall")
    dormant = step(firewall, LeavesEntry(START + ONE)).contract
    assert (dormant.state, dormant.entitled) == (State.DORMANT, False)
    assert step(dormant, BackInEntry(START + ONE * 2)).contract.entitled
    with pytest.raises(RuleViolation) as refused:
        step(firewall, ChangeOption(START + ONE, "adapter", "a2"))
    assert refused.value.rule == "SMF-5.2"


@pytest.mark.rule("SMF-23.3", "MPC-9.8")
def test_an_option_ends_on_the_day_on_which_its_adapter_line_ends() -> None:
    ended = step(active("ultra-send-back"), DependencyEnds(date(2025, 4, 10)))
    assert ended.contract.state is State.ENDED
    assert ended.contract.effective == date(2025, 4, 10)
    assert Follows.MINIMUM_PERIOD_SUM in ended.follows
    waiting = apply("mpc", "ultra-send-back", START)
    assert step(waiting, DependencyEnds(START)).contract.state is State.WITHDRAWN


def test_lines_are_suspended_and_options_are_not() -> None:
    for kind in OPTIONS:
        assert "suspend" not in allowed(active(kind, plan="normal"))


@pytest.mark.rule("MPC-9.7", "MPC-9.8")
def test_a_group_falls_by_its_last_member_and_a_member_by_its_group() -> None:
    group = step(active("packet-share-group", **{"packs-gb": 60}), DependencyEnds(date(2025, 4, 10)))
    member = step(active("mobile-access", plan="packet-share"), DependencyEnds(date(2025, 4, 10)))
    assert (group.rule, member.rule) == ("MPC-9.7", "MPC-9.8")
    assert Follows.TOGETHER_ENDS in group.follows
    assert step(active("ultra-send-back"), DependencyEnds(date(2025, 4, 10))).rule == "MPC-6.5"
    assert step(active("ultra-firewall"), DependencyEnds(date(2025, 4, 10))).rule == "SMF-23.3"


@pytest.mark.rule("MPC-9.2(2)(ii)", "MPC-9.2(3)")
def test_a_change_that_comes_due_names_the_rule_of_what_changes() -> None:
    mobile = active("mobile-access", plan="normal", **{"network-type": "dynamic-ip"})
    asked = step(mobile, ChangeOption(date(2025, 5, 31), "network-type", "fixed-ip"))
    assert asked.follows == (Follows.ONE_TIME_FEE,)
    due = step(asked.contract, ChangeDue(date(2025, 5, 31)))
    assert (due.rule, due.contract.values["network-type"]) == ("MPC-9.2(2)(ii)", "fixed-ip")
    group = step(active("packet-share-group", **{"packs-gb": 60}), ChangeOption(date(2025, 5, 31), "packs-gb", 70))
    due = step(group.contract, ChangeDue(date(2025, 6, 1)))
    assert (due.rule, due.contract.values["packs-gb"], due.contract.pending) == ("MPC-9.2(3)", 70, ())
