"""Operations carried out: each state is stored before the adapter sees anything of it (architecture §4, §5).

A row is enough to have an operation carried out; a task for each adapter that has one does it. Nothing is sent twice
but after an answer which says that nothing was started. After a restart whatever was under way is settled: the result
that comes is taken, else the adapter is asked what it still holds open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.operations.carrying import Carrier, Limits
from controller.operations.masking import known_of, masked_parameters
from controller.push.reaching import FleetReach
from controller.push.service import AHEAD_RULE, LONGEST_AHEAD_MS
from controller.push.texts import TextPlanner
from controller.store import entitlement, operations
from controller.store.database import Database, Tx
from controller.store.operations import Change, NewOperation
from controller.store.scope import By, Scope
from controller.store.slots import place_of
from drivers.devices import on_a_line
from drivers.operating import commands_for
from drivers.sessions.arms import ArmsLink
from inventory.adapters import Adapter
from inventory.errors import BadInput, Conflict
from inventory.operations import (
    FINAL,
    HOLDING,
    Given,
    Operation,
    OperationKind,
    OperationState,
    parameters_of,
)

log = structlog.get_logger(__name__)

MAX_WAIT_S: Final = 86_400
DEFAULT_WAIT_S: Final = 300
MAX_OPEN: Final = 16
"""Operations of one adapter that may wait for their turn or be under way; more are refused."""
MAX_LATER: Final = 500
"""Operations of one adapter that may wait for their time; they keep nobody from asking now."""
_TICK_S: Final = 5.0


class OperationService:
    """Ask for an operation, watch it, stop it. `run` carries them out."""

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        link: ArmsLink,
        planner: TextPlanner,
        limits: Limits | None = None,
        node: str | None = None,
        reach: FleetReach | None = None,
    ) -> None:
        """`node`: only what adapters of that node are asked is carried out; None: this is the only one."""
        self._node = node if database.dialect == "postgresql" else None
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._carrier = Carrier(database, keyring, clock, link, planner, limits or Limits(), reach=reach, node=node)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._adapters: set[int] = set()
        self._wake = asyncio.Event()

    async def create(
        self,
        tx: Tx,
        scope: Scope,
        by: By,
        adapter: Adapter,
        kind: str,
        given: Given,
        *,
        wait_s: int = DEFAULT_WAIT_S,
        not_before_ms: int | None = None,
    ) -> Operation:
        """Store an operation in the caller's transaction; call `wake` after it. `wait_s` is how long it may wait for
        its turn and for contact, in protocol seconds, counted from `not_before_ms`, at most 31 days ahead.

        Raises BadInput for parameters, and for a configure, which goes through a plan; NotFound; Conflict when the
        adapter sits in no entry, or has too many operations open; RuleViolation when its contract keeps it from being
        controlled, for a command that would change its configuration, and (NotEligible) where its family cannot.
        """
        parameters = parameters_of(_kind(kind), given)
        if not 0 <= wait_s <= MAX_WAIT_S:
            raise BadInput(f"wait_s is 0 to {MAX_WAIT_S}, not {wait_s}", field="wait_s", next_step="Choose less.")
        if not_before_ms is not None and not_before_ms - by.at_ms > LONGEST_AHEAD_MS:
            raise BadInput(
                "an operation is scheduled at most 31 days ahead",
                field="not_before",
                rule=AHEAD_RULE,
                next_step="Choose an earlier time.",
                facts={"latest_ms": by.at_ms + LONGEST_AHEAD_MS},
            )
        if adapter.path == "ssh":
            commands_for(on_a_line(adapter.model.family), _kind(kind), parameters)
        seat = await place_of(tx, scope, adapter.id)
        if seat is None or seat.slot_kind != "entry":
            raise Conflict(
                f"{adapter.serial} sits in no entry", next_step="Assign or promote it; only an entry has a push path."
            )
        await entitlement.require(tx, adapter.id)
        await _require_room(tx, adapter, by.at_ms, later=not_before_ms is not None and not_before_ms > by.at_ms)
        known = await known_of(tx, self._keyring, adapter, seat.slot_id)
        new = NewOperation(
            adapter_id=adapter.id,
            entry_id=seat.slot_id,
            kind=_kind(kind),
            parameters=parameters,
            shown=masked_parameters(known, parameters),
            wait_s=wait_s,
            due_ms=not_before_ms,
        )
        return await operations.create(tx, self._keyring, new, by)

    def wake(self) -> None:
        """There is something new to carry out."""
        self._wake.set()

    async def cancel(self, scope: Scope, operation_id: int, by: By) -> Operation:
        """Stop an operation of which nothing was sent. Raises NotFound; Conflict when it was, or is over."""
        async with self._database.write() as tx:
            operation = await operations.get(tx, scope, operation_id)
            said = f"cancelled by {by.actor}; nothing was started"
            step = Change(OperationState.NOT_DONE, said, by.at_ms, cancelled_by=by.actor)
            waiting = operation.state is OperationState.WAITING
            if not waiting or not await operations.change(tx, self._keyring, operation, step):
                raise Conflict(
                    f"operation {operation_id} can no longer be stopped: it is {operation.state}",
                    next_step="Let it end; an adapter takes nothing back that it has accepted.",
                )
            ended = await operations.get(tx, scope, operation_id)
        if operation_id in self._carrier.idle:
            self._tasks[operation_id].cancel()
        return ended

    async def run(self) -> None:
        """Carry out what waits, for ever; cancelled at the end of the process."""
        await self._take_up()
        while True:
            self._wake.clear()
            await self.dispatch()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._wake.wait()

    async def dispatch(self) -> None:
        """Begin with each adapter's next operation, if it has no task yet. Repeatable at any moment."""
        if self._node is not None:
            await self._take_over(self._node)
        async with self._database.read() as tx:
            found = await operations.unfinished(tx, node=self._node)
        for operation in sorted(found, key=lambda one: (one.state not in HOLDING, one.id)):
            due = operation.state in HOLDING or operation.begins_ms <= self._clock.now_ms()
            if due and operation.adapter_id not in self._adapters:
                self._adapters.add(operation.adapter_id)
                name = f"operation {operation.id}"
                self._tasks[operation.id] = asyncio.create_task(self._carry_out(operation), name=name)

    async def stop(self, *, deadline_s: float) -> bool:
        """Begin nothing more; wait until what was sent is stored with its answer. Cancel `run` before.

        False if something was still unanswered at the deadline (real seconds); it is settled after the restart.
        """
        settled = await self._carrier.quiet(deadline_s)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return settled

    async def _take_up(self) -> None:
        """After a restart: whatever was sent is never sent again, it is settled."""
        if self._node is not None:
            await self._take_over(self._node)
        async with self._database.write() as tx:
            for operation in await operations.unfinished(tx, node=self._node):
                if operation.id in self._tasks:
                    continue
                if operation.state in (OperationState.SENDING, OperationState.RUNNING):
                    said = "the daemon was restarted before the answer or the result came"
                    step = Change(OperationState.SETTLING, said, self._clock.now_ms())
                    await operations.change(tx, self._keyring, operation, step)

    async def _take_over(self, node: str) -> None:
        """What a node has sent that is dead now: its answer is lost, so it is settled, and ends as unknown at the
        latest when the adapter could not be asked for as long as that may take."""
        async with self._database.read() as tx:
            lost = await operations.orphaned(tx, node)
        for operation in lost:
            said = "the node that had sent it is gone, and the answer or the result with it"
            async with self._database.write() as tx:
                step = Change(OperationState.SETTLING, said, self._clock.now_ms())
                await operations.change(tx, self._keyring, operation, step)

    async def _carry_out(self, operation: Operation) -> None:
        with self._taken(operation):
            current = operation
            while current.state not in FINAL and await self._is_ours(current):
                current = await self._carrier.advance(current)

    async def _is_ours(self, operation: Operation) -> bool:
        """Its adapter has not gone to another node, which carries on from what is stored."""
        if self._node is None:
            return True
        async with self._database.read() as tx:
            return await operations.belongs_to(tx, operation, self._node)

    @contextlib.contextmanager
    def _taken(self, operation: Operation) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            self._wake.set()
            raise
        except Exception:  # a defect of ours, or a database that is away: the row is taken up again at the next tick
            log.exception("operation.failed", operation=operation.id, adapter=operation.serial)
        else:
            self._wake.set()
        finally:
            self._tasks.pop(operation.id, None)
            self._adapters.discard(operation.adapter_id)


async def _require_room(tx: Tx, adapter: Adapter, now_ms: int, *, later: bool) -> None:
    waiting, scheduled = await operations.count_open(tx, adapter.id, now_ms)
    if later and scheduled >= MAX_LATER:
        raise Conflict(
            f"{adapter.serial} has {MAX_LATER} operations scheduled",
            next_step="Cancel some, or wait until their time has come.",
        )
    if not later and waiting >= MAX_OPEN:
        raise Conflict(
            f"{adapter.serial} has {MAX_OPEN} operations open",
            next_step="Wait until some are over, or cancel them.",
        )


def _kind(text: str) -> OperationKind:
    if text == "update-module":
        raise BadInput(
            "module versions are wanted of a place, whoever sits there, and no operation on an adapter",
            field="kind",
            next_step="Say which by PUT /entries/KEY/modules (`entry modules`); a pull-config makes it hear of them.",
        )
    if text == "configure":
        raise BadInput(
            "a configuration is not changed by an operation: it would be sent unproven and unguarded",
            field="kind",
            next_step="Store the working config, make a plan (POST /plans), approve it, start it (POST /pushes).",
        )
    try:
        return OperationKind(text)
    except ValueError:
        known = ", ".join(kind.value for kind in OperationKind)
        raise BadInput(f"no operation is called {text[:40]!r}", field="kind", next_step=f"One of {known}.") from None
