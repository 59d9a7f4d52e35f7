"""Windows that interrupt the service carry their notice, and come too late without it (SMF-20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from inventory.calendar import TOKYO
from inventory.errors import BadInput, RuleViolation
from inventory.maintenance import Interruption, MaintenanceWindow, Work, left_out, require_notified, require_window
from inventory.periods import instant_ms

pytestmark = pytest.mark.fast

START_MS = int(datetime(2025, 6, 15, 0, 30, tzinfo=TOKYO).timestamp()) * 1000


@pytest.mark.rule("SMF-20")
@pytest.mark.parametrize(
    ("work", "notified", "emergency", "allowed"),
    [
        ("planned", date(2025, 6, 1), False, True),
        ("planned", date(2025, 6, 2), False, False),
        ("planned", date(2025, 6, 2), True, True),
        ("planned", None, False, False),
        ("planned", None, True, True),
        ("fault", date(2025, 6, 15), False, True),
        ("fault", date(2025, 6, 16), False, False),
        ("fault", date(2025, 6, 16), True, True),
        ("fault", None, False, False),
        ("fault", None, True, True),
    ],
)
def test_planned_work_is_notified_fourteen_days_before_and_a_fault_before_it_begins(
    work: Work, notified: date | None, emergency: bool, allowed: bool
) -> None:
    found = Interruption(work, notified, emergency)
    if allowed:
        require_notified("maintenance", START_MS, "new power supply", found)
        return
    with pytest.raises(RuleViolation) as refused:
        require_notified("maintenance", START_MS, "new power supply", found)
    assert refused.value.rule == "SMF-20"


@pytest.mark.rule("SMF-20")
def test_an_interruption_has_a_reason_and_hours_that_are_full_are_none() -> None:
    found = Interruption("planned", date(2025, 1, 1))
    with pytest.raises(BadInput) as refused:
        require_notified("maintenance", START_MS, " ", found)
    assert (refused.value.field, refused.value.rule) == ("reason", "SMF-20")
    with pytest.raises(BadInput) as strange:
        require_notified("bulk", START_MS, "backup", found)
    assert strange.value.field == "work"


def at_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=TOKYO).timestamp()) * 1000


def window(
    daily_min: tuple[int, int] | None, start: str = "2025-06-15T00:00", end: str = "2025-06-17T00:00"
) -> MaintenanceWindow:
    return MaintenanceWindow(1, None, "maintenance", at_ms(start), at_ms(end), daily_min, "", "key 1", 0, None, 1)


@pytest.mark.parametrize(
    ("daily_min", "inside", "outside"),
    [
        (None, ("2025-06-15T00:00", "2025-06-16T23:59"), ("2025-06-14T23:59", "2025-06-17T00:00")),
        (
            (120, 165),
            ("2025-06-15T02:00", "2025-06-16T02:44"),
            ("2025-06-15T01:59", "2025-06-15T02:45", "2025-06-17T02:00"),
        ),
        (
            (1380, 60),
            ("2025-06-15T00:59", "2025-06-15T23:00"),
            ("2025-06-15T01:00", "2025-06-15T22:59", "2025-06-17T00:30"),
        ),
    ],
)
def test_a_window_covers_its_hours_of_each_day_and_no_minute_more(
    daily_min: tuple[int, int] | None, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    found = window(daily_min)
    assert [found.covers(at_ms(one), "Asia/Tokyo") for one in inside] == [True] * len(inside)
    assert [found.covers(at_ms(one), "Asia/Tokyo") for one in outside] == [False] * len(outside)


def test_a_window_leaves_its_slots_out_and_the_half_hour_after_it() -> None:
    day, slots = at_ms("2025-06-15T00:00"), 288
    hour = window(None, "2025-06-15T01:00", "2025-06-15T02:00")
    assert left_out([hour], day, slots, "Asia/Tokyo") == frozenset(range(12, 30))
    daily = window((60, 120))
    assert left_out([daily], day, slots, "Asia/Tokyo") == frozenset(range(12, 30))
    assert left_out([replace(hour, cancelled_ms=1)], day, slots, "Asia/Tokyo") == frozenset()
    before = window(None, "2025-06-14T23:00", "2025-06-14T23:50")
    assert left_out([before], day, slots, "Asia/Tokyo") == frozenset(range(4))
    assert left_out([window(None, "2025-06-16T00:00", "2025-06-16T01:00")], day, slots, "Asia/Tokyo") == frozenset()


@pytest.mark.parametrize(
    ("length_ms", "daily_min", "field"),
    [
        (0, None, "end"),
        (-1, None, "end"),
        (400 * 86_400_000 + 1, None, "end"),
        (1, (60, 60), "daily"),
        (1, (-1, 60), "daily"),
        (1, (0, 1441), "daily"),
        (1, (0, 1440), None),
        (400 * 86_400_000, None, None),
    ],
)
def test_a_window_has_a_length_and_hours_that_exist(
    length_ms: int, daily_min: tuple[int, int] | None, field: str | None
) -> None:
    begin_ms = 1_750_000_000_000
    if field is None:
        require_window(begin_ms, begin_ms + length_ms, daily_min)
        return
    with pytest.raises(BadInput) as refused:
        require_window(begin_ms, begin_ms + length_ms, daily_min)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("0001-01-01T00:00:00+14:00", "0001-01-02T00:00:00+00:00", "start"),
        ("1970-12-31T23:59:59+00:00", "1971-02-01T00:00:00+00:00", "start"),
        ("2199-12-31T00:00:00+00:00", "2200-01-01T00:00:00+00:00", "end"),
        ("1971-01-01T00:00:00+00:00", "1971-01-02T00:00:00+00:00", None),
    ],
)
def test_a_window_lies_in_years_that_have_instants_in_every_zone(start: str, end: str, field: str | None) -> None:
    begin_ms, end_ms = (instant_ms(datetime.fromisoformat(text)) for text in (start, end))
    if field is None:
        require_window(begin_ms, end_ms, None)
        return
    with pytest.raises(BadInput) as refused:
        require_window(begin_ms, end_ms, None)
    assert refused.value.field == field
