"""The simulated traffic is the same every time, and its counters tell exactly its slots."""

from __future__ import annotations

import json

import pytest

from drivers.simulator.traffic import DAY_MS, SLOT_MS, WEEK_MS, Faults, Profile, Traffic, ndjson
from inventory.congestion import day_figures, levels
from inventory.counters import Reading, pair_all
from inventory.metering import p95, p95_interval, slot_capacity_octets
from inventory.periods import day_start_ms, moment_at
from inventory.timeslots import bounds, slot

pytestmark = pytest.mark.fast

START_MS = 1_735_657_200_000  # midnight in Tokyo
OFFICE = Profile(seed=7, kind="office", capacity_bps=100_000_000, busy_share=0.9)


def test_the_same_seed_gives_the_same_bytes_in_whatever_order_it_is_asked() -> None:
    a, b = Traffic(OFFICE, START_MS), Traffic(OFFICE, START_MS)
    b.octets_at(START_MS + 5 * DAY_MS)
    end = START_MS + 2 * DAY_MS
    first, second = (b"".join(ndjson("E-1", "ge0", t.readings(START_MS, end, step_ms=60_000))) for t in (a, b))
    assert first == second
    assert Traffic(Profile(8, "office", 100_000_000, 0.9), START_MS).octets_at(end) != a.octets_at(end)


def test_the_live_counter_goes_on_where_the_past_readings_end() -> None:
    traffic = Traffic(OFFICE, START_MS)
    past = list(traffic.readings(START_MS, START_MS + DAY_MS))
    now = START_MS + DAY_MS + 61_234
    assert traffic.octets_at(now) >= (past[-1].in_octets, past[-1].out_octets)
    assert traffic.octets_at(past[-1].t_ms) == (past[-1].in_octets, past[-1].out_octets)


@pytest.mark.parametrize("kind", ["home", "office", "backup"])
def test_slots_made_from_its_readings_are_the_truth(kind: str) -> None:
    traffic = Traffic(Profile(3, kind, 50_000_000, 0.6), START_MS)  # type: ignore[arg-type]  # parametrized
    end = START_MS + DAY_MS
    readings = [Reading(r.t_ms, r.in_octets, r.uptime_cs) for r in traffic.readings(START_MS, end)]
    series = slot(pair_all(readings, 64, 10**9).increments, START_MS, end)
    assert list(series.known) == [into for into, _ in traffic.slots(START_MS, end)]


def test_the_interval_holds_the_truth_after_reboots_and_missed_polls() -> None:
    traffic, end = Traffic(OFFICE, START_MS), START_MS + WEEK_MS
    faults = Faults(missed=0.05, duplicates=0.02, reboots_ms=(START_MS + DAY_MS, START_MS + 3 * DAY_MS))
    readings = [Reading(r.t_ms, r.in_octets, r.uptime_cs) for r in traffic.readings(START_MS, end, faults=faults)]
    found = bounds(slot(pair_all(readings, 64, 10**9).increments, START_MS, end), 10**9)
    interval = p95_interval(found.known, found.groups)
    truth = p95([into for into, _ in traffic.slots(START_MS, end)])
    assert interval.high is not None
    assert interval.low <= truth <= interval.high
    assert interval.low < interval.high


@pytest.mark.parametrize(("share", "level"), [(0.5, 0), (0.95, 2)])
def test_an_office_line_is_as_congested_as_its_profile_says(share: float, level: int) -> None:
    traffic = Traffic(Profile(11, "office", 100_000_000, share, bursts=False), START_MS)
    days = []
    for n in range(14):
        begin = day_start_ms(moment_at(START_MS + n * DAY_MS, "Asia/Tokyo").date(), "Asia/Tokyo")
        octets = [into for into, _ in traffic.slots(begin, begin + DAY_MS)]
        days.append(day_figures(octets, slot_capacity_octets(100_000_000)))
    assert min(levels(days)[-1], 2) == level
    assert all(day.valid for day in days)


def test_nothing_passes_above_the_capacity() -> None:
    traffic = Traffic(Profile(5, "home", 10_000_000, 1.1), START_MS)
    highest = max(max(pair) for pair in traffic.slots(START_MS, START_MS + DAY_MS))
    assert highest <= slot_capacity_octets(10_000_000)
    assert highest > 0.97 * slot_capacity_octets(10_000_000)


def test_it_says_when_a_growing_line_is_full() -> None:
    assert Traffic(Profile(1, "home", 10**8, 0.5, 0.02), START_MS).saturation_week() == 35
    assert Traffic(Profile(1, "home", 10**8, 0.5), START_MS).saturation_week() is None
    assert Traffic(Profile(1, "home", 10**8, 0.9), START_MS).saturation_week() == 0


def test_it_refuses_times_off_the_grid_or_before_its_start() -> None:
    with pytest.raises(ValueError, match="multiple"):
        Traffic(OFFICE, START_MS + 1)
    with pytest.raises(ValueError, match="before the start"):
        Traffic(OFFICE, START_MS).octets_at(START_MS - 1)
    with pytest.raises(ValueError, match="grid"):
        Traffic(OFFICE, START_MS).slots(START_MS + SLOT_MS + 1, START_MS + DAY_MS)


def test_each_line_of_the_import_names_its_entry_and_instant() -> None:
    line = json.loads(next(ndjson("E-4", "ge0", Traffic(OFFICE, START_MS).readings(START_MS, START_MS))))
    assert (line["entry"], line["at_ms"], line["counter_bits"]) == ("E-4", START_MS, 64)
