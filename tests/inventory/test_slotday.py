"""A slot-day as it is kept: nothing counts twice, nothing is lost, late readings only make it narrower."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.counters import Flag, Increment, Reading, pair_all
from inventory.metering import p95, p95_interval
from inventory.slotday import DAY_MS, DirectionDay, SlotDay, add, day_start, decode, encode, window
from inventory.timeslots import SLOT_MS, bounds, slot

pytestmark = pytest.mark.fast

MIDNIGHT = 1_735_689_600_000
START_MS = MIDNIGHT + DAY_MS - 30 * SLOT_MS
"""So that a series crosses midnight."""
SPEED_BPS = 8_000_000
SLOT_CAP = SPEED_BPS * SLOT_MS // 8_000


def empty() -> dict[int, DirectionDay]:
    return {MIDNIGHT + n * DAY_MS: DirectionDay(MIDNIGHT + n * DAY_MS) for n in range(3)}


def counter_of(truth: list[int]) -> list[Reading]:
    return [Reading(START_MS + i * SLOT_MS, o) for i, o in enumerate(accumulate(truth, initial=0))]


truths = st.lists(st.integers(0, SLOT_CAP), min_size=2, max_size=60)


@given(truths, st.data())
def test_the_same_readings_twice_change_nothing(truth: list[int], data: st.DataObject) -> None:
    kept = [r for r in counter_of(truth) if data.draw(st.integers(0, 3))]
    increments = pair_all(kept, 64, SPEED_BPS).increments
    once, twice = empty(), empty()
    add(once, increments, SPEED_BPS)
    add(twice, increments, SPEED_BPS)
    assert add(twice, increments, SPEED_BPS) == set()
    assert once == twice


@given(truths, st.data())
def test_a_window_over_kept_days_says_what_its_readings_say(truth: list[int], data: st.DataObject) -> None:
    kept = [r for r in counter_of(truth) if data.draw(st.integers(0, 3))]
    increments = pair_all(kept, 64, SPEED_BPS).increments
    end_ms = START_MS + len(truth) * SLOT_MS
    days = empty()
    add(days, increments, SPEED_BPS)
    direct, stored = slot(increments, START_MS, end_ms), window(days.values(), START_MS, end_ms)
    assert stored.known == direct.known
    assert stored.covered_ms == direct.covered_ms
    a, b = bounds(direct, SPEED_BPS), bounds(stored, SPEED_BPS)
    assert p95_interval(a.known, a.groups) == p95_interval(b.known, b.groups)


@given(truths, st.data())
def test_readings_that_come_late_leave_the_truth_inside(truth: list[int], data: st.DataObject) -> None:
    """Whatever came first, and however the imports overlap."""
    readings, days = counter_of(truth), empty()
    for _ in range(3):
        part = [r for r in readings if data.draw(st.booleans())]
        add(days, pair_all(part, 64, SPEED_BPS).increments, SPEED_BPS)
    found = bounds(window(days.values(), START_MS, START_MS + len(truth) * SLOT_MS), SPEED_BPS)
    assert all(low <= true <= (high or 0) for low, true, high in zip(found.low, truth, found.high, strict=True))
    interval = p95_interval(found.known, found.groups)
    assert interval.low <= p95(truth) <= (interval.high or 0)


def test_a_backup_import_fills_the_gap_that_an_outage_left() -> None:
    truth = [100, 200, 300, 400, 500, 600]
    readings, days = counter_of(truth), empty()
    add(days, pair_all([readings[0], readings[-1]], 64, SPEED_BPS).increments, SPEED_BPS)
    before = window(days.values(), START_MS, START_MS + 6 * SLOT_MS)
    assert [g.octets_min for g in before.groups] == [2100]
    add(days, pair_all(readings[1:4], 64, SPEED_BPS).increments, SPEED_BPS)
    after = window(days.values(), START_MS, START_MS + 6 * SLOT_MS)
    assert after.known == (0, 200, 300, 0, 0, 0)
    assert [(g.slots, g.octets_min, g.octets_max) for g in after.groups] == [((0, 3, 4, 5), 1600, 1600)]


@given(truths, st.data())
def test_a_day_comes_back_from_its_blob_as_it_was(truth: list[int], data: st.DataObject) -> None:
    kept = [r for r in counter_of(truth) if data.draw(st.integers(0, 3))]
    days = empty()
    add(days, pair_all(kept, 64, SPEED_BPS).increments, SPEED_BPS)
    day = SlotDay(MIDNIGHT, days[MIDNIGHT], DirectionDay(MIDNIGHT), {"import"})
    assert decode(MIDNIGHT, encode(day)) == day
    assert encode(decode(MIDNIGHT, encode(day))) == encode(day)


def test_a_complete_day_is_small_and_a_fast_port_still_fits() -> None:
    day = SlotDay.empty(MIDNIGHT)
    add({MIDNIGHT: day.into}, [Increment(MIDNIGHT, MIDNIGHT + SLOT_MS, 1 << 40, 1 << 40, Flag.MEASURED)], None)
    assert decode(MIDNIGHT, encode(day)).into.known[0] == 1 << 40
    assert len(encode(SlotDay.empty(MIDNIGHT))) < 3_000
    with pytest.raises(ValueError, match="format"):
        decode(MIDNIGHT, b"\x09I" + bytes(5000))


def test_midnight_is_that_of_the_clock_in_greenwich() -> None:
    assert day_start(MIDNIGHT + 5) == MIDNIGHT
