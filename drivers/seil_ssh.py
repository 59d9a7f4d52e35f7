"""SEIL/X1, X2, B1, BPV4 and x86 Fuji on their own command line, unmanaged (devices-seil §2, §3).

The whole text is loaded, what the device did not like is found by reading back, and nothing reaches the flash before
the reading equals the intent: until then a power cycle brings the former configuration back. SEIL/Turbo and SEIL/neu
2FE Plus have never been tried by anybody here and are only read.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import Final

from drivers import seil
from drivers.device import CommandLineDevice
from drivers.dialects.tree import Tree
from drivers.driver import Completeness, Question, Shell, Text
from drivers.operating import LineOperations
from drivers.push import Guard, Identity, PushJob, Step
from drivers.sessions.arms import identity_of
from drivers.sessions.contract import CliSession
from inventory.errors import CommandRejected, DeviceError, Truncated
from inventory.operations import OperationKind
from inventory.plans import ConfigText, PushState

SHELL: Final = Shell(
    prompt=re.compile(r"(?P<host>[A-Za-z0-9_.\-]{0,64})(?P<end>[>#]) ?"),
    privileged="#",
    # What the pager shows is not published: it is switched off, and any of the usual words is answered (§11).
    pager=re.compile(r"(?i)^\W*(?:--\s?more\s?--|more|press any key|:)\W*$"),
    reads=re.compile(r"^(?:show|ping|traceroute)\b"),
    failure=(re.compile(r"(?i)^(?:error|%|invalid|unknown|ambiguous|syntax)"),),
    questions=(Question(re.compile(r"OK\?\s*\[y/N\]\s*$"), "y"),),
    any_question=re.compile(r"\[(?:y/N|Y/n)\]\s*$"),
    refusal="n",
    user_asked=re.compile(r"(?i)^\s*login\s*:\s*$"),
    password_asked=re.compile(r"(?i)password\s*:\s*$"),
    texts=(Text(re.compile(r"^load-from stdin$"), end="."),),
    leave=("exit",),
    telnet_line_end="\n",
)

OPERATIONS: Final = LineOperations(
    ping=("ping {address} count {count}[ size {size}]",),
    probes=re.compile(r"(?P<sent>\d+) packets transmitted, (?P<answered>\d+) (?:packets )?received"),
    traceroute=("traceroute {address}",),
    status="show system",
    reads_status=re.compile(r"show\b"),
    only=re.compile(r"(?:show|ping|traceroute)\b"),
    why_not={
        OperationKind.REBOOT: "the words of its dialogue are known of no model (devices-seil §11)",
        OperationKind.CLEAR_STATUS: "every command but show, ping and traceroute acts on the configuration",
    },
)

DRIVER: Final = replace(
    seil.DRIVER,
    family="seil-ssh",
    title="SEIL/X1, X2, B1, BPV4, x86 Fuji on their command line",
    carrier="exec",
    modules=(0,),
    shell=SHELL,
    operations=OPERATIONS,
    reading=Completeness(begins=re.compile(r"^hostname "), end=""),
    cuts_off=(
        *seil.DRIVER.cuts_off,
        # Here we come in by the device's own login, over whichever interface.
        re.compile(r"^(?:sshd|telnetd|encrypted-password(?:-long)?)\b"),
        re.compile(r"^interface \S+ (?:add|address|over|tag)\b"),
        re.compile(r"^route6? add\b"),
    ),
)

_READ_ONLY: Final = re.compile(r"(?i)turbo|neu")
_NEEDS_KEY: Final = re.compile(r"(?i)x86")
_SAVE_KEY: Final = re.compile(r"Function\s*:\s*'save-to' command")
_OWN_SETTING: Final = re.compile(r"^environment (?:pager|terminal)\b")
_ON_A_TERMINAL: Final = ("environment pager off", "environment terminal column 511")
LINE_CHARACTERS: Final = 2046
LINE_WORDS: Final = 128


class SeilOnALine(CommandLineDevice):
    """A SEIL under push by `load-from stdin`. It has no guard of its own, and says so in its plan.

    On a terminal two settings of the running configuration are changed while we are there (pager, width). They are
    left out of what is read, put back before anything is saved, and again when we leave.
    """

    guard: Guard = "none"
    read_during_guard = True
    _own: tuple[str, ...] | None = None
    """The device's own settings of its terminal, as found; None before that, and where there is no terminal."""

    async def guard_pending(self, job: PushJob) -> bool:
        """There is none."""
        return False

    async def revert(self, job: PushJob) -> Step:
        """Load the base again unless it runs, then read. Harmless to repeat."""
        session = await self._identified()
        if self._same(await self.read(), job.base):
            return Step("nothing was left of the change; running configuration is the base")
        await self._load(session, job.base, PushState.REVERTING)
        return await self._must_be_base(job, "the base was loaded again")

    async def close(self) -> None:
        """See `push.Device.close`; leaves the terminal settings as they were."""
        if self._session is not None and self._own is not None:
            with contextlib.suppress(DeviceError):
                await self._restore(self._session)
                self._own = None
        await super().close()

    async def _open(self) -> CliSession:
        if self._session is None:
            session = await super()._open()
            if session.terminal:
                if self._own is None:  # a session that was lost has left ours behind
                    shown = await session.command("show config environment", timeout_s=self._limits.command_s)
                    self._own = tuple(line.strip() for line in shown.splitlines() if _OWN_SETTING.match(line.strip()))
                await self._set_up(session)
        return await super()._open()

    async def _set_up(self, session: CliSession) -> None:
        for line in _ON_A_TERMINAL:
            await session.command(line, timeout_s=self._limits.command_s)

    async def _restore(self, session: CliSession) -> None:
        for line in self._own or ():
            await session.command(line, timeout_s=self._limits.line_s)

    async def _ask_identity(self, session: CliSession) -> Identity:
        said = [
            await session.command(command, timeout_s=self._limits.command_s)
            for command in self.driver.identity_commands
        ]
        return identity_of(said[0], said[1])

    async def _read_text(self, session: CliSession) -> str:
        text = await self._shown(session)
        # A terminal may lose or insert characters and shows no end mark (§2.5): two readings must agree.
        if session.terminal and text != await self._shown(session):
            raise Truncated(
                "Two readings of the configuration differ.",
                serial=self._serial,
                step="read",
                next_step="The readings were discarded; read again.",
            )
        return text

    async def _shown(self, session: CliSession) -> str:
        said = await session.command("show config", timeout_s=self._limits.read_config_s)
        refusal = self.driver.command_line.refused(said)
        lines = [line.rstrip() for line in said.splitlines() if line.strip()]
        reading = self.driver.reading
        assert reading is not None
        if refusal is not None or not lines or not reading.begins.match(lines[0]):
            raise self._truncated("has no beginning" if refusal is None else f"is a refusal: {refusal}", said)
        if session.terminal:
            lines = self._with_own_settings(lines)
        return "\n".join(lines) + "\n"

    def _with_own_settings(self, lines: list[str]) -> list[str]:
        at = next((number for number, line in enumerate(lines) if _OWN_SETTING.match(line)), len(lines))
        rest = [line for line in lines[at:] if not _OWN_SETTING.match(line)]
        return [*lines[:at], *(self._own or ()), *rest]

    def _same(self, one: ConfigText, other: ConfigText) -> bool:
        return self._canonical(one.text()) == self._canonical(other.text())

    def _canonical(self, text: str) -> Tree:
        """Without the settings of our own terminal: another session of ours may have them changed at this moment."""
        tree = super()._canonical(text)
        return Tree(tuple(node for node in tree.nodes if not _OWN_SETTING.match(node.text)))

    async def _preflight(self, session: CliSession, job: PushJob) -> Step:
        system = await session.command("show system", timeout_s=self._limits.command_s)
        key = await session.command("show key", timeout_s=self._limits.command_s)
        model = identity_of(system, key).model
        if not model or _READ_ONLY.search(model):
            raise self._conflict(
                f"{model or 'A device of an unknown model'} is only read over SSH: nobody has verified a push to it.",
                "Manage it over ARMS, or change it by hand.",
            )
        if not session.privileged:
            raise self._conflict("The account may not configure.", "Use the account `admin`.")
        if _NEEDS_KEY.search(model) and not _SAVE_KEY.search(key):
            raise self._conflict(
                "The device has no function key for `save-to`, so a change would not survive a restart.",
                "Install the function key first.",
            )
        self._check_text(job.intent.text())
        return Step(f"{model}, may configure and save; no guard of its own")

    def _check_text(self, text: str) -> None:
        statements = [node.text for node in self._dialect.parse(text).nodes]
        for number, statement in enumerate(statements, 1):
            if len(statement) > LINE_CHARACTERS or len(statement.split()) > LINE_WORDS:
                raise self._conflict(
                    f"Statement {number} is longer than the device takes ({LINE_CHARACTERS} characters, "
                    f"{LINE_WORDS} words).",
                    "Shorten it.",
                )
            if "\t" in statement or "?" in statement:
                raise self._conflict(
                    f"Statement {number} holds a TAB or `?`, at which the command line acts at once.",
                    "Write it without them, or manage the device over ARMS.",
                )
        if self._endpoint.transport != "telnet" and "sshd enable" not in statements:
            raise self._conflict(
                "The text does not say `sshd enable`: it would lock us out.", "Add `sshd enable` to the configuration."
            )

    async def _arm(self, session: CliSession, job: PushJob) -> Step:
        return Step("no guard: a power cycle returns to the saved configuration, nothing else does by itself")

    async def _apply(self, session: CliSession, job: PushJob) -> Step:
        return await self._load(session, job.intent, PushState.APPLYING)

    async def _load(self, session: CliSession, config: ConfigText, state: PushState) -> Step:
        statements = self._dialect.remediate(self._dialect.parse(""), self._dialect.parse(config.text()))
        whole = "\n".join(("load-from stdin", *statements, "."))
        result = (await session.lines((whole,), timeout_s=self._limits.save_s))[-1]
        if result.failed:
            words = self._dialect.redact(result.said).strip()[-200:]
            raise CommandRejected(
                f"The device refused the text, or lines of it: {words}",
                serial=self._serial,
                step=state.value,
                last_words=words,
                next_step="What it took of the text is taken back; correct those lines and make a new plan.",
            )
        if session.terminal:
            self._own = tuple(statement for statement in statements if _OWN_SETTING.match(statement))
            await self._set_up(session)
        return Step(f"{len(statements)} statements loaded as a whole")

    async def _refused_line(self, session: CliSession) -> None:
        """A refused text leaves no mode open."""

    async def _applied(self, session: CliSession) -> Step:
        await self._restore(session)
        return Step("the text is in force; a reading will tell what the device made of it")

    async def _confirm(self, session: CliSession, job: PushJob) -> Step:
        return Step("nothing to confirm: the text was in force at once")

    async def _save(self, session: CliSession, job: PushJob) -> Step:
        await self._restore(session)
        said = await session.command("save-to flashrom", timeout_s=self._limits.save_s)
        refusal = self.driver.command_line.refused(said)
        if refusal is not None:
            raise self._not_saved(f"The device did not save: {self._dialect.redact(refusal)}")
        flash = await session.command("show config flashrom", timeout_s=self._limits.read_config_s)
        if self.driver.command_line.refused(flash) is not None:
            return Step("saved, by the device's word: it does not show what its flash holds")
        if self._canonical(flash) != self._canonical(job.intent.text()):
            raise self._not_saved("The device said that it saved, and its flash does not hold the intent.")
        return Step("saved; the flash holds the intent")

    def _not_saved(self, reason: str) -> CommandRejected:
        return CommandRejected(
            reason,
            serial=self._serial,
            step=PushState.SAVED.value,
            next_step="The change runs but would not survive a restart; save by hand or push again.",
        )


class RecipeOnALine(SeilOnALine):
    """SEIL/X4, CA10 and x86 Ayame over SSH: only read. How they take a whole text there has been verified by nobody."""

    async def _preflight(self, session: CliSession, job: PushJob) -> Step:
        raise self._conflict(
            "This family is only read over SSH; its configuration goes over ARMS (devices-seil §12).",
            "Register the adapter with path arms to push to it.",
        )
