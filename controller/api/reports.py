"""`/reports`: traffic of a link, a contractor, the fleet; invoice annexes; quality of the measurements."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.schemas import Body, ContractorKey, instant
from controller.api.state import daemon_of, number
from controller.reports.rendering import MEDIA
from controller.store import reports
from controller.store.reports import Manner, ReportRun
from inventory.errors import BadInput
from inventory.periods import TOKYO, Period, require_year, zone_of
from inventory.reporting import Format, Kind, Language, Subject
from inventory.slots import show_key

router = APIRouter(tags=["reports"])
ReportKey = Annotated[str, Query(min_length=3, max_length=200, description="`<schedule>/<period>/<first day>`.")]
PeriodName = Literal["day", "week", "month", "free"]
KindName = Literal["link", "contractor", "invoice-annex", "fleet", "data-quality"]
LanguageName = Literal["en", "ja"]
FormatName = Literal["json", "csv", "html", "pdf"]
FormatNames = Annotated[list[FormatName], Field(min_length=1, max_length=4)]
SCHEDULE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ScheduleId = Annotated[str, StringConstraints(pattern=SCHEDULE_ID)]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A report runs nothing and fetches nothing."""


class SubjectBody(Body):
    """What a report is about: a contractor, a link, or (kinds fleet and data-quality) neither."""

    kind: KindName | None = Field(default=None, description="Without it: the plain report of the contractor or link.")
    contractor: ContractorKey | None = None
    link: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    language: LanguageName = Field(default="en", description="Of the words in CSV, HTML, PDF and mail.")
    formats: FormatNames = Field(default=["json", "csv", "html"], description="Files that are written.")

    def subject(self) -> Subject:
        """The value. Raises BadInput if neither a kind nor a subject is given."""
        if self.kind is None and (self.contractor is None) == (self.link is None):
            raise BadInput(
                "a report is about a contractor or about a link", field="contractor", next_step="Give exactly one."
            )
        contractor = None if self.contractor is None else number(self.contractor, "K", "contractor")
        return Subject(contractor, self.link, None if self.kind is None else Kind(self.kind))

    def manner(self) -> Manner:
        """The value."""
        return Manner(Language(self.language), tuple(dict.fromkeys(Format(one) for one in self.formats)))


class NewReport(SubjectBody):
    """Make the report of the period that holds `day`; a free period ends with `last_day`.

    With `schedule` the report is that of the schedule, and everything else but `day` is what the schedule says.
    """

    schedule: ScheduleId | None = None
    period: PeriodName | None = None
    day: date
    last_day: date | None = None
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = TOKYO


class ReportView(BaseModel):
    """A report. `state`: claimed, provisional, final, failed or skipped."""

    key: str
    kind: str
    schedule: str
    contractor: str | None
    link: int | None
    period: str
    first_day: date
    last_day: date
    zone: str
    language: str
    state: str
    grade: str | None = Field(description="Worst grade of a percentile in it; C is not settled.")
    action: str
    corrects: str | None = Field(description="Key of the first report of the period, if this one is a correction.")
    correction: int
    data_as_of: datetime | None
    claimed_at: datetime
    done_at: datetime | None
    sha256: str | None = Field(description="Of the JSON; all other formats carry it.")
    files: list[str]
    failure: str | None

    @classmethod
    def of(cls, run: ReportRun) -> ReportView:
        """View of a value."""
        contractor = run.subject.contractor_id
        return cls(
            key=run.key,
            kind=run.subject.kind.value,
            schedule=run.schedule_id,
            contractor=None if contractor is None else show_key("K", contractor),
            link=run.subject.link_id,
            period=run.period.value,
            first_day=run.first_day,
            last_day=run.span.days[-1],
            zone=run.zone,
            language=run.manner.language.value,
            state=run.state,
            grade=run.grade,
            action=run.action,
            corrects=run.corrects,
            correction=run.correction,
            data_as_of=None if run.data_as_of_ms is None else instant(run.data_as_of_ms),
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


@router.post("/reports", status_code=201, response_model=ReportView)
async def make_report(body: NewReport, request: Request, caller: Operator, once: Once) -> Response:
    """Make a report now. Idempotent by its key: the same period from the same data is the same bytes."""
    daemon = daemon_of(request)
    require_year(body.day, "day")
    zone_of(body.zone)

    async def work() -> ReportView:
        if body.schedule is not None:
            period = None if body.period is None else Period(body.period)
            return ReportView.of(
                await daemon.reports.make_scheduled(caller.scope, body.schedule, body.day, period=period)
            )
        if body.period is None:
            raise BadInput("a report covers a period", field="period", next_step="Give a period, or a schedule.")
        made = await daemon.reports.make(
            caller.scope,
            body.subject(),
            Period(body.period),
            body.day,
            last_day=body.last_day,
            zone=body.zone,
            manner=body.manner(),
        )
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
    request: Request,
    caller: Viewer,
    key: ReportKey,
    wanted: Annotated[FormatName, Query(alias="format", description="PDF needs the extra kajitori[pdf].")] = "html",
    language: Annotated[LanguageName | None, Query(description="Without it: that of the report.")] = None,
) -> Response:
    """A report in any format and language."""
    found = await daemon_of(request).reports.file(
        caller.scope, key.replace("\0", ""), Format(wanted), None if language is None else Language(language)
    )
    return Response(found, media_type=MEDIA[Format(wanted)], headers={"Content-Security-Policy": POLICY})
