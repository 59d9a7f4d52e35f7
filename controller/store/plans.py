"""Plans: stored before anything is sent, never changed; approvals are rows beside them (architecture §4)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from controller.keyring import Keyring
from controller.store import audit, configs, events
from controller.store.configs import entry_in_scope, pack, unpack
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.events import NewEvent
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import adapters
from controller.store.tables.push import plan_approvals, plans, pushes
from drivers.push import Guard, PushJob
from inventory.errors import Conflict, NotFound
from inventory.plans import Approval, BlastRadius, Computed, ConfigText, Finding, Plan, Rarity

_FACTS: Final[tuple[ColumnElement[Any], ...]] = (
    plans.c.id,
    plans.c.entry_id,
    plans.c.adapter_id,
    adapters.c.serial_shown.label("serial"),
    plans.c.generation,
    plans.c.family,
    plans.c.created_ms,
    plans.c.valid_until_ms,
    plans.c.created_by,
    plans.c.base_digest,
    plans.c.intent_digest,
    plans.c.guard,
    plans.c.guard_s,
    plans.c.read_during_guard,
    plans.c.expected_s,
    plans.c.shown,
)
_ONE: Final = direct(
    select(*_FACTS).join(adapters, adapters.c.id == plans.c.adapter_id).where(plans.c.id == bindparam("of_plan"))
)
_COURSES: Final = direct(
    select(
        plans.c.id,
        plans.c.entry_id,
        plans.c.adapter_id,
        adapters.c.serial_shown,
        plans.c.family,
        plans.c.created_ms,
        plans.c.base_digest,
        plans.c.intent_digest,
        plans.c.guard,
        plans.c.guard_s,
        plans.c.read_during_guard,
        plans.c.job_sealed,
    )
    .join(adapters, adapters.c.id == plans.c.adapter_id)
    .where(plans.c.id.in_(bindparam("of_plans", expanding=True)))
)
_APPROVALS: Final = direct(
    select(plan_approvals.c.actor, plan_approvals.c.at_ms)
    .where(plan_approvals.c.plan_id == bindparam("of_plan"))
    .order_by(plan_approvals.c.id)
)
_STARTED: Final = direct(
    select(pushes.c.plan_id, pushes.c.id).where(pushes.c.plan_id.in_(bindparam("of_plans", expanding=True)))
)
_INSERT: Final = direct(insert(plans).returning(plans.c.id))
_APPROVE: Final = direct(insert(plan_approvals))
_GUARDS: Final[tuple[Guard, ...]] = ("revert timer", "cfg-save revert", "client rollback", "none")


@dataclass(frozen=True, slots=True)
class NewPlan:
    """All that a plan is made of. `base`, `intent` and the computed lines hold secrets and are stored sealed."""

    entry_id: int
    adapter_id: int
    generation: int
    family: str
    created_ms: int
    valid_until_ms: int
    created_by: str
    base: ConfigText
    intent: ConfigText
    computed: Computed
    rarity: tuple[Rarity | None, ...]
    blast: BlastRadius
    guard: str
    guard_s: int
    read_during_guard: bool
    expected_s: int
    approvals_needed: int


@dataclass(frozen=True, slots=True)
class Course:
    """What of a plan its push goes by: nothing that is only shown. It holds secrets, and never changes."""

    family: str
    base_digest: str
    intent_digest: str
    guard: Guard
    read_during_guard: bool
    job: PushJob


async def create(tx: Tx, keyring: Keyring, new: NewPlan) -> int:
    """Store a plan; returns its id. The caller has checked that the entry is in its scope."""
    computed = new.computed
    job = {
        "base": pack(new.base),
        "intent": pack(new.intent),
        "remediation": computed.remediation,
        "rollback": computed.rollback,
    }
    shown = {
        "diff": computed.diff_shown,
        "rarity": [None if one is None else [one.on, one.of] for one in new.rarity],
        "remediation": computed.remediation_shown,
        "rollback": computed.rollback_shown,
        "proven": computed.proven,
        "proof": computed.proof,
        "management_path": [[one.line, one.reason] for one in computed.management_path],
        "lasting": [[one.line, one.reason] for one in computed.lasting],
        "blast": dataclasses.asdict(new.blast),
        "approvals_needed": new.approvals_needed,
    }
    context = _context(new.entry_id, new.adapter_id, new.created_ms, computed.intent_digest)
    values = {
        "entry_id": new.entry_id,
        "adapter_id": new.adapter_id,
        "generation": new.generation,
        "family": new.family,
        "created_ms": new.created_ms,
        "valid_until_ms": new.valid_until_ms,
        "created_by": new.created_by,
        "base_digest": computed.base_digest,
        "intent_digest": computed.intent_digest,
        "guard": new.guard,
        "guard_s": new.guard_s,
        "read_during_guard": int(new.read_during_guard),
        "expected_s": new.expected_s,
        "job_sealed": keyring.seal(to_json(job), context=context),
        "shown": to_json(shown),
    }
    made = await tx.execute(_INSERT, values)
    plan_id: int = made.scalar_one()
    by = By(new.created_by, new.created_ms)
    facts = {"plan": plan_id, "proven": computed.proven, "intent_digest": computed.intent_digest}
    news = NewEvent("plan.make", by.at_ms, adapter_id=new.adapter_id, entry_id=new.entry_id, facts=facts)
    await events.record(tx, news)
    owner = await configs.owner(tx, new.entry_id)
    audit.record(tx, by, "plan.make", f"E-{new.entry_id}", contractor_id=owner, after=facts)
    return plan_id


async def get(tx: Tx, scope: Scope, plan_id: int) -> Plan:
    """A plan as it may be shown. Raises NotFound."""
    query = _ONE if scope.contractor_id is None else _ONE.where(entry_in_scope(scope, plans.c.entry_id))
    row = (await tx.execute(query, {"of_plan": plan_id})).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no plan {plan_id}", next_step="List the plans of the entry.")
    return _plan(row, await _approvals(tx, plan_id))


async def of_entry(
    tx: Tx, scope: Scope, entry_id: int | None, *, before: int | None = None, limit: int = 50
) -> list[Plan]:
    """Plans of an entry (None: of all), newest first; `before` is the id after which the page goes on."""
    query = (
        select(*_FACTS)
        .join(adapters, adapters.c.id == plans.c.adapter_id)
        .where(entry_in_scope(scope, plans.c.entry_id))
    )
    if entry_id is not None:
        query = query.where(plans.c.entry_id == entry_id)
    if before is not None:
        query = query.where(plans.c.id < before)
    found = await tx.execute(query.order_by(plans.c.id.desc()).limit(limit))
    return [_plan(row, await _approvals(tx, row["id"])) for row in found.mappings().all()]


async def courses(tx: Tx, keyring: Keyring, plan_of: Mapping[int, int]) -> dict[int, Course]:
    """What pushes go by: given the plans of pushes by their ids, the courses by the same ids."""
    found: dict[int, RowMapping] = {}
    for some in in_parts(set(plan_of.values())):
        rows = await tx.execute(_COURSES, {"of_plans": list(some)})
        found |= {row["id"]: row for row in rows.mappings()}
    return {push_id: _course(keyring, found[plan_id], push_id) for push_id, plan_id in plan_of.items()}


async def job(tx: Tx, keyring: Keyring, plan_id: int, push_id: int) -> PushJob:
    """What the driver needs to carry out a plan as push `push_id`; it holds secrets."""
    return (await courses(tx, keyring, {push_id: plan_id}))[push_id].job


async def intent(tx: Tx, keyring: Keyring, plan_id: int) -> ConfigText:
    """What a plan was to lead to; it holds secrets. The caller has checked the scope."""
    return (await job(tx, keyring, plan_id, 0)).intent


async def started(tx: Tx, plan_ids: Collection[int]) -> dict[int, int]:
    """Pushes by the plan that they carry out."""
    found: dict[int, int] = {}
    for some in in_parts(plan_ids):
        rows = await tx.execute(_STARTED, {"of_plans": list(some)})
        found |= {row.plan_id: row.id for row in rows}
    return found


async def approve(tx: Tx, plan: Plan, by: By) -> None:
    """Record an approval. Raises Conflict when the same person has approved already."""
    try:
        async with tx.begin_nested():
            await tx.execute(_APPROVE, {"plan_id": plan.id, "actor": by.actor, "at_ms": by.at_ms})
    except IntegrityError:
        raise Conflict(
            f"{by.actor} has approved plan {plan.id} already",
            next_step="If it needs a second approval, another person must give it.",
        ) from None
    facts = {"plan": plan.id}
    news = NewEvent("plan.approve", by.at_ms, adapter_id=plan.adapter_id, entry_id=plan.entry_id, facts=facts)
    await events.record(tx, news)
    owner = await configs.owner(tx, plan.entry_id)
    audit.record(tx, by, "plan.approve", f"E-{plan.entry_id}", contractor_id=owner, after=facts)


async def _approvals(tx: Tx, plan_id: int) -> tuple[Approval, ...]:
    found = await tx.execute(_APPROVALS, {"of_plan": plan_id})
    return tuple(Approval(actor, at_ms) for actor, at_ms in found)


def _context(entry_id: int, adapter_id: int, created_ms: int, intent_digest: str) -> str:
    return f"plans/{entry_id}/{adapter_id}/{created_ms}/{intent_digest}"


def _course(keyring: Keyring, row: RowMapping, push_id: int) -> Course:
    context = _context(row["entry_id"], row["adapter_id"], row["created_ms"], row["intent_digest"])
    stored = json.loads(keyring.unseal(row["job_sealed"], context=context).reveal())
    job = PushJob(
        push_id=str(push_id),
        serial=row["serial_shown"],
        base=unpack(stored["base"]),
        intent=unpack(stored["intent"]),
        remediation=tuple(stored["remediation"]),
        rollback=tuple(stored["rollback"]),
        guard_s=row["guard_s"],
    )
    return Course(
        family=row["family"],
        base_digest=row["base_digest"],
        intent_digest=row["intent_digest"],
        guard=_guard(row["id"], row["guard"]),
        read_during_guard=bool(row["read_during_guard"]),
        job=job,
    )


def _guard(plan_id: int, stored: str) -> Guard:
    for guard in _GUARDS:
        if guard == stored:
            return guard
    raise ValueError(f"plan {plan_id} has an unknown guard {stored}")


def _findings(stored: str | Sequence[Sequence[str]]) -> tuple[Finding, ...]:
    """Findings as stored; plans of the first versions hold one text without reasons."""
    if isinstance(stored, str):
        return (Finding(stored, ""),) if stored else ()
    return tuple(Finding(line, reason) for line, reason in stored)


def _plan(row: RowMapping, approvals: tuple[Approval, ...]) -> Plan:
    facts = dict(row)
    shown = json.loads(facts.pop("shown"))
    facts["read_during_guard"] = bool(facts["read_during_guard"])
    return Plan(
        **facts,
        diff=shown["diff"],
        rarity=tuple(None if one is None else Rarity(*one) for one in shown.get("rarity", ())),
        remediation=tuple(shown["remediation"]),
        rollback=tuple(shown["rollback"]),
        proven=shown["proven"],
        proof=shown["proof"],
        management_path=_findings(shown["management_path"]),
        lasting=_findings(shown.get("lasting", ())),
        blast=BlastRadius(**shown["blast"]),
        approvals_needed=shown["approvals_needed"],
        approvals=approvals,
    )
