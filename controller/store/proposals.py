"""Proposals to switch a model or a line: draft → sent → accepted / declined / expired / superseded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import entries, managements
from controller.store.tables.metering import change_orders, proposal_steps, proposals
from inventory.errors import Conflict, NotFound, StaleVersion

State = Literal["draft", "sent", "accepted", "declined", "expired", "superseded"]
STATES: tuple[State, ...] = get_args(State)
NEXT: Mapping[State, tuple[State, ...]] = {
    "draft": ("sent", "declined", "expired", "superseded"),
    "sent": ("accepted", "declined", "expired", "superseded"),
}
DRAFTED_BY = "system"
"""Who drafts: nobody but the daily check."""


@dataclass(frozen=True, slots=True)
class NewProposal:
    """A proposal to be drafted."""

    entry_id: int
    link_id: int
    reason: str
    kind: str
    model: str | None
    monthly_delta_yen: int | None
    level: int
    text: str
    evidence: Mapping[str, Any]
    rule_version: str
    text_ja: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Evidence and a recommendation for one place; never a change by itself."""

    id: int
    entry_id: int
    link_id: int
    state: State
    reason: str
    kind: str
    model: str | None
    monthly_delta_yen: int | None
    level: int
    text: str
    evidence: Mapping[str, Any]
    rule_version: str
    created_ms: int
    decided_ms: int | None
    actor: str | None
    version: int
    text_ja: str | None
    """None: drafted before there was a Japanese text."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a proposal's life: the state it came to, when, by whom and why."""

    id: int
    proposal_id: int
    state: State
    at_ms: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """What an accepted proposal asks for. It changes no contract, no adapter and no configuration."""

    id: int
    proposal_id: int
    contractor_id: int
    entry_id: int
    kind: str
    model: str | None
    line_rate_bps: int | None
    """None: no list of lines is known; the proposal's text says what is needed."""
    created_ms: int
    actor: str
    reason: str


def _visible(scope: Scope) -> Select[Any]:
    found = (
        select(proposals)
        .join(entries, entries.c.id == proposals.c.entry_id)
        .join(managements, managements.c.id == entries.c.management_id)
    )
    return found if scope.contractor_id is None else found.where(managements.c.contractor_id == scope.contractor_id)


async def draft(tx: Tx, now_ms: int, new: NewProposal) -> Proposal:
    """Keep a draft. Raises Conflict if the place has an open proposal: the unique index decides."""
    values = {
        "entry_id": new.entry_id,
        "link_id": new.link_id,
        "state": "draft",
        "reason": new.reason,
        "kind": new.kind,
        "model": new.model,
        "monthly_delta_yen": new.monthly_delta_yen,
        "level": new.level,
        "text": new.text,
        "evidence": to_json(dict(new.evidence)),
        "rule_version": new.rule_version,
        "created_ms": now_ms,
        "version": 1,
        "text_ja": new.text_ja,
    }
    try:
        row = (await tx.execute(insert(proposals).values(**values).returning(proposals))).one()
    except IntegrityError:
        raise Conflict(
            f"entry E-{new.entry_id} already has an open proposal", next_step="Decide that one first."
        ) from None
    facts = {"proposal": row.id, "kind": new.kind, "model": new.model, "reason": new.reason}
    await _step(tx, By(DRAFTED_BY, now_ms), row.id, "draft", new.reason)
    await events.record(tx, NewEvent("proposal.drafted", now_ms, entry_id=new.entry_id, facts=facts))
    return _proposal(row)


async def get(tx: Tx, scope: Scope, proposal_id: int) -> Proposal:
    """A proposal by its number. Raises NotFound."""
    row = (await tx.execute(_visible(scope).where(proposals.c.id == proposal_id))).one_or_none()
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}", next_step="List the proposals.")
    return _proposal(row)


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    state: State | None = None,
    entry_id: int | None = None,
) -> list[Proposal]:
    """Proposals by number, after one."""
    query = _visible(scope).where(proposals.c.id > after).order_by(proposals.c.id).limit(limit)
    if state is not None:
        query = query.where(proposals.c.state == state)
    if entry_id is not None:
        query = query.where(proposals.c.entry_id == entry_id)
    return [_proposal(row) for row in await tx.execute(query)]


async def decide(
    tx: Tx, scope: Scope, by: By, proposal_id: int, *, state: State, if_version: int | None, reason: str = ""
) -> Proposal:
    """Move a proposal on, and keep who did it and why; `if_version` None: whatever it is now.

    Acceptance makes the change order, in the same transaction; never the change itself (MPC-19, SMF-24).

    Raises NotFound, StaleVersion, or Conflict for a step that does not exist.
    """
    found = await get(tx, scope, proposal_id)
    if state not in NEXT.get(found.state, ()):
        raise Conflict(
            f"a proposal that is {found.state} cannot become {state}",
            next_step="Look at the proposal; only open ones move on.",
            facts={"state": found.state, "possible": list(NEXT.get(found.state, ()))},
        )
    seen = found.version if if_version is None else if_version
    statement = (
        update(proposals)
        .where(proposals.c.id == proposal_id, proposals.c.version == seen)
        .values(state=state, decided_ms=by.at_ms, actor=by.actor, version=seen + 1)
    )
    done = (await tx.execute(statement.returning(proposals))).one_or_none()
    if done is None:
        raise StaleVersion(f"proposal {proposal_id} changed since you read it", next_step="Read it again.")
    owner = await _owner(tx, found.entry_id)
    await _step(tx, by, proposal_id, state, reason)
    if state == "accepted":
        await _order(tx, by, found, owner, reason)
    audit.record(
        tx,
        by,
        "proposal.decide",
        f"proposal {proposal_id}",
        contractor_id=owner,
        before={"state": found.state},
        after={"state": state, "reason": reason},
    )
    return _proposal(done)


async def steps(tx: Tx, scope: Scope, proposal_id: int) -> list[Step]:
    """The life of a proposal, the oldest step first. Raises NotFound."""
    await get(tx, scope, proposal_id)
    c = proposal_steps.c
    rows = await tx.execute(select(proposal_steps).where(c.proposal_id == proposal_id).order_by(c.id))
    return [Step(row.id, row.proposal_id, row.state, row.at_ms, row.actor, row.reason) for row in rows]


async def orders(
    tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, proposal_id: int | None = None
) -> list[ChangeOrder]:
    """Change orders by number, after one."""
    c = change_orders.c
    query = select(change_orders).where(c.id > after).order_by(c.id).limit(limit)
    if scope.contractor_id is not None:
        query = query.where(c.contractor_id == scope.contractor_id)
    if proposal_id is not None:
        query = query.where(c.proposal_id == proposal_id)
    return [
        ChangeOrder(
            row.id,
            row.proposal_id,
            row.contractor_id,
            row.entry_id,
            row.kind,
            row.model,
            row.line_rate_bps,
            row.created_ms,
            row.actor,
            row.reason,
        )
        for row in await tx.execute(query)
    ]


async def _owner(tx: Tx, entry_id: int) -> int:
    """The contractor of an entry."""
    query = (
        select(managements.c.contractor_id)
        .join(entries, entries.c.management_id == managements.c.id)
        .where(entries.c.id == entry_id)
    )
    return int((await tx.execute(query)).scalar_one())


async def _step(tx: Tx, by: By, proposal_id: int, state: State, reason: str) -> None:
    values = {"proposal_id": proposal_id, "state": state, "at_ms": by.at_ms, "actor": by.actor, "reason": reason}
    await tx.execute(insert(proposal_steps).values(**values))


async def _order(tx: Tx, by: By, accepted: Proposal, owner: int, reason: str) -> None:
    wanted = accepted.evidence.get("remedy", {}).get("line_rate_bps")
    values = {
        "proposal_id": accepted.id,
        "contractor_id": owner,
        "entry_id": accepted.entry_id,
        "kind": accepted.kind,
        "model": accepted.model,
        "line_rate_bps": None if wanted is None else round(wanted),
        "created_ms": by.at_ms,
        "actor": by.actor,
        "reason": reason,
    }
    number = (await tx.execute(insert(change_orders).values(**values).returning(change_orders.c.id))).scalar_one()
    facts = {"change_order": number, "proposal": accepted.id, "kind": accepted.kind, "model": accepted.model}
    await events.record(tx, NewEvent("proposal.ordered", by.at_ms, entry_id=accepted.entry_id, facts=facts))


def _proposal(row: Row[Any]) -> Proposal:
    assert row.state in STATES
    return Proposal(
        row.id,
        row.entry_id,
        row.link_id,
        row.state,
        row.reason,
        row.kind,
        row.model,
        row.monthly_delta_yen,
        row.level,
        row.text,
        json.loads(row.evidence),
        row.rule_version,
        row.created_ms,
        row.decided_ms,
        row.actor,
        row.version,
        row.text_ja,
    )
