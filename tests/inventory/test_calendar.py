"""Days of the terms."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.calendar import Month, day_end_ms, days_after, months_after, parse_day, tokyo_day
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


def test_a_day_begins_at_midnight_in_tokyo() -> None:
    fifteen_utc = 1_760_713_200_000  # 2025-10-17T15:00:00Z
    assert tokyo_day(fifteen_utc) == date(2025, 10, 18)
    assert tokyo_day(fifteen_utc - 1) == date(2025, 10, 17)


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31T23:00:00-09:00"])
def test_a_day_that_no_period_can_be_counted_from_is_none(text: str) -> None:
    with pytest.raises(BadInput):
        parse_day(text)
    with pytest.raises(BadInput):
        Month.parse(text[:7])


@pytest.mark.parametrize("text", ["1900-01-01", "2999-12-31"])
def test_every_period_from_a_day_that_can_be_written_ends(text: str) -> None:
    day = parse_day(text)
    assert months_after(days_after(day, 30), 12) > day < Month.parse(text[:7]).plus(12).last
    assert day_end_ms(day) % 86_400_000 == 15 * 3_600_000
    assert tokyo_day(day_end_ms(day) - 1) == day < tokyo_day(day_end_ms(day))
