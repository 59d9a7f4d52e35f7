"""What differs between two configurations, for people, and whether they differ at all.

Everything is computed on the canonical form, so volatile lines and re-salted secrets never show. Not to be imported by
the simulator.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from drivers.dialects import Dialect
from drivers.dialects.order import longest_ascending
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
    return lines_between(d, d.canonical(old), d.canonical(new))


def lines_between(d: Dialect, before: Tree, after: Tree) -> tuple[DiffLine, ...]:
    """The same for trees that are in canonical form already."""
    return tuple(_compare(d, (), before.nodes, after.nodes))


Sections = tuple[tuple[str, str], ...]
"""Sections around a line, outermost first: each as it is, and masked."""


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


def _compare(d: Dialect, path: Sections, old: Sequence[Node], new: Sequence[Node]) -> Iterator[DiffLine]:
    at_old = at_new = 0
    for i, j in (*_same([node.text for node in old], [node.text for node in new]), (len(old), len(new))):
        yield from _whole(d, "-", old[at_old:i], path)
        yield from _whole(d, "+", new[at_new:j], path)
        if i < len(old) and old[i].children != new[j].children:
            text = old[i].text
            yield from _shown(d, " ", [text], path)
            yield from _compare(d, (*path, (text, d.redact(text))), old[i].children, new[j].children)
        at_old, at_new = i + 1, j + 1


def _same(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """Pairs of places of the lines that stay, ascending in both.

    Lines that occur once on each side are matched by their longest common order, which takes n log n steps for the
    thousands of lines that a device has; what lies between two of them is matched line by line.
    """
    once = _once(new)
    anchors = longest_ascending([(i, once[text]) for text, i in _once(old).items() if text in once])
    found: list[tuple[int, int]] = []
    at_old = at_new = 0
    for i, j in (*anchors, (len(old), len(new))):
        matcher = SequenceMatcher(None, old[at_old:i], new[at_new:j], autojunk=False)
        for block in matcher.get_matching_blocks() if at_old < i and at_new < j else ():
            found += [(at_old + block.a + n, at_new + block.b + n) for n in range(block.size)]
        at_old, at_new = i + 1, j + 1
        found.append((i, j))
    return found[:-1]


def _once(texts: list[str]) -> dict[str, int]:
    """Place of each text that occurs once."""
    counts = Counter(texts)
    return {text: i for i, text in enumerate(texts) if counts[text] == 1}


def _whole(d: Dialect, sign: Sign, nodes: Sequence[Node], path: Sections) -> Iterator[DiffLine]:
    """Statements with all below them; those without anything below are masked together."""
    for sections, run in groupby(nodes, key=lambda node: bool(node.children)):
        if not sections:
            yield from _shown(d, sign, [node.text for node in run], path)
            continue
        for node in run:
            yield from _shown(d, sign, [node.text], path)
            yield from _whole(d, sign, node.children, (*path, (node.text, d.redact(node.text))))


def _shown(d: Dialect, sign: Sign, texts: Sequence[str], path: Sections) -> Iterator[DiffLine]:
    """Statements line by line; redacted with their sections around, because some secrets are known only by them."""
    above = "".join(f"{section}\n" for section, _ in path)
    masked = d.redact(above + "\n".join(texts)).split("\n")[above.count("\n") :]
    if len(texts) > 1 and len(masked) != sum(text.count("\n") + 1 for text in texts):
        for text in texts:  # a mask stands for several lines: whose they were is only known one by one
            yield from _shown(d, sign, [text], path)
        return
    sections = tuple(section for _, section in path)
    for line in masked:
        yield DiffLine(sign, line, sections)
