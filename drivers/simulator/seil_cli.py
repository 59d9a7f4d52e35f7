"""A simulated SEIL of the legacy families on its command line: one running text, one flash, no way back by itself."""

from __future__ import annotations

from typing import ClassVar

from drivers.simulator.faults import Faults
from drivers.simulator.ground_truth import ClockMs, PendingUndo, wall_ms
from drivers.simulator.seil_session import SeilSession
from drivers.simulator.ssh_device import AUTH_METHODS, CliDevice, digest
from drivers.simulator.terminal import Terminal

GROUPS = frozenset(
    {
        "hostname", "timezone", "environment", "option", "ppp", "interface", "route", "route6",
        "filter", "filter6", "nat", "nat6", "ike", "ipsec", "dhcp", "dhcp6", "dns", "resolver",
        "ntp", "syslog", "snmp", "cbq", "vrrp", "vrrp3", "monitor", "sshd", "telnetd", "httpd",
        "bridge", "macfilter", "proxyarp", "arp", "certificate", "encrypted-password",
        "encrypted-password-long", "dialup-device", "dialup-network", "authentication", "rtadvd", "upnp",
    }
)  # fmt: skip
"""First words of statements that the device knows."""
LINE_CHARACTERS = 2046


class SeilDevice(CliDevice):
    """One unit. `config_text` is what it boots with, running and saved alike; commands act at once.

    `machine_readable`: exec channels without a terminal answer with status codes. `function_key`: `save-to` works;
    only software routers need one. At most four logins, as on the real thing.
    """

    family: ClassVar[str] = "seil"
    boot_s: ClassVar[float] = 40.0

    def __init__(
        self,
        *,
        hostname: str,
        serial: str,
        model: str,
        config_text: str,
        username: str,
        password: str,
        version: str = "5.40 (WallofJericho)",
        distribution_id: str = "",
        machine_readable: bool = True,
        function_key: bool = True,
        shows_flash: bool = True,
        pace: float = 1.0,
        faults: Faults | None = None,
        session_limit: int = 4,
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
            session_limit=session_limit,
            auth_methods=auth_methods,
            clock_ms=clock_ms,
        )
        self.version = version
        self.distribution_id = distribution_id
        self.machine_readable = machine_readable
        self.function_key = function_key
        self.shows_flash = shows_flash
        self.running: list[str] = []
        self.replace_all(config_text.splitlines())
        self.saved = list(self.running)

    # -- texts --------------------------------------------------------------------------------------------

    def running_text(self) -> str:
        return "".join(f"{line}\n" for line in self.running)

    def saved_text(self) -> str:
        return "".join(f"{line}\n" for line in self.saved)

    def pending_undo(self) -> PendingUndo | None:
        return None

    def current_hostname(self) -> str:
        for line in self.running:
            if line.startswith("hostname "):
                return line.split(None, 1)[1].strip('"')
        return self.first_hostname

    def setting(self, start: str, otherwise: str) -> str:
        """What follows `start` in the running text."""
        found = [line.removeprefix(start).strip() for line in self.running if line.startswith(f"{start} ")]
        return found[-1] if found else otherwise

    # -- change -------------------------------------------------------------------------------------------

    def replace_all(self, lines: list[str]) -> list[str]:
        """Load a text: what it holds takes the place of all. Returns the words to lines that were skipped, and to those
        that depend on them (devices-seil §3)."""
        taken: list[str] = []
        words: list[str] = []
        for number, line in enumerate(lines, 1):
            statement = " ".join(line.split(" ")).strip()
            if not statement or statement.startswith(("!", "#")):
                continue
            problem = self.problem(statement, taken)
            if problem:
                words.append(f"{problem} (line {number})")
                self.log.add("rejected", line=statement, answer=problem)
            else:
                taken.append(statement)
                self.log.add("line", line=statement)
        if taken != self.running:
            before = digest(self.running_text()) if self.running else ""
            self.running = taken
            self.log.add("commit", before=before, after=digest(self.running_text()))
        return words

    def problem(self, statement: str, before: list[str]) -> str:
        """Why a statement is not taken, given those taken before it; empty if it is."""
        words = statement.split()
        if len(statement) > LINE_CHARACTERS:
            return "invalid: too long"
        if words[0] not in GROUPS or statement in self.faults.reject_lines or statement.count('"') % 2:
            return f"invalid command: {words[0]}"
        if words[0] == "interface" and "ppp-configuration" in words[2:-1]:
            name = words[-1]
            if not any(line.split()[:3] == ["ppp", "add", name] for line in before):
                return f"unknown ppp configuration: {name}"
        return ""

    def type_one(self, statement: str) -> str:
        """A command typed at the prompt: a statement takes the place of its like, or stands last in its group."""
        problem = self.problem(statement, self.running)
        if problem:
            self.log.add("rejected", line=statement, answer=problem)
            return problem
        words = statement.split()
        like = " ".join(words[:-1])
        alike = [at for at, line in enumerate(self.running) if " ".join(line.split()[:-1]) == like]
        if words[0] in ("hostname", "timezone", "environment") and alike:
            self.running[alike[0]] = statement
        else:
            group = [at for at, line in enumerate(self.running) if line.split()[0] == words[0]]
            self.running.insert(group[-1] + 1 if group else len(self.running), statement)
        self.log.add("line", line=statement)
        return ""

    def save(self) -> str:
        """`save-to flashrom`: words of refusal, or nothing."""
        if not self.function_key:
            self.log.add("save-failed")
            return "error: function key is required"
        if self.faults.save != "ok":
            self.log.add("save-failed")
            return "" if self.faults.save == "no-ok" else "error: device busy"
        self.saved = list(self.running)
        self.log.add("saved", digest=digest(self.saved_text()))
        return ""

    # -- life ---------------------------------------------------------------------------------------------

    def load_saved(self) -> None:
        self.running = list(self.saved)

    def is_reachable(self) -> bool:
        return "sshd enable" in self.running or "sshd.service: enable" in self.running

    def has_account(self, username: str) -> bool:
        return username in ("admin", "user")

    def _stop_timers(self) -> None:
        """It has none."""

    async def converse(self, terminal: Terminal, username: str, command: str | None) -> int:
        return await SeilSession(self, terminal, username).run(command)
