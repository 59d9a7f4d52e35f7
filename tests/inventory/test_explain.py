"""No state is unexplained, and no two different states read the same (architecture §8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.entitlement import Stop
from inventory.explain import (
    ENDED,
    AdapterFacts,
    ConfigState,
    Contact,
    Explanation,
    Hearing,
    LinkFacts,
    Seat,
    explain_adapter,
    explain_link,
)
from inventory.explainwork import explain_operation, explain_plan, explain_push, operation_words
from inventory.operations import HOLDING, OperationState
from inventory.plans import PlanStanding, PushState

pytestmark = pytest.mark.fast

NOW_MS = 1_760_000_000_000
LIVES = (
    "ordered",
    "delivered",
    "installed",
    "in-service",
    "failed",
    "send-back-due",
    "return-due",
    "returned",
    "cancelled",
    "lost",
    "retired",
)


def reachable() -> Iterator[AdapterFacts]:
    """Every combination of the three axes and the marks that the state machines allow."""
    for life, seat, contact, config, path in product(LIVES, Seat, Contact, ConfigState, ("arms", "ssh")):
        if life in {*ENDED, "ordered"} and (seat is not Seat.NONE or config is not ConfigState.NONE):
            continue  # nothing that has ended, or was never sent, sits in a slot
        if seat is not Seat.ENTRY and config is not ConfigState.NONE:
            continue  # config belongs to a place
        if life == "in-service" and contact is Contact.NEVER_SEEN:
            continue  # first contact is what puts an adapter in service
        if path == "ssh" and contact not in (Contact.NEVER_SEEN, Contact.REFUSED, Contact.READY, Contact.SILENT):
            continue  # boot stages are ARMS's
        marks: list[dict[str, Any]] = [{}]
        if life == "delivered":
            marks.append({"missing": ("site", "line")})
        if seat is not Seat.NONE:
            marks.append({"suspended": "payment overdue"})
            marks.append({"unentitled": Stop("SMF-23.2", "L-7 has ended with 2025-05-31")})
        if contact is not Contact.NEVER_SEEN:
            marks.append({"quarantine": "another serial number answered", "quarantine_at_ms": NOW_MS})
        if contact is Contact.REFUSED:
            marks.append({"refusal": "404: standby"})
        if contact is Contact.NEVER_SEEN and path == "arms":
            marks.append({"refusal": "401: the key is wrong"})
        if path == "arms" and contact is not Contact.NEVER_SEEN:
            marks.append({"loop": "it asked 31 times within 60 s", "loop_at_ms": NOW_MS})
        if path == "arms" and seat is Seat.ENTRY and contact is not Contact.NEVER_SEEN:
            marks.append({"trial": "startup version 7 failed its connection check once", "trial_at_ms": NOW_MS})
            marks.append({"trial": "startup version 7 failed its connection check once", "fell_back": True})
            marks.append({"modules": "module 0 wants 5.66.0-0 and runs 5.40.0-0", "modules_at_ms": NOW_MS})
        if seat is Seat.ENTRY:
            marks.append({"doubt": "push 7 to E-1 ended in doubt: it is neither (incident 4)", "doubt_at_ms": NOW_MS})
        for mark in marks:
            yield AdapterFacts(
                serial="X1-0001",
                life=life,
                life_at_ms=NOW_MS - 9000,
                seat=seat,
                seat_key={Seat.ENTRY: "E-1", Seat.STANDBY: "S-1", Seat.NONE: None}[seat],
                seat_at_ms=NOW_MS - 8000,
                contact=contact,
                contact_at_ms=None if contact is Contact.NEVER_SEEN else NOW_MS - 5000,
                config=config,
                config_at_ms=NOW_MS - 4000 if config is not ConfigState.NONE else None,
                path=path,
                **mark,
            )


HEARD = (
    Hearing(clone=(NOW_MS, "192.0.2.1 and 198.51.100.1")),
    Hearing(silence=(NOW_MS, "the adapters of one site fell silent together (incident 3)")),
    Hearing(refused=((NOW_MS, "heartbeats refused in its name for a wrong key: 3, the last from 192.0.2.9"),)),
    Hearing(troubles=((NOW_MS, "memory 0 is nearly full: 93 % used"),)),
)


def complete(explanation: Explanation) -> None:
    assert explanation.summary
    assert explanation.word
    assert explanation.next_action
    assert explanation.facts
    for fact in explanation.facts:
        assert fact.at_ms > 0
        assert fact.text
        assert fact.source
    assert list(explanation.facts) == sorted(explanation.facts, key=lambda fact: fact.at_ms)


def test_every_reachable_state_of_an_adapter_is_explained_and_reads_differently() -> None:
    seen: dict[str, AdapterFacts] = {}
    heard = (replace(facts, heard=one) for facts in reachable() if facts.path == "arms" for one in HEARD)
    for facts in chain(reachable(), heard):
        explanation = explain_adapter(facts, NOW_MS)
        complete(explanation)
        twin = seen.setdefault(f"{facts.path} {explanation.summary}", facts)
        assert twin is facts, f"these read the same: {twin} and {facts}"
    assert len(seen) > 500


def test_an_adapter_under_operation_says_so_and_differently_for_each_state() -> None:
    ready = [f for f in reachable() if f.seat is Seat.ENTRY and f.contact in (Contact.READY, Contact.SILENT)]
    seen = {f"{facts.path} {explain_adapter(facts, NOW_MS).summary}" for facts in ready}
    states = [*HOLDING, OperationState.WAITING]
    for facts, state in product(ready, states):
        under = replace(facts, operation=operation_words("operation 7 (ping)", state), operation_at_ms=NOW_MS - 100)
        explanation = explain_adapter(under, NOW_MS)
        complete(explanation)
        assert "operation 7 (ping)" in explanation.summary
        seen.add(f"{facts.path} {explanation.summary}")
    assert len(seen) == len(ready) * (1 + len(states))


def test_every_state_of_an_operation_is_explained_and_reads_differently() -> None:
    seen = set()
    for state in OperationState:
        explanation = explain_operation("operation 7 (ping)", state, since_ms=NOW_MS)
        complete(explanation)
        seen.add(explanation.summary)
    assert len(seen) == len(OperationState)


def test_an_adapter_that_runs_its_config_needs_nothing() -> None:
    ok = next(
        f
        for f in reachable()
        if f.life == "in-service" and f.config is ConfigState.IN_SYNC and f.contact is Contact.READY
    )
    explanation = explain_adapter(ok, NOW_MS)
    assert (explanation.word, explanation.next_action) == ("ok", "Nothing to do.")


def test_a_silent_entry_is_told_to_promote_a_standby() -> None:
    silent = next(
        f for f in reachable() if f.life == "in-service" and f.seat is Seat.ENTRY and f.contact is Contact.SILENT
    )
    explanation = explain_adapter(silent, NOW_MS)
    assert explanation.word == "silent"
    assert "standby" in explanation.next_action


def test_a_place_that_fell_back_says_so_and_what_to_do() -> None:
    fell = next(
        f for f in reachable() if f.life == "in-service" and f.fell_back and f.contact is Contact.READY and f.trial
    )
    explanation = explain_adapter(fell, NOW_MS)
    assert explanation.word == "fell back"
    assert "release it as startup" in explanation.next_action
    assert any(fact.text == fell.trial for fact in explanation.facts)


def test_syncing_modules_is_progress_and_no_failure() -> None:
    syncing = next(f for f in reachable() if f.life == "in-service" and f.contact is Contact.MODULE_SYNCING)
    explanation = explain_adapter(syncing, NOW_MS)
    assert "no failure" in explanation.next_action


def test_every_state_of_a_push_is_explained_and_reads_differently() -> None:
    seen = set()
    for state in PushState:
        explanation = explain_push("push 7", state, since_ms=NOW_MS)
        complete(explanation)
        seen.add(explanation.summary)
    assert len(seen) == len(PushState)


def test_what_a_push_has_only_begun_is_not_said_to_be_done() -> None:
    reached = {state: explain_push("push 7", state, since_ms=NOW_MS).summary for state in PushState}
    for state in (PushState.ARMED, PushState.VERIFIED, PushState.CONFIRMED, PushState.SAVED, PushState.DONE):
        begun = explain_push("push 7", state, since_ms=NOW_MS, begun=True)
        complete(begun)
        assert begun.summary not in reached.values()
    saving = explain_push("push 7", PushState.SAVED, since_ms=NOW_MS, begun=True, reason="`configure confirm` accepted")
    assert saving.summary == "push 7 is saving the change: `configure confirm` accepted"


def test_a_push_that_could_not_be_saved_is_not_said_to_run_something_else() -> None:
    reason = "the device runs the change, not saved: flash is full"
    told = explain_push("push 7", PushState.QUARANTINED, since_ms=NOW_MS, reason=reason)
    assert "neither" not in told.summary
    assert reason in told.summary
    assert "back before this push" in told.next_action


def test_nobody_is_told_to_rely_on_a_guard_that_the_device_does_not_have() -> None:
    for state in (PushState.ARMED, PushState.APPLYING):
        told = explain_push("push 7", state, since_ms=NOW_MS, begun=state is PushState.APPLYING, guarded=False)
        complete(told)
        assert "undoes by itself" not in told.next_action
        assert "own way back" not in told.summary


def test_a_push_that_was_asked_to_stop_says_by_whom() -> None:
    told = explain_push("push 7", PushState.APPLYING, since_ms=NOW_MS, begun=True, stopped_by="ann")
    assert told.summary == "push 7 is sending the change; ann has asked it to stop"
    assert "taken back" in told.next_action
    early = explain_push("push 7", PushState.PLANNED, since_ms=NOW_MS, begun=True, stopped_by="ann")
    assert early.next_action == "Wait: it ends before anything is sent."


def test_every_standing_of_a_plan_is_explained_and_reads_differently() -> None:
    seen = set()
    for standing in PlanStanding:
        explanation = explain_plan("plan 7", standing, since_ms=NOW_MS)
        complete(explanation)
        seen.add(explanation.summary)
    assert len(seen) == len(PlanStanding)


@given(
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 90),
    st.sampled_from([None, "line", "port"]),
    st.none() | st.just("P-1"),
)
def test_every_state_of_a_link_is_explained(
    level: int, stale: bool, days: int, kind: str | None, proposal: str | None
) -> None:
    facts = LinkFacts("E-1 ge0", level, NOW_MS, days, stale, kind, "100 Mbit/s", proposal=proposal)
    complete(explain_link(facts))


def test_links_of_different_state_read_differently() -> None:
    seen = set()
    for level, stale, kind in product(range(4), (False, True), (None, "line")):
        if kind is None and (level or stale):
            continue  # without a capacity nothing is judged
        seen.add(explain_link(LinkFacts("E-1 ge0", level, NOW_MS, 30, stale, kind, "100 Mbit/s")).summary)
    assert len(seen) == 9


def test_a_congested_link_without_a_proposal_is_not_sent_to_one() -> None:
    hot = LinkFacts("E-1 ge0", 3, NOW_MS, 30, False, "line", "100 Mbit/s")
    assert "why nothing is proposed" in explain_link(hot).next_action
    assert explain_link(replace(hot, proposal="4")).next_action == "Review proposal 4."
    ordered = explain_link(replace(hot, ordered="4"))
    assert "proposal 4 was accepted" in ordered.summary
    assert ordered.next_action.startswith("Carry out")


def test_an_identity_in_two_places_is_told_by_its_word_its_sources_and_the_rule() -> None:
    facts = replace(next(f for f in reachable() if f.life == "in-service" and f.path == "arms"), heard=HEARD[0])
    explanation = explain_adapter(facts, NOW_MS)
    assert explanation.word == "in two places"
    assert [fact.rule for fact in explanation.facts if "192.0.2.1" in fact.text] == ["MPC-11"]
    assert "shut the identity out" in explanation.next_action


def test_a_unit_that_comes_with_a_wrong_key_is_not_looked_for_at_its_power_plug() -> None:
    facts = AdapterFacts(
        serial="X1-0001",
        life="installed",
        life_at_ms=NOW_MS,
        seat=Seat.ENTRY,
        seat_key="E-1",
        seat_at_ms=NOW_MS,
        contact=Contact.NEVER_SEEN,
        contact_at_ms=None,
        config=ConfigState.NONE,
        config_at_ms=None,
        path="arms",
        refusal="401: the key is wrong",
    )
    told = explain_adapter(facts, NOW_MS)
    assert "401: the key is wrong" in told.summary
    assert "Power it on" not in told.next_action
    assert "Location Server key" in told.next_action


def test_an_adapter_that_a_push_left_in_doubt_says_so_before_its_config_is_spoken_of() -> None:
    doubted = [one for one in reachable() if one.doubt and one.contact is Contact.READY and one.life == "in-service"]
    assert {one.config for one in doubted} == set(ConfigState)
    for facts in doubted:
        told = explain_adapter(facts, NOW_MS)
        assert "push 7 to E-1 ended in doubt: it is neither (incident 4)" in told.summary
        followed = facts.config is ConfigState.PUSHING
        assert told.next_action.startswith("Follow the push" if followed else "Read the push that ended in doubt")


@pytest.mark.parametrize("contact", [Contact.NEVER_SEEN, Contact.SILENT])
def test_a_device_that_did_not_answer_is_not_said_to_have_refused_us(contact: Contact) -> None:
    nobody = "192.0.2.9 port 22 did not accept a TCP connection within 10 s."
    known = next(f for f in reachable() if f.path == "ssh" and f.contact is contact)
    told = explain_adapter(replace(known, refusal=nobody), NOW_MS)
    assert f"not reached: {nobody}" in told.summary
    assert "refus" not in told.summary
    assert [fact.text for fact in told.facts if nobody in fact.text] == [f"last attempt: {nobody}"]
