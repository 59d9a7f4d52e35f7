"""Configuration mode of a simulated IOS device, and `configure replace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.simulator.ios_edit import INCOMPLETE, INVALID, Done, Refused, carry_out, remove
from drivers.simulator.ios_grammar import GLOBAL, mode_of
from drivers.simulator.ios_tree import BANNER, IosNode, Path, banner_mark, differences, is_whole, parse
from drivers.simulator.ssh_device import digest
from inventory.errors import ConfigSyntax

if TYPE_CHECKING:
    from drivers.simulator.ios_session import IosSession

EXITS = frozenset({"exit-address-family", "exit-af-interface", "exit-af-topology", "exit-peer-policy"})
MINUTES = range(1, 121)
ARCHIVE_OFF = "%Please turn config archive on before using this feature\n\n"


class ConfigureMode:
    """Where one session stands in the configuration, and what each line it sends does."""

    def __init__(self, session: IosSession) -> None:
        self._session = session
        self._device = session.device
        self.active = False
        self.comment = ""
        """The last `!` comment of this visit: pushes say in it who they are."""
        self._path: Path = ()
        self._before = ""

    def mode_name(self) -> str:
        name = mode_of(self._path).prompt
        if name == "config-if" and "." in self._path[-1]:
            return "config-subif"
        if name == "config-ext-nacl" and " standard " in self._path[-1]:
            return "config-std-nacl"
        return name

    async def enter(self, rest: tuple[str, ...]) -> None:
        """`configure terminal`, with `revert timer N` when that follows."""
        session, device = self._session, self._device
        holder = device.lock_seen() or device.lock_holder
        if holder:
            await session.answer(
                f"Configuration mode locked exclusively by user '{holder}' process '87' from terminal '2'. "
                "Please try later.\n"
            )
            return
        if rest and not await self._arm(rest):
            return
        await session.answer("Enter configuration commands, one per line.  End with CNTL/Z.\n")
        self.active, self._path, self.comment = True, (), ""
        self._before = digest(device.running_text())

    async def _arm(self, rest: tuple[str, ...]) -> bool:
        session = self._session
        if len(rest) != 3 or not ("revert".startswith(rest[0]) and "timer".startswith(rest[1])):
            await session.answer(f"{INCOMPLETE if len(rest) < 3 else INVALID}\n\n")
            return False
        return await arm(session, rest[2])

    async def line(self, typed: str) -> None:
        """One line typed in configuration mode."""
        if typed.endswith("\x03"):
            self._leave()
            return
        text = typed.removesuffix("\x1a").strip()
        if text:
            await self._carry_out(typed.removesuffix("\x1a"), text)
        if typed.endswith("\x1a"):
            self._leave()

    async def merge(self, text: str) -> None:
        """The lines of a file, as if typed; comments and `end` do not end anything."""
        self._path, self._before = (), digest(self._device.running_text())
        lines = text.split("\n")
        for line in lines:
            stripped = line.strip()
            if stripped and not stripped.startswith("!") and stripped != "end":
                await self._carry_out(stripped, stripped, queue=lines)
        self._leave()

    async def _carry_out(self, typed: str, text: str, queue: list[str] | None = None) -> None:
        session = self._session
        if text.startswith("!"):
            self.comment = text[1:].strip() or self.comment
            return
        word = text.split(maxsplit=1)[0]
        if word == "end":
            self._leave()
        elif word in ("exit", "quit"):
            if not self._path:
                self._leave()
            self._path = self._path[:-1]
        elif word in EXITS and self._path:
            self._path = self._path[:-1]
        elif word == "do":
            await session.exec_line(text.partition(" ")[2])
        elif any(text.startswith(prefix) for prefix in session.device.faults.unauthorised):
            await self._reject(typed, text, "Command authorization failed.", None)
        elif text in session.device.faults.reject_lines:
            await self._reject(typed, text, INVALID, 0)
        elif text in session.device.faults.swallow_lines:
            return
        elif text == session.device.faults.question_at and await session.ask(session.device.faults.question) != "yes":
            self._device.log.add("rejected", line=text, answer="", comment=self.comment)
        else:
            await self._configure(typed, await self._whole_banner(text))

    async def _whole_banner(self, text: str) -> str:
        """A banner goes on over the following lines until its mark."""
        banner = BANNER.match(text)
        if not banner:
            return text
        kind, mark = " ".join(text.split()[:2]), banner_mark(banner["rest"])
        body = banner["rest"][len(mark) :]
        if mark not in body:
            await self._session.terminal.write(f"Enter TEXT message.  End with the character '{mark}'.\n")
        while mark not in body:
            body += "\n" + await self._session.terminal.read_line(raw=True)
        return f"{kind} ^C{body[: body.index(mark)]}^C"

    async def _configure(self, typed: str, text: str) -> None:
        device, session = self._device, self._session
        try:
            if text.startswith("banner ") and "\n" in text:
                remove(device.running, GLOBAL, " ".join(text.split()[:2]))
                done = _set_banner(device.running, text)
            else:
                done = carry_out(device.running, self._path, text)
        except Refused as refusal:
            await self._reject(typed, text, refusal.answer, refusal.word)
            return
        if done.question:
            if await session.ask(done.question) not in ("", "y"):
                return
            remove(device.running, GLOBAL, done.line.removeprefix("no "))
        self._path = done.path
        device.touched(session.username)
        where = done.path[:-1] if done.path and done.path[-1] == done.line else done.path
        device.log.add("line", line=done.line, context=" / ".join(where), comment=self.comment, user=session.username)

    async def _reject(self, typed: str, text: str, answer: str, word: int | None) -> None:
        self._device.log.add("rejected", line=text, answer=answer, comment=self.comment)
        await self._session.refuse(typed, answer, word)

    def _leave(self) -> None:
        self.active, self._path = False, ()
        after = digest(self._device.running_text())
        if after != self._before:
            self._device.say("SYS-5-CONFIG_I", f"Configured from console by {self._session.username} on vty0")
            self._device.log.add("commit", before=self._before, running=after, comment=self.comment)


def _set_banner(root: IosNode, text: str) -> Done:
    place = next((n for n, node in enumerate(root.children) if node.text.startswith("line ")), len(root.children))
    root.children.insert(place, IosNode(text))
    return Done((), text)


async def arm(session: IosSession, minutes: str) -> bool:
    """Start the revert timer, or say why not."""
    device = session.device
    if device.archive_path() is None:
        await session.answer(ARCHIVE_OFF)
        return False
    if not minutes.isdigit() or int(minutes) not in MINUTES:
        await session.answer(f"{INVALID}\n\n")
        return False
    if device.timer is not None or device.faults.timer_of:
        await session.answer("%Rollback Confirmed Change already pending; confirm or revert it first\n\n")
        return False
    if device.faults.flash_full:
        await session.answer(f"%Error writing {device.archive_path()} (No space left on device)\n\n")
        return False
    name = device.arm(int(minutes), session.username)
    await session.answer(f"Rollback Confirmed Change: Backing up current running config to {name}\n\n")
    return True


async def replace_from_file(session: IosSession, rest: tuple[str, ...]) -> None:
    """`configure replace URL [list] [force] [revert trigger error] [timer N | time N]`."""
    device = session.device
    if not rest:
        await session.answer(f"{INCOMPLETE}\n\n")
        return
    name, words = rest[0], list(rest[1:])
    text = device.flash.get(name.partition(":")[2])
    if text is None:
        await session.answer(f"%Error opening {name} (No such file or directory)\n\n")
        return
    if not is_whole(text):
        await session.answer(f"%The input file is not a valid config file.\n{name}: not a valid config file\n\n")
        return
    try:
        wanted = parse(text)
    except ConfigSyntax as error:
        await session.answer(f"The input file is not a valid config file.\n{error.message}\n\n")
        return
    minutes = next((words[n + 1] for n, word in enumerate(words[:-1]) if word in ("timer", "time")), None)
    if minutes is not None and not await arm(session, minutes):
        return
    if "force" not in words and not (await session.ask(_SURE)).lower().startswith("y"):
        return
    if "list" in words:
        listed = differences(device.running, wanted)
        await session.answer("!List of Rollback Commands:\n" + "".join(f"{line[1:]}\n" for line in listed) + "end\n\n")
    await session.answer(_replace(session, wanted, revert_on_error="error" in words))


_SURE = (
    "This will apply all necessary additions and deletions to replace the running configuration with that "
    "file, which is assumed to be complete.\nEnter Y if you are sure you want to proceed. ? [no]: "
)


def _replace(session: IosSession, wanted: IosNode, *, revert_on_error: bool) -> str:
    device = session.device
    before = device.running.copy()
    bad = refused_lines(wanted, before)
    kind = device.faults.replace
    if kind == "ok" and not bad:
        device.replace_running(wanted, session.username)
        return "Total number of passes: 1\nRollback Done\n\n"
    part = wanted.copy()
    if kind != "ok":
        part.children = part.children[: len(part.children) // 2] + before.children[len(before.children) // 2 :]
    else:
        part.children = [node for node in part.children if node.text not in bad]
    device.replace_running(part, session.username)
    failed = "".join(f"{line}\n" for line in bad)
    said = f"The following commands are failed to apply to the IOS image.\n********\n{failed}********\n"
    said += "Rollback aborted after 5 passes\n"
    if not revert_on_error:
        return said + "\n"
    if kind == "partial-no-way-back":
        return said + "Rollback failed.\n\n"
    if device.timer is not None:
        device.revert("configure replace met an error")
    else:
        device.replace_running(before, session.username)
    return said + "The original configuration has been successfully restored.\n\n"


def refused_lines(wanted: IosNode, running: IosNode) -> list[str]:
    """Top-level lines of a file that the parser would not take."""
    bad, trial = [], running.copy()
    for node in wanted.children:
        if node.text.startswith("banner ") or "\n" in node.text:
            continue
        try:
            carry_out(trial, (), node.text)
        except Refused as refusal:
            if not refusal.answer.startswith(("% Removal", "% Duplicate")) and running.child(node.text) is None:
                bad.append(node.text)
    return bad
