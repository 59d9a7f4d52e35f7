"""What a contract line does not entitle to is not controlled, and the rule says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.catalogue import Service
from inventory.contracts import Cause, Contract, State
from inventory.contractwords import explain_line
from inventory.entitlement import lack_of, stop_of, stop_with

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


@pytest.mark.rule("MPC-6.1")
def test_who_has_ended_its_last_line_of_one_kind_is_told_what_the_other_cannot_do() -> None:
    management = replace(LINE, service="mpc")
    adapter = replace(management, kind="adapter")
    gone = replace(adapter, state=State.ENDED, effective=DAY, cause=Cause.NOTICE)
    asked = replace(adapter, state=State.APPLIED, started=False)
    other = replace(adapter, service="smfsx")
    alone = lack_of(management, (management, gone, asked, other))
    assert alone is not None
    assert (alone.rule, "no adapter line is left" in alone.words) == ("MPC-6.1", True)
    assert lack_of(management, (management, adapter, gone)) is None
    unseated = lack_of(adapter, (adapter, replace(management, state=State.ENDED), LINE))
    assert unseated is not None
    assert (unseated.rule, "no management is left" in unseated.words) == ("MPC-6.1", True)
    assert lack_of(adapter, (adapter,), guest=True) is None
    assert lack_of(adapter, (adapter, replace(management, state=State.ACCEPTED))) is None
    assert lack_of(LINE, (LINE,)) is None
    assert lack_of(gone, (gone,)) is None
    assert lack_of(replace(adapter, kind="mobile-access"), ()) is None
    told = explain_line("L-7", "management", management, (), None, alone)
    assert "no adapter line is left" in told.summary
    assert told.next_action == "Apply for what it lacks, or give notice for it."
    suspended = replace(management, state=State.SUSPENDED, suspended=True)
    assert explain_line("L-7", "management", suspended, (), None, alone).next_action.startswith("Resume it")


@pytest.mark.rule("MPC-14", "SMF-23.2", "SMF-22", "SMF-23.1", "SMF-23.3", "MPC-5")
@pytest.mark.parametrize(
    ("cause", "mpc", "smfsx"),
    [
        (Cause.ABOLITION, "SMF-22", "SMF-22"),
        (Cause.PROVIDER, "SMF-23.1", "SMF-23.1"),
        (Cause.DEPENDENCY, "MPC-6.5", "SMF-23.3"),
        (Cause.NOTICE, "MPC-14", "SMF-23.2"),
        (None, "MPC-14", "SMF-23.2"),
    ],
)
def test_what_has_ended_names_the_rule_that_ended_it(cause: Cause | None, mpc: str, smfsx: str) -> None:
    services: tuple[tuple[Service, str], ...] = (("mpc", mpc), ("smfsx", smfsx))
    for service, rule in services:
        stop = stop_of("L-7", replace(LINE, service=service, state=State.ENDED, effective=DAY, cause=cause))
        assert stop is not None
        assert (stop.rule, str(stop)) == (rule, f"L-7 has ended with {DAY} ({rule})")
    waiting = stop_of("L-7", replace(LINE, service="mpc", state=State.ACCEPTED, started=False))
    assert waiting is not None
    assert waiting.rule == "MPC-5"
