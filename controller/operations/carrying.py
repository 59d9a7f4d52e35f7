"""One operation, from its turn to its outcome, over link or line of its adapter (arms-protocol §6.5, §6.6, §14)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.operations.lines import LineAsker
from controller.operations.masking import known_of, mask_texts, masked_result
from controller.operations.pacing import protocol_s, real_s
from controller.operations.settling import Settler
from controller.push.reaching import FleetReach
from controller.push.texts import TextPlanner
from controller.store import adapters, entitlement, modules, operations
from controller.store.database import Database
from controller.store.operations import Change
from controller.store.scope import Scope
from drivers.arms.messages import Request, Response
from drivers.arms.operations import request_of, result_of
from drivers.arms.results import SUCCESS, named
from drivers.sessions.arms import ArmsLink
from inventory.errors import BadInput, CommandRejected, DeviceError, IdentityMismatch, Unreachable
from inventory.modules import ReportedModule
from inventory.operations import (
    ASYNCHRONOUS,
    LEAVING,
    Operation,
    OperationKind,
    OperationResult,
    OperationState,
    answer_within_s,
    result_within_s,
)

log = structlog.get_logger(__name__)

_OVER_S: Final = 0.1

BUSY: Final = frozenset({301, 302, 406})
"""Codes by which an adapter says that it is busy: as after any code but 100 nothing was started (§6.5)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Waits in seconds of protocol time; `at_once` operations that adapters carry out at the same time."""

    busy_pause_s: float = 30.0
    blocked_pause_s: float = 2.0
    answer_s: float | None = None
    """None: by kind, as the protocol says."""
    result_s: float | None = None
    """The same for results."""
    settle_s: float = 600.0
    """How long an adapter may take to come back and say what it still holds open."""
    early_s: float = 2.0
    """How long a result that is no longer announced may still be on its way to us."""
    return_s: float = 900.0
    """How long a reboot or a pull may take."""
    look_s: float = 5.0
    """Pause between two questions while something is settled."""
    at_once: int = 64
    kept_octets: int = 8 * 1024 * 1024
    """Longer results are not kept."""


class Carrier:
    """Takes an operation from one stored state to the next."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        link: ArmsLink,
        planner: TextPlanner,
        limits: Limits,
        *,
        reach: FleetReach | None = None,
        node: str | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._link = link
        self._planner = planner
        self._limits = limits
        self._settler = Settler(
            database,
            clock,
            link,
            settle_s=limits.settle_s,
            early_s=limits.early_s,
            return_s=limits.return_s,
            look_s=limits.look_s,
            answer_s=limits.answer_s or answer_within_s(OperationKind.CHECK_TRANSACTION),
        )
        self._node = node if database.dialect == "postgresql" else None
        reach = reach or FleetReach(database, keyring, clock, link)
        self._lines = LineAsker(database, clock, reach, return_s=limits.return_s, look_s=limits.look_s)
        self._slots = asyncio.Semaphore(limits.at_once)
        self.idle: set[int] = set()
        """Operations that wait, and may be cancelled where they stand."""
        self._acting = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopping = False

    async def advance(self, operation: Operation) -> Operation:
        """The operation after its next step; the same if it still waits."""
        match operation.state:
            case OperationState.WAITING:
                return await self._wait(operation)
            case _ if await self._on_a_line(operation):
                ended = await self._lines.settle(operation)
                return await self._end(operation, ended.state, ended.said)
            case OperationState.RUNNING:
                return await self._result(operation)
            case OperationState.RETURNING:
                return await self._returned(operation)
            case _:
                return await self._settle(operation)

    async def quiet(self, deadline_s: float) -> bool:
        """Send nothing more; True when every request that was sent has been answered and stored within real seconds."""
        self._stopping = True
        try:
            await asyncio.wait_for(self._quiet.wait(), deadline_s)
        except TimeoutError:
            return False
        return True

    # --- waiting and sending ------------------------------------------------------------------------------------------

    async def _wait(self, operation: Operation) -> Operation:
        async with self._database.read() as tx:
            stop = await entitlement.stop(tx, operation.adapter_id)
        if stop is not None:
            return await self._end(operation, OperationState.NOT_DONE, f"stopped by the contract: {stop}")
        left_s = self._left_s(operation)
        if left_s <= 0:
            # Without a word of its own it was never looked at before: too much else was to be done, or nobody ran.
            reason = operation.said or f"its {operation.wait_s} s were over when its turn came; nothing was sent"
            return await self._end(operation, OperationState.NOT_DONE, f"gave up waiting: {reason}")
        line = await self._on_a_line(operation)
        try:
            with self._idle(operation):
                if not line:
                    await self._link.wait_ready(operation.serial, timeout_s=left_s)
        except Unreachable as error:
            said = f"the adapter did not come into contact within {operation.wait_s} s: {error.message}"
            return await self._end(operation, OperationState.NOT_DONE, said)
        except DeviceError as error:
            return await self._end(operation, OperationState.NOT_DONE, error.message)
        if self._stopping:
            await asyncio.Event().wait()  # parked until it is cancelled; the row is taken up after the restart
        async with self._slots:
            with self._act():
                obstacle = await self._claim(operation)
                if obstacle is None:
                    claimed = await self._read(operation.id)
                    return await (self._ask_on_a_line(claimed) if line else self._send(claimed))
        if obstacle == "the adapter has left its place":
            return await self._end(operation, OperationState.NOT_DONE, obstacle)
        if obstacle:
            return await self._pause(operation, obstacle, self._limits.blocked_pause_s)
        return await self._read(operation.id)

    async def _claim(self, operation: Operation) -> str | None:
        async with self._database.write() as tx:
            now_ms = self._clock.now_ms()
            return await operations.claim(
                tx, operation, now_ms=now_ms, said=f"the {operation.kind} is sent", node=self._node
            )

    async def _on_a_line(self, operation: Operation) -> bool:
        """Whether its adapter is reached over a command line."""
        async with self._database.read() as tx:
            return (await adapters.get(tx, Scope.everything(), operation.adapter_id)).path == "ssh"

    async def _ask_on_a_line(self, operation: Operation) -> Operation:
        async with self._database.read() as tx:
            parameters = await operations.parameters(tx, self._keyring, operation.id)
        ended = await self._lines.carry_out(operation, parameters)
        if ended.state is OperationState.WAITING:
            return await self._back(operation, ended.said)
        said, kept = ended.said, None
        if ended.state is not OperationState.DONE:
            said = await self._masked(operation, said)  # it quotes what was typed, and the device's own words
        if ended.result is not None:
            kept, more = await self._kept(operation, ended.result)
            said += more
        return await self._step(operation, Change(ended.state, said, self._clock.now_ms(), result=kept))

    async def _send(self, operation: Operation) -> Operation:
        """Send the request, once, and store what was answered."""
        async with self._database.read() as tx:
            request = request_of(operation.kind, await operations.parameters(tx, self._keyring, operation.id))
        answer_s = self._limits.answer_s or answer_within_s(operation.kind)
        try:
            response = await self._link.request(operation.serial, request, timeout_s=answer_s, failed_too=True)
        except CommandRejected as error:
            return await self._rejected(operation, error)
        except Unreachable as error:  # nothing was sent
            return await self._back(operation, f"nothing was sent: {error.message}")
        except (BadInput, IdentityMismatch) as error:  # nor here
            return await self._end(operation, OperationState.NOT_DONE, error.message)
        except DeviceError as error:
            said = f"the request was sent and no answer came: {error.message}"
            return await self._step(operation, Change(OperationState.SETTLING, said, self._clock.now_ms()))
        return await self._answered(operation, response)

    async def _rejected(self, operation: Operation, error: CommandRejected) -> Operation:
        code = error.facts.get("result_code")
        if not isinstance(code, int):
            return await self._end(operation, OperationState.NOT_DONE, error.message)
        if code in BUSY:
            said = f"the adapter is busy ({named(code)}) and started nothing"
            return await self._back(operation, said)
        return await self._end(operation, OperationState.NOT_DONE, f"the adapter refused it: {named(code)}", code=code)

    async def _answered(self, operation: Operation, response: Response) -> Operation:
        now_ms = self._clock.now_ms()
        if response.result_code != SUCCESS:  # carried out, and it failed: what it told is the reason
            return await self._finish(operation, response.result_code, response)
        if operation.kind in LEAVING:
            said = "the adapter said yes; its next pull is awaited"
            return await self._step(
                operation, Change(OperationState.RETURNING, said, now_ms, result_code=response.result_code)
            )
        if operation.kind not in ASYNCHRONOUS:
            return await self._finish(operation, response.result_code, response)
        if not response.transaction_id:
            said = "the adapter said yes without a transaction id, so its result could not be told from another"
            return await self._step(operation, Change(OperationState.SETTLING, said, now_ms))
        said = f"the adapter said yes; transaction {response.transaction_id}"
        return await self._step(
            operation,
            Change(OperationState.RUNNING, said, now_ms, transaction_id=response.transaction_id),
        )

    async def _back(self, operation: Operation, said: str) -> Operation:
        """Nothing was started: wait a while, then ask again, as long as the operation may wait."""
        current = await self._step(operation, Change(OperationState.WAITING, said, self._clock.now_ms()))
        return await self._pause(current, said, self._limits.busy_pause_s)

    async def _pause(self, operation: Operation, said: str, pause_s: float) -> Operation:
        if operation.said != said:
            operation = await self._step(operation, Change(OperationState.WAITING, said, self._clock.now_ms()))
        with self._idle(operation):
            # Not beyond its time, and a little more: it is over then, and nothing is tried in its last millisecond.
            left_s = real_s(max(self._left_s(operation), 0.0), self._clock.pace) * self._clock.pace
            await self._clock.wait(min(pause_s, left_s + _OVER_S))
        return await self._read(operation.id)

    # --- results ------------------------------------------------------------------------------------------------------

    async def _result(self, operation: Operation) -> Operation:
        assert operation.transaction_id is not None
        within_s = self._limits.result_s or result_within_s(operation.kind, operation.shown)
        try:
            done = await self._link.wait_done(operation.serial, operation.transaction_id, timeout_s=within_s)
        except DeviceError as error:
            step = Change(OperationState.SETTLING, error.message, self._clock.now_ms())
            return await self._step(operation, step)
        return await self._finish(operation, done.transaction_result, done)

    async def _returned(self, operation: Operation) -> Operation:
        assert operation.sent_ms is not None
        trigger = await self._settler.next_pull(operation)
        if trigger is None:
            said = "the adapter said yes, and was not seen to pull since; look at its contact"
            return await self._end(operation, OperationState.UNKNOWN, said)
        said = f"the adapter pulled again (trigger: {trigger or 'none'})"
        return await self._end(operation, OperationState.DONE, said)

    async def _settle(self, operation: Operation) -> Operation:
        settled = await self._settler.settle(operation)
        if isinstance(settled, Request):
            return await self._finish(operation, settled.transaction_result, settled)
        if settled.state is OperationState.UNKNOWN and await self._is_elsewhere(operation):
            return await self._read(operation.id)  # the node that the adapter came to settles it
        return await self._end(operation, settled.state, settled.said)

    async def _is_elsewhere(self, operation: Operation) -> bool:
        if self._node is None:
            return False
        async with self._database.read() as tx:
            return not await operations.belongs_to(tx, operation, self._node)

    async def _finish(self, operation: Operation, code: int | None, message: Request | Response) -> Operation:
        """Store the result, secrets masked, and the outcome that its codes make."""
        result = result_of(message)
        state, said = judged(code, result)
        kept, more = await self._kept(operation, result)
        said += more
        if operation.kind is OperationKind.READ_MODULE_LIST and kept is not None and kept.modules:
            listed = [ReportedModule(one.module, one.version, one.about) for one in kept.modules]
            async with self._database.write() as tx:
                await modules.report(tx, operation.adapter_id, listed, self._clock.now_ms())
        step = Change(state, said, self._clock.now_ms(), result_code=code, result=kept)
        return await self._step(operation, step)

    async def _masked(self, operation: Operation, said: str) -> str:
        async with self._database.read() as tx:
            adapter = await adapters.get(tx, Scope.everything(), operation.adapter_id)
            known = await known_of(tx, self._keyring, adapter, operation.entry_id)
        (shown,) = await self._planner.run((*known.texts, said), mask_texts, known, (said,))
        return shown

    async def _kept(self, operation: Operation, result: OperationResult) -> tuple[OperationResult | None, str]:
        """The result as it may be stored, or None and why it is not."""
        if result.octets > self._limits.kept_octets:
            return None, f"; its {result.octets} octets are more than {self._limits.kept_octets} and were not kept"
        async with self._database.read() as tx:
            adapter = await adapters.get(tx, Scope.everything(), operation.adapter_id)
            known = await known_of(tx, self._keyring, adapter, operation.entry_id)
        return await masked_result(self._planner, known, operation.kind, result), ""

    # --- storing ------------------------------------------------------------------------------------------------------

    async def _end(
        self, operation: Operation, state: OperationState, said: str, *, code: int | None = None
    ) -> Operation:
        return await self._step(operation, Change(state, said, self._clock.now_ms(), result_code=code))

    async def _step(self, operation: Operation, step: Change) -> Operation:
        """Store a step. If somebody was faster (a cancellation), theirs holds."""
        async with self._database.write() as tx:
            await operations.change(tx, self._keyring, operation, step)
            current = await operations.get(tx, Scope.everything(), operation.id)
        log.info(
            "operation.step",
            operation=operation.id,
            adapter=operation.serial,
            kind=operation.kind.value,
            state=current.state.value,
        )
        return current

    async def _read(self, operation_id: int) -> Operation:
        async with self._database.read() as tx:
            return await operations.get(tx, Scope.everything(), operation_id)

    def _left_s(self, operation: Operation) -> float:
        """Protocol seconds that it may still wait; 0 or less: none."""
        if operation.wait_s == 0 and not operation.said:
            return 0.01  # at once or not at all
        passed_s = max(self._clock.now_ms() - operation.begins_ms, 0) / 1000
        return protocol_s(real_s(operation.wait_s, self._clock.pace) - passed_s, self._clock.pace)

    @contextlib.contextmanager
    def _idle(self, operation: Operation) -> Iterator[None]:
        self.idle.add(operation.id)
        try:
            yield
        finally:
            self.idle.discard(operation.id)

    @contextlib.contextmanager
    def _act(self) -> Iterator[None]:
        """From the claim until the answer is stored: a stop waits for it."""
        self._acting += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._acting -= 1
            if not self._acting:
                self._quiet.set()


def judged(code: int | None, result: OperationResult) -> tuple[OperationState, str]:
    """Outcome of a result by its codes, in words. Done if at least one module did what was asked of it."""
    if code is None:
        return OperationState.UNKNOWN, "the result has no result code"
    if SUCCESS < code < 200:
        return OperationState.NOT_DONE, f"the adapter carried it out and reports a failure: {named(code)}"
    if code != SUCCESS:
        return OperationState.NOT_DONE, f"the adapter ended it with {named(code)}"
    failed = [report for report in result.reports if report.code not in (None, SUCCESS)]
    if not failed:
        return OperationState.DONE, named(code)
    told = ", ".join(f"module {report.module}: {named(report.code)}" for report in failed)
    if len(failed) == len(result.reports):
        return OperationState.NOT_DONE, f"no module did it: {told}"
    return OperationState.DONE, f"{len(failed)} of {len(result.reports)} modules did not: {told}"
