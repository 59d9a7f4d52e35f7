"""`/plans`: what would be sent, proven and shown before anything is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, EntryKey, instant
from controller.api.state import daemon_of, number
from controller.store import entries, plans, slots
from controller.store.seats import SlotRef
from inventory.plans import Plan

router = APIRouter(tags=["plans"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
READY_S = 5.0
"""Protocol seconds to wait for a push path."""


class NewPlan(Body):
    """A plan for the working config of a place."""

    entry: EntryKey


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


class PlanView(BaseModel):
    """A plan, secrets masked. It is never changed; a stale one is replaced by a new one."""

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
    remediation: list[str]
    rollback: list[str]
    proven: bool
    proof: str
    management_path: str
    guard: str
    guard_s: int
    expected_s: int
    blast_radius: BlastView
    approvals_needed: int
    approvals: list[ApprovalView]

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        """View of a value."""
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
            remediation=list(plan.remediation),
            rollback=list(plan.rollback),
            proven=plan.proven,
            proof=plan.proof,
            management_path=plan.management_path,
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
        )


@router.post("/plans", status_code=201, response_model=PlanView)
async def make_plan(body: NewPlan, request: Request, caller: Operator, once: Once) -> Response:
    """Read the device, compare it with the working config, show what would be sent. No change is sent."""
    daemon = daemon_of(request)

    async def work() -> PlanView:
        entry_id = number(body.entry, "E", "entry")
        async with daemon.db.read() as tx:
            await entries.get(tx, caller.scope, entry_id)
            occupant = await slots.occupant(tx, caller.scope, SlotRef("entry", entry_id))
        if occupant is not None and occupant.path == "arms":
            # A push waits long for a device that reboots; a person who asks for a plan is told soon that it is away.
            await daemon.phonehome.link.wait_ready(occupant.serial.shown, timeout_s=READY_S)
        return PlanView.of(await daemon.pushes.make_plan(caller.scope, entry_id, caller.actor))

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
    return page([PlanView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/plans/{plan_id}")
async def read_plan(plan_id: Number, request: Request, caller: Viewer) -> PlanView:
    """One plan."""
    async with daemon_of(request).db.read() as tx:
        return PlanView.of(await plans.get(tx, caller.scope, plan_id))


@router.post("/plans/{plan_id}/approve", response_model=PlanView)
async def approve(plan_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """Approve a plan. One that is unproven or touches our own way to the device needs two people."""
    daemon = daemon_of(request)

    async def work() -> PlanView:
        return PlanView.of(await daemon.pushes.approve(caller.scope, plan_id, caller.actor))

    return await once.carry_out(work, status=200)
