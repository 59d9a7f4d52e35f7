"""FortiGate (FortiOS): the shell as data, and a push guarded by `cfg-save revert` (devices-ios-fortios §B).

Identity and configuration are read over REST where a token is on record, and over the command line where REST cannot.

Lines are sent without a transaction: the two together are documented only apart and must first be proven on a unit
(§B.3). The guard undoes them all the same.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from drivers.device import CommandLineDevice
from drivers.dialects.block_words import quoted
from drivers.driver import Completeness, Driver, Question, Shell
from drivers.errors import NotOffered
from drivers.operating import LineOperations, Refused, Restart
from drivers.push import Guard, Identity, PushJob, Step
from drivers.sessions.contract import CliSession
from drivers.sessions.rest import STATUS, RestSession
from inventory.errors import (
    AuthenticationFailed,
    CommandRejected,
    OutcomeUnknown,
    ProtocolViolation,
    Truncated,
    Unreachable,
)
from inventory.plans import ConfigText, PushState

_ACCEPT: Final = Question(re.compile(r"\(Press 'a' to accept\):?\s*$"), "a", enter=False)
SHELL: Final = Shell(
    prompt=re.compile(r"(?:\(\w\) )?(?P<host>[-\w.~]+(?:\(\w+\))?)(?P<mode> \([-\w. /:]+\))? ?(?P<end>[#$>]) ?"),
    privileged="#",
    literal="\x16",
    pager=re.compile(r"--More--\s*$"),
    reads=re.compile(r"^(?:show|get|diagnose)\b|^config (?:global|vdom)$"),
    failure=(
        re.compile(r"^Command fail\. Return code"),
        re.compile(r"^(?:command|value) parse error before"),
        re.compile(r"^Unknown action"),
        re.compile(r"^Unknown config"),
        re.compile(r"entry not found in datasource"),
        re.compile(r"^node_check_object fail!"),
        re.compile(r"object check operator error"),
        re.compile(r"discard the setting"),
        re.compile(r"attribute '[^']*' MUST be set"),
        re.compile(r"^The entry is used by"),
        re.compile(r"already exists"),
        re.compile(r"(?i)duplicate"),
        re.compile(r"^incomplete command in the end"),
        re.compile(r"^ambiguous command before"),
        re.compile(r"(?i)permission denied|no permission"),
        re.compile(r"^Maximum number of entries has been reached"),
        re.compile(r"(?i)locked by"),
    ),
    questions=(
        # Asked by `execute cfg reload` only, which is our own way back.
        Question(re.compile(r"(?i)(?:reload|revert|restore).*\(y/n\)\s*$"), "y", enter=False),
    ),
    any_question=re.compile(r"\(y/n\)\s*$"),
    refusal="n",
    greeting=(_ACCEPT, _ACCEPT),  # one banner before the login, and one behind it
    onboarding=re.compile(r"(?i)forced to change your password|please input a new password"),
    busy=re.compile(r"(?i)maximum .*(?:sessions|logins)|too many (?:sessions|logins)|session limit"),
    quoted=True,
    leave=("exit",),
)

_SUDO: Final = r"(?:su\w*\s+\S+\s+)*"
"""`sudo global …`, `sudo root …`: with virtual domains, in which scope the rest is carried out."""
_PROBES: Final = r"(?:ping6?|ping6?-options|traceroute|traceroute-options|tracert6)"
_BY_A_PLAN: Final = "Store the working config, make a plan (POST /plans), approve it, start it (POST /pushes)."
OPERATIONS: Final = LineOperations(
    ping=(
        "execute ping-options reset",
        "execute ping-options repeat-count {count}",
        "[execute ping-options data-size {size}]",
        "execute ping {address}",
    ),
    ping6=(
        "execute ping6-options reset",
        "execute ping6-options repeat-count {count}",
        "[execute ping6-options data-size {size}]",
        "execute ping6 {address}",
    ),
    probes=re.compile(r"(?P<sent>\d+) packets transmitted, (?P<answered>\d+) (?:packets )?received"),
    traceroute=("execute traceroute-options queries {count}", "execute traceroute {address}"),
    traceroute6=("execute tracert6 {address}",),
    status="get system status",
    reads_status=re.compile(rf"{_SUDO}(?:get|show)\b"),
    clears_status=re.compile(r"(?:diagnose netlink interface clear|execute clear system arp table)\b"),
    clears_such_as="execute clear system arp table",
    restart=Restart(
        command="execute reboot",
        questions=(Question(re.compile(r"Do you want to continue\? \(y/n\)\s*$"), "y", enter=False),),
        uptime_command="get system performance status",
        uptime=re.compile(r"(?m)^Uptime:\s*(.+)$"),
    ),
    refused=(
        Refused(re.compile(rf"^{_SUDO}con"), "enters the configuration", _BY_A_PLAN),
        Refused(
            re.compile(rf"^{_SUDO}(?:edit|set|unset|delete|purge|rename|move|clone|append|end|next|abort)\b"),
            "is a line of a configuration",
            _BY_A_PLAN,
        ),
        Refused(re.compile(rf"^{_SUDO}exec?u?t?e? +reb"), "restarts the unit", "Ask for the operation `reboot`."),
        Refused(
            # Whatever else `execute` can do changes flash, files, firmware or the cluster.
            re.compile(rf"^{_SUDO}ex\w* +(?!{_PROBES}\b|(?:time|date)$|log +(?:display|filter)\b)"),
            "acts at once on what the unit keeps",
            "It is not offered; only ping, traceroute, what time and date it is, and reading the log are.",
        ),
    ),
)

DRIVER: Final = Driver(
    family="fortios",
    title="FortiGate (FortiOS)",
    dialect="block",
    carrier="asyncssh",
    shell=SHELL,
    reading=Completeness(begins=re.compile(r"^(?:#|config )"), end="end"),
    identity_commands=("get system status",),
    operations=OPERATIONS,
    # `edit` of a name that is not there would make a domain, `delete` would remove one with all in it (§B.1).
    kept=(("config vdom", "virtual domain"),),
    irreversible=(
        (re.compile(r"^(?:set|unset) cfg-(?:save|revert-timeout)\b"), "is the guard itself"),
        (re.compile(r"^execute\b"), "acts at once and is not configuration"),
        (re.compile(r"^(?:set|unset) (?:private-data-encryption|vdom-mode|opmode)\b"), "restarts or re-keys the unit"),
    ),
)

GUARD_LINE: Final = re.compile(r"^\s*set cfg-(?:save (?:revert|manual)|revert-timeout \d+)\s*$")
LEAST_GUARD_S: Final = 10
_RELOADED_S: Final = (5.0, 10.0, 15.0, 30.0, 30.0, 60.0, 60.0)
"""Waits for a unit that reloads its configuration (20–30 s) or restarts (minutes)."""
_DEEPEST: Final = 20
_SCOPED: Final = re.compile(r"su\w*\s")
"""A command that names its scope itself: `sudo global show system ha`, `sudo root execute ping 192.0.2.1`."""
_OF_DOMAIN: Final = re.compile(rf"ex\w* +{_PROBES}\b")
"""What is done within a virtual domain; all else that is asked here is of the whole unit."""


def without_guard(text: str) -> str:
    """A reading without the two lines of our own guard, which are no part of anybody's configuration."""
    return "".join(line for line in text.splitlines(keepends=True) if not GUARD_LINE.match(line))


_DOMAIN: Final = re.compile(r"(?m)^config vdom\n((?:[ \t]*edit [^\n]+\n(?:[ \t]*next\n)?)+)")
_EDITED: Final = re.compile(r'(?m)^[ \t]*edit "?([^"\n]+?)"?[ \t]*$')


def domains_in(text: str) -> tuple[str, ...]:
    """Names of the virtual domains in a reading, each time that they stand there: first in a list, then each apart."""
    return tuple(name for found in _DOMAIN.finditer(text) for name in _EDITED.findall(found[1]))


def identity(status: str) -> Identity:
    """Who answers, from `get system status` (§B.6)."""

    def value(name: str) -> str:
        found = re.search(rf"(?m)^{name}\s*:\s*(.*?)\s*$", status)
        return found[1] if found else ""

    model, _, rest = value("Version").partition(" ")
    return Identity(
        serial=value("Serial-Number") or None,
        model=model,
        version=rest.split(",")[0].removeprefix("v"),
        hostname=value("Hostname"),
    )


def identity_of_status(status: Mapping[str, object]) -> Identity:
    """Who answers, from `monitor/system/status`; its envelope carries serial number and version (§B.2)."""
    results = status.get("results")
    found = results if isinstance(results, dict) else {}
    model = "-".join(str(found[name]) for name in ("model_name", "model_number") if found.get(name))
    return Identity(
        serial=str(status["serial"]) if status.get("serial") else None,
        model=model,
        version=str(status.get("version", "")).removeprefix("v"),
        hostname=str(found.get("hostname", "")),
    )


class FortiGate(CommandLineDevice):
    """A FortiGate under push. Its guard counts from the last activity, so whoever wants it to fire stays silent."""

    guard: Guard = "cfg-save revert"
    read_during_guard = False
    _divided = False
    """Whether the unit has virtual domains; known as soon as it was asked who it is."""

    async def ask(self, *commands: str, timeout_s: float) -> str:
        """See `CommandLineDevice.ask`. With virtual domains a command is typed in the scope that it belongs to: probes
        in the domain of managing, all else in `config global`; one that begins with `sudo` names its scope itself."""
        session = await self._identified()
        if not self._divided or _SCOPED.match(commands[0]) or not await self._enters(session, "config global"):
            return await super().ask(*commands, timeout_s=timeout_s)
        if _OF_DOMAIN.match(commands[0]):
            shown = await session.command("show system global", timeout_s=self._limits.command_s)
            managing = re.search(r'(?m)^\s*set management-vdom "?([^"\n]+?)"?\s*$', shown)
            await self._leave_scope(session)
            await self._enters(session, "config vdom")
            await self._enters(session, f"edit {quoted(managing[1] if managing else 'root')}")
        try:
            said = await super().ask(*commands, timeout_s=timeout_s)
        except CommandRejected:
            await self._leave_scope(session)
            raise
        await self._leave_scope(session)
        return said

    async def _enters(self, session: CliSession, line: str) -> bool:
        """Whether the unit lets us into a scope: an account of one domain sees no other, and not the unit."""
        said = await session.command(line, timeout_s=self._limits.line_s)
        return self.driver.command_line.refused(said) is None

    async def _of_unit(self, session: CliSession, command: str, *, timeout_s: float) -> str:
        """What a command says that is of the whole unit. Raises Conflict for an account of one domain."""
        if not self._divided:
            return await session.command(command, timeout_s=timeout_s)
        if not await self._enters(session, "config global"):
            raise self._conflict(
                "The account is of one virtual domain; the guard of a change is of the whole unit.",
                "Use an account that may enter `config global`.",
            )
        said = await session.command(command, timeout_s=timeout_s)
        await self._leave_scope(session)
        return said

    async def _leave_scope(self, session: CliSession) -> None:
        """Nothing is open in it, so that `end` keeps nothing that is half done."""
        await session.command("end", timeout_s=self._limits.line_s)
        await self._to_top(session)

    async def _meet(self) -> Identity:
        """Over REST where there is a token; the command line is asked too while its host key is not known."""
        if self._endpoint.rest is None:
            return await super()._meet()
        try:
            identity = await self._ask_rest(self._rest())
        except (NotOffered, Unreachable, Truncated, ProtocolViolation):
            return await super()._meet()
        return identity if self._endpoint.host_key is not None else await super()._meet()

    async def _read(self) -> ConfigText:
        if self._endpoint.rest is None:
            return await super()._read()
        session = self._rest()
        try:
            await self._ask_rest(session)
            return self._checked(without_guard(self._complete(await session.backup())))
        except (CommandRejected, Unreachable, Truncated, ProtocolViolation):
            return await super()._read()
        except AuthenticationFailed:
            if self._session is None:
                raise
            # The command line has let us in: what is under way there is brought to its end, and no token shown again.
            self._endpoint = replace(self._endpoint, rest=None)
            return await super()._read()

    def _rest(self) -> RestSession:
        return RestSession(self._endpoint, self._limits, redact=self._dialect.redact, transcript=self.transcript)

    async def _ask_rest(self, session: RestSession) -> Identity:
        """Compare the serial number of an answer, and keep the certificate that came with it."""
        identity = identity_of_status(await session.read(STATUS))
        await self._compare(identity)
        if self._endpoint.rest is not None:
            rest = replace(self._endpoint.rest, certificate=session.certificate)
            self._endpoint = replace(self._endpoint, rest=rest)
        return identity

    async def guard_pending(self, job: PushJob) -> bool:
        """Whether the unit is still in revert mode; FortiOS does not show the timer itself, and asking may postpone it.

        Also True after the timer has fired, because what was saved holds the revert mode: `revert`, or CONFIRMED and
        SAVED, take the unit out of it.
        """
        return await self._in_guard(await self._identified())

    async def revert(self, job: PushJob) -> Step:
        """Back to the base: by the inverse lines where they suffice, else `execute cfg reload`; then leave revert mode.

        Harmless to repeat, and the right call also when the base runs already: it clears what the guard left behind.
        Raises OutcomeUnknown if the base cannot be restored.
        """
        session = await self._identified()
        await self._to_top(session)
        found = await self.read()
        how = "nothing was left of the change"
        if not self._same(found, job.base):
            how = "the inverse lines were sent"
            if not await self._undo_by_lines(session, found, job):
                how = "the saved configuration was reloaded"
                await self._reload(job)
        step = await self._must_be_base(job, how)
        await self._leave_guard(await self._identified())
        return step

    async def _undo_by_lines(self, session: CliSession, found: ConfigText, job: PushJob) -> bool:
        # The trees as read, not their canonical form: an entry that is made again needs its secrets, not masks.
        one, other = self._dialect.parse(found.text()), self._dialect.parse(job.base.text())
        if set(domains_in(found.text())) != set(domains_in(job.base.text())):
            return False  # whoever made or removed a domain meanwhile: lines would remove or make one
        inverse = self._dialect.remediate(one, other)
        results = await session.lines(inverse, timeout_s=self._limits.line_s)
        if results and results[-1].failed:
            await self._to_top(session)
            return False
        return self._same(await self.read(), job.base)

    async def _reload(self, job: PushJob) -> None:
        # A unit that reloads drops its sessions; the readings below tell what became of it.
        with contextlib.suppress(OutcomeUnknown, Unreachable):
            await self._of_unit(await self._identified(), "execute cfg reload", timeout_s=self._limits.command_s)
        await self.close()
        for pause_s in _RELOADED_S:
            await self._wait(pause_s)
            try:
                if self._same(await self.read(), job.base):
                    return
            except (Unreachable, Truncated):
                await self.close()

    async def _ask_identity(self, session: CliSession) -> Identity:
        status = await session.command("get system status", timeout_s=self._limits.command_s)
        self._divided = re.search(r"(?m)^Virtual domain configuration\s*:\s*(?!disable)\S", status) is not None
        return identity(status)

    def _complete(self, said: str) -> str:
        """As above; with virtual domains the unit and each domain of the list must follow the list."""
        text = super()._complete(said)
        named = domains_in(text)
        if named and ("\nconfig global\n" not in text or any(named.count(name) < 2 for name in named)):
            raise self._truncated("lacks a virtual domain of its list", said)
        return text

    async def _read_text(self, session: CliSession) -> str:
        said = await session.command("show", timeout_s=self._limits.read_config_s)
        return without_guard(self._complete(said))

    async def _preflight(self, session: CliSession, job: PushJob) -> Step:
        if not session.privileged:
            raise self._conflict("The account is read-only.", "Use an account whose profile may write.")
        status = await session.command("get system status", timeout_s=self._limits.command_s)
        if re.search(r"(?m)^Current HA mode:.*(?:secondary|slave|backup)", status):
            raise self._conflict("This unit is the secondary of its cluster.", "Push to the primary.")
        if not re.search(r"(?m)^Current HA mode:\s*standalone", status):
            cluster = await self._of_unit(session, "get system ha status", timeout_s=self._limits.command_s)
            if re.search(r"(?i)out[- ]of[- ]sync", cluster):
                raise self._conflict(
                    "The members of the cluster hold different configurations.",
                    "Let them synchronise first (`get system ha status`).",
                )
        shown = await self._of_unit(session, "show system global", timeout_s=self._limits.command_s)
        if re.search(r"(?m)^\s*set cfg-save (?!automatic)", shown):
            raise self._conflict(
                "The unit does not save by itself (`cfg-save`): another change may be waiting for its confirmation.",
                "Find out who set it; put it back to `automatic`.",
            )
        domains = "virtual domains" if self._divided else "no virtual domains"
        return Step(f"primary or alone, {domains}, saves by itself")

    async def _arm(self, session: CliSession, job: PushJob) -> Step:
        seconds = max(LEAST_GUARD_S, job.guard_s)
        # A stored revision carries the push's id, so that a person at the unit sees what came from where. Small models
        # keep none; then the save below is the only way back, and it is enough.
        revision = f'execute backup config flash "push {job.push_id} before"'
        await self._of_unit(session, revision, timeout_s=self._limits.save_s)
        await self._global(session, "set cfg-save revert", f"set cfg-revert-timeout {seconds}")
        await self._must_save(session, PushState.ARMED)
        return Step(f"`cfg-save revert` with {seconds} s is saved together with the base")

    async def _refused_line(self, session: CliSession) -> None:
        await self._to_top(session)

    async def _applied(self, session: CliSession) -> Step:
        await self._to_top(session)
        return Step("at the top of the command line")

    async def _confirm(self, session: CliSession, job: PushJob) -> Step:
        await self._must_save(session, PushState.CONFIRMED)
        return Step("`execute cfg save` accepted")

    async def _save(self, session: CliSession, job: PushJob) -> Step:
        await self._leave_guard(session)
        return Step((await self._verify(job)).said + ", saves by itself again")

    async def _in_guard(self, session: CliSession) -> bool:
        shown = await self._of_unit(session, "show system global", timeout_s=self._limits.command_s)
        return any(GUARD_LINE.match(line) for line in shown.splitlines())

    async def _leave_guard(self, session: CliSession) -> None:
        if not await self._in_guard(session):
            return
        # `unset` is `automatic` again, and leaves no line behind that was not there before.
        await self._global(session, "unset cfg-save", "unset cfg-revert-timeout")
        await self._must_save(session, PushState.SAVED)

    async def _global(self, session: CliSession, *settings: str) -> None:
        lines = ("config system global", *settings, "end")
        if self._divided:
            lines = ("config global", *lines, "end")
        results = await session.lines(lines, timeout_s=self._limits.line_s)
        if results[-1].failed:
            await self._to_top(session)
            raise CommandRejected(
                f"The unit refused `{results[-1].line}`: {results[-1].said.strip()[-200:]}",
                serial=self._serial,
                step=PushState.ARMED.value,
                last_words=results[-1].said.strip()[-200:],
            )

    async def _must_save(self, session: CliSession, state: PushState) -> None:
        said = await self._of_unit(session, "execute cfg save", timeout_s=self._limits.save_s)
        refusal = self.driver.command_line.refused(said)
        if refusal is not None:
            raise CommandRejected(
                f"The unit did not save: {refusal}",
                serial=self._serial,
                step=state.value,
                last_words=said[-200:],
                next_step="What runs is lost at the next restart; look at the unit.",
            )

    async def _to_top(self, session: CliSession) -> None:
        """`abort` until the prompt shows no context: after a refusal the following lines would hit another table.

        A scope has nothing to abort and refuses it; it is left by `end`, which then keeps nothing that is half done.
        """
        for _ in range(_DEEPEST):
            if not session.mode:
                return
            said = await session.command("abort", timeout_s=self._limits.line_s)
            if session.mode and self.driver.command_line.refused(said) is not None:
                await session.command("end", timeout_s=self._limits.line_s)
        raise OutcomeUnknown("The unit does not leave its configuration context.", serial=self._serial, step="abort")
