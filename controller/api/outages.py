"""`/outages`: a management that is wholly unusable, the claim for it, and the credit (MPC-17, SMF-26.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Billing, Operator, Viewer
from controller.api.instants import WrittenOut
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import NO_NUL, Body, ManagementKey, Name, instant
from controller.api.state import acting, daemon_of, number
from controller.store import outages
from controller.store.database import Tx
from controller.store.outages import Outage
from inventory.calendar import parse_day, tokyo_day
from inventory.errors import BadInput
from inventory.slots import show_key

router = APIRouter(tags=["outages"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Reason = Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)]


class NewOutage(Body):
    """A management is wholly unusable, or as good as."""

    management: ManagementKey
    began: Annotated[datetime, WrittenOut] = Field(description="With offset.")
    known: Annotated[datetime | None, WrittenOut] = Field(
        default=None, description="When the provider knew; mpc's 24 hours count from it."
    )
    reason: Reason = ""


class Learnt(Body):
    """What was learnt, or is corrected: one instant; null takes back what was recorded. The newest counts."""

    what: Literal["began", "known", "ended"]
    at: Annotated[datetime | None, WrittenOut]
    reason: Name


class Attribution(Body):
    """Whether the provider answers for it, as far as that is known before the 24 hours are complete."""

    attributable: bool | None
    reason: Name


class Claim(Body):
    """A claim arrived."""

    day: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        default=None, description="Tokyo day; today if left out."
    )
    reason: Reason = ""


class Verdict(Body):
    """How a claim is decided: the provider answers for the outage, or not, and why."""

    attributable: bool
    reason: Name


class FactView(BaseModel):
    """One thing learnt, and when."""

    name: str
    value: str
    reason: str
    recorded_at: datetime
    recorded_by: str


class StepView(BaseModel):
    """A state that the claim came to."""

    state: str
    rule: str
    terms_version: str
    reason: str
    at: datetime
    actor: str


class OutageView(BaseModel):
    """An outage with its claim."""

    id: int
    management: str
    service: str
    state: str = Field(description="watching, claimable, claimed, credited, rejected, lapsed, closed.")
    reason: str
    rule: str
    began: datetime
    known: datetime | None
    ended: datetime | None
    attributable: bool | None
    claimable_at: datetime | None = Field(description="When the 24th hour is complete by the service's clock.")
    claim_last_day: str | None
    claimed_on: str | None
    credit_yen: int | None
    arithmetic: str | None
    credit_rules: list[str]
    alerts: list[str] = Field(description="Claims that came and do not fit.")
    facts: list[FactView]
    steps: list[StepView]

    @classmethod
    def of(cls, found: Outage) -> OutageView:
        """View of a value."""
        claim = found.claim
        return cls(
            id=found.id,
            management=show_key("M", found.management_id),
            service=claim.service,
            state=str(claim.state),
            reason=claim.reason,
            rule=claim.rule,
            began=claim.began,
            known=claim.known,
            ended=claim.ended,
            attributable=claim.attributable,
            claimable_at=claim.full_at,
            claim_last_day=None if claim.last_day is None else claim.last_day.isoformat(),
            claimed_on=None if claim.claimed_on is None else claim.claimed_on.isoformat(),
            credit_yen=None if claim.credit is None else claim.credit.yen,
            arithmetic=None if claim.credit is None else claim.credit.arithmetic,
            credit_rules=[] if claim.credit is None else list(claim.credit.rules),
            alerts=list(found.alerts),
            facts=[
                FactView(
                    name=one.fact.name,
                    value=_shown(one.fact.name, one.fact.value),
                    reason=one.fact.reason,
                    recorded_at=instant(one.fact.recorded_ms),
                    recorded_by=one.actor,
                )
                for one in found.facts
            ],
            steps=[
                StepView(
                    state=one.state,
                    rule=one.rule,
                    terms_version=one.terms_version,
                    reason=one.reason,
                    at=instant(one.at_ms),
                    actor=one.actor,
                )
                for one in found.steps
            ],
        )


@router.post("/outages", status_code=201, response_model=OutageView)
async def record_outage(body: NewOutage, request: Request, caller: Operator, once: Once) -> Response:
    """Record that a management is wholly unusable, or as good as."""

    async def work(tx: Tx) -> OutageView:
        found = await outages.record(
            tx,
            caller.scope,
            acting(request, caller),
            number(body.management, "M", "management"),
            began_ms=_ms(body.began, "began"),
            known_ms=None if body.known is None else _ms(body.known, "known"),
            reason=body.reason,
        )
        return OutageView.of(found)

    return await once.commit(work)


@router.get("/outages")
async def list_outages(
    request: Request, caller: Viewer, wanted: Wanted, management: ManagementKey | None = None
) -> Page[OutageView]:
    """Outages in the order of their numbers."""
    daemon = daemon_of(request)
    of = None if management is None else number(management, "M", "management")
    async with daemon.db.read() as tx:
        found = await outages.page(
            tx,
            caller.scope,
            daemon.clock.now_ms(),
            after=wanted.after,
            limit=wanted.limit + 1,
            management_id=of,
        )
    return page([OutageView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/outages/{outage_id}")
async def read_outage(outage_id: Number, request: Request, caller: Viewer) -> OutageView:
    """One outage with what was learnt of it, its steps and its credit."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        return OutageView.of(await outages.get(tx, caller.scope, daemon.clock.now_ms(), outage_id))


@router.post("/outages/{outage_id}/facts", response_model=OutageView)
async def learn_of_outage(outage_id: Number, body: Learnt, request: Request, caller: Operator, once: Once) -> Response:
    """Record when it began, was known or ended. A correction is one more fact."""

    async def work(tx: Tx) -> OutageView:
        by = acting(request, caller)
        at_ms = None if body.at is None else _ms(body.at, "at")
        return OutageView.of(await outages.learn(tx, caller.scope, by, outage_id, body.what, at_ms, reason=body.reason))

    return await once.commit(work, status=200)


@router.post("/outages/{outage_id}/attribution", response_model=OutageView)
async def attribute_outage(
    outage_id: Number, body: Attribution, request: Request, caller: Operator, once: Once
) -> Response:
    """Say whether the provider answers for it, while its 24 hours are not complete."""

    async def work(tx: Tx) -> OutageView:
        by = acting(request, caller)
        done = await outages.attribute(tx, caller.scope, by, outage_id, body.attributable, reason=body.reason)
        return OutageView.of(done)

    return await once.commit(work, status=200)


@router.post("/outages/{outage_id}/claim", response_model=OutageView)
async def claim_outage(outage_id: Number, body: Claim, request: Request, caller: Billing, once: Once) -> Response:
    """Record that a claim arrived. It is a fact: one that does not fit is kept and alerts."""

    async def work(tx: Tx) -> OutageView:
        by = acting(request, caller)
        day = tokyo_day(by.at_ms) if body.day is None else parse_day(body.day, "day")
        return OutageView.of(await outages.claim(tx, caller.scope, by, outage_id, day, reason=body.reason))

    return await once.commit(work, status=200)


@router.post("/outages/{outage_id}/decide", response_model=OutageView)
async def decide_outage(outage_id: Number, body: Verdict, request: Request, caller: Billing, once: Once) -> Response:
    """Decide a claim once the outage is over: credited on the next invoice, or rejected with the reason."""

    async def work(tx: Tx) -> OutageView:
        by = acting(request, caller)
        done = await outages.decide_claim(
            tx, caller.scope, by, outage_id, attributable=body.attributable, reason=body.reason
        )
        return OutageView.of(done)

    return await once.commit(work, status=200)


def _ms(at: datetime, field: str) -> int:
    if at.tzinfo is None:
        raise BadInput("an instant has an offset", field=field, next_step="Write 2025-05-01T09:00:00+09:00.")
    return round(at.timestamp() * 1000)


def _shown(name: str, value: str) -> str:
    if name in {"began", "known", "ended"} and value != "unknown":
        return datetime.fromtimestamp(int(value) / 1000, UTC).isoformat()
    return value
