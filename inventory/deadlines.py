"""When things take effect and until when they are in time (service-terms §5, §6, §6.1). Days are Tokyo days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, Literal

from inventory.calendar import TOKYO, days_after, months_after, period_end
from inventory.catalogue import Service
from inventory.errors import RuleViolation

NOTICE_DAYS: Final = 30
RETURN_DAYS: Final = 30
PLANNED_NOTICE_DAYS: Final = 14
ABOLITION_NOTICE_MONTHS: Final = 3
CLAIM_MONTHS: Final = 3
UNUSABLE: Final = timedelta(hours=24)

NoticeKind = Literal["planned-interruption", "abolition"]


def termination_effective(notice_arrived: date, named: date | None = None) -> date:
    """Last day of service after a termination notice: the later of the 30th day after its arrival and the day that
    the contractor named (MPC-14, MPC-9.5, SMF-23.2)."""
    earliest = days_after(notice_arrived, NOTICE_DAYS)
    return earliest if named is None else max(earliest, named)


def minimum_period_end(billing_start: date, months: int) -> date:
    """Last day of a minimum period; it counts the billing start date (MPC-5, MPC-9.3, SMF-16.1)."""
    return period_end(billing_start, months)


def return_due(contract_end: date) -> date:
    """Last day on which a unit is returned in time (MPC-10.3, SMF-9.3). From the next day on it counts as lost
    (MPC-13.2, SMF-11.2)."""
    return days_after(contract_end, RETURN_DAYS)


def lost_from(contract_end: date) -> date:
    """The day from which a unit that was not returned counts as lost (MPC-13.2, SMF-11.2)."""
    return return_due(contract_end) + timedelta(days=1)


def send_off_by(replacement_arrived: date) -> date:
    """Last day on which a failed unit is sent off in time (SMF-10.2; mpc likewise)."""
    return days_after(replacement_arrived, RETURN_DAYS)


def claimable_at(service: Service, began: datetime, known: datetime) -> datetime:
    """When the 24th hour of an outage is complete, by the service's clock: mpc counts from when the provider knew
    (MPC-17), smfsx from when it began (SMF-26.1)."""
    return (known if service == "mpc" else began) + UNUSABLE


def claimable_from(service: Service, began: datetime, known: datetime) -> date:
    """The Tokyo day on which a claim becomes possible."""
    return claimable_at(service, began, known).astimezone(TOKYO).date()


def claim_last_day(claimable: date) -> date:
    """Last day on which a claim is in time: three months from the day it became possible (MPC-17, SMF-26.1)."""
    return months_after(claimable, CLAIM_MONTHS)


def earliest_after_notice(kind: NoticeKind, notified: date) -> date:
    """The earliest day that a notice of this day is early enough for (SMF-20: 14 days; SMF-22: 3 months)."""
    if kind == "abolition":
        return months_after(notified, ABOLITION_NOTICE_MONTHS)
    return days_after(notified, PLANNED_NOTICE_DAYS)


def notice_in_time(kind: NoticeKind, day: date, notified: date, *, emergency: bool = False) -> bool:
    """Whether what takes place on `day` was notified early enough; an emergency always is, but only of an
    interruption (SMF-20): abolition knows none (SMF-22)."""
    return (emergency and kind == "planned-interruption") or day >= earliest_after_notice(kind, notified)


def require_notice(kind: NoticeKind, day: date, notified: date, *, emergency: bool = False) -> None:
    """Raises RuleViolation with the earliest day that the notice allows."""
    if notice_in_time(kind, day, notified, emergency=emergency):
        return
    earliest = earliest_after_notice(kind, notified)
    raise RuleViolation(
        f"a notice of {notified} is too late for {day}",
        rule="SMF-22" if kind == "abolition" else "SMF-20",
        field="day",
        next_step=f"The earliest day is {earliest}; choose it or a later one.",
        facts={"notified": str(notified), "day": str(day), "earliest": str(earliest)},
    )
