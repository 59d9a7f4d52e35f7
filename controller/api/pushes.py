"""`/pushes`: a plan carried out, its journal, its explanation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from controller import explaining
from controller.api.auth import Operator, Viewer
from controller.api.instants import Instant, begins_ms
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, EntryKey, ExplanationView, instant
from controller.api.state import daemon_of, number
from controller.store import plans, pushes
from inventory.plans import JournalRow, Push

router = APIRouter(tags=["pushes"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NewPush(Body):
    """Have an approved plan carried out, now or from an instant at most 31 days ahead."""

    plan: Annotated[int, Field(ge=1, le=2**31 - 1)]
    not_before: Instant | None = None


class PushView(BaseModel):
    """A push. `outcome` is null while it is under way, then done, not-done or unknown."""

    id: int
    plan: int
    entry: str
    state: str
    outcome: str | None
    said: str
    attempt: int
    due_at: datetime
    created_at: datetime
    started_by: str
    finished_at: datetime | None
    cancelled_by: str | None

    @classmethod
    def of(cls, push: Push) -> PushView:
        """View of a value."""
        return cls(
            id=push.id,
            plan=push.plan_id,
            entry=f"E-{push.entry_id}",
            state=push.state.value,
            outcome=push.outcome.value if push.outcome else None,
            said=push.said,
            attempt=push.attempt,
            due_at=instant(push.due_ms),
            created_at=instant(push.created_ms),
            started_by=push.started_by,
            finished_at=None if push.finished_ms is None else instant(push.finished_ms),
            cancelled_by=push.cancelled_by,
        )


class JournalView(BaseModel):
    """A row of the journal: what was about to be done, or what came of it."""

    seq: int
    attempt: int
    state: str
    phase: str
    at: datetime
    verdict: str | None
    said: str
    detail: str

    @classmethod
    def of(cls, row: JournalRow) -> JournalView:
        """View of a value."""
        return cls(
            seq=row.seq,
            attempt=row.attempt,
            state=row.state.value,
            phase=row.phase.value,
            at=instant(row.at_ms),
            verdict=None if row.verdict is None else row.verdict.value,
            said=row.said,
            detail=row.detail,
        )


@router.post("/pushes", status_code=202, response_model=PushView)
async def start_push(body: NewPush, request: Request, caller: Operator, once: Once) -> Response:
    """Start a push. The answer comes before the push is over: follow it, or its events."""
    daemon = daemon_of(request)

    async def work() -> PushView:
        not_before_ms = begins_ms(body.not_before, daemon.clock.now_ms())
        push_id = await daemon.pushes.start(caller.scope, body.plan, caller.actor, not_before_ms)
        return PushView.of(await daemon.pushes.status(caller.scope, push_id))

    return await once.carry_out(work, status=202)


@router.get("/pushes")
async def list_pushes(
    request: Request,
    caller: Viewer,
    wanted: Annotated[Window, Depends(window)],
    entry: EntryKey | None = None,
) -> Page[PushView]:
    """Pushes, newest first."""
    about = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        found = await pushes.find(tx, caller.scope, entry_id=about, before=wanted.before, limit=wanted.limit + 1)
    return page([PushView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/pushes/{push_id}")
async def read_push(push_id: Number, request: Request, caller: Viewer) -> PushView:
    """One push."""
    return PushView.of(await daemon_of(request).pushes.status(caller.scope, push_id))


@router.get("/pushes/{push_id}/journal")
async def read_journal(push_id: Number, request: Request, caller: Viewer) -> list[JournalView]:
    """Everything that was intended and what came of it, oldest first."""
    return [JournalView.of(row) for row in await daemon_of(request).pushes.journal(caller.scope, push_id)]


@router.get("/pushes/{push_id}/explain")
async def explain_push(push_id: Number, request: Request, caller: Viewer) -> ExplanationView:
    """Why the push is where it is, and what to do next."""
    daemon = daemon_of(request)
    push = await daemon.pushes.status(caller.scope, push_id)
    journal = await daemon.pushes.journal(caller.scope, push_id)
    async with daemon.db.read() as tx:
        guard = (await plans.get(tx, caller.scope, push.plan_id)).guard
    return ExplanationView.of(explaining.push(push, journal, await daemon.pushes.moved(push), guard))


@router.post("/pushes/{push_id}/cancel", response_model=PushView)
async def cancel_push(push_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """Ask a push to stop. Before anything was sent it ends not done; later it is taken back, or it is too late."""
    daemon = daemon_of(request)

    async def work() -> PushView:
        return PushView.of(await daemon.pushes.cancel(caller.scope, push_id, caller.actor))

    return await once.carry_out(work, status=200)
