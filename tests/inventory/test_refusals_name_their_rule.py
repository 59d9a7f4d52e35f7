"""Refusals and amounts say which rule speaks: an operator reads it, and the record keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest

from inventory.amounts import Amount, Part
from inventory.calendar import TOKYO, Month
from inventory.catalogue import Service
from inventory.contracts import Follows
from inventory.deadlines import require_notice
from inventory.eligibility import AdapterLine, ManagementLine, MobileAccess, PacketGroup, UltraFirewall, obstacles
from inventory.errors import BadInput, FleetError, NotFound, RuleViolation
from inventory.fees import Life, early_termination, line_fee, rental_early_termination, slot_fee
from inventory.invoices import invoice_total
from inventory.optionrules import network_type_change, packs_change, plan_change, transitional
from inventory.outages import Outage, credit
from inventory.prices import PriceList, entry_item, parse_price
from inventory.slots import Contractor, Entry, Management, Placement, Standby, require_day, require_occupancy, show_key

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 10)
JUNE = Month(2025, 6)


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (lambda: plan_change("normal", "normal", DAY), "MPC-9.2(2)(i)"),
        (lambda: plan_change("normal", "backup", JUNE.last), "MPC-9.2(2)(i)"),
        (lambda: network_type_change("fixed-ip", "fixed-ip", DAY), "MPC-9.2(2)(ii)"),
        (lambda: packs_change(60, 60, DAY), "MPC-9.2(3)"),
        (lambda: packs_change(60, 49, DAY), "MPC-9.2(3)"),
        (lambda: require_notice("abolition", DAY, DAY), "SMF-22"),
        (lambda: require_notice("planned-interruption", DAY, DAY), "SMF-20"),
        (lambda: require_day("mpc", DAY, date(2025, 6, 9), ()), "MPC-8"),
        (lambda: require_day("smfsx", DAY, DAY, (DAY,)), "SMF-5.1"),
        (lambda: PriceList([]).yen(entry_item("mpc"), "monthly", DAY), "MPC-A1"),
        (lambda: PriceList([]).yen(entry_item("smfsx"), "monthly", DAY), "SMF-A1"),
        (lambda: parse_price("mpc", "lobby", "monthly", 1, DAY, None), "MPC-A1"),
        (lambda: parse_price("smfsx", "lobby", "monthly", 1, DAY, None), "SMF-A1"),
        (lambda: rental_early_termination(Life(DAY, DAY), DAY, [(date(2025, 6, 11), "x")], {"x": 1}), "SMF-16.3"),
        (lambda: rental_early_termination(Life(DAY, DAY), DAY, [(DAY, "x")], {"y": 1}), "SMF-16.3"),
    ],
)
def test_a_refusal_names_its_rule(request_: Callable[[], object], rule: str) -> None:
    with pytest.raises(FleetError) as refused:
        request_()
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    "request_",
    [
        lambda: plan_change("normal", "gold", DAY),
        lambda: plan_change("gold", "normal", DAY),
        lambda: network_type_change("fixed-ip", "v6", DAY),
        lambda: network_type_change("v6", "fixed-ip", DAY),
        lambda: transitional("lobby", DAY, DAY),
        lambda: early_termination(Life(DAY), 12, 1),
        lambda: invoice_total(JUNE, [-1], [], []),
        lambda: invoice_total(JUNE, [], [-1], []),
        lambda: invoice_total(JUNE, [], [], [-1]),
    ],
)
def test_what_makes_no_sense_is_refused(request_: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        request_()


def test_a_change_on_its_first_possible_day_and_an_amount_of_nothing_are_allowed() -> None:
    require_day("mpc", DAY, DAY, (date(2025, 6, 9),))
    require_occupancy("mpc", "entry", 0, ())
    assert invoice_total(JUNE, [0], [0], [0]).total_yen == 0
    assert parse_price("mpc", "entry", "monthly", 0, DAY, None).yen == 0


def rules_of(amount: Amount) -> tuple[tuple[str, ...], int]:
    """Rules and yen."""
    return amount.rules, amount.yen


@pytest.mark.rule("MPC-9.6", "SMF-15.3", "SMF-15.4", "SMF-15.5", "MPC-16.1", "MPC-16.2", "SMF-16.2")
def test_an_amount_names_its_rules() -> None:
    whole, cut = Life(date(2025, 5, 1)), Life(DAY)
    assert rules_of(line_fee("adapter", whole, 3_000, JUNE)) == (("SMF-15.3",), 3_000)
    assert rules_of(line_fee("adapter", cut, 3_000, JUNE)) == (("SMF-15.3", "SMF-15.4"), 2_100)
    assert rules_of(line_fee("adapter", Life(date(2025, 7, 1)), 3_000, JUNE)) == (("SMF-15.3",), 0)
    stopped = Life(DAY, date(2025, 6, 29))
    assert rules_of(line_fee("mobile-access", stopped, 3_000, JUNE, plan="10GB")) == (("MPC-9.6",), 3_000)
    assert rules_of(line_fee("mobile-access", stopped, 3_000, JUNE, plan="backup"))[1] == 2_000
    assert rules_of(slot_fee(3_000, [(DAY, 1)], JUNE)) == (("SMF-15.3", "SMF-15.5"), 2_100)
    assert rules_of(slot_fee(3_000, [(DAY, 0)], JUNE)) == (("SMF-15.5",), 0)
    ended = Life(date(2025, 6, 1), DAY)
    assert rules_of(early_termination(ended, 1, 3_000)) == (("SMF-16.2",), 2_000)
    assert rules_of(early_termination(ended, 1, 3_000, service="mpc")) == (("MPC-16.1", "MPC-A2.1"), 2_000)
    option = early_termination(ended, 1, 3_000, service="mpc", kind="ultra-send-back", exempt=True)
    assert rules_of(option) == (("MPC-16.2", "MPC-A2.2"), 2_000)
    for kind in ("management", "adapter"):
        exempt = early_termination(ended, 1, 3_000, service="mpc", kind=kind, exempt=True)
        assert rules_of(exempt) == (("MPC-16.1",), 0)
    assert rules_of(early_termination(ended, 1, 3_000, exempt=True)) == (("SMF-16.2",), 2_000)
    assert rules_of(early_termination(Life(DAY, date(2025, 6, 9)), 1, 3_000)) == (("SMF-16.2",), 0)
    assert rules_of(early_termination(Life(DAY, date(2025, 7, 9)), 1, 3_000)) == (("SMF-16.2",), 0)


@pytest.mark.rule("MPC-17", "MPC-A3", "SMF-26.1", "SMF-26.2")
def test_a_credit_names_its_rules() -> None:

    began = datetime(2025, 5, 1, tzinfo=TOKYO)
    outage = Outage(began, began + timedelta(hours=13), began + timedelta(hours=60))
    assert rules_of(credit("mpc", 60_000, outage)) == (("MPC-17", "MPC-A3"), 2_000)
    assert rules_of(credit("smfsx", 60_000, outage)) == (("SMF-26.1",), 4_000)
    short = Outage(began, began + timedelta(hours=37), began + timedelta(hours=60))
    assert rules_of(credit("mpc", 60_000, short)) == (("MPC-17",), 0)
    theirs = Outage(began, began, began + timedelta(hours=60), attributable=False)
    assert rules_of(credit("smfsx", 60_000, theirs)) == (("SMF-26.1", "SMF-26.2"), 0)


@pytest.mark.parametrize(
    ("service", "wanted", "rule"),
    [
        ("mpc", ManagementLine(-1, 0, ("I",)), "MPC-3.1"),
        ("mpc", ManagementLine(1, -1, ("I",)), "MPC-3.1"),
        ("smfsx", ManagementLine(0, -1), "SMF-4.1"),
        ("mpc", ManagementLine(1, 0), "MPC-2"),
        ("mpc", ManagementLine(1, 0, ("I", "IV")), "MPC-2"),  # type: ignore[arg-type]
        ("mpc", ManagementLine(0, 0, ("I",)), "MPC-8"),
        ("smfsx", MobileAccess("a1", "normal"), "SMF-4.2"),
        ("mpc", UltraFirewall("a1"), "MPC-9.2"),
        ("mpc", PacketGroup("g1", 49), "MPC-9.2(3)"),
        ("mpc", MobileAccess("a1", "gold"), "MPC-9.2(2)(i)"),
        ("mpc", MobileAccess("a1", "normal", "g1"), "MPC-6.7"),
        ("mpc", AdapterLine("a1", "SA-W2", "I", rental=True), "MPC-4"),
    ],
)
def test_an_obstacle_names_its_rule(service: Service, wanted: object, rule: str) -> None:
    found = obstacles(service, (), (wanted,))  # type: ignore[arg-type]
    assert rule in {one.rule for one in found}


def test_counts_from_nothing_are_no_obstacle() -> None:
    assert obstacles("smfsx", (), (ManagementLine(0, 0),)) == ()


def test_keys_as_they_are_shown() -> None:
    assert Contractor(3, "", 0, 1).key == "K-3"
    assert Management(3, 1, "mpc", ("I",), "", 1, 0, None, 0, 1).key == "M-3"
    assert Entry(3, 1, "", "", 1, 1, 0).key == "E-3"
    assert Standby(3, 1, 0).key == "S-3"
    assert Placement(1, 1, "entry", 3, 0, None, "assign").slot_key == "E-3"
    assert Placement(1, 1, "standby", 3, 0, None, "assign").slot_key == "S-3"
    assert show_key("L", 3) == "L-3"


def test_what_follows_has_names_that_are_stored() -> None:
    assert " ".join(Follows) == (
        "initial-fee one-time-fee minimum-period minimum-period-sum slots-freed return-due options-end together-ends "
        "notify"
    )


def test_an_amount_is_floored_once() -> None:
    amount = Amount((Part("1/2", Fraction(1, 2)), Part("2/3", Fraction(2, 3))), ("SMF-15.5",))
    assert (amount.yen, amount.arithmetic) == (1, "1/2 + 2/3 = 1 yen")
    assert Amount((), ("SMF-15.5",)).arithmetic == "0 yen"
    with pytest.raises(NotFound):
        PriceList([]).yen(entry_item("mpc"), "initial", DAY)
    with pytest.raises(RuleViolation):
        packs_change(50, 50, DAY)
