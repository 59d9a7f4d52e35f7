"""One command line on a simulated FortiGate: prompts, show, get, execute, questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from drivers.simulator.forti_edit import Editor, Failed
from drivers.simulator.forti_schema import OF_DOMAIN, SHAPES
from drivers.simulator.forti_tree import SECRET_FIELD, Printer, Section, Unclosed, statement
from drivers.simulator.probing import forti_ping, forti_traceroute
from drivers.simulator.terminal import Pager, Terminal

if TYPE_CHECKING:
    from drivers.simulator.forti_cli import FortiDevice

PAGER = Pager("--More-- ", "\r         \r")
ROWS = 24
UNKNOWN = "Unknown action 0\n"
_OF_DOMAIN = frozenset(
    {
        "execute ping",
        "execute ping6",
        "execute traceroute",
        "execute tracert6",
        "execute ping-options",
        "execute ping6-options",
        "execute traceroute-options",
    }
)
"""What is done within a virtual domain; all else is of the whole unit."""


class FortiSession:
    """What an administrator sees; also runs the lines of one exec request, without prompt, echo or pager."""

    def __init__(self, device: FortiDevice, terminal: Terminal, username: str) -> None:
        self.device = device
        self._ping_count, self._ping_size = 5, 56
        self.terminal = terminal
        self.username = username
        self.comment = ""
        """The last `#` comment line: pushes say in it who they are."""
        self._editor = self._new_editor()
        self._tree = device.running
        self._left = False
        self._failed = False
        self._is_exec = False

    def _new_editor(self) -> Editor:
        device = self.device
        made = Editor(device.running, device.codec, lambda: device.committed(self.comment), lock=device.lock_seen)
        if device.faults.vdom_admin:
            made.confine(device.faults.vdom_admin)
        return made

    async def run(self, command: str | None) -> int:
        """A shell until the user leaves; or one request, with status 1 when one of its lines failed."""
        if command is not None:
            self._is_exec = True
            waiting = command.replace("\r\n", "\n").split("\n")
            while waiting:
                await self.command(waiting.pop(0), waiting)
            return int(self._failed)
        faults = self.device.faults
        if faults.accept_banner:
            await self.terminal.write(f"{faults.accept_banner}\n(Press 'a' to accept):")
            while await self.terminal.read_key() not in "aA":
                pass
            await self.terminal.write("\n")
        while not self._left:
            await self.terminal.write(self.prompt())
            await self.command(await self.terminal.read_line(), None)
        return 0

    def prompt(self) -> str:
        if self.device.faults.prompt is not None:
            return self.device.faults.prompt
        faults, context, name = self.device.faults, self._editor.context, self.device.current_hostname()
        if faults.name_cut_at is not None and len(name) > faults.name_cut_at:
            name = f"{name[: faults.name_cut_at]}~"
        if faults.ha_prompt:
            name += "(Primary)"
        return f"{name} {f'({context}) ' if context else ''}{'$' if faults.read_only else '#'} "

    async def answer(self, text: str, *, is_show: bool = False) -> None:
        """Print an answer, with whatever the switches do to answers."""
        faults = self.device.faults
        await self.terminal.pause(faults.answer_delay_s)
        if is_show and faults.truncate_show_at is not None:
            text = text[: faults.truncate_show_at] + "\n"
        if faults.stray_line and text:
            first, _, rest = text.partition("\n")
            text = f"{first}\n{faults.stray_line}\n{rest}"
        standard = self._is_exec or self.device.setting("system console", "output", "more") == "standard"
        await self.terminal.page(text, rows=0 if standard else ROWS, pager=PAGER)

    async def command(self, typed: str, waiting: list[str] | None) -> None:
        """Carry out one line, with the strikes that wait for it. `waiting`: further lines of a request."""
        await self.device.strike(typed, "before", self.terminal)
        if self._tree is not self.device.running:
            self._editor, self._tree = self._new_editor(), self.device.running
        self.device.touched()
        if typed.endswith("\x03"):
            self._editor.carry_out(["abort"])
            return
        whole = await self._whole(typed.removesuffix("\x1a"), waiting)
        if whole.strip():
            await self._carry_out(whole)
        await self.device.strike(typed, "after", self.terminal)

    async def _whole(self, line: str, waiting: list[str] | None) -> str:
        """A statement with the lines that its quotation runs over."""
        while True:
            try:
                statement(line)
            except Unclosed:
                if waiting is None:
                    await self.terminal.write("> ")
                    line += "\n" + await self.terminal.read_line()
                elif waiting:
                    line += "\n" + waiting.pop(0)
                else:
                    return line + '"'
            else:
                return line

    async def _carry_out(self, text: str) -> None:
        if text.lstrip().startswith("#"):
            self.comment = text.strip().lstrip("#").strip()
            return
        command, pipe = text, ""
        if text.split(maxsplit=1)[0] in ("show", "get"):
            command, _, pipe = text.partition(" | ")
        words = statement(command)
        if any(text.strip().startswith(prefix) for prefix in self.device.faults.unauthorised):
            await self._fail(text, "Permission denied\nCommand fail. Return code -37\n")
        elif words[0] in ("exit", "quit", "logout") and not self._editor.frames:
            self._left = True
        elif words[0] == "sudo" and len(words) > 2 and not self._editor.context and self._editor.enter(words[1]):
            await self._carry_out(text.split(maxsplit=2)[2])
            self._editor.leave()
        elif self.device.faults.read_only and (self._editor.knows(words[0]) or words[0] == "execute"):
            await self._fail(text, "Permission denied\nCommand fail. Return code -37\n")
        elif text.strip() in self.device.faults.swallow_lines:
            return
        elif words[0] == "purge" and self._editor.frames:
            await self._purge(text)
        elif self._editor.knows(words[0]):
            await self._configure(text, words)
        else:
            await self._operate(words, pipe)

    async def _configure(self, text: str, words: list[str]) -> None:
        line, context = _without_secret(text.strip(), words), self._editor.path
        try:
            if text.strip() in self.device.faults.reject_lines:
                raise Failed(f"\nvalue parse error before '{words[-1]}'", -651)
            self._editor.carry_out(words)
        except Failed as failure:
            await self._fail(line, failure.answer)
            return
        self.device.log.add("line", line=line, context=context, comment=self.comment, user=self.username)

    async def _fail(self, line: str, answer: str) -> None:
        self._failed = True
        self.device.log.add("rejected", line=line, answer=answer.strip(), comment=self.comment)
        await self.answer(answer)

    async def _purge(self, text: str) -> None:
        if not await self._agreed("This operation will clear all table!\nDo you want to continue? (y/n)"):
            return
        try:
            self._editor.purge()
        except Failed as failure:
            await self._fail(text, failure.answer)

    async def _agreed(self, question: str) -> bool:
        if self._is_exec:
            return True
        await self.terminal.write(question)
        reply = await self.terminal.read_key()
        await self.terminal.write(f"{reply.strip()}\n")
        return reply in "yY"

    # -- reading ------------------------------------------------------------------------------------------

    async def _operate(self, words: list[str], pipe: str) -> None:
        verb, rest = words[0], words[1:]
        if verb in ("show", "get") and self._editor.frames and not rest:
            await self._answer_read(words, self._show_here(), pipe)
        elif verb == "show":
            await self._answer_read(words, self._show(rest), pipe)
        elif verb == "get":
            await self._answer_read(words, self._get(" ".join(rest)), pipe)
        elif verb in ("execute", "diagnose"):
            await self._execute(f"{verb} {' '.join(rest)}", rest)
        else:
            await self._fail(" ".join(words), UNKNOWN)

    async def _answer_read(self, words: list[str], text: str | None, pipe: str) -> None:
        if text is None:
            self._failed = True
            await self.answer(f"\ncommand parse error before '{words[-1]}'\nCommand fail. Return code 1\n")
            return
        grep = pipe.split()
        if grep and grep[0] == "grep":
            wanted = grep[-1].strip("\"'")
            text = "".join(line for line in text.splitlines(keepends=True) if wanted == "." or wanted in line)
        await self.answer(text + "\n", is_show=True)

    def _show(self, rest: list[str]) -> str | None:
        """`show`, `show full-configuration`, `show system interface`, `show system interface port1`."""
        printer = Printer(self.device.codec)
        if rest and "full-configuration".startswith(rest[0]) and len(rest[0]) > 3:
            rest = rest[1:]
        if not rest:
            scope = self._editor.scope
            shown = printer.tree(self.device.running) if scope is None else printer.scope(scope)
            return "\n".join([*self.device.header(self.username), *shown, ""])
        for count in range(len(rest), 0, -1):
            path, keys = " ".join(rest[:count]), rest[count:]
            part = self._part(path)
            if part is None or len(keys) > 1:
                continue
            if keys:
                entry = part.entries.get(keys[0])
                part = Section(entries={keys[0]: entry}) if entry else None
            return "\n".join([*printer.section(path, part, 0), ""]) if part else None
        return None

    def _part(self, path: str) -> Section | None:
        """A section that can be looked at here; None for one that is unknown or stands in another scope."""
        editor = self._editor
        known = path in SHAPES and (editor.in_domain if OF_DOMAIN.fullmatch(path) else editor.in_unit)
        return (editor.scope.parts.get(path) if editor.scope else None) or (Section() if known else None)

    def _show_here(self) -> str:
        """The open context, with what has been set in it and is not committed yet."""
        frame, printer = self._editor.frames[-1], Printer(self.device.codec)
        if frame.kind == "entry":
            return "\n".join([*printer.entry(frame.name, frame.working, 0), ""])
        return "\n".join([*printer.section(frame.name, Section(frame.working, frame.section.entries), 0), ""])

    def _get(self, what: str) -> str | None:
        device = self.device
        if what == "system status":
            return (
                f"Version: {device.model} {device.version}\n"
                "Security Level: High\nFirmware Signature: certified\n"
                f"Serial-Number: {device.serial}\n"
                "Log hard disk: Not available\n"
                f"Hostname: {device.current_hostname()}\n"
                "Private Encryption: Disable\nOperation Mode: NAT\nCurrent virtual domain: root\n"
                "Max number of virtual domains: 10\nVirtual domains status: 1 in NAT mode, 0 in TP mode\n"
                f"Virtual domain configuration: {device.vdoms}\nFIPS-CC mode: disable\n"
                f"Current HA mode: {device.ha_mode}\n"
                f"System time: {device.stamp()}\nLast reboot reason: warm reboot\n"
            )
        if what == "system ha status" and self._editor.in_unit:
            in_sync = "out-of-sync" if device.faults.ha_out_of_sync else "in-sync"
            return (
                f"HA Health Status: OK\nModel: {device.model}\nMode: {device.ha_mode}\n"
                f"Configuration Status:\n    {device.serial}(updated 1 seconds ago): in-sync\n"
                f"    FGT60FTK00000000(updated 3 seconds ago): {in_sync}\n"
            )
        if what == "system performance status" and self._editor.in_unit:
            minutes = max(0, device.now_ms() - device.started_ms) // 60_000
            uptime = f"{minutes // 1440} days,  {minutes // 60 % 24} hours,  {minutes % 60} minutes"
            return f"CPU states: 1% user 0% system\nUptime: {uptime}\n"
        part = self._part(what)
        if part is None:
            return None
        rows = [f"{name:<20}: {' '.join(values)}" for name, values in part.own.fields.items()]
        for key, entry in part.entries.items():
            address = " ".join(entry.fields.get("ip", []))
            rows.append(f"== [ {key} ]\nname: {key}   {f'ip: {address}' if address else ''}".rstrip())
        return "\n".join([*rows, ""])

    # -- execute ------------------------------------------------------------------------------------------

    async def _execute(self, command: str, rest: list[str]) -> None:
        commands: dict[str, Callable[[list[str]], Awaitable[None]]] = {
            "execute cfg save": self._cfg_save,
            "execute cfg reload": self._cfg_reload,
            "execute backup config flash": self._backup,
            "execute revision list config": self._revisions,
            "execute reboot": self._reboot,
            "execute ping-options": self._ping_options,
            "execute ping6-options": self._ping_options,
            "execute traceroute-options": self._nothing,
            "execute ping": self._ping,
            "execute ping6": self._ping,
            "execute traceroute": self._traceroute,
            "execute tracert6": self._traceroute,
            "diagnose netlink interface clear": self._cleared,
            "diagnose sys config-transaction status": self._no_transaction,
        }
        for name, work in commands.items():
            in_domain = name in _OF_DOMAIN
            if not (self._editor.in_domain if in_domain else self._editor.in_unit):
                continue
            if command == name or command.startswith(f"{name} "):
                await work(rest[len(name.split()) - 1 :])
                return
        await self._fail(command, f"\ncommand parse error before '{rest[0] if rest else command}'\n")

    async def _cfg_save(self, _rest: list[str]) -> None:
        if self.device.save():
            await self.answer("config saved.\n")
        elif self.device.faults.save != "no-ok":
            self._failed = True
            await self.answer("save config failed\nCommand fail. Return code -1\n")

    async def _cfg_reload(self, _rest: list[str]) -> None:
        await self.answer("configs reloaded. system will reboot.This may take a few minutes.\n")
        self.device.revert("execute cfg reload")

    async def _backup(self, rest: list[str]) -> None:
        if self.device.faults.flash_full:
            self._failed = True
            await self.answer(
                "Please wait...\n\nFlash is full, the backup was not kept.\nCommand fail. Return code -1\n"
            )
            return
        self.device.keep_revision(self.username, " ".join(rest))
        await self.answer("Please wait...\n\nConfig backed up to flash disk done.\n")

    async def _revisions(self, _rest: list[str]) -> None:
        rows = [f"{kept.number:<4}{kept.user:<16}{kept.comment}" for kept in self.device.revisions]
        await self.answer("\n".join(["Last Firmware Version:", "ID  ADMIN           COMMENT", *rows, ""]))

    async def _reboot(self, _rest: list[str]) -> None:
        if await self._agreed("This operation will reboot the system !\nDo you want to continue? (y/n)"):
            self.device.reload(f"execute reboot by {self.username}")

    async def _nothing(self, _rest: list[str]) -> None:
        return

    async def _ping_options(self, rest: list[str]) -> None:
        if rest == ["reset"]:
            self._ping_count, self._ping_size = 5, 56
        elif rest[:1] == ["repeat-count"]:
            self._ping_count = int(rest[1])
        elif rest[:1] == ["data-size"]:
            self._ping_size = int(rest[1])

    async def _ping(self, rest: list[str]) -> None:
        said = forti_ping(rest[0], self._ping_count, self._ping_size) if rest else None
        await self.answer(said or "Unable to resolve hostname.\nCommand fail. Return code -1\n")

    async def _traceroute(self, rest: list[str]) -> None:
        said = forti_traceroute(rest[0]) if rest else None
        await self.answer(said or "Unable to resolve hostname.\nCommand fail. Return code -1\n")

    async def _cleared(self, rest: list[str]) -> None:
        self.device.log.add("cleared", of=" ".join(rest))

    async def _no_transaction(self, _rest: list[str]) -> None:
        await self.answer("There is no active config transaction.\n")


def _without_secret(line: str, words: list[str]) -> str:
    """The line as the record keeps it: a secret's value is left out."""
    if words[0] == "set" and len(words) > 2 and SECRET_FIELD.match(words[1]):
        return f"set {words[1]} ***"
    return line
