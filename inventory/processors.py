"""The processor as a witness for devices whose figure nobody published (metering specification §7.3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from inventory.congestion import BUSY_SLOTS
from inventory.linkdays import LinkDay
from inventory.links import Direction
from inventory.periods import day_start_ms
from inventory.timeslots import SLOT_MS

BUSY_PERCENT: Final = 85
STRAINED_SLOTS: Final = 6
STRAINED_DAYS: Final = 3
WINDOW_DAYS: Final = 7
CALM_UTIL: Final = 0.70
"""Of the line: above it the line itself explains the load."""


def strained_days(days: Sequence[LinkDay], busy: Collection[int], zone: str) -> int:
    """Of the last seven valid days of a direction of a line, those on which the processor was busy in half of the busy
    hour and more while the line was not.

    `busy`: slots, by number since the epoch, in which a heartbeat told 85 % and more.
    """
    line = [day for day in days if day.figures.valid and day.direction is not Direction.DEVICE][-WINDOW_DAYS:]
    return sum(_strained(day, busy, zone) for day in line)


def is_witness(days: int) -> bool:
    """Whether so many strained days speak for another model."""
    return days >= STRAINED_DAYS


def _strained(day: LinkDay, busy: Collection[int], zone: str) -> bool:
    start, util = day.figures.busy_start_slot, day.figures.busy_util
    if start is None or util is None or util >= CALM_UTIL:
        return False
    first = day_start_ms(day.day, zone) // SLOT_MS + start
    return sum(slot in busy for slot in range(first, first + BUSY_SLOTS)) >= STRAINED_SLOTS
