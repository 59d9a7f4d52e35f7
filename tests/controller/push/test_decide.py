"""What a push does next, as a pure function: walked against a device that answers anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.push.decide import Action, End, Enter, Facts, Reconcile, Revert, decide, finished, touched
from drivers.push import Guard
from inventory.plans import ARMS_ORDER, FINAL, SSH_ORDER, JournalRow, Phase, PushState, Verdict

pytestmark = pytest.mark.fast

STEP_VERDICTS = (Verdict.OK, Verdict.FAILED, Verdict.LOST, Verdict.REFUSED, Verdict.ROLLED_BACK)
FOUND = tuple(verdict for verdict in Verdict if verdict.value.startswith("found"))
GUARDS: tuple[Guard, ...] = ("revert timer", "cfg-save revert", "client rollback", "none")


def planned() -> list[JournalRow]:
    return [JournalRow(1, 0, PushState.PLANNED, Phase.OUTCOME, 0, Verdict.OK)]


def facts(guard: Guard = "revert timer", *, held: bool = True, same_place: bool = True, by: str | None = None) -> Facts:
    return Facts(push_id=1, guard=guard, held=held, same_place=same_place, cancelled_by=by)


def journal(*steps: tuple[PushState, Verdict | None]) -> list[JournalRow]:
    """PLANNED, then for each step its intention and (unless the verdict is None) its outcome."""
    rows = planned()
    for state, verdict in steps:
        rows.append(JournalRow(len(rows) + 1, 1, state, Phase.INTENTION, 0))
        if verdict is not None:
            rows.append(JournalRow(len(rows) + 1, 1, state, Phase.OUTCOME, 0, verdict, said=f"{state} said"))
    return rows


def up_to(state: PushState, verdict: Verdict | None = Verdict.OK, *, arms: bool = False) -> list[JournalRow]:
    """The straight way up to `state`, whose outcome is `verdict`."""
    order = ARMS_ORDER if arms else SSH_ORDER
    before = order[1 : order.index(state)]
    return journal(*((one, Verdict.OK) for one in before), (state, verdict))


def test_a_crash_before_anything_was_sent_begins_again_and_one_after_leads_to_a_reading() -> None:
    for state in SSH_ORDER[1:-1]:
        rows = up_to(state, None)
        expected: Action = Reconcile() if touched(rows) else Enter(PushState.PREFLIGHT)
        assert decide(rows, facts(held=False)) == expected
        assert decide(rows, facts(held=True)) == expected


def test_the_two_orders() -> None:
    assert decide(up_to(PushState.REACHABLE), facts()) == Enter(PushState.VERIFIED)
    assert decide(up_to(PushState.REACHABLE, arms=True), facts("client rollback")) == Enter(PushState.CONFIRMED)


def test_a_refused_line_is_taken_back_and_a_client_that_rolls_back_by_itself_is_left_to_it() -> None:
    assert decide(up_to(PushState.APPLYING, Verdict.FAILED), facts()) == Revert()
    assert decide(up_to(PushState.APPLYING, Verdict.FAILED, arms=True), facts("client rollback")) == Reconcile()
    assert decide(up_to(PushState.VERIFIED, Verdict.FAILED), facts()) == Revert()
    after_confirmation = up_to(PushState.VERIFIED, Verdict.FAILED, arms=True)
    assert decide(after_confirmation, facts("client rollback")) == Reconcile()


def test_what_the_reading_found_decides() -> None:
    def found(verdict: Verdict) -> Action:
        return decide([*up_to(PushState.APPLYING, Verdict.LOST), *journal((PushState.RECONCILE, verdict))[1:]], facts())

    assert found(Verdict.FOUND_INTENT_GUARDED) == Enter(PushState.VERIFIED)
    assert found(Verdict.FOUND_INTENT) == Enter(PushState.SAVED)
    assert found(Verdict.FOUND_BASE_GUARDED) == Revert()
    assert found(Verdict.FOUND_NEITHER_GUARDED) == Revert()
    base, neither = found(Verdict.FOUND_BASE), found(Verdict.FOUND_NEITHER)
    assert isinstance(base, End)
    assert (base.state, base.said) == (PushState.REVERTED, "applying: applying said")
    assert isinstance(neither, End)
    assert neither.state is PushState.QUARANTINED


def test_a_credential_that_the_change_broke_is_tried_once_more_after_the_guard_and_never_a_third_time() -> None:
    rows = up_to(PushState.REACHABLE, Verdict.REFUSED)
    assert decide(rows, facts()) == Reconcile(after_guard=True)
    again = decide([*rows, *journal((PushState.RECONCILE, Verdict.REFUSED))[1:]], facts(held=False))
    assert isinstance(again, End)
    assert again.state is PushState.QUARANTINED


def test_an_unreachable_device_is_tried_three_times_then_nothing_was_sent() -> None:
    rows = planned()
    waits = []
    for _ in range(4):
        action = decide(rows, facts(held=False))
        assert isinstance(action, Enter)
        waits.append(action.wait_s)
        rows += journal((PushState.PREFLIGHT, Verdict.LOST))[1:]
    assert waits[0] == 0.0
    assert [low <= wait <= high for wait, low, high in zip(waits[1:], (1.4, 5.6, 21), (2.6, 10.4, 39), strict=True)]
    end = decide(rows, facts(held=False))
    assert isinstance(end, End)
    assert end.state is PushState.NOT_DONE


def test_a_place_with_a_new_adapter_gets_nothing_of_the_push() -> None:
    end = decide(up_to(PushState.BASELINED), facts(same_place=False))
    assert end == End(PushState.NOT_DONE, "the adapter that the plan was made for has left the place")
    assert decide(up_to(PushState.APPLIED), facts(same_place=False)) == Revert()


def test_cancelling_takes_back_what_is_not_confirmed_and_nothing_else() -> None:
    assert isinstance(decide(up_to(PushState.PREFLIGHT), facts(by="ann")), End)
    assert decide(up_to(PushState.APPLIED), facts(by="ann")) == Revert()
    assert decide(up_to(PushState.CONFIRMED), facts(by="ann")) == Enter(PushState.SAVED)
    assert decide(up_to(PushState.APPLIED, arms=True), facts("client rollback", by="ann")) == Enter(PushState.REACHABLE)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (facts(by="ann"), "cancelled by ann"),
        (facts(same_place=False), "the adapter that the plan was made for has left the place"),
        (replace(facts(), stopped="unpaid"), "stopped by the contract: unpaid"),
        (facts(), "contact was lost while the change was under way"),
    ],
)
def test_what_was_taken_back_on_purpose_is_not_said_to_have_lost_its_contact(now: Facts, said: str) -> None:
    back = [(PushState.REVERTING, Verdict.OK), (PushState.RECONCILE, Verdict.FOUND_BASE)]
    straight = [(state, Verdict.OK) for state in SSH_ORDER[1 : SSH_ORDER.index(PushState.APPLIED)]]
    assert decide(journal(*straight, *back), now) == End(PushState.REVERTED, said)


def test_what_went_wrong_first_is_the_reason_also_where_somebody_cancelled_afterwards() -> None:
    straight = [(state, Verdict.OK) for state in SSH_ORDER[1 : SSH_ORDER.index(PushState.APPLYING)]]
    rows = journal(*straight, (PushState.APPLYING, Verdict.FAILED), (PushState.RECONCILE, Verdict.FOUND_BASE))
    assert decide(rows, facts(by="ann")) == End(PushState.REVERTED, "applying: applying said")


@given(data=st.data(), guard=st.sampled_from(GUARDS))
def test_no_device_is_sent_the_change_twice_whatever_it_answers(data: st.DataObject, guard: Guard) -> None:
    rows, held = planned(), False
    for _ in range(400):
        now = facts(guard, held=held, same_place=data.draw(st.booleans()), by=data.draw(st.sampled_from([None, "ann"])))
        action = decide(rows, now)
        if isinstance(action, End):
            assert action.state in FINAL
            assert action.said
            break
        state = {Reconcile: PushState.RECONCILE, Revert: PushState.REVERTING}.get(type(action))
        if isinstance(action, Enter):
            state = action.state
        assert state is not None
        rows.append(JournalRow(len(rows) + 1, 1, state, Phase.INTENTION, 0))
        if data.draw(st.integers(0, 9)) == 0:
            held = False  # the daemon dies here
            continue
        choice = FOUND if state is PushState.RECONCILE else STEP_VERDICTS
        verdict = data.draw(st.sampled_from((*choice, Verdict.LOST, Verdict.FAILED)))
        rows.append(JournalRow(len(rows) + 1, 1, state, Phase.OUTCOME, 0, verdict, said="said"))
        held = verdict not in (Verdict.LOST, Verdict.REFUSED) and data.draw(st.integers(0, 9)) > 0
        if finished(rows):
            break
    sent = [row for row in rows if row.state is PushState.APPLYING and row.phase is Phase.INTENTION]
    assert len(sent) <= 1
    confirmed = [row for row in rows if row.state is PushState.CONFIRMED and row.phase is Phase.INTENTION]
    assert len(confirmed) <= 3


def test_a_contract_that_stops_ends_what_was_not_sent_takes_back_what_is_guarded_and_lets_the_rest_be_saved() -> None:
    stopped = replace(facts(), stopped="L-7 has ended (SMF-23.2)")
    assert isinstance(decide(up_to(PushState.PREFLIGHT), stopped), End)
    assert decide(up_to(PushState.REACHABLE), stopped) == Revert()
    assert decide(up_to(PushState.CONFIRMED), stopped) == Enter(PushState.SAVED)
    lost = journal((PushState.APPLYING, Verdict.LOST), (PushState.RECONCILE, Verdict.LOST))
    assert isinstance(decide(lost, replace(stopped, held=False)), Reconcile)


def test_a_save_that_was_never_seen_is_told_with_what_was_seen() -> None:
    lost = [(PushState.SAVED, Verdict.LOST), (PushState.RECONCILE, Verdict.FOUND_INTENT)]
    before = [(state, Verdict.OK) for state in SSH_ORDER[1 : SSH_ORDER.index(PushState.SAVED)]]
    action = decide(journal(*before, *lost * 3), facts())
    assert isinstance(action, End)
    assert action.state is PushState.QUARANTINED
    assert "saved said" in action.said


def test_a_timer_that_was_refused_leaves_the_device_to_whoever_changed_it() -> None:
    before = [(state, Verdict.OK) for state in SSH_ORDER[1 : SSH_ORDER.index(PushState.ARMED)]]
    steps = [*before, (PushState.ARMED, Verdict.FAILED), (PushState.RECONCILE, Verdict.FOUND_NEITHER)]
    action = decide(journal(*steps), facts())
    assert isinstance(action, End)
    assert action.state is PushState.NOT_DONE
    assert "armed said" in action.said


@pytest.mark.parametrize("held", [True, False])
def test_a_credential_that_is_refused_behind_the_change_is_shown_again_only_after_the_guard(held: bool) -> None:
    assert decide(up_to(PushState.REACHABLE, Verdict.REFUSED), facts(held=held)) == Reconcile(after_guard=True)
