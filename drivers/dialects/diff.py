"""What differs between two configurations, for people, and whether they differ at all.

Everything is computed on the canonical form, so volatile lines and re-salted secrets never show. Not to be imported by
the simulator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from drivers.dialects import Dialect
from drivers.dialects.tree import Node, Tree

Sign = Literal["+", "-", " "]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a difference, secrets masked. `path` is the sections it stands in; a blank `sign` marks a section
    that is the same itself and is shown because something in it differs."""

    sign: Sign
    text: str
    path: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line to print: sign, indentation, text."""
        return f"{self.sign}{' ' * len(self.path)}{self.text}"


def lines(d: Dialect, old: Tree, new: Tree) -> tuple[DiffLine, ...]:
    """What leads from `old` to `new`, each line below the sections it stands in; empty if they are equal.

    Always redacted: a secret that changes shows as a masked line gone and a masked line come.
    """
    before, after = d.canonical(old), d.canonical(new)
    return tuple(_compare(d, (), before.nodes, after.nodes))


def difference(d: Dialect, old: Tree, new: Tree) -> str:
    """`lines` as a text to print: a sign, the indentation, the statement."""
    return "\n".join(each.line for each in lines(d, old, new))


def digest(d: Dialect, text: str) -> str:
    """SHA-256 (hex) of the canonical text: equal for configurations that mean the same. Raises ConfigSyntax."""
    canonical = d.render(d.canonical(d.parse(text)))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def equal(d: Dialect, a: str, b: str) -> bool:
    """Whether two texts mean the same configuration. Raises ConfigSyntax."""
    return d.canonical(d.parse(a)) == d.canonical(d.parse(b))


def _compare(d: Dialect, path: tuple[str, ...], old: Sequence[Node], new: Sequence[Node]) -> Iterator[DiffLine]:
    matcher = SequenceMatcher(None, [node.text for node in old], [node.text for node in new], autojunk=False)
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        if operation == "equal":
            for before, after in zip(old[i1:i2], new[j1:j2], strict=True):
                if before.children != after.children:
                    yield from _shown(d, " ", before.text, path)
                    yield from _compare(d, (*path, before.text), before.children, after.children)
            continue
        for node in old[i1:i2]:
            yield from _whole(d, "-", node, path)
        for node in new[j1:j2]:
            yield from _whole(d, "+", node, path)


def _whole(d: Dialect, sign: Sign, node: Node, path: tuple[str, ...]) -> Iterator[DiffLine]:
    yield from _shown(d, sign, node.text, path)
    for child in node.children:
        yield from _whole(d, sign, child, (*path, node.text))


def _shown(d: Dialect, sign: Sign, text: str, path: tuple[str, ...]) -> Iterator[DiffLine]:
    """A statement line by line; redacted with its sections around it, because some secrets are known only by them."""
    above = "".join(f"{section}\n" for section in path)
    masked = d.redact(f"{above}{text}").split("\n", above.count("\n"))[-1]
    sections = tuple(d.redact(section) for section in path)
    for line in masked.split("\n"):
        yield DiffLine(sign, line, sections)
