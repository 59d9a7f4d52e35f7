"""Pushes, their journal and the lock on each device: our tables are the truth (architecture D4, §5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    RowMapping,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from controller.store import audit, configs, events
from controller.store.configs import entry_in_scope
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.inventory import adapters, entries, placements
from controller.store.tables.operations import operations
from controller.store.tables.push import device_locks, push_journal, pushes
from controller.store.whereabouts import elsewhere, node_with
from inventory.errors import Conflict, NotFound
from inventory.operations import HOLDING
from inventory.plans import FINAL, JournalRow, Phase, Plan, Push, PushState, Verdict, outcome

_FACTS: Final[tuple[Column[Any], ...]] = tuple(column for column in pushes.c if column.name != "outcome")
_IN_ORDER: Final = (push_journal.c.push_id, push_journal.c.seq)


@dataclass(frozen=True, slots=True)
class Seat:
    """Whether a push still fits its place: `generation` of the entry now, and the adapter that sits there."""

    generation: int
    adapter_id: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A push, its journal (oldest row first) and its place, as they are at one moment."""

    push: Push
    rows: list[JournalRow]
    seat: Seat


async def create(tx: Tx, plan: Plan, by: By, *, due_ms: int) -> int:
    """A push of a plan with its first journal row. Raises Conflict when the plan was started before."""
    try:
        async with tx.begin_nested():
            made = await tx.execute(
                insert(pushes)
                .values(
                    plan_id=plan.id,
                    entry_id=plan.entry_id,
                    adapter_id=plan.adapter_id,
                    generation=plan.generation,
                    state=PushState.PLANNED.value,
                    said="",
                    attempt=0,
                    due_ms=due_ms,
                    created_ms=by.at_ms,
                    started_by=by.actor,
                )
                .returning(pushes.c.id)
            )
    except IntegrityError:
        raise Conflict(
            f"plan {plan.id} was started already",
            next_step="Look at its push; for another change make a new plan.",
        ) from None
    push_id: int = made.scalar_one()
    row = JournalRow(1, 0, PushState.PLANNED, Phase.OUTCOME, by.at_ms, Verdict.OK, f"started by {by.actor}")
    await append(tx, push_id, row)
    facts = {"plan": plan.id, "due_ms": due_ms}
    await _record(tx, "push.start", by, push_id, plan.entry_id, plan.adapter_id, facts)
    return push_id


async def get(tx: Tx, scope: Scope, push_id: int) -> Push:
    """Raises NotFound."""
    found = await tx.execute(select(*_FACTS).where(pushes.c.id == push_id, entry_in_scope(scope, pushes.c.entry_id)))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound(f"no push {push_id}", next_step="List the pushes of the entry.")
    return _push(row)


async def find(
    tx: Tx,
    scope: Scope,
    *,
    entry_id: int | None = None,
    adapter_id: int | None = None,
    open_only: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[Push]:
    """Pushes, newest first; `before` is the id after which the page goes on."""
    query = select(*_FACTS).where(entry_in_scope(scope, pushes.c.entry_id))
    if entry_id is not None:
        query = query.where(pushes.c.entry_id == entry_id)
    if adapter_id is not None:
        query = query.where(pushes.c.adapter_id == adapter_id)
    if open_only:
        query = query.where(pushes.c.finished_ms.is_(None))
    if before is not None:
        query = query.where(pushes.c.id < before)
    found = await tx.execute(query.order_by(pushes.c.id.desc()).limit(limit))
    return [_push(row) for row in found.mappings()]


async def journal(tx: Tx, scope: Scope, push_id: int) -> list[JournalRow]:
    """Journal of a push, oldest row first. Raises NotFound."""
    await get(tx, scope, push_id)
    return await rows(tx, push_id)


async def rows(tx: Tx, push_id: int) -> list[JournalRow]:
    """As `journal`, for the daemon's own loops."""
    found = await tx.execute(select(push_journal).where(push_journal.c.push_id == push_id).order_by(push_journal.c.seq))
    return [_row(row) for row in found.mappings()]


async def standing(tx: Tx, push_ids: Sequence[int]) -> dict[int, Standing]:
    """What a transition begins with, for many pushes at once; those that are not there are left out."""
    found: dict[int, Standing] = {}
    for some in in_parts(push_ids):
        known = [_push(row) for row in (await tx.execute(select(*_FACTS).where(pushes.c.id.in_(some)))).mappings()]
        places = await tx.execute(
            select(entries.c.id, entries.c.generation, placements.c.adapter_id)
            .outerjoin(placements, and_(placements.c.entry_id == entries.c.id, placements.c.to_ms.is_(None)))
            .where(entries.c.id.in_({push.entry_id for push in known}))
        )
        seats = {place.id: Seat(place.generation, place.adapter_id) for place in places}
        journals: dict[int, list[JournalRow]] = {push.id: [] for push in known}
        written = await tx.execute(select(push_journal).where(push_journal.c.push_id.in_(some)).order_by(*_IN_ORDER))
        for row in written.mappings():
            journals[row["push_id"]].append(_row(row))
        found |= {push.id: Standing(push, journals[push.id], seats[push.entry_id]) for push in known}
    return found


def _row(row: RowMapping) -> JournalRow:
    return JournalRow(
        seq=row["seq"],
        attempt=row["attempt"],
        state=PushState(row["state"]),
        phase=Phase(row["phase"]),
        at_ms=row["at_ms"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        said=row["said"],
        detail=row["detail"],
        transaction_id=row["transaction_id"],
    )


def _values(push_id: int, row: JournalRow) -> dict[str, object]:
    return {
        "push_id": push_id,
        "seq": row.seq,
        "attempt": row.attempt,
        "state": row.state.value,
        "phase": row.phase.value,
        "at_ms": row.at_ms,
        "verdict": None if row.verdict is None else row.verdict.value,
        "said": row.said,
        "detail": row.detail,
        "transaction_id": row.transaction_id,
    }


def is_final(row: JournalRow) -> bool:
    """Whether a push is over with this row."""
    return row.phase is Phase.OUTCOME and row.state in FINAL and row.verdict is Verdict.OK


def _changed(row: JournalRow) -> dict[str, str]:
    """What a row that is not final changes of its push."""
    changed = {"said": row.said} if row.said else {}
    if row.state not in FINAL:  # a final state that is only intended is not yet the push's state
        changed["state"] = row.state.value
    return changed


async def append_all(tx: Tx, rows: Sequence[tuple[int, JournalRow]]) -> None:
    """`append` for many pushes, one row each, none of them final; a statement for all instead of several for each."""
    await tx.execute(insert(push_journal), [_values(push_id, row) for push_id, row in rows])
    alike: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for push_id, row in rows:
        changed = _changed(row)
        if changed:
            alike[tuple(changed)].append(
                {"of_push": push_id, **{f"new_{name}": value for name, value in changed.items()}}
            )
    for names, values in alike.items():
        new: dict[str, ColumnElement[str]] = {name: bindparam(f"new_{name}") for name in names}
        await tx.execute(update(pushes).where(pushes.c.id == bindparam("of_push")).values(new), values)


async def append(tx: Tx, push_id: int, row: JournalRow) -> None:
    """Add a journal row and move the push to its state; a final outcome finishes it and frees the device."""
    if not is_final(row):
        await append_all(tx, [(push_id, row)])
        return
    await tx.execute(insert(push_journal).values(_values(push_id, row)))
    ended = outcome(row.state)
    assert ended is not None
    await tx.execute(
        update(pushes)
        .where(pushes.c.id == push_id)
        .values(state=row.state.value, said=row.said, outcome=ended.value, finished_ms=row.at_ms)
    )
    push = await get(tx, Scope.everything(), push_id)
    facts = {"state": row.state.value, "outcome": ended.value, "said": row.said}
    by = By(push.started_by, row.at_ms)
    await _record(tx, f"push.{row.state}", by, push_id, push.entry_id, push.adapter_id, facts)
    await tx.execute(delete(device_locks).where(device_locks.c.push_id == push_id))


async def unfinished(tx: Tx, now_ms: int, limit: int, *, node_id: str | None = None) -> list[Push]:
    """Pushes that are due and not finished, oldest first, whose device no other push and no operation holds.

    Those that another node than `node_id` carries out, or has the adapter of, are left out; without one, none is.
    """
    ours = or_(device_locks.c.node_id.is_(None), device_locks.c.node_id == node_id) if node_id else true()
    near = ~elsewhere(pushes.c.adapter_id, node_id) if node_id else true()
    found = await tx.execute(
        select(*_FACTS)
        .outerjoin(device_locks, device_locks.c.adapter_id == pushes.c.adapter_id)
        .where(pushes.c.finished_ms.is_(None), or_(pushes.c.due_ms <= now_ms, pushes.c.cancelled_by.is_not(None)))
        .where(
            or_(
                and_(device_locks.c.push_id == pushes.c.id, ours),
                and_(device_locks.c.push_id.is_(None), ~_operated(pushes.c.adapter_id), near),
            )
        )
        .order_by(pushes.c.due_ms, pushes.c.id)
        .limit(limit)
    )
    return [_push(row) for row in found.mappings()]


async def claim(tx: Tx, push: Push, *, attempt: int, now_ms: int, node_id: str | None = None) -> bool:
    """Take the device for a push and set its attempt; False when another push, node or operation holds the device."""
    await tx.execute(select(adapters.c.id).where(adapters.c.id == push.adapter_id).with_for_update())
    lock = (
        await tx.execute(
            select(device_locks.c.push_id, device_locks.c.node_id).where(device_locks.c.adapter_id == push.adapter_id)
        )
    ).one_or_none()
    if lock is None:
        if await tx.scalar(select(_operated(push.adapter_id))):
            return False
        try:
            async with tx.begin_nested():
                await tx.execute(
                    insert(device_locks).values(
                        adapter_id=push.adapter_id, push_id=push.id, since_ms=now_ms, node_id=node_id
                    )
                )
        except IntegrityError:
            return False
    elif lock.push_id != push.id or (node_id is not None and lock.node_id not in (None, node_id)):
        return False
    await tx.execute(update(pushes).where(pushes.c.id == push.id).values(attempt=attempt))
    return True


async def hand_over(tx: Tx, push: Push, node_id: str) -> str | None:
    """Give the device of a push from this node to the one that has a way to it; which, or None if there is none."""
    to = await node_with(tx, push.adapter_id)
    if to is None or to == node_id:
        return None
    mine = (device_locks.c.push_id == push.id, device_locks.c.node_id == node_id)
    moved: CursorResult[object] = await tx.execute(update(device_locks).where(*mine).values(node_id=to))
    return to if moved.rowcount == 1 else None


def _operated(adapter_id: Column[int] | int) -> ColumnElement[bool]:
    """Whether an operation has this adapter at present."""
    states = [state.value for state in HOLDING]
    return exists().where(operations.c.adapter_id == adapter_id, operations.c.state.in_(states))


async def holder(tx: Tx, adapter_id: int) -> int | None:
    """Push that holds a device at present."""
    found = await tx.execute(select(device_locks.c.push_id).where(device_locks.c.adapter_id == adapter_id))
    return found.scalar_one_or_none()


async def held(tx: Tx, adapter_ids: Collection[int]) -> set[int]:
    """Those of the adapters that a push holds at present."""
    found: set[int] = set()
    for some in in_parts(adapter_ids):
        found.update(await tx.scalars(select(device_locks.c.adapter_id).where(device_locks.c.adapter_id.in_(some))))
    return found


async def holding(tx: Tx) -> int:
    """How many devices are held by pushes."""
    return (await tx.execute(select(func.count()).select_from(device_locks))).scalar_one()


async def ask_to_stop(tx: Tx, push: Push, by: By) -> None:
    """Record who wants the push stopped; the first one counts."""
    wanted = pushes.c.cancelled_by.is_(None)
    await tx.execute(update(pushes).where(pushes.c.id == push.id, wanted).values(cancelled_by=by.actor))
    await _record(tx, "push.cancel", by, push.id, push.entry_id, push.adapter_id, {"state": push.state.value})


async def seat(tx: Tx, entry_id: int, *, lock: bool = False) -> Seat:
    """Generation and occupant of an entry; with `lock` nobody else moves it until the transaction ends."""
    query = select(entries.c.generation).where(entries.c.id == entry_id)
    generation = (await tx.execute(query.with_for_update() if lock else query)).scalar_one()
    occupant = await tx.execute(
        select(placements.c.adapter_id).where(placements.c.entry_id == entry_id, placements.c.to_ms.is_(None))
    )
    return Seat(generation, occupant.scalar_one_or_none())


async def _record(
    tx: Tx, kind: str, by: By, push_id: int, entry_id: int, adapter_id: int, facts: Mapping[str, object]
) -> None:
    news = NewEvent(kind, by.at_ms, adapter_id=adapter_id, entry_id=entry_id, push_id=push_id, facts=facts)
    await events.record(tx, news)
    owner = await configs.owner(tx, entry_id)
    audit.record(tx, by, kind, f"E-{entry_id}", contractor_id=owner, after={"push": push_id, **facts})


def _push(row: RowMapping) -> Push:
    facts = dict(row)
    facts["state"] = PushState(facts["state"])
    return Push(**facts)
