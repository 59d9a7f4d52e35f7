"""`/proposals`: evidence and a recommendation for a place; a person moves it on, nothing changes by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Operator, Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import Body, instant
from controller.api.state import acting, daemon_of, number
from controller.store import links, proposalfacts, proposals
from controller.store.proposalfacts import Check
from controller.store.proposals import ChangeOrder, Proposal, State, Step
from inventory.calendar import tokyo_day
from inventory.errors import BadInput, NotAllowed, NotFound
from inventory.proposalreasons import words
from inventory.slots import show_key

router = APIRouter(tags=["proposals"])
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ProposalView(BaseModel):
    """A proposal (MPC-19, SMF-24). `monthly_delta_yen` is null where a price is missing."""

    id: int
    entry: str
    link: int
    state: str
    reason: str = Field(description="Why it was drafted: level or forecast.")
    kind: str = Field(description="What is recommended: line, model, or line+model.")
    model: str | None
    monthly_delta_yen: int | None
    level: int
    text: str
    text_ja: str | None = Field(description="The same in Japanese.")
    evidence: dict[str, object]
    rule_version: str
    created_at: datetime
    sent_at: datetime | None
    valid_until: date | None = Field(
        description="Last day on which it can be accepted, in Tokyo; null before it is sent."
    )
    decided_at: datetime | None = Field(description="When it came to its last state; null while it is open.")
    actor: str | None
    version: int

    @classmethod
    def of(cls, proposal: Proposal) -> ProposalView:
        """View of a value."""
        return cls(
            id=proposal.id,
            entry=show_key("E", proposal.entry_id),
            link=proposal.link_id,
            state=proposal.state,
            reason=proposal.reason,
            kind=proposal.kind,
            model=proposal.model,
            monthly_delta_yen=proposal.monthly_delta_yen,
            level=proposal.level,
            text=proposal.text,
            text_ja=proposal.text_ja,
            evidence=dict(proposal.evidence),
            rule_version=proposal.rule_version,
            created_at=instant(proposal.created_ms),
            sent_at=None if proposal.sent_ms is None else instant(proposal.sent_ms),
            valid_until=proposal.valid_until,
            decided_at=None if proposal.decided_ms is None else instant(proposal.decided_ms),
            actor=proposal.actor,
            version=proposal.version,
        )


class Decision(Body):
    """Where a proposal goes. A draft is sent, declined, expired or superseded; only a sent one is accepted.

    The daily check expires what was not answered in time and supersedes what newer evidence contradicts.
    """

    state: Literal["sent", "accepted", "declined", "expired", "superseded"]
    reason: str = Field(default="", max_length=500, description="Why; kept with the step.")
    valid_until: date | None = Field(
        default=None,
        description="With sent: the last day of its acceptance; left out: metering.proposal_valid_days on.",
    )


class StepView(BaseModel):
    """One step of a proposal's life."""

    state: str
    at: datetime
    actor: str
    reason: str

    @classmethod
    def of(cls, step: Step) -> StepView:
        """View of a value."""
        return cls(state=step.state, at=instant(step.at_ms), actor=step.actor, reason=step.reason)


class ProposalLife(BaseModel):
    """The steps of a proposal, the oldest first."""

    items: list[StepView]


class ChangeOrderView(BaseModel):
    """What an accepted proposal asks for; a person carries it out, by an application and a plan."""

    id: int
    proposal: int
    contractor: str
    entry: str
    kind: str
    model: str | None
    line_rate_bps: int | None = Field(description="Null: what is needed stands in the proposal.")
    created_at: datetime
    actor: str
    reason: str

    @classmethod
    def of(cls, order: ChangeOrder) -> ChangeOrderView:
        """View of a value."""
        return cls(
            id=order.id,
            proposal=order.proposal_id,
            contractor=show_key("K", order.contractor_id),
            entry=show_key("E", order.entry_id),
            kind=order.kind,
            model=order.model,
            line_rate_bps=order.line_rate_bps,
            created_at=instant(order.created_ms),
            actor=order.actor,
            reason=order.reason,
        )


class CheckView(BaseModel):
    """What the last daily look at a link came to."""

    link: int
    day: date
    proposed: bool
    reason: str = Field(
        description="Why something was proposed (level, forecast), or why not: open-proposal, capacity-not-known, "
        "not-enough-data, not-congested, declined, lan-side, fault, swap, grade-c, capacity-changed, suspended, "
        "ending, no-adapter, ordered, fits, device-figure-unknown, no-model-suffices; why an open one was superseded: "
        "model-changed, newer-evidence; for a contractor while a draft is not sent: under-review."
    )
    words: str = Field(description="The reason in words.")
    facts: dict[str, object] = Field(description="The figures that the reason rests on; which, depends on it.")
    checked_at: datetime

    @classmethod
    def of(cls, check: Check) -> CheckView:
        """View of a value."""
        return cls(
            link=check.link_id,
            day=check.day,
            proposed=check.proposed,
            reason=check.reason,
            words=words(check.reason),
            facts=dict(check.facts),
            checked_at=instant(check.made_ms),
        )


@router.get("/proposals")
async def list_proposals(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    state: State | None = None,
    entry: Annotated[str | None, Query(max_length=24)] = None,
) -> Page[ProposalView]:
    """Proposals in the order of their numbers."""
    place = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        found = await proposals.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, state=state, entry_id=place
        )
    return page([ProposalView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/proposals/{proposal_id}")
async def read_proposal(proposal_id: Number, request: Request, response: Response, caller: Viewer) -> ProposalView:
    """One proposal with its evidence."""
    async with daemon_of(request).db.read() as tx:
        found = await proposals.get(tx, caller.scope, proposal_id)
    tag(response, found.version)
    return ProposalView.of(found)


@router.get("/proposals/{proposal_id}/steps")
async def list_proposal_steps(proposal_id: Number, request: Request, caller: Viewer) -> ProposalLife:
    """When a proposal came to each of its states, by whom and why."""
    async with daemon_of(request).db.read() as tx:
        found = await proposals.steps(tx, caller.scope, proposal_id)
    return ProposalLife(items=[StepView.of(one) for one in found])


@router.get("/links/{link_id}/proposal-check")
async def read_proposal_check(link_id: Number, request: Request, caller: Viewer) -> CheckView:
    """Why a link has or has not got a proposal, as its last daily look said."""
    async with daemon_of(request).db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
        found = await proposalfacts.check(tx, link_id)
        hidden = caller.scope.contractor_id is not None and await proposals.has_draft(tx, link.entry_id)
    if found is None:
        raise NotFound(
            f"link {link_id} was not looked at yet", next_step="It is looked at once a day is closed for it."
        )
    return CheckView.of(replace(found, proposed=False, reason="under-review", facts={}) if hidden else found)


@router.get("/change-orders")
async def list_change_orders(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    proposal: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Page[ChangeOrderView]:
    """Change orders of accepted proposals, in the order of their numbers."""
    async with daemon_of(request).db.read() as tx:
        found = await proposals.orders(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, proposal_id=proposal
        )
    return page([ChangeOrderView.of(one) for one in found], [one.id for one in found], wanted)


@router.put("/proposals/{proposal_id}/state")
async def decide_proposal(
    proposal_id: Number, body: Decision, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> ProposalView:
    """Move a proposal on. Acceptance makes a change order; nothing changes by itself."""
    by, daemon = acting(request, caller), daemon_of(request)
    if caller.scope.contractor_id is not None and body.state not in ("accepted", "declined"):
        raise NotAllowed(
            f"a contractor accepts or declines; {body.state} is the provider's",
            next_step="Answer with accepted or declined.",
        )
    today = tokyo_day(by.at_ms)
    valid_until = body.valid_until or today + timedelta(days=daemon.settings.metering.proposal_valid_days)
    if body.valid_until is not None and (body.state != "sent" or body.valid_until < today):
        raise BadInput(
            "a last day goes with sent, and is not over",
            field="valid_until",
            next_step="Leave it out, or name a day from today on.",
        )
    async with daemon.db.write() as tx:
        found = await proposals.decide(
            tx,
            caller.scope,
            by,
            proposal_id,
            state=body.state,
            if_version=seen,
            reason=body.reason,
            valid_until=valid_until,
        )
    tag(response, found.version)
    return ProposalView.of(found)
