"""What a person reads of a mobile plan: different states never read the same, and the next step is in the words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.calendar import Month
from inventory.mobilechanges import plan_changes
from inventory.mobileusage import GB, Pace, RunOut, RunOutState, Used
from inventory.mobilewords import MobileFacts, explain_mobile

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 20)
CALM = MobileFacts(
    subject="L-7",
    month=Month(2025, 6),
    plan="10GB",
    group=False,
    allowance_gb=10,
    used=Used(3 * GB, 3 * GB, 90, 100),
    linked=True,
    as_of_ms=1_749_700_000_000,
    pace=Pace(GB / 2, GB / 10, 28),
    run_out=RunOut(RunOutState.NONE),
    next_month=None,
    changes=(),
)
STATES = (
    RunOut(RunOutState.NO_LIMIT),
    RunOut(RunOutState.ALREADY, DAY, DAY, DAY),
    RunOut(RunOutState.EXPECTED, DAY, DAY, DAY),
    RunOut(RunOutState.EXPECTED, DAY, DAY, None),
    RunOut(RunOutState.POSSIBLE, None, DAY),
    RunOut(RunOutState.NONE),
    RunOut(RunOutState.NOT_ENOUGH_DATA),
)


def test_every_state_reads_differently() -> None:
    every = [
        explain_mobile(replace(CALM, run_out=state, used=used, linked=linked, group=group)).summary
        for state in STATES
        for used in (CALM.used, Used(3 * GB, 4 * GB, 90, 100), Used(3 * GB, None, 90, 100), Used())
        for linked in ((True, False) if used.wanted_ms else (True,))
        for group in (True, False)
    ]
    assert all(one != other for one, other in combinations(every, 2))
    assert {state.state for state in STATES} == set(RunOutState)


@given(st.integers(1, 28))
def test_a_plan_that_runs_out_names_the_smallest_change_that_is_enough_and_that_it_comes_late(day: int) -> None:
    out = RunOut(RunOutState.EXPECTED, date(2025, 6, day), date(2025, 6, day), None)
    may = plan_changes("10GB", date(2025, 6, 12), run_out=out.day, month_octets=16 * GB, ends=None)
    found = explain_mobile(replace(CALM, run_out=out, changes=may))
    assert found.next_action.startswith("Ask the contractor about plan 30GB: ask by 2025-06-29, holds from 2025-07-01")
    assert "nothing that the terms allow holds earlier" in found.next_action
    assert {fact.rule for fact in found.facts if fact.source == "terms"} == {"MPC-9.2(2)(i)"}


def test_next_steps_without_a_change() -> None:
    assert explain_mobile(CALM).next_action == "Nothing has to be done."
    assert "line type mobile" in explain_mobile(replace(CALM, linked=False)).next_action
    gone = replace(CALM, run_out=RunOut(RunOutState.ALREADY, DAY, DAY, DAY))
    assert "no change that the terms allow is known" in explain_mobile(gone).next_action
