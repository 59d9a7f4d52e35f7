"""`/plans`: what would be sent, proven and shown before anything is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from controller import explaining
from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, EntryKey, ExplanationView, instant
from controller.api.state import daemon_of, number
from controller.store import entries, plans, slots
from controller.store.scope import Scope
from controller.store.seats import SlotRef
from inventory.plans import Finding, Plan, PlanStanding

if TYPE_CHECKING:
    from controller.main import Daemon

router = APIRouter(tags=["plans"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
READY_S = 5.0
"""Protocol seconds to wait for a push path."""


class NewPlan(Body):
    """A plan for the working config of a place; with `before_push`, back to what it ran before that push."""

    entry: EntryKey
    before_push: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class ApprovalView(BaseModel):
    """Who approved, and when."""

    actor: str
    at: datetime


class BlastView(BaseModel):
    """What the plan touches."""

    adapters: int
    contractors: int
    bandwidth_bps: int | None
    entries_without_ready_standby: int


class DiffLineView(BaseModel):
    """A line of the difference, and on how many adapters of the same model, `on` of `of`, its shape stands: the line
    with its values set aside. Null for a line that stays, and while none of the model has been read."""

    text: str
    on: int | None
    of: int | None

    @classmethod
    def all_of(cls, plan: Plan) -> list[DiffLineView]:
        """Views of the lines of a plan."""
        lines = plan.diff.split("\n") if plan.diff else []
        rarity = [*plan.rarity, *[None] * len(lines)]
        return [
            cls(text=line, on=None if rare is None else rare.on, of=None if rare is None else rare.of)
            for line, rare in zip(lines, rarity, strict=False)
        ]


class FindingView(BaseModel):
    """A line of the change, secrets masked, and what speaks against it."""

    line: str
    reason: str

    @classmethod
    def all_of(cls, found: Sequence[Finding]) -> list[FindingView]:
        """Views of values."""
        return [cls(line=one.line, reason=one.reason) for one in found]


class PlanView(BaseModel):
    """A plan, secrets masked. It is never changed; a stale one is replaced by a new one.

    `management_path` are the lines that touch our own way to the device, `lasting` those that its guard would not take
    back. `doubts` says why two people must approve. `moved` says what has changed under the plan, `push` what
    carries it out.
    """

    id: int
    entry: str
    serial_number: str
    family: str
    created_at: datetime
    valid_until: datetime
    created_by: str
    base_digest: str
    intent_digest: str
    diff: str
    diff_lines: list[DiffLineView]
    remediation: list[str]
    rollback: list[str]
    proven: bool
    proof: str
    management_path: list[FindingView]
    lasting: list[FindingView]
    doubts: list[str]
    standing: str
    moved: str
    guard: str
    guard_s: int
    expected_s: int
    blast_radius: BlastView
    approvals_needed: int
    approvals: list[ApprovalView]
    push: int | None

    @classmethod
    def of(cls, plan: Plan, push: int | None, standing: PlanStanding, moved: str) -> PlanView:
        """View of a value, of the push that carries it out, and of where it stands now."""
        return cls(
            id=plan.id,
            entry=f"E-{plan.entry_id}",
            serial_number=plan.serial,
            family=plan.family,
            created_at=instant(plan.created_ms),
            valid_until=instant(plan.valid_until_ms),
            created_by=plan.created_by,
            base_digest=plan.base_digest,
            intent_digest=plan.intent_digest,
            diff=plan.diff,
            diff_lines=DiffLineView.all_of(plan),
            remediation=list(plan.remediation),
            rollback=list(plan.rollback),
            proven=plan.proven,
            proof=plan.proof,
            management_path=FindingView.all_of(plan.management_path),
            lasting=FindingView.all_of(plan.lasting),
            doubts=list(plan.doubts),
            standing=standing.value,
            moved=moved,
            guard=plan.guard,
            guard_s=plan.guard_s,
            expected_s=plan.expected_s,
            blast_radius=BlastView(
                adapters=plan.blast.adapters,
                contractors=plan.blast.contractors,
                bandwidth_bps=plan.blast.bandwidth_bps,
                entries_without_ready_standby=plan.blast.entries_without_ready_standby,
            ),
            approvals_needed=plan.approvals_needed,
            approvals=[ApprovalView(actor=one.actor, at=instant(one.at_ms)) for one in plan.approvals],
            push=push,
        )


@router.post("/plans", status_code=201, response_model=PlanView)
async def make_plan(body: NewPlan, request: Request, caller: Operator, once: Once) -> Response:
    """Read the device, compare it with the working config, show what would be sent. No change is sent."""
    daemon = daemon_of(request)

    async def work() -> PlanView:
        entry_id = number(body.entry, "E", "entry")
        await _reachable(daemon, caller.scope, entry_id)
        if body.before_push is None:
            made = await daemon.pushes.make_plan(caller.scope, entry_id, caller.actor)
        else:
            made = await daemon.pushes.make_plan_back(caller.scope, body.before_push, caller.actor, entry_id)
        return await _view(daemon, caller.scope, made)

    return await once.carry_out(work)


@router.get("/plans")
async def list_plans(
    request: Request,
    caller: Viewer,
    wanted: Annotated[Window, Depends(window)],
    entry: EntryKey | None = None,
) -> Page[PlanView]:
    """Plans, newest first."""
    about = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        found = await plans.of_entry(tx, caller.scope, about, before=wanted.before, limit=wanted.limit + 1)
    return page(await _views(daemon_of(request), caller.scope, found), [one.id for one in found], wanted)


@router.get("/plans/{plan_id}")
async def read_plan(plan_id: Number, request: Request, caller: Viewer) -> PlanView:
    """One plan."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await plans.get(tx, caller.scope, plan_id)
    return await _view(daemon, caller.scope, found)


@router.get("/plans/{plan_id}/explain")
async def explain_plan(plan_id: Number, request: Request, caller: Viewer) -> ExplanationView:
    """Why the plan waits, for whom, and what to do next."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await plans.get(tx, caller.scope, plan_id)
    ((standing, moved),) = await daemon.pushes.standings(caller.scope, [found])
    return ExplanationView.of(explaining.plan(found, standing, moved))


@router.post("/plans/{plan_id}/recompute", status_code=201, response_model=PlanView)
async def recompute_plan(plan_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """A new plan to the same config from what the device runs now. Approvals are not carried over; nothing is sent."""
    daemon = daemon_of(request)

    async def work() -> PlanView:
        async with daemon.db.read() as tx:
            former = await plans.get(tx, caller.scope, plan_id)
        await _reachable(daemon, caller.scope, former.entry_id)
        made = await daemon.pushes.recompute(caller.scope, plan_id, caller.actor)
        return await _view(daemon, caller.scope, made)

    return await once.carry_out(work)


@router.post("/plans/{plan_id}/approve", response_model=PlanView)
async def approve(plan_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """Approve a plan. One with `doubts` needs two people: the second is neither its author nor the first of them."""
    daemon = daemon_of(request)

    async def work() -> PlanView:
        approved = await daemon.pushes.approve(caller.scope, plan_id, caller.actor)
        return await _view(daemon, caller.scope, approved)

    return await once.carry_out(work, status=200)


async def _reachable(daemon: Daemon, scope: Scope, entry_id: int) -> None:
    """A push waits long for a device that reboots; a person who asks for a plan is told soon that it is away."""
    async with daemon.db.read() as tx:
        await entries.get(tx, scope, entry_id)
        occupant = await slots.occupant(tx, scope, SlotRef("entry", entry_id))
    if occupant is not None and occupant.path == "arms":
        await daemon.phonehome.link.wait_ready(occupant.serial.shown, timeout_s=READY_S)


async def _views(daemon: Daemon, scope: Scope, found: Sequence[Plan]) -> list[PlanView]:
    standings = await daemon.pushes.standings(scope, found)
    async with daemon.db.read() as tx:
        started = await plans.started(tx, [one.id for one in found])
    return [PlanView.of(one, started.get(one.id), *where) for one, where in zip(found, standings, strict=True)]


async def _view(daemon: Daemon, scope: Scope, found: Plan) -> PlanView:
    return (await _views(daemon, scope, [found]))[0]
