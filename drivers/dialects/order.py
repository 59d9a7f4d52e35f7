"""What may stay where it is when things are brought into another order."""

from __future__ import annotations

from bisect import bisect_left


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
