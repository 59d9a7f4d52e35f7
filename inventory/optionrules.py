"""How options change, and what ends with what (MPC-9, MPC-6.7, 6.8, SMF-23.3, service-terms §2.4, §4, §5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from inventory.calendar import Month
from inventory.errors import BadInput, RuleViolation
from inventory.fees import WHOLE_MONTH_PLANS, Kind

MobilePlan = Literal["normal", "backup", "10GB", "30GB", "50GB", "packet-share"]
MOBILE_PLANS: Final[tuple[MobilePlan, ...]] = ("normal", "backup", "10GB", "30GB", "50GB", "packet-share")
NetworkType = Literal["dynamic-ip", "fixed-ip"]
NETWORK_TYPES: Final[tuple[NetworkType, ...]] = ("dynamic-ip", "fixed-ip")
MIN_PACKS_GB: Final = 50

_NETWORK_TYPE_FROM: Final = date(2024, 3, 1)
_STANDARD_FROM: Final = date(2024, 5, 1)
_SMFSX_FROM: Final = date(2011, 4, 1)


# --- changes ----------------------------------------------------------------------------------------------------------


def plan_change(before: str, after: str, requested: date) -> date:
    """First day of another mobile plan; requested and accepted on one day (MPC-9.2(2)(i)).

    Raises RuleViolation on the last day of a month and for the same plan, BadInput for a plan that does not exist.
    """
    for plan in (before, after):
        if plan not in MOBILE_PLANS:
            raise BadInput(
                f"{plan[:40]!r} is no mobile plan", field="plan", next_step=f"Use one of {', '.join(MOBILE_PLANS)}."
            )
    _require_change(before, after, "plan", "MPC-9.2(2)(i)")
    month = Month.of(requested)
    if requested == month.last:
        raise RuleViolation(
            "no plan change may be requested on the last day of a month",
            rule="MPC-9.2(2)(i)",
            field="requested",
            next_step=f"Ask again on {month.plus(1).first}.",
        )
    if {before, after} & WHOLE_MONTH_PLANS:
        return month.plus(1).first
    return requested


def network_type_change(before: str, after: str, requested: date) -> date:
    """First day of another network type: the day it is accepted (MPC-9.2(2)(ii)). Raises RuleViolation, BadInput."""
    for found in (before, after):
        if found not in NETWORK_TYPES:
            raise BadInput(f"{found[:40]!r} is no network type", field="network_type", next_step="dynamic-ip, fixed-ip")
    _require_change(before, after, "network type", "MPC-9.2(2)(ii)")
    return requested


def packs_change(before_gb: int, after_gb: int, requested: date) -> date:
    """First day of another number of packs: the next month's (MPC-9.2(3)). Raises RuleViolation below 50 GB."""
    require_packs(after_gb)
    _require_change(before_gb, after_gb, "number of packs", "MPC-9.2(3)")
    return Month.of(requested).plus(1).first


def require_packs(packs_gb: int) -> None:
    """Raises RuleViolation for less than 50 GB (MPC-9.2(3))."""
    if packs_gb < MIN_PACKS_GB:
        raise RuleViolation(
            f"{packs_gb} GB is less than a group may have",
            rule="MPC-9.2(3)",
            field="packs_gb",
            next_step=f"Take at least {MIN_PACKS_GB} GB.",
        )


def _require_change(before: object, after: object, what: str, rule: str) -> None:
    if before == after:
        raise RuleViolation(f"the {what} is {after} already", rule=rule, next_step="Nothing has to be done.")


# --- what ends together -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """A line or option with what it hangs on."""

    kind: Kind
    on: str | None = None
    """The adapter line, rental or management that it is bound to."""
    group: str | None = None
    """The packet share group of a mobile access."""


def ends_together(lines: Mapping[str, Bound], ending: Collection[str]) -> tuple[str, ...]:
    """The other names that end on the same day, sorted: options with what they are bound to (SMF-23.3), a group with
    its last member (MPC-9.7), members with their group (MPC-9.8)."""
    ended = set(ending)
    while more := {name for name, line in lines.items() if name not in ended and _falls(name, line, lines, ended)}:
        ended |= more
    return tuple(sorted(ended - set(ending)))


def _falls(name: str, line: Bound, lines: Mapping[str, Bound], ended: Collection[str]) -> bool:
    if line.on in ended or line.group in ended:
        return True
    members = [other for other, bound in lines.items() if bound.group == name]
    return line.kind == "packet-share-group" and bool(members) and all(member in ended for member in members)


# --- lines of earlier terms -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transition:
    """What a line of earlier terms is from `first_day` on, if it was concluded before."""

    rule: str
    first_day: date
    becomes: str


TRANSITIONS: Final[Mapping[str, Transition]] = {
    "mobile-access": Transition("MPC-S2024-03.2", _NETWORK_TYPE_FROM, "dynamic-ip"),
    "mpc": Transition("MPC-S2024-05.2", _STANDARD_FROM, "standard"),
    "smf": Transition("SMF-S2011-04.2", _SMFSX_FROM, "smfsx"),
}


def transitional(line: str, concluded: date, as_of: date, chosen: str | None = None) -> str | None:
    """What a line of earlier terms is on a day (service-terms §2.4); `chosen` where the rule does not reach.

    No rule starts a new minimum period. Raises BadInput for a line that no rule names.
    """
    rule = TRANSITIONS.get(line)
    if rule is None:
        raise BadInput(f"{line[:40]!r} has no transitional rule", field="line", next_step=", ".join(TRANSITIONS))
    return rule.becomes if concluded < rule.first_day <= as_of else chosen
