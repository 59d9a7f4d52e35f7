"""What an invoice comes to, and when it is due (SMF-15.1, service-terms §6). Whole yen; lines are floored already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import floor
from typing import Final

from inventory.calendar import Month
from inventory.errors import BadInput, RuleViolation

TAX_RATES: Final[tuple[tuple[date, Fraction], ...]] = (
    (date(1989, 4, 1), Fraction(3, 100)),
    (date(1997, 4, 1), Fraction(5, 100)),
    (date(2014, 4, 1), Fraction(8, 100)),
    (date(2019, 10, 1), Fraction(10, 100)),
)
"""Consumption tax: the first day of each rate."""


@dataclass(frozen=True, slots=True)
class Total:
    """The end of an invoice."""

    tax_yen: int
    total_yen: int
    """With tax; never below 0."""
    carried_credit_yen: int
    """The rest of the credits, for the next invoice."""
    rate: Fraction


def tax_rate(service_month: Month) -> Fraction:
    """The consumption tax of a month of service: the rate in force on its last day."""
    rates = [rate for day, rate in TAX_RATES if day <= service_month.last]
    return rates[-1] if rates else Fraction(0)


def invoice_due(issued: date) -> date:
    """Payable by the last day of the month of issue (SMF-15.1)."""
    return Month.of(issued).last


def require_issue_day(service_month: Month, issued: date) -> None:
    """Raises RuleViolation for an invoice issued before the month after the month of service (SMF-15.1)."""
    earliest = service_month.plus(1).first
    if issued < earliest:
        raise RuleViolation(
            f"the invoice for {service_month} cannot be issued on {issued}",
            rule="SMF-15.1",
            field="issued",
            next_step=f"Issue it from {earliest} on.",
        )


def invoice_total(
    service_month: Month, taxable: Sequence[int], untaxed: Sequence[int], credits_yen: Sequence[int]
) -> Total:
    """Tax and total of the lines. Credits are positive: they come off the taxable lines first, then off the others,
    not off the tax; what is left is carried. The tax is floored once. Raises BadInput for a negative number."""
    for name, yen in (("taxable", taxable), ("untaxed", untaxed), ("credits", credits_yen)):
        if any(one < 0 for one in yen):
            raise BadInput(f"{name} holds a negative amount", field=name, next_step="Amounts and credits are positive.")
    credit_yen = sum(credits_yen)
    off_taxable = min(credit_yen, sum(taxable))
    off_untaxed = min(credit_yen - off_taxable, sum(untaxed))
    base = sum(taxable) - off_taxable
    rate = tax_rate(service_month)
    tax = floor(base * rate)
    return Total(tax, base + tax + sum(untaxed) - off_untaxed, credit_yen - off_taxable - off_untaxed, rate)
