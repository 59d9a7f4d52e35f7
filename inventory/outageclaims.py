"""A claim for an outage, from the outage to the credit (service-terms §8, MPC-17, SMF-26.1). Instants carry offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from inventory.amounts import Amount
from inventory.calendar import TOKYO
from inventory.catalogue import Service
from inventory.deadlines import UNUSABLE, claim_last_day, claimable_at
from inventory.errors import RuleViolation
from inventory.outages import Outage, credit


class ClaimState(StrEnum):
    """Where a claim stands."""

    WATCHING = "watching"
    CLAIMABLE = "claimable"
    CLAIMED = "claimed"
    CREDITED = "credited"
    REJECTED = "rejected"
    LAPSED = "lapsed"
    CLOSED = "closed"


FINAL: Final = frozenset({ClaimState.CREDITED, ClaimState.REJECTED, ClaimState.LAPSED, ClaimState.CLOSED})


@dataclass(frozen=True, slots=True)
class OutageClaim:
    """One outage of one management. `known` None: the provider does not know yet; `ended` None: it goes on."""

    service: Service
    began: datetime
    known: datetime | None = None
    ended: datetime | None = None
    attributable: bool | None = None
    """None: not decided yet."""
    claimed_on: date | None = None
    state: ClaimState = ClaimState.WATCHING
    reason: str = ""
    credit: Amount | None = None

    @property
    def rule(self) -> str:
        """The rule that speaks for this service."""
        return "MPC-17" if self.service == "mpc" else "SMF-26.1"

    @property
    def full_at(self) -> datetime | None:
        """When the 24th hour is complete; None while mpc's clock has not begun."""
        if self.service == "mpc" and self.known is None:
            return None
        return claimable_at(self.service, self.began, self.known or self.began)

    @property
    def last_day(self) -> date | None:
        """The last day on which a claim is in time; None while none is possible."""
        full = self.full_at
        return None if full is None else claim_last_day(full.astimezone(TOKYO).date())


def look(claim: OutageClaim, now: datetime) -> OutageClaim:
    """What the clock has made of it by `now`: closed under 24 hours, claimable after, lapsed after the last day."""
    full = claim.full_at
    if claim.state is ClaimState.WATCHING:
        if claim.ended is not None and (full is None or claim.ended < full):
            return replace(claim, state=ClaimState.CLOSED, reason=f"usable again in under {UNUSABLE.days * 24} hours")
        if full is None or now < full:
            return claim
        if claim.attributable is False:
            return replace(claim, state=ClaimState.CLOSED, reason="the provider does not answer for it")
        state = ClaimState.CLAIMABLE if claim.claimed_on is None else ClaimState.CLAIMED
        claim = replace(claim, state=state)
    last = claim.last_day
    if claim.state is ClaimState.CLAIMABLE and last is not None and now.astimezone(TOKYO).date() > last:
        return replace(claim, state=ClaimState.LAPSED, reason=f"no claim came until {last}")
    return claim


def arrives(claim: OutageClaim, day: date) -> OutageClaim:
    """A claim came; made too early it counts from the day on which it becomes possible. Raises RuleViolation."""
    match claim.state:
        case ClaimState.WATCHING:
            return replace(claim, claimed_on=day)
        case ClaimState.CLAIMABLE if claim.last_day is None or day <= claim.last_day:
            return replace(claim, state=ClaimState.CLAIMED, claimed_on=day)
        case _:
            raise RuleViolation(
                f"a claim is not possible: the outage is {claim.state}" + (f", {claim.reason}" if claim.reason else ""),
                rule=claim.rule,
                next_step="Claims are made within three months of the day on which the 24th hour was complete.",
            )


def usable_again(claim: OutageClaim, at: datetime) -> OutageClaim:
    """The management can be used again. A fact: recorded once, in any state that is not final."""
    if claim.state in FINAL or claim.ended is not None:
        return claim
    return look(replace(claim, ended=at), at)


def decide(claim: OutageClaim, monthly_yen: int, *, attributable: bool, reason: str) -> OutageClaim:
    """Decide a claim when the outage is over: credited on the next invoice, or rejected with the reason.

    `monthly_yen`: the whole management's fee on the day it began. Raises RuleViolation.
    """
    if claim.state is not ClaimState.CLAIMED or claim.ended is None:
        raise RuleViolation(
            "an outage is decided when it is over and claimed",
            rule=claim.rule,
            next_step="Wait for its end, or record it." if claim.ended is None else f"It is {claim.state}.",
        )
    outage = Outage(claim.began, claim.known or claim.began, claim.ended, attributable)
    amount = credit(claim.service, monthly_yen, outage, claimed_on=claim.claimed_on)
    state = ClaimState.CREDITED if amount.yen else ClaimState.REJECTED
    words = reason if amount.yen else "; ".join(one for one in (amount.reason, reason) if one)
    return replace(claim, state=state, attributable=attributable, reason=words, credit=amount)
