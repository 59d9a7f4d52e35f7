"""Outage claims: from the first hour to the credit."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import TOKYO
from inventory.catalogue import Service
from inventory.errors import RuleViolation
from inventory.outageclaims import FINAL, ClaimState, OutageClaim, arrives, decide, look, usable_again

pytestmark = pytest.mark.fast

BEGAN = datetime(2025, 5, 1, 0, 0, tzinfo=TOKYO)
HOUR = timedelta(hours=1)


def test_an_outage_of_a_day_to_the_second_is_claimable_and_a_second_less_is_not() -> None:
    claim = OutageClaim("smfsx", BEGAN)
    assert usable_again(claim, BEGAN + 24 * HOUR - timedelta(seconds=1)).state is ClaimState.CLOSED
    assert usable_again(claim, BEGAN + 24 * HOUR).state is ClaimState.CLAIMABLE


@pytest.mark.rule("MPC-17")
def test_the_clock_of_mpc_begins_when_the_provider_knows() -> None:
    unknown = OutageClaim("mpc", BEGAN)
    assert look(unknown, BEGAN + 99 * HOUR).state is ClaimState.WATCHING
    known = OutageClaim("mpc", BEGAN, known=BEGAN + 10 * HOUR)
    assert look(known, BEGAN + 33 * HOUR).state is ClaimState.WATCHING
    assert look(known, BEGAN + 34 * HOUR).state is ClaimState.CLAIMABLE


def test_an_early_claim_waits_and_counts_when_the_day_is_complete() -> None:
    early = arrives(OutageClaim("smfsx", BEGAN), date(2025, 5, 1))
    assert early.state is ClaimState.WATCHING
    assert look(early, BEGAN + 24 * HOUR).state is ClaimState.CLAIMED


@pytest.mark.rule("SMF-26.1")
def test_a_claim_lapses_after_three_months() -> None:
    claimable = look(OutageClaim("smfsx", BEGAN), BEGAN + 24 * HOUR)
    assert claimable.last_day == date(2025, 8, 2)
    assert look(claimable, datetime(2025, 8, 2, 23, 59, tzinfo=TOKYO)).state is ClaimState.CLAIMABLE
    lapsed = look(claimable, datetime(2025, 8, 3, tzinfo=TOKYO))
    assert lapsed.state is ClaimState.LAPSED
    with pytest.raises(RuleViolation) as refused:
        arrives(lapsed, date(2025, 8, 3))
    assert refused.value.rule == "SMF-26.1"


@pytest.mark.rule("SMF-26.1")
def test_a_claim_is_decided_only_when_the_outage_is_over() -> None:
    claimed = arrives(look(OutageClaim("smfsx", BEGAN), BEGAN + 25 * HOUR), date(2025, 5, 2))
    with pytest.raises(RuleViolation):
        decide(claimed, 60_000, attributable=True, reason="a fault of the core")
    over = usable_again(claimed, BEGAN + 60 * HOUR)
    credited = decide(over, 60_000, attributable=True, reason="a fault of the core")
    assert credited.state is ClaimState.CREDITED
    assert credited.credit is not None
    assert credited.credit.yen == 4_000
    rejected = decide(over, 60_000, attributable=False, reason="a cut cable at the site")
    assert rejected.state is ClaimState.REJECTED
    assert "cable" in rejected.reason


@given(
    service=st.sampled_from(["mpc", "smfsx"]),
    hours=st.integers(1, 120),
    known=st.none() | st.integers(0, 120),
    attributable=st.none() | st.booleans(),
)
def test_time_alone_brings_every_outage_to_an_end(
    service: str, hours: int, known: int | None, attributable: bool | None
) -> None:
    claim = OutageClaim(
        "mpc" if service == "mpc" else "smfsx",
        BEGAN,
        known=None if known is None else BEGAN + known * HOUR,
        attributable=attributable,
    )
    end = look(usable_again(claim, BEGAN + hours * HOUR), BEGAN + timedelta(days=200))
    assert end.state in FINAL
    assert look(end, BEGAN + timedelta(days=900)) == end


@pytest.mark.rule("MPC-17", "SMF-26.1")
def test_each_refusal_and_each_end_says_the_rule_of_its_service_and_why() -> None:
    for service, rule in (("mpc", "MPC-17"), ("smfsx", "SMF-26.1")):
        of: Service = "mpc" if service == "mpc" else "smfsx"
        begun = OutageClaim(of, BEGAN, known=BEGAN)
        assert begun.rule == rule
        claimable = look(begun, BEGAN + 24 * HOUR)
        with pytest.raises(RuleViolation) as refused:
            decide(usable_again(claimable, BEGAN + 30 * HOUR), 1, attributable=True, reason="")
        assert (refused.value.rule, refused.value.next_step) == (rule, "It is claimable.")
        with pytest.raises(RuleViolation) as refused:
            decide(arrives(claimable, date(2025, 5, 2)), 1, attributable=True, reason="")
        assert refused.value.next_step == "Wait for its end, or record it."
        short = usable_again(begun, BEGAN + 23 * HOUR)
        assert (short.state, short.reason) == (ClaimState.CLOSED, "usable again in under 24 hours")
        with pytest.raises(RuleViolation, match="the outage is closed, usable again in under 24 hours"):
            arrives(short, date(2025, 5, 2))


@pytest.mark.rule("MPC-17", "SMF-26.1")
def test_a_claim_is_in_time_on_its_last_day_and_not_a_day_later_also_when_nobody_has_looked() -> None:
    claimable = look(OutageClaim("smfsx", BEGAN), BEGAN + 24 * HOUR)
    assert arrives(claimable, date(2025, 8, 2)).state is ClaimState.CLAIMED
    with pytest.raises(RuleViolation):
        arrives(claimable, date(2025, 8, 3))
    assert OutageClaim("mpc", BEGAN).last_day is None


def test_what_the_provider_does_not_answer_for_closes_with_the_24th_hour_and_not_before() -> None:
    others = OutageClaim("smfsx", BEGAN, attributable=False)
    assert look(others, BEGAN + 24 * HOUR - timedelta(seconds=1)).state is ClaimState.WATCHING
    closed = look(others, BEGAN + 24 * HOUR)
    assert (closed.state, closed.reason) == (ClaimState.CLOSED, "the provider does not answer for it")
    assert look(OutageClaim("smfsx", BEGAN, attributable=True), BEGAN + 24 * HOUR).state is ClaimState.CLAIMABLE


def test_an_end_is_recorded_once_and_never_after_the_outage_is_settled() -> None:
    first = usable_again(OutageClaim("smfsx", BEGAN), BEGAN + 50 * HOUR)
    assert usable_again(first, BEGAN + 60 * HOUR).ended == BEGAN + 50 * HOUR
    lapsed = look(OutageClaim("smfsx", BEGAN), BEGAN + 3000 * HOUR)
    assert lapsed.state is ClaimState.LAPSED
    assert usable_again(lapsed, BEGAN + 3001 * HOUR).ended is None


def test_a_decision_keeps_its_reason_with_why_there_is_no_credit() -> None:
    claimed = usable_again(
        arrives(look(OutageClaim("smfsx", BEGAN), BEGAN + 25 * HOUR), date(2025, 5, 2)), BEGAN + 60 * HOUR
    )
    granted = decide(claimed, 60_000, attributable=True, reason="a fault of the core")
    assert (granted.state, granted.reason, granted.attributable) == (ClaimState.CREDITED, "a fault of the core", True)
    refused = decide(claimed, 60_000, attributable=False, reason="the customer's power")
    assert (refused.state, refused.attributable) == (ClaimState.REJECTED, False)
    assert refused.reason == "the provider does not answer for it; the customer's power"
    assert decide(claimed, 60_000, attributable=False, reason="").reason == "the provider does not answer for it"
    assert (refused.credit is not None, refused.credit and refused.credit.yen) == (True, 0)


@pytest.mark.rule("MPC-17")
def test_three_months_of_mpc_run_from_the_day_that_is_complete_after_the_provider_knew() -> None:
    """Known 30 hours after it began: the 24th hour is complete on 3 May, a claim of 3 August is in time."""
    known = OutageClaim("mpc", BEGAN, known=BEGAN + 30 * HOUR)
    over = usable_again(look(known, BEGAN + 54 * HOUR), BEGAN + 60 * HOUR)
    claimed = arrives(over, date(2025, 8, 3))
    assert decide(claimed, 60_000, attributable=True, reason="ours").state is ClaimState.CREDITED
