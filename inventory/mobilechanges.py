"""What the terms still allow to change of a mobile plan or of packet packs, by which day, and when it holds (MPC-9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from inventory.calendar import Month
from inventory.mobileusage import GB, allowance_gb
from inventory.optionrules import MIN_PACKS_GB, MOBILE_PLANS, packs_change, plan_change


@dataclass(frozen=True, slots=True)
class PossibleChange:
    """One change that may be asked for from `request_from` to `request_by`, and holds from `effective` on."""

    what: str
    """`plan` or `packs-gb`, as a change-option event takes it."""
    value: str | int
    rule: str
    request_from: date
    request_by: date
    effective: date
    allowance_gb: int | None
    """What it brings a month; None: no limit of its own, or that of the group."""
    before_run_out: bool | None
    """Whether it holds before the day on which the present plan runs out; None: no such day is known."""
    enough: bool | None
    """Whether it suffices for the month's use at the present pace, band included; None: not known."""


def plan_changes(
    plan: str, today: date, *, run_out: date | None, month_octets: float | None, ends: date | None
) -> tuple[PossibleChange, ...]:
    """Changes of a mobile plan out of one that is counted; none for `normal` and `backup`, which do not run out.

    `month_octets`: expected use of the month in which it would hold. `ends`: last day of the option, if it is known;
    a change after it is not possible.
    """
    if allowance_gb(plan) is None and plan != "packet-share":
        return ()
    asked = today + timedelta(days=1) if today == Month.of(today).last else today
    found = []
    for value in MOBILE_PLANS:
        if value != plan:
            effective = plan_change(plan, value, asked)
            by = Month.of(effective).plus(-1).last - timedelta(days=1)
            brings = allowance_gb(value)
            found.append(
                PossibleChange(
                    "plan",
                    value,
                    "MPC-9.2(2)(i)",
                    asked,
                    by,
                    effective,
                    brings,
                    _before(effective, run_out),
                    _enough(brings, month_octets),
                )
            )
    return _until(found, ends)


def packs_changes(
    packs_gb: int, today: date, *, run_out: date | None, month_octets: float | None, ends: date | None
) -> tuple[PossibleChange, ...]:
    """The change to the smallest number of packs that suffices; none if that is not known, or is what there is."""
    if month_octets is None:
        return ()
    value = max(MIN_PACKS_GB, ceil(month_octets / GB))
    if value == packs_gb:
        return ()
    effective = packs_change(packs_gb, value, today)
    by = effective - timedelta(days=1)
    before = _before(effective, run_out)
    return _until([PossibleChange("packs-gb", value, "MPC-9.2(3)", today, by, effective, value, before, True)], ends)


def _before(effective: date, run_out: date | None) -> bool | None:
    return None if run_out is None else effective <= run_out


def _enough(brings: int | None, month_octets: float | None) -> bool | None:
    return None if brings is None or month_octets is None else brings * GB >= month_octets


def _until(found: list[PossibleChange], ends: date | None) -> tuple[PossibleChange, ...]:
    return tuple(one for one in found if ends is None or one.effective <= ends)
