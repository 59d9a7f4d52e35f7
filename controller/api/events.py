"""`/events` and `/audit`: what happened, and who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from controller.api.auth import Admin, Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import NO_NUL, EventView, instant
from controller.api.state import daemon_of
from controller.store import adapters, audit, events
from inventory.adapters import SerialNumber

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]


class AuditView(BaseModel):
    """One change. `digest` chains it to the row before."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, object]
    after: dict[str, object]
    digest: str


class ChainView(BaseModel):
    """The audit chain was found whole."""

    rows: int
    digest: str


@router.get("/events", tags=["events"])
async def list_events(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    kind: Annotated[str | None, Query(max_length=100, pattern=NO_NUL)] = None,
    adapter: Annotated[str | None, Query(max_length=80, description="Serial number.")] = None,
) -> Page[EventView]:
    """Published events in their order; resume with the `next` of the page before."""
    async with daemon_of(request).db.read() as tx:
        about = (
            None if adapter is None else (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(adapter))).id
        )
        found = await events.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, kind=kind, adapter_id=about
        )
    views = [EventView(id=one.sequence, kind=one.kind, at=instant(one.at_ms), facts=dict(one.facts)) for one in found]
    return page(views, [one.sequence for one in found], wanted)


@router.get("/audit", tags=["audit"])
async def list_audit(
    request: Request,
    caller: Admin,
    wanted: Wanted,
    subject: Annotated[str | None, Query(max_length=80, pattern=NO_NUL)] = None,
) -> Page[AuditView]:
    """Changes in their order."""
    async with daemon_of(request).db.read() as tx:
        found = await audit.page(tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, subject=subject)
    views = [
        AuditView(
            id=one.id,
            at=instant(one.at_ms),
            actor=one.actor,
            action=one.action,
            subject=one.subject,
            before=dict(one.before),
            after=dict(one.after),
            digest=one.digest,
        )
        for one in found
    ]
    return page(views, [one.id for one in found], wanted)


@router.get("/audit/verify", tags=["audit"])
async def verify_audit(request: Request, _caller: Admin) -> ChainView:
    """Compute the whole chain anew. A broken one is a conflict that names the row."""
    async with daemon_of(request).db.read() as tx:
        chain = await audit.verify(tx)
    return ChainView(rows=chain.rows, digest=chain.digest)
