"""Operations: rows are enough to have one carried out, and every state is stored before the adapter sees it.

Parameters and results are sealed; what is stored of a result has its secrets masked already.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from controller.keyring import Keyring
from controller.store import audit, configs, events, pushes, transcripts
from controller.store.configs import entry_in_scope
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import in_parts, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.inventory import adapters
from controller.store.tables.operations import operation_results, operation_steps, operations
from controller.store.whereabouts import alive, elsewhere
from inventory.operations import (
    FINAL,
    HOLDING,
    Hop,
    Item,
    ListedModule,
    Operation,
    OperationKind,
    OperationResult,
    OperationState,
    OperationStep,
    Parameters,
    Report,
    outcome,
)

HOLDING_STATES: Final = tuple(sorted(state.value for state in HOLDING))
FINAL_STATES: Final = tuple(sorted(state.value for state in FINAL))


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation to be stored. `shown` are its parameters with secrets masked."""

    adapter_id: int
    entry_id: int
    kind: OperationKind
    parameters: Parameters
    shown: Parameters
    wait_s: int
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A step of an operation, and what is learnt with it; None leaves a fact as it is."""

    state: OperationState
    said: str
    at_ms: int
    transaction_id: int | None = None
    result_code: int | None = None
    result: OperationResult | None = None
    cancelled_by: str | None = None


async def create(tx: Tx, keyring: Keyring, new: NewOperation, by: By) -> Operation:
    """Store an operation that waits for its turn, with event and audit row. The caller has checked the scope."""
    made = await tx.execute(
        insert(operations)
        .values(
            adapter_id=new.adapter_id,
            entry_id=new.entry_id,
            kind=new.kind.value,
            parameters_sealed=keyring.seal(_pack(new.parameters), context=_context("parameters", new, by)),
            parameters_shown=_pack(new.shown),
            state=OperationState.WAITING.value,
            said="",
            tries=0,
            wait_s=new.wait_s,
            due_ms=new.due_ms,
            created_ms=by.at_ms,
            started_by=by.actor,
        )
        .returning(operations.c.id)
    )
    number: int = made.scalar_one()
    await _step(tx, number, OperationState.WAITING, by.at_ms, f"asked for by {by.actor}")
    operation = await get(tx, Scope.everything(), number)
    await _record(tx, "operation.start", by, operation, {"parameters": json.loads(_pack(new.shown))})
    return operation


async def get(tx: Tx, scope: Scope, operation_id: int) -> Operation:
    """Raises NotFound."""
    query = _shown().where(operations.c.id == operation_id, entry_in_scope(scope, operations.c.entry_id))
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise not_found(f"operation {operation_id}")
    return _operation(row)


async def find(
    tx: Tx,
    scope: Scope,
    *,
    adapter_id: int | None = None,
    kind: OperationKind | None = None,
    state: OperationState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Operation]:
    """Operations, newest first; `before` is the id after which the page goes on."""
    query = _shown().where(entry_in_scope(scope, operations.c.entry_id))
    if adapter_id is not None:
        query = query.where(operations.c.adapter_id == adapter_id)
    if kind is not None:
        query = query.where(operations.c.kind == kind.value)
    if state is not None:
        query = query.where(operations.c.state == state.value)
    if before is not None:
        query = query.where(operations.c.id < before)
    return [_operation(row) for row in await tx.execute(query.order_by(operations.c.id.desc()).limit(limit))]


async def steps(tx: Tx, operation_id: int) -> list[OperationStep]:
    """Journal of an operation, oldest first. The caller has checked the scope."""
    query = select(operation_steps).where(operation_steps.c.operation_id == operation_id)
    return [
        OperationStep(row.seq, OperationState(row.state), row.at_ms, row.said)
        for row in await tx.execute(query.order_by(operation_steps.c.seq))
    ]


async def result(tx: Tx, keyring: Keyring, operation: Operation) -> OperationResult | None:
    """What it brought; None as long as it brought nothing."""
    query = select(operation_results.c.result_sealed).where(operation_results.c.operation_id == operation.id)
    sealed = (await tx.execute(query)).scalar_one_or_none()
    if sealed is None:
        return None
    return _unpack_result(keyring.unseal(sealed, context=_result_context(operation.id)).reveal())


async def parameters(tx: Tx, keyring: Keyring, operation_id: int) -> Parameters:
    """The parameters as they are sent; they may hold secrets."""
    row = (await tx.execute(select(operations).where(operations.c.id == operation_id))).one()
    context = _sealed_for("parameters", row.adapter_id, row.kind, row.created_ms)
    return _unpack(keyring.unseal(row.parameters_sealed, context=context).reveal())


async def unfinished(tx: Tx, *, node: str | None = None) -> list[Operation]:
    """Operations that are not over, oldest first: what the daemon has to carry out.

    With `node` only those that fall to that node: see `controller.store.whereabouts`.
    """
    query = _shown().where(operations.c.finished_ms.is_(None)).order_by(operations.c.id)
    if node is not None:
        query = query.where(_of_node(node))
    return [_operation(row) for row in await tx.execute(query)]


async def belongs_to(tx: Tx, operation: Operation, node: str) -> bool:
    """Whether `unfinished` would give this operation to that node."""
    return await tx.scalar(_shown().where(operations.c.id == operation.id, _of_node(node))) is not None


def _of_node(node: str) -> ColumnElement[bool]:
    # What hangs on a connection stays with the node that has sent it, unless that node is dead; what waits or is to be
    # settled goes where the adapter is. While no node has it, each may try: the first that gets it goes on.
    free = operations.c.state.in_((OperationState.WAITING.value, OperationState.SETTLING.value))
    orphaned = or_(operations.c.node_id.is_(None), ~alive(operations.c.node_id))
    near = ~elsewhere(operations.c.adapter_id, node)
    over_arms = or_(and_(free, near), and_(~free, or_(operations.c.node_id == node, and_(orphaned, near))))
    on_a_line = or_(orphaned, operations.c.node_id == node)
    return or_(and_(adapters.c.path != "ssh", over_arms), and_(adapters.c.path == "ssh", on_a_line))


async def orphaned(tx: Tx, node: str) -> list[Operation]:
    """Operations that a node had sent which is dead now, and that it falls to `node` to settle."""
    lost = operations.c.state.in_((OperationState.SENDING.value, OperationState.RUNNING.value))
    sent = and_(operations.c.node_id.is_not(None), operations.c.node_id != node, ~alive(operations.c.node_id))
    near = and_(adapters.c.path != "ssh", ~elsewhere(operations.c.adapter_id, node))
    query = _shown().where(lost, sent, near).order_by(operations.c.id)
    return [_operation(row) for row in await tx.execute(query)]


async def count_open(tx: Tx, adapter_id: int, now_ms: int) -> tuple[int, int]:
    """How many operations of an adapter are not over: those that may begin by now, and those for later."""
    later = func.coalesce(operations.c.due_ms, 0) > now_ms
    of_adapter = (operations.c.adapter_id == adapter_id) & operations.c.finished_ms.is_(None)
    counted = await tx.execute(select(func.count().filter(~later), func.count().filter(later)).where(of_adapter))
    begun, scheduled = counted.one()
    return begun, scheduled


async def open_of(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Operation]:
    """Of each adapter the operation that is under way, else the oldest that waits."""
    found: dict[int, Operation] = {}
    for some in in_parts(adapter_ids):
        query = _shown().where(operations.c.finished_ms.is_(None), operations.c.adapter_id.in_(some))
        for row in await tx.execute(query.order_by(operations.c.id)):
            one = _operation(row)
            if one.adapter_id not in found or one.state in HOLDING:
                found[one.adapter_id] = one
    return found


async def note_uptime(tx: Tx, operation_id: int, uptime_s: int) -> None:
    """How long an adapter had run when a reboot was about to be sent."""
    await tx.execute(update(operations).where(operations.c.id == operation_id).values(uptime_before_s=uptime_s))


async def uptime_before_s(tx: Tx, operation_id: int) -> int | None:
    """See `note_uptime`; None: it was not about to be sent."""
    return await tx.scalar(select(operations.c.uptime_before_s).where(operations.c.id == operation_id))


async def claim(tx: Tx, operation: Operation, *, now_ms: int, said: str, node: str | None = None) -> str | None:
    """Take the adapter for an operation that waits, and make it *sending*; why not, if it cannot be.

    None: it is taken, and must be sent now. An empty text: the operation waits no longer, somebody has cancelled it.
    """
    await lock_adapter(tx, operation.adapter_id)
    push_id = await pushes.holder(tx, operation.adapter_id)
    if push_id is not None:
        return f"push {push_id} has the adapter"
    if (await pushes.seat(tx, operation.entry_id)).adapter_id != operation.adapter_id:
        return "the adapter has left its place"
    try:
        async with tx.begin_nested():
            changed = await tx.execute(
                update(operations)
                .where(operations.c.id == operation.id, operations.c.state == OperationState.WAITING.value)
                .values(
                    state=OperationState.SENDING.value,
                    said=said,
                    sent_ms=now_ms,
                    tries=operations.c.tries + 1,
                    node_id=node,
                )
            )
    except IntegrityError:
        return "another operation has the adapter"
    if changed.rowcount != 1:
        return ""
    await _step(tx, operation.id, OperationState.SENDING, now_ms, said)
    await transcripts.note_operation(tx, operation, now_ms)
    return None


async def change(tx: Tx, keyring: Keyring, operation: Operation, step: Change) -> bool:
    """Take an operation from the state it was read in to the next; False if it is no longer in that state.

    A final state frees the adapter and is told by an event and an audit row.
    """
    values: dict[str, Any] = {"state": step.state.value, "said": step.said}
    if step.transaction_id is not None:
        values["transaction_id"] = step.transaction_id
    if step.result_code is not None:
        values["result_code"] = step.result_code
    if step.cancelled_by is not None:
        values["cancelled_by"] = step.cancelled_by
    if step.state in FINAL:
        values["finished_ms"] = step.at_ms
    at_present = (operations.c.id == operation.id) & (operations.c.state == operation.state.value)
    changed = await tx.execute(update(operations).where(at_present).values(**values))
    if changed.rowcount != 1:
        return False
    await _step(tx, operation.id, step.state, step.at_ms, step.said)
    if step.result is not None:
        sealed = keyring.seal(_pack(step.result), context=_result_context(operation.id))
        await tx.execute(insert(operation_results).values(operation_id=operation.id, result_sealed=sealed))
    if step.state in FINAL:
        ended = outcome(step.state)
        assert ended is not None
        facts = {"outcome": ended.value, "said": step.said, "result_code": step.result_code}
        by = By(step.cancelled_by or operation.started_by, step.at_ms)
        await _record(tx, f"operation.{step.state}", by, operation, facts)
    return True


async def lock_adapter(tx: Tx, adapter_id: int) -> None:
    """Until the transaction ends nobody else takes this adapter, for a push or for an operation."""
    await tx.execute(select(adapters.c.id).where(adapters.c.id == adapter_id).with_for_update())


async def _step(tx: Tx, operation_id: int, state: OperationState, at_ms: int, said: str) -> None:
    last = select(func.coalesce(func.max(operation_steps.c.seq), 0) + 1).where(
        operation_steps.c.operation_id == operation_id
    )
    await tx.execute(
        insert(operation_steps).values(
            operation_id=operation_id, seq=last.scalar_subquery(), state=state.value, at_ms=at_ms, said=said
        )
    )


async def _record(tx: Tx, kind: str, by: By, operation: Operation, facts: Mapping[str, object]) -> None:
    told = {"operation": operation.id, "kind": operation.kind.value, **facts}
    news = NewEvent(kind, by.at_ms, adapter_id=operation.adapter_id, entry_id=operation.entry_id, facts=told)
    await events.record(tx, news)
    owner = await configs.owner(tx, operation.entry_id)
    audit.record(tx, by, kind, operation.serial, contractor_id=owner, after=told)


_FACTS: Final = (
    operations.c.id,
    operations.c.adapter_id,
    operations.c.entry_id,
    adapters.c.serial_shown.label("serial"),
    operations.c.kind,
    operations.c.parameters_shown,
    operations.c.state,
    operations.c.said,
    operations.c.tries,
    operations.c.wait_s,
    operations.c.transaction_id,
    operations.c.result_code,
    operations.c.created_ms,
    operations.c.started_by,
    operations.c.sent_ms,
    operations.c.finished_ms,
    operations.c.cancelled_by,
    operations.c.due_ms,
)


def _shown() -> Select[Any]:
    return select(*_FACTS).join(adapters, adapters.c.id == operations.c.adapter_id)


def _operation(row: AnyRow) -> Operation:
    facts = dict(row._mapping)
    facts["kind"] = OperationKind(facts["kind"])
    facts["state"] = OperationState(facts["state"])
    facts["shown"] = _unpack(facts.pop("parameters_shown"))
    return Operation(**facts)


def _context(column: str, new: NewOperation, by: By) -> str:
    return _sealed_for(column, new.adapter_id, new.kind.value, by.at_ms)


def _sealed_for(column: str, adapter_id: int, kind: str, created_ms: int) -> str:
    return f"operations.{column}/{adapter_id}/{kind}/{created_ms}"


def _result_context(operation_id: int) -> str:
    return f"operation_results.{operation_id}"


def _pack(value: Parameters | OperationResult) -> str:
    """Fields that are set, as JSON."""
    return to_json({name: held for name, held in dataclasses.asdict(value).items() if held not in (None, (), [], "")})


def _unpack(packed: str) -> Parameters:
    held = json.loads(packed)
    return Parameters(**{**held, "items": tuple(Item(**one) for one in held.get("items", ()))})


def _unpack_result(packed: str) -> OperationResult:
    held = json.loads(packed)
    return OperationResult(
        reports=tuple(Report(**one) for one in held.get("reports", ())),
        modules=tuple(ListedModule(**one) for one in held.get("modules", ())),
        hops=tuple(Hop(**one) for one in held.get("hops", ())),
        transactions=tuple(held.get("transactions", ())),
        answered=held.get("answered"),
        lost=held.get("lost"),
        transcript=held.get("transcript", ""),
    )
