"""Families that undo nothing by themselves: the change is sent, proven by a reading, and taken back by its inverse.

The plan of such a family says `guard: none`. If contact is lost in the middle, nothing but a new contact can put the
device right; that is why a family with a timer of its own has a class of its own (`ios.CiscoIos`, `fortios.FortiGate`).
An outside driver derives from `UnguardedDevice`, gives `Commands` and an `identity` (docs/drivers.md).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from drivers.device import CommandLineDevice
from drivers.push import Guard, Identity, PushJob, Step
from drivers.sessions.contract import CliSession
from inventory.errors import CommandRejected, OutcomeUnknown
from inventory.plans import PushState


@dataclass(frozen=True, slots=True)
class Commands:
    """How such a family is told what to do. `saved` must be found in the answer to `save`."""

    show: str
    configure: str
    leave: str
    save: str
    saved: re.Pattern[str]


class UnguardedDevice(CommandLineDevice):
    """A device under push without any help of its own."""

    guard: Guard = "none"
    read_during_guard = True
    commands: ClassVar[Commands]

    @abstractmethod
    def identity(self, *said: str) -> Identity:
        """Who answers, from the answers to the driver's `identity_commands`, in their order."""

    async def guard_pending(self, job: PushJob) -> bool:
        """There is none."""
        return False

    async def revert(self, job: PushJob) -> Step:
        """Send what leads from the present configuration to the base, then read. Harmless to repeat."""
        session = await self._identified()
        await self._refused_line(session)
        found = await self.read()
        if self._same(found, job.base):
            return Step("nothing was left of the change; running configuration is the base")
        await self._configure(session, PushState.REVERTING)
        inverse = self._dialect.remediate(self._dialect.parse(found.text()), self._dialect.parse(job.base.text()))
        results = await session.lines(inverse, timeout_s=self._limits.line_s)
        await self._refused_line(session)
        refused = f" (`{self._dialect.redact(results[-1].line)}` was refused)" if results and results[-1].failed else ""
        return await self._must_be_base(job, f"the inverse lines were sent{refused}")

    async def _ask_identity(self, session: CliSession) -> Identity:
        said = [
            await session.command(command, timeout_s=self._limits.command_s)
            for command in self.driver.identity_commands
        ]
        return self.identity(*said)

    async def _read_text(self, session: CliSession) -> str:
        return self._complete(await session.command(self.commands.show, timeout_s=self._limits.read_config_s))

    async def _preflight(self, session: CliSession, job: PushJob) -> Step:
        if not session.privileged:
            raise self._conflict("The account may not configure.", "Use an account that may.")
        return Step("the account may configure; the device has no guard of its own")

    async def _arm(self, session: CliSession, job: PushJob) -> Step:
        return Step("no guard: this family takes nothing back by itself")

    async def _apply(self, session: CliSession, job: PushJob) -> Step:
        await self._configure(session, PushState.APPLYING)
        return await super()._apply(session, job)

    async def _configure(self, session: CliSession, state: PushState) -> None:
        said = await session.command(self.commands.configure, timeout_s=self._limits.command_s)
        if not session.mode:
            raise CommandRejected(
                f"The device does not let us configure: {said.strip()[-200:]}",
                serial=self._serial,
                step=state.value,
                last_words=said.strip()[-200:],
                next_step="Nothing was changed; remove the reason and start the push again.",
            )

    async def _refused_line(self, session: CliSession) -> None:
        if session.mode:
            await session.command(self.commands.leave, timeout_s=self._limits.command_s)

    async def _applied(self, session: CliSession) -> Step:
        await self._refused_line(session)
        if session.mode:
            raise OutcomeUnknown(
                f"The device stays in mode {session.mode} after the change.",
                serial=self._serial,
                step=PushState.APPLIED.value,
            )
        return Step("configuration mode left")

    async def _confirm(self, session: CliSession, job: PushJob) -> Step:
        return Step("nothing to confirm: the change was in force at once")

    async def _save(self, session: CliSession, job: PushJob) -> Step:
        said = await session.command(self.commands.save, timeout_s=self._limits.save_s)
        if not self.commands.saved.search(said):
            raise CommandRejected(
                f"The device did not save: {said.strip()[-200:] or 'it said nothing'}",
                serial=self._serial,
                step=PushState.SAVED.value,
                last_words=said.strip()[-200:],
                next_step="The change runs but would not survive a restart; save by hand or push again.",
            )
        return Step((await self._verify(job)).said + "; saved")
