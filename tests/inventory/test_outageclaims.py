"""Outage claims: from the first hour to the credit."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import TOKYO
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
