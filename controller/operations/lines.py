"""One operation on the command line of an adapter: logged in, identified, asked once, and read back where in doubt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from controller.clock import Clock
from controller.operations.pacing import real_s
from controller.push.reaching import FleetReach
from controller.store import adapters, operations
from controller.store.database import Database
from controller.store.scope import Scope
from drivers.device import CommandLineDevice
from drivers.operating import Restart, commands_for, hops_of, operations_of, prepared, probes_of
from inventory.errors import CommandRejected, DeviceError, FleetError, OutcomeUnknown, Unreachable
from inventory.operations import (
    CHANGING,
    Operation,
    OperationKind,
    OperationResult,
    OperationState,
    Parameters,
    Report,
    result_within_s,
)


@dataclass(frozen=True, slots=True)
class Ended:
    """Where an operation stands after it was asked, and what it brought, secrets still in it but for the transcript's.

    WAITING: nothing was sent. RETURNING: a reboot was asked for; only a new login tells what came of it.
    """

    state: OperationState
    said: str
    result: OperationResult | None = None


class LineAsker:
    """Carries operations out on command lines. Times are seconds of protocol time."""

    def __init__(self, database: Database, clock: Clock, reach: FleetReach, *, return_s: float, look_s: float) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._return_s = return_s
        self._look_s = look_s

    async def carry_out(self, operation: Operation, parameters: Parameters) -> Ended:
        """Ask once. What was sent is never sent again, whatever becomes of the answer."""
        transcript: list[str] = []
        device: CommandLineDevice | None = None
        try:
            device = await self._device(operation, transcript)
            try:
                await device.identify()
            except Unreachable as error:
                return Ended(OperationState.WAITING, f"nothing was sent: {error.message}")
            except DeviceError as error:
                return Ended(OperationState.NOT_DONE, f"nothing was sent: {error.message}")
            return await self._ask(device, operation, parameters, transcript)
        except DeviceError as error:
            return Ended(_after(operation, error), error.message, OperationResult(transcript="\n".join(transcript)))
        except FleetError as error:  # its endpoint is gone, or the family offers it no more
            return Ended(OperationState.NOT_DONE, f"nothing was sent: {error.message}")
        finally:
            if device is not None:
                await device.close()

    async def settle(self, operation: Operation) -> Ended:
        """What became of an operation whose answer was not seen; nothing is sent for it again."""
        if operation.kind is OperationKind.REBOOT:
            return await self._rebooted(operation)
        if operation.kind in CHANGING:
            said = "its answer was lost; whether it was carried out is not known"
            return Ended(OperationState.UNKNOWN, said)
        return Ended(OperationState.NOT_DONE, "its answer was lost; it only reads, so nothing was changed")

    async def _device(self, operation: Operation, transcript: list[str], *, again: bool = False) -> CommandLineDevice:
        async with self._database.read() as tx:
            adapter = await adapters.get(tx, Scope.everything(), operation.adapter_id)
        device = await self._reach.over_ssh(
            adapter, transcript=lambda way, text: transcript.append(f"{way} {text}"), again=again
        )
        device.driver = prepared(device.driver, operation.kind)
        return device

    async def _ask(
        self, device: CommandLineDevice, operation: Operation, parameters: Parameters, transcript: list[str]
    ) -> Ended:
        kind, known = operation.kind, operations_of(device.driver)
        groups = commands_for(device.driver, kind, parameters)
        within_s = float(result_within_s(kind, parameters))
        if kind is OperationKind.REBOOT:
            assert known.restart is not None
            return await self._reboot(device, operation, known.restart, transcript)
        if kind is OperationKind.READ_STORAGE:
            texts = [(await device.read()).text()]
        else:
            texts = [await device.ask(*commands, timeout_s=within_s) for commands in groups]
        whole = "\n".join(texts)
        probes = probes_of(known, whole) if kind is OperationKind.PING else None
        hops = hops_of(known, whole, parameters.max_hop or 0) if kind is OperationKind.TRACEROUTE else ()
        result = OperationResult(
            reports=tuple(Report(0, text) for text in texts),
            hops=hops,
            answered=None if probes is None else probes[0],
            lost=None if probes is None else probes[1],
            transcript="\n".join(transcript),
        )
        return Ended(OperationState.DONE, "the adapter answered", result)

    async def _reboot(
        self, device: CommandLineDevice, operation: Operation, restart: Restart, transcript: list[str]
    ) -> Ended:
        """Note how long it has run, then say it, once. That the connection ends is what a reboot does to it."""
        before_s = restart.uptime_s(await device.ask(restart.uptime_command, timeout_s=30.0))
        if before_s is None:
            said = "nothing was sent: the adapter does not say how long it has run, so a reboot could not be proven"
            return Ended(OperationState.NOT_DONE, said)
        async with self._database.write() as tx:
            await operations.note_uptime(tx, operation.id, before_s)
        how = "its prompt came back"
        try:
            await device.ask(restart.command, timeout_s=30.0)
        except OutcomeUnknown:
            how = "the connection ended"
        said = f"the reboot was sent and {how}; a new login tells what came of it"
        return Ended(OperationState.RETURNING, said, OperationResult(transcript="\n".join(transcript)))

    async def _rebooted(self, operation: Operation) -> Ended:
        """Log in again until the uptime tells; an adapter that has run on all the while was not rebooted."""
        async with self._database.read() as tx:
            before_s = await operations.uptime_before_s(tx, operation.id)
        if before_s is None:
            return Ended(OperationState.NOT_DONE, "the reboot was not sent yet")
        sent_ms = operation.sent_ms or operation.created_ms
        until_ms = self._clock.monotonic_ms() + 1000 * real_s(self._return_s, self._clock.pace)
        seen: bool | None = None
        while self._clock.monotonic_ms() < until_ms:
            await self._clock.wait(self._look_s)
            with contextlib.suppress(DeviceError):
                seen = await self._looked(operation, before_s, sent_ms)
                if seen:
                    return Ended(OperationState.DONE, "it was logged in to again, and its uptime began anew")
        if seen is False:
            return Ended(OperationState.NOT_DONE, "it has run on since before it was asked, so it did not reboot")
        return Ended(OperationState.UNKNOWN, "it could not be seen whether it rebooted; look at its uptime")

    async def _looked(self, operation: Operation, before_s: int, sent_ms: int) -> bool | None:
        """Whether it started after the reboot was asked for; None when its clock is too coarse to say yet."""
        device = await self._device(operation, [], again=True)  # what was sent must be known, whatever was refused
        try:
            restart = operations_of(device.driver).restart
            assert restart is not None
            uptime_s = restart.uptime_s(await device.ask(restart.uptime_command, timeout_s=30.0))
        finally:
            await device.close()
        if uptime_s is None:
            return None
        passed_s = (self._clock.now_ms() - sent_ms) / 1000
        if uptime_s < before_s or uptime_s + restart.grain_s <= passed_s:
            return True
        return False if uptime_s > passed_s + restart.grain_s else None


def _after(operation: Operation, error: DeviceError) -> OperationState:
    """Outcome after an error of a device that was asked: what only reads has changed nothing."""
    if isinstance(error, CommandRejected):
        return OperationState.NOT_DONE
    if isinstance(error, OutcomeUnknown) and operation.kind in CHANGING:
        return OperationState.UNKNOWN
    return OperationState.NOT_DONE
