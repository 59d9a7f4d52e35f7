"""The 95th percentile of slots, exact, and its interval where measurements are missing.

Values are octets of 5-minute slots; they become bit/s last. Source: metering specification §3.1, §3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inventory.timeslots import OPEN_OCTETS, Uncertain, merge, shown

RULE_VERSION = "metering-1"
"""Stored with every figure made by the rules of this package."""

Octets = NDArray[np.int64]


class Convention(StrEnum):
    """How one figure is made of two directions. Always named with the figure."""

    MAX_OF_P95 = "max_of_p95"
    P95_OF_MAX = "p95_of_max"
    P95_OF_SUM = "p95_of_sum"
    IN_ONLY = "in_only"
    OUT_ONLY = "out_only"


class Grade(StrEnum):
    """How far the two ends of an interval lie apart. C is never invoiced without a person."""

    A = "A"
    B = "B"
    C = "C"


@dataclass(frozen=True, slots=True)
class Interval:
    """The smallest and the largest value that the missing measurements allow; `high` None: no bound."""

    low: int
    high: int | None

    @property
    def grade(self) -> Grade:
        """A: the ends differ by at most 1 % of the high one; B: 5 %; C: more, or open (§3.2)."""
        if self.high is None:
            return Grade.C
        apart = (self.high - self.low) * 100
        if apart <= self.high:
            return Grade.A
        return Grade.B if apart <= 5 * self.high else Grade.C


def rank(n: int) -> int:
    """k = ⌈0.95 n⌉: the 95th percentile is the k-th smallest of n values (nearest rank)."""
    return (95 * n + 99) // 100


def rate_bps(slot_octets: int) -> int:
    """Mean rate of a slot, rounded half up to 1 bit/s."""
    return (slot_octets * 8 * 2 + 300) // 600


def slot_capacity_octets(capacity_bps: int) -> int:
    """Octets that a capacity lets through in one slot (bit/s × 37.5, rounded down)."""
    return capacity_bps * 75 // 2


def p95(values: Sequence[int] | Octets) -> int:
    """The k-th smallest of at least one value; no interpolation. Raises ValueError if there is none."""
    array = np.asarray(values, dtype=np.int64)
    if array.size == 0:
        raise ValueError("a percentile of no slots does not exist")
    k = rank(array.size)
    return int(np.partition(array, k - 1)[k - 1])


def p95_interval(known: Sequence[int] | Octets, groups: Iterable[Uncertain]) -> Interval:
    """The smallest and largest 95th percentile over all fillings of the groups (§3.2). Exact.

    `known` holds the certain octets of every slot of the period, gap slots included. Groups that share a
    slot are merged first: the result is then sound, but no longer tight.
    """
    low = np.array(known, dtype=np.int64)
    high = low.copy()
    shared: list[_Few | _Many] = []
    inside = np.zeros(low.size, dtype=bool)
    for group in merge(list(groups)):
        if len(group.slots) == 1:
            index = group.slots[0]
            low[index] += group.tmin
            high[index] += min(group.room[0], group.tmax)
        else:
            slots = np.array(group.slots)
            inside[slots] = True
            kind = _Few if slots.size <= FEW else _Many
            shared.append(kind(low[slots], np.array(group.room, dtype=np.int64), group.tmin, group.tmax))
    if not shared:
        return Interval(p95(low), shown(p95(high)))
    return _search(np.sort(low[~inside]), np.sort(high[~inside]), shared, low.size)


FEW: Final = 64
"""Slots of a group up to which plain integers are quicker than arrays."""


class _Few:
    """A group of few slots: known octets, room, and the bounds of what they share. Both kinds answer alike."""

    def __init__(self, known: Octets, room: Octets, tmin: int, tmax: int) -> None:
        self.known, self.room, self.tmin, self.tmax = known, room, tmin, tmax
        self._pairs: list[tuple[int, int]] = list(zip(known.tolist(), room.tolist(), strict=True))

    def most_at_least(self, x: int) -> int:
        """Largest number of slots that can reach x: the cheapest needs first, while the octets last."""
        left, count = self.tmax, 0
        for need in sorted([max(0, x - known) for known, room in self._pairs if x - known <= room]):
            left -= need
            if left < 0:
                break
            count += 1
        return count

    def fewest_above(self, x: int) -> int:
        """Smallest number of slots that must exceed x: fill all others to x, push the largest gains."""
        missing, certain, gains = self.tmin, 0, []
        for known, room in self._pairs:
            if known > x:
                certain += 1
                missing -= room
            else:
                held = min(room, x - known)
                missing -= held
                gains.append(room - held)
        if missing <= 0:
            return certain
        for gain in sorted(gains, reverse=True):
            certain += 1
            missing -= gain
            if missing <= 0:
                return certain
        return certain + 1


@dataclass(frozen=True, slots=True)
class _Many:
    """A group of many slots."""

    known: Octets
    room: Octets
    tmin: int
    tmax: int

    def most_at_least(self, x: int) -> int:
        """Largest number of slots that can reach x: the cheapest needs first, while the octets last."""
        needs = np.maximum(0, x - self.known)
        needs = np.sort(needs[needs <= self.room])
        return int(np.searchsorted(np.cumsum(needs), self.tmax, side="right"))

    def fewest_above(self, x: int) -> int:
        """Smallest number of slots that must exceed x: fill all others to x, push the largest gains."""
        above = self.known > x
        held = np.where(above, self.room, np.minimum(self.room, x - self.known))
        missing = self.tmin - int(held.sum())
        certain = int(above.sum())
        if missing <= 0:
            return certain
        gains = np.sort((self.room - held)[~above])[::-1]
        return certain + int(np.searchsorted(np.cumsum(gains), missing, side="left")) + 1


def _search(low: Octets, high: Octets, shared: Sequence[_Few | _Many], n: int) -> Interval:
    """Two binary searches between "all uncertain octets at 0" and "all at room"."""
    k = rank(n)
    floor = p95(np.concatenate([low, *(group.known for group in shared)]))
    ceiling = p95(np.concatenate([high, *(group.known + group.room for group in shared)]))

    def most_at_least(x: int) -> int:
        single = high.size - int(np.searchsorted(high, x, side="left"))
        return single + sum(group.most_at_least(x) for group in shared)

    def fewest_above(x: int) -> int:
        single = low.size - int(np.searchsorted(low, x, side="right"))
        return single + sum(group.fewest_above(x) for group in shared)

    highest = -_first(lambda x: most_at_least(-x) >= n - k + 1, -ceiling, -floor)
    lowest = _first(lambda x: fewest_above(x) <= n - k, floor, ceiling)
    return Interval(lowest, shown(highest))


def _first(holds: Callable[[int], bool], begin: int, end: int) -> int:
    """Smallest integer in [begin, end] for which a monotone condition holds; it holds at `end`."""
    while begin < end:
        middle = (begin + end) // 2
        if holds(middle):
            end = middle
        else:
            begin = middle + 1
    return begin


def combine(convention: Convention, into: Sequence[int], out: Sequence[int]) -> int:
    """One 95th percentile of two complete directions by a named convention; as many slots in each."""
    a, b = np.asarray(into, dtype=np.int64), np.asarray(out, dtype=np.int64)
    match convention:
        case Convention.MAX_OF_P95:
            return max(p95(a), p95(b))
        case Convention.P95_OF_MAX:
            return p95(np.maximum(a, b))
        case Convention.P95_OF_SUM:
            return p95(a + b)
        case Convention.IN_ONLY:
            return p95(a)
        case Convention.OUT_ONLY:
            return p95(b)


def outer(
    convention: Convention,
    into: tuple[Sequence[int], Sequence[int | None]],
    out: tuple[Sequence[int], Sequence[int | None]],
) -> Interval:
    """Interval of a convention that joins the directions slot by slot, from each slot's low and high (§3.2).

    Sound, not always tight ("bound: outer").
    """
    low = combine(convention, into[0], out[0])
    highs = [[OPEN_OCTETS if octets is None else octets for octets in side[1]] for side in (into, out)]
    return Interval(low, shown(combine(convention, highs[0], highs[1])))


def higher(into: Interval, out: Interval) -> Interval:
    """`max_of_p95` of two intervals; exact (§3.2)."""
    high = None if into.high is None or out.high is None else max(into.high, out.high)
    return Interval(max(into.low, out.low), high)


def port_sum(ports: Iterable[tuple[Sequence[int], Sequence[int | None]]]) -> Interval:
    """95th percentile of several ports summed slot by slot, from each port's lows and highs.

    Sound, not always tight ("bound: outer"). All ports have the same slots; a high of None has no bound.
    """
    lows, highs = [], []
    for low, high in ports:
        lows.append(np.asarray(low, dtype=np.int64))
        highs.append(np.asarray([OPEN_OCTETS if octets is None else octets for octets in high], dtype=np.int64))
    return Interval(p95(np.sum(lows, axis=0)), shown(p95(np.sum(highs, axis=0))))
