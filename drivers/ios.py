"""Cisco IOS and IOS-XE: the shell as data, and a push with the device's own revert timer (devices-ios-fortios §A)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final

from drivers.device import CommandLineDevice
from drivers.dialects.tree import Node
from drivers.driver import Completeness, Driver, Enable, Question, Shell, Text
from drivers.operating import LineOperations, Refused, Restart
from drivers.push import Guard, Identity, PushJob, Step
from drivers.sessions.contract import CliSession
from inventory.errors import CommandRejected, OutcomeUnknown, RolledBack, Truncated
from inventory.plans import PushState

_PASSWORD: Final = re.compile(r"(?i)(?:password|passcode)\s*:\s*$")
_NOISE: Final = re.compile(
    r"^(?:\S.*: )?%[A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)?-[0-7]-[A-Z0-9_]+:"
    r"|^\*\*\*"
    r"|^(?:Load for five secs|Time source is)"
    r"|^Rollback Confirmed Change: Rollback will begin"
    r'|^Enter "configure confirm" if you wish'
)

SHELL: Final = Shell(
    prompt=re.compile(r"(?P<host>[\w.\-@/:+]{1,63})(?P<mode>\([\w.\-@/:+ ]{1,40}\))?(?P<end>[>#])\s*"),
    privileged="#",
    renames=re.compile(r"^\s*(?:no )?(?:hostname|prompt)\b"),
    literal="\x16",
    pager=re.compile(r"\s*--\s?More\s?--\s*$"),
    reads=re.compile(r"^(?:show|dir|terminal|more|verify|ping|traceroute|enable)\b"),
    on_open=("terminal length 0", "terminal width 511", "terminal no monitor"),
    failure=(
        re.compile(r"^%"),
        re.compile(r"^Command authorization failed"),
        re.compile(r"^Authorization failed"),
        re.compile(r"^(?:Rollback aborted after|Rollback failed|Failed to apply command|not a valid config file)"),
        re.compile(r"^Configuration mode (?:is )?locked"),
    ),
    allowed=(
        re.compile(r"^% ?Generating \d+ bit .*keys"),
        re.compile(r"^% ?Warning:"),
        re.compile(r"^% Interface .* IPv[46] disabled and address\(es\) removed"),
        re.compile(r"^% ?The key modulus size is"),
    ),
    noise=_NOISE,
    questions=(
        Question(re.compile(r"Destination filename \[[^\]]*\]\s*\?\s*$"), ""),
        Question(re.compile(r"\[confirm\]\s*$"), ""),
    ),
    any_question=re.compile(r"(?:\[(?:yes/no|y/n|no|yes|\d+)\]\s*[:?]?|\[yes\]/no:?|\(y/n\)\s*[:?]?)\s*$"),
    refusal="no",
    user_asked=re.compile(r"(?i)^\s*(?:username|login)\s*:\s*$"),
    password_asked=_PASSWORD,
    enable=Enable("enable", re.compile(r"(?i)(?:password|passcode)\b[^:]*:\s*$")),
    busy=re.compile(r"(?i)session limit|all .*(?:lines|connections|sessions).*(?:busy|in use)|line .*is busy"),
    texts=(Text(re.compile(r"^banner \S+ (?P<mark>\^C|\S)")),),
    leave=("exit",),
)

_BY_A_PLAN: Final = "Store the working config, make a plan (POST /plans), approve it, start it (POST /pushes)."
_BY_HAND: Final = "It is not offered; do it by hand where you stand beside the device."
# Append, redirect and tee, however short; what follows another filter is its expression, but for a file.
_INTO_A_FILE: Final = r"[^|]*\|\s*[art]|.*\|\s*[art]\w*\s+\S+:"
OPERATIONS: Final = LineOperations(
    ping=("ping {address} repeat {count}[ size {size}]",),
    ping6=("ping {address} repeat {count}[ size {size}]",),
    probes=re.compile(r"Success rate is \d+ percent \((?P<answered>\d+)/(?P<sent>\d+)\)"),
    traceroute=("traceroute {address} probe {count} timeout 2 ttl 1 {max_hop}",),
    traceroute6=("traceroute {address} probe {count} timeout 2 ttl 1 {max_hop}",),
    status="show ip interface brief",
    reads_status=re.compile(rf"(?i)show\b(?!{_INTO_A_FILE})"),
    clears_status=re.compile(r"clear (?:counters|arp-cache|logging)\b"),
    clears_such_as="clear counters",
    clearing=(Question(re.compile(r"\[confirm\]\s*$"), ""),),
    restart=Restart(
        command="reload",
        questions=(
            # Nobody has asked for what runs to be saved; what is unsaved is lost, as by a power cycle.
            Question(re.compile(r"(?i)Save\? \[yes/no\]:\s*$"), "no"),
            Question(re.compile(r"Proceed with reload\? \[confirm\]\s*$"), ""),
        ),
        uptime_command="show version",
        uptime=re.compile(r"(?m)^\S+ uptime is (.+)$"),
    ),
    refused=(
        Refused(re.compile(r"^conf(?:i(?:g(?:u(?:re?)?)?)?)?(?:\s|$)"), "enters the configuration mode", _BY_A_PLAN),
        Refused(re.compile(r"^(?:copy?|wr(?:i(?:te?)?)?)\b"), "copies or saves a configuration", _BY_A_PLAN),
        Refused(re.compile(rf"^(?:{_INTO_A_FILE})"), "writes a file", "Leave the filter out and save the result here."),
        Refused(re.compile(r"^rel(?:o(?:ad?)?)?\b"), "restarts the device", "Ask for the operation `reboot`."),
        Refused(
            re.compile(r"^(?:er|del|fo|sq|rena|mk|rm|ar|setu|auto|tcl|gu|ev|li|ins|req|iss|red|soft|upg|hw)"),
            "changes what the device keeps",
            _BY_HAND,
        ),
        Refused(re.compile(r"^(?:telnet|ssh|connect|rsh|rlogin|resume|x\d)\b"), "leaves for another device", _BY_HAND),
        Refused(re.compile(r"^deb"), "floods the device until somebody ends it", _BY_HAND),
    ),
)

DRIVER: Final = Driver(
    family="ios",
    title="Cisco IOS and IOS-XE",
    dialect="indented",
    carrier="asyncssh",
    shell=SHELL,
    reading=Completeness(
        begins=re.compile(r"^(?:!|[a-z])"),
        end="end",
        announced=re.compile(r"^Current configuration : (\d+) bytes", re.MULTILINE),
    ),
    identity_commands=("show version", "show inventory"),
    operations=OPERATIONS,
    irreversible=(
        (re.compile(r"^(?:no )?archive\b"), "moves the archive that the way back is kept in"),
        (re.compile(r"^(?:no )?aaa\b"), "may survive the way back and lock everybody out"),
        (re.compile(r"^(?:no )?ip ssh\b"), "may survive the way back"),
        (re.compile(r"^(?:no )?crypto (?:key|pki)\b"), "keys and certificates are not in the text configuration"),
        (re.compile(r"^(?:no )?(?:vtp|vlan)\b"), "the VLAN database is outside the text configuration on VTP switches"),
        (re.compile(r"^(?:no )?license\b"), "licence commands are not taken back"),
        (re.compile(r"^(?:no )?boot\b"), "takes effect at the next reload"),
        (re.compile(r"^reload\b"), "restarts the device"),
    ),
)

_DEEPEST: Final = 5
_SAVE_TRIES: Final = 3
_SAVE_PAUSE_S: Final = 5.0
_BUSY: Final = re.compile(r"(?i)resource busy|text file busy|startup-config.*busy|try again|is being (?:used|written)")
_REVERT_S: Final = 600.0
_LOCKED: Final = re.compile(r"(?im)^\s*(?:State|Lock state)\s*:\s*LOCKED|locked by")
_LOCK_WAITS_S: Final = (10.0, 20.0, 30.0)
_NOTHING_PENDING: Final = re.compile(r"(?i)no rollback confirmed change pending")


def revert_minutes(guard_s: int) -> int:
    """Whole minutes for the revert timer, 1 to 120: never shorter than `guard_s` where the device can do it."""
    return min(120, max(1, math.ceil(guard_s / 60)))


def identity(version: str, inventory: str) -> Identity:
    """Who answers, from `show version` and `show inventory`; the chassis comes before the board (§A.8)."""
    entries = re.findall(r'NAME: "([^"]*)".*?SN:[ \t]*([^\s,]*)', inventory, re.DOTALL)
    chassis = [serial for name, serial in entries if "chassis" in name.lower()]
    serials = [*chassis, *(serial for _, serial in entries), *_all(r"System Serial Number\s*:\s*(\S+)", version)]
    serials += _all(r"Processor board ID (\S+)", version)
    models = _all(r"PID:[ \t]*([^\s,]+)", inventory) + _all(r"(?im)^cisco (\S+) .*processor", version)
    return Identity(
        serial=next((serial for serial in serials if serial), None),
        model=next(iter(models), ""),
        version=next(iter(_all(r"Version ([^\s,]+)", version)), ""),
        hostname=next(iter(_all(r"(?m)^(\S+) uptime is", version)), ""),
    )


def _all(pattern: str, text: str) -> list[str]:
    return [str(found) for found in re.findall(pattern, text)]


class CiscoIos(CommandLineDevice):
    """An IOS device under push: `configure terminal revert timer`, new login, compare, `configure confirm`, save."""

    guard: Guard = "revert timer"
    read_during_guard = True

    async def guard_pending(self, job: PushJob) -> bool | None:
        """Ask for the timer. Raises Unreachable, Truncated."""
        return await self._timer_runs(await self._identified())

    async def revert(self, job: PushJob) -> Step:
        """`configure revert now` if the timer runs, then read: the base must run again.

        Harmless to repeat. Raises OutcomeUnknown if anything else than the base is found.
        """
        session = await self._identified()
        if session.mode:
            await session.command("end", timeout_s=self._limits.command_s)
        if not await self._timer_runs(session):
            return await self._must_be_base(job, "no revert timer is pending")
        said = await session.command("configure revert now", timeout_s=_REVERT_S)
        refusal = self.driver.command_line.refused(said)
        await self.close()
        how = "carried out" if refusal is None else f"refused: {self._dialect.redact(refusal)}"
        return await self._must_be_base(job, f"`configure revert now` was {how}")

    async def _ask_identity(self, session: CliSession) -> Identity:
        """One question only where its answer shows the number on record, and what else is asked for, already."""
        version, inventory = self.driver.identity_commands
        said = await session.command(version, timeout_s=self._limits.command_s)
        found = identity(said, "")
        if self._serial is not None and self._is_ours(found) and found.model and found.version:
            return found
        return identity(said, await session.command(inventory, timeout_s=self._limits.command_s))

    async def _read_text(self, session: CliSession) -> str:
        return self._complete(await session.command("show running-config", timeout_s=self._limits.read_config_s))

    async def _timer_runs(self, session: CliSession) -> bool | None:
        said = await session.command("show archive config rollback timer", timeout_s=self._limits.command_s)
        if _NOTHING_PENDING.search(said):
            return False
        return None if self.driver.command_line.refused(said) is not None else True

    async def _preflight(self, session: CliSession, job: PushJob) -> Step:
        if not session.privileged:
            raise self._conflict("The account may not configure.", "Use an account with privilege 15.")
        archive = await session.command("show archive", timeout_s=self._limits.command_s)
        if "not enabled" in archive or self.driver.command_line.refused(archive) is not None:
            raise self._conflict(
                "The archive feature is off, so the device has no way back by itself.",
                "Configure `archive` with `path` on a local file system.",
            )
        timer_runs = await self._timer_runs(session)
        if timer_runs is None:
            raise self._conflict(
                "This release has no revert timer, or the account may not ask for it.",
                "Configure the device by hand, or allow `show archive config rollback timer`.",
            )
        if timer_runs:
            raise self._conflict(
                "Another change waits for its confirmation on this device.", "Wait until it is confirmed or reverted."
            )
        await self._wait_for_lock(session)
        return Step("archive on, no timer pending, no lock held")

    async def _wait_for_lock(self, session: CliSession) -> None:
        """Return when nobody holds the configuration lock; Conflict when somebody does for a minute."""
        said = ""
        for pause_s in (*_LOCK_WAITS_S, None):
            said = await session.command("show configuration lock", timeout_s=self._limits.command_s)
            if not _LOCKED.search(said):
                return
            if pause_s is not None:
                await self._wait(pause_s)
        holder = _all(r"(?im)^\s*User\s*:\s*(\S+)", said)
        raise self._conflict(
            f"The configuration is locked by {holder[0] if holder else 'somebody else'}.",
            "Wait until the lock is released; a push never breaks it.",
        )

    async def _arm(self, session: CliSession, job: PushJob) -> Step:
        minutes = revert_minutes(job.guard_s)
        said = await session.command(f"configure terminal revert timer {minutes}", timeout_s=self._limits.save_s)
        if not session.mode or self.driver.command_line.refused(said) is not None:
            await self._refused_line(session)
            raise CommandRejected(
                f"The revert timer could not be started: {said.strip()[-200:]}",
                serial=self._serial,
                step=PushState.ARMED.value,
                last_words=said.strip()[-200:],
                next_step="Nothing was changed; remove the reason and start the push again.",
            )
        # A comment changes nothing; command logs and whoever watches the terminal see whose change this is.
        await session.command(f"! push {job.push_id}", timeout_s=self._limits.line_s)
        return Step(f"revert timer of {minutes} min runs")

    async def _refused_line(self, session: CliSession) -> None:
        if session.mode:
            await session.command("end", timeout_s=self._limits.command_s)

    async def _apply(self, session: CliSession, job: PushJob) -> Step:
        if not session.mode:
            raise OutcomeUnknown(
                "The session that started the revert timer is gone.",
                serial=self._serial,
                step=PushState.APPLYING.value,
                next_step="Read the device back; the timer takes back what was sent.",
            )
        top, number = session.mode, 0
        for node in self._dialect.parse("\n".join(job.remediation)).nodes:
            number = await self._send(session, node, number, len(job.remediation))
        if session.mode != top:
            raise OutcomeUnknown(
                f"The device is in mode {session.mode} after the change.",
                serial=self._serial,
                step=PushState.APPLYING.value,
            )
        return Step(f"{number} lines sent, none refused")

    async def _send(self, session: CliSession, node: Node, number: int, of: int) -> int:
        """Send a statement and what stands below it, then come back to the mode it was sent in.

        IOS would take most statements of an outer section from within an inner one, but not all.
        """
        if node.text == "exit":
            return number + 1  # a plan writes it for people; the way back is taken below, wherever the device is
        mode = session.mode
        try:
            result = (await session.lines((node.text,), timeout_s=self._limits.line_s))[-1]
        except OutcomeUnknown as error:
            # To the session each statement is a first line; a person looks for it in the change.
            raise OutcomeUnknown(
                error.message.replace("`line 1`", f"Line {number + 1} of {of}"),
                serial=self._serial,
                step=PushState.APPLYING.value,
                last_words=error.last_words,
                next_step=error.next_step,
            ) from error
        if result.failed:
            await self._refused_line(session)
            raise self._rejected(replace(result, number=number + 1), of)
        number += node.text.count("\n") + 1
        for child in node.children:
            number = await self._send(session, child, number, of)
        for _ in range(_DEEPEST):
            if session.mode in (mode, ""):
                break
            await session.command("exit", timeout_s=self._limits.line_s)
        return number

    async def _applied(self, session: CliSession) -> Step:
        await session.command("end", timeout_s=self._limits.command_s)
        return Step("configuration mode left")

    async def _confirm(self, session: CliSession, job: PushJob) -> Step:
        said = await session.command("configure confirm", timeout_s=self._limits.save_s)
        nothing = _NOTHING_PENDING.search(said)
        refusal = nothing[0] if nothing else self.driver.command_line.refused(said)
        if refusal is None:
            return Step("`configure confirm` accepted")
        found = await self.read()
        if self._same(found, job.base):
            raise RolledBack(
                f"The device had taken the change back before it was confirmed: {refusal}",
                serial=self._serial,
                step=PushState.CONFIRMED.value,
            )
        raise OutcomeUnknown(
            f"The device did not accept the confirmation: {refusal}",
            serial=self._serial,
            step=PushState.CONFIRMED.value,
            last_words=said[-200:],
            next_step="Read the device back before anything else is sent.",
        )

    async def _save(self, session: CliSession, job: PushJob) -> Step:
        said = ""
        for attempt in range(1, _SAVE_TRIES + 1):
            said = await session.command("write memory", timeout_s=self._limits.save_s)
            if "[OK]" in said and self.driver.command_line.refused(said) is None:
                await self._must_be_saved(session, job)
                return Step(f"saved at attempt {attempt}, startup configuration equals the intent")
            if not _BUSY.search(said):
                break
            if attempt < _SAVE_TRIES:
                await self._wait(_SAVE_PAUSE_S)
        raise CommandRejected(
            f"The device did not save: {said.strip()[-200:] or 'no [OK]'}",
            serial=self._serial,
            step=PushState.SAVED.value,
            last_words=said.strip()[-200:],
            next_step="The change runs but would not survive a restart; save by hand or push again.",
        )

    async def _must_be_saved(self, session: CliSession, job: PushJob) -> None:
        said = await session.command("show startup-config", timeout_s=self._limits.read_config_s)
        try:
            found = self._checked(self._complete(said))
        except Truncated as cut:
            # Asked only of what is no configuration: the text of a banner may look like a refusal.
            refusal = self.driver.command_line.refused(said)
            if refusal is None:
                raise
            raise CommandRejected(
                f"The device said that it saved, and its startup configuration may not be read: {refusal}",
                serial=self._serial,
                step=PushState.SAVED.value,
                next_step="Allow `show startup-config`, or look at it by hand.",
            ) from cut
        if not self._same(found, job.intent):
            error = CommandRejected(
                "The device said that it saved, and its startup configuration is not the intent.",
                serial=self._serial,
                step=PushState.SAVED.value,
                next_step="Look at the startup configuration by hand.",
            )
            error.facts["difference"] = self._difference(job.intent, found)
            raise error
