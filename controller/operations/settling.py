"""What became of an operation whose answer or result did not come: asked, never sent again (arms-protocol §6.5)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from controller.clock import Clock
from controller.operations.pacing import protocol_s, real_s
from controller.store import boots
from controller.store.database import Database
from drivers.arms.messages import Request
from drivers.arms.operations import result_of
from drivers.sessions.arms import ArmsLink
from inventory.errors import DeviceError
from inventory.operations import ASYNCHRONOUS, CHANGING, LEAVING, Operation, OperationState

_ASKED_BY_US: Final = "requested by rs"
"""Stands in the trigger of a pull that we asked for (§6.9); free text, so it is evidence and no proof."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of an operation, and why it is this one."""

    state: OperationState
    said: str


class Settler:
    """Settles operations. Times are seconds of protocol time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        link: ArmsLink,
        *,
        settle_s: float,
        early_s: float,
        return_s: float,
        answer_s: float,
        look_s: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._link = link
        self._settle_s = settle_s
        self._early_s = early_s
        self._return_s = return_s
        self._answer_s = answer_s
        self._look_s = look_s

    async def settle(self, operation: Operation) -> Settled | Request:
        """The end of an operation, or its result after all."""
        if operation.kind in LEAVING:
            return await self._left(operation)
        if operation.kind not in ASYNCHRONOUS:
            return _lost(operation, "its answer was lost")
        watch = asyncio.create_task(self._watch(operation))
        try:
            return await self._until_known(operation, watch)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def next_pull(self, operation: Operation) -> str | None:
        """Trigger of the first pull after the request was sent; None if there was none in time."""
        since_ms = operation.sent_ms or operation.created_ms
        until_ms = since_ms + 1000 * self._real_s(self._return_s)
        while True:
            over = self._clock.now_ms() > until_ms
            async with self._database.read() as tx:
                latest = await boots.page(tx, operation.adapter_id)
            later = [boot for boot in latest if boot.rs_ms >= since_ms]
            if later:
                return later[-1].trigger
            if over:
                return None
            await self._clock.wait(self._look_s)

    async def _left(self, operation: Operation) -> Settled:
        trigger = await self.next_pull(operation)
        if trigger is None:
            return Settled(OperationState.UNKNOWN, "no answer came, and the adapter was not seen to pull since")
        told = f"no answer came; the adapter pulled again since (trigger: {trigger or 'none'})"
        if _ASKED_BY_US in trigger.lower():
            return Settled(OperationState.DONE, told)
        return Settled(OperationState.UNKNOWN, f"{told}, which it may have done for a reason of its own")

    async def _watch(self, operation: Operation) -> Request | None:
        """The result, should it come after all; None when it does not."""
        if operation.transaction_id is None:
            return None
        try:
            return await self._link.wait_done(
                operation.serial, operation.transaction_id, timeout_s=self._settle_s + self._early_s
            )
        except DeviceError:
            return None

    async def _until_known(self, operation: Operation, watch: asyncio.Task[Request | None]) -> Settled | Request:
        until_ms = self._clock.monotonic_ms() + 1000 * self._real_s(self._settle_s)
        while True:
            left_s = self._left_s(until_ms)
            asking = asyncio.create_task(self._still_open(operation, left_s))
            try:
                await asyncio.wait((asking, watch), return_when=asyncio.FIRST_COMPLETED)
                if not asking.done() and (result := _came(watch)) is not None:
                    return result
                still_open = await asking
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            if (result := await self._shortly(watch, 0 if still_open else self._early_s)) is not None:
                return result
            if still_open is None:
                return Settled(
                    OperationState.UNKNOWN, "no result came, and the adapter could not be asked what became of it"
                )
            if not still_open:
                return _lost(operation, "its result was lost, and the adapter no longer holds it open")
            if self._clock.monotonic_ms() >= until_ms:
                return Settled(OperationState.UNKNOWN, "the adapter still holds it open, and its result does not come")
            if (result := await self._shortly(watch, self._look_s)) is not None:
                return result

    async def _still_open(self, operation: Operation, within_s: float) -> bool | None:
        """Whether the adapter will still report; None if it cannot be asked. Asking again changes nothing on it."""
        until_ms = self._clock.monotonic_ms() + 1000 * self._real_s(within_s)
        while True:
            left_s = self._left_s(until_ms)
            with contextlib.suppress(DeviceError):
                await self._link.wait_ready(operation.serial, timeout_s=left_s)
                asked = Request("check-transaction", "")
                answer = await self._link.request(operation.serial, asked, timeout_s=self._answer_s)
                open_ids = result_of(answer).transactions
                return bool(open_ids) if operation.transaction_id is None else operation.transaction_id in open_ids
            if self._clock.monotonic_ms() >= until_ms:
                return None
            await self._clock.wait(self._look_s)

    async def _shortly(self, watch: asyncio.Task[Request | None], seconds: float) -> Request | None:
        """The result, if it comes within so many seconds; the whole time passes otherwise."""
        if not watch.done():
            await asyncio.wait((watch,), timeout=self._real_s(seconds))
        elif _came(watch) is None and seconds:
            await self._clock.wait(seconds)
        return _came(watch)

    def _left_s(self, until_ms: float) -> float:
        """Protocol time until an instant of the monotonic clock; a hundredth of a second at least."""
        return max(protocol_s((until_ms - self._clock.monotonic_ms()) / 1000, self._clock.pace), 0.01)

    def _real_s(self, seconds: float) -> float:
        return real_s(seconds, self._clock.pace)


def _came(watch: asyncio.Task[Request | None]) -> Request | None:
    return watch.result() if watch.done() else None


def _lost(operation: Operation, why: str) -> Settled:
    """The end of an operation that will not report any more: one that only reads has changed nothing."""
    if operation.kind in CHANGING:
        return Settled(OperationState.UNKNOWN, f"{why}; whether it was carried out is not known")
    return Settled(OperationState.NOT_DONE, f"{why}; it only reads, so nothing was changed")
