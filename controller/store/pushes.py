"""Pushes, their journal and the lock on each device: our tables are the truth (architecture D4, §5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    Integer,
    RowMapping,
    Select,
    Update,
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

from controller.store import audit, configs, events, quarantines
from controller.store.configs import entry_in_scope
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.events import NewEvent
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.incidents import incidents
from controller.store.tables.inventory import adapters, entries, placements
from controller.store.tables.operations import operations
from controller.store.tables.push import device_locks, push_journal, pushes
from controller.store.whereabouts import elsewhere, node_with
from inventory.errors import Conflict, NotFound
from inventory.operations import HOLDING
from inventory.plans import FINAL, JournalRow, Phase, Plan, Push, PushState, Verdict, outcome

_FACTS: Final[tuple[Column[Any], ...]] = tuple(column for column in pushes.c if column.name != "outcome")
_OF_PUSHES: Final = push_journal.c.push_id.in_(bindparam("of_pushes", expanding=True))
_SOME: Final = direct(
    select(*_FACTS, incidents.c.id.label("open_incident"))
    .outerjoin(incidents, quarantines.OF_PUSH)
    .where(pushes.c.id.in_(bindparam("of_pushes", expanding=True)))
)
_PLACED: Final = direct(
    select(*_FACTS, entries.c.generation.label("present_generation"), placements.c.adapter_id.label("occupant"))
    .join(entries, entries.c.id == pushes.c.entry_id)
    .outerjoin(placements, and_(placements.c.entry_id == entries.c.id, placements.c.to_ms.is_(None)))
    .where(pushes.c.id.in_(bindparam("of_pushes", expanding=True)))
)
_NOT_BEGUN: Final = direct(
    select(pushes.c.id).where(
        pushes.c.id.in_(bindparam("of_pushes", expanding=True)),
        pushes.c.state == PushState.PLANNED.value,
        pushes.c.finished_ms.is_(None),
    )
)
_ROWS: Final = direct(select(push_journal).where(_OF_PUSHES).order_by(push_journal.c.push_id, push_journal.c.seq))
_LAST_ROWS: Final = direct(
    select(push_journal.c.push_id, func.max(push_journal.c.seq)).where(_OF_PUSHES).group_by(push_journal.c.push_id)
)
_SEATS: Final = direct(
    select(entries.c.id, entries.c.generation, placements.c.adapter_id)
    .outerjoin(placements, and_(placements.c.entry_id == entries.c.id, placements.c.to_ms.is_(None)))
    .where(entries.c.id.in_(bindparam("of_entries", expanding=True)))
)
_INSERT_ROW: Final = direct(insert(push_journal))
_UPDATES: Final[dict[tuple[str, ...], Update]] = {
    names: direct(
        update(pushes)
        .where(pushes.c.id == bindparam("of_push"))
        .values({name: bindparam(f"new_{name}") for name in names})
    )
    for names in (("said",), ("state",), ("said", "state"))
}
_END: Final = direct(
    update(pushes)
    .where(pushes.c.id == bindparam("of_push"))
    .values(
        state=bindparam("new_state"),
        said=bindparam("new_said"),
        outcome=bindparam("new_outcome"),
        finished_ms=bindparam("new_ms"),
    )
)
_HOLDER: Final = direct(select(device_locks.c.push_id).where(device_locks.c.adapter_id == bindparam("of_adapter")))
_INSERT: Final = direct(insert(pushes).returning(pushes.c.id))
_ATTEMPT: Final = direct(
    update(pushes).where(pushes.c.id == bindparam("of_push")).values(attempt=bindparam("new_attempt"))
)
_FREE: Final = direct(delete(device_locks).where(device_locks.c.push_id == bindparam("of_push")))


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
                _INSERT,
                {
                    "plan_id": plan.id,
                    "entry_id": plan.entry_id,
                    "adapter_id": plan.adapter_id,
                    "generation": plan.generation,
                    "state": PushState.PLANNED.value,
                    "said": "",
                    "attempt": 0,
                    "due_ms": due_ms,
                    "created_ms": by.at_ms,
                    "started_by": by.actor,
                },
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


async def not_begun(tx: Tx, push_ids: Collection[int]) -> set[int]:
    """Those of these pushes that wait for their time or their turn: nothing of them was begun."""
    found: set[int] = set()
    for some in in_parts(push_ids):
        found |= set((await tx.execute(_NOT_BEGUN, {"of_pushes": list(some)})).scalars())
    return found


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


async def standing(
    tx: Tx, push_ids: Sequence[int], known: Mapping[int, Sequence[JournalRow]] | None = None
) -> dict[int, Standing]:
    """What a transition begins with, for many pushes at once; those that are not there are left out.

    `known`: journals as the caller knows them. Rows are never changed, so one that has got no row since is not read.
    """
    found: dict[int, Standing] = {}
    for some in in_parts(push_ids):
        placed = await unread(tx, some)
        journals = await _journals(tx, list(placed), known or {})
        found |= {push_id: Standing(push, journals[push_id], seat) for push_id, (push, seat) in placed.items()}
    return found


async def unread(tx: Tx, push_ids: Sequence[int]) -> dict[int, tuple[Push, Seat]]:
    """As `standing`, without journals, for whoever writes them."""
    found: dict[int, tuple[Push, Seat]] = {}
    for some in in_parts(push_ids):
        for row in (await tx.execute(_PLACED, {"of_pushes": list(some)})).mappings():
            facts = dict(row)
            seat = Seat(facts.pop("present_generation"), facts.pop("occupant"))
            found[facts["id"]] = (_push(facts), seat)
    return found


async def _journals(
    tx: Tx, push_ids: Sequence[int], known: Mapping[int, Sequence[JournalRow]]
) -> Mapping[int, list[JournalRow]]:
    lasts = await tx.execute(_LAST_ROWS, {"of_pushes": list(push_ids)})
    same = {push_id for push_id, last in lasts if push_id in known and known[push_id][-1].seq == last}
    journals = {push_id: list(known[push_id]) if push_id in same else [] for push_id in push_ids}
    changed = [push_id for push_id in push_ids if push_id not in same]
    if changed:
        written = await tx.execute(_ROWS, {"of_pushes": changed})
        for row in written.mappings():
            journals[row["push_id"]].append(_row(row))
    return journals


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
    """`append` for many pushes, the rows of each in their order; a statement for all instead of several for each."""
    values = [_values(push_id, row) for push_id, row in rows]
    await tx.execute(_INSERT_ROW, values[0] if len(values) == 1 else values)
    changed: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for push_id, row in rows:
        changed[push_id] |= {} if is_final(row) else _changed(row)
    alike: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for push_id, new in changed.items():
        if new:
            of = {"of_push": push_id, **{f"new_{name}": value for name, value in new.items()}}
            alike[tuple(sorted(new))].append(of)
    for names, updates in alike.items():
        await tx.execute(_UPDATES[names], updates)
    await _finish(tx, {push_id: row for push_id, row in rows if is_final(row)})


async def _finish(tx: Tx, lasts: Mapping[int, JournalRow]) -> None:
    """These pushes are over: their devices are free, and what is in doubt is an incident."""
    if not lasts:
        return
    outcomes = {push_id: ended.value for push_id, row in lasts.items() if (ended := outcome(row.state))}
    changes = [
        {
            "of_push": push_id,
            "new_state": row.state.value,
            "new_said": row.said,
            "new_outcome": outcomes[push_id],
            "new_ms": row.at_ms,
        }
        for push_id, row in lasts.items()
    ]
    await tx.execute(_END, changes)
    found = await _found(tx, lasts)
    whole = [push for push, _ in found]
    owners = await configs.owners(tx, {push.entry_id for push in whole})
    news = []
    for push in whole:
        row = lasts[push.id]
        facts = {"state": row.state.value, "outcome": outcomes[push.id], "said": row.said}
        kind = f"push.{row.state}"
        news.append(
            NewEvent(kind, row.at_ms, adapter_id=push.adapter_id, entry_id=push.entry_id, push_id=push.id, facts=facts)
        )
        _audit(tx, kind, By(push.started_by, row.at_ms), push.id, push.entry_id, owners.get(push.entry_id), facts)
    await events.record_all(tx, news)
    await quarantines.ended(tx, whole, lasts, {push.id: number for push, number in found if number is not None})
    await tx.execute(_FREE, [{"of_push": push_id} for push_id in lasts])


async def append(tx: Tx, push_id: int, row: JournalRow) -> None:
    """Add a journal row and move the push to its state; a final outcome finishes it and frees the device."""
    await append_all(tx, [(push_id, row)])


async def unfinished(
    tx: Tx, now_ms: int, limit: int, *, but: Collection[int] = (), node_id: str | None = None
) -> list[Push]:
    """Pushes that were begun and are not finished, oldest first, whose device no other push and no operation holds.

    Those of `but` are left out, and those that another node than `node_id` carries out, or has the adapter of; without
    one, none is.
    """
    found = await tx.execute(_unfinished(node_id), {"now_ms": now_ms, "but": sorted(but), "at_most": limit})
    return [_push(row) for row in found.mappings()]


@cache
def _unfinished(node_id: str | None) -> Select[Any]:
    """Made once: the dispatcher asks it many times a second."""
    ours = or_(device_locks.c.node_id.is_(None), device_locks.c.node_id == node_id) if node_id else true()
    near = ~elsewhere(pushes.c.adapter_id, node_id) if node_id else true()
    return direct(
        select(*_FACTS)
        .outerjoin(device_locks, device_locks.c.adapter_id == pushes.c.adapter_id)
        .where(
            pushes.c.finished_ms.is_(None), pushes.c.attempt > 0, pushes.c.id.not_in(bindparam("but", expanding=True))
        )
        .where(or_(pushes.c.due_ms <= bindparam("now_ms"), pushes.c.cancelled_by.is_not(None)))
        .where(
            or_(
                and_(device_locks.c.push_id == pushes.c.id, ours),
                and_(device_locks.c.push_id.is_(None), ~_operated(pushes.c.adapter_id), near),
            )
        )
        .order_by(pushes.c.due_ms, pushes.c.id)
        .limit(bindparam("at_most", type_=Integer))
    )


async def waiting(tx: Tx, now_ms: int, limit: int, *, node_id: str | None = None) -> list[Push]:
    """Pushes that are due and were never begun, oldest first, whose device no push and no operation holds.

    Those of adapters that another node than `node_id` has are left out; without one, none is.
    """
    found = await tx.execute(_waiting(node_id), {"now_ms": now_ms, "at_most": limit})
    return [_push(row) for row in found.mappings()]


@cache
def _waiting(node_id: str | None) -> Select[Any]:
    near = ~elsewhere(pushes.c.adapter_id, node_id) if node_id else true()
    return direct(
        select(*_FACTS)
        .where(pushes.c.finished_ms.is_(None), pushes.c.attempt == 0)
        .where(or_(pushes.c.due_ms <= bindparam("now_ms"), pushes.c.cancelled_by.is_not(None)))
        .where(~exists().where(device_locks.c.adapter_id == pushes.c.adapter_id), ~_operated(pushes.c.adapter_id), near)
        .order_by(pushes.c.due_ms, pushes.c.id)
        .limit(bindparam("at_most", type_=Integer))
    )


async def claim(tx: Tx, push: Push, *, attempt: int, now_ms: int, node_id: str | None = None) -> bool:
    """Take the device for a push and set its attempt; False when another push, node or operation holds the device."""
    return bool(await claim_all(tx, [(push, attempt)], now_ms=now_ms, node_id=node_id))


async def claim_all(
    tx: Tx, wanted: Sequence[tuple[Push, int]], *, now_ms: int, node_id: str | None = None
) -> list[tuple[Push, int]]:
    """As `claim`, for many pushes with the number of the attempt of each; those whose device is theirs now."""
    ids = {push.adapter_id for push, _ in wanted}
    locks: dict[int, AnyRow] = {}
    operated: set[int] = set()
    for some in in_parts(ids):
        if tx.dialect.name == "postgresql":
            await tx.execute(
                select(adapters.c.id).where(adapters.c.id.in_(some)).order_by(adapters.c.id).with_for_update()
            )
        rows = await tx.execute(select(device_locks).where(device_locks.c.adapter_id.in_(some)))
        locks |= {row.adapter_id: row for row in rows}
        operated |= await _operated_of(tx, some)
    claimed: list[tuple[Push, int]] = []
    new: list[dict[str, object]] = []
    for push, attempt in wanted:
        lock = locks.get(push.adapter_id)
        if lock is None and (push.adapter_id in operated or push.adapter_id in {one.adapter_id for one, _ in claimed}):
            continue
        if lock is None:
            new.append({"adapter_id": push.adapter_id, "push_id": push.id, "since_ms": now_ms, "node_id": node_id})
        elif lock.push_id != push.id or (node_id is not None and lock.node_id not in (None, node_id)):
            continue
        claimed.append((push, attempt))
    # Whoever else takes a device locks its adapter first, as above.
    if new:
        await tx.execute(insert(device_locks), new)
    if claimed:
        await tx.execute(_ATTEMPT, [{"of_push": push.id, "new_attempt": attempt} for push, attempt in claimed])
    return claimed


async def _operated_of(tx: Tx, adapter_ids: Sequence[int]) -> set[int]:
    states = [state.value for state in HOLDING]
    query = select(operations.c.adapter_id).where(operations.c.adapter_id.in_(adapter_ids))
    return set(await tx.scalars(query.where(operations.c.state.in_(states))))


async def hand_over(tx: Tx, push: Push, node_id: str) -> str | None:
    """The other node that carries a push out, or has a way to its device and is given it now; None: there is none."""
    lock = await tx.execute(select(device_locks.c.node_id).where(device_locks.c.push_id == push.id))
    holder = lock.scalar_one_or_none()
    if holder not in (None, node_id):
        return str(holder)  # it was taken over while this node was away
    to = await node_with(tx, push.adapter_id)
    if to is None or to == node_id:
        return None
    mine = (device_locks.c.push_id == push.id, device_locks.c.node_id == node_id)
    moved: CursorResult[object] = await tx.execute(update(device_locks).where(*mine).values(node_id=to))
    return to if moved.rowcount == 1 else None


def _operated(adapter_id: Column[int] | int) -> ColumnElement[bool]:
    """Whether an operation has this adapter at present."""
    held = or_(*(operations.c.state == state.value for state in sorted(HOLDING)))
    return exists().where(operations.c.adapter_id == adapter_id, held)


async def holder(tx: Tx, adapter_id: int) -> int | None:
    """Push that holds a device at present."""
    return (await tx.execute(_HOLDER, {"of_adapter": adapter_id})).scalar_one_or_none()


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
    return (await seats_of(tx, [entry_id], lock=lock))[entry_id]


async def seats_of(tx: Tx, entry_ids: Collection[int], *, lock: bool = False) -> dict[int, Seat]:
    """As `seat`, of many entries."""
    found: dict[int, Seat] = {}
    for some in in_parts(entry_ids):
        if lock and tx.dialect.name == "postgresql":
            await tx.execute(
                select(entries.c.id).where(entries.c.id.in_(some)).order_by(entries.c.id).with_for_update()
            )
        places = await tx.execute(_SEATS, {"of_entries": some})
        found |= {place.id: Seat(place.generation, place.adapter_id) for place in places}
    return found


async def _record(
    tx: Tx, kind: str, by: By, push_id: int, entry_id: int, adapter_id: int, facts: Mapping[str, object]
) -> None:
    news = NewEvent(kind, by.at_ms, adapter_id=adapter_id, entry_id=entry_id, push_id=push_id, facts=facts)
    await events.record(tx, news)
    _audit(tx, kind, by, push_id, entry_id, await configs.owner(tx, entry_id), facts)


def _audit(
    tx: Tx, kind: str, by: By, push_id: int, entry_id: int, owner: int | None, facts: Mapping[str, object]
) -> None:
    audit.record(tx, by, kind, f"E-{entry_id}", contractor_id=owner, after={"push": push_id, **facts})


async def _found(tx: Tx, push_ids: Collection[int]) -> list[tuple[Push, int | None]]:
    """Pushes, each with the open incident about its adapter that an earlier one has left."""
    found: list[tuple[Push, int | None]] = []
    for some in in_parts(push_ids):
        for row in (await tx.execute(_SOME, {"of_pushes": some})).mappings():
            facts = dict(row)
            number = facts.pop("open_incident")
            found.append((_push(facts), number))
    return found


def _push(row: RowMapping | Mapping[str, Any]) -> Push:
    facts = dict(row)
    facts["state"] = PushState(facts["state"])
    return Push(**facts)
