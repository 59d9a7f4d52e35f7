"""Days, weeks and months are selections of 5-minute slots in a time zone, never a second grid (§2.1, §3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from inventory.errors import BadInput
from inventory.timeslots import window_slots

TOKYO = "Asia/Tokyo"


class Period(StrEnum):
    """What one report covers. A week is Monday to Sunday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    FREE = "free"
    """Any days; it has no next one, so nothing is scheduled by it."""


FREE_DAYS_AT_MOST = 400
FIRST_YEAR, YEARS_END = 1971, 2200


def require_year(day: date, field: str) -> None:
    """Raises BadInput for a day outside 1971 to 2199: beyond them there are no instants in every zone."""
    if not FIRST_YEAR <= day.year < YEARS_END:
        raise BadInput(
            f"{day} lies outside {FIRST_YEAR} to {YEARS_END - 1}", field=field, next_step="Name a day with readings."
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Local days [first, after) of a zone."""

    first: date
    after: date
    zone: str = TOKYO

    @property
    def start_ms(self) -> int:
        return day_start_ms(self.first, self.zone)

    @property
    def end_ms(self) -> int:
        return day_start_ms(self.after, self.zone)

    @property
    def slots(self) -> int:
        return window_slots(self.start_ms, self.end_ms)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=i) for i in range((self.after - self.first).days))


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises BadInput if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"there is no time zone “{name}”", next_step="Use an IANA name such as Asia/Tokyo.", field="zone"
        ) from error


def instant_ms(moment: datetime) -> int:
    """Milliseconds since the Unix epoch of an aware datetime."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def moment_at(t_ms: int, zone: str = "UTC") -> datetime:
    """The aware datetime of an instant, in a zone."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=t_ms)
    return moment.astimezone(zone_of(zone))


def local_ms(day: date, at: time, zone: str) -> int:
    """Instant of a local time: the first where it occurs twice, the next existing minute where it does not."""
    tz = zone_of(zone)
    wanted = datetime.combine(day, at)
    while True:
        moment = wanted.replace(tzinfo=tz).astimezone(UTC)
        if moment.astimezone(tz).replace(tzinfo=None) == wanted:
            return instant_ms(moment)
        wanted = wanted.replace(second=0, microsecond=0) + timedelta(minutes=1)


def day_start_ms(day: date, zone: str) -> int:
    """First instant of a local day."""
    return local_ms(day, time(0), zone)


def day_of(t_ms: int, zone: str) -> date:
    """Local day of an instant."""
    return moment_at(t_ms, zone).date()


def free_span(first: date, last: date, zone: str = TOKYO) -> Span:
    """The days from `first` to `last`, both of them in it. Raises BadInput for none, or more than 400."""
    if not 0 <= (last - first).days < FREE_DAYS_AT_MOST:
        raise BadInput(
            f"{first.isoformat()} to {last.isoformat()} are not 1 to {FREE_DAYS_AT_MOST} days in order",
            field="last_day",
            next_step="Give the first and the last day.",
        )
    return Span(first, last + timedelta(days=1), zone)


def span_of(period: Period, day: date, zone: str = TOKYO) -> Span:
    """The period of that kind which contains `day`. Raises BadInput for a free one, see `free_span`."""
    match period:
        case Period.DAY:
            return Span(day, day + timedelta(days=1), zone)
        case Period.WEEK:
            monday = day - timedelta(days=day.weekday())
            return Span(monday, monday + timedelta(days=7), zone)
        case Period.MONTH:
            first = day.replace(day=1)
            return Span(first, (first + timedelta(days=31)).replace(day=1), zone)
        case Period.FREE:
            raise BadInput("a free period has two days", field="period", next_step="Give the first and the last day.")
