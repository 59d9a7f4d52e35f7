"""Values of plans and pushes: states, their order by family, outcomes (architecture §4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from inventory.catalogue import Service
from inventory.errors import Conflict
from inventory.people import same_person

AUTHORED: Final[dict[Service, str]] = {"mpc": "MPC-18.1", "smfsx": "SMF-12.1"}
"""Every configuration has its author and approver."""


class PushState(StrEnum):
    """Where a push to one adapter stands. Each is journalled before the device sees its command."""

    PLANNED = "planned"
    PREFLIGHT = "preflight"
    BASELINED = "baselined"
    ARMED = "armed"
    APPLYING = "applying"
    APPLIED = "applied"
    REACHABLE = "reachable"
    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    SAVED = "saved"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"
    RECONCILE = "reconcile"
    QUARANTINED = "quarantined"
    NOT_DONE = "not-done"


class Outcome(StrEnum):
    """The three outcomes of anything that is sent to a device."""

    DONE = "done"
    NOT_DONE = "not-done"
    UNKNOWN = "unknown"


_HEAD: Final = (
    PushState.PLANNED,
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
)
SSH_ORDER: Final[tuple[PushState, ...]] = (
    *_HEAD,
    PushState.VERIFIED,
    PushState.CONFIRMED,
    PushState.SAVED,
    PushState.DONE,
)
"""IOS, FortiOS: verified while the guard still runs, then confirmed."""

ARMS_ORDER: Final[tuple[PushState, ...]] = (
    *_HEAD,
    PushState.CONFIRMED,
    PushState.VERIFIED,
    PushState.SAVED,
    PushState.DONE,
)
"""ARMS: configure-done must be answered before anything can be read back."""

FINAL: Final = frozenset({PushState.DONE, PushState.REVERTED, PushState.NOT_DONE, PushState.QUARANTINED})
TOUCHED: Final = frozenset(
    {
        PushState.ARMED,
        PushState.APPLYING,
        PushState.APPLIED,
        PushState.REACHABLE,
        PushState.VERIFIED,
        PushState.CONFIRMED,
        PushState.SAVED,
        PushState.REVERTING,
    }
)
"""States in which the device may hold something of the change: after a loss of contact only RECONCILE may follow."""


def outcome(state: PushState) -> Outcome | None:
    """Outcome of a push in `state`; None while under way. Quarantine is the unknown that waits for a person."""
    match state:
        case PushState.DONE:
            return Outcome.DONE
        case PushState.REVERTED | PushState.NOT_DONE:
            return Outcome.NOT_DONE
        case PushState.QUARANTINED:
            return Outcome.UNKNOWN
        case _:
            return None


@dataclass(frozen=True, slots=True)
class ConfigText:
    """Configuration of one place: text per module. SSH families and recipe have module 0 only (devices-seil §9.1)."""

    modules: tuple[tuple[int, str], ...]

    @classmethod
    def single(cls, text: str) -> ConfigText:
        """A config of module 0 only."""
        return cls(((0, text),))

    def text(self, module: int = 0) -> str:
        """Text of a module; empty if the module is not there."""
        return dict(self.modules).get(module, "")


class Phase(StrEnum):
    """A journal row says what is about to be done, or what came of it."""

    INTENTION = "intention"
    OUTCOME = "outcome"


class Verdict(StrEnum):
    """What came of an intention; the `found` ones only of RECONCILE, by a complete reading."""

    OK = "ok"
    FAILED = "failed"
    """The device said no, or the comparison failed; contact is kept."""
    LOST = "lost"
    """Contact was lost, or never had; what was under way may or may not have happened."""
    REFUSED = "refused"
    """No contact, and trying again would do harm: credential, identity, onboarding."""
    ROLLED_BACK = "rolled back"
    """The device itself says that it is back on its former configuration."""
    FOUND_BASE = "found base"
    FOUND_BASE_GUARDED = "found base, guard pending"
    FOUND_INTENT = "found intent"
    FOUND_INTENT_GUARDED = "found intent, guard pending"
    FOUND_NEITHER = "found neither"
    FOUND_NEITHER_GUARDED = "found neither, guard pending"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One row of a push's journal. `said` and `detail` are safe to show; `detail` holds diffs, secrets masked."""

    seq: int
    attempt: int
    state: PushState
    phase: Phase
    at_ms: int
    verdict: Verdict | None = None
    said: str = ""
    detail: str = ""
    transaction_id: int | None = None


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What a plan touches; `bandwidth_bps` is contracted bandwidth, None where it is not known."""

    adapters: int
    contractors: int
    bandwidth_bps: int | None
    entries_without_ready_standby: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement of a change with its sections (`no …` for one that goes), and what speaks against it."""

    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Computed:
    """What is computed from base and intent alone. The lines may hold secrets; the `shown` texts do not."""

    base_digest: str
    intent_digest: str
    remediation: tuple[str, ...]
    rollback: tuple[str, ...]
    proven: bool
    proof: str
    """How it was proven, or why it could not be."""
    management_path: tuple[Finding, ...]
    """What touches our own way to the device, secrets masked; empty means that nothing of the plan does."""
    lasting: tuple[Finding, ...]
    """Lines that the device's guard would not take back, secrets masked (devices-ios-fortios §A.3.3)."""
    diff_shown: str
    remediation_shown: tuple[str, ...]
    rollback_shown: tuple[str, ...]
    diff_shapes: tuple[int | None, ...] = ()
    """For each line of the difference the number of its shape; None where nothing comes or goes."""
    whole_text: bool = False
    """Whether the lines are the whole text, so that there are some also where nothing differs."""

    @property
    def is_nothing(self) -> bool:
        """Whether the device runs what is wanted. A secret that only the device can compare (FortiOS `ENC`) shows in
        the lines to send and not in the digest."""
        return self.base_digest == self.intent_digest and (self.whole_text or not self.remediation)


@dataclass(frozen=True, slots=True)
class Rarity:
    """On how many adapters of a model the shape of a line stands; `of` is how many were read and counted."""

    on: int
    of: int


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a plan, and when."""

    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan as it may be shown: no secrets. It is never changed; a stale one is replaced by a new one."""

    id: int
    entry_id: int
    adapter_id: int
    serial: str
    generation: int
    family: str
    created_ms: int
    valid_until_ms: int
    created_by: str
    base_digest: str
    intent_digest: str
    diff: str
    rarity: tuple[Rarity | None, ...]
    """For each line of `diff`; None for a line that stays, and where nothing was counted yet."""
    remediation: tuple[str, ...]
    rollback: tuple[str, ...]
    proven: bool
    proof: str
    management_path: tuple[Finding, ...]
    lasting: tuple[Finding, ...]
    blast: BlastRadius
    guard: str
    guard_s: int
    read_during_guard: bool
    expected_s: int
    approvals_needed: int
    """How many different people must approve: two where `doubts` says why (D10)."""
    approvals: tuple[Approval, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a second person looks at this plan; empty if nothing speaks against it."""
        return doubts(self.proven, self.management_path, self.lasting)


def doubts(proven: bool, management_path: tuple[Finding, ...], lasting: tuple[Finding, ...]) -> tuple[str, ...]:
    """What makes a plan one for two people, in words."""
    found = (
        (not proven, "it could not be proven"),
        (bool(management_path), "it touches our own way to the device"),
        (bool(lasting), "the guard of the device does not take all of it back"),
    )
    return tuple(words for is_so, words in found if is_so)


def approval_refused(plan: Plan, actor: str) -> str:
    """Why `actor` may not give the next approval of a plan; empty if they may.

    Nobody approves twice, with another key of the same name neither. Where two people are needed the first may be the
    author; the second is neither the author nor who approved first.
    """
    if any(same_person(one.actor, actor) for one in plan.approvals):
        return f"{actor} has approved plan {plan.id} already"
    if plan.approvals_needed > 1 and plan.approvals and same_person(actor, plan.created_by):
        return f"{actor} made plan {plan.id}, and its second approval is another person's"
    return ""


def require_approvals(
    what: str, given: int, needed: int, doubts: Sequence[str] = (), service: Service = "smfsx"
) -> None:
    """Raises Conflict while approvals are missing: settings are the contractor's, and nothing is changed without an
    author and an approver (SMF-12.1, MPC-18.1)."""
    missing = needed - given
    if missing > 0:
        why = "; ".join(doubts)
        raise Conflict(
            f"{what} lacks {missing} of {needed} approvals" + (f": {why}" if why else ""),
            rule=AUTHORED[service],
            next_step="Have it approved" + (" by two people." if why else "."),
            facts={"doubts": list(doubts)},
        )


class PlanStanding(StrEnum):
    """Where a plan stands; worked out, never stored."""

    WAITS_FIRST = "waits for approval"
    WAITS_SECOND = "waits for a second approval"
    APPROVED = "approved"
    STARTED = "started"
    STALE = "stale"
    EXPIRED = "expired"


def standing(plan: Plan, *, now_ms: int, started: bool, moved: str) -> PlanStanding:
    """Where a plan stands; `moved` is what has changed under it, empty if nothing has. A started one stays started."""
    if started:
        return PlanStanding.STARTED
    if moved:
        return PlanStanding.STALE
    if now_ms > plan.valid_until_ms:
        return PlanStanding.EXPIRED
    if len(plan.approvals) >= plan.approvals_needed:
        return PlanStanding.APPROVED
    return PlanStanding.WAITS_SECOND if plan.approvals else PlanStanding.WAITS_FIRST


def expected_s(guard: str, *, sent: int, text: int) -> int:
    """Seconds that a push is expected to take: `sent` lines go out, a text of `text` lines is read three times.

    Logins count 5 s, a line 0.2 s, a reading 1 s for 1,000 lines; an adapter that phones home builds its tunnel anew.
    """
    logins_s = 60 if guard == "client rollback" else 15
    lines_s = 5 if guard == "client rollback" else sent / 5
    return math.ceil(logins_s + lines_s + 3 * text / 1000)


@dataclass(frozen=True, slots=True)
class Push:
    """A plan that was started. `said` is the reason of the present state; `cancelled_by` asks it to stop."""

    id: int
    plan_id: int
    entry_id: int
    adapter_id: int
    generation: int
    state: PushState
    said: str
    attempt: int
    due_ms: int
    created_ms: int
    started_by: str
    finished_ms: int | None
    cancelled_by: str | None

    @property
    def outcome(self) -> Outcome | None:
        """See `outcome`."""
        return outcome(self.state) if self.finished_ms is not None else None


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A stored config of a place. The text is read separately, so that lists never decrypt."""

    id: int
    entry_id: int
    kind: str
    digest: str
    author: str
    reason: str
    at_ms: int
    seen_ms: int
    """Last instant at which the same config was found again; only truth moves it."""
