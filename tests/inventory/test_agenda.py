"""What falls due: one list, by day, with the rule and what is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.adapters import Life
from inventory.agenda import Due, agenda, notice_to_give, of_claim, of_contract, of_suspension, of_unit
from inventory.calendar import TOKYO
from inventory.contracts import Contract, PendingChange, State
from inventory.deadlines import NoticeKind, notice_in_time, termination_effective
from inventory.outageclaims import OutageClaim, arrives, look, usable_again

pytestmark = pytest.mark.fast

TODAY = date(2025, 6, 10)
LINE = Contract("mpc", "adapter", State.ACTIVE, TODAY, TODAY, date(2024, 7, 10), started=True)


def kinds(found: list[Due]) -> dict[str, date]:
    return {one.kind: one.day for one in found}


def test_a_line_tells_the_end_of_its_minimum_period_and_the_last_day_for_a_notice_that_meets_it() -> None:
    found = kinds(list(of_contract(LINE, "L-1", 1)))
    assert found == {"minimum-period-ends": date(2025, 7, 9), "notice-for-that-end": date(2025, 6, 9)}
    assert termination_effective(found["notice-for-that-end"]) == found["minimum-period-ends"]
    terminating = replace(LINE, state=State.TERMINATING, effective=date(2025, 7, 1))
    assert kinds(list(of_contract(terminating, "L-1", 1))) == {"last-day": date(2025, 7, 1)}
    assert list(of_contract(replace(LINE, state=State.ENDED), "L-1", 1)) == []


def test_a_line_that_waits_tells_its_billing_start_and_an_option_its_change() -> None:
    waiting = replace(LINE, state=State.ACCEPTED, started=False, billing_start=date(2025, 6, 20))
    assert kinds(list(of_contract(waiting, "L-1", 1)))["billing-starts"] == date(2025, 6, 20)
    option = replace(LINE, kind="mobile-access", pending=(PendingChange("plan", "30GB", date(2025, 7, 1)),))
    (change,) = [one for one in of_contract(option, "L-2", 1) if one.kind == "change-takes-effect"]
    assert (change.day, change.words) == (date(2025, 7, 1), "plan becomes 30GB")


def test_units_claims_and_suspensions_fall_due() -> None:
    day = date(2025, 6, 30)
    assert [one.rule for one in of_unit("A1", 1, "mpc", Life.RETURN_DUE, day)] == ["MPC-10.3"]
    assert [one.kind for one in of_unit("A1", 1, "smfsx", Life.SEND_BACK_DUE, day)] == ["send-back"]
    assert list(of_unit("A1", 1, "smfsx", Life.IN_SERVICE, day)) == []
    began = datetime(2025, 5, 1, tzinfo=TOKYO)
    claimable = look(OutageClaim("smfsx", began), began + timedelta(hours=30))
    assert [(one.day, one.kind) for one in of_claim(claimable, "outage 1", 1, TODAY)] == [
        (date(2025, 8, 2), "claim-lapses")
    ]
    claimed = usable_again(arrives(claimable, date(2025, 5, 3)), began + timedelta(hours=40))
    assert [one.kind for one in of_claim(claimed, "outage 1", 1, TODAY)] == ["claim-undecided"]
    assert of_suspension(day, "M-1", 1).rule == "SMF-21"


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.sampled_from(["planned-interruption", "abolition"]))
def test_a_notice_on_its_last_day_is_in_time_and_a_day_later_it_is_not(day: date, kind: NoticeKind) -> None:
    latest = notice_to_give(kind, day, "M-1", 1).day
    assert notice_in_time(kind, day, latest)
    assert not notice_in_time(kind, day, latest + timedelta(days=1))


def test_the_list_is_in_order_and_keeps_what_is_overdue_and_still_to_be_done() -> None:
    late = Due(TODAY - timedelta(days=3), "send-back", "B1", 1, "SMF-10.2", "")
    gone = Due(TODAY - timedelta(days=1), "minimum-period-ends", "L-1", 1, "MPC-5", "")
    now = Due(TODAY, "return", "A1", 1, "MPC-10.3", "")
    soon = Due(TODAY + timedelta(days=30), "last-day", "L-2", 1, "MPC-14", "")
    far = Due(TODAY + timedelta(days=31), "last-day", "L-3", 1, "MPC-14", "")
    found = agenda([far, soon, gone, now, late], TODAY, 30)
    assert found == (late, now, soon)
    assert [one.overdue(TODAY) for one in found] == [True, False, False]
