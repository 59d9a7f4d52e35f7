"""`/report-schedules`, their recipients, and `/report-deliveries`: what is made by the calendar and whom it reaches."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.reports import SCHEDULE_ID, FormatNames, ScheduleId, SubjectBody
from controller.api.schemas import NO_NUL, Body, instant
from controller.api.state import acting, daemon_of
from controller.reports import sending
from controller.store import deliveries, reports
from controller.store.database import Tx
from controller.store.deliveries import Delivery, NewRecipient, Recipient, Way
from controller.store.reports import ActiveSchedule
from inventory.periods import TOKYO, Period, zone_of
from inventory.reporting import Format, Schedule
from inventory.secrets import Secret
from inventory.slots import show_key

router = APIRouter(tags=["reports"])
Scheduled = Annotated[str, Path(pattern=SCHEDULE_ID)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
WayName = Literal["mail", "webhook", "folder"]
StateName = Literal["waiting", "sent", "failed", "cancelled"]


class NewSchedule(SubjectBody):
    """Make a report after each period, at a local time of the day that follows, `delay_days` later."""

    id: ScheduleId
    period: Literal["day", "week", "month"]
    at: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "06:00"
    delay_days: Annotated[int, Field(ge=0, le=27)] = 0
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = TOKYO


class ScheduleView(BaseModel):
    """A schedule."""

    id: str
    kind: str
    contractor: str | None
    link: int | None
    period: str
    at: str
    delay_days: int
    zone: str
    language: str
    formats: list[str]
    active_from: datetime
    active_to: datetime | None

    @classmethod
    def of(cls, found: ActiveSchedule) -> Self:
        """View of a value."""
        schedule, subject = found.schedule, found.subject
        contractor = subject.contractor_id
        return cls(
            id=schedule.id,
            kind=subject.kind.value,
            contractor=None if contractor is None else show_key("K", contractor),
            link=subject.link_id,
            period=schedule.period.value,
            at=schedule.at.strftime("%H:%M"),
            delay_days=schedule.delay_days,
            zone=schedule.zone,
            language=found.manner.language.value,
            formats=[one.value for one in found.manner.formats],
            active_from=instant(found.active_from_ms),
            active_to=None if found.active_to_ms is None else instant(found.active_to_ms),
        )


class NewRecipientBody(Body):
    """Whom to send to: a mail address, an http(s) URL, or the name of a folder below `delivery.folder`."""

    way: WayName
    target: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)]
    formats: FormatNames = Field(
        default=["html", "csv"],
        description="What is attached or written; a webhook gets the JSON, whatever stands here.",
    )
    secret: Annotated[str, StringConstraints(min_length=16, max_length=200, pattern=NO_NUL)] | None = Field(
        default=None, description="Signs what a webhook gets; it is never shown again."
    )


class RecipientView(BaseModel):
    """A recipient. Its secret is never shown."""

    id: int
    schedule: str
    way: str
    target: str
    formats: list[str]
    signed: bool
    added: datetime

    @classmethod
    def of(cls, found: Recipient) -> Self:
        """View of a value."""
        return cls(
            id=found.id,
            schedule=found.schedule_id,
            way=found.way.value,
            target=found.target,
            formats=[one.value for one in found.formats],
            signed=found.signed,
            added=instant(found.added_ms),
        )


class AttemptView(BaseModel):
    """One try. `outcome`: sent, refused, failed (it did not arrive), unknown (it may have)."""

    at: datetime
    outcome: str
    said: str


class DeliveryView(BaseModel):
    """One report to one recipient. `state`: waiting, sent, failed, cancelled."""

    id: int
    report: str
    schedule: str
    recipient: int
    way: str
    target: str
    state: str
    attempts: int
    made: datetime
    next_try: datetime | None
    done: datetime | None
    said: str
    history: list[AttemptView]

    @classmethod
    def of(cls, found: Delivery) -> Self:
        """View of a value."""
        return cls(
            id=found.id,
            report=found.report_key,
            schedule=found.recipient.schedule_id,
            recipient=found.recipient.id,
            way=found.recipient.way.value,
            target=found.recipient.target,
            state=found.state,
            attempts=found.attempts,
            made=instant(found.made_ms),
            next_try=None if found.next_ms is None or found.state != "waiting" else instant(found.next_ms),
            done=None if found.done_ms is None else instant(found.done_ms),
            said=found.said,
            history=[AttemptView(at=instant(a.at_ms), outcome=a.outcome, said=a.said) for a in found.history],
        )


class DeliveryPage(BaseModel):
    """Deliveries by number; `next` is the number to send as `after`."""

    items: list[DeliveryView]
    next: int | None


@router.post("/report-schedules", status_code=201, response_model=ScheduleView)
async def create_schedule(body: NewSchedule, request: Request, caller: Operator, once: Once) -> Response:
    """Have a report made after each period from now on; on any number of nodes each is made once."""
    zone_of(body.zone)
    subject, manner = body.subject(), body.manner()
    schedule = Schedule(body.id, Period(body.period), time.fromisoformat(body.at), body.delay_days, body.zone)
    by = acting(request, caller)
    await sending.require_formats(manner.formats)

    async def work(tx: Tx) -> ScheduleView:
        await reports.add_schedule(tx, caller.scope, by, schedule, subject, manner)
        return ScheduleView.of(await reports.schedule(tx, caller.scope, schedule.id))

    return await once.commit(work)


@router.get("/report-schedules")
async def list_schedules(request: Request, _caller: Operator) -> list[ScheduleView]:
    """Schedules that are active."""
    async with daemon_of(request).db.read() as tx:
        return [ScheduleView.of(one) for one in await reports.schedules(tx)]


@router.get("/report-schedules/{schedule}")
async def read_schedule(schedule: Scheduled, request: Request, caller: Operator) -> ScheduleView:
    """A schedule, also one that has ended."""
    async with daemon_of(request).db.read() as tx:
        return ScheduleView.of(await reports.schedule(tx, caller.scope, schedule))


@router.delete("/report-schedules/{schedule}", status_code=204)
async def end_schedule(schedule: Scheduled, request: Request, caller: Operator) -> None:
    """Make no more reports by it. What was made stays, and its id stays taken."""
    async with daemon_of(request).db.write() as tx:
        await reports.end_schedule(tx, caller.scope, acting(request, caller), schedule)


@router.post("/report-schedules/{schedule}/recipients", status_code=201, response_model=RecipientView)
async def add_recipient(
    schedule: Scheduled, body: NewRecipientBody, request: Request, caller: Operator, once: Once
) -> Response:
    """Have the reports of a schedule sent, from the next one on."""
    daemon, by = daemon_of(request), acting(request, caller)
    secret = None if body.secret is None else Secret(body.secret)
    formats = tuple(dict.fromkeys(Format(one) for one in body.formats))
    new = NewRecipient(Way(body.way), body.target, formats, secret)
    sending.require_target(new, daemon.settings)
    await sending.require_formats(formats)

    async def work(tx: Tx) -> RecipientView:
        shown = sending.shown(new.way, new.target)
        made = await deliveries.add_recipient(tx, daemon.keyring, caller.scope, by, schedule, new, shown=shown)
        return RecipientView.of(made)

    return await once.commit(work)


@router.get("/report-schedules/{schedule}/recipients")
async def list_recipients(schedule: Scheduled, request: Request, caller: Operator) -> list[RecipientView]:
    """Whom the reports of a schedule are sent to."""
    async with daemon_of(request).db.read() as tx:
        return [RecipientView.of(one) for one in await deliveries.recipients(tx, caller.scope, schedule)]


@router.delete("/report-schedules/{schedule}/recipients/{recipient_id}", status_code=204)
async def remove_recipient(schedule: Scheduled, recipient_id: Number, request: Request, caller: Operator) -> None:
    """Send no more to a recipient; what waits for it is cancelled."""
    async with daemon_of(request).db.write() as tx:
        await deliveries.remove_recipient(tx, caller.scope, acting(request, caller), schedule, recipient_id)


@router.get("/report-deliveries")
async def list_deliveries(
    request: Request,
    caller: Viewer,
    report: Annotated[str | None, Query(max_length=200)] = None,
    state: StateName | None = None,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeliveryPage:
    """What was sent, what waits, what failed, with each try."""
    wanted = None if report is None else report.replace("\0", "")
    async with daemon_of(request).db.read() as tx:
        found = await deliveries.page(tx, caller.scope, after=after, limit=limit + 1, report_key=wanted, state=state)
    more = len(found) > limit
    shown = [DeliveryView.of(one) for one in found[:limit]]
    return DeliveryPage(items=shown, next=found[limit - 1].id if more else None)


@router.post("/report-deliveries/{delivery_id}/retry", status_code=202, response_model=DeliveryView)
async def retry_delivery(delivery_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """Try again what was given up."""
    by = acting(request, caller)

    async def work(tx: Tx) -> DeliveryView:
        return DeliveryView.of(await deliveries.retry(tx, caller.scope, by, delivery_id))

    return await once.commit(work, status=202)
