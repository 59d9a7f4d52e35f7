"""Invoices of the year and what a month came to. Whole yen."""

from __future__ import annotations

from dataclasses import dataclass

from inventory.calendar import Month
from inventory.invoicelife import Invoice


@dataclass(slots=True)
class Bill:
    """An invoice of one contractor, and what went into it."""

    owner: int
    invoice: Invoice
    taxable_yen: int
    untaxed_yen: int
    credit_yen: int
    """What was taken off."""
    tax_yen: int
    of_line: int | None = None
    """The management whose fees go to an adapter user."""


@dataclass(frozen=True, slots=True)
class MonthTotals:
    """What a month of service came to, over all contractors."""

    month: Month
    lines: int
    """Lines that were charged."""
    charges: int
    invoices: int
    taxable_yen: int
    untaxed_yen: int
    credit_yen: int
    tax_yen: int
    total_yen: int
