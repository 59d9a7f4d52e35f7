"""Shapes of statements: what is left of a line when its values are set aside.

Two lines have the same shape when they do the same thing to other things: another address, another name, another
number. A plan counts on how many adapters of its model each shape stands. Not to be imported by the simulator.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from drivers.dialects import Dialect
from drivers.dialects.diff import DiffLine, lines_between
from drivers.dialects.tree import Tree

_WORDS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_TEXT_AFTER: Final = re.compile(
    r"(?i)^(?:set )?(?:.* )?(?:description|remark|name|hostname|alias|comments?|label|location|contact|sysname"
    r"|identifier|banner \S+)(?= )"
)
_TEXTS: Final = frozenset({"description", "hostname", "label", "sysname", "location", "contact", "id", "domain"})
_NAMES: Final = re.compile(r"(?<=username )\S+|(?<=edit )\S+")
_KEY: Final = re.compile(r"^([a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z-]+): (.*)$")
_ADDRESS: Final = re.compile(r"\d+(?:\.\d+){3}(?:/\d+)?|(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]+(?:/\d+)?")
_NUMBERED: Final = re.compile(r"([A-Za-z-]*?[A-Za-z])-?\d+(?:[/.:]\d+)*")
_KEYWORD: Final = re.compile(r"[a-z][a-z-]*[a-z]|[a-z]|[a-z]+\+")
BYTES: Final = 8
"""Length of the number that stands for a shape."""


def shape(line: str) -> str:
    """The shape of one line. Keywords stay, and what numbered names begin with; the rest says only what kind it is."""
    pair = _KEY.match(line)
    if pair:
        key = re.sub(r"(?<=[.a-z])\d+(?=\.|$)", "#", pair[1])
        return f"{key}: {'‹text›' if key.rpartition('.')[2] in _TEXTS else _general(pair[2])}"
    free = _TEXT_AFTER.match(line)
    if free:
        return f"{_general(free[0])} ‹text›"
    return _general(_NAMES.sub("‹name›", line))


def _general(text: str) -> str:
    return " ".join(_word(word) for word in _WORDS.findall(text))


def _word(word: str) -> str:
    if word.startswith("‹"):
        return "‹name›"
    if word[0] == '"':
        return "‹text›"
    if _ADDRESS.fullmatch(word):
        return "‹address›"
    if word.isdigit():
        return "‹number›"
    numbered = _NUMBERED.fullmatch(word)
    if numbered:
        return f"{numbered[1]}#"
    return word if _KEYWORD.fullmatch(word) else "‹name›"


def number(line: DiffLine) -> int:
    """A number of `BYTES` bytes that stands for a line's shape with those of the sections around it."""
    whole = "\n".join(shape(one) for one in (*line.path, line.text))
    return int.from_bytes(hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest(), "big")


def numbers(found: Sequence[DiffLine]) -> tuple[int | None, ...]:
    """Numbers of the lines that come or go; None for the sections that are the same themselves."""
    return tuple(None if one.sign == " " else number(one) for one in found)


def standing(d: Dialect, form: Tree) -> frozenset[int]:
    """Every shape that stands in a configuration, given in canonical form."""
    return frozenset(number(one) for one in lines_between(d, Tree(), form))
