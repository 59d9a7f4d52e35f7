"""`/deadlines`: what falls due in the next days, as one list."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from controller.api.auth import Viewer
from controller.api.state import daemon_of
from controller.store import deadlines
from inventory.calendar import tokyo_day
from inventory.slots import show_key

router = APIRouter(tags=["deadlines"])


class DeadlineView(BaseModel):
    """One thing that falls due."""

    day: str = Field(description="Last day in time, or the day on which it happens.")
    kind: str
    subject: str = Field(description="Key or serial number.")
    contractor: str | None = Field(description="None: it is about no one contractor.")
    rule: str
    words: str = Field(description="What happens, or what is lost.")
    overdue: bool


@router.get("/deadlines")
async def list_deadlines(
    request: Request, caller: Viewer, days: Annotated[int, Query(ge=0, le=400)] = 30
) -> list[DeadlineView]:
    """Returns, send-backs, claims, minimum periods, notices, suspensions, billing starts and last days, by day; what
    is overdue and still to be done comes first."""
    daemon = daemon_of(request)
    now_ms = daemon.clock.now_ms()
    async with daemon.db.read() as tx:
        found = await deadlines.upcoming(tx, caller.scope, now_ms, days)
    today = tokyo_day(now_ms)
    return [
        DeadlineView(
            day=one.day.isoformat(),
            kind=one.kind,
            subject=one.subject,
            contractor=None if one.contractor_id is None else show_key("K", one.contractor_id),
            rule=one.rule,
            words=one.words,
            overdue=one.overdue(today),
        )
        for one in found
    ]
