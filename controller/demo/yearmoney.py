"""A month of the year is closed: charges, invoices, payments. Every yen comes from the rules of `inventory`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

from controller.demo.yearbill import Bill, MonthTotals
from controller.demo.yearbooks import Books, Line
from inventory.amounts import Amount
from inventory.billing import Charge, charges
from inventory.calendar import Month
from inventory.catalogue import Service
from inventory.contractevents import Resume, Suspend
from inventory.contracts import State
from inventory.invoicelife import InvoiceState, InvoiceStep, day_over, draft, issue, paid, pass_on
from inventory.invoices import invoice_total

Key = tuple[int, Service]


def close(books: Books, rng: random.Random, month: Month, issued: date) -> None:
    """Charge every line for a month that is over, and send the invoices."""
    main: dict[Key, list[Charge]] = defaultdict(list)
    aside: dict[int, list[Charge]] = defaultdict(list)
    charged = 0
    count = 0
    for line in books.lines:
        effective = line.contract.effective
        if line.contract.billing_start is None or (effective is not None and Month.of(effective) < month):
            continue
        found = charges(line.billed(), books.price_list(line.owner), month)
        charged += bool(found)
        count += len(found)
        for one in found:
            books.charges.append((line.number, one))
            books.spoke(one.amount)
            books.read(line.contract.service, one.words)
        if line.redirected:
            aside[line.number] += found
        elif found:
            main[line.owner, line.contract.service] += found
    units, books.unit_charges = books.unit_charges, defaultdict(list)
    sent = []
    for key in sorted({*main, *units}):
        sent.append(_invoice(books, key, month, main[key], units[key]))
    for number, lines in sorted(aside.items()):
        management = books.line(number)
        if lines:
            sent.append(_invoice(books, (management.owner, management.contract.service), month, lines, (), number))
    for bill in sent:
        _send(books, rng, bill, issued)
    books.months.append(
        MonthTotals(
            month,
            charged,
            count,
            len(sent),
            sum(one.taxable_yen for one in sent),
            sum(one.untaxed_yen for one in sent),
            sum(one.credit_yen for one in sent),
            sum(one.tax_yen for one in sent),
            sum(one.invoice.total_yen for one in sent),
        )
    )


def _invoice(
    books: Books, key: Key, month: Month, found: Sequence[Charge], units: Sequence[Amount], of_line: int | None = None
) -> Bill:
    taxable = [one.amount.yen for one in found if one.taxable]
    untaxed = [one.amount.yen for one in found if not one.taxable] + [one.yen for one in units]
    held = books.credits_yen[key] if of_line is None else 0
    total = invoice_total(month, taxable, untaxed, [held] if held else [])
    if held:
        books.credits_yen[key] = total.carried_credit_yen
    invoice = draft(key[1], month, total.total_yen, to_adapter_user=of_line is not None)
    used = held - total.carried_credit_yen
    return Bill(key[0], invoice, sum(taxable), sum(untaxed), used, total.tax_yen, of_line)


# --- payments ---------------------------------------------------------------------------------------------------------


def _send(books: Books, rng: random.Random, bill: Bill, day: date) -> None:
    if bill.owner < 3:
        books.attempt(lambda: issue(bill.invoice, bill.invoice.service_month.last))  # a day too early, by a slip
    _take(books, bill, issue(bill.invoice, day))
    books.bills.append(bill)
    if bill.invoice.due is None or bill.invoice.state is InvoiceState.PAID:
        return
    due, manner = bill.invoice.due, rng.random()
    books.later(due + timedelta(days=1), lambda today: _overdue(books, rng, bill, today))
    if bill.of_line is not None and manner < 0.4:
        return
    if manner < 0.03:
        books.later(due, lambda _: _take(books, bill, paid(bill.invoice, 1 + bill.invoice.open_yen // 3)))
    elif manner > 0.02:
        day = due - timedelta(days=rng.randrange(0, 12))
        books.later(day, lambda _: _take(books, bill, paid(bill.invoice, bill.invoice.open_yen)))


def _take(books: Books, bill: Bill, done: InvoiceStep) -> None:
    bill.invoice = done.invoice
    books.touch(done.rule)
    books.steps += 1
    books.alerts += done.alert is not None


def _overdue(books: Books, rng: random.Random, bill: Bill, today: date) -> None:
    _take(books, bill, day_over(bill.invoice, today))
    if bill.invoice.state is not InvoiceState.OVERDUE:
        return
    if bill.of_line is not None:
        done = pass_on(bill.invoice)
        _take(books, bill, done)
        assert done.follower is not None
        fresh = Bill(bill.owner, issue(done.follower, today).invoice, 0, 0, 0, 0)
        books.bills.append(fresh)
        books.later(
            today + timedelta(days=9), lambda _: _take(books, fresh, paid(fresh.invoice, fresh.invoice.open_yen))
        )
        return
    books.attempt(lambda: pass_on(bill.invoice))  # nobody else owes it
    pays = today + timedelta(days=rng.randrange(5, 40))
    books.later(pays, lambda _: _take(books, bill, paid(bill.invoice, bill.invoice.open_yen)))
    held = [one for one in books.of_owner[bill.owner] if one.kind == "management"]
    for line in held:
        if line.contract.state is State.ACTIVE and line.contract.service == bill.invoice.service:
            suspend(books, line, today, ground=1, days=(pays - today).days)


def suspend(books: Books, line: Line, day: date, *, ground: int, days: int, emergency: bool = False) -> None:
    """Suspend a line for some days, notified today, and let it go on afterwards."""
    until = day + timedelta(days=days)
    if books.step(line, Suspend(day, ground, until, None if emergency else day, emergency)) is not None:
        books.later(until, lambda today: _resume(books, line, today))


def _resume(books: Books, line: Line, today: date) -> None:
    if line.contract.suspended and line.live:
        books.step(line, Resume(today))
