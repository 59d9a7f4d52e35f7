"""What an outage is worth (MPC-17, MPC-A3, SMF-26.1). Instants carry their offset; credits are positive whole yen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from inventory.amounts import Amount, Part
from inventory.catalogue import Service
from inventory.deadlines import UNUSABLE, claim_last_day, claimable_from


@dataclass(frozen=True, slots=True)
class Outage:
    """A management was wholly unusable, or as good as; `ended`: usable again."""

    began: datetime
    known: datetime
    """When the provider knew."""
    ended: datetime
    attributable: bool = True
    """The provider answers for it."""


def credit(service: Service, monthly_yen: int, outage: Outage, *, claimed_on: date | None = None) -> Amount:
    """The credit for one outage; `monthly_yen` is the whole management's fee on the day it began.

    mpc: 1/30, whatever the length, when it lasted 24 hours from when the provider knew (MPC-17). smfsx: 1/30 for
    every full 24 hours from when it began, without an upper limit (SMF-26.1). `claimed_on` None: claimed in time. Where
    nothing is owed under smfsx nothing else is, either: there are no damages beyond this credit (SMF-26.2).
    """
    rule = "MPC-17" if service == "mpc" else "SMF-26.1"
    nothing = (rule,) if service == "mpc" else (rule, "SMF-26.2")
    clock = outage.known if service == "mpc" else outage.began
    length = outage.ended - clock
    if not outage.attributable:
        return Amount((), nothing, "the provider does not answer for it")
    if length < UNUSABLE:
        return Amount((), nothing, "less than 24 hours without a break")
    last = claim_last_day(claimable_from(service, outage.began, outage.known))
    if claimed_on is not None and claimed_on > last:
        return Amount((), nothing, f"a claim was possible until {last}")
    thirtieths = 1 if service == "mpc" else length // timedelta(hours=24)
    part = Part(f"{thirtieths} × {monthly_yen:,}/30", Fraction(thirtieths * monthly_yen, 30))
    return Amount((part,), (rule, "MPC-A3") if service == "mpc" else (rule,))
