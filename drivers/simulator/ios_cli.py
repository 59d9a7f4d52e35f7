"""A simulated Cisco IOS or IOS-XE router: its configurations, its flash, and the timer that undoes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from drivers.simulator.faults import Faults
from drivers.simulator.ground_truth import ClockMs, PendingUndo, wall_ms
from drivers.simulator.ios_session import IosSession
from drivers.simulator.ios_tree import IosNode, parse, render
from drivers.simulator.ssh_device import AUTH_METHODS, CliDevice, digest
from drivers.simulator.terminal import Terminal

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class RevertTimer:
    """`configure … revert timer N`: what it goes back to, and when."""

    before: IosNode
    backup_name: str
    minutes: int
    armed_ms: int
    user: str
    handle: asyncio.TimerHandle


class IosDevice(CliDevice):
    """One router. `config_text` is what it boots with, running and saved alike.

    Commands are interpreted: what was configured is what is shown, what was not saved is gone after a reload,
    and a change under `configure terminal revert timer N` undoes itself after N minutes, divided by the pace.
    """

    family: ClassVar[str] = "ios"

    def __init__(
        self,
        *,
        hostname: str,
        serial: str,
        model: str,
        config_text: str,
        username: str,
        password: str,
        enable_password: str | None = None,
        version: str = "17.09.04a",
        pace: float = 1.0,
        faults: Faults | None = None,
        management: str | None = None,
        session_limit: int = 5,
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
        self.enable_password = enable_password
        self.running = parse(config_text)
        self._give_name_and_account(hostname, username, password)
        self.startup = self.running.copy()
        self._management_first = self._management_lines()
        self.flash: dict[str, str] = {}
        self.syslog: list[str] = []
        self.timer: RevertTimer | None = None
        self.archived: list[str] = []
        self.changed_ms: int | None = None
        self.changed_by = ""
        self.saved_ms: int | None = None
        self.lock_holder = ""

    def _give_name_and_account(self, hostname: str, username: str, password: str) -> None:
        """The name and the account of a device that somebody has put into service by hand."""
        children = self.running.children
        kept = [node for node in children if not node.text.startswith(("hostname ", f"username {username} "))]
        salt = secrets.token_hex(7)
        hashed = base64.b64encode(hashlib.sha256((salt + password).encode()).digest(), b"./").decode()
        account = IosNode(f"username {username} privilege 15 secret 9 $9${salt}${hashed.rstrip('=')}")
        services = sum(node.text.startswith(("version", "service")) for node in kept)
        first = next((n for n, node in enumerate(kept) if node.text.startswith("interface ")), len(kept))
        kept.insert(first, account)
        kept.insert(services, IosNode(f"hostname {hostname}"))
        licence = f"license udi pid {self.model} sn {self.own_serial}"
        children[:] = [IosNode(licence) if n.text.startswith("license udi ") else n for n in kept]

    # -- texts --------------------------------------------------------------------------------------------

    def running_text(self) -> str:
        return render(self.running)

    def saved_text(self) -> str:
        return render(self.startup)

    def current_hostname(self) -> str:
        for node in self.running.children:
            if node.text.startswith("hostname "):
                return node.text.split()[1]
        return "Router"

    def has_account(self, username: str) -> bool:
        return any(node.text.startswith(f"username {username} ") for node in self.running.children)

    def is_reachable(self) -> bool:
        return self.management is None or self._management_lines() == self._management_first

    def _management_lines(self) -> tuple[str, ...] | None:
        node = self.running.child(f"interface {self.management}") if self.management else None
        if node is None:
            return None
        return tuple(child.text for child in node.children if child.text.startswith(("ip address", "shutdown", "vrf")))

    def is_saved(self) -> bool:
        return self.running_text() == self.saved_text()

    # -- changes ------------------------------------------------------------------------------------------

    def touched(self, user: str) -> None:
        """Somebody changed the running configuration."""
        self.changed_ms = self.now_ms()
        self.changed_by = user

    def say(self, mnemonic: str, text: str) -> str:
        """Write a line to the device's own log buffer, and return it."""
        line = f"*{self.stamp()}: %{mnemonic}: {text}"
        self.syslog = [*self.syslog[-499:], line]
        return line

    def stamp(self) -> str:
        moment = datetime.fromtimestamp(self.now_ms() / 1000, UTC)
        return f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"

    def archive_path(self) -> str | None:
        """Where the archive feature keeps its files; None when the feature is off."""
        if self.faults.archive_missing:
            return None
        node = self.running.child("archive")
        paths = [child.text.split()[1] for child in node.children if child.text.startswith("path ")] if node else []
        return paths[0] if paths else None

    def arm(self, minutes: int, user: str) -> str:
        """Start the revert timer over the present running configuration; returns the backup's name."""
        name = f"{self.archive_path()}-{self.stamp().replace(' ', '-')}-{len(self.archived)}"
        self.archived.append(name)
        self.flash[name.partition(":")[2]] = self.running_text()
        loop = asyncio.get_running_loop()
        handle = loop.call_later(minutes * MINUTE_S / self.pace, self.revert, "the timer ran out")
        self.timer = RevertTimer(self.running.copy(), name, minutes, self.now_ms(), user, handle)
        self.say("ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_BACKUP", f"Backing up current running config to {name}")
        self.say(
            "ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_START_ABSTIMER",
            f"User: {user}: Scheduled to rollback to config {name} in {minutes} minutes",
        )
        self.log.add("armed", before=digest(self.running_text()), minutes=minutes)
        return name

    def confirm(self, user: str) -> bool:
        """Keep what runs; False when no timer is running."""
        if self.timer is None:
            return False
        self.timer.handle.cancel()
        self.timer = None
        self.say("ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_CONFIRM", f"User: {user}: Confirm the configuration change")
        self.log.add("confirmed", running=digest(self.running_text()))
        return True

    def revert(self, why: str) -> None:
        """Go back to the before image of the running timer."""
        timer = self.timer
        assert timer is not None
        timer.handle.cancel()
        self.timer = None
        self.say(
            "ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_ROLLBACK_START",
            f"Start rolling to: {timer.backup_name}",
        )
        changed, self.running = self.running, timer.before.copy()
        if self.faults.revert == "partial":
            self.running = changed
            self.running.children = [node for node in changed.children if not node.text.startswith("ip route ")]
        self.touched(timer.user)
        self.log.add("reverted", why=why, running=digest(self.running_text()))

    def save(self) -> str:
        """Save as the switches allow; the answer after `Building configuration...`, empty when none comes."""
        kind = self.faults.save
        if kind != "ok" and self.faults.save_failures != 0:
            if self.faults.save_failures is not None:
                self.faults = self.faults.changed({"save_failures": self.faults.save_failures - 1})
            self.log.add("save-failed", why=kind)
            return {
                "busy": "startup-config file open failed (Device or resource busy)\n",
                "failed": "% NVRAM write failed\n",
            }.get(kind, "")
        self.startup = self.running.copy()
        self.saved_ms = self.now_ms()
        self.log.add("saved", saved=digest(self.saved_text()))
        return "[OK]\n"

    def replace_running(self, wanted: IosNode, user: str) -> None:
        """Running becomes `wanted`; a physical interface can neither be added nor removed by a text."""
        fresh = wanted.copy()
        ours = {node.text for node in self.running.children if self.is_physical(node.text)}
        fresh.children = [n for n in fresh.children if not self.is_physical(n.text) or n.text in ours]
        self.running = fresh
        self.touched(user)
        self.log.add("commit", running=digest(self.running_text()))

    @staticmethod
    def is_physical(line: str) -> bool:
        return line.startswith("interface ") and "Ethernet" in line and "." not in line

    def pending_undo(self) -> PendingUndo | None:
        if self.timer is None:
            return None
        before = digest(render(self.timer.before))
        return PendingUndo("revert-timer", self.timer.armed_ms, self.timer.minutes * MINUTE_S, before)

    def load_saved(self) -> None:
        self.running = self.startup.copy()
        self.changed_ms = None
        self.lock_holder = ""
        self.syslog = []

    def _stop_timers(self) -> None:
        if self.timer:
            self.timer.handle.cancel()
            self.timer = None

    async def converse(self, terminal: Terminal, username: str, command: str | None) -> int:
        return await IosSession(self, terminal, username).run(command)
