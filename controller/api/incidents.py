"""`/incidents`: what needs a person; they are found by the daemon, acknowledged and closed by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatchOrAny, tag
from controller.api.schemas import Body, Name, instant
from controller.api.state import acting, daemon_of
from controller.store import adapters, incidents, occupancy
from controller.store.database import Tx
from inventory.adapters import SerialNumber
from inventory.incidents import Incident, IncidentKind, IncidentState
from inventory.slots import show_key

router = APIRouter(tags=["incidents"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class IncidentView(BaseModel):
    """An incident: one cause, however often it was found."""

    id: int
    kind: str
    cause: str = Field(description="Stable name of what is behind it; one incident a kind and cause is open.")
    title: str
    sentence: str = Field(description="What an incident of this kind means.")
    next_step: str
    state: str = Field(description="open, acknowledged or closed.")
    opened_at: datetime
    last_at: datetime = Field(description="When it was found last.")
    count: int = Field(description="How often it was found.")
    adapter: str | None = Field(description="Serial number.")
    entry: str | None
    management: str | None
    facts: dict[str, object]
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_reason: str | None
    closed_at: datetime | None
    closed_by: str | None
    closed_reason: str | None
    version: int

    @classmethod
    def of(cls, found: Incident, serial: str | None) -> IncidentView:
        """View of a value."""
        return cls(
            id=found.id,
            kind=found.kind.value,
            cause=found.cause,
            title=found.title,
            sentence=found.kind.sentence,
            next_step=found.kind.next_step,
            state=found.state,
            opened_at=instant(found.opened_ms),
            last_at=instant(found.last_ms),
            count=found.count,
            adapter=serial,
            entry=None if found.entry_id is None else show_key("E", found.entry_id),
            management=None if found.management_id is None else show_key("M", found.management_id),
            facts=dict(found.facts),
            acknowledged_at=None if found.acknowledged_ms is None else instant(found.acknowledged_ms),
            acknowledged_by=found.acknowledged_by,
            acknowledged_reason=found.acknowledged_why,
            closed_at=None if found.closed_ms is None else instant(found.closed_ms),
            closed_by=found.closed_by,
            closed_reason=found.closed_why,
            version=found.version,
        )


class Reason(Body):
    """Why a person says so."""

    reason: Name


@router.get("/incidents")
async def list_incidents(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    state: IncidentState | None = None,
    kind: IncidentKind | None = None,
    adapter: Annotated[str | None, Query(description="Serial number.", max_length=80)] = None,
) -> Page[IncidentView]:
    """Incidents in the order of their numbers."""
    async with daemon_of(request).db.read() as tx:
        of = None if adapter is None else (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(adapter))).id
        found = await incidents.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, state=state, kind=kind, adapter_id=of
        )
        views = await _views(tx, found)
    return page(views, [one.id for one in found], wanted)


@router.get("/incidents/{incident_id}")
async def read_incident(incident_id: Number, request: Request, response: Response, caller: Viewer) -> IncidentView:
    """One incident with its facts."""
    async with daemon_of(request).db.read() as tx:
        found = await incidents.get(tx, caller.scope, incident_id)
        (view,) = await _views(tx, [found])
    tag(response, found.version)
    return view


@router.post("/incidents/{incident_id}/acknowledge", response_model=IncidentView)
async def acknowledge_incident(
    incident_id: Number, body: Reason, request: Request, caller: Operator, once: Once, seen: IfMatchOrAny
) -> Response:
    """Say that somebody is at work on it."""

    async def work(tx: Tx) -> IncidentView:
        by = acting(request, caller)
        done = await incidents.acknowledge(tx, caller.scope, by, incident_id, why=body.reason, if_version=seen)
        (view,) = await _views(tx, [done])
        return view

    return await once.commit(work, status=200)


@router.post("/incidents/{incident_id}/close", response_model=IncidentView)
async def close_incident(
    incident_id: Number, body: Reason, request: Request, caller: Operator, once: Once, seen: IfMatchOrAny
) -> Response:
    """Say that it is over. Found again, it is a new incident."""

    async def work(tx: Tx) -> IncidentView:
        by = acting(request, caller)
        done = await incidents.close(tx, caller.scope, by, incident_id, why=body.reason, if_version=seen)
        (view,) = await _views(tx, [done])
        return view

    return await once.commit(work, status=200)


async def _views(tx: Tx, found: Sequence[Incident]) -> list[IncidentView]:
    of = await occupancy.named(tx, [one.adapter_id for one in found if one.adapter_id is not None])
    return [IncidentView.of(one, None if one.adapter_id is None else of[one.adapter_id].serial.shown) for one in found]
