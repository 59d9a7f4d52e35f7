"""Mistakes that other systems have made with money, told as stories that must end otherwise here (metering §11)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from inventory.counters import WRAP_32, Flag, Increment, Reading, pair, pair_all
from inventory.metering import Convention, combine, p95, p95_interval, port_sum
from inventory.slotday import DAY_MS, DirectionDay, add, window
from inventory.timeslots import SLOT_MS, bounds, slot

pytestmark = pytest.mark.fast

MINUTE_MS = 60_000
GIGABIT = 1_000_000_000


def series(octets_per_slot: list[int], *, bits: int = 64) -> list[Reading]:
    """A counter that is read every five minutes."""
    total, found = 0, [Reading(0, 0, 100)]
    for number, octets in enumerate(octets_per_slot, 1):
        total += octets
        shown = total % WRAP_32 if bits == 32 else total
        found.append(Reading(number * SLOT_MS, shown, 100 + number * SLOT_MS // 10))
    return found


def test_a_percentile_is_a_slot_that_was_measured_never_half_of_one_nor_zero() -> None:
    """LibreNMS #4318: the percentile came out as half, or zero, when it fell between two samples."""
    for n in (1, 2, 19, 20, 21, 288, 8_640):
        values = [1_000 * (i + 1) for i in range(n)]
        assert p95(values) in values
        assert p95(values) == values[(95 * n + 99) // 100 - 1]


def test_a_link_that_is_down_is_a_measured_zero_and_bills_nothing() -> None:
    """LibreNMS #3571: traffic was billed while the link was down, from the last rate before it."""
    moving, still = [50_000_000] * 6, [0] * 6
    paired = pair_all(series(moving + still), 64, GIGABIT)
    found = slot(paired.increments, 0, 12 * SLOT_MS)
    assert found.known[6:] == (0,) * 6
    assert found.covered_ms == (SLOT_MS,) * 12
    assert bounds(found, GIGABIT).high[6:] == (0,) * 6


def test_after_an_outage_the_sum_of_the_missing_time_is_not_charged_to_one_slot() -> None:
    """LibreNMS #9564: all octets of an outage of the poller went into the first sample after it."""
    readings = series([30_000_000] * 288)
    without = [*readings[:100], *readings[148:]]  # four hours nobody polled
    found = slot(pair_all(without, 64, GIGABIT).increments, 0, 288 * SLOT_MS)
    limits = bounds(found, GIGABIT)
    assert max(limits.low) == 30_000_000
    interval = p95_interval(limits.known, limits.groups)
    assert interval.low == 30_000_000
    (group,) = limits.groups
    assert (group.tmin, group.tmax) == (49 * 30_000_000, 49 * 30_000_000)


def test_several_ports_are_summed_slot_by_slot_before_anything_is_sorted() -> None:
    """LibreNMS #15239: the percentiles of ports were added, or the samples of all ports thrown into one heap."""
    one, two = [10] * 50 + [1] * 50, [1] * 50 + [10] * 50
    assert port_sum([(one, one), (two, two)]).low == 11
    assert p95(one) + p95(two) == 20
    assert p95(one + two) == 10


def test_a_port_that_is_polled_twice_as_often_does_not_count_twice() -> None:
    """LibreNMS PR 18481: rates were weighted by how many readings there were."""
    often = [Reading(t * MINUTE_MS, t * 6_000_000) for t in range(61)]
    seldom = [one for one in often if one.t_ms % SLOT_MS == 0]
    slots = [slot(pair_all(one, 64, GIGABIT).increments, 0, 12 * SLOT_MS).known for one in (often, seldom)]
    assert slots[0] == slots[1] == (30_000_000,) * 12


def test_after_counter_trouble_sums_do_not_diverge_and_the_next_good_pair_counts_in_full() -> None:
    """LibreNMS #2066, and caches elsewhere that never healed after a reset: the old value was kept for ever."""
    before = series([40_000_000] * 6)
    after = [
        Reading(one.t_ms + 6 * SLOT_MS, one.octets, 3_000 + (one.t_ms // 10)) for one in series([40_000_000] * 6)[1:]
    ]
    paired = pair_all([*before, *after], 64, GIGABIT)
    assert sum(one.octets_min for one in paired.increments) >= 6 * 40_000_000 + 5 * 40_000_000
    assert [one.octets_min for one in paired.increments[-5:]] == [40_000_000] * 5
    assert all(one.octets_min >= 0 for one in paired.increments)


def test_a_reset_is_never_taken_for_a_wrap_of_four_thousand_million_octets() -> None:
    """Cacti #3901, monitoring-plugins #2257: a smaller counter had 2³² added to it."""
    a, b = Reading(0, 4_000_000_000, 900_000), Reading(SLOT_MS, 1_000_000, 900)
    for bits in (32, 64):
        found = pair(a, b, 64 if bits == 64 else 32, 10_000_000)
        assert sum(one.octets_min for one in found) <= 1_000_000
        assert {one.flag for one in found} & {Flag.RESET, Flag.AMBIGUOUS}


def test_a_wrap_counts_what_passed_and_the_old_value_is_subtracted_once() -> None:
    """Cacti #7424: on a wrap the old value was subtracted twice."""
    a, b = Reading(0, WRAP_32 - 1_000, 100_000), Reading(MINUTE_MS, 2_000, 106_000)
    assert pair(a, b, 32, 100_000_000) == (Increment(0, MINUTE_MS, 3_000, 3_000, Flag.MEASURED),)
    wrapped = series([90_000_000] * 100, bits=32)
    paired = pair_all(wrapped, 32, 100_000_000)
    assert sum(one.octets_min for one in paired.increments) == 9_000_000_000


def test_the_percentile_of_hourly_means_is_a_lower_figure_that_is_never_made() -> None:
    """RRDtool consolidates before its percentile: the figure falls as the graph grows."""
    spiky = [1_000] * 264 + [100_000] * 24
    mixed = [spiky[i % 12 * 24 + i // 12] for i in range(288)]
    hourly = [sum(mixed[i : i + 12]) // 12 for i in range(0, 288, 12)]
    assert p95(hourly) < p95(mixed) == 100_000


def test_missing_slots_stay_in_the_count_so_that_downtime_does_not_pay() -> None:
    """Dropping gaps made a month with an outage dearer or cheaper, as luck would have it."""
    full = [100] * 80 + [1_000] * 5 + [100] * 15
    known = [*full[:80], *([0] * 5), *full[85:]]  # just the busy ones were lost
    found = slot(
        [Increment(i * SLOT_MS, (i + 1) * SLOT_MS, o, o, Flag.MEASURED) for i, o in enumerate(known) if o],
        0,
        100 * SLOT_MS,
    )
    limits = bounds(found, 1_000_000)
    interval = p95_interval(limits.known, limits.groups)
    assert interval.low <= p95(full) <= (interval.high or 0)
    assert len(limits.known) == 100


def test_conventions_of_two_directions_are_different_figures_and_the_default_is_not_the_sum() -> None:
    """LibreNMS #8890: customers of different contracts need different conventions, each by its name."""
    into, out = [10] * 19 + [0], [0] + [10] * 19
    told = {one.value: combine(one, into, out) for one in Convention}
    assert told["max_of_p95"] == told["p95_of_max"] == 10
    assert told["p95_of_sum"] == 20


def test_the_same_readings_again_in_any_order_change_no_octet_of_a_stored_day() -> None:
    """Replays and late packets elsewhere were added a second time."""
    readings = series([7_000_000] * 288)
    increments = [one for a, b in pairwise(readings) for one in pair(a, b, 64, GIGABIT)]
    day = {0: DirectionDay(0)}
    add(day, increments, GIGABIT)
    once = window(day.values(), 0, DAY_MS)
    add(day, list(reversed(increments)), GIGABIT)
    add(day, [replace(one) for one in increments[40:60]], GIGABIT)
    assert window(day.values(), 0, DAY_MS) == once
