"""The router inside a simulated ARMS device: modules, their configurations, and what its shell says.

It knows nothing of the protocol. What is pushed is what is shown: `read-storage`, `show config` and
`show system` all speak from the same held state.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from drivers.simulator.arms_faults import ArmsFaults
from drivers.simulator.arms_tree import (
    Interpreter,
    Loaded,
    Refused,
    SkippedLine,
    host_name,
    load_legacy,
    load_recipe,
    load_update_firmware,
)
from drivers.simulator.identity import ArmsIdentity

JST = timezone(timedelta(hours=9), "JST")
Store = Literal["running", "candidate", "backup", "startup"]


@dataclass(frozen=True, slots=True)
class Module:
    """An entry of the module list that the server gave: id, version and an info text."""

    module_id: int
    version: str
    about: str


@dataclass(slots=True)
class _Saved:
    """What a roll-back returns to."""

    modules: dict[int, Module]
    running: dict[int, str]


@dataclass(slots=True)
class ArmsUnit:
    """One router. Times are milliseconds UTC."""

    identity: ArmsIdentity
    faults: ArmsFaults
    now_ms: Callable[[], int]
    booted_at_ms: int = 0
    boot_reason: str = "power on"
    modules: dict[int, Module] = field(default_factory=dict)
    stores: dict[Store, dict[int, str]] = field(
        default_factory=lambda: {"running": {}, "candidate": {}, "backup": {}, "startup": {}}
    )
    skipped: dict[int, tuple[SkippedLine, ...]] = field(default_factory=dict)
    """Lines of the last text of each module that did not take effect."""
    _saved: _Saved | None = None
    _log: list[str] = field(default_factory=list)
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 – load figures

    # -- configuration -----------------------------------------------------------------------------------

    def boot(self, reason: str) -> None:
        """Power on or restart: nothing of the running configuration survives (§9.1 of devices-seil)."""
        self.booted_at_ms = self.now_ms()
        self.boot_reason = reason
        self.modules = {}
        self.skipped = {}
        self._saved = None
        for name in ("running", "candidate", "backup"):
            self.stores[name] = {}
        self._log = []
        self.log("info", "system", f"boot: {reason}")

    def take_startup(self, modules: Mapping[int, Module], texts: Mapping[int, str]) -> None:
        """Apply what was pulled. Raises Refused, and then runs without any configuration."""
        self.stores["startup"] = dict(texts)
        self.modules = dict(modules)
        self.stores["running"] = {}
        self.stores["running"] = {number: self._load(number, text) for number, text in texts.items()}

    def replace_module_list(self, modules: Mapping[int, Module]) -> None:
        """The list of a configure request replaces ours at once; what is left out is gone (§6.5)."""
        self._saved = _Saved(dict(self.modules), dict(self.stores["running"]))
        self.modules = dict(modules)
        running = self.stores["running"]
        self.stores["running"] = {number: text for number, text in running.items() if number in modules}

    def apply(self, texts: Mapping[int, str]) -> None:
        """Put new texts into effect, all modules or none. Raises Refused; running is then as before."""
        self.stores["candidate"] = dict(texts)
        loaded = {number: self._load(number, text) for number, text in texts.items()}
        assert self._saved is not None
        self.stores["backup"] = dict(self._saved.running)
        self.stores["running"] |= loaded

    def roll_back(self) -> None:
        """Return to what was there before the last configure."""
        if self._saved is not None:
            self.modules, self.stores["running"] = self._saved.modules, self._saved.running
        self.forget_candidate()
        self.log("warning", "system", "configuration rolled back")

    def forget_candidate(self) -> None:
        """The configure is over, one way or the other."""
        self._saved = None
        self.stores["candidate"] = {}

    def digest(self, module_id: int = 0) -> str:
        """SHA-256 of the running text of a module, hexadecimal."""
        return hashlib.sha256(self.stores["running"].get(module_id, "").encode()).hexdigest()

    def is_started(self, module_id: int) -> bool:
        """A module that is listed but never had a configuration does not run (§6.2)."""
        return module_id in self.modules and module_id in self.stores["running"]

    def _load(self, module_id: int, text: str) -> str:
        if self.faults.refuse_config and module_id == 0:
            raise Refused(0, "module 0 refuses")
        loaded = self._interpreter(module_id)(text, self.faults.skip_line)
        self.skipped[module_id] = loaded.skipped
        for each in loaded.skipped:
            self.log("error", "config", f"line {each.line} skipped: {each.reason}")
        return loaded.text

    def _interpreter(self, module_id: int) -> Interpreter:
        if module_id == 1 and self.identity.model.text_family == "legacy":
            return load_update_firmware
        if module_id != 0:
            return lambda text, _skip: Loaded(text)
        return load_legacy if self.identity.model.text_family == "legacy" else load_recipe

    # -- shell -------------------------------------------------------------------------------------------

    def log(self, level: str, function: str, text: str) -> None:
        """A line for `show log`, at most 500 of them."""
        at = datetime.fromtimestamp(self.now_ms() / 1000, UTC).astimezone(JST)
        number = len(self._log) + 1
        self._log = [*self._log[-499:], f"{number} {at:%b %d %H:%M:%S} {level:>7} {function} {text}"]

    def execute(self, command: str) -> bytes:
        """Output of a command, as md-command and read-status return it. Unknown ones say so, with 100."""
        shown = self._shown(" ".join(command.split()))
        if shown is None:
            return f"unknown command: {command}\n".encode()
        return shown.encode()

    def _shown(self, command: str) -> str | None:
        commands: dict[str, Callable[[], str]] = {
            "show system": self._show_system,
            "show config": lambda: self.stores["running"].get(0, ""),
            "show config running": lambda: self.stores["running"].get(0, ""),
            "show config flashrom": lambda: self.stores["startup"].get(0, ""),
            "show key": self._show_key,
            "show log": lambda: "".join(line + "\n" for line in self._log),
            "show log debug": lambda: "".join(line + "\n" for line in self._log),
            "show status function": self._show_functions,
            # Real outputs hold bytes that XML forbids; this one is coloured, and names a café.
            "show status arp": lambda: "\x1b[1m192.0.2.254\x1b[0m at 00:00:5E:00:53:FE ttl=9 on café\r\n",
        }
        if command in commands:
            return commands[command]()
        group = command.removeprefix("show config ")
        return self._show_group(group) if group != command else None

    def load_percent(self) -> tuple[int, int]:
        """CPU use and interrupts, percent."""
        return self._chance.randint(2, 12), self._chance.randint(0, 3)

    def memory_octets(self) -> tuple[int, int]:
        """Used and free memory."""
        total = 128 * 1024 * 1024
        used = total * self._chance.randint(70, 80) // 100
        return used, total - used

    def _show_system(self) -> str:
        model, now = self.identity.model, datetime.fromtimestamp(self.now_ms() / 1000, JST)
        since = datetime.fromtimestamp(self.booted_at_ms / 1000, JST)
        serial = self.identity.serial_number if model.shows_serial else "(unknown)"
        host = host_name(self.stores["running"].get(0, ""))
        version = f"{model.name} {'Ver.' if model.text_family == 'recipe' else 'ver'} {model.firmware}"
        cpu, interrupts = self.load_percent()
        lines = [f"{version} ({model.firmware_name})", "", f"Serial  : {serial}", f'Host    : "{host}"']
        if model.text_family == "legacy":
            lines.insert(0, f"{model.name} IPL Monitor version 1.05")
            lines += [f"Bootinfo: {self.boot_reason}", "Bootdev : flash"]
        lines += ["", f"Date    : {now:%Y/%m/%d %H:%M:%S} (JST)"]
        lines += [f"Up      : {_length(now - since)}  (since {since:%Y/%m/%d %H:%M:%S})", ""]
        if model.text_family == "legacy":
            lines += [f"CPUstat : Used {cpu}%, Interrupts {interrupts}%"]
            lines += ["Memory  : Total 128MB, Used 99MB (77%), Avail 29MB (22%)"]
        else:
            lines += [f"CPUstat : User {cpu:.2f}%, System {interrupts:.2f}%, Idle {100 - cpu - interrupts:.2f}%"]
            lines += ["Memory  : Total 247.25MB, Used 120.50MB (48.73%), Avail 126.75MB (51.27%)"]
        return "".join(line + "\n" for line in lines)

    def _show_key(self) -> str:
        return (
            "Startup Key:\n"
            f"  Distribution ID : {self.identity.distribution_id}\n"
            "  Memo            : simulated\n"
            "  Status          : VALID and registered.\n"
        )

    def _show_group(self, group: str) -> str:
        lines = self.stores["running"].get(0, "").splitlines(keepends=True)
        return "".join(line for line in lines if line.split(maxsplit=1)[0].split(".")[0].rstrip(":") == group)

    def _show_functions(self) -> str:
        text = self.stores["running"].get(0, "")
        rows = [("ssh server", "sshd enable", "sshd.service: enable")]
        rows += [("dhcp server", "dhcp enable", "dhcp.server.service: enable")]
        rows += [("snmp agent", "snmp enable", "snmp.service: enable"), ("NTP", "ntp enable", "ntp.service: enable")]
        shown = ["FUNCTION                CONFIG          STATUS"]
        for name, legacy, recipe in rows:
            on = bool({legacy, recipe} & set(text.splitlines()))
            shown.append(f"{name:<24}{'Enable' if on else 'Disable':<16}{'Active' if on else 'Inactive'}")
        return "".join(line + "\n" for line in shown)


def _length(up: timedelta) -> str:
    minutes = int(up.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} minutes"
    return f"{minutes // 1440} days {minutes // 60 % 24:02}:{minutes % 60:02}"
