"""What the families with a command line share when they are pushed to: sessions, identity, complete readings.

`ios.CiscoIos` and `fortios.FortiGate` add what is theirs. Holds nothing that a crash would lose (see `push.Device`).
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from drivers import digests
from drivers.dialects import Dialect, Tree
from drivers.dialects.diff import difference
from drivers.driver import Driver
from drivers.push import Guard, Identity, PushJob, Step, same_serial
from drivers.sessions.contract import CliSession, Endpoint, Limits, LineResult
from drivers.sessions.transcript import Transcript, nowhere
from inventory.errors import (
    CommandRejected,
    ConfigSyntax,
    Conflict,
    DeviceError,
    IdentityMismatch,
    OutcomeUnknown,
    ProtocolViolation,
    StalePlan,
    Truncated,
    Unreachable,
)
from inventory.plans import SSH_ORDER, ConfigText, PushState

Connect = Callable[[Driver, Endpoint], Awaitable[CliSession]]
"""Opens a session; the caller binds limits, redaction and transcript."""
Wait = Callable[[float], Awaitable[None]]
"""Waits for seconds of protocol time (`Clock.wait`)."""

RECONNECTS_S: Final = (2.0, 8.0)
"""Waits between the attempts at a new login while a guard runs: a route may need a moment."""
SHOWN_LINES: Final = 40
"""Lines of a difference that go into an error."""


class CommandLineDevice(ABC):
    """A `push.Device` reached over a `CliSession`.

    `serial` is the one on record; None while the device is being registered. `wait` is `Clock.wait`.
    """

    guard: Guard
    read_during_guard: bool
    order = SSH_ORDER
    distribution_id: str | None = None
    """On record for software routers, which show it in place of a serial number (devices-seil §6.2)."""
    on_contact: Callable[[CommandLineDevice, Identity | DeviceError], Awaitable[None]] | None = None
    """Told how each attempt to identify it went. It is given the device, so that it need not hold it."""

    def __init__(
        self,
        driver: Driver,
        dialect: Dialect,
        endpoint: Endpoint,
        serial: str | None,
        *,
        connect: Connect,
        wait: Wait,
        limits: Limits | None = None,
    ) -> None:
        self.driver = driver
        self.family: str = driver.family
        self._dialect = dialect
        self._endpoint = endpoint
        self._serial = serial
        self._connect = connect
        self._wait = wait
        self._limits = limits or Limits()
        self.transcript: Transcript = nowhere
        """Told what is said over anything but the command line, whose sessions tell theirs by themselves."""
        self._session: CliSession | None = None
        self._former: CliSession | None = None
        """The session that carried the change, kept open until the new one is proven."""

    @property
    def host_key(self) -> str | None:
        """The key that the device showed, for the caller to store when none was pinned; None before contact."""
        return self._endpoint.host_key

    @property
    def certificate(self) -> str | None:
        """SHA-256 of the certificate of its REST API, as `host_key`; None where it is not called."""
        return None if self._endpoint.rest is None else self._endpoint.rest.certificate

    async def identify(self) -> Identity:
        """See `push.Device.identify`."""
        try:
            identity = await self._meet()
        except DeviceError as error:
            if self.on_contact is not None:
                await self.on_contact(self, error)
            raise
        if self.on_contact is not None:
            await self.on_contact(self, identity)
        return identity

    async def recognise(self, session: CliSession) -> Identity:
        """Who answers on a session that another has opened; without serial number where it is none of the family."""
        return await self._ask_identity(session)

    async def _meet(self) -> Identity:
        """Who answers; the way that the family is asked by."""
        return await self._identify(await self._open())

    async def read(self) -> ConfigText:
        """See `push.Device.read`. An incomplete reading is tried once more, on a new session."""
        try:
            return await self._read()
        except Truncated:
            await self.close()
            return await self._read()

    async def ask(self, *commands: str, timeout_s: float) -> str:
        """Type commands on the identified device; what the last one said. Waits up to `timeout_s` for each.

        Raises CommandRejected for a refused command, Truncated or OutcomeUnknown when the connection is lost (after a
        command that only reads, or any other), and OutcomeUnknown after dropping the connection when a command has
        led into a mode of configuration.
        """
        session = await self._identified()
        said, begun_in = "", session.mode
        for command in commands:
            said = await session.command(command, timeout_s=timeout_s)
            if session.mode not in ("", begun_in):
                await session.abort()
                self._session = None
                raise OutcomeUnknown(
                    "The command led into a mode of configuration, which was left at once.",
                    serial=self._serial,
                    step="operation",
                    next_step="Look for an alias of that name on the device; a change goes through a plan and a push.",
                )
            refusal = self.driver.command_line.refused(said)
            if refusal is not None:
                words = self._dialect.redact(said).strip()[-200:]
                raise CommandRejected(
                    f"The device refused it: {self._dialect.redact(refusal)}",
                    serial=self._serial,
                    step="operation",
                    last_words=words,
                    next_step="Look at what this release calls the command.",
                )
        return said

    async def enter(self, state: PushState, job: PushJob) -> Step:
        """See `push.Device.enter`."""
        match state:
            case PushState.PREFLIGHT:
                return await self._preflight(await self._identified(), job)
            case PushState.BASELINED:
                return await self._baseline(job)
            case PushState.ARMED:
                return await self._arm(await self._identified(), job)
            case PushState.APPLYING:
                return await self._apply(await self._identified(), job)
            case PushState.APPLIED:
                return await self._applied(await self._identified())
            case PushState.REACHABLE:
                return await self._reach()
            case PushState.VERIFIED:
                return await self._verify(job)
            case PushState.CONFIRMED:
                return await self._confirm(await self._identified(), job)
            case PushState.SAVED:
                return await self._save(await self._identified(), job)
            case PushState.REVERTING:
                return await self.revert(job)
            case _:
                return Step()

    @abstractmethod
    async def revert(self, job: PushJob) -> Step:
        """See `push.Device.revert`."""

    @abstractmethod
    async def guard_pending(self, job: PushJob) -> bool | None:
        """See `push.Device.guard_pending`."""

    async def close(self) -> None:
        """See `push.Device.close`."""
        for session in (self._session, self._former):
            if session is not None:
                with contextlib.suppress(DeviceError):
                    await session.close()
        self._session = self._former = None

    @abstractmethod
    async def _ask_identity(self, session: CliSession) -> Identity: ...

    @abstractmethod
    async def _read_text(self, session: CliSession) -> str:
        """The running configuration as shown, checked for its end mark."""

    @abstractmethod
    async def _preflight(self, session: CliSession, job: PushJob) -> Step: ...

    @abstractmethod
    async def _arm(self, session: CliSession, job: PushJob) -> Step: ...

    @abstractmethod
    async def _applied(self, session: CliSession) -> Step: ...

    @abstractmethod
    async def _confirm(self, session: CliSession, job: PushJob) -> Step: ...

    @abstractmethod
    async def _save(self, session: CliSession, job: PushJob) -> Step: ...

    @abstractmethod
    async def _refused_line(self, session: CliSession) -> None:
        """Leave whatever a refused line has left open; the guard takes back what was applied before."""

    async def _apply(self, session: CliSession, job: PushJob) -> Step:
        results = await session.lines(job.remediation, timeout_s=self._limits.line_s)
        if results and results[-1].failed:
            await self._refused_line(session)
            raise self._rejected(results[-1], len(job.remediation))
        return Step(f"{len(results)} statements sent, none refused")

    def _rejected(self, result: LineResult, of: int) -> CommandRejected:
        noise = self.driver.command_line.noise
        lines = [line for line in result.said.splitlines() if noise is None or not noise.search(line.strip())]
        words = self._dialect.redact("\n".join(lines)).strip()[-200:]
        error = CommandRejected(
            f"Line {result.number} of {of} was refused: {words}",
            serial=self._serial,
            step=PushState.APPLYING.value,
            last_words=words,
            next_step="The change is taken back; correct that line and make a new plan.",
        )
        error.facts["line"] = result.number
        error.facts["sent"] = self._dialect.redact(result.shown or result.line)
        return error

    async def _baseline(self, job: PushJob) -> Step:
        found = await self.read()
        if not self._same(found, job.base):
            raise StalePlan(
                "The device's configuration has changed since the plan was made.",
                next_step="Make a new plan.",
                facts={"difference": self._difference(job.base, found)},
            )
        return Step("running configuration is the plan's base")

    async def _reach(self) -> Step:
        """A second login beside the first; the first is closed only when the second is proven."""
        self._former, self._session = self._session, None
        for attempt, pause_s in enumerate((*RECONNECTS_S, None), 1):
            try:
                await self._identified()
            except Unreachable:
                if pause_s is None:
                    raise
                await self._wait(pause_s)
            else:
                await self._close_former()
                return Step(f"new login at attempt {attempt}")
        raise AssertionError("the loop above returns or raises")

    async def _close_former(self) -> None:
        former, self._former = self._former, None
        if former is not None:
            await former.close()

    async def _verify(self, job: PushJob) -> Step:
        found = await self.read()
        if not self._same(found, job.intent):
            raise Conflict(
                "The running configuration differs from the intent after the change.",
                next_step="The change is taken back.",
                facts={"difference": self._difference(job.intent, found)},
            )
        return Step("running configuration equals the intent")

    async def _must_be_base(self, job: PushJob, how: str) -> Step:
        """The end of every way back: only a reading says that the base runs again."""
        found = await self.read()
        if not self._same(found, job.base):
            raise OutcomeUnknown(
                f"{how}, and the running configuration is not the base: {self._difference(job.base, found)}",
                serial=self._serial,
                step=PushState.REVERTING.value,
                next_step="Compare the device with base and intent; nothing more is sent by itself.",
            )
        return Step(f"{how}; running configuration is the base again")

    async def _open(self) -> CliSession:
        if self._session is None:
            session = await self._connect(self.driver, self._endpoint)
            self._session = session
            if self._endpoint.host_key is None:
                self._endpoint = replace(self._endpoint, host_key=session.host_key or None)
            self._proven = False
        return self._session

    _proven = False

    async def _identified(self) -> CliSession:
        """An open session on which the serial number was compared: nothing is written before that."""
        session = await self._open()
        if not self._proven:
            await self._identify(session)
        return session

    async def _identify(self, session: CliSession) -> Identity:
        identity = await self._ask_identity(session)
        await self._compare(identity)
        self._proven = True
        return identity

    async def _compare(self, identity: Identity) -> None:
        if self._serial is not None and not self._is_ours(identity):
            await self.close()
            if identity.serial is None and identity.distribution_id is None:
                raise ProtocolViolation(
                    f"{self._endpoint.host} port {self._endpoint.port} did not say who it is.",
                    reason="no-serial-number",
                    next_step="Look what the account may ask the device; nothing was changed on it.",
                )
            raise IdentityMismatch(
                f"{self._endpoint.host} port {self._endpoint.port} says it is "
                f"{identity.serial or identity.distribution_id}, and the record says {self._serial}.",
                serial=self._serial,
                step="identify",
                next_step="Find out which device answers there; nothing was changed on it.",
            )

    def _is_ours(self, identity: Identity) -> bool:
        if identity.serial is None and identity.distribution_id is not None:
            return identity.distribution_id == self.distribution_id
        return same_serial(identity.serial or "", self._serial or "")

    async def _read(self) -> ConfigText:
        return self._checked(await self._read_text(await self._identified()))

    def _checked(self, text: str) -> ConfigText:
        """A reading as a value. Raises Truncated for one that does not hold together."""
        config = ConfigText.single(text)
        try:
            digests.digest(self.driver, config)
        except ConfigSyntax as error:
            raise Truncated(
                f"The configuration shown does not hold together: {error.message}.",
                serial=self._serial,
                step="read",
                next_step="The reading was discarded; read again.",
            ) from error
        return config

    def _complete(self, said: str) -> str:
        """The reading within an answer. Raises Truncated without its beginning, its end mark, or most of its length."""
        reading, shell = self.driver.reading, self.driver.command_line
        assert reading is not None
        lines = said.splitlines()
        if shell.noise is not None:
            lines = [line for line in lines if not shell.noise.search(line)]
        start = next((at for at, line in enumerate(lines) if reading.begins.match(line)), None)
        if start is None:
            raise self._truncated("has no beginning", said)
        body = lines[start:]
        while body and not body[-1].strip():
            body.pop()
        if body[-1].rstrip() != reading.end:
            raise self._truncated(f"does not end with `{reading.end}`", said)
        text = "\n".join(body) + "\n"
        announced = reading.announced.search(said) if reading.announced else None
        if announced is not None and len(text) < reading.least_share * int(announced[1]):
            raise self._truncated(f"has {len(text)} octets of {announced[1]} announced", said)
        return text

    def _truncated(self, what: str, said: str) -> Truncated:
        return Truncated(
            f"The configuration shown {what}.",
            serial=self._serial,
            step="read",
            last_words=self._dialect.redact(said[-400:])[-200:],
            next_step="The reading was discarded; read again.",
        )

    def _same(self, one: ConfigText, other: ConfigText) -> bool:
        return digests.digest(self.driver, one) == digests.digest(self.driver, other)

    def _canonical(self, text: str) -> Tree:
        return self._dialect.canonical(self._dialect.parse(text))

    def _difference(self, wanted: ConfigText, found: ConfigText) -> str:
        """Redacted difference from `wanted` to `found`, cut to a readable length."""
        lines = difference(self._dialect, self._canonical(wanted.text()), self._canonical(found.text())).splitlines()
        more = len(lines) - SHOWN_LINES
        return "\n".join(lines[:SHOWN_LINES]) + (f"\n… {more} more lines" if more > 0 else "")

    def _conflict(self, reason: str, next_step: str) -> Conflict:
        return Conflict(reason, next_step=next_step, facts={"serial_number": self._serial or ""})
