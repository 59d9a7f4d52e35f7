"""Things in an order: what may stay where it is when the order changes, and moves one after the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence


def longest_ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Longest part of `pairs`, whose first places ascend, in which the second places ascend too."""
    ends: list[int] = []
    tails: list[int] = []
    before: list[int] = []
    for at, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        before.append(tails[length - 1] if length else -1)
        ends[length : length + 1] = [j]
        tails[length : length + 1] = [at]
    found = []
    at = tails[-1] if tails else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


def moved(order: Sequence[str], moves: Iterable[Sequence[str]]) -> list[str]:
    """`order` after moves of the form `(key, "before" or "after", other)`; one that names what is not there, or has
    another form, changes nothing. Takes steps by the number of things and of moves, not by their product."""
    # A ring: the place with the number -1 is before the first and behind the last.
    place = {key: at for at, key in enumerate(order)}
    following = {at: at + 1 for at in range(-1, len(order) - 1)} | {len(order) - 1: -1}
    leading = {later: at for at, later in following.items()}
    for move in moves:
        if len(move) != 3 or move[0] == move[2] or move[0] not in place or move[2] not in place:
            continue
        if move[1] not in {"before", "after"}:
            continue
        at, other = place[move[0]], place[move[2]]
        following[leading[at]], leading[following[at]] = following[at], leading[at]
        left = other if move[1] == "after" else leading[other]
        right = following[left]
        following[left], leading[right], following[at], leading[at] = at, at, right, left
    found: list[str] = []
    at = following[-1]
    while at >= 0:
        found.append(order[at])
        at = following[at]
    return found
