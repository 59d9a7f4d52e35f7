"""Shapers and policers of whole interfaces, read from a running configuration (metering specification §4, `shaped`).

Only what surely holds for everything that passes an interface is a rate: a policy with classes beside class-default, a
share in percent, or a limit with a filter says nothing of the whole. That such a thing is there is told in words, so
that a person can enter what it comes to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.dialects import Node, dialect
from drivers.shaping_blocks import FORTIOS_MARKS, fortios
from drivers.shaping_classes import SEIL_MARKS, recipe, statements
from drivers.shaping_policies import IOS_MARKS, ios
from drivers.shaping_rates import Shaped
from inventory.errors import ConfigSyntax

__all__ = ["Shaped", "of_interface", "shapers"]

_NAME: Final = re.compile(r"([A-Za-z-]+) ?([0-9].*)?")


@dataclass(frozen=True, slots=True)
class _Reader:
    marks: re.Pattern[str]
    """A text without any of these words need not be parsed."""
    read: Callable[[Sequence[Node]], Iterator[tuple[str, Shaped]]]


_READERS: Final = {
    "indented": _Reader(IOS_MARKS, ios),
    "block": _Reader(FORTIOS_MARKS, fortios),
    "statements": _Reader(SEIL_MARKS, statements),
    "key-value": _Reader(SEIL_MARKS, recipe),
}


def shapers(spoken: str, text: str) -> dict[str, Shaped]:
    """Rates by interface as the configuration names it. `spoken` is the dialect; of a text that cannot be read, and of
    a dialect that nobody reads shapers from, nothing is known.
    """
    reader = _READERS.get(spoken)
    if reader is None or not reader.marks.search(text):
        return {}
    try:
        nodes = dialect(spoken).parse(text).nodes
    except ConfigSyntax:
        return {}
    found: dict[str, Shaped] = {}
    for name, held in reader.read(nodes):
        found[name] = found.get(name, Shaped()).also(held)
    return found


def of_interface(found: Mapping[str, Shaped], name: str) -> Shaped:
    """Of the interface that a counter source calls `name`: IOS writes `Gi0/1` there and the long name in its config."""
    held = Shaped()
    for told, one in found.items():
        if _same(told, name):
            held = held.also(one)
    return held


def _same(told: str, name: str) -> bool:
    """Whether two names are of one interface: equal, or the same number and one kind written shorter than the other."""
    if told == name:
        return True
    long, short = _NAME.fullmatch(told), _NAME.fullmatch(name)
    if long is None or short is None or not long[2] or long[2] != short[2]:
        return False
    a, b = sorted((long[1].lower(), short[1].lower()), key=len)
    return len(a) > 1 and b.startswith(a)
