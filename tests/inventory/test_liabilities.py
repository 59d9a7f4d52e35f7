"""What one unit costs its contractor, and how credits come off."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.amounts import Amount, Part
from inventory.billing import TAXABLE
from inventory.bills import Credit, bill
from inventory.calendar import Month
from inventory.errors import BadInput, NotFound, RuleViolation
from inventory.liabilities import Liability, Unit, liability_charge, liability_rule, require_cost
from inventory.prices import Price, PriceList, failure_item, loss_item

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 10)
LEASED = Unit("A1", "mpc", "I", "sa-w2", "lent")
RENTED = Unit("B1", "smfsx", None, "seil-x1", "lent")
OWN = Unit("C1", "mpc", "III", "cisco-ios", "own")
PRICES = PriceList(
    [
        Price(loss_item("mpc", "sa-w2"), "one-time", 40_000, date(2025, 1, 1)),
        Price(loss_item("mpc", "sa-w2"), "one-time", 30_000, date(2025, 6, 11)),
        Price(failure_item("mpc", "sa-w2"), "one-time", 15_000, date(2025, 1, 1)),
        Price(loss_item("smfsx", "seil-x1"), "one-time", 60_000, date(2025, 1, 1)),
    ]
)


@pytest.mark.rule("MPC-12.3")
def test_a_leased_unit_that_failed_by_the_contractors_fault_costs_what_the_list_says() -> None:
    charge = liability_charge(LEASED, "failure", DAY, PRICES)
    assert (charge.amount.yen, charge.amount.rules, charge.month) == (
        15_000,
        ("MPC-12.3", "MPC-A1.3"),
        Month(2025, 6),
    )
    with pytest.raises(BadInput, match="price list"):
        liability_charge(LEASED, "failure", DAY, PRICES, 9_000)


@pytest.mark.rule("SMF-10.3")
def test_a_rented_unit_that_failed_by_the_contractors_fault_costs_what_it_cost() -> None:
    charge = liability_charge(RENTED, "failure", DAY, PRICES, 9_000)
    assert (charge.amount.yen, charge.amount.rules) == (9_000, ("SMF-10.3",))
    with pytest.raises(BadInput, match="actual cost is missing"):
        liability_charge(RENTED, "failure", DAY, PRICES)


@pytest.mark.rule("MPC-10.2")
def test_recovery_or_repair_is_paid_for_units_of_class_one_only() -> None:
    assert liability_charge(LEASED, "damage", DAY, PRICES, 7_700).amount.rules == ("MPC-10.2",)
    for unit in (OWN, Unit("D1", "mpc", "II", "seil-x86-ayame", "issued")):
        with pytest.raises(RuleViolation) as refused:
            liability_charge(unit, "damage", DAY, PRICES, 7_700)
        assert refused.value.rule == "MPC-10.2"


@pytest.mark.rule("SMF-9.2")
def test_recovery_or_repair_is_paid_for_every_adapter_of_smfsx() -> None:
    own = Unit("E1", "smfsx", None, "seil-x86-fuji", "own")
    for unit in (RENTED, own):
        assert liability_charge(unit, "damage", DAY, PRICES, 1).amount.rules == ("SMF-9.2",)
    with pytest.raises(RuleViolation):
        liability_charge(own, "loss", DAY, PRICES)


@pytest.mark.rule("MPC-13.2", "SMF-11.2")
def test_a_lost_unit_costs_the_loss_charge_of_its_day_and_is_not_taxed() -> None:
    found = [liability_charge(LEASED, "loss", day, PRICES) for day in (DAY, date(2025, 6, 11))]
    assert [one.amount.yen for one in found] == [40_000, 30_000]
    assert liability_charge(RENTED, "loss", DAY, PRICES).amount.rules == ("SMF-11.2",)
    assert not {"loss", "failure", "damage"} & TAXABLE
    with pytest.raises(NotFound):
        liability_charge(Unit("F1", "smfsx", None, "seil-x2", "lent"), "loss", DAY, PRICES)


def credit(month: str, yen: int) -> Credit:
    return Credit("outage 1", Month.parse(month), Amount((Part(f"{yen:,}", Fraction(yen)),), ("SMF-26.1",)))


def test_a_credit_is_taken_off_before_tax_and_its_rest_is_carried_month_by_month() -> None:
    month = Month(2025, 6)
    charge = liability_charge(RENTED, "failure", DAY, PRICES, 1_500)
    later = liability_charge(RENTED, "failure", date(2025, 8, 1), PRICES, 9_000)
    charges = {month: [charge], Month(2025, 8): [later]}
    credits = [credit("2025-06", 4_000), credit("2025-08", 100)]
    first, second, third = (bill(Month(2025, number), charges, credits) for number in (6, 7, 8))
    assert (first.total.total_yen, first.total.carried_credit_yen, first.carried_in_yen) == (0, 2_500, 0)
    assert (second.total.total_yen, second.carried_in_yen) == (0, 2_500)
    assert (third.carried_in_yen, third.total.total_yen, third.total.carried_credit_yen) == (2_500, 6_400, 0)
    assert bill(Month(2025, 5), charges, credits).total.total_yen == 0


@given(st.lists(st.integers(0, 9_000), max_size=8), st.lists(st.integers(0, 9_000), max_size=4))
@pytest.mark.rule("SMF-26.2")
def test_beyond_its_credit_an_outage_never_takes_anything_off(costs: list[int], credit_yen: list[int]) -> None:
    """Over all months the bills and what is left of the credits come to the charges less the credits, to the yen."""
    first = Month(2025, 1)
    charges = {
        first.plus(number): [liability_charge(RENTED, "failure", first.plus(number).first, PRICES, cost)]
        for number, cost in enumerate(costs)
    }
    credits = [credit(str(first.plus(number)), yen) for number, yen in enumerate(credit_yen) if yen]
    last = first.plus(12)
    paid = sum(bill(first.plus(number), charges, credits).total.total_yen for number in range(13))
    left = bill(last, charges, credits).total.carried_credit_yen
    assert paid - left == sum(costs) - sum(credit_yen)
    assert all(bill(first.plus(number), charges, credits).total.total_yen >= 0 for number in range(13))


@pytest.mark.rule("MPC-13.2", "SMF-11.2", "MPC-12.3", "SMF-10.3", "MPC-10.2", "SMF-9.2")
@pytest.mark.parametrize(
    ("what", "mpc", "smfsx"),
    [("loss", "MPC-13.2", "SMF-11.2"), ("failure", "MPC-12.3", "SMF-10.3"), ("damage", "MPC-10.2", "SMF-9.2")],
)
def test_each_liability_is_charged_by_the_rule_of_its_service(what: Liability, mpc: str, smfsx: str) -> None:
    assert (liability_rule(LEASED, what), liability_rule(RENTED, what)) == (mpc, smfsx)
    with pytest.raises(RuleViolation) as refused:
        liability_rule(OWN, what)
    assert refused.value.rule == mpc


@pytest.mark.rule("SMF-9.2")
@pytest.mark.parametrize(("cost", "fits"), [(None, False), (-1, False), (0, True), (1, True)])
def test_an_actual_cost_is_given_and_not_below_0(cost: int | None, fits: bool) -> None:
    if fits:
        require_cost(RENTED, "damage", cost)
        return
    with pytest.raises(BadInput) as refused:
        require_cost(RENTED, "damage", cost)
    assert refused.value.field == "cost_yen"
