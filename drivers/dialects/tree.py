"""What every dialect parses into: statements with statements below them. Plain values, comparable with `==`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from inventory.errors import ConfigSyntax

MAX_DEPTH: Final = 64
"""Deepest nesting that any parser accepts; real configurations stay below ten."""

_LINE_END: Final = re.compile(r"\r*\n|\r")
_HALF: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node:
    """One statement, without indentation; `children` stand below it.

    `text` is one line, except where the language has text over several lines (banner, certificate, quoted value):
    then it holds them joined by LF, all but the first exactly as they stood.
    """

    text: str
    children: tuple[Node, ...] = ()

    def count(self) -> int:
        """Number of statements from here down, this one included."""
        return sum(1 for _ in self.walk())

    def walk(self) -> Iterator[Node]:
        """This statement and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole configuration or a fragment of one."""

    nodes: tuple[Node, ...] = ()
    _made: dict[object, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def count(self) -> int:
        """Number of statements."""
        return sum(node.count() for node in self.nodes)

    def once(self, make: Callable[[Tree], T]) -> T:
        """What `make` makes of this tree, made at the first call and the same object ever after: do not change it.

        A plan compares, changes, proves and judges the same two trees; each of these begins with the same reading.
        """
        if make not in self._made:
            self._made[make] = make(self)
        return cast(T, self._made[make])

    def knowing(self, make: Callable[[Tree], T], made: T) -> Tree:
        """This tree, for which `make` need not be called: `made` is what it would make, or equal to it."""
        self._made[make] = made
        return self


@dataclass(slots=True)
class Growing:
    """A statement whose children are still being read."""

    text: str
    children: list[Growing] = field(default_factory=list)

    def freeze(self) -> Node:
        """The value it has become."""
        return Node(self.text, tuple(child.freeze() for child in self.children))


def config_lines(text: str) -> list[str]:
    """As `text_lines`. Raises ConfigSyntax for an octet of nought, which no configuration has, and for a surrogate that
    stands for no octet, which cannot be sent."""
    lines = text_lines(text)
    for at, line in enumerate(lines if not text.isascii() and _HALF.search(text) else (), start=1):
        half = _HALF.search(line)
        if half:
            raise ConfigSyntax("half of a character, which no octets stand for", line=at, column=half.start() + 1)
    if "\0" in text:
        at = next(at for at, one in enumerate(lines) if "\0" in one)
        raise ConfigSyntax(
            "an octet of nought, which no configuration has", line=at + 1, column=lines[at].index("\0") + 1
        )
    return lines


def text_lines(text: str) -> list[str]:
    """Lines of `text` without their ends (LF, CR LF, several CR before LF, CR alone) and without byte order marks.

    Form feeds, NEL and the Unicode separators do not end a line on any of our devices, so they do not here.
    """
    lines = _LINE_END.split(text.replace("\ufeff", ""))
    if lines and lines[-1] == "":
        lines.pop()
    return lines
