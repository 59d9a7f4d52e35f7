"""Lists of VLANs on a trunk, which IOS prints over several lines and takes in piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

_VLANS: Final = re.compile(
    r"(switchport trunk allowed vlan )(?:(add|remove) )?([0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*)",
    re.IGNORECASE,
)
_LONGEST: Final = 200
"""Characters that are sent in one line; IOS takes 254."""


def with_vlans(held: str, text: str) -> str:
    """`text` as the device prints it where it holds `held` (empty if nothing): VLANs joined, sorted, in ranges.

    `add` and `remove` change what is held; a line that is no list of VLANs is returned as it is.
    """
    given = _VLANS.fullmatch(text)
    if not given:
        return text
    head, verb, numbers = given[1], (given[2] or "").lower(), set(_numbers(given[3]))
    before = _VLANS.fullmatch(held)
    if verb and before and not (before[2] and verb == "remove"):
        known = set(_numbers(before[3]))
        numbers = known | numbers if verb == "add" else known - numbers
        verb = (before[2] or "").lower()
    if not numbers:
        return f"{head}none"
    return f"{head}{verb} {_ranges(numbers)}" if verb else f"{head}{_ranges(numbers)}"


def adds_vlans(text: str) -> bool:
    """Whether the line changes a list of VLANs instead of setting it."""
    given = _VLANS.fullmatch(text)
    return bool(given and given[2])


def in_pieces(text: str) -> Iterator[str]:
    """The line, or several that mean the same where it is too long for a terminal."""
    given = _VLANS.fullmatch(text) if len(text) > _LONGEST else None
    if given is None:
        yield text
        return
    head, piece = f"{given[1]}{given[2]} " if given[2] else given[1], ""
    for part in given[3].split(","):
        if piece and len(head) + len(piece) + len(part) > _LONGEST:
            yield head + piece
            head, piece = f"{given[1]}add ", ""
        piece = f"{piece},{part}" if piece else part
    yield head + piece


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _ranges(numbers: Iterable[int]) -> str:
    """Two neighbours are printed apart, three or more as a range."""
    ordered = sorted(numbers)
    breaks = [0, *(i for i, pair in enumerate(pairwise(ordered), 1) if pair[1] != pair[0] + 1), len(ordered)]
    runs = [ordered[begin:end] for begin, end in pairwise(breaks)]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
