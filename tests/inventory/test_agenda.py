"""What falls due: one list, by day, with the rule and what is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.adapters import Life
from inventory.agenda import KINDS, Due, DueKind, agenda, notice_to_give, of_claim, of_contract, of_suspension, of_unit
from inventory.calendar import TOKYO
from inventory.catalogue import Service
from inventory.contracts import Contract, PendingChange, State
from inventory.deadlines import NoticeKind, notice_in_time, termination_effective
from inventory.fees import Kind
from inventory.outageclaims import ClaimState, OutageClaim, arrives, look, usable_again

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


@pytest.mark.rule("MPC-5", "MPC-9.3", "SMF-16.1", "MPC-14", "MPC-9.5", "SMF-23.2", "SMF-15.3")
@pytest.mark.parametrize(
    ("service", "kind", "period", "notice"),
    [
        ("mpc", "adapter", "MPC-5", "MPC-14"),
        ("mpc", "mobile-access", "MPC-9.3", "MPC-9.5"),
        ("smfsx", "adapter-rental", "SMF-16.1", "SMF-23.2"),
        ("smfsx", "ultra-firewall", "SMF-16.1", "SMF-23.2"),
    ],
)
def test_each_day_of_a_line_is_told_with_the_rule_of_its_service_and_kind(
    service: Service, kind: Kind, period: str, notice: str
) -> None:
    line = replace(LINE, service=service, kind=kind, state=State.ACCEPTED, started=False, billing_start=TODAY)
    waiting = {one.kind: one.rule for one in of_contract(line, "L-1", 1)}
    assert waiting == {"billing-starts": "SMF-15.3", "minimum-period-ends": period, "notice-for-that-end": notice}
    end = line.minimum_period_end
    assert end is not None
    ending = replace(line, state=State.TERMINATING, started=True, effective=end + timedelta(days=1))
    assert {one.kind: one.rule for one in of_contract(ending, "L-1", 1)} == {
        "minimum-period-ends": period,
        "last-day": notice,
    }
    assert [one.kind for one in of_contract(replace(ending, effective=end), "L-1", 1)] == ["last-day"]
    change = replace(line, started=True, pending=(PendingChange("plan", "30GB", TODAY),))
    assert "MPC-9.2" in {one.rule for one in of_contract(change, "L-1", 1) if one.kind == "change-takes-effect"}


@pytest.mark.rule("SMF-21")
def test_a_suspension_is_told_while_it_holds_and_has_a_period() -> None:
    for suspended, until, told in ((True, TODAY, 1), (True, None, 0), (False, TODAY, 0)):
        line = replace(LINE, state=State.SUSPENDED, suspended=suspended, suspended_until=until)
        found = [one for one in of_contract(line, "L-1", 1) if one.kind == "suspension-ends"]
        assert [(one.day, one.rule) for one in found] == [(TODAY, "SMF-21")] * told


@pytest.mark.rule("MPC-10.3", "SMF-9.3", "MPC-12.2", "SMF-10.2")
@pytest.mark.parametrize(
    ("service", "life", "told"),
    [
        ("mpc", Life.RETURN_DUE, ("return", "MPC-10.3")),
        ("smfsx", Life.RETURN_DUE, ("return", "SMF-9.3")),
        ("mpc", Life.SEND_BACK_DUE, ("send-back", "MPC-12.2")),
        ("smfsx", Life.SEND_BACK_DUE, ("send-back", "SMF-10.2")),
    ],
)
def test_a_unit_that_is_due_back_says_after_which_rule(service: Service, life: Life, told: tuple[str, str]) -> None:
    assert [(one.kind, one.rule, one.day) for one in of_unit("A1", 1, service, life, TODAY)] == [(*told, TODAY)]


@pytest.mark.rule("MPC-17", "SMF-26.1")
def test_a_claim_is_undecided_once_its_outage_is_over() -> None:
    began = datetime(2025, 5, 1, tzinfo=TOKYO)
    claimed = arrives(look(OutageClaim("mpc", began, began), began + timedelta(hours=30)), date(2025, 5, 3))
    assert list(of_claim(claimed, "outage 1", 1, TODAY)) == []
    over = usable_again(claimed, began + timedelta(hours=40))
    (due,) = of_claim(over, "outage 1", 1, TODAY)
    assert (due.kind, due.rule, due.day) == ("claim-undecided", "MPC-17", date(2025, 5, 3))
    assert [one.day for one in of_claim(replace(over, claimed_on=None), "outage 1", 1, TODAY)] == [TODAY]
    watching = OutageClaim("mpc", began)
    assert list(of_claim(watching, "outage 1", 1, TODAY)) == []
    assert list(of_claim(replace(watching, state=ClaimState.CLAIMABLE), "outage 1", 1, TODAY)) == []


@pytest.mark.rule("SMF-0", "SMF-20", "SMF-22")
@pytest.mark.parametrize(
    ("kind", "rule", "latest"),
    [
        ("terms-change", "SMF-0", date(2025, 6, 10)),
        ("planned-interruption", "SMF-20", date(2025, 5, 27)),
        ("abolition", "SMF-22", date(2025, 3, 10)),
    ],
)
def test_a_notice_that_is_still_to_be_given_names_its_rule_and_its_last_day(
    kind: NoticeKind | Literal["terms-change"], rule: str, latest: date
) -> None:
    due = notice_to_give(kind, TODAY, "all", None)
    assert (due.kind, due.rule, due.day, due.contractor_id) == ("notice-to-give", rule, latest, None)


@pytest.mark.parametrize(
    ("kind", "stays"),
    [(kind, kind in {"send-back", "claim-undecided", "notice-to-give", "suspension-ends"}) for kind in KINDS],
)
def test_what_somebody_still_has_to_do_stays_on_the_list_after_its_day(kind: DueKind, stays: bool) -> None:
    late = Due(TODAY - timedelta(days=1), kind, "X", 1, "SMF-21", "")
    assert agenda([late], TODAY, 30) == ((late,) if stays else ())
