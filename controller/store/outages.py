"""Outages of managements and the claims for them: each fact with when it was learnt, each step with its rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select

from controller.store import audit, contracts, events, managements, prices
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import in_parts, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.inventory import managements as management_table
from controller.store.tables.inventory import slot_counts
from controller.store.tables.money import outage_facts, outage_steps, outages
from inventory.calendar import TOKYO, Month, tokyo_day
from inventory.catalogue import Service
from inventory.errors import BadInput, Conflict
from inventory.outagebook import Decision, FactName, OutageFact, credit_kept, fold
from inventory.outageclaims import FINAL, ClaimState, OutageClaim, decide
from inventory.prices import PriceList, entry_item, standby_item
from inventory.slots import Management, show_key
from inventory.terms import VERSIONS


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact of an outage as it was recorded."""

    fact: OutageFact
    actor: str


@dataclass(frozen=True, slots=True)
class Step:
    """A state that the claim came to."""

    state: str
    rule: str
    terms_version: str
    reason: str
    at_ms: int
    actor: str


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage of a management with all that is on record."""

    id: int
    management_id: int
    contractor_id: int
    claim: OutageClaim
    alerts: tuple[str, ...]
    facts: tuple[Recorded, ...]
    steps: tuple[Step, ...]
    decided_ms: int | None


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit that was granted: it goes on the invoice for the month in which it was decided."""

    outage_id: int
    management_id: int
    service: Service
    decided_ms: int
    decision: Decision


# --- what people record -----------------------------------------------------------------------------------------------


async def record(
    tx: Tx, scope: Scope, by: By, management_id: int, *, began_ms: int, known_ms: int | None, reason: str
) -> Outage:
    """A management is wholly unusable, or as good as. Raises NotFound, or BadInput for an instant to come."""
    management = await managements.get(tx, scope, management_id)
    for name, value in (("began", began_ms), ("known", known_ms)):
        if value is not None and value > by.at_ms:
            raise BadInput(f"{name} lies in the future", field=name, next_step="Record it when it has happened.")
    if known_ms is not None and known_ms < began_ms:
        raise BadInput("known lies before began", field="known", next_step="Nobody knows of it before it begins.")
    number = await tx.scalar(
        insert(outages).values(management_id=management.id, created_ms=by.at_ms).returning(outages.c.id)
    )
    assert number is not None
    await _fact(tx, by, management, number, "began", str(began_ms), reason)
    if known_ms is not None:
        await _fact(tx, by, management, number, "known", str(known_ms), reason)
    return await _looked_at(tx, by, number)


async def learn(
    tx: Tx, scope: Scope, by: By, outage_id: int, name: FactName, at_ms: int | None, *, reason: str
) -> Outage:
    """Record or correct when it began, was known or ended; None takes the end or the knowledge back.

    Raises NotFound, BadInput for an instant that cannot be, Conflict once the claim is decided.
    """
    found = await _undecided(tx, scope, by, outage_id)
    if at_ms is None and name == "began":
        raise BadInput("every outage began", field="began", next_step="Give the instant.")
    if at_ms is not None:
        began = found.claim.began if name != "began" else None
        if at_ms > by.at_ms or (began is not None and at_ms < _ms(began)):
            raise BadInput(
                f"{name} lies in the future, or before the outage began",
                field=name,
                next_step="Give the instant at which it happened; correct the beginning first if that is wrong.",
            )
    management = await managements.get(tx, scope, found.management_id)
    await _fact(tx, by, management, outage_id, name, "unknown" if at_ms is None else str(at_ms), reason)
    return await _looked_at(tx, by, outage_id)


async def attribute(tx: Tx, scope: Scope, by: By, outage_id: int, value: bool | None, *, reason: str) -> Outage:
    """Say whether the provider answers for it, while its 24 hours are not complete (service-terms §8).

    Raises NotFound; Conflict later, when a claim is decided and the decision says it.
    """
    found = await _undecided(tx, scope, by, outage_id)
    if found.claim.state is not ClaimState.WATCHING:
        raise Conflict(
            f"the outage is {found.claim.state}: who answers for it is said by the decision on a claim",
            rule=found.claim.rule,
            next_step="Decide the claim when it has come.",
        )
    management = await managements.get(tx, scope, found.management_id)
    word = "unknown" if value is None else "yes" if value else "no"
    await _fact(tx, by, management, outage_id, "attributable", word, reason)
    return await _looked_at(tx, by, outage_id)


async def claim(tx: Tx, scope: Scope, by: By, outage_id: int, day: date, *, reason: str) -> Outage:
    """A claim arrived on a Tokyo day. A fact: one that does not fit is recorded, raises an alert and changes nothing.

    Raises NotFound, or BadInput for a day to come.
    """
    found = await get(tx, scope, by.at_ms, outage_id, lock=True)
    if day > tokyo_day(by.at_ms):
        raise BadInput("a claim cannot have arrived on a day to come", field="day", next_step="Give the day it came.")
    management = await managements.get(tx, scope, found.management_id)
    await _fact(tx, by, management, outage_id, "claimed", day.isoformat(), reason)
    after = await _looked_at(tx, by, outage_id)
    for words in after.alerts[len(found.alerts) :]:
        facts: dict[str, object] = {"outage": outage_id, "alert": words}
        await events.record(tx, NewEvent("outage.alert", by.at_ms, management_id=management.id, facts=facts))
    return after


async def decide_claim(tx: Tx, scope: Scope, by: By, outage_id: int, *, attributable: bool, reason: str) -> Outage:
    """Decide a claim once the outage is over: credited on the next invoice, or rejected with the reason.

    The base is the management's full monthly fee on the day on which the outage began. Raises NotFound, RuleViolation
    when it is not claimed or goes on.
    """
    found = await get(tx, scope, by.at_ms, outage_id, lock=True)
    management = await managements.get(tx, scope, found.management_id)
    price_list = await prices.price_list(tx, management.contractor_id)
    monthly_yen = 0
    if attributable:
        monthly_yen = await full_monthly_yen(tx, management, price_list, found.claim.began.astimezone(TOKYO).date())
    done = decide(found.claim, monthly_yen, attributable=attributable, reason=reason)
    assert done.credit is not None
    kept = {
        "credited": done.state is ClaimState.CREDITED,
        "monthly_yen": monthly_yen,
        "parts": [[part.words, str(part.exact_yen)] for part in done.credit.parts],
        "rules": list(done.credit.rules),
        "yen": done.credit.yen,
        "amount_reason": done.credit.reason,
    }
    await _fact(tx, by, management, outage_id, "decided", to_json(kept), done.reason)
    return await _looked_at(tx, by, outage_id)


async def full_monthly_yen(tx: Tx, management: Management, price_list: PriceList, day: date) -> int:
    """Entries and standbys of a day, each at the price of its month: that of the month's first day, or of the billing
    start date if that is later. Before the first count on record, what was applied for stood (an import)."""
    line = await contracts.line_of_management(tx, management.id)
    price_day, applied = Month.of(day).first, (0, 0)
    if line is not None:
        start = (await contracts.book(tx, line.contractor_id, day)).contracts.get(line.id)
        if start is not None and start.billing_start is not None and start.billing_start <= day:
            price_day = max(price_day, start.billing_start)
            applied = (line.wanted.entries or 0, line.wanted.standbys or 0)
    total = 0
    kinds = (("entry", entry_item(management.service)), ("standby", standby_item(management.service)))
    for (kind, item), before in zip(kinds, applied, strict=True):
        counts = await tx.execute(
            select(slot_counts.c.slots)
            .where(
                slot_counts.c.management_id == management.id,
                slot_counts.c.kind == kind,
                slot_counts.c.valid_from <= day.isoformat(),
            )
            .order_by(slot_counts.c.valid_from.desc(), slot_counts.c.opening, slot_counts.c.id.desc())
            .limit(1)
        )
        found = counts.scalar()
        count = before if found is None else found
        total += count * price_list.yen(item, "monthly", price_day) if count else 0
    return total


# --- reading ----------------------------------------------------------------------------------------------------------


async def get(
    tx: Tx, scope: Scope, now_ms: int, outage_id: int, *, known_at_ms: int | None = None, lock: bool = False
) -> Outage:
    """An outage as it stands. Raises NotFound."""
    query = _visible(scope).where(outages.c.id == outage_id)
    row = (await tx.execute(query.with_for_update(of=outages) if lock else query)).one_or_none()
    found = [] if row is None else await _folded(tx, [row], now_ms, known_at_ms)
    if not found:
        raise not_found(f"outage {outage_id}")
    return found[0]


async def page(
    tx: Tx,
    scope: Scope,
    now_ms: int,
    *,
    after: int = 0,
    limit: int = 100,
    management_id: int | None = None,
) -> list[Outage]:
    """Outages by number."""
    query = _visible(scope).where(outages.c.id > after).order_by(outages.c.id).limit(limit)
    if management_id is not None:
        query = query.where(outages.c.management_id == management_id)
    return await _folded(tx, (await tx.execute(query)).all(), now_ms, None)


async def unsettled(tx: Tx, scope: Scope, now_ms: int) -> list[Outage]:
    """Outages whose last recorded step is not final, as they stand."""
    final = select(outage_steps.c.outage_id).where(outage_steps.c.state.in_([str(one) for one in FINAL]))
    query = _visible(scope).where(outages.c.id.not_in(final)).order_by(outages.c.id)
    return await _folded(tx, (await tx.execute(query)).all(), now_ms, None)


async def credits_of(tx: Tx, contractor_id: int, known_at_ms: int | None = None) -> list[Credited]:
    """Credits granted to a contractor, as they were known at an instant."""
    query = (
        select(outage_facts, outages.c.management_id, management_table.c.service)
        .join(outages, outages.c.id == outage_facts.c.outage_id)
        .join(management_table, management_table.c.id == outages.c.management_id)
        .where(outage_facts.c.name == "decided", management_table.c.contractor_id == contractor_id)
        .order_by(outage_facts.c.id)
    )
    if known_at_ms is not None:
        query = query.where(outage_facts.c.recorded_ms <= known_at_ms)
    found = [
        Credited(
            row.outage_id,
            row.management_id,
            row.service,
            row.recorded_ms,
            _decision(row.value, row.reason, row.recorded_ms),
        )
        for row in await tx.execute(query)
    ]
    return [one for one in found if one.decision.credited]


# --- the clock --------------------------------------------------------------------------------------------------------


async def pass_clock(tx: Tx, by: By) -> list[Outage]:
    """Record what the clock has brought: closed, claimable, claimed, lapsed. The daemon calls it every minute."""
    moved = []
    for one in await unsettled(tx, Scope.everything(), by.at_ms):
        if not one.steps or one.steps[-1].state != str(one.claim.state):
            moved.append(await _looked_at(tx, by, one.id))
    return moved


async def _looked_at(tx: Tx, by: By, outage_id: int) -> Outage:
    """The outage at this instant; a state that it came to is a step, an event and stands in the audit."""
    found = await get(tx, Scope.everything(), by.at_ms, outage_id, lock=True)
    state = str(found.claim.state)
    if found.steps and found.steps[-1].state == state:
        return found
    rule = found.claim.rule
    version = VERSIONS[found.claim.service]
    step = Step(state, rule, version, found.claim.reason, by.at_ms, by.actor)
    await tx.execute(
        insert(outage_steps).values(
            outage_id=outage_id,
            state=state,
            rule=rule,
            terms_version=version,
            reason=step.reason,
            at_ms=by.at_ms,
            actor=by.actor,
        )
    )
    facts: dict[str, object] = {"outage": outage_id, "rule": rule, "reason": step.reason}
    if found.claim.last_day is not None:
        facts["last_day"] = found.claim.last_day.isoformat()
    if found.claim.credit is not None:
        facts["yen"] = found.claim.credit.yen
    await events.record(tx, NewEvent(f"outage.{state}", by.at_ms, management_id=found.management_id, facts=facts))
    return await get(tx, Scope.everything(), by.at_ms, outage_id)


async def _undecided(tx: Tx, scope: Scope, by: By, outage_id: int) -> Outage:
    found = await get(tx, scope, by.at_ms, outage_id, lock=True)
    if found.decided_ms is not None:
        raise Conflict(
            f"outage {outage_id} is decided: {found.claim.state}",
            rule=found.claim.rule,
            next_step="A decision is final; nothing of the outage changes after it.",
        )
    return found


# --- rows -------------------------------------------------------------------------------------------------------------


async def _fact(
    tx: Tx, by: By, management: Management, outage_id: int, name: FactName, value: str, reason: str
) -> None:
    values = {"outage_id": outage_id, "name": name, "value": value, "reason": reason}
    await tx.execute(insert(outage_facts).values(**values, recorded_ms=by.at_ms, actor=by.actor))
    audit.record(
        tx,
        by,
        f"outage.{name}",
        f"outage {outage_id}",
        contractor_id=management.contractor_id,
        after={"management": show_key("M", management.id), "value": value, "reason": reason},
    )


def _visible(scope: Scope) -> Select[Any]:
    query = select(outages, management_table.c.service, management_table.c.contractor_id).join(
        management_table, management_table.c.id == outages.c.management_id
    )
    return (
        query if scope.contractor_id is None else query.where(management_table.c.contractor_id == scope.contractor_id)
    )


async def _folded(tx: Tx, rows: Sequence[AnyRow], now_ms: int, known_at_ms: int | None) -> list[Outage]:
    facts = await _by_outage(tx, outage_facts, [row.id for row in rows])
    steps = await _by_outage(tx, outage_steps, [row.id for row in rows])
    now = datetime.fromtimestamp(now_ms // 1000, TOKYO) + timedelta(milliseconds=now_ms % 1000)
    found = []
    for row in rows:
        learnt = [_recorded(one) for one in facts.get(row.id, ()) if one.name != "decided"]
        decided = next((one for one in facts.get(row.id, ()) if one.name == "decided"), None)
        decision = None if decided is None else _decision(decided.value, decided.reason, decided.recorded_ms)
        book = fold(row.service, [one.fact for one in learnt], now, decision=decision, known_at_ms=known_at_ms)
        if book is None:
            continue
        shown = tuple(one for one in learnt if known_at_ms is None or one.fact.recorded_ms <= known_at_ms)
        done = tuple(_step(one) for one in steps.get(row.id, ()) if known_at_ms is None or one.at_ms <= known_at_ms)
        decided_ms = decision.decided_ms if decision and book.claim.credit is not None else None
        found.append(
            Outage(row.id, row.management_id, row.contractor_id, book.claim, book.alerts, shown, done, decided_ms)
        )
    return found


async def _by_outage(tx: Tx, table: Any, ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    found: dict[int, list[AnyRow]] = {}
    for some in in_parts(ids):
        for row in await tx.execute(select(table).where(table.c.outage_id.in_(some)).order_by(table.c.id)):
            found.setdefault(row.outage_id, []).append(row)
    return found


def _recorded(row: AnyRow) -> Recorded:
    return Recorded(OutageFact(row.name, row.value, row.recorded_ms, row.reason), row.actor)


def _step(row: AnyRow) -> Step:
    return Step(row.state, row.rule, row.terms_version, row.reason, row.at_ms, row.actor)


def _decision(value: str, reason: str, decided_ms: int) -> Decision:
    kept: Mapping[str, Any] = json.loads(value)
    amount = credit_kept([(words, exact) for words, exact in kept["parts"]], kept["rules"], kept["amount_reason"])
    return Decision(kept["credited"], reason, amount, decided_ms)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
