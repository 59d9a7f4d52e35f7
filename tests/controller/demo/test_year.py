"""`kajitori demo --year`: the same seed is the same year, and everything holds at its end."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import date
from functools import cache

import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from controller.demo.year import YearResult, play
from controller.demo.yearbooks import Books
from controller.demo.yearchecks import broken
from inventory.amounts import Amount, prorated
from inventory.billing import Charge
from inventory.calendar import Month
from inventory.terms import RULES


@cache
def small(seed: int = 1, year: int = 2025) -> YearResult:
    """A year of 10 contractors with 120 lines."""
    return play(year, seed, contractors=10, lines=120)


@pytest.mark.fast
def test_the_same_seed_gives_the_same_yen() -> None:
    again = play(2025, 1, contractors=10, lines=120)
    assert again == small()
    assert again.total_yen > 0


@pytest.mark.fast
def test_another_seed_gives_another_year() -> None:
    assert small(2).digest != small().digest
    assert small(2).total_yen != small().total_yen


@pytest.mark.fast
@pytest.mark.parametrize("seed", range(1, 7))
def test_even_a_small_base_touches_every_rule(seed: int) -> None:
    found = small(seed)
    assert found.broken == ()
    assert [rule for rule, count in found.rules if not count] == []
    assert [one.month.month for one in found.months] == list(range(1, 13))


@pytest.mark.fast
def test_a_leap_year_is_played_like_any_other() -> None:
    assert small(1, 2028).broken == ()


@pytest.mark.fast
def test_what_nobody_approved_and_what_promises_too_much_is_found() -> None:
    books = Books([])
    books.read("mpc", "monthly fee")
    assert not [one for one in broken(books) if "promises" in one]
    books.read("smfsx", "monthly fee of a line with an uptime of a year")
    books.configured.append(("configuration by K-1", ()))
    found = list(broken(books))
    assert "configuration by K-1 has no approver" in found
    assert any("promises what the terms do not warrant" in one for one in found)


def _month(days: int, *, what: str = "30/30") -> Charge:
    june = Month(2025, 6)
    part = prorated(june, days, 3_000)
    words = part.words if what == "30/30" else what
    return Charge("monthly", "monthly fee", june, Amount((replace(part, words=words),), ("SMF-15.3",)))


@pytest.mark.fast
def test_a_day_that_is_charged_twice_is_found() -> None:
    books = Books([])
    line = books.new_line(1, "mpc", "ultra-send-back", date(2025, 6, 1))
    books.charges = [(line.number, _month(20)), (line.number, _month(10))]
    assert not [one for one in broken(books) if "days are charged" in one]
    books.charges = [(line.number, _month(20)), (line.number, _month(11))]
    assert "L-1: 31 days are charged in 2025-06" in list(broken(books))


@pytest.mark.fast
def test_an_amount_that_does_not_follow_from_its_words_is_found() -> None:
    books = Books([])
    line = books.new_line(1, "mpc", "ultra-send-back", date(2025, 6, 1))
    books.charges = [(line.number, _month(30, what="2025-06: 3,000 × 29/30"))]
    assert any("is not 2900 yen" in one for one in broken(books))


@pytest.mark.fast
def test_charges_that_are_on_no_invoice_are_found() -> None:
    books = Books([])
    books.today = date(2025, 7, 1)
    result = small()
    books.months = [result.months[0]]
    assert any("charges come to 0" in one for one in broken(books))


@pytest.mark.slow
def test_the_whole_year_is_played_in_under_a_minute_and_everything_holds() -> None:
    started = time.monotonic()
    done = CliRunner().invoke(app, ["demo", "--year", "2025", "--json"])
    assert time.monotonic() - started < 60
    assert done.exit_code == 0, done.output[-2000:]
    said = json.loads(done.stdout)
    assert said["true"]
    assert (said["contractors"], said["opening_lines"]) == (200, 3_000)
    assert said["broken"] == []
    assert set(said["rules"]) == set(RULES)
    assert min(said["rules"].values()) > 0
    assert said["total_yen"] == sum(month["total_yen"] for month in said["months"])
