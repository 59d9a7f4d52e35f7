"""`/mobile-usage`: what a SIM or a packet share group used in a month, and when its plan will run out (MPC-9)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import ContractorKey, ExplanationView, LineKey, ManagementKey, Serial, instant
from controller.api.state import daemon_of, number
from controller.metering.mobile import MobileUse, use_of
from controller.store import adapters, contractors, contracts, managements, mobile
from inventory.adapters import SerialNumber
from inventory.calendar import Month, tokyo_day
from inventory.errors import BadInput
from inventory.explain import Explanation
from inventory.mobilechanges import PossibleChange
from inventory.mobileusage import RULE_VERSION, RunOut, Used
from inventory.mobilewords import MobileFacts, explain_mobile
from inventory.slots import show_key

router = APIRouter(tags=["mobile"])
MonthText = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")]
MonthWanted = Annotated[MonthText | None, Query(description="Calendar month in Tokyo; the present one if left out.")]
EARLIEST = Month(2000, 1)


class UsedView(BaseModel):
    """Octets of both directions, at least and at most."""

    low_octets: int = Field(description="What is certain.")
    high_octets: int | None = Field(description="null: no bound is known.")
    coverage: float = Field(description="Share of the time in service that was measured.")

    @classmethod
    def of(cls, used: Used) -> UsedView:
        """View of a value."""
        return cls(low_octets=used.octets_low, high_octets=used.octets_high, coverage=used.coverage)


class DayView(UsedView):
    """One Tokyo day; by themselves days know less than the month."""

    day: date


class RunOutView(BaseModel):
    """The day on which the plan of a month runs out; null: not in that month, or not known."""

    state: str = Field(description="no-limit, already, expected, possible, none, not-enough-data.")
    day: date | None
    early: date | None = Field(description="From this day on it cannot be excluded.")
    late: date | None = Field(description="By this day it is certain, or expected at the slow end of the pace.")

    @classmethod
    def of(cls, found: RunOut) -> RunOutView:
        """View of a value."""
        return cls(state=found.state.value, day=found.day, early=found.early, late=found.late)


class ChangeView(BaseModel):
    """A change that the terms still allow."""

    what: str = Field(description="plan or packs-gb, as a change-option event takes it.")
    value: str | int
    rule: str
    request_from: date
    request_by: date = Field(description="Last day on which a request has this effect.")
    effective: date
    before_run_out: bool | None
    enough: bool | None = Field(description="Whether it suffices for a month at the present pace; null: not known.")

    @classmethod
    def of(cls, one: PossibleChange) -> ChangeView:
        """View of a value."""
        return cls(
            what=one.what,
            value=one.value,
            rule=one.rule,
            request_from=one.request_from,
            request_by=one.request_by,
            effective=one.effective,
            before_run_out=one.before_run_out,
            enough=one.enough,
        )


class MobileUseView(BaseModel):
    """Use of one mobile access, or of one packet share group."""

    key: str
    contractor: str
    kind: str = Field(description="mobile-access or packet-share-group.")
    plan: str
    allowance_gb: int | None = Field(description="GB of 10⁹ octets; null: no limit, or that of the group.")
    group: str | None = Field(description="The group whose packs a mobile access shares.")
    members: list[str]
    month: str
    as_of: datetime = Field(description="Up to when slots are final.")
    linked: bool = Field(description="Whether a link of the line type mobile was counted for it in the month.")
    used: UsedView
    days: list[DayView]
    run_out: RunOutView
    next_month: RunOutView | None
    changes: list[ChangeView]
    words: str
    rule_version: str

    @classmethod
    def of(cls, found: MobileUse) -> MobileUseView:
        """View of a value."""
        line = found.standing.line
        group = found.standing.group_line_id
        return cls(
            key=line.key,
            contractor=show_key("K", line.contractor_id),
            kind=line.kind,
            plan=found.plan,
            allowance_gb=found.allowance_gb,
            group=None if group is None else show_key("L", group),
            members=[show_key("L", one) for one in found.members],
            month=str(found.month),
            as_of=instant(found.as_of_ms),
            linked=found.linked,
            used=UsedView.of(found.usage.total),
            days=[DayView(day=day, **UsedView.of(used).model_dump()) for day, used in sorted(found.usage.days.items())],
            run_out=RunOutView.of(found.run_out),
            next_month=None if found.next_month is None else RunOutView.of(found.next_month),
            changes=[ChangeView.of(one) for one in found.changes],
            words=_explained(found).summary,
            rule_version=RULE_VERSION,
        )


class _Row(BaseModel):
    """Stands for a row whose number makes the cursor."""


@router.get("/mobile-usage")
async def list_mobile_usage(
    request: Request,
    caller: Viewer,
    contractor: ContractorKey | None = None,
    management: Annotated[ManagementKey | None, Query(description="Adapters that sit in it now.")] = None,
    adapter: Annotated[Serial | None, Query(description="Serial number of the adapter that holds the SIM.")] = None,
    month: MonthWanted = None,
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[MobileUseView]:
    """Mobile accesses and packet share groups by number, with their use of a month. With a management or an adapter:
    accesses only, each with the key of its group."""
    daemon = daemon_of(request)
    wanted: Window = window(after, limit)
    now_ms = daemon.clock.now_ms()
    of = _month(month, now_ms)
    async with daemon.db.read() as tx:
        owner = None if contractor is None else number(contractor, "K", "contractor")
        place = None if management is None else number(management, "M", "management")
        unit = None
        if owner is not None:
            await contractors.get(tx, caller.scope, owner)
        if place is not None:
            await managements.get(tx, caller.scope, place)
        if adapter is not None:
            unit = (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(adapter))).id
        ids = await mobile.line_ids(
            tx,
            caller.scope,
            contractor_id=owner,
            management_id=place,
            adapter_id=unit,
            after=wanted.after,
            limit=wanted.limit + 1,
        )
    found = await use_of(daemon.db, daemon.traffic, ids[: wanted.limit], of, now_ms)
    last = page([_Row() for _ in ids], ids, wanted).next
    return Page[MobileUseView](items=[MobileUseView.of(one) for one in found], next=last)


@router.get("/mobile-usage/{key}/explain")
async def explain_mobile_usage(
    key: LineKey, request: Request, caller: Viewer, month: MonthWanted = None
) -> ExplanationView:
    """What it used, how much of that is not known, when it runs out, and what the terms still allow to change."""
    daemon = daemon_of(request)
    now_ms = daemon.clock.now_ms()
    of = _month(month, now_ms)
    async with daemon.db.read() as tx:
        line = await contracts.line(tx, caller.scope, number(key, "L"))
    if line.kind not in mobile.KINDS:
        raise BadInput(
            f"{line.key} is no mobile access and no packet share group",
            field="key",
            next_step="List the mobile usage; its keys are asked for here.",
        )
    found = await use_of(daemon.db, daemon.traffic, [line.id], of, now_ms)
    if not found:
        raise BadInput(
            f"{line.key} was not applied for then", field="month", next_step=f"Ask for {Month.of(line.received)}."
        )
    return ExplanationView.of(_explained(found[0]))


def _explained(found: MobileUse) -> Explanation:
    return explain_mobile(
        MobileFacts(
            found.standing.line.key,
            found.month,
            found.plan,
            found.standing.line.kind == "packet-share-group",
            found.allowance_gb,
            found.usage.total,
            found.linked,
            found.as_of_ms,
            found.pace,
            found.run_out,
            found.next_month,
            found.changes,
        )
    )


def _month(text: str | None, now_ms: int) -> Month:
    """Raises BadInput for a month that has not begun, or before 2000."""
    present = Month.of(tokyo_day(now_ms))
    found = present if text is None else Month.parse(text)
    if not EARLIEST <= found <= present:
        raise BadInput(
            f"{found} is not a month from {EARLIEST} to {present}", field="month", next_step="Ask for one of those."
        )
    return found
