"""Price lists as files and as they were known: a correction is a new row and changes no earlier answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import contractfile
from inventory.csvrows import read, refused
from inventory.errors import BadInput
from inventory.pricefile import parse, show
from inventory.prices import Price, PriceList, PriceRow, entry_item, known, standby_item

pytestmark = pytest.mark.fast

HEADER = "contractor,service,item,fee,yen,first_day\n"
ENTRY = entry_item("mpc")
DAY = date(2025, 4, 1)


def test_a_file_of_prices_is_read_whatever_the_order_of_its_columns() -> None:
    text = (
        '\ufefffirst_day,yen,service,item,fee\n2025-04-01,"3,000",mpc,entry,monthly\n\n2025-04-01,0,mpc,entry,initial\n'
    )
    found, faults = parse(text)
    assert faults == ()
    assert [(row.number, price) for row, price in found] == [
        (2, Price(ENTRY, "monthly", 3_000, DAY)),
        (4, Price(ENTRY, "initial", 0, DAY)),
    ]


def test_every_wrong_row_is_told_with_its_column_and_its_next_step() -> None:
    found, faults = parse(
        HEADER
        + "K-7,mpc,entry,monthly,2000,2025-04-01\n"
        + "K-7,mpc,entry,monthly,2100,2025-04-01\n"
        + ",mpc,entry,monthly,-5,2025-04-01\n"
        + ",mpc,entry,monthly,5,2025-02-30\n"
        + ",smfsx,entry:gold,monthly,5,2025-04-01\n"
        + "M-1,mpc,entry,monthly,5,2025-04-01\n"
    )
    assert [price.contractor_id for _, price in found] == [7]
    assert [(one.row, one.column, one.rule) for one in faults] == [
        (3, "item", None),
        (4, "yen", None),
        (5, "first_day", None),
        (6, "item", "SMF-A1"),
        (7, "contractor", None),
    ]
    assert all(one.next_step for one in faults)
    told = refused(faults)
    assert (told.field, "5 faults in all" in told.message) == ("row 3, column item", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("service,item,fee,yen\n", "lacks column first_day"),
        ("service,item,fee,yen,first_day,colour\n", "unknown column colour"),
        ("service,item,fee,yen,yen,first_day\n", "twice column yen"),
        ('service,item,fee,yen,first_day\n"mpc,entry\n', "no CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse(text)


def test_cells_keep_their_commas_and_lose_their_blanks() -> None:
    (row,) = read('a,b\n " x , y" , 2 \n'.replace(' "', '"').replace('" ', '"'), ("a", "b"))
    assert dict(row.cells) == {"a": "x , y", "b": "2"}


def test_a_price_that_was_taken_back_never_held() -> None:
    wrong = PriceRow(ENTRY, "monthly", 300, DAY, None, 1)
    before = PriceRow(ENTRY, "monthly", 2_900, date(2024, 4, 1), None, 1)
    rows = [before, wrong, replace(wrong, yen=None, recorded_ms=5)]
    assert PriceList(known(rows)).yen(ENTRY, "monthly", DAY) == 2_900
    assert PriceList(known(rows, 4)).yen(ENTRY, "monthly", DAY) == 300


days = st.integers(0, 30).map(lambda days: DAY + timedelta(days=days))
price_rows = st.builds(
    PriceRow,
    st.sampled_from([ENTRY, standby_item("mpc")]),
    st.just("monthly"),
    st.none() | st.integers(0, 9_000),
    days,
    st.sampled_from([None, 7]),
    st.integers(0, 100),
)


@given(st.lists(price_rows, max_size=12), st.lists(price_rows, max_size=6), st.integers(0, 100))
def test_a_later_correction_never_changes_what_was_known_before(
    rows: list[PriceRow], later: list[PriceRow], at_ms: int
) -> None:
    corrections = [replace(one, recorded_ms=at_ms + 1 + one.recorded_ms) for one in later]
    assert known([*rows, *corrections], at_ms) == known(rows, at_ms)


@given(st.lists(price_rows, max_size=12))
def test_a_file_that_was_shown_is_read_as_the_same_prices(rows: list[PriceRow]) -> None:
    prices = known(rows)
    found, faults = parse(show(prices))
    assert (tuple(price for _, price in found), faults) == (prices, ())


def test_a_row_with_too_many_or_few_cells_is_one_fault_of_the_report_and_the_others_are_read() -> None:
    header = "service,item,fee,yen,first_day\n"
    good = "mpc,entry,monthly,3000,2025-01-01\n"
    found, faults = parse(header + "mpc,entry\n" + good + "mpc,entry,monthly,3,000,2025-02-01\n")
    assert [one.number for one, _ in found] == [3]
    assert [(one.row, one.column, one.message) for one in faults] == [
        (2, None, "the row has 2 cells, the header 5"),
        (4, None, "the row has 6 cells, the header 5"),
    ]
    text = "application,contractor,service,concluded,billing_start,kind\n7,K-1,smfsx\n"
    assert [one.row for one in contractfile.parse(text, date(2026, 1, 1))[1]] == [2]


@pytest.mark.parametrize("yen", ["1,5", "1,,500", ",5", "5,", "1,50,000", "1.5", "1 500", "¥5"])
def test_an_amount_that_could_be_read_in_two_ways_is_refused(yen: str) -> None:
    _, faults = parse(HEADER + f'K-7,mpc,entry,monthly,"{yen}",2025-04-01\n')
    assert [(one.row, one.column) for one in faults] == [(2, "yen")]
