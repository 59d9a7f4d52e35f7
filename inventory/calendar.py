"""Days of the terms: calendar days in Asia/Tokyo, and how the Civil Code counts them (service-terms §6, §6.1)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from inventory.errors import BadInput

TOKYO: Final = timezone(timedelta(hours=9), "Asia/Tokyo")
"""Japan has kept UTC+9 without daylight saving time since 1952, before any contract of these services."""


YEARS: Final = range(1900, 3000)
"""Years that a contract can know; any period from a day in them ends on a day that exists."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""ISO 8601 has other spellings of the same length, such as 2025-W01-1: nobody means those."""


def tokyo_day(at_ms: int) -> date:
    """The calendar day in Asia/Tokyo on which an instant counts."""
    return datetime.fromtimestamp(at_ms // 1000, TOKYO).date()


def day_end_ms(day: date) -> int:
    """The first instant, in milliseconds, that no longer counts on the day in Asia/Tokyo."""
    return int(datetime.combine(day + timedelta(days=1), time(), TOKYO).timestamp()) * 1000


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month; shown as `2025-06`."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> Month:
        """The month in which the day lies."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str, field: str = "month") -> Month:
        """Read `YYYY-MM`. Raises BadInput that names the field."""
        try:
            if len(text) != 7 or text[4] != "-":
                raise ValueError(text)
            return cls.of(_known(date.fromisoformat(f"{text}-01")))
        except ValueError:
            raise BadInput(f"{text[:40]!r} is no month", field=field, next_step="Write YYYY-MM.") from None

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return date(self.year, self.month, self.days)

    @property
    def days(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.month)[1]

    def plus(self, months: int) -> Month:
        """The month so many months later."""
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)

    def __str__(self) -> str:
        """`YYYY-MM`."""
        return f"{self.year:04d}-{self.month:02d}"


def months(first: date, last: date) -> Iterator[Month]:
    """The calendar months that the days from `first` to `last` touch; none if `last` is before `first`."""
    if last < first:
        return
    month = Month.of(first)
    while month <= Month.of(last):
        yield month
        month = month.plus(1)


def parse_day(text: str, field: str = "day") -> date:
    """Read `YYYY-MM-DD`, or an ISO 8601 timestamp with offset, which counts on its Tokyo date. Raises BadInput, also
    for a year before 1900 or after 2999."""
    try:
        if _DAY.fullmatch(text):
            return _known(date.fromisoformat(text))
        return _known(parse_instant(text, field).astimezone(TOKYO).date())
    except (BadInput, ValueError, OverflowError):
        raise BadInput(f"{text[:40]!r} is no day", field=field, next_step="Write YYYY-MM-DD.") from None


def _known(day: date) -> date:
    if day.year not in YEARS:
        raise ValueError(day)
    return day


def parse_instant(text: str, field: str = "at") -> datetime:
    """Read an ISO 8601 timestamp with offset. Raises BadInput."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadInput(
            f"{text[:40]!r} is no time with offset", field=field, next_step="Write 2025-05-01T09:00:00+09:00."
        )
    return found


def period_end(first: date, count: int) -> date:
    """The last day of a period of `count` months that begins with `first`, that day included (Civil Code art. 143).

    It ends the day before the like-numbered day, or on the last day of the last month if that has none.
    Raises BadInput for a count below 1.
    """
    if count < 1:
        raise BadInput(f"{count} is no number of months", field="months", next_step="Give a whole number from 1.")
    target = Month.of(first).plus(count)
    if first.day > target.days:
        return target.last
    return date(target.year, target.month, first.day) - timedelta(days=1)


def days_after(day: date, count: int) -> date:
    """The last day of a period of days "from the day": the day itself does not count (Civil Code art. 140, 141)."""
    return day + timedelta(days=count)


def months_after(day: date, count: int) -> date:
    """The last day of a period of months "from the day": it starts on the next day, then follows `period_end`."""
    return period_end(day + timedelta(days=1), count)
