"""Days in time, days too late."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import Month, months_after, parse_day, period_end
from inventory.deadlines import (
    NoticeKind,
    claim_last_day,
    earliest_after_notice,
    lost_from,
    minimum_period_end,
    notice_in_time,
    require_notice,
    return_due,
    termination_effective,
)
from inventory.errors import BadInput, RuleViolation

pytestmark = pytest.mark.fast

DAYS = st.dates(date(2009, 1, 1), date(2035, 12, 31))
ONE = timedelta(days=1)
KINDS: tuple[NoticeKind, ...] = ("planned-interruption", "abolition")


@given(notice=DAYS, later=st.integers(0, 90), named=st.none() | DAYS)
def test_a_later_notice_never_ends_earlier(notice: date, later: int, named: date | None) -> None:
    assert termination_effective(notice + ONE * later, named) >= termination_effective(notice, named)


@pytest.mark.rule("MPC-14", "MPC-9.5", "SMF-23.2")
@given(notice=DAYS, named=DAYS)
def test_a_named_day_is_kept_unless_it_is_too_near(notice: date, named: date) -> None:
    effective = termination_effective(notice, named)
    assert effective == named or (effective - notice).days == 30


@given(first=DAYS, count=st.integers(1, 24))
def test_periods_follow_one_another_without_gap_or_overlap_from_the_first_of_a_month(first: date, count: int) -> None:
    first = first.replace(day=1)
    assert period_end(first, count) + ONE == Month.of(first).plus(count).first
    assert period_end(first, count + 1) > period_end(first, count)


@given(day=DAYS, count=st.integers(1, 12))
def test_months_after_a_day_start_on_the_next(day: date, count: int) -> None:
    assert months_after(day, count) == period_end(day + ONE, count)


@pytest.mark.rule("MPC-5", "MPC-9.3", "SMF-16.1")
@given(start=DAYS, months=st.sampled_from([1, 12]))
def test_a_minimum_period_lies_within_its_months(start: date, months: int) -> None:
    end = minimum_period_end(start, months)
    assert Month.of(start).plus(months - 1) <= Month.of(end) <= Month.of(start).plus(months)


@pytest.mark.rule("MPC-10.3", "SMF-9.3", "MPC-13.2", "SMF-11.2")
@given(end=DAYS)
def test_a_unit_is_lost_the_day_after_its_return_date(end: date) -> None:
    assert lost_from(end) - return_due(end) == ONE


@pytest.mark.rule("SMF-20", "SMF-22")
@given(notified=DAYS, ahead=st.integers(0, 200))
def test_a_notice_is_in_time_from_its_earliest_day_on(notified: date, ahead: int) -> None:
    day = notified + ONE * ahead
    for kind in KINDS:
        assert notice_in_time(kind, day, notified) == (day >= earliest_after_notice(kind, notified))


@pytest.mark.rule("SMF-20", "SMF-22")
def test_an_emergency_needs_no_notice_but_abolition_knows_none() -> None:
    day = date(2025, 6, 15)
    assert notice_in_time("planned-interruption", day, day, emergency=True)
    assert not notice_in_time("abolition", day, day, emergency=True)


def test_a_late_notice_is_refused_with_the_earliest_day() -> None:
    with pytest.raises(RuleViolation) as refused:
        require_notice("planned-interruption", date(2025, 6, 14), date(2025, 6, 1))
    assert refused.value.rule == "SMF-20"
    assert "2025-06-15" in refused.value.next_step


@pytest.mark.rule("MPC-17", "SMF-26.1")
@pytest.mark.parametrize(
    ("claimable", "last"), [(date(2025, 11, 30), date(2026, 2, 28)), (date(2025, 2, 28), date(2025, 5, 31))]
)
def test_three_months_are_counted_from_the_next_day(claimable: date, last: date) -> None:
    assert claim_last_day(claimable) == last


@pytest.mark.parametrize("text", ["2025-13-01", "yesterday", "2025-05-01T09:00:00", "2025-5-1", ""])
def test_what_is_no_day_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_day(text, "notified")
    assert refused.value.field == "notified"


@pytest.mark.parametrize("text", ["2025-13", "2025", "2025-1", "2025-01-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Month.parse(text)
