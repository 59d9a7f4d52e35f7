"""What a line is charged: prices by day and contractor, parts of a month, sums at its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.billing import BilledLine, Version, charges
from inventory.calendar import Month
from inventory.contracts import Cause, Contract, State
from inventory.errors import BadInput, NotFound
from inventory.fees import Kind
from inventory.prices import (
    TO_DYNAMIC,
    TO_FIXED,
    Item,
    Price,
    PriceList,
    entry_item,
    mobile_item,
    parse_price,
    rental_item,
    rows,
)

pytestmark = pytest.mark.fast

START = date(2025, 1, 1)


def default_list(monthly_yen: int = 3_100) -> list[Price]:
    """A complete list: the monthly price for every row, but 90 yen a GB."""
    return [Price(item, fee, 90 if fee == "monthly-per-gb" else monthly_yen, date(2009, 1, 1)) for item, fee in rows()]


def contract(kind: Kind, start: date = START, ended: date | None = None) -> Contract:
    """A line that was accepted on its first day."""
    service = "smfsx" if kind in {"adapter-rental", "ultra-firewall"} else "mpc"
    found = Contract("smfsx" if service == "smfsx" else "mpc", kind, State.ACTIVE, start, start, start, started=True)
    return found if ended is None else replace(found, state=State.ENDED, effective=ended, cause=Cause.NOTICE)


def yen(line: BilledLine, prices: list[Price], month: str) -> dict[str, int]:
    """What each kind of charge comes to."""
    return {one.what: one.amount.yen for one in charges(line, PriceList(prices), Month.parse(month))}


def test_a_contractors_own_price_goes_before_the_default_and_a_later_one_before_an_earlier() -> None:
    item = entry_item("mpc")
    own = Price(item, "monthly", 2_000, date(2025, 3, 1), contractor_id=7)
    later = replace(own, yen=2_500, first_day=date(2025, 6, 1))
    prices = PriceList([*default_list(), own, later])
    found = [prices.yen(item, "monthly", day) for day in (date(2025, 2, 28), date(2025, 3, 1), date(2025, 6, 1))]
    assert found == [3_100, 2_000, 2_500]


def test_a_missing_price_is_named() -> None:
    with pytest.raises(NotFound, match="mpc entry"):
        PriceList([]).yen(entry_item("mpc"), "monthly", START)


@pytest.mark.rule("MPC-A1.3")
def test_back_to_a_dynamic_address_costs_nothing_by_the_terms() -> None:
    assert PriceList([]).yen(TO_DYNAMIC, "one-time", START) == 0


@pytest.mark.parametrize(
    ("name", "fee", "price"), [("lobby", "monthly", 1), ("entry", "hourly", 1), ("entry", "monthly", -1)]
)
def test_a_price_that_no_list_can_have_is_refused(name: str, fee: str, price: int) -> None:
    with pytest.raises(BadInput):
        parse_price("mpc", name, fee, price, START, None)


def test_a_month_uses_the_price_of_its_first_day() -> None:
    item = rental_item("seil-x1")
    dearer = Price(item, "monthly", 6_200, date(2025, 3, 2))
    line = BilledLine(contract("adapter-rental"), versions=(Version(START, model="seil-x1"),))
    assert yen(line, [*default_list(), dearer], "2025-03") == {"monthly": 3_100}
    assert yen(line, [*default_list(), dearer], "2025-04") == {"monthly": 6_200}


@pytest.mark.rule("MPC-15", "SMF-15.2")
def test_the_first_month_has_the_initial_fee_and_the_days_from_the_billing_start() -> None:
    line = BilledLine(contract("adapter", date(2025, 1, 22)), "I", (Version(START, model="sa-w2"),))
    assert yen(line, default_list(), "2025-01") == {"initial": 3_100, "monthly": 1_000}


def test_a_management_is_charged_for_its_slots_of_both_kinds() -> None:
    line = BilledLine(contract("management"), entries=((START, 10),), standbys=((START, 2),))
    found = charges(line, PriceList(default_list()), Month(2025, 2))
    assert [one.amount.yen for one in found] == [31_000, 6_200]


def test_each_part_of_a_month_has_the_fee_of_its_plan_and_network_type() -> None:
    prices = [*default_list(), Price(mobile_item("normal", "fixed-ip"), "monthly", 6_200, date(2010, 1, 1))]
    versions = (
        Version(START, plan="normal", network_type="dynamic-ip"),
        Version(date(2025, 3, 11), plan="normal", network_type="fixed-ip"),
    )
    line = BilledLine(contract("mobile-access"), versions=versions)
    assert yen(line, prices, "2025-03") == {"monthly": 1_000 + 4_200, "one-time": 3_100}
    assert charges(line, PriceList(prices), Month(2025, 3))[1].words == str(TO_FIXED)


@pytest.mark.rule("MPC-9.6")
def test_a_plan_by_the_gigabyte_is_charged_whole_in_the_month_of_its_stop_even_if_it_started_in_it() -> None:
    start, ended = date(2025, 6, 11), date(2025, 6, 20)
    line = BilledLine(
        contract("mobile-access", start, ended), versions=(Version(start, plan="10GB", network_type="dynamic-ip"),)
    )
    assert yen(line, default_list(), "2025-06") == {"initial": 3_100, "monthly": 3_100, "minimum-period-sum": 1_000}
    assert yen(line, default_list(), "2025-07") == {}


def test_a_group_is_charged_by_the_gigabyte_and_has_no_initial_fee() -> None:
    line = BilledLine(contract("packet-share-group"), versions=(Version(START, packs_gb=60),))
    assert yen(line, default_list(), "2025-01") == {"monthly": 5_400}


@pytest.mark.rule("SMF-16.3")
def test_the_sum_of_a_rental_uses_the_model_of_its_conclusion() -> None:
    prices = [*default_list(), Price(rental_item("seil-bpv4"), "monthly", 9_000, date(2010, 1, 1))]
    versions = (Version(START, model="seil-x1"), Version(date(2025, 8, 1), model="seil-bpv4"))
    line = BilledLine(contract("adapter-rental", START, date(2025, 10, 31)), versions=versions)
    assert yen(line, prices, "2025-10") == {"monthly": 9_000, "minimum-period-sum": 6_200}


@pytest.mark.rule("SMF-16.2")
def test_the_sum_uses_the_prices_of_the_effective_day_and_the_month_those_of_its_first() -> None:
    """From 15 October it costs 6,200: October is charged at 3,100, the rest of the period at what held at the end."""
    prices = [*default_list(), Price(rental_item("seil-x1"), "monthly", 6_200, date(2025, 10, 15))]
    line = BilledLine(
        contract("adapter-rental", START, date(2025, 10, 20)), versions=(Version(START, model="seil-x1"),)
    )
    assert yen(line, prices, "2025-10") == {"monthly": 2_000, "minimum-period-sum": 2_200 + 2 * 6_200}
    slots = [*default_list(), Price(entry_item("smfsx"), "monthly", 6_200, date(2025, 1, 15))]
    held = replace(contract("management", START, date(2025, 1, 20)), service="smfsx")
    assert yen(BilledLine(held, entries=[(START, 1)]), slots, "2025-01")["minimum-period-sum"] == 2_200


@pytest.mark.rule("MPC-16.1", "SMF-22")
def test_no_sum_is_owed_where_the_general_terms_exempt_it_or_the_service_is_abolished() -> None:
    line = BilledLine(contract("adapter", START, date(2025, 5, 31)), "I", (Version(START, model="sa-w2"),), exempt=True)
    assert "minimum-period-sum" not in yen(line, default_list(), "2025-05")
    abolished = replace(line, exempt=False, contract=replace(line.contract, cause=Cause.ABOLITION))
    assert "minimum-period-sum" not in yen(abolished, default_list(), "2025-05")
    assert "minimum-period-sum" in yen(replace(line, exempt=False), default_list(), "2025-05")


def test_a_line_whose_billing_start_is_not_known_is_charged_nothing() -> None:
    waiting = Contract("mpc", "adapter", State.ACCEPTED, START, START)
    assert yen(BilledLine(waiting, "I", (Version(START, model="sa-w2"),)), default_list(), "2025-01") == {}


@pytest.mark.rule("MPC-A1", "SMF-A1")
def test_every_row_of_both_services_can_be_entered() -> None:
    for item, fee in rows():
        assert parse_price(item.service, item.name, fee, 1, START, None).item == Item(item.service, item.name)


@pytest.mark.rule("SMF-16.3", "SMF-S2009-11.2")
def test_the_sum_of_a_rental_says_by_which_model_it_was_found() -> None:
    dearer = Price(rental_item("seil-x2"), "monthly", 6_200, date(2010, 1, 1))
    prices = PriceList([*default_list(), dearer])

    def last_charge(concluded: date, *versions: Version) -> tuple[int, tuple[str, ...]]:
        ended = replace(contract("adapter-rental", ended=date(2025, 11, 30)), concluded=concluded)
        amount = charges(BilledLine(ended, versions=versions), prices, Month(2025, 11))[-1].amount
        return amount.yen, amount.rules

    replaced = (Version(date(2009, 10, 1), model="seil-x1"), Version(date(2009, 11, 1), model="seil-x2"))
    assert last_charge(START, *replaced) == (6_200, ("SMF-16.2", "SMF-16.3"))
    of_transition = (*replaced, Version(date(2025, 5, 1), model="seil-x1"))
    assert last_charge(date(2009, 10, 1), *of_transition) == (6_200, ("SMF-16.2", "SMF-S2009-11.2"))
    assert last_charge(date(2009, 11, 1), *of_transition) == (6_200, ("SMF-16.2", "SMF-16.3"))
    assert last_charge(date(2009, 10, 31), *of_transition)[1] == ("SMF-16.2", "SMF-S2009-11.2")


@pytest.mark.rule("MPC-A2.1", "MPC-A2.2")
def test_the_sum_of_an_mpc_line_names_the_annex() -> None:
    line = BilledLine(contract("adapter", ended=date(2025, 11, 30)), "I", (Version(START, model="sa-w2"),))
    assert charges(line, PriceList(default_list()), Month(2025, 11))[-1].amount.rules == ("MPC-16.1", "MPC-A2.1")
    option = BilledLine(contract("ultra-send-back", ended=date(2025, 1, 20)), versions=(Version(START),))
    assert charges(option, PriceList(default_list()), Month(2025, 1))[-1].amount.rules == ("MPC-16.2", "MPC-A2.2")
