"""What each kind of line is charged: which row of the list, of which day, by which rules, taxed or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from inventory.amounts import Amount
from inventory.billing import BilledLine, Charge, Version, What, charges, item_of
from inventory.calendar import Month
from inventory.contracts import Cause, Contract, State
from inventory.errors import BadInput
from inventory.fees import Kind
from inventory.prices import (
    PACKS,
    SEND_BACK,
    Fee,
    Item,
    Price,
    PriceList,
    adapter_item,
    entry_item,
    firewall_item,
    mobile_item,
    rental_item,
    standby_item,
)

pytestmark = pytest.mark.fast

START = date(2025, 6, 11)
JUNE, JULY = Month(2025, 6), Month(2025, 7)


def contract(kind: Kind, start: date = START, ended: date | None = None) -> Contract:
    smfsx = kind in {"adapter-rental", "ultra-firewall"}
    found = Contract("smfsx" if smfsx else "mpc", kind, State.ACTIVE, start, start, start, started=True)
    return found if ended is None else replace(found, state=State.ENDED, effective=ended, cause=Cause.NOTICE)


def priced(*rows: tuple[Item, Fee, int, date]) -> PriceList:
    return PriceList([Price(item, fee, yen, day) for item, fee, yen, day in rows])


def always(item: Item, yen: int) -> PriceList:
    since = date(2020, 1, 1)
    return priced((item, "initial", yen, since), (item, "monthly", yen, since), (item, "monthly-per-gb", yen, since))


def said(found: Sequence[Charge]) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(one.what, one.amount.yen, one.amount.rules) for one in found]


@pytest.mark.parametrize(
    ("kind", "version", "item"),
    [
        ("adapter", Version(START, model="sa-w2"), adapter_item("I", "sa-w2")),
        ("adapter-rental", Version(START, model="seil-x1"), rental_item("seil-x1")),
        ("ultra-firewall", Version(START, model="seil-x2"), firewall_item("seil-x2")),
        ("mobile-access", Version(START, plan="10GB", network_type="dynamic-ip"), mobile_item("10GB", "dynamic-ip")),
        ("mobile-access", Version(START, plan="10GB", network_type="fixed-ip"), mobile_item("", "fixed-ip")),
        ("packet-share-group", Version(START, packs_gb=50), PACKS),
        ("ultra-send-back", Version(START), SEND_BACK),
    ],
)
def test_each_kind_has_a_row_of_the_list(kind: Kind, version: Version, item: Item) -> None:
    assert item_of(BilledLine(contract(kind), "I", (version,)), version) == item


def test_a_management_has_rows_for_its_slots_only() -> None:
    with pytest.raises(BadInput):
        item_of(BilledLine(contract("management")), Version(START))
    assert Version(START).packs_gb == 0


@pytest.mark.parametrize(
    ("what", "taxed"),
    [
        ("initial", True),
        ("monthly", True),
        ("one-time", True),
        ("minimum-period-sum", False),
        ("loss", False),
        ("failure", False),
        ("damage", False),
    ],
)
def test_fees_are_taxed_and_sums_and_charges_for_units_are_not(what: What, taxed: bool) -> None:
    assert Charge(what, "", JUNE, Amount((), ())).taxable is taxed


@pytest.mark.rule("MPC-15", "SMF-15.2")
def test_an_initial_fee_is_that_of_the_day_of_conclusion_and_goes_with_the_month_of_the_billing_start() -> None:
    for kind, item, rule in (
        ("adapter", adapter_item("I", "sa-w2"), "MPC-15"),
        ("adapter-rental", rental_item("sa-w2"), "SMF-15.2"),
    ):
        of = contract("adapter" if kind == "adapter" else "adapter-rental", date(2025, 7, 1))
        line = BilledLine(replace(of, concluded=START), "I", (Version(START, model="sa-w2"),))
        rows = priced(
            (item, "initial", 5_000, START),
            (item, "initial", 7_000, date(2025, 6, 20)),
            (item, "monthly", 100, START),
        )
        assert charges(line, rows, JUNE) == ()
        assert said(charges(line, rows, JULY)) == [("initial", 5_000, (rule,)), ("monthly", 100, ("SMF-15.3",))]
        unknown = replace(line, contract=replace(line.contract, concluded=None))
        assert said(charges(unknown, rows, JULY))[0] == ("initial", 7_000, (rule,))


@pytest.mark.rule("MPC-15", "SMF-15.5")
def test_a_management_pays_its_initial_fee_for_each_slot_and_its_monthly_fee_by_the_slot_rule() -> None:
    line = BilledLine(contract("management", date(2025, 6, 1)), entries=((date(2025, 6, 1), 3),), standbys=())
    found = charges(line, always(entry_item("mpc"), 1_000), JUNE)
    assert said(found) == [("initial", 3_000, ("MPC-15",)), ("monthly", 3_000, ("SMF-15.3", "SMF-15.5"))]
    assert [one.words for one in found] == ["initial fee mpc entry", "monthly fee mpc entry"]


@pytest.mark.rule("MPC-A1.3")
def test_a_change_of_the_plan_alone_has_no_one_time_fee() -> None:
    versions = (
        Version(START, plan="normal", network_type="dynamic-ip"),
        Version(date(2025, 7, 5), plan="backup", network_type="dynamic-ip"),
        Version(date(2025, 7, 9), plan="backup", network_type="fixed-ip"),
        Version(date(2025, 8, 9), plan="backup", network_type="dynamic-ip"),
    )
    line = BilledLine(contract("mobile-access"), versions=versions)
    to_fixed = Item("mpc", "network-type:dynamic-ip:fixed-ip")
    since = date(2020, 1, 1)
    items = (mobile_item("normal", "dynamic-ip"), mobile_item("backup", "dynamic-ip"), mobile_item("", "fixed-ip"))
    rows = priced(
        (to_fixed, "one-time", 900, since),
        *[(item, "monthly", 310, since) for item in items],
        *[(item, "initial", 1, since) for item in items],
    )
    found = [one for one in charges(line, rows, JULY) if one.what == "one-time"]
    assert [(one.words, one.amount.yen, one.amount.rules) for one in found] == [
        ("mpc network-type:dynamic-ip:fixed-ip", 900, ("MPC-A1.3(1)",))
    ]
    assert [one.amount.yen for one in charges(line, rows, Month(2025, 8)) if one.what == "one-time"] == [0]
    assert [one for one in charges(line, rows, JUNE) if one.what == "one-time"] == []


@pytest.mark.rule("SMF-15.3", "SMF-15.4")
def test_a_line_that_starts_on_the_last_day_of_a_month_pays_for_that_day() -> None:
    line = BilledLine(contract("ultra-send-back", date(2025, 6, 30)), versions=(Version(START),))
    found = charges(line, always(SEND_BACK, 3_000), JUNE)
    assert said(found)[1] == ("monthly", 100, ("SMF-15.3", "SMF-15.4"))
    assert said(charges(line, always(SEND_BACK, 3_000), JULY)) == [("monthly", 3_000, ("SMF-15.3",))]


@pytest.mark.rule("SMF-15.4")
def test_a_month_that_lacks_one_day_is_cut_short_and_a_whole_one_is_not() -> None:
    line = BilledLine(contract("ultra-send-back", date(2025, 6, 2)), versions=(Version(START),))
    assert said(charges(line, always(SEND_BACK, 3_000), JUNE))[1] == ("monthly", 2_900, ("SMF-15.3", "SMF-15.4"))


@pytest.mark.rule("MPC-9.6")
def test_a_plan_by_the_gigabyte_that_stops_on_the_last_day_of_its_first_month_is_prorated() -> None:
    item = mobile_item("10GB", "dynamic-ip")
    version = Version(START, plan="10GB", network_type="dynamic-ip")

    def monthly(ended: date) -> tuple[str, int, tuple[str, ...]]:
        line = BilledLine(contract("mobile-access", START, ended), versions=(version,))
        return said(charges(line, always(item, 3_000), JUNE))[1]

    assert monthly(date(2025, 6, 30)) == ("monthly", 2_000, ("SMF-15.3", "SMF-15.4"))
    assert monthly(date(2025, 6, 29)) == ("monthly", 3_000, ("SMF-15.3", "MPC-9.6"))


def test_a_change_counts_from_its_day_be_it_the_first_or_the_last_of_the_month() -> None:
    plain, fixed = mobile_item("normal", "dynamic-ip"), mobile_item("", "fixed-ip")
    since = date(2020, 1, 1)
    rows = priced(
        (plain, "monthly", 3_000, since),
        (fixed, "monthly", 6_000, since),
        (plain, "initial", 1, since),
        (Item("mpc", "network-type:dynamic-ip:fixed-ip"), "one-time", 1, since),
    )

    def arithmetic(changed: date) -> list[str]:
        versions = (
            Version(START, plan="normal", network_type="dynamic-ip"),
            Version(changed, plan="normal", network_type="fixed-ip"),
        )
        line = BilledLine(contract("mobile-access", date(2025, 5, 1)), versions=versions)
        return [one.amount.arithmetic for one in charges(line, rows, JUNE) if one.what == "monthly"]

    assert arithmetic(date(2025, 6, 1)) == ["2025-06: 6,000 × 30/30 = 6,000 yen"]
    assert arithmetic(date(2025, 6, 30)) == ["2025-06: 3,000 × 29/30 + 2025-06: 6,000 × 1/30 = 3,100 yen"]


@pytest.mark.rule("MPC-16.1")
def test_the_sum_of_a_management_is_of_the_counts_of_its_effective_day() -> None:
    """Three entries become two on the last day of service; the standbys were given up before."""
    ended = date(2025, 6, 20)
    counts = ((START, 3), (ended, 2), (date(2025, 6, 25), 9))
    line = BilledLine(contract("management", START, ended), entries=counts, standbys=((START, 4), (ended, 0)))
    since = date(2020, 1, 1)
    fees: tuple[Fee, ...] = ("initial", "monthly")
    rows = priced(*[(item, fee, 3_000, since) for item in (entry_item("mpc"), standby_item("mpc")) for fee in fees])
    (sum_,) = [one for one in charges(line, rows, JUNE) if one.what == "minimum-period-sum"]
    assert sum_.amount.arithmetic == "2025-06: 6,000 × 10/30 + 2025-07: 6,000 × 10/31 = 3,935 yen"
    assert sum_.words == "minimum period after 2025-06-20"


@pytest.mark.rule("MPC-16.2")
def test_the_sum_of_an_option_is_of_what_it_is_on_its_effective_day() -> None:
    versions = (
        Version(START, plan="normal", network_type="dynamic-ip"),
        Version(date(2025, 6, 13), plan="backup", network_type="dynamic-ip"),
    )
    since = date(2020, 1, 1)
    rows = priced(
        (mobile_item("normal", "dynamic-ip"), "initial", 1, since),
        (mobile_item("normal", "dynamic-ip"), "monthly", 9_000, since),
        (mobile_item("backup", "dynamic-ip"), "monthly", 3_000, since),
    )
    line = BilledLine(contract("mobile-access", START, date(2025, 6, 30)), versions=versions)
    (sum_,) = [one for one in charges(line, rows, JUNE) if one.what == "minimum-period-sum"]
    assert sum_.amount.arithmetic == "2025-07: 3,000 × 10/31 = 967 yen"
