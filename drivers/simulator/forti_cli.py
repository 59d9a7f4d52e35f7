"""A simulated FortiGate: its configuration, its flash, and the save mode that undoes."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from drivers.simulator.faults import Faults
from drivers.simulator.forti_edit import Editor, Failed
from drivers.simulator.forti_session import FortiSession
from drivers.simulator.forti_tree import Obj, Printer, SecretCodec, Section, Unclosed, is_divided, of_unit, statement
from drivers.simulator.ground_truth import ClockMs, PendingUndo, wall_ms
from drivers.simulator.ssh_device import AUTH_METHODS, CliDevice, digest
from drivers.simulator.terminal import Terminal
from inventory.errors import ConfigSyntax

DEFAULT_REVERT_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Revision:
    """A copy of the configuration that `execute backup config flash` left on the unit."""

    number: int
    at_ms: int
    user: str
    comment: str
    text: str


class FortiDevice(CliDevice):
    """One unit, with virtual domains if its text has some.

    `config_text` is what it boots with, running and saved alike.

    Each `next` and `end` takes effect at once; whether it also reaches the flash is decided by `cfg-save`. In
    `revert`, `cfg-revert-timeout` seconds (divided by the pace) without a typed line bring the saved
    configuration back. `revert_reboots`: the unit does so by a reboot, as older releases do.
    """

    family: ClassVar[str] = "fortios"
    echo_end: ClassVar[str] = "\r\r\n"

    def __init__(
        self,
        *,
        hostname: str,
        serial: str,
        model: str,
        config_text: str,
        username: str,
        password: str,
        version: str = "v7.4.4,build2662,240514 (GA.F)",
        ha_mode: str = "standalone",
        revert_reboots: bool = False,
        pace: float = 1.0,
        faults: Faults | None = None,
        management: str | None = None,
        session_limit: int = 20,
        auth_methods: tuple[str, ...] = AUTH_METHODS,
        clock_ms: ClockMs = wall_ms,
    ) -> None:
        super().__init__(
            hostname=hostname,
            serial=serial,
            model=model,
            username=username,
            password=password,
            pace=pace,
            faults=faults,
            management=management,
            session_limit=session_limit,
            auth_methods=auth_methods,
            clock_ms=clock_ms,
        )
        self.version = version
        self.ha_mode = ha_mode
        self.revert_reboots = revert_reboots
        self.codec = SecretCodec(secrets.token_bytes(16))
        self.running = load(config_text, self.codec)
        self._give_name_and_account(hostname, username, password)
        self.saved = self.running.copy()
        self._management_first = self._management_values()
        self.revisions: list[Revision] = []
        self._undo: asyncio.TimerHandle | None = None
        self._armed_ms = 0

    def _give_name_and_account(self, hostname: str, username: str, password: str) -> None:
        system = of_unit(self.running).parts.setdefault("system global", Section()).own.fields
        system["hostname"] = [hostname]
        admins = of_unit(self.running).parts.setdefault("system admin", Section()).entries
        admins.setdefault(username, Obj({"accprofile": ["super_admin"], "vdom": ["root"], "password": [password]}))

    # -- texts --------------------------------------------------------------------------------------------

    def running_text(self) -> str:
        return "\n".join([*Printer().tree(self.running), ""])

    def saved_text(self) -> str:
        return "\n".join([*Printer().tree(self.saved), ""])

    def header(self, user: str) -> list[str]:
        """The first lines of a backup; `conf_file_ver` moves with the content."""
        build = self.version.partition("build")[2].partition(",")[0]
        release = self.version.partition(",")[0].removeprefix("v")
        date = self.version.rpartition(",")[2].partition(" ")[0]
        code = self.model.replace("FortiGate-", "FGT").replace("-", "")
        return [
            f"#config-version={code}-{release}-FW-build{build}-{date}:opmode=0:vdom={int(is_divided(self.running))}:user={user}",
            f"#conf_file_ver={int(digest(self.running_text())[:12], 16)}",
            f"#buildno={build}",
            "#global_vdom=1",
            *([f"#private-encryption-key={secrets.token_hex(16)}"] if self.faults.volatile_lines else []),
            *["# a comment of no weight at all, and a long one"] * (self.faults.padding // 48),
        ]

    def setting(self, path: str, name: str, otherwise: str) -> str:
        """One value of an object that runs, or what it is by default."""
        part = of_unit(self.running).parts.get(path)
        return " ".join(part.own.fields.get(name, [otherwise])) if part else otherwise

    @property
    def vdoms(self) -> str:
        """What the unit says of its virtual domains."""
        return self.faults.vdoms if is_divided(self.running) else "disable"

    def current_hostname(self) -> str:
        return self.setting("system global", "hostname", self.model)

    def has_account(self, username: str) -> bool:
        admins = of_unit(self.running).parts.get("system admin")
        return admins is not None and username in admins.entries

    def is_reachable(self) -> bool:
        return self.management is None or self._management_values() == self._management_first

    def _management_values(self) -> tuple[object, ...] | None:
        ports = of_unit(self.running).parts.get("system interface")
        port = ports.entries.get(self.management or "") if ports else None
        if port is None:
            return None
        return (
            port.fields.get("ip"),
            port.fields.get("status") == ["down"],
            "ssh" in port.fields.get("allowaccess", []),
        )

    def is_saved(self) -> bool:
        return self.running == self.saved

    # -- changes ------------------------------------------------------------------------------------------

    @property
    def save_mode(self) -> str:
        return self.setting("system global", "cfg-save", "automatic")

    @property
    def revert_timeout_s(self) -> int:
        return int(self.setting("system global", "cfg-revert-timeout", str(DEFAULT_REVERT_TIMEOUT_S)))

    def committed(self, comment: str) -> None:
        """A `next` or `end` took effect: save it or start the clock, as `cfg-save` says."""
        self.log.add("commit", running=digest(self.running_text()), comment=comment, mode=self.save_mode)
        if self.save_mode == "automatic":
            self.save()
        else:
            self.touched()

    def touched(self) -> None:
        """Somebody typed: the way back starts anew, as long as there is something to go back from."""
        was_armed = self._undo is not None
        self._stop_timers()
        if self.save_mode != "revert" or self.is_saved():
            return
        self._armed_ms = self.now_ms()
        loop = asyncio.get_running_loop()
        self._undo = loop.call_later(self.revert_timeout_s / self.pace, self.revert, "no input before the timeout")
        if not was_armed:
            self.log.add("armed", before=digest(self.saved_text()), timeout_s=self.revert_timeout_s)

    def save(self) -> bool:
        """Running to flash; False when a switch is against it."""
        if self.faults.save != "ok" and self.faults.save_failures != 0:
            if self.faults.save_failures is not None:
                self.faults = self.faults.changed({"save_failures": self.faults.save_failures - 1})
            self.log.add("save-failed", why=self.faults.save)
            return False
        confirmed = self._undo is not None
        self._stop_timers()
        self.saved = self.running.copy()
        if confirmed:
            self.log.add("confirmed", running=digest(self.running_text()))
        self.log.add("saved", saved=digest(self.saved_text()))
        return True

    def revert(self, why: str) -> None:
        """Back to what is saved; every session ends."""
        self._stop_timers()
        if self.revert_reboots:
            self.log.add("reverted", why=why, running=digest(self.saved_text()))
            self.reload(why)
            return
        self.load_saved()
        self.log.add("reverted", why=why, running=digest(self.running_text()))
        self.hang_up_all()

    def keep_revision(self, user: str, comment: str) -> Revision:
        revision = Revision(len(self.revisions) + 1, self.now_ms(), user, comment, self.running_text())
        self.revisions.append(revision)
        return revision

    def stamp(self) -> str:
        moment = datetime.fromtimestamp(self.now_ms() / 1000, UTC)
        return f"{moment:%a %b} {moment.day:2d} {moment:%H:%M:%S %Y}"

    def pending_undo(self) -> PendingUndo | None:
        if self._undo is None:
            return None
        return PendingUndo("cfg-revert", self._armed_ms, self.revert_timeout_s, digest(self.saved_text()))

    def load_saved(self) -> None:
        self.running = self.saved.copy()

    def _stop_timers(self) -> None:
        if self._undo:
            self._undo.cancel()
            self._undo = None

    async def converse(self, terminal: Terminal, username: str, command: str | None) -> int:
        return await FortiSession(self, terminal, username).run(command)


def load(text: str, codec: SecretCodec) -> Obj:
    """The tree of a configuration file. Raises ConfigSyntax with the line of a statement that cannot be."""
    root = Obj()
    editor = Editor(root, codec, lambda: None, strict=False)
    pending, started = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        started = started if pending else number
        pending = f"{pending}\n{line}" if pending else line
        try:
            words = statement(pending)
        except Unclosed:
            continue
        pending = ""
        if not editor.knows(words[0]):
            raise ConfigSyntax(f"{words[0]!r} is no statement", line=started, column=1)
        try:
            editor.carry_out(words)
        except Failed as failure:
            said = " ".join(failure.answer.split())
            raise ConfigSyntax(said, line=started, column=1) from failure
    if pending or editor.frames:
        raise ConfigSyntax("the text ends inside a quotation or section", line=started, column=1)
    return root
