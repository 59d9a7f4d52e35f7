"""What falls due in the next days, as one list for people: returns, claims, periods, notices (service-terms §5, §6).

Each entry says by which day, what, after which rule, and what happens if nobody does anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, get_args

from inventory.adapters import Life
from inventory.catalogue import Service
from inventory.contracts import FINAL, Contract, State
from inventory.deadlines import NOTICE_DAYS, NoticeKind, notice_in_time
from inventory.outageclaims import ClaimState, OutageClaim

DueKind = Literal[
    "return",
    "send-back",
    "claim-lapses",
    "claim-undecided",
    "minimum-period-ends",
    "notice-for-that-end",
    "notice-to-give",
    "suspension-ends",
    "billing-starts",
    "change-takes-effect",
    "last-day",
]
KINDS: Final[tuple[DueKind, ...]] = get_args(DueKind)
_STAYS: Final = frozenset[DueKind]({"send-back", "claim-undecided", "notice-to-give", "suspension-ends"})
"""What is still to be done after its day, so that it stays on the list as overdue."""


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that falls due. `day` is the last day in time, or the day on which it happens."""

    day: date
    kind: DueKind
    subject: str
    """Key or serial number of what it is about."""
    contractor_id: int | None
    """None: it is about no one contractor."""
    rule: str
    words: str
    """What happens, or what is lost."""

    def overdue(self, today: date) -> bool:
        """Whether its day is past."""
        return self.day < today


def agenda(found: Iterable[Due], today: date, days: int) -> tuple[Due, ...]:
    """What falls due from today on, within so many days, and what is overdue and still to be done; earliest first."""
    last = today + timedelta(days=days)
    due = [one for one in found if one.day <= last and (one.day >= today or one.kind in _STAYS)]
    return tuple(sorted(due, key=lambda one: (one.day, KINDS.index(one.kind), one.subject)))


def of_contract(contract: Contract, subject: str, contractor_id: int) -> Iterator[Due]:
    """What falls due of a contract line or option: its start, its minimum period, its changes, its last day."""

    def due(day: date, kind: DueKind, rule: str, words: str) -> Due:
        return Due(day, kind, subject, contractor_id, rule, words)

    if contract.state in FINAL or contract.state is State.APPLIED:
        return
    mpc = contract.service == "mpc"
    period_rule = ("MPC-9.3" if contract.is_option else "MPC-5") if mpc else "SMF-16.1"
    notice_rule = ("MPC-9.5" if contract.is_option else "MPC-14") if mpc else "SMF-23.2"
    if contract.billing_start is not None and not contract.started:
        yield due(
            contract.billing_start, "billing-starts", "SMF-15.3", f"fees of this {contract.kind} run from this day"
        )
    end = contract.minimum_period_end
    if end is not None and (contract.effective is None or contract.effective > end):
        yield due(end, "minimum-period-ends", period_rule, "an end from this day on costs no rest of the period")
        if contract.effective is None:
            words = f"a termination notice that arrives by this day ends it on {end}, with its minimum period"
            yield due(end - timedelta(days=NOTICE_DAYS), "notice-for-that-end", notice_rule, words)
    for one in contract.pending:
        yield due(one.first_day, "change-takes-effect", "MPC-9.2", f"{one.what} becomes {one.value}")
    if contract.suspended and contract.suspended_until is not None:
        yield of_suspension(contract.suspended_until, subject, contractor_id)
    if contract.effective is not None:
        yield due(contract.effective, "last-day", notice_rule, f"last day of service of this {contract.kind}")


def of_unit(serial: str, contractor_id: int, service: Service, life: Life, due_day: date) -> Iterator[Due]:
    """A unit that is to be returned or sent back. `due_day` is that of the event that made it due."""
    mpc = service == "mpc"
    if life is Life.RETURN_DUE:
        words = "not returned by this day, it counts as lost and is charged"
        yield Due(due_day, "return", serial, contractor_id, "MPC-10.3" if mpc else "SMF-9.3", words)
    if life is Life.SEND_BACK_DUE:
        words = "the failed unit is sent off by this day"
        yield Due(due_day, "send-back", serial, contractor_id, "MPC-12.2" if mpc else "SMF-10.2", words)


def of_claim(claim: OutageClaim, subject: str, contractor_id: int, today: date) -> Iterator[Due]:
    """A claim that is possible and lapses, or one that is made and waits for its decision."""
    if claim.state is ClaimState.CLAIMABLE and claim.last_day is not None:
        words = "a claim that is not made by this day is lost"
        yield Due(claim.last_day, "claim-lapses", subject, contractor_id, claim.rule, words)
    if claim.state is ClaimState.CLAIMED and claim.ended is not None:
        yield Due(
            claim.claimed_on or today, "claim-undecided", subject, contractor_id, claim.rule, "the claim is undecided"
        )


def of_suspension(until: date, subject: str, contractor_id: int) -> Due:
    """A suspension whose notified period ends; it is resumed, or the end of the contract is considered."""
    return Due(until, "suspension-ends", subject, contractor_id, "SMF-21", "the notified period is over: resume it")


def notice_to_give(
    kind: NoticeKind | Literal["terms-change"], day: date, subject: str, contractor_id: int | None
) -> Due:
    """What is planned and not notified yet: the last day on which its notice is in time (SMF-20, SMF-22, SMF-0)."""
    latest = day
    while kind != "terms-change" and not notice_in_time(kind, day, latest):
        latest -= timedelta(days=1)
    rules = {"abolition": "SMF-22", "terms-change": "SMF-0"}
    return Due(
        latest,
        "notice-to-give",
        subject,
        contractor_id,
        rules.get(kind, "SMF-20"),
        f"the notice of the {kind} on {day}",
    )
