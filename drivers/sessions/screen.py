"""What a device has printed since we last spoke, as a person at the terminal would read it. Pure: no I/O."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final, Literal

from drivers.driver import Question, Shell

TAIL: Final = 4096
"""Characters of the end that are looked at for a prompt; a prompt line is far shorter."""
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78ME]|[()][A-Z0-9])")
_LINE_END: Final = re.compile(r"\r*\n")
_BLANKS: Final = re.compile(r"\s+")

Kind = Literal["nothing", "prompt", "doubtful prompt", "pager", "question", "unknown question"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the output ends at this moment. `line` is the last one, or the prompt that stands above noise."""

    kind: Kind
    line: str = ""
    question: Question | None = None


_NOTHING: Final = Ending("nothing")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt taken apart. `host` may be cut by the device (IOS: 20 characters in configuration mode)."""

    host: str
    mode: str
    end: str

    @classmethod
    def read(cls, shell: Shell, line: str) -> Prompt | None:
        """The prompt that a whole line is, or None."""
        found = shell.prompt.fullmatch(line)
        if found is None:
            return None
        return cls(found["host"], found.groupdict().get("mode") or "", found["end"])

    def is_same_device(self, other: Prompt) -> bool:
        """Whether both belong to one host name, however the device cuts it."""
        shorter, longer = sorted((self.host, other.host), key=len)
        return shorter == longer or (len(shorter) >= 16 and longer.startswith(shorter.rstrip("~")))


def plain(text: str) -> str:
    """Text as it stands on a terminal when ANSI sequences, carriage returns and backspaces have acted; LF line ends."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = text.replace("\x00", "").replace("\r\n", "\n")
    if "\r\n" in text:
        text = _LINE_END.sub("\n", text)
    if "\r" not in text and "\x08" not in text:
        return text
    return "\n".join(_overwritten(line) if "\r" in line or "\x08" in line else line for line in text.split("\n"))


def _overwritten(line: str) -> str:
    cells: list[str] = []
    column = 0
    for character in line:
        if character == "\r":
            column = 0
        elif character == "\x08":
            column = max(0, column - 1)
        else:
            cells[column : column + 1] = [character]
            column += 1
    return "".join(cells).rstrip()


def squeezed(text: str) -> str:
    """Text without any blank, for comparing an echo that the device has wrapped or re-spaced."""
    return _BLANKS.sub("", text)


class Screen:
    """Collects octets since the last line was sent and says how they end.

    Decoding is UTF-8 with replacement characters, also over the borders of pieces; the result does not depend on
    how the output was cut into pieces.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces: list[str] = []
        self._head = ""
        self._tail = ""
        self._typed = ""
        self._before: tuple[str, ...] = ()
        self._sure: tuple[Prompt, Ending] | None = None
        """The prompt that was last beyond doubt, and for whom: most lines end in the same one as the line before."""
        self._echoed = True
        self._asking = True
        self.octets = 0
        """Octets received since the last `expect`."""

    def expect(self, echo: str, *, asking: bool = True, before: tuple[str, ...] = ()) -> None:
        """Forget what was shown; the next output begins with the echo of `echo` (may be empty), which follows those of
        the lines `before`.

        With `asking` False nothing is taken for a question: what a reading shows may look like one.
        """
        self._asking = asking
        self._pieces.clear()
        self._head = self._tail = ""
        self._typed = echo
        self._before = before
        self._echoed = not echo.strip()
        self.octets = 0

    def feed(self, octets: bytes) -> None:
        """Add what the device sent."""
        self.octets += len(octets)
        text = self._decoder.decode(octets)
        self._pieces.append(text)
        self._tail = (self._tail + text)[-TAIL:]
        if not self._echoed:
            self._head += text
            as_typed = self._typed in self._head and "\x1b" not in self._head and "\x08" not in self._head
            self._echoed = as_typed or squeezed(self._typed) in squeezed(plain(self._head))
            if len(self._head) > TAIL + 2 * len(self._typed):
                self._echoed = True  # far too much for an echo: this device rewrites it

    def ending(self, learned: Prompt | None) -> Ending:
        """How the output ends now; `learned` is the prompt of this device, None before login has shown it."""
        if not self._tail:
            return _NOTHING
        last = self._last_line()
        if self._sure is not None and self._echoed and self._sure[0] is learned and self._sure[1].line == last:
            return self._sure[1]
        if self._shell.pager.search(last):
            return Ending("pager", last)
        prompt = Prompt.read(self._shell, last)
        if prompt is not None:
            # A bare `#` may be the beginning of a line of output; with a host name before it, it is not.
            sure = self._echoed and learned is not None and bool(prompt.host) and prompt.is_same_device(learned)
            ending = Ending("prompt" if sure else "doubtful prompt", last)
            if sure and learned is not None:
                self._sure = learned, ending
            return ending
        if self._asking:
            question = self._shell.answer(last)
            if question is not None:
                return Ending("question", last, question)
            if self._shell.any_question is not None and self._shell.any_question.search(last):
                return Ending("unknown question", last)
        hidden = self._prompt_under_noise(learned)
        return Ending("doubtful prompt", hidden) if hidden is not None else Ending("nothing", last)

    def _last_line(self) -> str:
        """The last line as a terminal shows it; most end in plain letters, and the rest need not be looked at."""
        last = self._tail.rpartition("\n")[2]
        return last if last.isprintable() and "\x1b" not in self._tail else plain(self._tail).rpartition("\n")[2]

    def _prompt_under_noise(self, learned: Prompt | None) -> str | None:
        """A prompt that is followed by nothing but log messages: the device does not print it again.

        Of another host than `learned` only at the beginning, and where the line that was typed gives a new name.
        """
        if self._shell.noise is None or not self._echoed or not self._may_hide_one():
            return None
        anyone = learned is None or (self._shell.renames is not None and self._shell.renames.match(self._typed))
        for line in reversed(plain(self._tail).split("\n")):
            prompt = Prompt.read(self._shell, line)
            if prompt is not None:
                return line if anyone or (learned is not None and prompt.is_same_device(learned)) else None
            if line.strip() and not self._shell.noise.search(line):
                return None
        return None

    def _may_hide_one(self) -> bool:
        """Whether the last line with anything in it is noise, or can only be judged as a terminal shows it."""
        last = self._tail.rstrip().rpartition("\n")[2]
        assert self._shell.noise is not None
        plainly = last.isprintable() and "\x1b" not in self._tail
        return not plainly or self._shell.noise.search(last) is not None or Prompt.read(self._shell, last) is not None

    def drop_pager(self) -> None:
        """Take the pager's mark off the end of the output, after it was answered."""
        found = self._shell.pager.search(self._tail.rpartition("\n")[2])
        surplus = len(self._tail.rpartition("\n")[2]) - (found.start() if found else 0)
        while surplus and self._pieces:
            piece = self._pieces.pop()
            kept = piece[: max(0, len(piece) - surplus)]
            surplus -= len(piece) - len(kept)
            if kept:
                self._pieces.append(kept)
        self._tail = ""

    def drop_tail(self) -> None:
        """Let the present last line no longer count as an ending, after a question was answered."""
        self._tail = ""

    def last_words(self) -> str:
        """At most the last 200 characters shown."""
        return plain("".join(self._pieces[-64:]))[-200:].strip()

    def shown(self) -> str:
        """Everything since `expect`."""
        return plain("".join(self._pieces))

    def output(self, prompt_line: str) -> str:
        """Everything since `expect` without echo and without the prompt line at the end."""
        text = self.shown()
        at = text.rfind(prompt_line) if prompt_line else -1
        if at >= 0:
            tail = text[at + len(prompt_line) :].strip("\n")
            text = text[:at] + tail
        return self._without_echo(text).strip("\n")

    def _without_echo(self, text: str) -> str:
        if self._typed and text.startswith(f"{self._typed}\n"):
            return text[len(self._typed) + 1 :]
        for line in self._before:
            text = self._behind(text, squeezed(line)) or text
        echo = squeezed(self._typed)
        if not echo:
            return text
        behind = self._behind(text, echo)
        if behind is not None:
            return behind
        return "" if squeezed(text).endswith(echo) else text

    def _behind(self, text: str, echo: str) -> str | None:
        """What follows the first line that ends with an echo, however it was wrapped; None where there is none."""
        end = -1
        while 0 <= (end := text.find("\n", end + 1)) <= TAIL + 2 * len(self._typed):
            if squeezed(text[:end]).endswith(echo):
                return text[end + 1 :]
        return None
