"""An outage as it is known: a fold over what was recorded of it, each fact with when it was learnt (MPC-17, SMF-26.1).

A correction is one more fact of the same name; the newest counts. What is recorded later never changes how the outage
stood, as known at an earlier instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Final, Literal, get_args

from inventory.amounts import Amount, Part
from inventory.calendar import TOKYO
from inventory.catalogue import Service
from inventory.errors import RuleViolation
from inventory.outageclaims import ClaimState, OutageClaim, arrives, look

FactName = Literal["began", "known", "ended", "attributable", "claimed", "decided"]
FACTS: Final[tuple[FactName, ...]] = get_args(FactName)


@dataclass(frozen=True, slots=True)
class OutageFact:
    """One thing learnt: an instant in milliseconds, a day, or a word (`yes`, `no`, `unknown`)."""

    name: FactName
    value: str
    recorded_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """How a claim was decided, with what the credit was computed from."""

    credited: bool
    reason: str
    amount: Amount
    decided_ms: int


@dataclass(frozen=True, slots=True)
class OutageBook:
    """An outage with its claim."""

    claim: OutageClaim
    alerts: tuple[str, ...] = ()
    """Claims that came and do not fit, in the words of their refusal."""


def fold(
    service: Service,
    facts: Sequence[OutageFact],
    now: datetime,
    *,
    decision: Decision | None = None,
    known_at_ms: int | None = None,
) -> OutageBook | None:
    """The outage as it stands at `now`, by what was recorded until `known_at_ms`; None if nothing was known of it."""
    learnt = [one for one in facts if known_at_ms is None or one.recorded_ms <= known_at_ms]
    newest = {one.name: one for one in sorted(learnt, key=lambda one: one.recorded_ms)}
    if "began" not in newest:
        return None
    ended = _at(newest.get("ended"))
    claim = OutageClaim(service, _instant(newest["began"].value), _at(newest.get("known")))
    claim = replace(claim, attributable=_attribution(learnt, claim.full_at))
    alerts: list[str] = []
    if ended is not None and ended <= now:
        claim = replace(claim, ended=ended)
    for day in sorted(date.fromisoformat(one.value) for one in learnt if one.name == "claimed"):
        at = min(datetime.combine(day + timedelta(days=1), time(), TOKYO) - timedelta(milliseconds=1), now)
        claim = look(claim, at)
        try:
            claim = arrives(claim, day)
        except RuleViolation as error:
            alerts.append(error.message)
    claim = look(claim, now)
    if decision is not None and (known_at_ms is None or decision.decided_ms <= known_at_ms):
        state = ClaimState.CREDITED if decision.credited else ClaimState.REJECTED
        claim = replace(claim, state=state, reason=decision.reason, credit=decision.amount)
    return OutageBook(claim, tuple(alerts))


def credit_kept(parts: Iterable[tuple[str, str]], rules: Sequence[str], reason: str) -> Amount:
    """The amount of a decision as it was kept: words and exact yen of each part."""
    return Amount(tuple(Part(words, Fraction(exact)) for words, exact in parts), tuple(rules), reason)


def _at(found: OutageFact | None) -> datetime | None:
    return None if found is None or found.value == "unknown" else _instant(found.value)


def _attribution(learnt: Sequence[OutageFact], full: datetime | None) -> bool | None:
    """What was found until the 24th hour was complete; later a claim is decided, and the decision says it (§8)."""
    found = [
        one for one in learnt if one.name == "attributable" and (full is None or _instant(str(one.recorded_ms)) < full)
    ]
    last = max(found, key=lambda one: one.recorded_ms, default=None)
    return None if last is None or last.value == "unknown" else last.value == "yes"


def _instant(value: str) -> datetime:
    at_ms = int(value)
    return datetime.fromtimestamp(at_ms // 1000, TOKYO) + timedelta(milliseconds=at_ms % 1000)
