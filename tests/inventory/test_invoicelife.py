"""The life of an invoice: due dates, payments, fall-back liability, corrections."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import Month
from inventory.catalogue import Service
from inventory.errors import BadInput, Conflict, RuleViolation
from inventory.invoicelife import FINAL, Invoice, InvoiceState, correct, day_over, draft, issue, paid, pass_on

pytestmark = pytest.mark.fast

JUNE = Month(2025, 6)
JULY_5 = date(2025, 7, 5)


def issued(total_yen: int = 11_000, *, to_adapter_user: bool = False, service: Service = "mpc") -> Invoice:
    return issue(draft(service, JUNE, total_yen, to_adapter_user=to_adapter_user), JULY_5).invoice


def overdue(total_yen: int = 11_000, *, to_adapter_user: bool = False, service: Service = "mpc") -> Invoice:
    found = issued(total_yen, to_adapter_user=to_adapter_user, service=service)
    return day_over(found, date(2025, 8, 1)).invoice


@pytest.mark.rule("SMF-15.1")
def test_an_invoice_is_due_on_the_last_day_of_its_month_and_overdue_the_day_after() -> None:
    found = issued()
    assert (found.state, found.due) == (InvoiceState.ISSUED, date(2025, 7, 31))
    assert day_over(found, date(2025, 7, 31)).invoice == found
    late = day_over(found, date(2025, 8, 1))
    assert (late.invoice.state, late.rule) == (InvoiceState.OVERDUE, "SMF-15.1")


def test_an_invoice_over_nothing_is_paid_at_once() -> None:
    assert issued(0).state is InvoiceState.PAID
    assert issued(1).state is InvoiceState.ISSUED


def test_an_invoice_is_issued_once_and_not_within_its_month_of_service() -> None:
    with pytest.raises(RuleViolation):
        issue(draft("smfsx", JUNE, 1), date(2025, 6, 30))
    with pytest.raises(Conflict, match="issued") as refused:
        issue(issued(), JULY_5)
    assert refused.value.rule == "SMF-15.1"
    assert "draft" in refused.value.next_step


def test_an_invoice_is_never_below_nothing() -> None:
    with pytest.raises(BadInput) as refused:
        draft("mpc", JUNE, -1)
    assert refused.value.field == "total_yen"
    assert draft("mpc", JUNE, 0).open_yen == 0


def test_parts_of_a_payment_reduce_what_is_open_until_nothing_is() -> None:
    half = paid(issued(), 6_000).invoice
    assert (half.state, half.open_yen) == (InvoiceState.ISSUED, 5_000)
    late = paid(day_over(half, date(2025, 8, 1)).invoice, 1).invoice
    assert (late.state, late.open_yen) == (InvoiceState.OVERDUE, 4_999)
    whole = paid(late, 4_999)
    assert (whole.invoice.state, whole.invoice.open_yen, whole.difference_yen) == (InvoiceState.PAID, 0, 0)


def test_what_is_paid_too_much_comes_off_the_next_invoice() -> None:
    found = paid(issued(), 11_500)
    assert (found.invoice.state, found.invoice.open_yen, found.difference_yen) == (InvoiceState.PAID, 0, -500)


@pytest.mark.parametrize("yen", [0, -5])
def test_a_payment_of_nothing_is_an_alert_and_changes_nothing(yen: int) -> None:
    found = paid(issued(), yen)
    assert found.alert is not None
    assert found.invoice == issued()
    assert paid(issued(), 1).alert is None


def test_a_payment_on_a_paid_invoice_is_an_alert() -> None:
    whole = paid(issued(), 11_000).invoice
    assert paid(whole, 1).alert is not None
    assert paid(draft("mpc", JUNE, 1), 1).alert is not None


@pytest.mark.rule("MPC-6.4", "SMF-14.2")
@pytest.mark.parametrize(("service", "rule"), [("mpc", "MPC-6.4"), ("smfsx", "SMF-14.2")])
def test_what_an_adapter_user_does_not_pay_the_management_contractor_owes(service: Service, rule: str) -> None:
    late = paid(overdue(to_adapter_user=True, service=service), 1_000).invoice
    found = pass_on(late)
    assert found.rule == rule
    assert found.invoice.state is InvoiceState.PASSED_ON
    assert found.follower == draft(service, JUNE, 10_000)
    assert not found.follower.to_adapter_user
    towards = paid(found.invoice, 300)
    assert (towards.towards_follower_yen, towards.invoice, towards.alert) == (300, found.invoice, None)


@pytest.mark.rule("MPC-6.4", "SMF-14.2")
def test_only_an_overdue_invoice_of_an_adapter_user_is_passed_on() -> None:
    with pytest.raises(RuleViolation) as refused:
        pass_on(overdue())
    assert refused.value.rule == "MPC-6.4"
    with pytest.raises(RuleViolation) as refused:
        pass_on(overdue(service="smfsx"))
    assert refused.value.rule == "SMF-14.2"
    with pytest.raises(Conflict):
        pass_on(issued(to_adapter_user=True))


def test_a_draft_is_computed_anew_and_an_issued_invoice_is_never_edited() -> None:
    assert correct(draft("mpc", JUNE, 5), 7, "wrong count").invoice == draft("mpc", JUNE, 7)
    part = paid(issued(to_adapter_user=True), 1_000).invoice
    found = correct(part, 8_000, "wrong count")
    assert found.invoice.state is InvoiceState.REPLACED
    assert found.invoice.total_yen == 11_000
    assert found.follower is not None
    assert (found.follower.total_yen, found.follower.open_yen) == (8_000, 7_000)
    assert found.follower.to_adapter_user
    assert found.follower.state is InvoiceState.DRAFT
    assert found.difference_yen == 0
    assert correct(overdue(), 8_000, "wrong count").invoice.state is InvoiceState.REPLACED


def test_a_correction_below_what_was_paid_gives_the_rest_back() -> None:
    found = correct(paid(issued(), 9_000).invoice, 8_000, "wrong count")
    assert found.follower is not None
    assert (found.follower.open_yen, found.difference_yen) == (0, -1_000)


def test_the_difference_to_a_paid_invoice_is_a_line_of_the_next() -> None:
    whole = paid(issued(), 11_000).invoice
    assert correct(whole, 12_500, "a line was missing").difference_yen == 1_500
    assert correct(whole, 12_500, "a line was missing").invoice == whole


def test_a_correction_needs_a_reason_and_an_open_invoice() -> None:
    with pytest.raises(BadInput) as refused:
        correct(issued(), 1, "  ")
    assert refused.value.field == "reason"
    with pytest.raises(Conflict):
        correct(pass_on(overdue(to_adapter_user=True)).invoice, 1, "too late")


@given(st.integers(1, 10**7), st.lists(st.integers(1, 10**6), max_size=8))
def test_no_yen_of_a_payment_is_lost(total: int, payments: list[int]) -> None:
    invoice, over, ignored = issued(total), 0, 0
    for yen in payments:
        found = paid(invoice, yen)
        invoice, over = found.invoice, over - found.difference_yen
        ignored += yen if found.alert else 0
    assert total - invoice.open_yen + over + ignored == sum(payments)
    assert (invoice.state in FINAL) == (invoice.open_yen == 0)
