"""How options change, what ends with what, and what earlier terms left behind."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import Month
from inventory.errors import BadInput, RuleViolation
from inventory.fees import WHOLE_MONTH_PLANS
from inventory.optionrules import (
    MOBILE_PLANS,
    Bound,
    ends_together,
    network_type_change,
    packs_change,
    plan_change,
    transitional,
)

pytestmark = pytest.mark.fast

DAYS = st.dates(date(2024, 1, 1), date(2026, 12, 31))
PLANS = st.sampled_from(MOBILE_PLANS)


@pytest.mark.rule("MPC-9.2(2)(i)")
@given(before=PLANS, after=PLANS, requested=DAYS)
def test_plans_by_whole_months_change_on_the_first_and_none_is_asked_for_on_the_last(
    before: str, after: str, requested: date
) -> None:
    month = Month.of(requested)
    if before == after or requested == month.last:
        with pytest.raises(RuleViolation):
            plan_change(before, after, requested)
        return
    first_day = plan_change(before, after, requested)
    whole = {before, after} & WHOLE_MONTH_PLANS
    assert first_day == (month.plus(1).first if whole else requested)


@pytest.mark.rule("MPC-9.2(2)(ii)")
@given(requested=DAYS)
def test_a_network_type_changes_on_any_day(requested: date) -> None:
    assert network_type_change("dynamic-ip", "fixed-ip", requested) == requested


@pytest.mark.rule("MPC-9.2(3)")
@given(gigabytes=st.integers(0, 200), requested=DAYS)
def test_a_group_never_falls_below_fifty_gigabytes(gigabytes: int, requested: date) -> None:
    if gigabytes < 50 or gigabytes == 60:
        with pytest.raises(RuleViolation):
            packs_change(60, gigabytes, requested)
        return
    assert packs_change(60, gigabytes, requested) == Month.of(requested).plus(1).first


def test_a_plan_or_type_that_does_not_exist_is_bad_input() -> None:
    with pytest.raises(BadInput):
        plan_change("normal", "100GB", date(2025, 6, 1))
    with pytest.raises(BadInput):
        network_type_change("dynamic-ip", "static", date(2025, 6, 1))


LINES = {
    "a1": Bound("adapter"),
    "a2": Bound("adapter"),
    "m1": Bound("mobile-access", on="a1", group="g1"),
    "m2": Bound("mobile-access", on="a2", group="g1"),
    "s1": Bound("ultra-send-back", on="a1"),
    "g1": Bound("packet-share-group"),
}


@pytest.mark.rule("MPC-9.7")
def test_a_group_ends_with_its_last_member_only() -> None:
    assert ends_together(LINES, ["m1"]) == ()
    assert ends_together(LINES, ["m1", "m2"]) == ("g1",)
    assert ends_together(LINES, ["a1", "a2"]) == ("g1", "m1", "m2", "s1")


@pytest.mark.rule("MPC-9.8")
def test_the_members_end_with_their_group_but_not_their_adapters() -> None:
    assert ends_together(LINES, ["g1"]) == ("m1", "m2")


@pytest.mark.rule("SMF-23.3")
def test_an_ultra_firewall_without_a_rental_ends_with_its_management() -> None:
    lines = {"k1": Bound("management"), "f1": Bound("ultra-firewall", on="k1")}
    assert ends_together(lines, ["k1"]) == ("f1",)


@pytest.mark.rule("MPC-S2024-03.2", "MPC-S2024-05.2", "SMF-S2011-04.2")
@pytest.mark.parametrize(
    ("line", "last_day", "first_day", "becomes"),
    [
        ("mobile-access", date(2024, 2, 29), date(2024, 3, 1), "dynamic-ip"),
        ("mpc", date(2024, 4, 30), date(2024, 5, 1), "standard"),
        ("smf", date(2011, 3, 31), date(2011, 4, 1), "smfsx"),
    ],
)
def test_lines_of_earlier_terms_change_on_one_day_and_later_ones_do_not(
    line: str, last_day: date, first_day: date, becomes: str
) -> None:
    assert transitional(line, last_day, first_day) == becomes
    assert transitional(line, last_day, last_day) is None
    assert transitional(line, first_day, first_day, "fixed-ip") == "fixed-ip"
