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
from drivers.driver import Completeness, Driver, Question, Shell
from drivers.errors import NotOffered
from drivers.operating import LineOperations, Refused, Restart
from drivers.push import Guard, Identity, PushJob, Step
from drivers.sessions.contract import CliSession
from drivers.sessions.rest import STATUS, RestSession
from inventory.errors import CommandRejected, OutcomeUnknown, Truncated, Unreachable
from inventory.plans import ConfigText, PushState

SHELL: Final = Shell(
    prompt=re.compile(r"(?:\(\w\) )?(?P<host>[-\w.~]+(?:\(\w+\))?)(?P<mode> \([-\w. /:]+\))? ?(?P<end>[#$>]) ?"),
    privileged="#",
    literal="\x16",
    pager=re.compile(r"--More--\s*$"),
    reads=re.compile(r"^(?:show|get|diagnose)\b"),
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
    greeting=(Question(re.compile(r"\(Press 'a' to accept\):?\s*$"), "a", enter=False),),
    onboarding=re.compile(r"(?i)forced to change your password|please input a new password"),
    busy=re.compile(r"(?i)maximum .*(?:sessions|logins)|too many (?:sessions|logins)|session limit"),
    quoted=True,
    leave=("exit",),
)

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
    reads_status=re.compile(r"(?:get|show)\b"),
    clears_status=re.compile(r"(?:diagnose netlink interface clear|execute clear system arp table)\b"),
    restart=Restart(
        command="execute reboot",
        questions=(Question(re.compile(r"Do you want to continue\? \(y/n\)\s*$"), "y", enter=False),),
        uptime_command="get system performance status",
        uptime=re.compile(r"(?m)^Uptime:\s*(.+)$"),
    ),
    refused=(
        Refused(re.compile(r"^con"), "enters the configuration", _BY_A_PLAN),
        Refused(
            re.compile(r"^(?:edit|set|unset|delete|purge|rename|move|clone|append|end|next|abort)\b"),
            "is a line of a configuration",
            _BY_A_PLAN,
        ),
        Refused(re.compile(r"^exec?u?t?e? +reb"), "restarts the unit", "Ask for the operation `reboot`."),
        Refused(
            # Whatever else `execute` can do changes flash, files, firmware or the cluster.
            re.compile(r"^ex\w* +(?!(?:ping6?|ping6?-options|traceroute|traceroute-options|tracert6|time|date|log)\b)"),
            "acts at once on what the unit keeps",
            "It is not offered; only ping, traceroute, time, date and log are.",
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
    unwritable=(
        # The guard and its save are of the whole unit, and which scope `show` begins in is the account's.
        (re.compile(r"^config (?:vdom|global)$"), "virtual domains"),
    ),
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


def without_guard(text: str) -> str:
    """A reading without the two lines of our own guard, which are no part of anybody's configuration."""
    return "".join(line for line in text.splitlines(keepends=True) if not GUARD_LINE.match(line))


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

    async def _meet(self) -> Identity:
        """Over REST where there is a token; the command line is asked too while its host key is not known."""
        if self._endpoint.rest is None:
            return await super()._meet()
        try:
            identity = await self._ask_rest(self._rest())
        except (NotOffered, Unreachable):
            return await super()._meet()
        return identity if self._endpoint.host_key is not None else await super()._meet()

    async def _read(self) -> ConfigText:
        if self._endpoint.rest is None:
            return await super()._read()
        session = self._rest()
        try:
            await self._ask_rest(session)
            text = await session.backup()
        except (CommandRejected, Unreachable):
            return await super()._read()
        return self._checked(without_guard(self._complete(text)))

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
        inverse = self._dialect.remediate(self._dialect.parse(found.text()), self._dialect.parse(job.base.text()))
        results = await session.lines(inverse, timeout_s=self._limits.line_s)
        if results and results[-1].failed:
            await self._to_top(session)
            return False
        return self._same(await self.read(), job.base)

    async def _reload(self, job: PushJob) -> None:
        # A unit that reloads drops its sessions; the readings below tell what became of it.
        with contextlib.suppress(OutcomeUnknown, Unreachable):
            await (await self._identified()).command("execute cfg reload", timeout_s=self._limits.command_s)
        await self.close()
        for pause_s in _RELOADED_S:
            await self._wait(pause_s)
            try:
                if self._same(await self.read(), job.base):
                    return
            except (Unreachable, Truncated):
                await self.close()

    async def _ask_identity(self, session: CliSession) -> Identity:
        return identity(await session.command("get system status", timeout_s=self._limits.command_s))

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
            cluster = await session.command("get system ha status", timeout_s=self._limits.command_s)
            if re.search(r"(?i)out[- ]of[- ]sync", cluster):
                raise self._conflict(
                    "The members of the cluster hold different configurations.",
                    "Let them synchronise first (`get system ha status`).",
                )
        if not re.search(r"(?m)^Virtual domain configuration\s*:\s*disable", status):
            raise self._conflict(
                "Virtual domains are on; a push to a unit with virtual domains is not offered.",
                "Change this unit by hand; it is read, compared and metered all the same.",
            )
        shown = await session.command("show system global", timeout_s=self._limits.command_s)
        if re.search(r"(?m)^\s*set cfg-save (?!automatic)", shown):
            raise self._conflict(
                "The unit does not save by itself (`cfg-save`): another change may be waiting for its confirmation.",
                "Find out who set it; put it back to `automatic`.",
            )
        return Step("primary or alone, no virtual domains, saves by itself")

    async def _arm(self, session: CliSession, job: PushJob) -> Step:
        seconds = max(LEAST_GUARD_S, job.guard_s)
        # A stored revision carries the push's id, so that a person at the unit sees what came from where. Small models
        # keep none; then the save below is the only way back, and it is enough.
        await session.command(f'execute backup config flash "push {job.push_id} before"', timeout_s=self._limits.save_s)
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
        shown = await session.command("show system global", timeout_s=self._limits.command_s)
        return any(GUARD_LINE.match(line) for line in shown.splitlines())

    async def _leave_guard(self, session: CliSession) -> None:
        if not await self._in_guard(session):
            return
        # `unset` is `automatic` again, and leaves no line behind that was not there before.
        await self._global(session, "unset cfg-save", "unset cfg-revert-timeout")
        await self._must_save(session, PushState.SAVED)

    async def _global(self, session: CliSession, *settings: str) -> None:
        lines = ("config system global", *settings, "end")
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
        said = await session.command("execute cfg save", timeout_s=self._limits.save_s)
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
        """`abort` until the prompt shows no context: after a refusal the following lines would hit another table."""
        for _ in range(_DEEPEST):
            if not session.mode:
                return
            await session.command("abort", timeout_s=self._limits.line_s)
        raise OutcomeUnknown("The unit does not leave its configuration context.", serial=self._serial, step="abort")
