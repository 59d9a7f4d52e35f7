"""What must hold at the end of the year, checked from what was written down, not from how it was computed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from controller.demo.yearbooks import Books
from inventory.billing import Charge
from inventory.calendar import Month
from inventory.contracts import FINAL
from inventory.terms import RULES

_TERM: Final = re.compile(
    r"(?:(?P<month>\d{4}-\d\d): )?(?:(?P<count>\d+) × )?(?P<yen>[\d,]+)(?: × (?P<days>\d+)/(?P<of>\d+))?"
)


def silent(books: Books) -> tuple[str, ...]:
    """Rules that never spoke."""
    return tuple(rule for rule in RULES if not books.rules[rule])


def broken(books: Books) -> Iterator[str]:
    """Everything that does not hold; nothing if all is well."""
    for number, charge in books.charges:
        yield from _explains_itself(number, charge)
    yield from _days(books)
    yield from _sums(books)
    yield from _lines(books)
    for rule in silent(books):
        yield f"{rule} was never touched"
    for rule in sorted(set(books.rules) - set(RULES) - {"MPC-9.2"}):
        yield f"{rule} is no rule of the terms"
    yield from (f"{text!r} promises what the terms do not warrant" for text in books.promises)
    yield from (f"{what} has no approver" for what, approvers in books.configured if not approvers)


def _explains_itself(number: int, charge: Charge) -> Iterator[str]:
    """The written arithmetic, calculated again, gives the yen; and some rule speaks."""
    left, _, right = charge.amount.arithmetic.rpartition(" = ")
    total = Fraction(0)
    for term in left.split(" + "):
        found = _TERM.fullmatch(term)
        if found is None:
            yield f"L-{number} {charge.words}: {term!r} is no arithmetic"
            return
        total += Fraction(
            int(found["count"] or 1) * int(found["yen"].replace(",", "")) * int(found["days"] or 1),
            int(found["of"] or 1),
        )
    if right != f"{total.__floor__():,} yen" or total.__floor__() != charge.amount.yen or not charge.amount.rules:
        yield f"L-{number} {charge.words}: {charge.amount.arithmetic} is not {total.__floor__()} yen"


def _days(books: Books) -> Iterator[str]:
    """No day of a line is charged twice: monthly fees and the minimum-period sum together fill a month at most."""
    charged: dict[tuple[int, str, Month], int] = defaultdict(int)
    slots: dict[tuple[int, Month], int] = defaultdict(int)
    for number, charge in books.charges:
        if charge.what not in {"monthly", "minimum-period-sum"}:
            continue
        for part in charge.amount.parts:
            found = _TERM.fullmatch(part.words)
            assert found is not None
            month, days = Month.parse(found["month"]), int(found["days"])
            if books.line(number).kind != "management" or charge.what == "minimum-period-sum":
                charged[number, "line", month] += days
            else:
                slots[number, month] = max(slots[number, month], days)
    for (number, month), days in slots.items():
        charged[number, "line", month] += days
    for (number, _, month), days in charged.items():
        if days > month.days:
            yield f"L-{number}: {days} days are charged in {month}"


def _sums(books: Books) -> Iterator[str]:
    """Charges, invoices, months and credits agree."""
    by_month: Counter[tuple[Month, bool]] = Counter()
    for _, charge in books.charges:
        by_month[charge.month, charge.taxable] += charge.amount.yen
    for month in books.months:
        if by_month[month.month, True] != month.taxable_yen:
            yield f"{month.month}: charges come to {by_month[month.month, True]}, invoices to {month.taxable_yen} yen"
        if by_month[month.month, False] > month.untaxed_yen:
            yield f"{month.month}: untaxed charges are missing on the invoices"
        if month.total_yen != month.taxable_yen + month.untaxed_yen - month.credit_yen + month.tax_yen:
            yield f"{month.month}: the invoices do not add up"
    used, carried = sum(one.credit_yen for one in books.months), sum(books.credits_yen.values())
    if books.granted_yen != used + carried:
        yield f"credits of {books.granted_yen} yen were granted, {used} taken off and {carried} carried"
    for bill in books.bills:
        if not 0 <= bill.invoice.open_yen <= bill.invoice.total_yen:
            yield f"an invoice of K-{bill.owner} has {bill.invoice.open_yen} of {bill.invoice.total_yen} yen open"


def _lines(books: Books) -> Iterator[str]:
    """Nothing is charged after its end, nothing in force hangs on what has ended."""
    for number, charge in books.charges:
        effective = books.line(number).contract.effective
        if effective is not None and charge.month > Month.of(effective):
            yield f"L-{number} ended on {effective} and is charged in {charge.month}"
    for line in books.lines:
        if line.on is not None and line.live and books.line(line.on).contract.state in FINAL:
            yield f"L-{line.number} goes on without L-{line.on}"
    if len({unit.serial for unit in books.units}) != len(books.units):
        yield "a serial number was given twice"
