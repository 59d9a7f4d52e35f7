"""What a contractor owes for one month of service: its charges, the credits taken off, tax (service-terms §6).

Every line explains itself. Credits are taken off in the month in which they were granted and carried until used up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.amounts import Amount
from inventory.billing import Charge
from inventory.calendar import Month
from inventory.invoices import Total, invoice_total


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit that was granted; the invoice for `month` is the next one after the decision."""

    words: str
    month: Month
    amount: Amount


@dataclass(frozen=True, slots=True)
class Bill:
    """One month's sum with what it is made of."""

    month: Month
    charges: tuple[Charge, ...]
    credits: tuple[Credit, ...]
    carried_in_yen: int
    """What was left of earlier credits."""
    total: Total


def bill(month: Month, charges: Mapping[Month, Sequence[Charge]], credits: Sequence[Credit]) -> Bill:
    """The bill of a month. `charges` by month of service: of the month asked for, and of each one from the first
    credit on; a credit that a month cannot use up moves to the next (SMF-26.1, MPC-17)."""
    at = first_month(month, credits)
    carried = 0
    while True:
        own = tuple(one for one in credits if one.month == at)
        billed = tuple(charges.get(at, ()))
        total = invoice_total(
            at,
            [one.amount.yen for one in billed if one.taxable],
            [one.amount.yen for one in billed if not one.taxable],
            [*([carried] if carried else []), *(one.amount.yen for one in own)],
        )
        if at == month:
            return Bill(month, billed, own, carried, total)
        carried = total.carried_credit_yen
        at = at.plus(1)


def first_month(month: Month, credits: Sequence[Credit]) -> Month:
    """The first month of which charges are needed for the bill of `month`."""
    return min([month, *(one.month for one in credits if one.month <= month)])
