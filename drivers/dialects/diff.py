"""What differs between two configurations, for people: secrets are masked, whoever reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from drivers.dialects import Dialect, Node, Tree


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: `+` comes, `-` goes, blank is a section that holds a difference. `text` is indented by its depth."""

    sign: Literal["+", "-", " "]
    text: str


def digest(dialect: Dialect, text: str) -> str:
    """SHA-256 of the canonical form: equal for texts that a device would show alike. Raises ConfigSyntax."""
    form = dialect.render(dialect.canonical(dialect.parse(text)))
    return hashlib.sha256(form.encode("utf-8", "surrogateescape")).hexdigest()


def equal(dialect: Dialect, one: str, other: str) -> bool:
    """Whether two texts have the same canonical form. Raises ConfigSyntax."""
    return dialect.canonical(dialect.parse(one)) == dialect.canonical(dialect.parse(other))


def lines(dialect: Dialect, old: Tree, new: Tree) -> tuple[DiffLine, ...]:
    """The lines that go and come, each below the sections that it stands in; empty if the trees are equal."""
    return tuple(DiffLine(line.sign, dialect.redact(line.text)) for line in _nodes(old.nodes, new.nodes, 0))


def difference(dialect: Dialect, old: Tree, new: Tree) -> str:
    """`lines` as a text, a sign before each."""
    return "\n".join(f"{line.sign}{line.text}" for line in lines(dialect, old, new))


def _nodes(old: tuple[Node, ...], new: tuple[Node, ...], depth: int) -> Iterator[DiffLine]:
    matcher = SequenceMatcher(None, [node.text for node in old], [node.text for node in new], autojunk=False)
    for verb, i1, i2, j1, j2 in matcher.get_opcodes():
        if verb == "equal":
            for before, after in zip(old[i1:i2], new[j1:j2], strict=True):
                below = list(_nodes(before.children, after.children, depth + 1))
                if below:
                    yield DiffLine(" ", _indented(after.text, depth))
                    yield from below
        else:
            for node in old[i1:i2]:
                yield from _whole("-", node, depth)
            for node in new[j1:j2]:
                yield from _whole("+", node, depth)


def _whole(sign: Literal["+", "-"], node: Node, depth: int) -> Iterator[DiffLine]:
    yield DiffLine(sign, _indented(node.text, depth))
    for child in node.children:
        yield from _whole(sign, child, depth + 1)


def _indented(text: str, depth: int) -> str:
    return "  " * depth + text
