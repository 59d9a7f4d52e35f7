"""Days of the terms."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.calendar import tokyo_day

pytestmark = pytest.mark.fast


def test_a_day_begins_at_midnight_in_tokyo() -> None:
    fifteen_utc = 1_760_713_200_000  # 2025-10-17T15:00:00Z
    assert tokyo_day(fifteen_utc) == date(2025, 10, 18)
    assert tokyo_day(fifteen_utc - 1) == date(2025, 10, 17)
