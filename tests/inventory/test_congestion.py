"""Levels as an operator lives with them, and reports that come once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.congestion import Cause, CauseFlag, DayFigures, Level, cause_flags, day_figures, levels
from inventory.errors import BadInput
from inventory.periods import Period, Span, day_start_ms, local_ms, span_of
from inventory.proposals import (
    Advice,
    Basis,
    Circumstances,
    Demand,
    ModelOffer,
    Need,
    RemedyKind,
    Situation,
    Standing,
    Verdict,
    need_bps,
    outdated,
    remedy,
    silence,
    tightest_line,
    trigger,
)
from inventory.reporting import Action, Schedule, runs_due

pytestmark = pytest.mark.fast

HOUR_MS = 3_600_000


def day(util: float, **more: int) -> DayFigures:
    return replace(DayFigures(True, 0, util, 0, 0), **more)  # type: ignore[arg-type]  # counts only


def test_an_office_line_is_congested_from_its_third_hot_day_and_over_the_weekend() -> None:
    week = [day(u) for u in (0.84, 0.88, 0.87, 0.90, 0.86, 0.05, 0.05)]
    assert levels(week) == [0, 0, 1, 2, 2, 2, 2]


def test_days_without_measurement_neither_raise_nor_clear() -> None:
    lost = DayFigures(False, None, None, 0, 0)
    hot = day(0.9)
    assert levels([hot, lost, hot, lost, lost, hot, *[lost] * 20]) == [0, 0, 0, 0, 0, *[2] * 21]


@given(
    st.lists(
        st.builds(day, st.floats(0, 1.2), hot90=st.integers(0, 40), hot95=st.integers(0, 40)),
        max_size=40,
    ),
    st.integers(0, 3),
)
def test_levels_do_not_depend_on_when_they_are_evaluated(days: list[DayFigures], ceiling: int) -> None:
    whole = levels(days, ceiling)
    assert [levels(days[: i + 1], ceiling)[-1] for i in range(len(days))] == whole
    assert all(level <= ceiling for level in whole)


def test_a_day_half_in_maintenance_is_not_judged_but_still_reported() -> None:
    found = day_figures([90] * 288, 100, frozenset(range(100)))
    assert not found.valid
    # A busy hour may hold two unknown slots.
    assert (found.busy_start_slot, found.hot90) == (98, 188)


def test_a_day_that_nobody_measured_has_no_busy_hour() -> None:
    found = day_figures([None] * 288, 100)
    assert found == DayFigures(False, None, None, 0, 0, unknown_slots=288)


def test_a_stale_level_proposes_nothing() -> None:
    place = Situation(level=2, capacity_kind="line", valid_days=60)
    assert trigger(place).propose
    assert trigger(replace(place, stale=True)).reason == "not-congested"
    assert trigger(replace(place, open_proposal=True)).reason == "open-proposal"
    assert trigger(replace(place, silence="maintenance")).reason == "maintenance"
    assert trigger(replace(place, level=3, declined_days_ago=5, level_when_declined=2)).propose


BIG = ModelOffer("B", "I", {"forwarding": 1e9}, 4, 1e9, 5000, True, frozenset({"pppoe"}))
SMALL = replace(BIG, model="A", figures_bps={"forwarding": 1e8}, monthly_yen=3000)
NEED = Need(1.2e8, 1.2e8, "forwarding", 1e9, "pppoe", 2)


def test_a_model_whose_figure_nobody_published_is_never_called_too_small() -> None:
    unknown = replace(SMALL, figures_bps={})
    assert remedy(unknown, [BIG], NEED).reason == "device-figure-unknown"
    assert remedy(unknown, [BIG], replace(NEED, line_rate_bps=1e8)).kind is RemedyKind.LINE


def test_its_port_alone_can_refute_a_model_without_figure() -> None:
    found = remedy(replace(SMALL, figures_bps={}, port_speed_bps=1e8), [BIG], NEED)
    assert (found.kind, found.model, found.monthly_delta_yen) == (RemedyKind.MODEL, "B", 2000)


def test_each_direction_of_a_line_is_compared_with_its_own_rate() -> None:
    rate, asked = tightest_line([(1e9, 3e8), (1e8, 2e7)])
    assert (rate, asked) == (1e9, 3e8)
    uneven = replace(NEED, line_bps=3e8, line_rate_bps=rate, line_need_bps=asked)
    assert remedy(replace(SMALL, figures_bps={"forwarding": 1e9}), [BIG], uneven).reason == "fits"
    full = tightest_line([(1e9, 3e8), (1e8, 9e7)])
    assert full == (1e8, 9e7)
    narrow = replace(uneven, line_rate_bps=full[0], line_need_bps=full[1])
    assert remedy(replace(SMALL, figures_bps={"forwarding": 1e9}), [BIG], narrow).kind is RemedyKind.LINE
    assert tightest_line([(None, 3e8), (None, 1e7)]) == (None, None)


def test_a_missing_price_leaves_the_money_out() -> None:
    found = remedy(SMALL, [replace(BIG, monthly_yen=None)], NEED)
    assert (found.model, found.monthly_delta_yen) == ("B", None)


@pytest.mark.rule("MPC-19")
def test_a_model_that_would_lose_an_option_is_not_recommended() -> None:
    found = remedy(SMALL, [BIG], replace(NEED, options=frozenset({"ultra-firewall"})))
    assert (found.kind, found.reason) == (RemedyKind.NONE, "no-model-suffices")


def test_the_smallest_line_that_suffices_is_named() -> None:
    found = remedy(BIG, [], replace(NEED, line_rate_bps=1e8, line_offers_bps=(1e9, 2e8, 1.3e8)))
    assert (found.kind, found.line_rate_bps) == (RemedyKind.LINE, 2e8)


def test_need_without_growth_is_what_was_measured() -> None:
    assert need_bps([Demand(5.0, (1.0, 9.0, 9.0, 9.0))]) == 9.0
    assert need_bps([Demand(5.0, (), True, 5.0, 1.0)]) == 10.0
    assert need_bps([]) == 0


def test_a_report_a_month_late_is_recorded_as_skipped_and_the_last_ones_are_made() -> None:
    schedule = Schedule("d", Period.DAY)
    since = day_start_ms(date(2025, 1, 1), "Asia/Tokyo")
    now = since + 40 * 24 * HOUR_MS
    actions = [run.action for run in runs_due(schedule, since, now)]
    assert [actions.count(a) for a in Action] == [2, 33, 5]
    done = {run.key for run in runs_due(schedule, since, now)}
    assert runs_due(schedule, since, now, done) == []


def test_a_schedule_refuses_a_delay_of_a_month() -> None:
    with pytest.raises(BadInput, match="delay_days"):
        Schedule("d", Period.DAY, delay_days=28)


def test_weeks_begin_on_monday_and_local_times_exist() -> None:
    assert span_of(Period.WEEK, date(2025, 6, 1)) == Span(date(2025, 5, 26), date(2025, 6, 2))
    assert local_ms(date(2025, 3, 30), time(2, 30), "Europe/Berlin") == 1_743_296_400_000
    with pytest.raises(BadInput, match="no time zone"):
        day_start_ms(date(2025, 1, 1), "Mars/Olympus")


def test_critical_is_the_highest_level() -> None:
    assert levels([day(0.5, hot95=24)] * 2)[-1] is Level.CRITICAL


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Circumstances(), None),
        (Circumstances(lan_side=True), "lan-side"),
        (Circumstances(grade="C"), "grade-c"),
        (Circumstances(grade="B"), None),
        (Circumstances(swapping=True), "swap"),
        (Circumstances(capacity_since=date(2026, 5, 4)), "capacity-changed"),
        (Circumstances(capacity_since=date(2026, 5, 3)), None),
        (Circumstances(suspended=True), "suspended"),
        (Circumstances(ends=date(2026, 7, 30)), "ending"),
        (Circumstances(ends=date(2026, 7, 31)), None),
        (Circumstances(ordered=date(2025, 12, 2)), "ordered"),
        (Circumstances(ordered=date(2025, 12, 1)), None),
    ],
)
def test_nothing_is_said_where_a_proposal_would_miss_the_point(place: Circumstances, said: str | None) -> None:
    assert silence(place, date(2026, 5, 31)) == said


STANDING = Standing(date(2026, 5, 1), Basis("line", 10**8, "SEIL/X4"), Advice("line", None, 2e8))
HOT, CALM = Verdict(True, "level"), Verdict(False, "not-congested")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"basis": None}, "no-adapter"),
        ({"basis": Basis("line", 10**8, "SEIL CA10")}, "model-changed"),
        ({"basis": Basis("line", 2 * 10**8, "SEIL/X4")}, "capacity-changed"),
        ({"verdict": CALM, "advice": None}, "not-congested"),
        ({"verdict": CALM, "advice": None, "stale": True}, None),
        ({"verdict": Verdict(False, "ending"), "advice": None, "stale": True}, "ending"),
        ({"verdict": Verdict(False, "grade-c"), "advice": None}, None),
        ({"verdict": Verdict(False, "not-enough-data"), "advice": None}, None),
        ({"advice": Advice("line", None, 5e8)}, "newer-evidence"),
        ({"advice": Advice("line", None, 5e8), "today": date(2026, 5, 7)}, None),
    ],
)
def test_an_open_proposal_stands_until_what_it_rests_on_is_no_more(changed: dict[str, Any], why: str | None) -> None:
    usual: dict[str, Any] = {
        "today": date(2026, 5, 8),
        "basis": STANDING.basis,
        "verdict": HOT,
        "stale": False,
        "advice": STANDING.advice,
    }
    found = usual | changed
    assert outdated(STANDING, found.pop("today"), **found) == why


def test_each_cause_of_a_level_is_one_flag_and_counts_the_days_on_which_it_alone_was_enough() -> None:
    bursts_not_volume = [day(0.45, drop_slots=5)] * 3 + [day(0.45)] * 4
    assert levels(bursts_not_volume)[-1] is Level.CONGESTED
    assert cause_flags(bursts_not_volume, Level.CONGESTED) == (CauseFlag(Cause.DROPS, 3),)
    both = [day(0.90, hot90=8), day(0.88), day(0.5, hot90=7), day(0.86)]
    assert cause_flags(both, Level.CONGESTED) == (CauseFlag(Cause.BUSY_HOUR, 3), CauseFlag(Cause.FULL_SLOTS, 2))
    held = [day(0.90)] * 3 + [day(0.76)] * 7
    assert levels(held)[-1] is Level.CONGESTED
    assert cause_flags(held, Level.CONGESTED) == (CauseFlag(Cause.BUSY_HOUR, 7),)
    assert cause_flags(held, Level.CALM) == ()


@given(
    st.lists(
        st.builds(
            DayFigures,
            st.booleans(),
            st.just(0),
            st.floats(0, 1.2),
            st.integers(0, 30),
            st.integers(0, 30),
            st.integers(0, 5),
            st.floats(0, 2),
        ),
        max_size=20,
    ),
    st.sampled_from([Level.WATCH, Level.CONGESTED, Level.CRITICAL]),
)
def test_a_level_always_has_a_cause_and_calm_has_none(days: list[DayFigures], ceiling: Level) -> None:
    for end, level in enumerate(levels(days, ceiling), 1):
        assert bool(cause_flags(days[:end], level, ceiling)) == (level is not Level.CALM)
