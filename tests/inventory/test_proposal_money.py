"""What a switch of the model costs, and when it is cheap (metering §7.4, MPC-16, SMF-16)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.prices import Item, Price, PriceList, adapter_item, rental_item
from inventory.proposalmoney import Money, OldLine, money, money_facts

pytestmark = pytest.mark.fast

TODAY = date(2025, 7, 1)
SMALL, LARGE = adapter_item("I", "sa-w2"), adapter_item("I", "seil-x4")
LINE = OldLine("L-7", SMALL, SMALL, date(2025, 1, 1))


def listed(small: int = 3_100, large: int = 6_200, initial: int = 5_000, owner: int | None = None) -> list[Price]:
    since = date(2020, 1, 1)
    return [
        Price(SMALL, "monthly", small, since, owner),
        Price(LARGE, "monthly", large, since, owner),
        Price(LARGE, "initial", initial, since, owner),
    ]


def asked(prices: list[Price], *, saturation: date | None = None, early: date | None = None) -> Money | None:
    return money(LINE, LARGE, PriceList(prices), today=TODAY, saturation=saturation, early=early)


@pytest.mark.rule("MPC-16.1", "MPC-5")
def test_waiting_for_the_end_of_the_minimum_period_is_advised_when_the_line_fills_up_later() -> None:
    found = asked(listed(), saturation=date(2026, 4, 1), early=date(2026, 2, 1))
    assert found is not None
    assert [(one.name, one.day, one.rest.yen) for one in found.days] == [
        ("now", TODAY, 3_100 * 5 + 3_000),
        ("free", date(2025, 12, 31), 0),
        ("saturation", date(2026, 4, 1), 0),
    ]
    assert (found.recommended.name, found.recommended.once_yen, found.in_time) == ("free", 5_000, True)
    assert found.monthly_delta_yen == 3_100
    assert found.new_period_end == date(2026, 12, 30)


def test_a_line_that_fills_up_before_its_free_day_is_switched_now_with_its_charge() -> None:
    found = asked(listed(), saturation=date(2025, 10, 1), early=date(2025, 8, 1))
    assert found is not None
    assert (found.recommended.name, found.recommended.rest.yen) == ("now", 3_100 * 5 + 3_000)
    assert "31" in found.recommended.rest.arithmetic


def test_a_link_that_is_full_already_waits_for_nothing() -> None:
    found = asked(listed())
    assert found is not None
    assert (found.recommended.name, found.in_time) == ("now", False)


def test_the_contractors_own_price_goes_before_the_default_one() -> None:
    found = asked([*listed(), Price(LARGE, "monthly", 4_000, date(2025, 6, 1), 3)])
    assert found is not None
    assert found.monthly_delta_yen == 900


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_price_makes_the_whole_answer_silent(missing: int) -> None:
    prices = listed()
    del prices[missing]
    assert asked(prices) is None


@pytest.mark.rule("SMF-16.3")
def test_a_rentals_rest_is_charged_by_the_model_of_its_conclusion() -> None:
    before, now, wanted = rental_item("seil-x1"), rental_item("seil-x2"), rental_item("seil-bpv4")
    since = date(2020, 1, 1)
    prices = [
        Price(before, "monthly", 1_000, since),
        Price(now, "monthly", 9_000, since),
        Price(wanted, "monthly", 9_500, since),
        Price(wanted, "initial", 0, since),
    ]
    line = OldLine("L-8", now, before, date(2025, 2, 1))
    found = money(line, wanted, PriceList(prices), today=date(2025, 12, 31), saturation=None, early=None)
    assert found is not None
    assert found.monthly_delta_yen == 500
    assert found.days[0].rest.yen == 1_000
    assert "SMF-16.3" in found.days[0].rest.rules


@given(
    started=st.dates(date(2024, 1, 1), TODAY),
    saturation=st.none() | st.integers(1, 365),
    before=st.integers(0, 120),
    small=st.integers(0, 100_000),
    initial=st.integers(0, 100_000),
)
def test_no_day_in_time_is_cheaper_than_the_recommended_one(
    started: date, saturation: int | None, before: int, small: int, initial: int
) -> None:
    line = OldLine("L-7", SMALL, SMALL, started)
    full = None if saturation is None else TODAY + timedelta(days=saturation)
    early = None if full is None else max(TODAY, full - timedelta(days=before))
    found = money(line, LARGE, PriceList(listed(small, 6_200, initial)), today=TODAY, saturation=full, early=early)
    assert found is not None
    in_time = [one for one in found.days if early is not None and one.day < early]
    assert found.in_time == bool(in_time)
    assert all(found.recommended.once_yen <= one.once_yen for one in in_time)
    if not in_time:
        assert found.recommended.day == TODAY
    assert all(one.rest.yen == 0 for one in found.days if one.day >= line.free_from)


def test_the_evidence_shows_each_sum_with_its_arithmetic() -> None:
    found = asked(listed(), saturation=date(2026, 4, 1), early=date(2026, 2, 1))
    assert found is not None
    shown = money_facts(found)
    assert shown["monthly_yen"] == {"old": 3_100, "new": 6_200, "delta": 3_100}
    assert shown["recommended_day"] == "2025-12-31"
    assert isinstance(shown["items"], dict)
    assert shown["items"]["new"] == str(Item("mpc", "adapter:I:seil-x4"))
