"""Recognising a command by its abbreviated words, as a router's parser does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True, slots=True)
class Command:
    """A command in full, and the words that were typed after it."""

    name: str
    rest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotACommand:
    """Why words are no command: `invalid`, `incomplete` or `ambiguous`, at which word."""

    why: str
    word: int


@dataclass(slots=True)
class _Branch:
    below: dict[str, _Branch] = field(default_factory=dict)
    ends_here: bool = False


class CommandTable:
    """Commands in full, such as `show version`; words may be shortened as far as they stay unique."""

    def __init__(self, commands: Iterable[str]) -> None:
        self._root = _Branch()
        for command in commands:
            branch = self._root
            for word in command.split():
                branch = branch.below.setdefault(word, _Branch())
            branch.ends_here = True

    def recognise(self, words: list[str]) -> Command | NotACommand:
        """The longest command that these words begin with; the words after it come back untouched."""
        branch, full = self._root, list[str]()
        for place, word in enumerate(words):
            fits = [word] if word in branch.below else [k for k in branch.below if k.startswith(word.lower())]
            if not fits:
                if branch.ends_here:
                    return Command(" ".join(full), tuple(words[place:]))
                return NotACommand("invalid", place)
            if len(fits) > 1:
                return NotACommand("ambiguous", place)
            full.append(fits[0])
            branch = branch.below[fits[0]]
        if branch.ends_here:
            return Command(" ".join(full), ())
        return NotACommand("incomplete", len(words))


@cache
def table_of(*commands: str) -> CommandTable:
    """The table of these commands: all sessions of all devices share it."""
    return CommandTable(commands)
