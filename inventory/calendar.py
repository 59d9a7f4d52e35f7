"""Days of the terms: calendar days in Asia/Tokyo (service-terms §6)."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final

TOKYO: Final = timezone(timedelta(hours=9), "Asia/Tokyo")
"""Japan has kept UTC+9 without daylight saving time since 1952, before any contract of these services."""


def tokyo_day(at_ms: int) -> date:
    """The calendar day in Asia/Tokyo on which an instant counts."""
    return datetime.fromtimestamp(at_ms // 1000, TOKYO).date()
