"""The life of an invoice: issued, paid, overdue, passed on, replaced (service-terms §8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from inventory.calendar import Month
from inventory.catalogue import Service
from inventory.errors import BadInput, Conflict, RuleViolation
from inventory.invoices import invoice_due, require_issue_day


class InvoiceState(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    OVERDUE = "overdue"
    PAID = "paid"
    PASSED_ON = "passed-on"
    REPLACED = "replaced"


FINAL: Final = frozenset({InvoiceState.PAID, InvoiceState.PASSED_ON, InvoiceState.REPLACED})
_OPEN: Final = frozenset({InvoiceState.ISSUED, InvoiceState.OVERDUE})


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice. Whole yen with tax; `open_yen` is what has not been paid of it."""

    service: Service
    service_month: Month
    total_yen: int
    open_yen: int
    to_adapter_user: bool = False
    """It goes to an adapter user instead of the management contractor (MPC-6.3, SMF-14.1)."""
    state: InvoiceState = InvoiceState.DRAFT
    issued: date | None = None
    due: date | None = None
    """The last day of the month of issue."""


@dataclass(frozen=True, slots=True)
class InvoiceStep:
    """What an event does to an invoice."""

    invoice: Invoice
    rule: str
    follower: Invoice | None = None
    """The draft that takes its place."""
    difference_yen: int = 0
    """A line of the next invoice: positive is owed, negative comes off."""
    towards_follower_yen: int = 0
    """What was paid on it after another took its place."""
    alert: str | None = None


def draft(service: Service, service_month: Month, total_yen: int, *, to_adapter_user: bool = False) -> Invoice:
    """The invoice of a month of service that is over. Raises BadInput for less than 0 yen."""
    if total_yen < 0:
        raise BadInput("an invoice never goes below 0 yen", field="total_yen", next_step="Carry the rest of a credit.")
    return Invoice(service, service_month, total_yen, total_yen, to_adapter_user)


def issue(invoice: Invoice, day: date) -> InvoiceStep:
    """Issued in the month after the month of service or later, due on the last day of that month; nothing to pay is
    paid at once. Raises Conflict unless it is a draft, RuleViolation before that month (SMF-15.1)."""
    _require(invoice, frozenset({InvoiceState.DRAFT}), "issue")
    require_issue_day(invoice.service_month, day)
    state = InvoiceState.ISSUED if invoice.open_yen else InvoiceState.PAID
    return InvoiceStep(replace(invoice, state=state, issued=day, due=invoice_due(day)), "SMF-15.1")


def paid(invoice: Invoice, yen: int) -> InvoiceStep:
    """A payment came. A fact: what does not fit is an alert; what is paid too much is told as a difference."""
    if invoice.state in {InvoiceState.PASSED_ON, InvoiceState.REPLACED}:
        return InvoiceStep(invoice, "SMF-15.1", towards_follower_yen=yen)
    if invoice.state not in _OPEN or yen < 1:
        return InvoiceStep(invoice, "SMF-15.1", alert=f"{yen} yen do not fit an invoice that is {invoice.state}")
    rest = invoice.open_yen - yen
    state = InvoiceState.PAID if rest <= 0 else invoice.state
    return InvoiceStep(replace(invoice, state=state, open_yen=max(0, rest)), "SMF-15.1", difference_yen=min(0, rest))


def day_over(invoice: Invoice, today: date) -> InvoiceStep:
    """The calendar: overdue from the day after its due date (SMF-21.1(1) is possible then)."""
    if invoice.state is InvoiceState.ISSUED and invoice.due is not None and today > invoice.due:
        return InvoiceStep(replace(invoice, state=InvoiceState.OVERDUE), "SMF-15.1")
    return InvoiceStep(invoice, "SMF-15.1")


def pass_on(invoice: Invoice) -> InvoiceStep:
    """What the adapter user has not paid is owed by the management contractor (MPC-6.4, SMF-14.2): a draft over the
    open amount. Raises Conflict unless it is overdue, RuleViolation when it went to that contractor already."""
    rule = "MPC-6.4" if invoice.service == "mpc" else "SMF-14.2"
    _require(invoice, frozenset({InvoiceState.OVERDUE}), "pass on")
    if not invoice.to_adapter_user:
        raise RuleViolation(
            "the management contractor owes it already",
            rule=rule,
            next_step="Remind the contractor, or suspend (SMF-21).",
        )
    follower = draft(invoice.service, invoice.service_month, invoice.open_yen)
    return InvoiceStep(replace(invoice, state=InvoiceState.PASSED_ON), rule, follower)


def correct(invoice: Invoice, total_yen: int, reason: str) -> InvoiceStep:
    """Computed anew: a draft changes, an issued one is replaced by a draft over what is still to be paid, the
    difference to a paid one is a line of the next. Raises BadInput without a reason, Conflict when it is closed."""
    if not reason.strip():
        raise BadInput("a correction has a reason", field="reason", next_step="Say why the amount changes.")
    rule = "SMF-15.1"
    fresh = draft(invoice.service, invoice.service_month, total_yen, to_adapter_user=invoice.to_adapter_user)
    if invoice.state is InvoiceState.DRAFT:
        return InvoiceStep(fresh, rule)
    if invoice.state is InvoiceState.PAID:
        return InvoiceStep(invoice, rule, difference_yen=total_yen - invoice.total_yen)
    _require(invoice, _OPEN, "correct")
    rest = total_yen - (invoice.total_yen - invoice.open_yen)
    follower = replace(fresh, open_yen=max(0, rest))
    return InvoiceStep(replace(invoice, state=InvoiceState.REPLACED), rule, follower, difference_yen=min(0, rest))


def _require(invoice: Invoice, states: frozenset[InvoiceState], event: str) -> None:
    if invoice.state not in states:
        raise Conflict(
            f"an invoice that is {invoice.state} does not allow to {event} it",
            rule="SMF-15.1",
            next_step=f"That is possible while it is {' or '.join(sorted(states))}.",
            facts={"state": str(invoice.state)},
        )
