"""`/proposals`: evidence and a recommendation for a place; a person moves it on, nothing changes by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Operator, Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import Body, instant
from controller.api.state import acting, daemon_of, number
from controller.store import proposals
from controller.store.proposals import Proposal, State
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
    evidence: dict[str, object]
    rule_version: str
    created_at: datetime
    decided_at: datetime | None
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
            evidence=dict(proposal.evidence),
            rule_version=proposal.rule_version,
            created_at=instant(proposal.created_ms),
            decided_at=None if proposal.decided_ms is None else instant(proposal.decided_ms),
            actor=proposal.actor,
            version=proposal.version,
        )


class Decision(Body):
    """Where a proposal goes. A draft is sent, declined, expired or superseded; only a sent one is accepted."""

    state: Literal["sent", "accepted", "declined", "expired", "superseded"]


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


@router.put("/proposals/{proposal_id}/state")
async def decide_proposal(
    proposal_id: Number, body: Decision, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> ProposalView:
    """Move a proposal on."""
    by = acting(request, caller)
    async with daemon_of(request).db.write() as tx:
        found = await proposals.decide(tx, caller.scope, by, proposal_id, state=body.state, if_version=seen)
    tag(response, found.version)
    return ProposalView.of(found)
