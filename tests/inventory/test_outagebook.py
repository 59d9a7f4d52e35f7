"""Outages as they are learnt: facts come late and are corrected; what was known before stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.amounts import Amount, Part
from inventory.calendar import TOKYO
from inventory.outagebook import Decision, FactName, OutageBook, OutageFact, fold
from inventory.outageclaims import ClaimState

pytestmark = pytest.mark.fast

BEGAN = datetime(2025, 5, 1, tzinfo=TOKYO)
HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000


def ms(hours: float) -> int:
    """Milliseconds so many hours after the outage began."""
    return round((BEGAN + hours * HOUR).timestamp() * 1000)


def fact(name: FactName, hours: float, recorded: float | None = None) -> OutageFact:
    """An instant, recorded when it was, or later."""
    return OutageFact(name, str(ms(hours)), ms(hours if recorded is None else recorded))


def claimed(day: str, recorded: float) -> OutageFact:
    return OutageFact("claimed", day, ms(recorded))


def standing(facts: list[OutageFact], hours: float) -> OutageBook:
    found = fold("smfsx", facts, BEGAN + hours * HOUR)
    assert found is not None
    return found


def test_an_outage_goes_from_its_first_hour_to_a_claim_in_time() -> None:
    facts = [fact("began", 0)]
    assert standing(facts, 23.9).claim.state is ClaimState.WATCHING
    assert standing(facts, 24).claim.state is ClaimState.CLAIMABLE
    assert standing([*facts, claimed("2025-05-01", 2)], 24).claim.state is ClaimState.CLAIMED
    assert standing([*facts, claimed("2025-08-02", 2_200)], 2_300).claim.state is ClaimState.CLAIMED
    late = standing([*facts, claimed("2025-08-03", 2_260)], 2_300)
    assert (late.claim.state, len(late.alerts)) == (ClaimState.LAPSED, 1)


def test_an_end_that_was_learnt_wrong_is_corrected() -> None:
    facts = [fact("began", 0), fact("ended", 20, 21)]
    assert standing(facts, 30).claim.state is ClaimState.CLOSED
    corrected = [*facts, fact("ended", 26, 30)]
    assert standing(corrected, 30).claim.state is ClaimState.CLAIMABLE
    still = [*facts, OutageFact("ended", "unknown", ms(22))]
    assert standing(still, 23).claim.state is ClaimState.WATCHING


def test_who_answers_for_it_is_asked_until_its_day_is_complete_and_then_decided() -> None:
    no = OutageFact("attributable", "no", ms(3))
    assert standing([fact("began", 0), no], 24).claim.state is ClaimState.CLOSED
    too_late = OutageFact("attributable", "no", ms(25))
    assert standing([fact("began", 0), too_late], 26).claim.state is ClaimState.CLAIMABLE
    again = OutageFact("attributable", "unknown", ms(4))
    assert standing([fact("began", 0), no, again], 24).claim.state is ClaimState.CLAIMABLE


def test_a_decision_is_not_known_before_it_was_made() -> None:
    facts = [fact("began", 0), fact("ended", 30), claimed("2025-05-03", 60)]
    decision = Decision(True, "a fault of ours", Amount((Part("2", Fraction(2_000)),), ("SMF-26.1",)), ms(70))
    done = fold("smfsx", facts, BEGAN + 80 * HOUR, decision=decision)
    before = fold("smfsx", facts, BEGAN + 80 * HOUR, decision=decision, known_at_ms=ms(69))
    assert done is not None
    assert before is not None
    assert (done.claim.state, before.claim.state) == (ClaimState.CREDITED, ClaimState.CLAIMED)
    assert fold("smfsx", facts, BEGAN, known_at_ms=ms(-1)) is None


names = st.sampled_from(["began", "known", "ended"])
instants = st.builds(
    lambda name, hours, late: fact(name, hours, hours + late), names, st.integers(0, 200), st.integers(0, 90)
)


@given(st.lists(instants, max_size=6), st.lists(instants, max_size=6), st.integers(0, 300))
def test_what_is_learnt_later_never_changes_what_was_known(
    facts: list[OutageFact], later: list[OutageFact], hours: int
) -> None:
    news = [OutageFact(one.name, one.value, one.recorded_ms + ms(hours) + 1) for one in later]
    now = BEGAN + hours * HOUR
    assert fold("mpc", [*facts, *news], now, known_at_ms=ms(hours)) == fold("mpc", facts, now, known_at_ms=ms(hours))
