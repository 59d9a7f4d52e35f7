"""Charges for a unit: lost, broken by its user, misused."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.errors import BadInput, NotFound
from inventory.prices import Price, PriceList, failure_item, loss_item
from inventory.unitcharges import breach_charge, failure_charge, loss_charge

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 1)
PRICES = PriceList(
    [
        Price(loss_item("mpc", "seil-x4"), "one-time", 80_000, date(2025, 1, 1)),
        Price(loss_item("mpc", "seil-x4"), "one-time", 90_000, date(2025, 6, 2)),
        Price(loss_item("smfsx", "seil-x1"), "one-time", 70_000, date(2025, 1, 1)),
        Price(failure_item("mpc", "seil-x4"), "one-time", 30_000, date(2025, 1, 1)),
    ]
)


@pytest.mark.rule("MPC-13.2", "SMF-11.2", "MPC-A1.3")
def test_a_lost_unit_costs_the_price_of_the_day_from_which_it_is_lost() -> None:
    mpc = loss_charge("mpc", "seil-x4", PRICES, DAY)
    assert (mpc.yen, mpc.rules, mpc.arithmetic) == (80_000, ("MPC-13.2", "MPC-A1.3"), "1 × 80,000 = 80,000 yen")
    assert loss_charge("mpc", "seil-x4", PRICES, date(2025, 6, 2)).yen == 90_000
    smfsx = loss_charge("smfsx", "seil-x1", PRICES, DAY)
    assert (smfsx.yen, smfsx.rules) == (70_000, ("SMF-11.2",))
    with pytest.raises(NotFound):
        loss_charge("smfsx", "seil-x2", PRICES, DAY)


@pytest.mark.rule("MPC-12.3", "SMF-10.3", "MPC-A1.3")
def test_a_failure_by_the_customers_fault_costs_the_listed_price_or_what_it_has_cost() -> None:
    mpc = failure_charge("mpc", "seil-x4", PRICES, DAY, by_customer=True)
    assert (mpc.yen, mpc.rules) == (30_000, ("MPC-12.3", "MPC-A1.3"))
    smfsx = failure_charge("smfsx", "seil-x1", PRICES, DAY, by_customer=True, cost_yen=12_345)
    assert (smfsx.yen, smfsx.rules) == (12_345, ("SMF-10.3",))
    assert failure_charge("smfsx", "seil-x1", PRICES, DAY, by_customer=True, cost_yen=0).yen == 0
    for cost_yen in (None, -1):
        with pytest.raises(BadInput) as refused:
            failure_charge("smfsx", "seil-x1", PRICES, DAY, by_customer=True, cost_yen=cost_yen)
        assert (refused.value.field, refused.value.rule) == ("cost_yen", "SMF-10.3")


@pytest.mark.rule("MPC-12.3", "SMF-10.3")
def test_a_failure_of_the_device_itself_costs_nothing_and_says_so() -> None:
    for service in ("mpc", "smfsx"):
        found = failure_charge(service, "seil-x4", PRICES, DAY, by_customer=False, cost_yen=5)
        assert (found.yen, found.parts) == (0, ())
        assert "not the customer's fault" in found.arithmetic


@pytest.mark.rule("MPC-10.2", "SMF-9.2")
def test_damage_by_a_breach_of_duties_is_paid_for_lent_units_and_for_every_smfsx_adapter() -> None:
    mpc = breach_charge("mpc", "I", 9_000)
    assert (mpc.yen, mpc.rules) == (9_000, ("MPC-10.2",))
    smfsx = breach_charge("smfsx", None, 9_000)
    assert (smfsx.yen, smfsx.rules) == (9_000, ("SMF-9.2",))
    for device_class in ("II", "III"):
        assert breach_charge("mpc", device_class, 9_000).parts == ()
    with pytest.raises(BadInput):
        breach_charge("smfsx", None, -1)
