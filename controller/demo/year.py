"""`kajitori demo --year`: twelve months of a synthetic contractor base, day by day, on the pure rules alone.

No daemon and no database: what is shown is that the rules of `inventory` carry a whole year. The same seed plays the
same year, to the yen.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import date
from typing import Final

from controller.demo.yearbase import build, price_list
from controller.demo.yearbill import MonthTotals
from controller.demo.yearbooks import ONE, Books
from controller.demo.yearchecks import broken
from controller.demo.yearhappens import evening, ordinary_day
from controller.demo.yearmoney import close
from controller.demo.yearstories import STORIES
from inventory.calendar import Month
from inventory.terms import RULES

CONTRACTORS: Final = 200
LINES: Final = 3_000


@dataclass(frozen=True, slots=True)
class YearResult:
    """What the year came to."""

    year: int
    seed: int
    contractors: int
    opening_lines: int
    lines: int
    """Ever accepted: those of the base and those of the year."""
    steps: int
    units: int
    alerts: int
    rules: tuple[tuple[str, int], ...]
    """How often each rule spoke, in the order of the terms."""
    refused: tuple[tuple[str, int], ...]
    months: tuple[MonthTotals, ...]
    outages: int
    carried_credit_yen: int
    digest: str
    """Of every charge and invoice: two runs of one seed have the same."""
    broken: tuple[str, ...]

    @property
    def total_yen(self) -> int:
        """All invoices of the year, with tax."""
        return sum(one.total_yen for one in self.months)


def play(year: int, seed: int, contractors: int = CONTRACTORS, lines: int = LINES) -> YearResult:
    """Play the year. The base has `lines` accepted lines on 1 January; `contractors` is at least 4."""
    rng = random.Random(seed)  # noqa: S311 – a story, not a secret
    opening = date(year, 1, 1)
    books = Books(price_list(rng, year), today=opening)
    build(books, rng, contractors, lines, opening)
    told = {date(year, month, day): story for month, day, story in STORIES}
    day = opening
    while day.year == year:
        _morning(books, day)
        if day.day == 1 and day != opening:
            close(books, rng, Month.of(day - ONE), day)
        if day in told:
            told[day](books, rng, day)
        ordinary_day(books, rng, day, lines / 1000)
        evening(books, rng, day)
        day += ONE
    _morning(books, day)
    close(books, rng, Month.of(day - ONE), day)
    return YearResult(
        year,
        seed,
        contractors,
        lines,
        sum(one.contract.concluded is not None for one in books.lines),
        books.steps,
        len(books.units),
        books.alerts,
        tuple((rule, books.rules[rule]) for rule in RULES),
        tuple(sorted(books.refused.items())),
        tuple(books.months),
        len(books.claims),
        sum(books.credits_yen.values()),
        _digest(books),
        tuple(broken(books)),
    )


def _morning(books: Books, day: date) -> None:
    """The calendar: everything that was due on this day."""
    books.today = day
    while day in books.agenda:
        for act in books.agenda.pop(day):
            act(day)


def _digest(books: Books) -> str:
    found = hashlib.sha256()
    for number, charge in books.charges:
        found.update(f"{number} {charge.what} {charge.month} {charge.amount.arithmetic}\n".encode())
    for bill in books.bills:
        found.update(f"{bill.owner} {bill.invoice}\n".encode())
    return found.hexdigest()[:16]
