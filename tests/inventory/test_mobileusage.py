"""A mobile plan that runs out: what is certain of it, what cannot be excluded, and what may still be changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import Month, day_end_ms, tokyo_day
from inventory.counters import Flag, Increment
from inventory.errors import RuleViolation
from inventory.mobilechanges import PossibleChange, packs_changes, plan_changes
from inventory.mobileusage import (
    DAY_MS,
    GB,
    NOTHING,
    Pace,
    RunOut,
    RunOutState,
    Usage,
    Used,
    added,
    allowance_gb,
    measured,
    pace,
    runs_out,
    shared,
    unmeasured,
)
from inventory.optionrules import packs_change, plan_change
from inventory.timeslots import SLOT_MS, slot

pytestmark = pytest.mark.fast

JUNE = Month(2025, 6)
START_MS = day_end_ms(date(2025, 5, 31))
MBIT = 1_000_000


def used(days: list[int | tuple[int, int | None]], month: Month = JUNE) -> Usage:
    """Days of octets, whole ones measured; of a pair nothing was."""
    start = day_end_ms(month.first) - DAY_MS
    parts = []
    for number, octets in enumerate(days):
        low, high = octets if isinstance(octets, tuple) else (octets, octets)
        found = Used(low, high, 0 if isinstance(octets, tuple) else DAY_MS, DAY_MS)
        parts.append(Usage(found, {tokyo_day(start + number * DAY_MS): found}))
    return added(parts)


def told(days: list[int | tuple[int, int | None]], limit_gb: int | None = 10) -> RunOut:
    """What is told at the end of the last of these days."""
    found = used(days)
    as_of_ms = START_MS + len(days) * DAY_MS
    return runs_out(limit_gb, JUNE, found, pace(found.days, tokyo_day(as_of_ms)), as_of_ms)


def test_a_plan_has_the_gb_of_its_name_and_a_group_those_of_its_packs() -> None:
    assert [allowance_gb(plan) for plan in ("normal", "backup", "10GB", "30GB", "50GB")] == [None, None, 10, 30, 50]
    assert allowance_gb("packet-share", 75) == 75
    assert allowance_gb("packet-share") is None


def test_at_half_a_gb_a_day_ten_gb_run_out_on_the_twentieth() -> None:
    assert told([GB // 2] * 6) == RunOut(RunOutState.EXPECTED, *[date(2025, 6, 20)] * 3)


def test_uneven_days_make_an_earliest_and_a_latest_day() -> None:
    found = told([GB // 4, 3 * GB // 4] * 4)
    assert found.state is RunOutState.EXPECTED
    assert found.early is not None
    assert found.late is not None
    assert found.early < date(2025, 6, 20) < found.late


def test_a_plan_that_is_used_up_is_told_with_its_day_even_without_a_pace() -> None:
    assert told([4 * GB, 4 * GB, 4 * GB]) == RunOut(RunOutState.ALREADY, *[date(2025, 6, 3)] * 3)


def test_a_gap_that_may_have_held_the_rest_makes_it_possible_and_never_certain() -> None:
    found = told([GB // 10] * 6 + [(0, 20 * GB)])
    assert (found.state, found.day, found.early) == (RunOutState.POSSIBLE, None, date(2025, 6, 7))


def test_a_day_without_a_bound_may_have_carried_anything() -> None:
    found = told([(0, None)])
    assert (found.state, found.early) == (RunOutState.POSSIBLE, date(2025, 6, 1))


def test_few_days_make_no_forecast() -> None:
    assert told([GB // 10] * 4) == RunOut(RunOutState.NOT_ENOUGH_DATA)
    assert told([GB // 10] * 5).state is RunOutState.NONE


def test_a_plan_without_a_limit_never_runs_out() -> None:
    assert told([50 * GB] * 9, None) == RunOut(RunOutState.NO_LIMIT)


def test_a_month_that_is_over_is_not_forecast() -> None:
    found = used([GB // 10] * 30)
    as_of_ms = day_end_ms(JUNE.last)
    assert runs_out(10, JUNE, found, pace(found.days, date(2025, 7, 1)), as_of_ms) == RunOut(RunOutState.NONE)


def test_the_next_month_begins_with_nothing_used() -> None:
    steady = Pace(GB / 2, 0, 28)
    found = runs_out(10, Month(2025, 7), NOTHING, steady, START_MS + 20 * DAY_MS)
    assert found == RunOut(RunOutState.EXPECTED, *[date(2025, 7, 20)] * 3)


def test_both_directions_count_and_a_gap_has_the_room_of_the_port() -> None:
    slots = [Increment(START_MS + i * SLOT_MS, START_MS + (i + 1) * SLOT_MS, 700, 700, Flag.MEASURED) for i in range(3)]
    into = slot(slots[:2], START_MS, START_MS + 3 * SLOT_MS)
    out = slot(slots, START_MS, START_MS + 3 * SLOT_MS)
    found = measured(into, out, 8 * MBIT).total
    assert found == Used(5 * 700, 5 * 700 + 300 * MBIT, 2 * SLOT_MS, 3 * SLOT_MS)
    assert measured(into, out, None).total.octets_high is None


def test_a_sum_over_a_long_pair_is_certain_in_the_month_though_not_in_its_days() -> None:
    night = Increment(START_MS + DAY_MS - 3_600_000, START_MS + DAY_MS + 3_600_000, 900, 900, Flag.DERIVED)
    series = slot([night], START_MS + DAY_MS - 3_600_000, START_MS + DAY_MS + 3_600_000)
    found = measured(series, replace(series, groups=()), MBIT)
    assert (found.total.octets_low, found.total.octets_high) == (900, 900)
    assert [one.octets_low for one in found.days.values()] == [0, 0]


def test_the_slot_in_which_a_sim_moves_is_certain_for_neither_place() -> None:
    whole = Usage(Used(500, 600, SLOT_MS, SLOT_MS), {})
    assert shared(whole, START_MS, START_MS + 1_000).total == Used(0, 600, 0, 1_000)


@given(st.integers(0, 10 * DAY_MS), st.integers(0, 10 * DAY_MS))
def test_unmeasured_time_is_cut_at_midnight_and_none_is_lost(begin: int, length: int) -> None:
    found = unmeasured(START_MS + begin, START_MS + begin + length)
    assert found.total.wanted_ms == length == sum(one.wanted_ms for one in found.days.values())
    assert all(0 < one.wanted_ms <= DAY_MS for one in found.days.values())
    assert found.total.octets_high == (None if length else 0)


octets = st.integers(0, 3 * GB)
days = st.lists(octets | st.tuples(octets, octets).map(lambda pair: (min(pair), max(pair))), max_size=30)


@given(days, st.integers(1, 60))
def test_early_is_never_after_the_day_and_late_never_before_it(
    known: list[int | tuple[int, int | None]], gb: int
) -> None:
    found = told(known, gb)
    assert (found.day is None) == (found.state not in {RunOutState.ALREADY, RunOutState.EXPECTED})
    assert (found.early is not None) == (found.day is not None or found.state is RunOutState.POSSIBLE)
    if found.day is not None and found.early is not None:
        assert JUNE.first <= found.early <= found.day <= (found.late or JUNE.last)
    assert found.state is not RunOutState.ALREADY or used(known).total.octets_low >= gb * GB


@given(days, st.integers(1, 60), st.integers(1, 20))
def test_more_gb_never_run_out_earlier(known: list[int | tuple[int, int | None]], gb: int, more: int) -> None:
    less, larger = told(known, gb), told(known, gb + more)
    for name in ("day", "early", "late"):
        one, other = getattr(less, name), getattr(larger, name)
        assert other is None or (one is not None and one <= other)


@given(st.lists(octets, min_size=1, max_size=30), st.data(), st.integers(1, 60))
def test_measuring_less_widens_the_bounds_and_they_hold_the_truth(
    truth: list[int], data: st.DataObject, gb: int
) -> None:
    index = data.draw(st.integers(0, len(truth) - 1))
    gap: list[int | tuple[int, int | None]] = list(truth)
    gap[index] = (0, 3 * GB)
    whole, holed = used(list(truth)).total, used(gap).total
    assert holed.octets_high is not None
    assert holed.octets_low <= whole.octets_low <= holed.octets_high
    assert holed.coverage < whole.coverage
    certain, doubtful = told(list(truth), gb), told(gap, gb)
    if doubtful.state is RunOutState.ALREADY:
        assert certain.state is RunOutState.ALREADY


# --- what may still be changed ----------------------------------------------------------------------------------------


def changes(
    plan: str, today: date, run_out: date | None = None, octets: float | None = None
) -> dict[object, PossibleChange]:
    return {one.value: one for one in plan_changes(plan, today, run_out=run_out, month_octets=octets, ends=None)}


def test_no_plan_change_holds_before_a_plan_that_runs_out_this_month() -> None:
    found = changes("10GB", date(2025, 6, 12), date(2025, 6, 20), 15 * GB)
    assert set(found) == {"normal", "backup", "30GB", "50GB", "packet-share"}
    thirty = found["30GB"]
    assert (thirty.effective, thirty.request_by) == (date(2025, 7, 1), date(2025, 6, 29))
    assert (thirty.before_run_out, thirty.enough) == (False, True)
    assert changes("30GB", date(2025, 6, 12), None, 15 * GB)["10GB"].enough is False


def test_a_plan_that_runs_out_next_month_can_be_changed_in_time() -> None:
    assert changes("10GB", date(2025, 6, 12), date(2025, 7, 20))["50GB"].before_run_out is True


def test_on_the_last_day_of_a_month_a_plan_change_waits_until_the_month_after_the_next() -> None:
    found = changes("10GB", date(2025, 6, 30))["30GB"]
    assert (found.request_from, found.effective) == (date(2025, 7, 1), date(2025, 8, 1))
    (packs,) = packs_changes(50, date(2025, 6, 30), run_out=None, month_octets=60.5 * GB, ends=None)
    assert (packs.value, packs.request_by, packs.effective) == (61, date(2025, 6, 30), date(2025, 7, 1))


def test_packs_go_down_to_fifty_and_no_further_and_unknown_use_asks_for_nothing() -> None:
    def value(packs_gb: int, octets: float | None, ends: date | None = None) -> list[str | int]:
        found = packs_changes(packs_gb, date(2025, 6, 10), run_out=None, month_octets=octets, ends=ends)
        return [one.value for one in found]

    assert value(80, 3 * GB) == [50]
    assert value(50, 3 * GB) == []
    assert value(50, None) == []
    assert value(50, 90 * GB, date(2025, 6, 30)) == []


def test_what_does_not_run_out_needs_no_change_and_what_ends_takes_none() -> None:
    assert changes("normal", date(2025, 6, 12)) == changes("backup", date(2025, 6, 12)) == {}
    assert plan_changes("10GB", date(2025, 6, 12), run_out=None, month_octets=None, ends=date(2025, 6, 30)) == ()


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.sampled_from(["10GB", "30GB", "50GB", "packet-share"]))
def test_the_last_day_to_ask_is_the_last_one_with_the_same_effect(today: date, plan: str) -> None:
    for one in changes(plan, today).values():
        assert today <= one.request_from <= one.request_by
        assert plan_change(plan, str(one.value), one.request_by) == one.effective
        with pytest.raises(RuleViolation):
            plan_change(plan, str(one.value), one.request_by + timedelta(days=1))
    for one in packs_changes(50, today, run_out=None, month_octets=70 * GB, ends=None):
        assert packs_change(50, int(one.value), one.request_by) == one.effective
        assert packs_change(50, int(one.value), one.request_by + timedelta(days=1)) > one.effective
