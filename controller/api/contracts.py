"""`/contracts`: contract lines and options, as of any day, with their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, StrictInt, StringConstraints

from controller.api.auth import Billing, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import (
    Body,
    ContractorKey,
    ExplanationView,
    LineKey,
    Name,
    Serial,
    Text,
    instant,
)
from controller.api.state import acting, daemon_of, number
from controller.keyring import Keyring
from controller.store import contracts, contractsteps, entitlement, groupchange, occupancy
from controller.store.contracts import ContractLine, EventRow, Standing
from controller.store.database import Tx
from controller.store.scope import By, Scope
from inventory.adapters import SerialNumber
from inventory.calendar import parse_day, tokyo_day
from inventory.contractbook import event_of
from inventory.contractevents import ChangeOption, ContractEvent
from inventory.contracts import ContractStep, allowed
from inventory.contractwords import LineStep, explain_line
from inventory.entitlement import Stop, stop_of
from inventory.errors import BadInput
from inventory.fees import Kind
from inventory.slots import show_key

router = APIRouter(tags=["contracts"])
Wanted = Annotated[Window, Depends(window)]
DayText = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class PendingView(BaseModel):
    """A change of an option that waits for its day."""

    what: str
    value: str | int
    first_day: date


class StopView(BaseModel):
    """Why the line gives no service."""

    rule: str
    words: str

    @classmethod
    def of(cls, stop: Stop) -> StopView:
        """View of a value."""
        return cls(rule=stop.rule, words=stop.words)


class ContractView(BaseModel):
    """A contract line or option as it stood at the end of the day asked for."""

    key: str
    application: int
    contractor: str
    service: str
    kind: str
    name: str
    on: str | None = Field(description="Line that it is bound to.")
    group: str | None = Field(description="Packet share group of a mobile access.")
    management: str | None = Field(description="Its management, or the one that its adapter uses.")
    units: list[str] = Field(description="Serial numbers of its units, the newest last.")
    model: str | None
    device_class: str | None
    state: str
    suspended: bool
    entitled: bool
    stop: StopView | None = Field(description="Why it gives no service now.")
    lacks: StopView | None = Field(description="What it can do nothing without, though its fees go on (MPC-6.1).")
    applied: date
    concluded: date | None
    billing_start: date | None
    minimum_period_end: date | None
    effective: date | None = Field(description="Last day of service, once it is known.")
    cause: str | None
    values: dict[str, str | int]
    pending: list[PendingView]
    allowed: list[str] = Field(description="Events that its state knows.")

    @classmethod
    def of(cls, found: Standing, serials: Mapping[int, str], carried: Stop | None) -> ContractView:
        """View of a value; `carried`: why an option gives no service although it would by itself."""
        line, contract = found.line, found.contract
        management = found.managements[-1] if found.managements else line.management_id
        stop = stop_of(line.key, contract) or carried
        return cls(
            key=line.key,
            application=line.application_id,
            contractor=show_key("K", line.contractor_id),
            service=line.service,
            kind=line.kind,
            name=line.name,
            on=None if found.on_line_id is None else show_key("L", found.on_line_id),
            group=None if found.group_line_id is None else show_key("L", found.group_line_id),
            management=None if management is None else show_key("M", management),
            units=[serials[one] for one in found.adapters],
            model=line.wanted.model,
            device_class=line.wanted.device_class,
            state=contract.state.value,
            suspended=contract.suspended or carried is not None,
            entitled=contract.entitled and carried is None,
            stop=None if stop is None else StopView.of(stop),
            lacks=None if found.lacks is None else StopView.of(found.lacks),
            applied=contract.applied,
            concluded=contract.concluded,
            billing_start=contract.billing_start,
            minimum_period_end=contract.minimum_period_end,
            effective=contract.effective,
            cause=None if contract.cause is None else contract.cause.value,
            values=dict(contract.values),
            pending=[PendingView(what=one.what, value=one.value, first_day=one.first_day) for one in contract.pending],
            allowed=list(allowed(contract)),
        )


class ContractEventView(BaseModel):
    """One event of a line: when it was true, when we learnt it, who says so, by which rule and terms."""

    id: int
    event: str
    day: date
    recorded_at: datetime
    actor: str
    rule: str
    terms_version: str
    facts: dict[str, object]
    alert: str | None
    corrects: int | None
    corrected_by: int | None
    calendar: bool = Field(description="The calendar brought it.")

    @classmethod
    def of(cls, row: EventRow, corrected_by: int | None) -> ContractEventView:
        """View of a value."""
        return cls(
            id=row.id,
            event=row.name,
            day=row.day,
            recorded_at=instant(row.recorded_ms),
            actor=row.actor,
            rule=row.rule,
            terms_version=row.terms_version,
            facts=dict(row.facts),
            alert=row.alert,
            corrects=row.corrects_id,
            corrected_by=corrected_by,
            calendar=row.calendar,
        )


class NewGroupBody(Body):
    """A packet share group that is applied for and accepted with the change; it starts on the day of the change."""

    name: Name
    packs_gb: Annotated[int, Field(ge=0, le=10_000_000)]
    form: Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]


class NewContractEvent(Body):
    """What happened to a line on a day up to today (today if left out). Each event takes only facts of its own."""

    event: Literal["notice", "provider-terminates", "abolition", "suspend", "resume", "change-option"]
    day: DayText | None = None
    named: DayText | None = Field(default=None, description="notice: the day that the contractor named.")
    effective: DayText | None = Field(default=None, description="provider-terminates, abolition: last day of service.")
    notified: DayText | None = Field(default=None, description="When the contractor was notified.")
    ground: StrictInt | Literal["suspension-ground", "insolvency", "unavoidable", "harassment"] | None = Field(
        default=None, description="suspend: 1 to 4 of SMF-21; provider-terminates: in words."
    )
    until: DayText | None = Field(default=None, description="suspend: end of its period.")
    emergency: bool | None = Field(default=None, description="suspend: without notice.")
    what: Literal["plan", "network-type", "packs-gb"] | None = None
    value: StrictInt | Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="change-option: plan or network type by name, packs as whole GB."
    )
    group: LineKey | None = Field(default=None, description="change-option to packet-share: the group it joins.")
    new_group: NewGroupBody | None = Field(
        default=None, description="change-option to packet-share: a group that is ordered with it."
    )
    corrects: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Number of the event that this one stands for; that one stays on record."
    )


class Void(Body):
    """Why an event is taken back."""

    reason: Text


class Unit(Body):
    """A unit by its serial number."""

    serial_number: Serial
    day: DayText | None = None


@router.get("/contracts")
async def list_contracts(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    contractor: ContractorKey | None = None,
    kind: Kind | None = None,
    service: Literal["mpc", "smfsx"] | None = None,
    as_of: Annotated[DayText | None, Query(description="Day to read them on; today if left out.")] = None,
) -> Page[ContractView]:
    """Contract lines and options in the order of their numbers; those applied for after the day are left out."""
    daemon = daemon_of(request)
    owner = None if contractor is None else number(contractor, "K", "contractor")
    day = day_of(as_of, "as_of") or tokyo_day(daemon.clock.now_ms())
    async with daemon.db.read() as tx:
        found = await contracts.page(
            tx,
            caller.scope,
            after=wanted.after,
            limit=wanted.limit + 1,
            contractor_id=owner,
            kind=kind,
            service=service,
        )
        ids = [one.id for one in found]
        views = await _views(tx, found[: wanted.limit], day)
    last = page([_Row() for _ in ids], ids, wanted).next
    return Page[ContractView](items=views, next=last)


@router.get("/contracts/{key}")
async def read_contract(
    key: LineKey,
    request: Request,
    caller: Viewer,
    as_of: Annotated[DayText | None, Query(description="Day to read it on; today if left out.")] = None,
    known_at: Annotated[datetime | None, Query(description="From what was known at that instant.")] = None,
) -> ContractView:
    """One line, as of a day and from what was known at an instant."""
    daemon = daemon_of(request)
    day = day_of(as_of, "as_of") or tokyo_day(daemon.clock.now_ms())
    async with daemon.db.read() as tx:
        line = await contracts.line(tx, caller.scope, number(key, "L"))
        found = await _views(tx, [line], day, known_at_ms=_instant_ms(known_at))
    if not found:
        raise BadInput(
            f"{line.key} was not applied for then", field="as_of", next_step=f"Ask for {line.received} or later."
        )
    return found[0]


@router.get("/contracts/{key}/explain")
async def explain_contract(key: LineKey, request: Request, caller: Viewer) -> ExplanationView:
    """Why the line stands as it does, step by step with the rules, and what to do next."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        line = await contracts.line(tx, caller.scope, number(key, "L"))
        today = tokyo_day(daemon.clock.now_ms())
        (found,) = await contracts.standing(tx, [line], today)
        rows = await contracts.events(tx, caller.scope, line.id)
        carried = await entitlement.carried(tx, [found], today)
    corrected = {one.corrects_id for one in rows}
    steps = tuple(
        LineStep(row.recorded_ms, row.day, row.name, row.rule, row.actor, row.alert, row.id in corrected)
        for row in rows
    )
    told = explain_line(line.key, line.kind, found.contract, steps, carried.get(line.id), found.lacks)
    return ExplanationView.of(told)


@router.get("/contracts/{key}/events")
async def list_contract_events(
    key: LineKey, request: Request, caller: Viewer, wanted: Wanted
) -> Page[ContractEventView]:
    """Events of a line in the order in which they were recorded; corrected ones stay."""
    async with daemon_of(request).db.read() as tx:
        rows = await contracts.events(tx, caller.scope, number(key, "L"))
    by = {row.corrects_id: row.id for row in rows if row.corrects_id is not None}
    rows = [row for row in rows if row.id > wanted.after][: wanted.limit + 1]
    views = [ContractEventView.of(row, by.get(row.id)) for row in rows]
    return page(views, [row.id for row in rows], wanted)


@router.post(
    "/contracts/{key}/events",
    status_code=201,
    response_model=ContractView,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "examples": {
                        "notice": {"value": {"event": "notice"}},
                        "suspend": {"value": {"event": "suspend", "ground": 2, "emergency": True}},
                        "plan": {"value": {"event": "change-option", "what": "plan", "value": "10GB"}},
                    }
                }
            }
        }
    },
)
async def record_contract_event(
    key: LineKey, body: NewContractEvent, request: Request, caller: Billing, once: Once
) -> Response:
    """Record an event. What the rules refuse changes nothing; a fact is never refused, it may raise an alert."""
    daemon = daemon_of(request)
    by = acting(request, caller)
    facts = body.model_dump(exclude={"event", "day", "group", "new_group", "corrects"}, exclude_none=True)
    event = event_of(body.event, day_of(body.day, "day") or tokyo_day(by.at_ms), facts)
    group = None if body.group is None else number(body.group, "L", "group")
    touched: set[int] = set()

    async def work(tx: Tx) -> ContractView:
        line_id = number(key, "L")
        _, moved = await _record(tx, caller.scope, daemon.keyring, by, line_id, event, group, body)
        touched.update(moved)
        return (await _views(tx, [await contracts.line(tx, caller.scope, line_id)], tokyo_day(by.at_ms)))[0]

    answer = await once.commit(work)
    await daemon.places_changed(*sorted(touched))
    return answer


@router.post("/contracts/{key}/events/{event_id}/void", response_model=ContractView)
async def void_contract_event(
    key: LineKey,
    event_id: Annotated[int, Field(ge=1, le=2**31 - 1)],
    body: Void,
    request: Request,
    caller: Billing,
    once: Once,
) -> Response:
    """Take back an event that never happened; it stays on record with the reason."""
    daemon = daemon_of(request)
    by = acting(request, caller)
    touched: set[int] = set()

    async def work(tx: Tx) -> ContractView:
        line_id = number(key, "L")
        moved = await contractsteps.void(tx, caller.scope, daemon.keyring, by, line_id, event_id, reason=body.reason)
        touched.update(moved)
        return (await _views(tx, [await contracts.line(tx, caller.scope, line_id)], tokyo_day(by.at_ms)))[0]

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*sorted(touched))
    return answer


@router.post("/contracts/{key}/units", status_code=201, response_model=ContractView)
async def link_contract_unit(key: LineKey, body: Unit, request: Request, caller: Billing, once: Once) -> Response:
    """Say which registered unit an adapter line is about; a replacement comes after the unit that it replaces."""
    daemon = daemon_of(request)
    by = acting(request, caller)
    touched: set[int] = set()

    async def work(tx: Tx) -> ContractView:
        line_id = number(key, "L")
        serial = SerialNumber.parse(body.serial_number)
        moved = await contractsteps.link_unit(
            tx, caller.scope, daemon.keyring, by, line_id, serial, day=day_of(body.day, "day")
        )
        touched.update(moved)
        return (await _views(tx, [await contracts.line(tx, caller.scope, line_id)], tokyo_day(by.at_ms)))[0]

    answer = await once.commit(work)
    await daemon.places_changed(*sorted(touched))
    return answer


async def _record(
    tx: Tx,
    scope: Scope,
    keyring: Keyring,
    by: By,
    line_id: int,
    event: ContractEvent,
    group_id: int | None,
    body: NewContractEvent,
) -> tuple[ContractStep, set[int]]:
    if body.new_group is None:
        return await contractsteps.record(
            tx, scope, keyring, by, line_id, event, group_line_id=group_id, corrects=body.corrects
        )
    if group_id is not None or body.corrects is not None or not isinstance(event, ChangeOption):
        raise BadInput(
            "a new group comes with a change to the packet-share plan, and with nothing else",
            field="new_group",
            rule="MPC-6.7",
            next_step="Leave the group or the correction out.",
        )
    new = body.new_group
    wanted = groupchange.NewGroup(new.name, new.packs_gb, new.form)
    return await groupchange.change(tx, scope, keyring, by, line_id, event, wanted)


class _Row(BaseModel):
    """A place in a page; lines that a day does not know yet are left out of it, and its cursor goes on."""


async def _views(
    tx: Tx, wanted: Sequence[ContractLine], day: date, *, known_at_ms: int | None = None
) -> list[ContractView]:
    found = await contracts.standing(tx, wanted, day, known_at_ms=known_at_ms)
    units = await occupancy.named(tx, [number for one in found for number in one.adapters])
    serials = {number: unit.serial.shown for number, unit in units.items()}
    carried = await entitlement.carried(tx, found, day, known_at_ms=known_at_ms)
    return [ContractView.of(one, serials, carried.get(one.line.id)) for one in found]


async def views_of_application(tx: Tx, application_id: int, day: date) -> list[ContractView]:
    """Lines of an application; the caller has checked its scope."""
    return await _views(tx, await contracts.of_application(tx, application_id), day)


def day_of(text: str | None, field: str) -> date | None:
    """A day of the calendar; None if it was left out. Raises BadInput."""
    return None if text is None else parse_day(text, field)


def _instant_ms(at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise BadInput("known_at needs an offset", field="known_at", next_step="Write 2025-05-01T09:00:00+09:00.")
    return int(at.timestamp() * 1000)
