"""Who gets the invoice for a management's fees, and who owes it if it is not paid (MPC-6.3, 6.4, SMF-14.1, 14.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from inventory.calendar import Month
from inventory.catalogue import Service
from inventory.errors import BadInput
from inventory.invoices import invoice_due


@dataclass(frozen=True, slots=True)
class InvoiceAddressee:
    """An adapter user who is to get the invoices for a management's fees, with all that must be recorded."""

    name: str
    consented: bool
    approved: bool
    first_day: date


@dataclass(frozen=True, slots=True)
class Owed:
    """What is open of an invoice, and who owes it."""

    debtor: str
    yen: int
    rule: str


def addressee(contractor: str, named: InvoiceAddressee | None, issued: date) -> str:
    """Who gets an invoice for a management's fees that is issued on a day: the adapter user once it is named, consents
    and the provider approved (MPC-6.3, SMF-14.1); else the management's contractor."""
    if named is None or not named.name or not named.consented or not named.approved or issued < named.first_day:
        return contractor
    return named.name


def owed(
    service: Service, contractor: str, billed_to: str, *, total_yen: int, paid_yen: int, issued: date, on: date
) -> Owed:
    """Who owes the rest of an invoice on a day. Until the last day of its month of issue its addressee does (SMF-15.1);
    what an adapter user has not paid by then, the management's contractor owes (MPC-6.4, SMF-14.2).

    Raises BadInput for amounts below 0, or a day before the issue.
    """
    if min(total_yen, paid_yen) < 0 or on < issued:
        raise BadInput("amounts are positive, and nothing is owed before the issue", field="total_yen")
    rest = max(0, total_yen - paid_yen)
    if rest and billed_to != contractor and on > invoice_due(issued):
        return Owed(contractor, rest, "MPC-6.4" if service == "mpc" else "SMF-14.2")
    return Owed(billed_to, rest, "SMF-15.1")


def overdue_from(issued: date) -> date:
    """The first day on which an unpaid invoice is overdue."""
    return Month.of(issued).plus(1).first
