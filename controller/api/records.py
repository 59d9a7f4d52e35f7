"""`/records` and `/companies`: what the terms want on record, and who else works for the provider."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt, StringConstraints

from controller.api.auth import Admin, Billing, Viewer
from controller.api.contracts import DayText, day_of
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, ContractorKey, LineKey, ManagementKey, Name, Serial, Text, instant
from controller.api.state import acting, daemon_of, number
from controller.store import adapters, occupancy, records
from controller.store.database import Tx
from controller.store.records import About, Company, Record
from inventory.adapters import SerialNumber
from inventory.calendar import tokyo_day
from inventory.records import NewRecord, RecordKind, Relation
from inventory.slots import show_key

router = APIRouter(tags=["records"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
FactName = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class NewRecordBody(Body):
    """A record of a kind; `facts` are those that the rule asks for."""

    kind: RecordKind
    service: Literal["mpc", "smfsx"]
    day: DayText | None = Field(default=None, description="When it happens or takes effect; today if left out.")
    notified: DayText | None = Field(default=None, description="When those affected were told.")
    until: DayText | None = Field(default=None, description="Its last day.")
    contractor: ContractorKey | None = None
    line: LineKey | None = None
    management: ManagementKey | None = None
    adapter: Serial | None = Field(default=None, description="Serial number.")
    company: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    facts: dict[FactName, StrictInt | StrictBool | Text] = Field(default_factory=dict, max_length=20)
    corrects: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Number of the record that this one stands for; that one stays."
    )


class RecordView(BaseModel):
    """A record."""

    id: int
    kind: str
    rule: str
    terms_version: str
    day: date
    notified: date | None
    until: date | None
    recorded_at: datetime
    actor: str
    contractor: str | None
    line: str | None
    management: str | None
    adapter: str | None
    company: int | None
    facts: dict[str, object]
    corrects: int | None

    @classmethod
    def of(cls, found: Record, serial: str | None) -> RecordView:
        """View of a value."""
        about = found.about
        return cls(
            id=found.id,
            kind=found.kind,
            rule=found.rule,
            terms_version=found.terms_version,
            day=found.day,
            notified=found.notified,
            until=found.until,
            recorded_at=instant(found.recorded_ms),
            actor=found.actor,
            contractor=None if about.contractor_id is None else show_key("K", about.contractor_id),
            line=None if about.line_id is None else show_key("L", about.line_id),
            management=None if about.management_id is None else show_key("M", about.management_id),
            adapter=serial,
            company=about.company_id,
            facts=dict(found.facts),
            corrects=found.corrects_id,
        )


class NewCompany(Body):
    """The provider, a subsidiary, or a company that work is delegated to (SMF-17.4, SMF-18)."""

    name: Name
    relation: Relation


class CompanyView(BaseModel):
    """A company."""

    id: int
    name: str
    relation: str
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, found: Company) -> CompanyView:
        """View of a value."""
        return cls(
            id=found.id,
            name=found.name,
            relation=found.relation,
            created_at=instant(found.created_ms),
            ended_at=None if found.ended_ms is None else instant(found.ended_ms),
        )


@router.post(
    "/records",
    status_code=201,
    response_model=RecordView,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "examples": {
                        "restriction": {
                            "value": {
                                "kind": "restriction",
                                "service": "smfsx",
                                "facts": {"what": "no pushes", "reason": "earthquake", "priority": "disaster relief"},
                            }
                        }
                    }
                }
            }
        }
    },
)
async def create_record(body: NewRecordBody, request: Request, caller: Billing, once: Once) -> Response:
    """Keep a record; one that comes too late or lacks what the rule asks for is refused with the rule."""
    by = acting(request, caller)
    new = NewRecord(
        kind=body.kind,
        service=body.service,
        day=day_of(body.day, "day") or tokyo_day(by.at_ms),
        facts=body.facts,
        notified=day_of(body.notified, "notified"),
        until=day_of(body.until, "until"),
    )

    async def work(tx: Tx) -> RecordView:
        unit = None
        if body.adapter is not None:
            unit = (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(body.adapter))).id
        about = About(
            contractor_id=None if body.contractor is None else number(body.contractor, "K", "contractor"),
            line_id=None if body.line is None else number(body.line, "L", "line"),
            management_id=None if body.management is None else number(body.management, "M", "management"),
            adapter_id=unit,
            company_id=body.company,
        )
        made = await records.keep(tx, caller.scope, by, new, about, corrects_id=body.corrects)
        return (await _views(tx, [made]))[0]

    return await once.commit(work)


@router.get("/records")
async def list_records(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    kind: RecordKind | None = None,
    contractor: ContractorKey | None = None,
) -> Page[RecordView]:
    """Records in the order of their numbers, corrected ones too."""
    owner = None if contractor is None else number(contractor, "K", "contractor")
    async with daemon_of(request).db.read() as tx:
        found = await records.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, kind=kind, contractor_id=owner
        )
        views = await _views(tx, found)
    return page(views, [one.id for one in found], wanted)


@router.get("/records/{record_id}")
async def read_record(record_id: Number, request: Request, caller: Viewer) -> RecordView:
    """One record."""
    async with daemon_of(request).db.read() as tx:
        return (await _views(tx, [await records.get(tx, caller.scope, record_id)]))[0]


@router.post("/companies", status_code=201, response_model=CompanyView)
async def create_company(body: NewCompany, request: Request, caller: Admin, once: Once) -> Response:
    """Name a company."""

    async def work(tx: Tx) -> CompanyView:
        made = await records.add_company(tx, acting(request, caller), name=body.name, relation=body.relation)
        return CompanyView.of(made)

    return await once.commit(work)


@router.get("/companies")
async def list_companies(request: Request, _caller: Viewer, wanted: Wanted) -> Page[CompanyView]:
    """Companies in the order of their numbers, those that ended too."""
    async with daemon_of(request).db.read() as tx:
        found = await records.companies_page(tx, after=wanted.after, limit=wanted.limit + 1)
    return page([CompanyView.of(one) for one in found], [one.id for one in found], wanted)


@router.post("/companies/{company_id}/end", response_model=CompanyView)
async def end_company(company_id: Number, request: Request, caller: Admin, once: Once) -> Response:
    """It is no longer a subsidiary or delegate; keys of its people are revoked one by one."""

    async def work(tx: Tx) -> CompanyView:
        return CompanyView.of(await records.end_company(tx, acting(request, caller), company_id))

    return await once.commit(work, status=200)


async def _views(tx: Tx, found: list[Record]) -> list[RecordView]:
    units = await occupancy.named(tx, [one.about.adapter_id for one in found if one.about.adapter_id is not None])
    return [
        RecordView.of(one, None if one.about.adapter_id is None else units[one.about.adapter_id].serial.shown)
        for one in found
    ]
