"""The far end of one SSH channel: echo, line discipline, pager, and the wire that faults cut."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import asyncssh

from drivers.simulator.faults import Faults

PIECE_BYTES = 65536
STUBBORN_ROWS = 12
"""Rows of a screen whose pager cannot be switched off."""
LINE_END = re.compile(r"\r\n|\r|\n")


class HungUp(Exception):
    """The channel is gone: the client left, or the device ended it."""


class Wire(Protocol):
    """What a terminal needs to know of the device behind it."""

    @property
    def faults(self) -> Faults: ...

    @property
    def pace(self) -> float: ...

    def is_reachable(self) -> bool:
        """False while the device's own configuration keeps the controller's packets away."""

    def allowance(self, direction: str, size: int) -> int:
        """How many of `size` bytes may pass; fewer than `size` means the wire is cut after them."""

    def passing(self, size: int) -> int:
        """How many of `size` bytes to the client may pass before the line falls silent."""


class Line(Protocol):
    """The connection under a channel, for faults that end it. Before it ends it calls `flush`."""

    flush: Callable[[], None]

    def abort(self) -> None: ...

    def fall_silent(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pager:
    """How a family stops a long answer: what it shows, and what wipes that from the screen."""

    mark: str
    wipe: str


class Terminal:
    """Text in and out of one channel; `pty` decides on echo, CR LF and paging."""

    def __init__(
        self,
        wire: Wire,
        process: asyncssh.SSHServerProcess[bytes],
        *,
        pty: bool,
        connection: Line,
        echo_end: str = "\r\n",
    ) -> None:
        self._wire = wire
        self._process = process
        self.pty = pty
        self._connection = connection
        self._echo_end = echo_end
        self._held = b""
        self._flushing: asyncio.Handle | None = None
        connection.flush = self.flush
        self._typed = ""
        self._input_is_cut = False
        self._skip_newline = False

    async def read_line(self, *, echo: bool = True, raw: bool = False) -> str:
        """The next line without its end. Ctrl-Z ends a line too, and stays as its last character.

        Echo happens when a line is taken, as on a device that works through type-ahead. `raw` leaves control
        characters alone (inside a banner). Raises HungUp at the end of input.
        """
        line = ""
        while True:
            taken = await self._take_until_end(raw)
            line += taken.text
            shown = ""
            if echo and self._wire.faults.echo != "none":
                shown = taken.text.replace("\x1a", "^Z").replace("\x03", "^C").replace("\x16", "")
                shown = shown.replace(" ", "  ") if self._wire.faults.echo == "spaced" else shown
            if self.pty:
                await self.write_raw(shown + self._echo_end if taken.ended else shown)
            if taken.ended:
                break
        return line if raw else _edited(line, helping=echo and self.pty)

    async def read_key(self) -> str:
        """One character, not echoed."""
        while not self._typed:
            await self._fill()
        key, self._typed = self._typed[0], self._typed[1:]
        self._skip_newline = key == "\r"
        return key

    async def write(self, text: str) -> None:
        """Send text; each line end becomes CR LF on a terminal."""
        await self.write_raw(text.replace("\n", self._wire.faults.line_end) if self.pty else text)

    async def write_raw(self, text: str) -> None:
        """Send text as it is. Raises HungUp when the wire is cut in it."""
        octets = text.encode("utf-8", "surrogateescape")
        if self._wire.faults.odd_octets:
            octets = octets.replace(b"\n", b"\n\x00")
        if not octets or not self._wire.is_reachable():
            return
        passing = self._wire.passing(len(octets))
        allowed = min(passing, self._wire.allowance("output", len(octets)))
        size = self._wire.faults.output_chunk_bytes or len(octets)
        try:
            for start in range(0, allowed, size):
                self._held += octets[start : min(start + size, allowed)]
                if size < len(octets):
                    self.flush()
                    await asyncio.sleep(0)
            if len(self._held) > PIECE_BYTES:
                self.flush()
            elif self._held and self._flushing is None:
                self._flushing = asyncio.get_running_loop().call_soon(self.flush)
            await self._process.stdout.drain()
        except (OSError, asyncssh.Error) as error:
            raise HungUp from error
        if passing < len(octets):
            await self.fall_silent()
        if allowed < len(octets):
            self.cut()

    def flush(self) -> None:
        """Send what was written since the device last waited for anything: an answer and the prompt after it travel
        together, as from a device that is not slowed down by its console."""
        held, self._held = self._held, b""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if held:
            with contextlib.suppress(OSError, asyncssh.Error):  # the next reading or waiting finds out
                self._process.stdout.write(held)

    async def greet_oddly(self) -> None:
        """A line that is no UTF-8, where the switch for it is on."""
        if self._wire.faults.odd_octets:
            self.flush()
            self._process.stdout.write(b"\x00\xff\xfeWillkommen in Z\xfcrich\x00\r\n")

    async def page(self, text: str, *, rows: int, pager: Pager) -> None:
        """Send a long answer; on a terminal with `rows` > 0 it stops after each screen for a key.

        Space shows the next screen, Enter one more line, `q` ends the answer.
        """
        if not self.pty or (rows <= 0 and not self._wire.faults.stubborn_pager):
            await self.write(text)
            return
        lines = text.splitlines(keepends=True)
        rows = rows if rows > 0 else STUBBORN_ROWS
        room = rows - 1
        for number, line in enumerate(lines):
            if room <= 0:
                await self.write_raw(pager.mark)
                key = await self.read_key()
                await self.write_raw(pager.wipe)
                if key in "qQ\x03":
                    return
                room = 1 if key in "\r\n" and number < len(lines) else rows - 1
            await self.write(line)
            room -= 1

    def cut(self) -> NoReturn:
        """Abort the connection under this channel."""
        self.flush()
        self._connection.abort()
        raise HungUp

    async def fall_silent(self) -> NoReturn:
        """Let nothing pass any more, and wait until somebody gives the connection up."""
        self.flush()
        self._connection.fall_silent()
        while await self._process.stdin.read(4096):
            pass
        raise HungUp

    async def break_off(self, how: str) -> NoReturn:
        """End what passes here in the way that a strike has."""
        if how == "silence":
            await self.fall_silent()
        self.cut()

    async def pause(self, seconds: float) -> None:
        """Wait as the device would, divided by the pace."""
        if seconds > 0:
            await asyncio.sleep(seconds / self._wire.pace)

    async def _take_until_end(self, raw: bool) -> _Taken:
        while not self._typed:
            await self._fill()
        if self._skip_newline:
            self._skip_newline = False
            if self._typed[0] == "\n":
                self._typed = self._typed[1:]
                return _Taken("", ended=False)
        end = LINE_END.search(self._typed)
        stop = len(self._typed) if end is None else end.start()
        for key in "" if raw else "\x1a\x03":
            place = self._typed.find(key, 0, stop)
            if place >= 0:
                text, self._typed = self._typed[: place + 1], self._typed[place + 1 :]
                return _Taken(text, ended=True)
        text = self._typed[:stop]
        self._typed = self._typed[stop if end is None else end.end() :]
        self._skip_newline = end is not None and end.group() == "\r" and not self._typed
        return _Taken(text, ended=end is not None)

    async def _fill(self) -> None:
        if self._input_is_cut:
            self.cut()
        try:
            octets = await self._process.stdin.read(4096)
        except (asyncssh.TerminalSizeChanged, asyncssh.SignalReceived, asyncssh.BreakReceived):
            return
        except (OSError, asyncssh.Error) as error:
            raise HungUp from error
        if not octets:
            raise HungUp
        if not self._wire.is_reachable():
            return
        allowed = self._wire.allowance("input", len(octets))
        self._input_is_cut = allowed < len(octets)
        self._typed += octets[:allowed].decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class _Taken:
    text: str
    ended: bool


def _edited(line: str, *, helping: bool) -> str:
    """The line after its erase (DEL, BS) and kill (Ctrl-U) characters have done their work.

    On a terminal that helps, `?` and TAB are no text: they ask for help and complete a word, unless Ctrl-V stands
    before them. (What they print is not shown here.)
    """
    if not any(key in line for key in "\x7f\x08\x15\x00\x16?\t"):
        return line
    kept: list[str] = []
    literal = False
    for character in line:
        if literal:
            kept.append(character)
            literal = False
        elif character == "\x16":
            literal = True
        elif helping and character in "?\t":
            continue
        elif character in "\x7f\x08":
            del kept[-1:]
        elif character == "\x15":
            kept.clear()
        elif character != "\x00":
            kept.append(character)
    return "".join(kept)
