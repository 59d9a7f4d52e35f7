"""Fees, sums and credits: what holds whatever the days are, beside a slow model that counts day by day."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.amounts import Amount
from inventory.calendar import Month, months, period_end
from inventory.errors import BadInput, RuleViolation
from inventory.fees import (
    KINDS,
    Life,
    charged_slots,
    early_termination,
    last_day_charged,
    line_fee,
    rental_early_termination,
    slot_fee,
)
from inventory.invoices import invoice_total, require_issue_day, tax_rate
from inventory.optionrules import MOBILE_PLANS

pytestmark = pytest.mark.fast

DAYS = st.dates(date(2023, 12, 1), date(2025, 6, 30))
YEN = st.integers(0, 20_000)
ONE = timedelta(days=1)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[date, int]]:
    """Counts of slots, some of them within a month of each other."""
    day = draw(DAYS)
    found = [(day, draw(st.integers(0, 6)))]
    for _ in range(draw(st.integers(0, 5))):
        day += timedelta(days=draw(st.integers(1, 40)))
        found.append((day, draw(st.integers(0, 6))))
    return found


def day_by_day(month: Month, monthly_yen: int, charged: set[date]) -> Fraction:
    """The fee of the days of one month."""
    return Fraction(monthly_yen * sum(Month.of(day) == month for day in charged), month.days)


def span(first: date, last: date) -> set[date]:
    """The days from first to last."""
    return {first + ONE * number for number in range((last - first).days + 1)}


@pytest.mark.rule("SMF-15.4")
@given(start=DAYS, length=st.integers(0, 400), monthly_yen=YEN, cut=st.integers(1, 27))
def test_splitting_a_month_changes_the_sum_by_no_more_than_the_flooring(
    start: date, length: int, monthly_yen: int, cut: int
) -> None:
    end = start + ONE * length
    for month in months(start, end):
        at = month.first + ONE * cut
        whole = line_fee("adapter", Life(start, end), monthly_yen, month)
        before = line_fee("adapter", Life(start, min(end, at - ONE)), monthly_yen, month)
        after = line_fee("adapter", Life(max(start, at), end), monthly_yen, month)
        assert before.exact_yen + after.exact_yen == whole.exact_yen
        assert 0 <= whole.yen - before.yen - after.yen <= 1


@pytest.mark.rule("SMF-15.3", "SMF-15.4")
@given(start=DAYS, length=st.integers(-5, 400), monthly_yen=YEN)
def test_a_fee_is_that_of_its_days(start: date, length: int, monthly_yen: int) -> None:
    end = start + ONE * length
    charged = span(start, end)
    for month in months(start - ONE * 40, end + ONE * 80):
        fee = line_fee("adapter", Life(start, end), monthly_yen, month)
        assert fee.yen == floor(day_by_day(month, monthly_yen, charged))


@pytest.mark.rule("MPC-16.1", "MPC-16.2", "MPC-A2.1", "MPC-A2.2", "SMF-16.2", "MPC-9.6")
@given(
    start=DAYS,
    length=st.integers(0, 500),
    minimum=st.sampled_from([1, 12]),
    monthly_yen=YEN,
    kind=st.sampled_from(KINDS),
    plan=st.sampled_from(MOBILE_PLANS),
)
def test_no_day_is_charged_twice_and_none_of_the_minimum_period_is_left_out(
    start: date, length: int, minimum: int, monthly_yen: int, kind: str, plan: str
) -> None:
    known = next(one for one in KINDS if one == kind)
    end, period = start + ONE * length, period_end(start, minimum)
    life = Life(start, end)
    covered = span(start, last_day_charged(known, end, plan))
    rest = early_termination(life, minimum, monthly_yen, service="mpc", kind=known, plan=plan)
    left = span(start, period) - covered
    assert rest.exact_yen == sum((day_by_day(month, monthly_yen, left) for month in months(start, period)), Fraction(0))


@pytest.mark.rule("SMF-15.5")
@given(changes=histories(), monthly_yen=YEN, ended=st.none() | DAYS)
def test_slots_are_charged_at_least_for_every_day_they_stand(
    changes: list[tuple[date, int]], monthly_yen: int, ended: date | None
) -> None:
    slots = charged_slots(changes)
    assert sum(slot.last is None for slot in slots) == changes[-1][1]
    for (day, count), (until, _) in zip(changes, [*changes[1:], (changes[-1][0] + ONE * 60, 0)], strict=True):
        for one in span(day, until - ONE):
            charged = sum(slot.first <= one and (slot.last is None or one <= slot.last) for slot in slots)
            assert charged >= count
    for slot in slots:
        assert slot.last is None or slot.last >= period_end(slot.first, 1)
    fees = [
        slot_fee(monthly_yen, changes, month, ended).exact_yen for month in months(date(2023, 12, 1), date(2026, 6, 1))
    ]
    assert all(fee >= 0 for fee in fees)
    if ended is not None:
        assert slot_fee(monthly_yen, changes, Month.of(ended).plus(1), ended).yen == 0


@pytest.mark.rule("SMF-15.5")
@given(changes=histories(), monthly_yen=YEN)
def test_a_slot_given_up_is_never_charged_longer_than_a_month_from_its_start(
    changes: list[tuple[date, int]], monthly_yen: int
) -> None:
    down = (changes[-1][0] + ONE * 3, 0)
    after = max([period_end(slot.first, 1) for slot in charged_slots(changes)] + [down[0]]) + ONE
    assert slot_fee(monthly_yen, [*changes, down], Month.of(after).plus(1)).yen == 0


def test_counts_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(BadInput):
        charged_slots([(date(2025, 5, 2), 1), (date(2025, 5, 1), 2)])


def test_a_line_that_ends_before_it_is_billed_owes_no_fee_and_no_sum() -> None:
    life = Life(date(2025, 6, 10), date(2025, 6, 9))
    assert line_fee("mobile-access", life, 3000, Month(2025, 6), plan="10GB").yen == 0
    assert early_termination(life, 12, 3000).yen == 0


def test_an_amount_explains_itself() -> None:
    fee = slot_fee(3000, [(date(2025, 5, 1), 10), (date(2025, 6, 11), 15)], Month(2025, 6))
    assert fee.arithmetic == "2025-06: 10 × 3,000 × 30/30 + 2025-06: 5 × 3,000 × 20/30 = 40,000 yen"
    assert fee.rules == ("SMF-15.3", "SMF-15.5")


@given(
    taxable=st.lists(YEN, max_size=4),
    untaxed=st.lists(YEN, max_size=3),
    credits_yen=st.lists(YEN, max_size=3),
    number=st.integers(0, 400),
)
def test_a_credit_never_makes_an_invoice_negative_and_none_of_it_is_lost(
    taxable: list[int], untaxed: list[int], credits_yen: list[int], number: int
) -> None:
    month = Month(1995, 1).plus(number)
    total = invoice_total(month, taxable, untaxed, credits_yen)
    assert total.total_yen >= 0 <= total.carried_credit_yen
    used = sum(credits_yen) - total.carried_credit_yen
    assert total.total_yen == sum(taxable) + sum(untaxed) - used + total.tax_yen
    assert total.tax_yen == floor(max(0, sum(taxable) - sum(credits_yen)) * tax_rate(month))


@pytest.mark.rule("SMF-15.1")
def test_an_invoice_is_not_issued_in_the_month_of_service() -> None:
    require_issue_day(Month(2025, 6), date(2025, 7, 1))
    with pytest.raises(RuleViolation) as refused:
        require_issue_day(Month(2025, 6), date(2025, 6, 30))
    assert refused.value.rule == "SMF-15.1"


def test_the_tax_of_a_month_is_that_of_its_last_day() -> None:
    assert tax_rate(Month(2019, 9)) == Fraction(8, 100)
    assert tax_rate(Month(2019, 10)) == Fraction(10, 100)


# --- bounds that are easily missed ------------------------------------------------------------------------------------


@pytest.mark.rule("MPC-9.6")
@pytest.mark.parametrize(
    ("plan", "yen"),
    [
        ("10GB", 3_000),
        ("30GB", 3_000),
        ("50GB", 3_000),
        ("packet-share", 3_000),
        ("normal", 1_000),
        ("backup", 1_000),
        (None, 1_000),
    ],
)
def test_the_month_of_a_stop_is_whole_for_plans_by_the_gigabyte_only(plan: str | None, yen: int) -> None:
    life = Life(date(2025, 5, 1), date(2025, 6, 10))
    assert line_fee("mobile-access", life, 3_000, Month(2025, 6), plan=plan).yen == yen


@pytest.mark.rule("SMF-15.5")
def test_a_slot_added_on_the_last_day_that_a_released_one_is_charged_takes_its_place() -> None:
    """Started 11 June and released at once, it is charged until 10 July; added on 11 July it is a new one."""
    for added, first in ((date(2025, 7, 10), date(2025, 6, 11)), (date(2025, 7, 11), date(2025, 7, 11))):
        changes = [(date(2025, 6, 11), 1), (date(2025, 6, 12), 0), (added, 1)]
        assert [one.first for one in charged_slots(changes) if one.last is None] == [first]


@pytest.mark.rule("SMF-16.2")
def test_one_day_before_the_end_of_the_minimum_period_is_early_and_the_last_day_is_not() -> None:
    def early(ended: date) -> Amount:
        return early_termination(Life(date(2025, 1, 1), ended), 12, 3_100)

    assert (early(date(2025, 12, 30)).yen, early(date(2025, 12, 30)).rules) == (100, ("SMF-16.2",))
    assert early(date(2025, 12, 31)).parts == ()
    assert "2025-12-31" in early(date(2025, 12, 31)).reason


@pytest.mark.rule("MPC-16.1", "MPC-16.2")
def test_an_mpc_line_and_an_mpc_option_fall_under_their_own_paragraph() -> None:
    life = Life(date(2025, 6, 1), date(2025, 6, 20))
    for kind, rules in (
        ("management", ("MPC-16.1", "MPC-A2.1")),
        ("adapter", ("MPC-16.1", "MPC-A2.1")),
        ("ultra-send-back", ("MPC-16.2", "MPC-A2.2")),
    ):
        chosen = next(one for one in KINDS if one == kind)
        assert early_termination(life, 1, 3_000, service="mpc", kind=chosen).rules == rules


@pytest.mark.rule("SMF-16.3", "SMF-S2009-11.2")
def test_the_sum_of_a_rental_covers_twelve_months_and_names_the_rule_that_chose_its_model() -> None:
    prices = {"SEIL/X1": 3_100, "SEIL/X2": 6_200}

    def early(concluded: date, ended: date) -> Amount:
        models = [(date(2009, 1, 1), "SEIL/X1"), (date(2009, 11, 1), "SEIL/X2")]
        return rental_early_termination(Life(date(2025, 1, 1), ended), concluded, models, prices)

    assert early(date(2025, 1, 1), date(2025, 11, 30)).rules == ("SMF-16.2", "SMF-16.3")
    assert early(date(2009, 10, 31), date(2025, 11, 30)).rules == ("SMF-16.2", "SMF-S2009-11.2")
    assert early(date(2009, 11, 1), date(2025, 11, 30)).rules == ("SMF-16.2", "SMF-16.3")
    assert [early(date(2009, 10, 31), date(2025, 11, 30)).yen, early(date(2025, 1, 1), date(2025, 12, 31)).yen] == [
        6_200,
        0,
    ]


@pytest.mark.parametrize("name", ["taxable", "untaxed", "credits"])
def test_a_negative_amount_on_an_invoice_is_named(name: str) -> None:
    lists = {one: [5, -1] if one == name else [5] for one in ("taxable", "untaxed", "credits")}
    with pytest.raises(BadInput) as refused:
        invoice_total(Month(2025, 6), lists["taxable"], lists["untaxed"], lists["credits"])
    assert refused.value.field == name
