"""Proposals to switch a model or a line: draft → sent → accepted / declined / expired / superseded.

A contractor sees what was sent to it, and nothing before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import entries, managements
from controller.store.tables.metering import change_orders, proposal_steps, proposals
from inventory.calendar import tokyo_day
from inventory.errors import Conflict, NotFound, StaleVersion

State = Literal["draft", "sent", "accepted", "declined", "expired", "superseded"]
STATES: tuple[State, ...] = get_args(State)
NEXT: Mapping[State, tuple[State, ...]] = {
    "draft": ("sent", "declined", "expired", "superseded"),
    "sent": ("accepted", "declined", "expired", "superseded"),
}
DRAFTED_BY = "system"
"""Who drafts, and who ends what is out of date: the daily check."""


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
    sent_ms: int | None
    """When it went to the contractor; None: never."""
    valid_until: date | None
    """Last day on which it can be accepted; None: not sent, or sent without an end."""
    decided_ms: int | None
    """When it came to its last state; None while it is open."""
    actor: str | None
    version: int
    text_ja: str | None
    """None: drafted before there was a Japanese text."""

    @property
    def open(self) -> bool:
        """Whether nobody has decided it and nothing has ended it."""
        return self.state in NEXT


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


_SENT_MS = (
    select(func.min(proposal_steps.c.at_ms))
    .where(proposal_steps.c.proposal_id == proposals.c.id, proposal_steps.c.state == "sent")
    .scalar_subquery()
)


def _visible(scope: Scope) -> Select[Any]:
    found = (
        select(proposals, _SENT_MS.label("sent_ms"))
        .join(entries, entries.c.id == proposals.c.entry_id)
        .join(managements, managements.c.id == entries.c.management_id)
    )
    if scope.contractor_id is None:
        return found
    return found.where(managements.c.contractor_id == scope.contractor_id, _SENT_MS.is_not(None))


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
        number = (await tx.execute(insert(proposals).values(**values).returning(proposals.c.id))).scalar_one()
    except IntegrityError:
        raise Conflict(
            f"entry E-{new.entry_id} already has an open proposal", next_step="Decide that one first."
        ) from None
    facts = {"proposal": number, "kind": new.kind, "model": new.model, "reason": new.reason}
    await _step(tx, By(DRAFTED_BY, now_ms), number, "draft", new.reason)
    # Of no place: the events of a place are its contractor's too, and a draft is not.
    told = facts | {"entry": f"E-{new.entry_id}", "link": new.link_id}
    await events.record(tx, NewEvent("proposal.drafted", now_ms, facts=told))
    return await get(tx, Scope.everything(), number)


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
    tx: Tx,
    scope: Scope,
    by: By,
    proposal_id: int,
    *,
    state: State,
    if_version: int | None,
    reason: str = "",
    valid_until: date | None = None,
) -> Proposal:
    """Move a proposal on, and keep who did it and why; `if_version` None: whatever it is now.

    Acceptance makes the change order, in the same transaction; never the change itself (MPC-19, SMF-24).
    `valid_until` is kept with what is sent: after that day it can be accepted no more.

    Raises NotFound, StaleVersion, or Conflict for a step that does not exist, or an acceptance after the last day.
    """
    found = await get(tx, scope, proposal_id)
    possible = NEXT.get(found.state, ())
    if state not in possible:
        raise Conflict(
            f"a proposal that is {found.state} cannot become {state}",
            next_step=f"It can become {', '.join(possible)}."
            if possible
            else "It is decided; the daily check drafts anew.",
            facts={"state": found.state, "possible": list(possible)},
        )
    if state == "accepted" and found.valid_until is not None and tokyo_day(by.at_ms) > found.valid_until:
        raise Conflict(
            f"proposal {proposal_id} was valid until {found.valid_until.isoformat()}",
            next_step="The daily check drafts a new one where the link is still too full.",
            field="state",
        )
    seen = found.version if if_version is None else if_version
    values: dict[str, object] = {"state": state, "decided_ms": by.at_ms, "actor": by.actor, "version": seen + 1}
    if state == "sent" and valid_until is not None:
        values["valid_until"] = valid_until.isoformat()
    statement = update(proposals).where(proposals.c.id == proposal_id, proposals.c.version == seen).values(**values)
    if (await tx.execute(statement.returning(proposals.c.id))).one_or_none() is None:
        raise StaleVersion(f"proposal {proposal_id} changed since you read it", next_step="Read it again.")
    owner = await _owner(tx, found.entry_id)
    await _step(tx, by, proposal_id, state, reason)
    await _tell(tx, by, found, state)
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
    return await get(tx, Scope.everything(), proposal_id)


async def _tell(tx: Tx, by: By, before: Proposal, state: State) -> None:
    """Everybody of the place hears of what was sent to it; what a draft comes to is the provider's alone."""
    facts = {"proposal": before.id, "kind": before.kind, "model": before.model, "state": state}
    if before.state == "draft" and state != "sent":
        told = facts | {"entry": f"E-{before.entry_id}", "link": before.link_id}
        await events.record(tx, NewEvent(f"proposal.{state}", by.at_ms, facts=told))
    else:
        await events.record(tx, NewEvent(f"proposal.{state}", by.at_ms, entry_id=before.entry_id, facts=facts))


async def has_draft(tx: Tx, entry_id: int) -> bool:
    """Whether a draft for the place waits for somebody to look at it."""
    c = proposals.c
    return await tx.scalar(select(c.id).where(c.entry_id == entry_id, c.state == "draft")) is not None


async def past_validity(tx: Tx, today: date) -> list[Proposal]:
    """What was sent and could be accepted until a day that is over."""
    c = proposals.c
    query = _visible(Scope.everything()).where(c.state == "sent", c.valid_until < today.isoformat()).order_by(c.id)
    return [_proposal(row) for row in await tx.execute(query)]


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
        row.sent_ms,
        date.fromisoformat(row.valid_until) if row.valid_until else None,
        None if row.state in NEXT else row.decided_ms,
        row.actor,
        row.version,
        row.text_ja,
    )
