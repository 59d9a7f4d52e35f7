"""Percentiles straight from storage are those of the plain functions, whatever is missing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from controller.metering.percentiles import month_of, percentile
from controller.store import slotdays, traffic
from controller.store.slotdays import KeptBlob
from controller.store.traffic import TrafficDatabase
from inventory.counters import Flag, Increment
from inventory.metering import p95_interval
from inventory.slotday import DAY_MS, SlotDay, add, decode, encode, window
from inventory.timeslots import SLOT_MS, bounds

DAYS = 3


def blobs(seed: int) -> list[tuple[int, bytes]]:
    """Three days with gaps, long pairs and a counter that lost its bound, at random."""
    random_ = random.Random(seed)
    days = {n * DAY_MS: SlotDay.empty(n * DAY_MS) for n in range(DAYS)}
    for number in (0, 1):
        at, increments = 0, []
        while at < DAYS * DAY_MS:
            length = random_.choice([SLOT_MS] * 30 + [60_000, 7 * SLOT_MS, 90 * SLOT_MS])
            end = min(at + length, DAYS * DAY_MS)
            octets = random_.randrange(200_000, 40_000_000) * (end - at) // SLOT_MS
            kind = random_.random()
            if kind > 0.05:
                flag = Flag.MEASURED if end - at <= 450_000 else Flag.DERIVED
                increments.append(Increment(at, end, octets, octets, flag))
            elif kind > 0.02:
                increments.append(Increment(at, end, 0, octets, Flag.AMBIGUOUS))
            at = end
        add({start: (day.out if number else day.into) for start, day in days.items()}, increments, 10**9)
    return [(start, encode(day)) for start, day in days.items()]


@pytest.mark.fast
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("speed_bps", [10**9, None])
def test_the_fast_way_gives_the_interval_of_the_plain_way(seed: int, speed_bps: int | None) -> None:
    rows = blobs(seed)
    start, end = 9 * 3_600_000, DAYS * DAY_MS - 15 * 3_600_000
    days = [decode(at, blob) for at, blob in rows]
    found = percentile(rows, start, end, speed_bps)
    for interval, side in zip(found, ([d.into for d in days], [d.out for d in days]), strict=True):
        limits = bounds(window(side, start, end), speed_bps)
        assert interval == p95_interval(limits.known, limits.groups)


async def test_every_interface_with_a_slot_day_is_told_once_in_order(tmp_path: Path) -> None:
    database = await TrafficDatabase.open(f"sqlite:///{tmp_path / 'traffic.db'}")
    try:
        async with database.write() as tx:
            await traffic.add_interfaces(tx, [(n, "ge0") for n in range(1, 251)])
            for number in (1, 7, 120, 250):
                kept = [KeptBlob(number, at, 0, closed=False, slots=blob) for at, blob in blobs(number)]
                await slotdays.save(tx, kept, 1)
        found = [one async for one in month_of(database, 0, DAYS * DAY_MS, speed_of=lambda _: 10**9)]
    finally:
        await database.close()
    assert [one.interface_id for one in found] == [1, 7, 120, 250]
    assert found[1].into == percentile(blobs(7), 0, DAYS * DAY_MS, 10**9)[0]
