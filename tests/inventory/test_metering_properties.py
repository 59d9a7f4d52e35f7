"""What must hold for every series of readings: nothing is lost, nothing is made, the truth lies inside."""

from __future__ import annotations

from itertools import accumulate, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import metering
from inventory.counters import Flag, Increment, Paired, Reading, pair_all
from inventory.metering import Interval, p95, p95_interval
from inventory.timeslots import SLOT_MS, SlotSeries, Uncertain, bounds, slot

pytestmark = pytest.mark.fast

START_MS = 1_735_657_200_000
SPEED_BPS = 8_000_000
SLOT_CAP = SPEED_BPS * SLOT_MS // 8_000

truths = st.lists(st.integers(0, SLOT_CAP), min_size=2, max_size=60)
"""True octets of each slot, within the port speed."""


def counter_of(truth: list[int], first: int = 0) -> list[Reading]:
    """A reading on each slot boundary."""
    return [
        Reading(START_MS + i * SLOT_MS, octets, uptime_cs=1_000_000 + i * SLOT_MS // 10, name="ge0")
        for i, octets in enumerate(accumulate(truth, initial=first))
    ]


def slotted(paired: Paired, n: int) -> SlotSeries:
    return slot(paired.increments, START_MS, START_MS + n * SLOT_MS)


def interval(readings: list[Reading], n: int) -> Interval:
    found = bounds(slotted(pair_all(readings, 64, SPEED_BPS), n), SPEED_BPS)
    return p95_interval(found.known, found.groups)


def contains(outer: Interval, inner: Interval) -> bool:
    assert outer.high is not None
    assert inner.high is not None
    return outer.low <= inner.low and inner.high <= outer.high


@given(truths, st.data())
def test_deleting_readings_only_widens_the_interval_and_it_still_holds_the_truth(
    truth: list[int], data: st.DataObject
) -> None:
    readings, n = counter_of(truth), len(truth)
    kept = [r for r in readings if data.draw(st.booleans())]
    fewer = [r for r in kept if data.draw(st.booleans())]
    full, some, few = interval(readings, n), interval(kept, n), interval(fewer, n)
    assert full == Interval(p95(truth), p95(truth))
    assert contains(some, full)
    assert contains(few, some)


@given(truths, st.data())
def test_order_and_duplicates_of_arrivals_do_not_matter(truth: list[int], data: st.DataObject) -> None:
    readings = counter_of(truth)
    again = data.draw(st.lists(st.sampled_from(readings)))
    arrived = data.draw(st.permutations(readings + again))
    assert pair_all(arrived, 64, SPEED_BPS) == pair_all(readings, 64, SPEED_BPS)


@given(
    st.lists(st.tuples(st.integers(1, 900_000), st.integers(0, 10**6)), min_size=1, max_size=40),
    st.integers(0, SLOT_MS - 1),
)
def test_octets_are_conserved_whatever_the_readings_times(steps: list[tuple[int, int]], offset_ms: int) -> None:
    t_ms, octets, readings = START_MS + offset_ms, 7, [Reading(START_MS + offset_ms, 7, name="ge0")]
    for step_ms, more in steps:
        t_ms, octets = t_ms + step_ms, octets + more
        readings.append(Reading(t_ms, octets, name="ge0"))
    n = (t_ms - START_MS) // SLOT_MS + 1
    series = slotted(pair_all(readings, 64, None), n)
    assert sum(series.known) + sum(g.octets_min for g in series.groups) == octets - 7
    assert all(g.octets_min == g.octets_max for g in series.groups)
    covered = sum(series.covered_ms) + sum(sum(g.overlap_ms) for g in series.groups)
    assert covered == t_ms - readings[0].t_ms


@given(truths, st.data())
def test_the_truth_lies_inside_after_restarts_and_missed_polls(truth: list[int], data: st.DataObject) -> None:
    """Restarts happen on slot boundaries, so that the even-spread convention moves nothing.

    Uptimes count from 6 s later: a device that is back within the allowance of 5 s, with an uptime not below the one
    before, is what no rule can see (metering §2.3).
    """
    n = len(truth)
    boots = data.draw(st.sets(st.integers(1, n - 1), max_size=3))
    readings, octets, boot = [Reading(START_MS, 0, 1_000_000, name="ge0")], 0, None
    for i, passed in enumerate(truth):
        if i in boots:
            octets, boot = 0, i
        octets += passed
        since_ms = (i + 1 - boot) * SLOT_MS - 6_000 if boot is not None else 10_000_000 + (i + 1) * SLOT_MS
        readings.append(Reading(START_MS + (i + 1) * SLOT_MS, octets, since_ms // 10, name="ge0"))
    kept = [r for r in readings if data.draw(st.integers(0, 3))]
    assert contains(interval(kept, n), Interval(p95(truth), p95(truth)))


small_groups = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=3
)  # (known, room) of each slot


@given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.lists(small_groups, min_size=1, max_size=2), st.data())
def test_the_interval_is_exactly_that_of_all_fillings(
    certain: list[int], drawn: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    known, groups = list(certain), []
    for members in drawn:
        slots = tuple(range(len(known), len(known) + len(members)))
        rooms = tuple(room for _, room in members)
        tmin = data.draw(st.integers(0, sum(rooms)))
        tmax = data.draw(st.integers(tmin, sum(rooms)))
        known += [octets for octets, _ in members]
        groups.append(Uncertain(slots, rooms, tmin, tmax))
    fillings = [
        [f for f in product(*(range(room + 1) for room in g.room)) if g.tmin <= sum(f) <= g.tmax] for g in groups
    ]
    found = []
    for chosen in product(*fillings):
        values = list(known)
        for group, filling in zip(groups, chosen, strict=True):
            for index, octets in zip(group.slots, filling, strict=True):
                values[index] += octets
        found.append(p95(values))
    assert p95_interval(known, groups) == Interval(min(found), max(found))


def test_one_open_slot_does_not_open_a_month() -> None:
    increments = [
        Increment(START_MS + i * SLOT_MS, START_MS + (i + 1) * SLOT_MS, 100, 100, Flag.MEASURED) for i in range(40)
    ]
    for missing, high in ((1, 100), (3, None)):
        found = bounds(slot(increments[missing:], START_MS, START_MS + 40 * SLOT_MS), None)
        assert found.high[0] is None
        assert p95_interval(found.known, found.groups) == Interval(100, high)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=9),
    st.integers(0, 200),
    st.integers(0, 200),
    st.lists(st.integers(0, 50), max_size=40),
)
def test_a_group_of_many_slots_is_searched_as_one_of_few(
    slots: list[tuple[int, int]], a: int, b: int, others: list[int]
) -> None:
    room = tuple(one for _, one in slots)
    tmin, tmax = sorted((min(a, sum(room)), min(b, sum(room))))
    known = [one for one, _ in slots] + others
    group = Uncertain(tuple(range(len(slots))), room, tmin, tmax)
    few = p95_interval(known, [group])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(metering, "FEW", 0)
        assert p95_interval(known, [group]) == few
