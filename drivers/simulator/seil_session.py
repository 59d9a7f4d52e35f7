"""One login on a simulated SEIL: a bare prompt on a terminal, lines with status codes without one (devices-seil §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.simulator.probing import seil_probe
from drivers.simulator.terminal import Pager, Terminal

if TYPE_CHECKING:
    from drivers.simulator.seil_cli import SeilDevice

BANNER = """Last login: Mon Jun  2 09:12:40 2025 on console
Copyright (c) 1996, 1997, 1998, 1999, 2000, 2001, 2002, 2003, 2004, 2005
    The NetBSD Foundation, Inc.  All rights reserved.

"""
PAGER = Pager("-- more --", "\r          \r")
ROWS = 24
GOOD, BAD = "00000000", "01000001"


class SeilSession:
    """What an account sees. `user` may look and not touch."""

    def __init__(self, device: SeilDevice, terminal: Terminal, username: str) -> None:
        self.device = device
        self.terminal = terminal
        self.may_write = username == "admin"

    async def run(self, command: str | None) -> int:
        """A shell until the account leaves, or one command."""
        if command is not None:
            return await self._coded(command) if not self.terminal.pty else await self._once(command)
        await self.terminal.write(BANNER)
        while True:
            prompt = self.device.faults.prompt
            await self.terminal.write(prompt if prompt is not None else "# " if self.may_write else "> ")
            typed = (await self.terminal.read_line()).strip()
            if typed in ("exit", "logout"):
                return 0
            if typed:
                await self._answer(typed)

    async def _once(self, command: str) -> int:
        await self._answer(command)
        return 0

    async def _coded(self, command: str) -> int:
        """The machine-readable mode; a device without it answers as it would on a terminal."""
        if not self.device.machine_readable:
            return await self._once(command)
        said, failed = await self._carry_out(command)
        lines = [f"{BAD if failed else GOOD}: {line}" for line in said.splitlines()]
        lines += [] if failed else [f"{GOOD}: success"]
        lines.append(f"{GOOD}: exit({int(failed)}).")
        await self.device.strike(command, "after", self.terminal)
        await self.terminal.write("".join(f"{line}\r\n" for line in lines))
        return int(failed)

    async def _answer(self, typed: str) -> None:
        said, _failed = await self._carry_out(typed)
        paged = self.device.setting("environment pager", "on") == "on"
        await self.device.strike(typed, "after", self.terminal)
        await self.terminal.page(f"{said}\n" if said else "", rows=ROWS if paged else 0, pager=PAGER)

    async def _carry_out(self, command: str) -> tuple[str, bool]:
        """What is said, and whether it failed."""
        await self.device.strike(command, "before", self.terminal)
        await self.terminal.pause(self.device.faults.answer_delay_s)
        if command.startswith("show "):
            said = self._show(command)
            return said, said.startswith("invalid")
        probed = seil_probe(command)
        if probed is not None:
            return probed, probed.startswith("invalid")
        if not self.may_write:
            return "error: permission denied", True
        if command == "load-from stdin":
            return await self._load()
        if command == "save-to flashrom":
            said = self.device.save()
            return said, bool(said)
        said = self.device.type_one(command)
        return said, bool(said)

    async def _load(self) -> tuple[str, bool]:
        lines: list[str] = []
        while (line := await self.terminal.read_line()) != ".":
            lines.append(line)
        words = self.device.replace_all(lines)
        return "\n".join(words), bool(words)

    def _show(self, command: str) -> str:
        device, what = self.device, command.removeprefix("show ").strip()
        if what == "config flashrom" and device.shows_flash:
            return device.saved_text().rstrip("\n")
        if what == "config":
            text = device.running_text().rstrip("\n")
            cut = device.faults.truncate_show_at
            return text if cut is None else text[:cut]
        if what.startswith("config ") and what != "config flashrom":
            group = what.split()[1]
            return "\n".join(line for line in device.running if line.split()[0] == group)
        if what == "system":
            return self._system()
        if what == "key":
            return self._key()
        return f"invalid command: {command}"

    def _system(self) -> str:
        device = self.device
        return (
            f"{device.model} Ver. {device.version}\n\nArch    : {device.model} Rev. A\n"
            f"Vendor  : OEM\nSerial  : {device.serial or '(unknown)'}\n\n"
            f'Host    : "{device.current_hostname()}"\nBootdev : flash'
        )

    def _key(self) -> str:
        device = self.device
        text = "Startup Key:\n  Status          : VALID and registered."
        if device.distribution_id:
            text += f"\n  Distribution ID : {device.distribution_id}"
        if device.function_key:
            text += "\n\nFunction Key(s):\n  Function : 'save-to' command\n  Status   : VALID and registered."
        return text
