"""`/applications`: several lines and options on one form, decided as a whole (MPC-9.1, SMF-3.1, SMF-3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Billing, Viewer
from controller.api.contracts import ContractView, DayText, day_of, views_of_application
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, ContractorKey, ManagementKey, Name, Serial, instant
from controller.api.state import acting, daemon_of, number
from controller.store import applications
from controller.store.applications import Application
from controller.store.database import Tx
from inventory.applications import Wanted as WantedItem
from inventory.calendar import parse_day, tokyo_day
from inventory.eligibility import Obstacle
from inventory.fees import Kind
from inventory.slots import show_key

router = APIRouter(tags=["applications"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Form = Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]


class NewItem(Body):
    """A line or an option; each kind takes the fields of its form."""

    kind: Kind
    name: Name | None = Field(default=None, description="Options name adapters and groups by it.")
    classes: list[Literal["I", "II", "III"]] = Field(default_factory=list, max_length=3)
    entries: Annotated[int, Field(ge=0, le=100_000)] | None = None
    standbys: Annotated[int, Field(ge=0, le=100_000)] | None = None
    device_class: Literal["I", "II", "III"] | None = None
    model: Name | None = None
    management: ManagementKey | None = Field(
        default=None,
        description="adapter: another contractor's management (MPC-6.2, SMF-13). management: the one it takes over.",
    )
    on: Name | None = Field(default=None, description="Option: name of the adapter line that it is for.")
    serial_number: Serial | None = Field(
        default=None, description="ultra-firewall without a rental: the contractor's own adapter, seated."
    )
    site: Name | None = None
    plan: Name | None = None
    network_type: Literal["dynamic-ip", "fixed-ip"] | None = None
    group: Name | None = Field(default=None, description="mobile-access on packet-share: name of its group.")
    packs_gb: Annotated[int, Field(ge=0, le=10_000_000)] | None = None

    def wanted(self) -> WantedItem:
        """The value."""
        return WantedItem(
            kind=self.kind,
            name=self.name or "",
            classes=tuple(sorted(set(self.classes))),
            entries=self.entries,
            standbys=self.standbys,
            device_class=self.device_class,
            model=self.model,
            management_id=None if self.management is None else number(self.management, "M", "management"),
            on=self.on,
            serial_number=self.serial_number,
            site=self.site,
            plan=self.plan,
            network_type=self.network_type,
            group=self.group,
            packs_gb=self.packs_gb,
        )


class NewApplication(Body):
    """An application; `form` is the provider's form as it was received, kept as it is."""

    contractor: ContractorKey
    service: Literal["mpc", "smfsx"]
    received: DayText | None = Field(default=None, description="Day on which it arrived; today if left out.")
    form: Form
    items: Annotated[list[NewItem], Field(min_length=1, max_length=applications.ITEMS_AT_MOST)]


class Acceptance(Body):
    """The billing start date, as written in the acknowledgement (SMF-15.3)."""

    billing_start: DayText
    day: DayText | None = Field(default=None, description="Day of the decision; today if left out.")


class Refusal(Body):
    """One of the seven reasons of SMF-3.2, which is notified."""

    reason: Annotated[int, Field(ge=1, le=7)]
    day: DayText | None = None


class ObstacleView(BaseModel):
    """Why the application cannot be accepted now."""

    rule: str
    words: str
    next_step: str
    line: str | None = Field(description="The line that it is about; none: the application as a whole.")

    @classmethod
    def of(cls, one: Obstacle, lines: Sequence[ContractView]) -> ObstacleView:
        """View of a value."""
        line = None if one.at is None else lines[one.at].key
        return cls(rule=one.rule, words=one.words, next_step=one.next_step, line=line)


class ApplicationView(BaseModel):
    """An application."""

    id: int
    contractor: str
    service: str
    received: date
    created_at: datetime

    @classmethod
    def of(cls, found: Application) -> ApplicationView:
        """View of a value."""
        return cls(
            id=found.id,
            contractor=show_key("K", found.contractor_id),
            service=found.service,
            received=found.received,
            created_at=instant(found.created_ms),
        )


class ApplicationDetail(ApplicationView):
    """An application with its form, its lines, and what stands against accepting it."""

    form: str
    lines: list[ContractView]
    obstacles: list[ObstacleView] = Field(description="Empty once it is decided.")


@router.post(
    "/applications",
    status_code=201,
    response_model=ApplicationDetail,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "examples": {
                        "smfsx": {
                            "value": {
                                "contractor": "K-1",
                                "service": "smfsx",
                                "form": "as received",
                                "items": [{"kind": "management", "entries": 2, "standbys": 1}],
                            }
                        }
                    }
                }
            }
        }
    },
)
async def create_application(body: NewApplication, request: Request, caller: Billing, once: Once) -> Response:
    """Record an application. It is decided by `accept`, `refuse` or `withdraw`, always as a whole."""
    by = acting(request, caller)

    async def work(tx: Tx) -> ApplicationDetail:
        made = await applications.apply(
            tx,
            caller.scope,
            by,
            contractor_id=number(body.contractor, "K", "contractor"),
            service=body.service,
            received=tokyo_day(by.at_ms) if body.received is None else parse_day(body.received, "received"),
            form=body.form,
            items=[one.wanted() for one in body.items],
        )
        return await _detail(tx, made, tokyo_day(by.at_ms))

    return await once.commit(work)


@router.get("/applications")
async def list_applications(
    request: Request, caller: Viewer, wanted: Wanted, contractor: ContractorKey | None = None
) -> Page[ApplicationView]:
    """Applications in the order of their numbers."""
    owner = None if contractor is None else number(contractor, "K", "contractor")
    async with daemon_of(request).db.read() as tx:
        found = await applications.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, contractor_id=owner
        )
    return page([ApplicationView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/applications/{application_id}")
async def read_application(application_id: Number, request: Request, caller: Viewer) -> ApplicationDetail:
    """One application with its form and its lines."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await applications.get(tx, caller.scope, application_id)
        return await _detail(tx, found, tokyo_day(daemon.clock.now_ms()))


@router.post("/applications/{application_id}/accept", response_model=ApplicationDetail)
async def accept_application(
    application_id: Number, body: Acceptance, request: Request, caller: Billing, once: Once
) -> Response:
    """Accept all of it, or nothing: the refusal names every rule that stands against it."""
    daemon = daemon_of(request)
    by = acting(request, caller)
    touched: set[int] = set()

    async def work(tx: Tx) -> ApplicationDetail:
        done, moved = await applications.accept(
            tx,
            caller.scope,
            daemon.keyring,
            by,
            application_id,
            billing_start=parse_day(body.billing_start, "billing_start"),
            day=day_of(body.day, "day"),
        )
        touched.update(moved)
        return await _detail(tx, done, tokyo_day(by.at_ms))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*sorted(touched))
    return answer


@router.post("/applications/{application_id}/refuse", response_model=ApplicationDetail)
async def refuse_application(
    application_id: Number, body: Refusal, request: Request, caller: Billing, once: Once
) -> Response:
    """Refuse all of it for one of the seven reasons."""
    by = acting(request, caller)

    async def work(tx: Tx) -> ApplicationDetail:
        done = await applications.refuse(
            tx, caller.scope, by, application_id, reason=body.reason, day=day_of(body.day, "day")
        )
        return await _detail(tx, done, tokyo_day(by.at_ms))

    return await once.commit(work, status=200)


@router.post("/applications/{application_id}/withdraw", response_model=ApplicationDetail)
async def withdraw_application(application_id: Number, request: Request, caller: Billing, once: Once) -> Response:
    """The applicant takes it back before it is decided."""
    by = acting(request, caller)

    async def work(tx: Tx) -> ApplicationDetail:
        done = await applications.withdraw(tx, caller.scope, by, application_id)
        return await _detail(tx, done, tokyo_day(by.at_ms))

    return await once.commit(work, status=200)


async def _detail(tx: Tx, found: Application, day: date) -> ApplicationDetail:
    lines = await views_of_application(tx, found.id, day)
    waits = any(one.state == "applied" for one in lines)
    against = await applications.against(tx, found, day) if waits else ()
    return ApplicationDetail(
        **ApplicationView.of(found).model_dump(),
        form=found.form,
        lines=lines,
        obstacles=[ObstacleView.of(one, lines) for one in against],
    )
