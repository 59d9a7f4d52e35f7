"""One command line on a simulated IOS device: prompts, exec commands, questions.

Configuration mode is in `ios_configure`, what `show` prints in `ios_shows`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from drivers.simulator.ios_configure import ConfigureMode, replace_from_file
from drivers.simulator.ios_edit import INCOMPLETE, INVALID
from drivers.simulator.ios_shows import IN_USER_MODE, SHOWS, long_time, piped
from drivers.simulator.ios_tree import render
from drivers.simulator.probing import ios_ping, ios_traceroute
from drivers.simulator.ssh_device import digest
from drivers.simulator.terminal import HungUp, Pager, Terminal
from drivers.simulator.words import NotACommand, table_of

if TYPE_CHECKING:
    from drivers.simulator.ios_cli import IosDevice

PAGER = Pager(" --More-- ", "\x08" * 10 + " " * 10 + "\x08" * 10)
ENABLE_TRIES = 3
_FOR_ANYBODY: Final = (
    *IN_USER_MODE,
    "enable",
    "exit",
    "logout",
    "quit",
    "terminal length",
    "terminal width",
    "show privilege",
)


class IosSession:
    """What a user at one VTY sees. `privileged` users land behind `#`, the others must say `enable`."""

    def __init__(self, device: IosDevice, terminal: Terminal, username: str) -> None:
        self.device = device
        self.terminal = terminal
        self.username = username
        self.privileged = device.enable_password is None and not device.faults.read_only
        self.rows = 24
        self.configure = ConfigureMode(self)
        self._left = False
        self._answered = False
        self._timestamps: bool | None = None
        self._commands: dict[str, Callable[[tuple[str, ...]], Awaitable[None]]] = {
            "enable": self._enable,
            "disable": self._disable,
            "exit": self._leave,
            "logout": self._leave,
            "quit": self._leave,
            "terminal length": self._length,
            "terminal width": self._accept_number,
            "terminal monitor": self._nothing,
            "terminal no monitor": self._nothing,
            "terminal monitor disable": self._nothing,
            "terminal exec prompt no-timestamp": self._no_timestamps,
            "show privilege": self._show_privilege,
            "configure terminal": self.configure.enter,
            "configure confirm": self._confirm,
            "configure revert now": self._revert_now,
            "configure replace": self._replace,
            "write memory": self._write,
            "write": self._write,
            "copy": self._copy,
            "delete": self._delete,
            "more": self._more,
            "verify": self._verify,
            "reload": self._reload,
            "send log": self._nothing,
            "ping": self._ping,
            "traceroute": self._traceroute,
            "clear counters": self._clear_counters,
        }
        self._table = table_of(*self._commands, *SHOWS)
        self._user_table = table_of(*_FOR_ANYBODY)

    async def run(self, command: str | None) -> int:
        """A shell until the user leaves, or the lines of one exec request."""
        if command is not None:
            self.rows, self.privileged = 0, True
            for line in command.replace("\r", "\n").split("\n"):
                await self.command(line)
            return 0
        await self._greet()
        broadcast = ""
        while not self._left:
            await self.terminal.write(self.prompt())
            await self.terminal.write(f"\n{broadcast}\n" if broadcast else "")
            await self.command(await self.terminal.read_line())
            broadcast = self.device.faults.broadcast
        return 0

    async def _greet(self) -> None:
        for kind in ("motd", "login", "exec"):
            for node in self.device.running.children:
                if node.text.startswith(f"banner {kind} "):
                    await self.terminal.write(node.text.partition("^C")[2].removesuffix("^C") + "\n")
        if self.device.faults.accept_banner:
            await self.terminal.write(f"{self.device.faults.accept_banner}\n(Press 'a' to accept):")
            while await self.terminal.read_key() not in "aA":
                pass
        await self.terminal.write("\n")

    # -- prompts and answers ------------------------------------------------------------------------------

    def prompt(self) -> str:
        if self.device.faults.prompt is not None:
            return self.device.faults.prompt
        name = self.device.current_hostname()
        if self.configure.active:
            return f"{name[:20]}({self.configure.mode_name()})#"
        return name + ("#" if self.privileged else ">")

    async def answer(self, text: str, *, is_show: bool = False) -> None:
        """Print an answer, with whatever the switches do to answers."""
        faults = self.device.faults
        self._answered = True
        await self.terminal.pause(faults.answer_delay_s)
        if is_show and faults.truncate_show_at is not None:
            text = text[: faults.truncate_show_at] + "\n"
        if faults.stray_line and text:
            first, _, rest = text.partition("\n")
            text = f"{first}\n{faults.stray_line}\n{rest}"
        if is_show and (faults.timestamps if self._timestamps is None else self._timestamps):
            load = "Load for five secs: 1%/0%; one minute: 1%; five minutes: 1%\n"
            text = f"{load}Time source is hardware calendar, *{long_time(self.device.now_ms())}\n\n{text}"
        await self.terminal.page(text, rows=self.rows, pager=PAGER)

    async def refuse(self, typed: str, answer: str, word: int | None, *, shown: str = "") -> None:
        """An error as IOS prints it: the caret under the word where it stopped understanding."""
        if word is None or answer != INVALID:
            await self.answer(f"{answer}\n\n" if answer.startswith("%") else f"{answer}\n")
            return
        words = typed.split()
        place = len(typed) - len(typed.lstrip()) + len(shown)
        for done in words[:word]:
            place = typed.index(done, max(0, place - len(shown))) + len(done) + 1 + len(shown)
        await self.answer(" " * (len(self.prompt()) + place) + f"^\n{INVALID}\n\n")

    async def ask(self, question: str) -> str:
        await self.terminal.write(question)
        return (await self.terminal.read_line()).strip()

    # -- one line -----------------------------------------------------------------------------------------

    async def command(self, typed: str) -> None:
        """Carry out one line in the mode the session is in, with the strikes that wait for it."""
        await self.device.strike(typed, "before", self.terminal)
        self._answered = False
        if self.configure.active:
            await self.configure.line(typed)
        else:
            await self.exec_line(typed)
        if not self._answered:
            # The prompt alone is the answer of a command that says nothing.
            await self.terminal.pause(self.device.faults.answer_delay_s)
        await self.device.strike(typed, "after", self.terminal)

    async def exec_line(self, typed: str) -> None:
        """Carry out an exec command; also for `do …`."""
        line, _, pipe = typed.rstrip("\x1a\x03").partition("|")
        words = self._without_alias(line.split())
        if not words or words[0].startswith("!"):
            return
        if any(line.strip().startswith(prefix) for prefix in self.device.faults.unauthorised):
            await self.answer("Command authorization failed.\n\n")
            return
        found = (self._table if self.privileged else self._user_table).recognise(words)
        if isinstance(found, NotACommand):
            if found.why == "ambiguous":
                await self.answer(f'% Ambiguous command:  "{line.strip()}"\n')
            else:
                await self.refuse(typed, INCOMPLETE if found.why == "incomplete" else INVALID, found.word)
            return
        show = SHOWS.get(found.name)
        if show is None:
            await self._commands[found.name](found.rest)
            return
        text = show(self.device, found.rest)
        await self.answer(piped(text, pipe) if pipe else text, is_show=True)

    def _without_alias(self, words: list[str]) -> list[str]:
        """The words with an `alias exec` of the configuration replaced."""
        for node in self.device.running.children:
            if words and node.text.startswith(f"alias exec {words[0]} "):
                return [*node.text.split()[3:], *words[1:]]
        return words

    # -- small commands -----------------------------------------------------------------------------------

    async def _nothing(self, _rest: tuple[str, ...]) -> None:
        return

    async def _ping(self, rest: tuple[str, ...]) -> None:
        await self.answer(ios_ping(rest))

    async def _traceroute(self, rest: tuple[str, ...]) -> None:
        await self.answer(ios_traceroute(rest))

    async def _clear_counters(self, _rest: tuple[str, ...]) -> None:
        if await self.ask('Clear "show interface" counters on all interfaces [confirm]') in ("", "y"):
            self.device.log.add("cleared", of="counters")

    async def _accept_number(self, rest: tuple[str, ...]) -> None:
        if not rest:
            await self.answer(f"{INCOMPLETE}\n\n")
        elif not (rest[0].isdigit() and int(rest[0]) <= 512):
            await self.answer(f"{INVALID}\n\n")

    async def _length(self, rest: tuple[str, ...]) -> None:
        await self._accept_number(rest)
        if rest and rest[0].isdigit() and int(rest[0]) <= 512:
            self.rows = int(rest[0])

    async def _no_timestamps(self, _rest: tuple[str, ...]) -> None:
        self._timestamps = False

    async def _show_privilege(self, _rest: tuple[str, ...]) -> None:
        await self.answer(f"Current privilege level is {15 if self.privileged else 1}\n")

    async def _enable(self, _rest: tuple[str, ...]) -> None:
        if self.privileged:
            return
        if self.device.faults.read_only:
            await self.answer("% Access denied\n\n")
            return
        if not self.device.faults.enable_prompt:
            self.privileged = True
            return
        for _ in range(ENABLE_TRIES):
            await self.terminal.write(self.device.faults.enable_prompt)
            if await self.terminal.read_line(echo=False) == self.device.enable_password:
                self.privileged = True
                return
        await self.answer("% Bad secrets\n\n")

    async def _disable(self, _rest: tuple[str, ...]) -> None:
        self.privileged = False

    async def _leave(self, _rest: tuple[str, ...]) -> None:
        self._left = True

    # -- guard, replace, save -----------------------------------------------------------------------------

    async def _confirm(self, _rest: tuple[str, ...]) -> None:
        if not self.device.confirm(self.username):
            await self.answer("%No Rollback Confirmed Change pending\n\n")

    async def _revert_now(self, _rest: tuple[str, ...]) -> None:
        timer = self.device.timer
        if timer is None:
            await self.answer("%No Rollback Confirmed Change pending\n\n")
            return
        self.device.revert("configure revert now")
        await self.answer(
            f"Rollback Confirmed Change: rolling to: {timer.backup_name}\nTotal number of passes: 1\nRollback Done\n\n"
        )

    async def _replace(self, rest: tuple[str, ...]) -> None:
        await replace_from_file(self, rest)

    async def _write(self, rest: tuple[str, ...]) -> None:
        if rest:
            await self.answer(f"{INVALID}\n\n")
            return
        if self.device.faults.save_question and await self.ask(self.device.faults.save_question) not in ("", "y"):
            return
        await self.answer("Building configuration...\n")
        await self.answer(self.device.save())

    async def _copy(self, rest: tuple[str, ...]) -> None:
        if len(rest) < 2:
            await self.answer(f"{INCOMPLETE}\n\n")
            return
        source, target = rest[0], rest[1]
        if "running-config".startswith(source.removeprefix("system:")) and "startup-config".startswith(target):
            await self.ask("Destination filename [startup-config]? ")
            await self._write(())
        elif target.partition(":")[1] and "running-config".startswith(source.removeprefix("system:")):
            name = target.partition(":")[2]
            typed = await self.ask(f"Destination filename [{name}]? ")
            text = render(self.device.running)
            self.device.flash[typed or name] = text
            await self.answer(f"{len(text)} bytes copied in 0.100 secs ({len(text) * 10} bytes/sec)\n")
        elif "running-config".startswith(target) and source.partition(":")[1]:
            await self.ask("Destination filename [running-config]? ")
            await self._merge(source)
        else:
            await self.answer(f"%Error opening {source} (No such file or directory)\n")

    async def _merge(self, source: str) -> None:
        """`copy flash:X running-config`: line by line, on past a refused line."""
        text = self.device.flash.get(source.partition(":")[2])
        if text is None:
            await self.answer(f"%Error opening {source} (No such file or directory)\n")
            return
        await self.configure.merge(text)
        await self.answer(f"{len(text)} bytes copied in 0.100 secs ({len(text) * 10} bytes/sec)\n")

    async def _delete(self, rest: tuple[str, ...]) -> None:
        names = [word.partition(":")[2] for word in rest if ":" in word]
        if not names or names[0] not in self.device.flash:
            await self.answer(f"%Error deleting {rest[-1] if rest else ''} (No such file or directory)\n")
            return
        if "/force" not in rest:
            await self.ask(f"Delete filename [{names[0]}]? ")
            if await self.ask(f"Delete flash:/{names[0]}? [confirm]") not in ("", "y"):
                return
        del self.device.flash[names[0]]

    async def _more(self, rest: tuple[str, ...]) -> None:
        text = self.device.flash.get(rest[0].partition(":")[2]) if rest else None
        if text is None:
            await self.answer(f"%Error opening {rest[0] if rest else ''} (No such file or directory)\n")
        else:
            await self.answer(text, is_show=True)

    async def _verify(self, rest: tuple[str, ...]) -> None:
        text = self.device.flash.get(rest[-1].partition(":")[2]) if rest else None
        if text is None:
            await self.answer(f"%Error verifying {rest[-1] if rest else ''} (No such file or directory)\n")
        else:
            await self.answer(f"Done!\nverify /md5 ({rest[-1]}) = {digest(text)[:32]}\n")

    async def _reload(self, _rest: tuple[str, ...]) -> None:
        if not self.device.is_saved():
            reply = await self.ask("\nSystem configuration has been modified. Save? [yes/no]: ")
            if reply.startswith("y"):
                await self._write(())
        if await self.ask("Proceed with reload? [confirm]") not in ("", "y"):
            return
        self.device.reload(f"reload by {self.username}")
        raise HungUp
