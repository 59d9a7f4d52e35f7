"""Why a mobile plan stands as it does, in words: what was used, what is not known, what may still be done (MPC-9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from inventory.calendar import Month
from inventory.explain import Explanation, Fact
from inventory.mobilechanges import PossibleChange
from inventory.mobileusage import GB, Pace, RunOut, RunOutState, Used


@dataclass(frozen=True, slots=True)
class MobileFacts:
    """All that the explanation of a mobile access or a packet share group rests on."""

    subject: str
    month: Month
    plan: str
    group: bool
    allowance_gb: int | None
    used: Used
    linked: bool
    as_of_ms: int
    pace: Pace | None
    run_out: RunOut
    next_month: RunOut | None
    changes: tuple[PossibleChange, ...]


def explain_mobile(facts: MobileFacts) -> Explanation:
    """The word is the state of the month; the facts are use, pace, and each change that the terms allow."""
    found = [Fact(facts.as_of_ms, f"{_amount(facts.used)}; {_covered(facts.used)}", "counters of the mobile interface")]
    if facts.pace is not None:
        found.append(
            Fact(
                facts.as_of_ms,
                f"{facts.pace.mean / GB:.2f} GB a day, ± {facts.pace.deviation / GB:.2f},"
                f" on {facts.pace.days} measured days",
                "forecast",
            )
        )
    if facts.next_month is not None:
        found.append(Fact(facts.as_of_ms, f"{facts.month.plus(1)}: {_says(facts.next_month)}", "forecast"))
    found += [Fact(facts.as_of_ms, _change(one), "terms", one.rule) for one in facts.changes]
    return Explanation(facts.subject, facts.run_out.state.value, _summary(facts), tuple(found), _next(facts))


def _summary(facts: MobileFacts) -> str:
    what = "packet share group" if facts.group else f"plan {facts.plan or 'unknown'}"
    limit = "" if facts.allowance_gb is None else f" of {facts.allowance_gb} GB"
    seat = "" if facts.linked or not facts.used.wanted_ms else "; no link of the line type mobile was counted"
    return f"{what}{limit}, {facts.month}: {_amount(facts.used)}, {_covered(facts.used)}; {_says(facts.run_out)}{seat}."


def _amount(used: Used) -> str:
    low = f"{used.octets_low / GB:.3f}"
    if used.octets_high is None:
        return f"at least {low} GB, no upper bound is known"
    high = f"{used.octets_high / GB:.3f}"
    return f"{low} GB" if low == high else f"{low} to {high} GB"


def _covered(used: Used) -> str:
    return f"{100 * used.coverage:.1f} % measured" if used.wanted_ms else "not in service"


def _says(found: RunOut) -> str:
    between = f" (early {_day(found.early)}, late {_day(found.late)})"
    match found.state:
        case RunOutState.NO_LIMIT:
            return "it has no limit of its own"
        case RunOutState.ALREADY:
            return f"used up by {_day(found.day)}{between}"
        case RunOutState.EXPECTED:
            return f"runs out on {_day(found.day)} at the present pace{between}"
        case RunOutState.POSSIBLE:
            return f"cannot be excluded to run out from {_day(found.early)} on"
        case RunOutState.NONE:
            return "does not run out in the month"
        case RunOutState.NOT_ENOUGH_DATA:
            return "too few measured days for a forecast"


def _day(day: date | None) -> str:
    return "not in the month" if day is None else day.isoformat()


def _change(one: PossibleChange) -> str:
    what = f"{one.value} GB of packs" if one.what == "packs-gb" else f"plan {one.value}"
    parts = [f"{what}: ask by {one.request_by}, holds from {one.effective}"]
    if one.before_run_out is not None:
        parts.append("before it runs out" if one.before_run_out else "after it has run out")
    if one.enough is not None:
        parts.append("enough at the present pace" if one.enough else "not enough at the present pace")
    return ", ".join(parts)


def _next(facts: MobileFacts) -> str:
    if facts.used.wanted_ms and not facts.linked:
        return "Name the adapter's mobile interface: add a link of its entry with the line type mobile."
    months = [found for found in (facts.run_out, facts.next_month) if found is not None]
    if not any(found.state in {RunOutState.ALREADY, RunOutState.EXPECTED} for found in months):
        return "Nothing has to be done."
    best = _smallest(facts.changes)
    if best is None:
        return "Use less, or ask the contractor: no change that the terms allow is known to suffice."
    late = "" if best.before_run_out is not False else "; nothing that the terms allow holds earlier"
    return f"Ask the contractor about {_change(best)}{late}."


def _smallest(changes: Sequence[PossibleChange]) -> PossibleChange | None:
    enough = [one for one in changes if one.enough and one.allowance_gb is not None]
    return min(enough, key=lambda one: one.allowance_gb or 0, default=None)
