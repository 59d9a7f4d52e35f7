"""Exact percentile intervals of many interfaces straight from storage: no frame of the whole fleet ever exists (§9).

The same figures as by way of `slotday.window`, `timeslots.bounds` and `metering.p95_interval`; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, select

from controller.store import traffic_tables as t
from controller.store.traffic import TrafficDatabase
from inventory.counters import Flag, Increment
from inventory.metering import Interval, p95, p95_interval
from inventory.slotday import DAY_MS, HEAD_BYTES, SLOTS, group_of, joined, layout_of
from inventory.timeslots import OPEN_OCTETS, SLOT_MS, Group, Uncertain, shown, uncertain, window_slots

AT_ONCE: Final = 100
"""Interfaces that are read together: about 15 MB of a month."""
WHOLE_DAY: Final = b'"pending":[],"spans":[[0,86400000]]'
"""What the tail of a slot-day says of a direction that is wholly measured."""

Octets = NDArray[np.int64]
Rows = Sequence[tuple[int, bytes]]
"""Slot-days of one interface: UTC midnight and blob, in order."""


@dataclass(frozen=True, slots=True)
class InterfacePercentile:
    """The 95th percentile of both directions of one interface."""

    interface_id: int
    into: Interval
    out: Interval


async def month_of(
    database: TrafficDatabase, start_ms: int, end_ms: int, *, speed_of: Callable[[int], int | None]
) -> AsyncIterator[InterfacePercentile]:
    """Percentiles of every interface that has slot-days in [start_ms, end_ms), on the grid, by number.

    `speed_of`: port speed of an interface, in bit/s; None: unknown, then a gap has no bound.
    """
    c = t.slot_days.c
    within = and_(c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    after = 0
    while True:
        async with database.read() as tx:
            ids = (
                await tx.scalars(
                    select(t.interfaces.c.id)
                    .where(t.interfaces.c.id > after)
                    .order_by(t.interfaces.c.id)
                    .limit(AT_ONCE)
                )
            ).all()
            if not ids:
                return
            query = select(c.interface_id, c.start_ms, c.slots).where(
                c.interface_id > after, c.interface_id <= ids[-1], within
            )
            rows = (await tx.execute(query.order_by(c.interface_id, c.start_ms))).all()
        for number, group in groupby(rows, key=lambda row: row[0]):
            found = percentile([(row[1], row[2]) for row in group], start_ms, end_ms, speed_of(number))
            yield InterfacePercentile(number, *found)
        after = ids[-1]


def percentile(rows: Rows, start_ms: int, end_ms: int, speed_bps: int | None) -> tuple[Interval, Interval]:
    """Intervals of in and out of one interface over [start_ms, end_ms)."""
    n = window_slots(start_ms, end_ms)
    widths = {head: layout_of(head) for head in {blob[:HEAD_BYTES] for _, blob in rows}}
    tails = {head: HEAD_BYTES + 2 * SLOTS * width for head, width in widths.items()}
    known = _known(rows, start_ms, n, narrow=set(widths.values()) == {4})
    missing_ms = np.full((2, n), SLOT_MS, dtype=np.int64)
    uncertain_parts: list[tuple[int, int, dict[str, Any]]] = []
    for first, after, some in _runs(rows):
        missing_ms[:, max(0, (first - start_ms) // SLOT_MS) : max(0, (after - start_ms) // SLOT_MS)] = 0
        for day_ms, blob in some:
            tail = tails[blob[:HEAD_BYTES]]
            if blob.count(WHOLE_DAY, tail) != 2:
                slot = (day_ms - start_ms) // SLOT_MS
                missing_ms[:, max(0, slot) : max(0, slot + SLOTS)] = SLOT_MS
                told = json.loads(blob[tail:])["directions"]
                uncertain_parts += [(direction, day_ms, one) for direction, one in enumerate(told)]
    directions = []
    for direction in (0, 1):
        mine = [(day_ms, one) for number, day_ms, one in uncertain_parts if number == direction]
        groups = _groups(mine, missing_ms[direction], start_ms, speed_bps) if mine else []
        directions.append(_interval(known[direction], missing_ms[direction], groups, speed_bps))
    return directions[0], directions[1]


def _runs(rows: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Days one after the other without a hole, as begin, end and rows: one stretch, nearly always."""
    begin = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or rows[index][0] != rows[index - 1][0] + DAY_MS:
            yield rows[begin][0], rows[index - 1][0] + DAY_MS, rows[begin:index]
            begin = index


def _known(rows: Rows, start_ms: int, n: int, *, narrow: bool) -> Octets:
    """Certain octets of both directions, slot by slot."""
    end = HEAD_BYTES + 2 * SLOTS * 4
    known = np.zeros((2, n), dtype=np.int64)
    for first_ms, _, some in _runs(rows):
        if narrow:
            together = b"".join([blob[HEAD_BYTES:end] for _, blob in some])
            days = np.frombuffer(together, dtype="<u4").reshape(len(some), 2, SLOTS)
        else:
            days = np.stack([_counts(blob) for _, blob in some])
        counts = days.swapaxes(0, 1).reshape(2, len(some) * SLOTS)
        first = (first_ms - start_ms) // SLOT_MS
        begin, after = max(0, first), min(n, first + counts.shape[1])
        known[:, begin:after] = counts[:, begin - first : after - first]
    return known


def _counts(blob: bytes) -> Octets:
    width = layout_of(blob)
    counts = np.frombuffer(blob, dtype=f"<u{width}", count=2 * SLOTS, offset=HEAD_BYTES)
    return counts.reshape(2, SLOTS).astype(np.int64)


def _groups(
    days: Sequence[tuple[int, dict[str, Any]]], missing_ms: Octets, start_ms: int, speed_bps: int | None
) -> list[Uncertain]:
    """Groups of known sums; takes measured and grouped time out of `missing_ms`."""
    n = missing_ms.size
    pending: dict[tuple[int, int], Increment] = {}
    spans: list[tuple[int, int]] = []
    for day_ms, one in days:
        spans += [(day_ms + a, day_ms + b) for a, b in one["spans"]]
        for t0, t1, low, high, flag, _ in one["pending"]:
            pending[t0, t1] = Increment(t0, t1, low, high, Flag(flag))
    spans = joined(spans)
    for a, b in spans:
        _take(missing_ms, a - start_ms, b - start_ms)
    found = []
    for increment in pending.values():
        group: Group | None = group_of(increment, spans, start_ms, n)
        if group is not None:
            found.append(uncertain(group, speed_bps))
            for index, ms in zip(group.slots, group.overlap_ms, strict=True):
                missing_ms[index] -= ms
    return found


def _take(missing_ms: Octets, begin_ms: int, end_ms: int) -> None:
    """Take a stretch of measured time out."""
    begin_ms, end_ms = max(0, begin_ms), min(missing_ms.size * SLOT_MS, end_ms)
    if begin_ms >= end_ms:
        return
    first, last = begin_ms // SLOT_MS, (end_ms - 1) // SLOT_MS
    missing_ms[first : last + 1] -= SLOT_MS
    missing_ms[first] += begin_ms - first * SLOT_MS
    missing_ms[last] += (last + 1) * SLOT_MS - end_ms


def _interval(known: Octets, missing_ms: Octets, groups: list[Uncertain], speed_bps: int | None) -> Interval:
    untouched = np.flatnonzero(missing_ms > 0)
    if not groups:  # with free gaps only two selections are exact, and without any one of them is enough (§3.2)
        low = highest = p95(known)
        if untouched.size:
            high = known.copy()
            high[untouched] += OPEN_OCTETS if speed_bps is None else speed_bps * missing_ms[untouched] // 8_000
            highest = p95(high)
        return Interval(low, shown(highest))
    for index in untouched:
        octets = OPEN_OCTETS if speed_bps is None else speed_bps * int(missing_ms[index]) // 8_000
        groups.append(Uncertain((int(index),), (octets,), 0, octets))
    return p95_interval(known, groups)
