"""Which heartbeats an adapter has sent in the last day: the same again is a replay (metering §2.2).

Six bytes for each, and nothing that is parsed: a heartbeat a minute is 9 KB a day, and 2 KB to find it. Nobody without
the key chooses what is remembered, and two contents of one adapter that meet by chance (one in 200,000,000,000
heartbeats at that rate) cost one reading, which counters make up for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
MARK_BYTES: Final = 6
MASK: Final = (1 << 8 * MARK_BYTES) - 1
AT_MOST: Final = 17_280
"""Heartbeats of one adapter in a day: two in each of the shortest intervals. Of more the oldest are forgotten."""
_BLOCKS: Final = 4
_BLOCK_MS: Final = DAY_MS // (_BLOCKS - 1)
_BITS_BYTES: Final = 64
_BLOCK_BYTES: Final = AT_MOST // (_BLOCKS - 1) * MARK_BYTES

Told = Sequence[tuple[int, bytes]]
"""Marks, many in one string, and the instant before which their heartbeats came; oldest first."""


def digest(content: bytes) -> bytes:
    """Eight bytes that are the same on every node for the same statistics."""
    return hashlib.blake2b(content, digest_size=8).digest()


@dataclass(slots=True)
class _Block:
    last_ms: int
    marks: bytearray = field(default_factory=bytearray)


class Remembered:
    """Marks of one adapter, as numbers of 48 bits. Instants are wall-clock milliseconds, and may step back."""

    __slots__ = ("_bits", "_blocks", "_last_ms", "_left", "_marks", "_mask", "_until_ms")

    def __init__(self, told: Told = ()) -> None:
        self._blocks: list[_Block] = []
        self._bits = bytearray(_BITS_BYTES)
        """One bit for each mark, several may share one: where it is not set, nothing has to be searched."""
        self._mask = _BITS_BYTES * 8 - 1
        self._marks = bytearray()
        """Those of the newest block, which takes `_left` more marks before there has to be room made."""
        self._left = 0
        self._until_ms = self._last_ms = 0
        for at_ms, marks in told:
            for begin in range(0, len(marks), MARK_BYTES):
                self.add(int.from_bytes(marks[begin : begin + MARK_BYTES]), at_ms)

    def __contains__(self, mark: int) -> bool:
        place = mark & self._mask
        return bool(self._bits[place >> 3] >> (place & 7) & 1) and self._searched(mark.to_bytes(MARK_BYTES))

    def _searched(self, mark: bytes) -> bool:
        for block in self._blocks:
            at = block.marks.find(mark)
            while at >= 0:
                if not at % MARK_BYTES:
                    return True
                at = block.marks.find(mark, at + 1)
        return False

    def add(self, mark: int, at_ms: int) -> None:
        """A heartbeat came; those of more than a day before are forgotten, in portions of a third of a day."""
        if not self._left or at_ms >= self._until_ms:
            self._make_room(at_ms)
        self._left -= 1
        self._last_ms = at_ms
        self._marks += mark.to_bytes(MARK_BYTES)
        place = mark & self._mask
        self._bits[place >> 3] |= 1 << (place & 7)

    def _make_room(self, at_ms: int) -> None:
        """In a new block when the newest is full or old; and with at least eight bits for each mark, at most 32."""
        blocks = self._blocks
        if blocks:
            blocks[-1].last_ms = max(blocks[-1].last_ms, self._last_ms)
        if not blocks or at_ms >= self._until_ms or len(self._marks) >= _BLOCK_BYTES:
            blocks.append(_Block(at_ms))
            self._marks, self._until_ms = blocks[-1].marks, at_ms + _BLOCK_MS
            while len(blocks) > _BLOCKS or blocks[0].last_ms < at_ms - DAY_MS:
                del blocks[0]
        count = sum(len(block.marks) for block in blocks) // MARK_BYTES
        self._bits = bytearray(max(_BITS_BYTES, 1 << (count * 2).bit_length()))
        self._mask = len(self._bits) * 8 - 1
        for block in blocks:
            for begin in range(0, len(block.marks), MARK_BYTES):
                place = int.from_bytes(block.marks[begin : begin + MARK_BYTES]) & self._mask
                self._bits[place >> 3] |= 1 << (place & 7)
        self._left = min(len(self._bits) - count, (_BLOCK_BYTES - len(self._marks)) // MARK_BYTES)


def mark_of(told: bytes) -> int:
    """The mark of a digest."""
    return int.from_bytes(told[:MARK_BYTES])


def packed(digests: Iterable[bytes]) -> bytes:
    """The marks of these digests, in one string."""
    return b"".join(one[:MARK_BYTES] for one in digests)
