"""`/maintenance-windows`: time in which levels are not judged (SMF-20), entered and cancelled by people."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.contracts import DayText, day_of
from controller.api.instants import Instant
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import Body, EntryKey, instant
from controller.api.state import acting, daemon_of, number
from controller.main import Daemon
from controller.store import links, maintenance
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.errors import BadInput
from inventory.maintenance import AFTER_MS, Interruption, MaintenanceWindow
from inventory.periods import instant_ms
from inventory.slots import show_key

router = APIRouter(tags=["maintenance"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NewWindow(Body):
    """A stretch of time to be left out of levels; the half hour after it is left out too."""

    entry: Annotated[EntryKey | None, Field(description="Left out: the whole fleet.")] = None
    kind: Annotated[
        Literal["maintenance", "bulk"],
        Field(description="bulk: hours that are full on purpose, such as a nightly backup; never left out of p95."),
    ] = "maintenance"
    start: Instant
    end: Instant
    daily: Annotated[
        str | None,
        StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"),
        Field(
            description="Only these hours of each local day inside it, such as 02:00-02:45.", examples=["02:00-02:45"]
        ),
    ] = None
    reason: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    work: Annotated[
        Literal["planned", "fault"] | None,
        Field(description="The service itself is interrupted in it: by planned work, or to repair a fault (SMF-20)."),
    ] = None
    notified: Annotated[
        DayText | None,
        Field(description="Day of the notice to those affected; of planned work 14 days before, or it is refused."),
    ] = None
    emergency: Annotated[bool, Field(description="Urgent and unavoidable: no notice is needed.")] = False

    def interruption(self) -> Interruption | None:
        """What was notified of it. Raises BadInput for a notice of nothing."""
        if self.work is None:
            if self.notified is not None or self.emergency:
                raise BadInput("a notice is of planned work or a fault", field="work", next_step="Say which.")
            return None
        return Interruption(self.work, day_of(self.notified, "notified"), self.emergency)


class WindowView(BaseModel):
    """A maintenance window."""

    id: int
    entry: str | None
    kind: str
    start: datetime
    end: datetime
    daily: str | None
    reason: str
    work: str | None = Field(description="Why the service is interrupted; none: it goes on.")
    notified: date | None
    emergency: bool
    actor: str
    created_at: datetime
    cancelled_at: datetime | None
    version: int

    @classmethod
    def of(cls, found: MaintenanceWindow) -> WindowView:
        """View of a value."""
        return cls(
            id=found.id,
            entry=None if found.entry_id is None else show_key("E", found.entry_id),
            kind=found.kind,
            start=instant(found.start_ms),
            end=instant(found.end_ms),
            daily=None if found.daily_min is None else "-".join(map(_clock, found.daily_min)),
            reason=found.reason,
            work=None if found.interruption is None else found.interruption.work,
            notified=None if found.interruption is None else found.interruption.notified,
            emergency=found.interruption is not None and found.interruption.emergency,
            actor=found.actor,
            created_at=instant(found.created_ms),
            cancelled_at=None if found.cancelled_ms is None else instant(found.cancelled_ms),
            version=found.version,
        )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _minutes(text: str) -> int:
    at = time.fromisoformat(text)
    return at.hour * 60 + at.minute


@router.post("/maintenance-windows", status_code=201, response_model=WindowView)
async def create_window(body: NewWindow, request: Request, caller: Operator, once: Once) -> Response:
    """Enter a window, before, during or after it; days that were judged already are judged again without it."""
    by = acting(request, caller)
    first, _, last = (body.daily or "").partition("-")
    daily = (_minutes(first), _minutes(last)) if body.daily else None
    start_ms, end_ms = instant_ms(body.start), instant_ms(body.end)
    entry_id = None if body.entry is None else number(body.entry, "E", "entry")
    interruption = body.interruption()

    async def work(tx: Tx) -> WindowView:
        made = await maintenance.add(
            tx,
            caller.scope,
            by,
            entry_id=entry_id,
            kind=body.kind,
            start_ms=start_ms,
            end_ms=end_ms,
            daily_min=daily,
            reason=body.reason,
            interruption=interruption,
        )
        return WindowView.of(made)

    answer = await once.commit(work)
    await _rejudge(daemon_of(request), entry_id, start_ms, end_ms)
    return answer


@router.get("/maintenance-windows")
async def list_windows(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    entry: Annotated[str | None, Query(max_length=24, description="Those that hold for this entry.")] = None,
) -> Page[WindowView]:
    """Windows in the order of their numbers, cancelled ones too."""
    place = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        found = await maintenance.page(tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, entry_id=place)
    return page([WindowView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/maintenance-windows/{window_id}")
async def read_window(window_id: Number, request: Request, response: Response, caller: Viewer) -> WindowView:
    """One window."""
    async with daemon_of(request).db.read() as tx:
        found = await maintenance.get(tx, caller.scope, window_id)
    tag(response, found.version)
    return WindowView.of(found)


@router.delete("/maintenance-windows/{window_id}")
async def cancel_window(
    window_id: Number, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> WindowView:
    """Take a window back: its time counts again, also where it has passed."""
    daemon = daemon_of(request)
    async with daemon.db.write() as tx:
        found = await maintenance.cancel(tx, caller.scope, acting(request, caller), window_id, if_version=seen)
    await _rejudge(daemon, found.entry_id, found.start_ms, found.end_ms)
    tag(response, found.version)
    return WindowView.of(found)


async def _rejudge(daemon: Daemon, entry_id: int | None, start_ms: int, end_ms: int) -> None:
    """Days that the window touches are judged again, those that are over by now."""
    names = None
    if entry_id is not None:
        async with daemon.db.read() as tx:
            found = await links.of_entries(tx, Scope.everything(), [entry_id])
        names = [(link.entry_id, port.interface) for link in found for port in link.ports]
    await daemon.metering.rejudge(names, start_ms, min(end_ms + AFTER_MS, daemon.clock.now_ms()))
