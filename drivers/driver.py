"""What a family is, as data: how its shell looks, what it asks, how it says no (devices-ios-fortios §A, B)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from drivers.cutoff import Judge
    from drivers.device import CommandLineDevice
    from drivers.operating import LineOperations

Family = str
"""Name of a family; ours are `ios`, `fortios`, `seil` and `recipe`, an outside driver brings its own."""
Carrier = Literal["scrapli", "asyncssh", "exec", "arms"]
"""`exec`: commands without a terminal where the device answers them machine-readably, else a shell over asyncssh."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something a device may ask in the last line of its output, and what we answer.

    `asks` is searched in the last line; `enter` says whether Enter follows the answer.
    """

    asks: re.Pattern[str]
    answer: str
    enter: bool = True


@dataclass(frozen=True, slots=True)
class Enable:
    """How a user shell becomes a privileged one."""

    command: str
    asks: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Text:
    """A line after which the device takes free text and shows no prompt until the end mark.

    `opens` has the group `mark`, or `end` fixes the mark for all.
    """

    opens: re.Pattern[str]
    end: str | None = None

    def open_mark(self, line: str) -> str | None:
        """The end mark that is still awaited after `line`; None if the line is complete by itself."""
        found = self.opens.match(line)
        if found is None:
            return None
        if self.end is not None:
            return self.end
        mark, rest = found["mark"], line[found.end("mark") :]
        return None if mark in rest else mark


@dataclass(frozen=True, slots=True)
class Shell:
    """Expectations of a command line. All patterns are data: another release is another value, not other code."""

    prompt: re.Pattern[str]
    """Matches the whole last line; groups `host`, `mode` (may be absent) and `end` (the closing character)."""
    privileged: str
    """Closing character of a prompt that may write."""
    pager: re.Pattern[str]
    reads: re.Pattern[str]
    """Commands that change nothing; losing one is a truncated reading, losing any other an unknown outcome."""
    on_open: tuple[str, ...] = ()
    """Sent once after login; a refusal is noted in the transcript and otherwise ignored."""
    failure: tuple[re.Pattern[str], ...] = ()
    """A line of an answer that matches one of these refuses the line sent."""
    allowed: tuple[re.Pattern[str], ...] = ()
    """Exceptions to `failure`."""
    noise: re.Pattern[str] | None = None
    """Lines that may appear at any time, such as log messages."""
    questions: tuple[Question, ...] = ()
    any_question: re.Pattern[str] | None = None
    refusal: str = "no"
    greeting: tuple[Question, ...] = ()
    """Asked once between login and the first prompt."""
    user_asked: re.Pattern[str] | None = None
    password_asked: re.Pattern[str] | None = None
    enable: Enable | None = None
    onboarding: re.Pattern[str] | None = None
    busy: re.Pattern[str] | None = None
    texts: tuple[Text, ...] = ()
    quoted: bool = False
    """Whether a line with an open quotation mark goes on in the next line (FortiOS)."""
    renames: re.Pattern[str] | None = None
    """Lines after which the prompt shows another host name."""
    literal: str = ""
    """Key after which the terminal takes `?` and TAB for text, where they ask for help or complete a word."""
    leave: tuple[str, ...] = ("exit",)
    telnet_line_end: str = "\r\n"
    """What ends a line over telnet."""

    def refused(self, said: str) -> str | None:
        """First line of an answer that is a refusal; None if there is none."""
        for line in said.splitlines():
            text = line.strip()
            if any(mark.search(text) for mark in self.allowed):
                continue
            if self.noise is not None and self.noise.search(text):
                continue
            if any(mark.search(text) for mark in self.failure):
                return text
        return None

    def is_read(self, command: str) -> bool:
        """Whether losing the connection during `command` leaves the device as it was."""
        return self.reads.match(command) is not None

    def answer(self, last_line: str) -> Question | None:
        """The known question in a last line, if any."""
        return next((q for q in self.questions if q.asks.search(last_line)), None)

    def open_mark(self, line: str) -> str | None:
        """End mark of the free text that `line` begins; None for ordinary lines."""
        for text in self.texts:
            mark = text.open_mark(line)
            if mark is not None:
                return mark
        return None


@dataclass(frozen=True, slots=True)
class Completeness:
    """When a reading counts: first content line, end mark, and the least share of the announced length."""

    begins: re.Pattern[str]
    end: str
    announced: re.Pattern[str] | None = None
    least_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Driver:
    """One family. `dialect` names one of `drivers.dialects`; `modules` are the ARMS modules that are always sent."""

    family: Family
    title: str
    dialect: str
    carrier: Carrier
    shell: Shell | None = None
    reading: Completeness | None = None
    modules: tuple[int, ...] = (0,)
    identity_commands: tuple[str, ...] = ()
    judge: Judge | None = None
    """The model of what carries our own management session; ours stand in `drivers.cutoff.FAMILIES`."""
    cuts_off: tuple[re.Pattern[str], ...] = ()
    """Paths of statements that carry that session, for a family without a model."""
    irreversible: tuple[tuple[re.Pattern[str], str], ...] = ()
    """Lines that the family's guard cannot take back, with the reason (devices-ios-fortios §A.3.3)."""
    kept: tuple[tuple[str, str], ...] = ()
    """Sections at the top of which a plan neither makes nor removes an entry, with what such an entry is."""
    operations: LineOperations | None = None
    """What can be asked on its command line besides a push; None for a family that describes nothing."""
    device: type[CommandLineDevice] | None = None
    """What an outside driver makes of an endpoint; ours stand in `drivers.devices`."""

    @property
    def command_line(self) -> Shell:
        """The shell of a family that has one; a family without one is never given to a session."""
        if self.shell is None:
            raise ValueError(f"family {self.family} has no command line")
        return self.shell
