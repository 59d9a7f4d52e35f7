"""Whole statements, by properties: a contractor's book of random events, month after month, to the yen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.billing import BilledLine, Charge, Version, charges
from inventory.bills import bill
from inventory.calendar import Month
from inventory.contractbook import Book, BookEvent, BookLine, fold
from inventory.contractevents import (
    Abolition,
    Accept,
    ChangeOption,
    ContractEvent,
    Notice,
    ProviderTerminates,
    Resume,
    Suspend,
)
from inventory.fees import Kind, last_day_charged
from inventory.optionrules import MOBILE_PLANS
from inventory.prices import Price, PriceList, rows
from inventory.terms import RULES

pytestmark = pytest.mark.fast

APPLIED = date(2024, 1, 20)
KINDS: tuple[Kind, ...] = ("management", "adapter", "mobile-access", "mobile-access", "packet-share-group")
MANAGEMENT, ADAPTER, MOBILE, SHARING, GROUP = range(1, 6)
VALUES: dict[int, dict[str, str | int]] = {
    MOBILE: {"plan": "normal", "network-type": "dynamic-ip"},
    SHARING: {"plan": "packet-share", "network-type": "dynamic-ip"},
    GROUP: {"packs-gb": 60},
}
LINES = tuple(
    BookLine(
        number,
        "mpc",
        kind,
        APPLIED,
        on=ADAPTER if kind == "mobile-access" else None,
        group=GROUP if number == SHARING else None,
        values=VALUES.get(number, {}),
    )
    for number, kind in enumerate(KINDS, start=1)
)
PRICES = PriceList(
    [Price(item, fee, 37 if fee == "monthly-per-gb" else 3_001, date(2020, 1, 1)) for item, fee in rows()]
    + [Price(item, fee, 5_003, date(2024, 3, 10)) for item, fee in rows() if fee == "monthly"]
)
FIRST, MONTHS = Month(2024, 1), 18


@st.composite
def happenings(draw: st.DrawFn) -> tuple[ContractEvent, int]:
    """Something that is recorded of one of the lines; whether it fits is the book's business."""
    day = APPLIED + timedelta(days=draw(st.integers(0, 300)))
    ahead = timedelta(days=draw(st.integers(0, 120)))
    line = draw(st.integers(MANAGEMENT, GROUP))
    event: ContractEvent = draw(
        st.one_of(
            st.sampled_from([Notice(day), Notice(day, day + ahead)]),
            st.sampled_from([Suspend(day, 1, day + ahead, day), Resume(day)]),
            st.sampled_from(
                [ProviderTerminates(day, day + ahead, "unavoidable", day), Abolition(day, day + ahead, day)]
            ),
            st.sampled_from(MOBILE_PLANS).map(lambda plan: ChangeOption(day, "plan", plan)),
            st.sampled_from(("dynamic-ip", "fixed-ip")).map(lambda of: ChangeOption(day, "network-type", of)),
            st.integers(50, 90).map(lambda packs: ChangeOption(day, "packs-gb", packs)),
        )
    )
    return event, line


@st.composite
def books(draw: st.DrawFn) -> list[BookEvent]:
    """Acceptance of all five, and up to six happenings."""
    start = APPLIED + timedelta(days=draw(st.integers(0, 40)))
    found = [BookEvent(number, number, Accept(APPLIED, start, ())) for number in range(1, 6)]
    for event, line in draw(st.lists(happenings(), max_size=6)):
        joins = GROUP if isinstance(event, ChangeOption) and event.value == "packet-share" else None
        found.append(BookEvent(len(found) + 1, line, event, group=joins))
    return found


def lines(book: Book) -> dict[int, BilledLine]:
    """As the amounts see them: two entries, a third one from March to June 2024."""
    found = {}
    for number, contract in book.contracts.items():
        start = contract.billing_start or APPLIED
        counts = sorted({start: 2, date(2024, 3, 15): 3, date(2024, 6, 1): 1}.items())
        versions = [
            Version(
                day,
                model="sa-w2l",
                plan=str(of.get("plan", "")),
                network_type=str(of.get("network-type", "")),
                packs_gb=int(of.get("packs-gb", 0)),
            )
            for day, of in book.values[number]
        ]
        entries = [one for one in counts if one[0] >= start] if number == MANAGEMENT else []
        found[number] = BilledLine(contract, "I", tuple(versions), entries, [])
    return found


def charged(events: Sequence[BookEvent], month: Month, until: date | None = None) -> list[tuple[int, Charge]]:
    """What each line is charged for a month, by a book that was folded to the day after it, or to `until`."""
    book = fold(LINES, events, until or month.last + timedelta(days=1))
    return [(number, one) for number, line in lines(book).items() for one in charges(line, PRICES, month)]


def every(events: Sequence[BookEvent]) -> dict[Month, list[tuple[int, Charge]]]:
    return {month: charged(events, month) for month in (FIRST.plus(number) for number in range(MONTHS))}


@settings(max_examples=60)
@given(books())
def test_what_happens_after_a_month_never_changes_what_the_month_cost(events: list[BookEvent]) -> None:
    for number in range(0, MONTHS, 3):
        month = FIRST.plus(number)
        until_then = [one for one in events if one.event is not None and one.event.day <= month.last]
        assert charged(until_then, month) == charged(events, month, date(2026, 1, 1))


@settings(max_examples=80)
@given(books())
def test_no_day_of_a_line_is_charged_twice_and_none_outside_its_life_but_for_its_minimum_period(
    events: list[BookEvent],
) -> None:
    book = fold(LINES, events, FIRST.plus(MONTHS).last)
    days: dict[tuple[int, str], int] = {}
    for month, found in every(events).items():
        for number, one in found:
            contract = book.contracts[number]
            assert contract.billing_start is not None
            assert one.amount.rules
            assert {rule.partition("(")[0] for rule in one.amount.rules} <= {rule.partition("(")[0] for rule in RULES}
            if one.what in {"initial", "one-time"}:
                continue
            assert Month.of(contract.billing_start) <= month
            if contract.effective is not None:
                plan = str(contract.values.get("plan", ""))
                assert month <= Month.of(last_day_charged(contract.kind, contract.effective, plan))
            if number != MANAGEMENT:
                for part in one.amount.parts:
                    of_month, share = part.words.partition(":")[0], part.words.rpartition(" ")[2]
                    days[number, of_month] = days.get((number, of_month), 0) + int(share.partition("/")[0])
    for (_, month_text), count in days.items():
        assert count <= Month.parse(month_text).days


@settings(max_examples=60)
@given(books(), st.data())
def test_an_event_that_is_taken_back_leaves_the_statements_of_a_contractor_that_never_had_it(
    events: list[BookEvent], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(events[5:] or events[4:]))
    void = BookEvent(99, gone.line, None, corrects=gone.id)
    without = [one for one in events if one is not gone]
    assert every([*events, void]) == every(without)


@settings(max_examples=60)
@given(books())
def test_invoices_come_to_their_lines_and_their_tax_and_never_below_nothing(events: list[BookEvent]) -> None:
    by_month = {month: [one for _, one in found] for month, found in every(events).items()}
    for month, lines_of_month in by_month.items():
        found = bill(month, by_month, ())
        taxable = sum(one.amount.yen for one in lines_of_month if one.taxable)
        untaxed = sum(one.amount.yen for one in lines_of_month if not one.taxable)
        assert found.total.tax_yen == taxable // 10
        assert found.total.total_yen == taxable + untaxed + taxable // 10 >= 0


@settings(max_examples=80)
@given(books(), st.integers(0, 60))
def test_a_later_notice_never_ends_a_line_earlier(events: list[BookEvent], later_by: int) -> None:
    day = APPLIED + timedelta(days=200)
    ends = []
    for arrives in (day, day + timedelta(days=later_by)):
        book = fold(LINES, [*events, BookEvent(98, ADAPTER, Notice(arrives))], date(2026, 1, 1))
        ends.append(book.contracts[ADAPTER].effective or date.max)
    assert ends[0] <= ends[1]
