"""`/reports` and `/report-schedules`: traffic of a contractor or a link, by day, week or month."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.schemas import Body, ContractorKey, instant
from controller.api.state import acting, daemon_of, number
from controller.store import reports
from controller.store.database import Tx
from controller.store.reports import ReportRun, Subject
from inventory.errors import BadInput
from inventory.periods import TOKYO, Period, zone_of
from inventory.reporting import Schedule
from inventory.slots import show_key

router = APIRouter(tags=["reports"])
ReportKey = Annotated[str, Query(min_length=3, max_length=200, description="`<schedule>/<period>/<first day>`.")]
PeriodName = Literal["day", "week", "month"]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A report runs nothing and fetches nothing."""
MEDIA = {"json": "application/json", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}


class SubjectBody(Body):
    """What a report is about: exactly one of the two."""

    contractor: ContractorKey | None = None
    link: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None

    def subject(self) -> Subject:
        """The value. Raises BadInput unless exactly one is given."""
        if (self.contractor is None) == (self.link is None):
            raise BadInput(
                "a report is about a contractor or about a link", field="contractor", next_step="Give exactly one."
            )
        contractor = None if self.contractor is None else number(self.contractor, "K", "contractor")
        return Subject(contractor, self.link)


class NewReport(SubjectBody):
    """Make the report of the period that holds `day`."""

    period: PeriodName
    day: date
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = TOKYO


class ReportView(BaseModel):
    """A report. `state`: claimed, provisional, final, failed or skipped."""

    key: str
    schedule: str
    contractor: str | None
    link: int | None
    period: str
    first_day: date
    zone: str
    state: str
    action: str
    claimed_at: datetime
    done_at: datetime | None
    sha256: str | None = Field(description="Of the JSON; CSV and HTML carry it.")
    files: list[str]
    failure: str | None

    @classmethod
    def of(cls, run: ReportRun) -> ReportView:
        """View of a value."""
        contractor = run.subject.contractor_id
        return cls(
            key=run.key,
            schedule=run.schedule_id,
            contractor=None if contractor is None else show_key("K", contractor),
            link=run.subject.link_id,
            period=run.period.value,
            first_day=run.first_day,
            zone=run.zone,
            state=run.state,
            action=run.action,
            claimed_at=instant(run.claimed_ms),
            done_at=None if run.done_ms is None else instant(run.done_ms),
            sha256=run.sha256,
            files=list(run.files),
            failure=run.failure,
        )


class ReportPage(BaseModel):
    """Reports by key; `next` is the key to send as `after`."""

    items: list[ReportView]
    next: str | None


class NewSchedule(SubjectBody):
    """Make a report after each period, at a local time of the day that follows, `delay_days` later."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    period: PeriodName
    at: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "06:00"
    delay_days: Annotated[int, Field(ge=0, le=27)] = 0
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = TOKYO


class ScheduleView(BaseModel):
    """An active schedule."""

    id: str
    contractor: str | None
    link: int | None
    period: str
    at: str
    delay_days: int
    zone: str
    active_from: datetime


@router.post("/reports", status_code=201, response_model=ReportView)
async def make_report(body: NewReport, request: Request, caller: Operator, once: Once) -> Response:
    """Make a report now. Idempotent by its key: the same period from the same data is the same bytes."""
    subject, daemon = body.subject(), daemon_of(request)
    _require_year(body.day)
    zone_of(body.zone)

    async def work() -> ReportView:
        made = await daemon.reports.make(caller.scope, subject, Period(body.period), body.day, zone=body.zone)
        return ReportView.of(made)

    return await once.carry_out(work)


@router.get("/reports")
async def list_reports(
    request: Request,
    caller: Viewer,
    after: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ReportPage:
    """Reports in the order of their keys."""
    async with daemon_of(request).db.read() as tx:
        found = await reports.runs(tx, caller.scope, after=after.replace("\0", ""), limit=limit + 1)
    more = len(found) > limit
    return ReportPage(items=[ReportView.of(run) for run in found[:limit]], next=found[limit - 1].key if more else None)


@router.get("/reports/file", response_class=Response)
async def read_report(
    request: Request, caller: Viewer, key: ReportKey, kind: Annotated[Literal["json", "csv", "html"], Query()] = "html"
) -> Response:
    """A file of a report."""
    content = await daemon_of(request).reports.file(caller.scope, key.replace("\0", ""), kind)
    return Response(
        content,
        media_type=MEDIA[kind],
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


@router.post("/report-schedules", status_code=201, response_model=ScheduleView)
async def create_schedule(body: NewSchedule, request: Request, caller: Operator, once: Once) -> Response:
    """Have a report made after each period from now on; on any number of nodes each is made once."""
    zone_of(body.zone)
    subject = body.subject()
    schedule = Schedule(body.id, Period(body.period), time.fromisoformat(body.at), body.delay_days, body.zone)
    by = acting(request, caller)

    async def work(tx: Tx) -> ScheduleView:
        await reports.add_schedule(tx, caller.scope, by, schedule, subject)
        return _schedule(schedule, subject, by.at_ms)

    return await once.commit(work)


@router.get("/report-schedules")
async def list_schedules(request: Request, _caller: Operator) -> list[ScheduleView]:
    """Schedules that are active."""
    async with daemon_of(request).db.read() as tx:
        found = await reports.schedules(tx)
    return [_schedule(one.schedule, one.subject, one.active_from_ms) for one in found]


def _schedule(schedule: Schedule, subject: Subject, active_from_ms: int) -> ScheduleView:
    contractor = subject.contractor_id
    return ScheduleView(
        id=schedule.id,
        contractor=None if contractor is None else show_key("K", contractor),
        link=subject.link_id,
        period=schedule.period.value,
        at=schedule.at.strftime("%H:%M"),
        delay_days=schedule.delay_days,
        zone=schedule.zone,
        active_from=instant(active_from_ms),
    )


def _require_year(day: date) -> None:
    if not 1971 <= day.year < 2200:
        raise BadInput(f"{day} lies outside 1971 to 2199", field="day", next_step="Name a day with readings.")
