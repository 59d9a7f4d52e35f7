"""Monthly fees and minimum-period sums (service-terms §6). Whole yen without tax; every amount explains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal

from inventory.amounts import Amount, Part, prorated
from inventory.calendar import Month, months, period_end
from inventory.catalogue import Service
from inventory.errors import BadInput

Kind = Literal[
    "management",
    "adapter",
    "adapter-rental",
    "ultra-send-back",
    "mobile-access",
    "packet-share-group",
    "ultra-firewall",
]
KINDS: Final[tuple[Kind, ...]] = (
    "management",
    "adapter",
    "adapter-rental",
    "ultra-send-back",
    "mobile-access",
    "packet-share-group",
    "ultra-firewall",
)
WHOLE_MONTH_PLANS: Final = frozenset({"10GB", "30GB", "50GB", "packet-share"})
"""Plans of which the month of the stop is charged whole (MPC-9.6)."""
TRANSITION_DAY: Final = date(2009, 11, 1)
"""Rentals concluded before it use the model registered on it (SMF-S2009-11.2)."""


def a_kind(kind: str) -> str:
    """A kind with its article, for messages: `an adapter`."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


@dataclass(frozen=True, slots=True)
class Life:
    """When a line is charged: from its billing start date to its last day of service; None: it goes on."""

    billing_start: date
    ended: date | None = None

    @property
    def charged_at_all(self) -> bool:
        """A line that ends before its billing start date owes its initial fee only (SMF-15.3, 15.4)."""
        return self.ended is None or self.ended >= self.billing_start


def charges_whole_month(kind: Kind, plan: str | None) -> bool:
    """Whether the month of the stop is charged whole (MPC-9.6)."""
    return kind == "packet-share-group" or (kind == "mobile-access" and plan in WHOLE_MONTH_PLANS)


# --- one line ---------------------------------------------------------------------------------------------------------


def line_fee(kind: Kind, life: Life, monthly_yen: int, month: Month, *, plan: str | None = None) -> Amount:
    """The fee of one line in one month: prorated by days where the month is cut short (SMF-15.3, 15.4), whole in the
    month in which a mobile plan or packet group is stopped before its last day (MPC-9.6), 0 outside its life."""
    first = max(life.billing_start, month.first)
    last = month.last if life.ended is None else min(life.ended, month.last)
    if not life.charged_at_all or last < first:
        return Amount((), ("SMF-15.3",), f"the line is not charged in {month}")
    if charges_whole_month(kind, plan) and last < month.last:
        return Amount((prorated(month, month.days, monthly_yen),), ("MPC-9.6",), "stopped inside the month")
    days = (last - first).days + 1
    rules = ("SMF-15.3",) if days == month.days else ("SMF-15.3", "SMF-15.4")
    return Amount((prorated(month, days, monthly_yen),), rules)


# --- slots ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChargedSlot:
    """One slot as it is charged: `last` is None while it stands."""

    first: date
    last: date | None = None

    def days_in(self, month: Month, ended: date | None) -> int:
        """Days of the month on which it is charged."""
        end = min(day for day in (month.last, self.last, ended) if day is not None)
        return max(0, (end - max(self.first, month.first)).days + 1)


def charged_slots(changes: Sequence[tuple[date, int]]) -> tuple[ChargedSlot, ...]:
    """The slots that a history of counts has made, and how long each is charged (SMF-15.5).

    `changes`: first day and count, ascending, one per day; the first is the billing start date. Newest slots are
    released first; one that was in use for less than a month is charged until a month from its start is over. A slot
    added while a released one is still charged takes its place and its start, the latest start first.
    Raises BadInput for days that do not ascend or a negative count.
    """
    slots: list[ChargedSlot] = []
    before: date | None = None
    for day, count in changes:
        if count < 0 or (before is not None and day <= before):
            raise BadInput("counts are dated facts in ascending order, none below 0", field="changes")
        before = day
        standing = sum(slot.last is None for slot in slots)
        for _ in range(count - standing):
            _add(slots, day)
        for _ in range(standing - count):
            _release(slots, day)
    return tuple(slots)


def _add(slots: list[ChargedSlot], day: date) -> None:
    released = [at for at, slot in enumerate(slots) if slot.last is not None and slot.last >= day]
    if released:
        at = max(released, key=lambda number: slots[number].first)
        slots[at] = replace(slots[at], last=None)
    else:
        slots.append(ChargedSlot(day))


def _release(slots: list[ChargedSlot], day: date) -> None:
    standing = [at for at, slot in enumerate(slots) if slot.last is None]
    at = max(standing, key=lambda number: slots[number].first)
    slots[at] = replace(slots[at], last=max(day - timedelta(days=1), period_end(slots[at].first, 1)))


def slot_fee(monthly_yen: int, changes: Sequence[tuple[date, int]], month: Month, ended: date | None = None) -> Amount:
    """The month's fee of one kind of slot, entries or standbys (SMF-15.5): the sum of each slot's days, floored once.

    If the line ends, charging ends with it.
    """
    by_days: dict[int, int] = {}
    for slot in charged_slots(changes):
        days = slot.days_in(month, ended)
        if days:
            by_days[days] = by_days.get(days, 0) + 1
    if not by_days:
        return Amount((), ("SMF-15.5",), f"no slot is charged in {month}")
    parts = [prorated(month, days, monthly_yen, count=count) for days, count in sorted(by_days.items(), reverse=True)]
    return Amount(tuple(parts), ("SMF-15.3", "SMF-15.5"))


# --- before the minimum period is over --------------------------------------------------------------------------------


def last_day_charged(kind: Kind, ended: date, plan: str | None = None) -> date:
    """The last day that the monthly fees of an ended line have covered: its end, or its month's last day (MPC-9.6)."""
    return Month.of(ended).last if charges_whole_month(kind, plan) else ended


def early_termination(
    life: Life,
    minimum_months: int,
    monthly_yen: int,
    *,
    service: Service = "smfsx",
    kind: Kind | None = None,
    plan: str | None = None,
    exempt: bool = False,
) -> Amount:
    """The sum for the rest of the minimum period (MPC-16.1, MPC-16.2, SMF-16.2), from the day after the last day
    charged; each calendar month it touches is prorated, the whole floored once. Who terminates has no effect.

    `kind` None: an adapter or rental. `exempt`: article 28(2)/(3) of the general terms holds; it covers mpc lines, no
    options and nothing of smfsx. Raises BadInput when the line has no end.
    """
    if life.ended is None:
        raise BadInput("a line that goes on has no minimum-period sum", field="ended")
    line = kind or ("adapter" if service == "mpc" else "adapter-rental")
    rule = _early_rule(service, line)
    if not life.charged_at_all:
        return Amount((), (rule,), "it ended before its billing start date")
    if exempt and service == "mpc" and line in {"management", "adapter"}:
        return Amount((), ("MPC-16.1",), "article 28(2) or (3) of the general terms holds")
    last = period_end(life.billing_start, minimum_months)
    first = last_day_charged(line, life.ended, plan) + timedelta(days=1)
    if first > last:
        return Amount((), (rule,), f"the minimum period was over on {last}")
    return Amount(tuple(rest_of_period(first, last, monthly_yen)), (rule, *_ANNEX.get(rule, ())))


def rest_of_period(first: date, last: date, monthly_yen: int) -> list[Part]:
    """The monthly fees of the days from `first` to `last`, each calendar month prorated."""
    parts = []
    for month in months(first, last):
        days = (min(last, month.last) - max(first, month.first)).days + 1
        parts.append(prorated(month, days, monthly_yen))
    return parts


_ANNEX: Final[Mapping[str, tuple[str, ...]]] = {"MPC-16.1": ("MPC-A2.1",), "MPC-16.2": ("MPC-A2.2",)}
"""Where the terms say how the sum is made."""


def _early_rule(service: Service, kind: Kind) -> str:
    if service == "smfsx":
        return "SMF-16.2"
    return "MPC-16.1" if kind in {"management", "adapter"} else "MPC-16.2"


def rental_early_termination(
    life: Life,
    concluded: date,
    registered: Sequence[tuple[date, str]],
    monthly_yen: Mapping[str, int],
    minimum_months: int = 12,
) -> Amount:
    """The sum of an adapter rental, by the model registered when it was concluded, whatever it is now (SMF-16.3);
    concluded before 2009-11-01, by the model registered on that day (SMF-S2009-11.2).

    `registered`: first day and model, ascending, the first on `concluded`. `monthly_yen`: by model. Raises BadInput.
    """
    of_day = TRANSITION_DAY if concluded < TRANSITION_DAY else concluded
    known = [model for day, model in registered if day <= of_day]
    if not known:
        raise BadInput("no model is registered on the day of conclusion", field="models", rule="SMF-16.3")
    if known[-1] not in monthly_yen:
        raise BadInput(f"the price list has no fee for {known[-1]}", field="monthly_yen", rule="SMF-16.3")
    found = early_termination(life, minimum_months, monthly_yen[known[-1]], service="smfsx", kind="adapter-rental")
    rule = "SMF-S2009-11.2" if concluded < TRANSITION_DAY else "SMF-16.3"
    return replace(found, rules=(*found.rules, rule), reason=found.reason or f"by the model of {of_day}: {known[-1]}")
