"""What a contract line does not entitle to is not controlled, and the rule says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.contracts import Cause, Contract, State
from inventory.contractwords import explain_line
from inventory.entitlement import stop_of, stop_with

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 1)
LINE = Contract("smfsx", "management", State.ACTIVE, DAY, DAY, DAY, started=True)


@pytest.mark.rule("SMF-21", "SMF-23.2", "SMF-23.1", "SMF-22", "SMF-15.3")
@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (LINE, None),
        (replace(LINE, state=State.TERMINATING, effective=DAY, cause=Cause.NOTICE), None),
        (replace(LINE, state=State.APPLIED, started=False), None),
        (replace(LINE, state=State.REFUSED, started=False), None),
        (replace(LINE, state=State.SUSPENDED, suspended=True), "SMF-21"),
        (replace(LINE, state=State.TERMINATING, suspended=True), "SMF-21"),
        (replace(LINE, state=State.ACCEPTED, started=False), "SMF-15.3"),
        (replace(LINE, state=State.TERMINATING, started=False), "SMF-15.3"),
        (replace(LINE, state=State.ENDED, effective=DAY, cause=Cause.NOTICE), "SMF-23.2"),
        (replace(LINE, state=State.ENDED, effective=DAY, cause=Cause.PROVIDER), "SMF-23.1"),
        (replace(LINE, state=State.ENDED, effective=DAY, cause=Cause.ABOLITION), "SMF-22"),
        (replace(LINE, kind="ultra-firewall", state=State.DORMANT), "SMF-2"),
        (replace(LINE, service="mpc", state=State.ENDED, effective=DAY, cause=Cause.NOTICE), "MPC-14"),
    ],
)
def test_a_line_that_gives_no_service_stops_control_with_its_rule(line: Contract, rule: str | None) -> None:
    stop = stop_of("L-7", line)
    assert (None if stop is None else stop.rule) == rule
    if stop is not None:
        assert str(stop).startswith("L-7 ")
        assert str(stop).endswith(f"({rule})")


@pytest.mark.rule("SMF-21")
def test_an_option_on_a_suspended_line_says_so_and_what_to_do() -> None:
    line = replace(LINE, kind="mobile-access")
    told = explain_line("L-7", "mobile-access", line, (), stop_with("L-3"))
    assert told.summary == "L-7 (mobile-access) is active; not in service: L-3, which it is on, is suspended (SMF-21)"
    assert told.next_action.startswith("Resume it")
    assert explain_line("L-7", "mobile-access", line, ()).summary == "L-7 (mobile-access) is active"
