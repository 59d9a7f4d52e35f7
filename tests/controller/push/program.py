"""A device kept in memory, with a ground truth of its own: it outlives the daemons of a test, as a real one does.

Three kinds of guard, as the families have them. Faults hit the n-th command that reaches it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from controller.push.planning import Planner
from drivers.cutoff import Way
from drivers.push import Device, Guard, Identity, PushJob, Step
from inventory.errors import (
    AuthenticationFailed,
    CommandRejected,
    Conflict,
    DeviceError,
    OutcomeUnknown,
    RolledBack,
    StalePlan,
    Unreachable,
)
from inventory.plans import ARMS_ORDER, SSH_ORDER, Computed, ConfigText, Finding, PushState
from tests.controller.push.leap import LeapClock

BASE = "hostname tokyo\nmtu 1500\n"
INTENT = "hostname tokyo\nmtu 1400\n"
PARTIAL = "hostname tokyo\nmtu 1400\n!half\n"

FaultKind = Literal["kill before", "kill after", "lose before", "lose after", "reject", "locked out", "half, then lost"]


class Killed(BaseException):
    """The daemon's process ends here, as by SIGKILL."""


@dataclass
class Program:
    """The device itself. `log` is its own record of what changed it."""

    clock: LeapClock
    guard: Guard = "revert timer"
    running: str = BASE
    saved: str = BASE
    log: list[str] = field(default_factory=list)
    faults: dict[int, FaultKind] = field(default_factory=dict)
    commands: int = 0
    entered: list[PushState] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    snapshot: str | None = None
    fires_ms: int = 0
    transaction_id: int | None = None
    down_until_ms: int = 0

    @property
    def pending(self) -> bool:
        """Whether the guard runs."""
        self.tick()
        return self.snapshot is not None

    def tick(self) -> None:
        """Let the guard fire if its time has come."""
        if self.snapshot is not None and self.clock.now_ms() >= self.fires_ms:
            self.undo("guard fired")

    def arm(self, guard_s: int) -> None:
        self.snapshot = self.running
        self.fires_ms = self.clock.now_ms() + guard_s * 1000

    def undo(self, why: str) -> None:
        assert self.snapshot is not None
        self.running, self.snapshot, self.transaction_id = self.snapshot, None, None
        self.log.append(why)

    def change(self, text: str) -> None:
        self.running = text
        self.log.append("change")

    @property
    def changes(self) -> int:
        """How often the change was sent to the device."""
        return self.log.count("change")


class FakeDevice:
    """What the engine holds of the program; see `drivers.push.Device`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.family = "fake"
        self.guard: Guard = program.guard
        self.read_during_guard = program.guard in ("revert timer", "none")
        self.order: tuple[PushState, ...] = ARMS_ORDER if program.guard == "client rollback" else SSH_ORDER
        self._armed_here = False
        self._open = False

    async def identify(self) -> Identity:
        await self._command(self._nothing)
        self._open = True
        return Identity("F1", "fake", "1")

    async def read(self) -> ConfigText:
        await self._command(self._nothing)
        return ConfigText.single(self.program.running)

    async def guard_pending(self, job: PushJob) -> bool | None:
        if self.program.guard != "revert timer":
            return None
        await self._command(self._nothing)
        return self.program.pending

    async def revert(self, job: PushJob) -> Step:
        async def act() -> Step:
            program = self.program
            if program.pending:
                program.undo("reverted")
            elif program.guard == "none" and program.running != job.base.text():
                program.running = job.base.text()
                program.log.append("reverted")
            if program.running != job.base.text():
                raise OutcomeUnknown("the base does not run")
            return Step("reverted")

        return await self._command(act)

    async def enter(self, state: PushState, job: PushJob) -> Step:
        self.program.entered.append(state)
        return await self._command(lambda: self._entered(state, job), state)

    async def close(self) -> None:
        self._open = False

    async def _nothing(self) -> Step:
        return Step()

    async def _command(self, act: Callable[[], Awaitable[Step]], state: PushState | None = None) -> Step:
        program = self.program
        program.commands += 1
        fault = program.faults.pop(program.commands, None)
        program.tick()
        if program.clock.now_ms() < program.down_until_ms:
            raise Unreachable("no answer")
        self._silent_while_guarded(state)
        match fault:
            case "kill before":
                raise Killed
            case "lose before":
                raise self._lost()
            case "reject":
                raise CommandRejected("% Invalid input")
            case "locked out":
                raise AuthenticationFailed("refused")
            case "half, then lost" if state is PushState.APPLYING and self._armed_here:
                program.change(PARTIAL)
                raise self._lost()
            case "half, then lost":
                raise self._lost()
        step = await act()
        if fault == "kill after":
            raise Killed
        if fault == "lose after":
            raise OutcomeUnknown("connection reset")
        return step

    def _lost(self) -> DeviceError:
        return OutcomeUnknown("connection reset") if self._open else Unreachable("no route")

    def _silent_while_guarded(self, state: PushState | None) -> None:
        """A family that may not be read while its guard runs says so in the ground truth when it is."""
        if self.read_during_guard or self._armed_here or not self.program.pending:
            return
        self.program.violations.append(f"spoken to during its guard ({state})")

    async def _entered(self, state: PushState, job: PushJob) -> Step:
        program = self.program
        match state:
            case PushState.BASELINED if program.running != job.base.text():
                raise StalePlan("the device has changed")
            case PushState.ARMED:
                self._armed_here = True
                if program.guard in ("revert timer", "cfg-save revert"):
                    program.arm(job.guard_s)
            case PushState.APPLYING:
                return self._apply(job)
            case PushState.REACHABLE if program.guard == "client rollback" and program.transaction_id is None:
                raise RolledBack("414 SA Rollbacked")
            case PushState.VERIFIED if program.running != job.intent.text():
                raise Conflict("differs", facts={"difference": "-wanted +found"})
            case PushState.CONFIRMED if program.guard != "none":
                if not program.pending:
                    raise CommandRejected("No Rollback Confirmed Change pending")
                program.snapshot = None
                program.log.append("confirmed")
            case PushState.SAVED:
                program.saved = program.running
                program.log.append("saved")
        return Step(f"{state} entered")

    def _apply(self, job: PushJob) -> Step:
        program = self.program
        if not self._armed_here:
            raise OutcomeUnknown("the session that armed the guard is gone")
        if program.guard == "client rollback":
            program.arm(job.guard_s)
            program.transaction_id = 1000 + len(program.log)
        program.change(job.intent.text())
        return Step("sent", transaction_id=program.transaction_id)


class FakeReach:
    """Leads to one program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    async def device_for(self, adapter_id: int, *_told: object) -> Device:
        return FakeDevice(self.program)


class FakePlanner(Planner):
    """Texts are compared as they are."""

    def __init__(self, *, proven: bool = True, touches: bool = False) -> None:
        self.proven = proven
        self.touches = touches
        self.shapes: tuple[int | None, ...] = ()
        self.way = Way()

    async def digest(self, family: str, config: ConfigText) -> str:
        return hashlib.sha256(config.text().encode()).hexdigest()

    async def difference(self, family: str, before: ConfigText, after: ConfigText) -> str:
        return "" if before == after else f"-{before.text()}+{after.text()}"

    async def compute(self, family: str, base: ConfigText, intent: ConfigText, way: Way) -> Computed:
        self.way = way
        return Computed(
            base_digest=await self.digest(family, base),
            intent_digest=await self.digest(family, intent),
            remediation=() if base == intent else tuple(intent.text().splitlines()),
            rollback=() if base == intent else tuple(base.text().splitlines()),
            proven=self.proven,
            proof="",
            management_path=(Finding("shutdown", "cuts us off"),) if self.touches else (),
            lasting=(),
            diff_shown=await self.difference(family, base, intent),
            remediation_shown=("(shown)",),
            rollback_shown=("(shown)",),
            diff_shapes=self.shapes,
        )
