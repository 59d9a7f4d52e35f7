"""Serial numbers, and the life of an adapter as the terms tell it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import adapters
from inventory.adapters import FACTS, Holding, Life, LifeEvent, LifeStep, SerialNumber
from inventory.catalogue import Service, model
from inventory.errors import BadInput, Conflict, FleetError, RuleViolation
from inventory.onboarding import ChecklistItem

pytestmark = pytest.mark.fast

DAY = date(2025, 4, 1)
E = LifeEvent


def live(
    life: Life | None,
    event: LifeEvent,
    held: Holding = "lent",
    service: Service = "mpc",
    *,
    missing: tuple[ChecklistItem, ...] = (),
    seated: bool = True,
    failed_in: Life | None = None,
    replacement_sent: bool = False,
) -> LifeStep:
    return adapters.live(
        life,
        event,
        service=service,
        held=held,
        on=DAY,
        missing=missing,
        seated=seated,
        failed_in=failed_in,
        replacement_sent=replacement_sent,
    )


@pytest.mark.rule("SMF-1")
def test_a_serial_number_is_compared_folded_and_shown_as_entered() -> None:
    entered, stored = SerialNumber.parse(" ｓｅｉｌ-00a1 "), SerialNumber.parse("SEIL-00A1")
    assert entered == stored
    assert hash(entered) == hash(stored)
    assert str(entered) == "ｓｅｉｌ-00a1"


@pytest.mark.parametrize("text", ["", "   ", "A\nB", "シリアル", "A" * 65, "A  B", "(unknown)"])
def test_what_is_no_serial_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        SerialNumber.parse(text)
    assert refused.value.field == "serial_number"


@given(st.text(max_size=70))
def test_folding_a_serial_number_twice_changes_nothing(text: str) -> None:
    try:
        serial = SerialNumber.parse(text)
    except BadInput:
        return
    assert SerialNumber.parse(serial.key).key == serial.key
    assert SerialNumber.parse(serial.shown) == serial


def test_a_distribution_id_is_read_in_any_spelling_and_kept_in_one() -> None:
    kept = "0001-0000-0101-000B-0200-5EFF-FE00-5301"
    for text in (kept, kept.lower(), kept.replace("-", ""), f" {kept} "):
        assert adapters.parse_distribution_id(text) == kept
    for text in ("", kept[:-1], kept + "0", "Z" * 32):
        with pytest.raises(BadInput):
            adapters.parse_distribution_id(text)


@pytest.mark.rule("MPC-10.3", "SMF-9.3", "MPC-12.1", "MPC-12.2", "MPC-13.1")
def test_the_life_of_a_leased_adapter() -> None:
    life = live(None, E.ORDER).life
    for event, after in (
        (E.DELIVER, Life.DELIVERED),
        (E.CHECKLIST_COMPLETE, Life.INSTALLED),
        (E.FIRST_CONTACT, Life.IN_SERVICE),
        (E.FAILURE_REPORTED, Life.FAILED),
        (E.REPLACEMENT_ARRIVES, Life.SEND_BACK_DUE),
        (E.SENT_BACK, Life.RETURNED),
    ):
        life = live(life, event).life
        assert life is after


@pytest.mark.rule("SMF-10.2")
def test_a_failed_unit_is_sent_off_within_thirty_days() -> None:
    step = live(Life.FAILED, E.REPLACEMENT_ARRIVES, service="smfsx")
    assert (step.due_day, step.rule) == (date(2025, 5, 1), "SMF-10.2")


@pytest.mark.rule("SMF-10.2")
def test_an_overdue_failed_unit_is_an_alert_and_no_loss() -> None:
    step = live(Life.SEND_BACK_DUE, E.SEND_BACK_OVERDUE)
    assert step.life is Life.SEND_BACK_DUE
    assert step.alert


@pytest.mark.rule("MPC-13.2", "SMF-11.2")
def test_a_unit_that_is_not_returned_is_lost_and_charged() -> None:
    ended = live(Life.IN_SERVICE, E.LINE_ENDED)
    assert (ended.life, ended.due_day) == (Life.RETURN_DUE, date(2025, 5, 1))
    overdue = live(ended.life, E.RETURN_OVERDUE)
    assert (overdue.life, overdue.consequences) == (Life.LOST, ("loss-charge",))
    assert live(overdue.life, E.FOUND).life is Life.LOST


@pytest.mark.rule("MPC-12.2", "SMF-10.1", "SMF-10.2")
def test_a_replacement_follows_the_report_in_mpc_and_the_request_in_smfsx() -> None:
    assert live(Life.IN_SERVICE, E.FAILURE_REPORTED).consequences == ("replacement",)
    assert live(Life.IN_SERVICE, E.FAILURE_REPORTED, service="smfsx").consequences == ()


@pytest.mark.rule("SMF-11.1")
def test_a_customers_own_device_retires_and_is_never_charged_as_lost() -> None:
    step = live(Life.IN_SERVICE, E.LOSS_REPORTED, held="own")
    assert (step.life, step.consequences) == (Life.RETIRED, ())


@pytest.mark.rule("MPC-7.3", "SMF-8.2")
def test_installation_waits_for_the_whole_checklist() -> None:
    with pytest.raises(RuleViolation) as refused:
        live(Life.DELIVERED, E.CHECKLIST_COMPLETE, missing=("site",))
    assert (refused.value.rule, refused.value.facts["missing"]) == ("MPC-7.1", ["site"])


def test_contact_outside_a_slot_is_reported_and_changes_nothing() -> None:
    step = live(Life.INSTALLED, E.FIRST_CONTACT, seated=False)
    assert step.life is Life.INSTALLED
    assert step.alert


def test_a_repaired_unit_is_as_before_unless_its_replacement_was_sent() -> None:
    assert live(Life.FAILED, E.REPAIRED, failed_in=Life.INSTALLED).life is Life.INSTALLED
    with pytest.raises(Conflict):
        live(Life.FAILED, E.REPAIRED, failed_in=Life.INSTALLED, replacement_sent=True)


def test_an_unlisted_request_names_the_state_and_what_it_allows() -> None:
    with pytest.raises(Conflict) as refused:
        live(Life.DELIVERED, E.DELIVER)
    assert "delivered" in refused.value.message
    assert "checklist-complete" in str(refused.value.facts["allowed"])


ANY_LIFE = st.sampled_from([None, *Life])
ANY_EVENT = st.sampled_from(list(LifeEvent))
ANY_HOLDING = st.sampled_from(["lent", "issued", "own"])


@pytest.mark.rule("MPC-13.3", "SMF-11.3")
@given(ANY_LIFE, ANY_EVENT, ANY_HOLDING, st.sampled_from(["mpc", "smfsx"]), st.booleans())
def test_facts_are_never_refused_and_final_states_never_left(
    life: Life | None, event: LifeEvent, held: Holding, service: Service, seated: bool
) -> None:
    try:
        step = live(life, event, held, service, seated=seated, failed_in=Life.IN_SERVICE)
    except FleetError:
        assert event not in FACTS or life is None
        return
    assert step.rule
    if life in adapters.FINAL:
        assert step.life is life
    if event not in adapters.allowed(life, held):
        assert step.life is life
        assert step.alert


def test_how_an_adapter_is_held() -> None:
    assert adapters.holding("mpc", "I", model("SA-W2")) == "lent"
    assert adapters.holding("mpc", "II", model("SEIL/x86 Ayame")) == "issued"
    assert adapters.holding("mpc", "III", model("Cisco IOS")) == "own"
    assert adapters.holding("smfsx", None, model("SEIL/X1")) == "lent"
    assert adapters.holding("smfsx", None, model("SEIL/X1"), rented=False) == "own"
    assert adapters.holding("smfsx", None, model("SEIL/x86 Fuji")) == "own"
    with pytest.raises(BadInput):
        adapters.holding("smfsx", None, model("SEIL/x86 Fuji"), rented=True)


@pytest.mark.rule("MPC-7.2")
def test_a_customers_device_that_alone_is_missing_is_refused_by_its_own_rule() -> None:
    with pytest.raises(RuleViolation) as refused:
        live(Life.DELIVERED, LifeEvent.CHECKLIST_COMPLETE, held="own", missing=("device",))
    assert refused.value.rule == "MPC-7.2"
    with pytest.raises(RuleViolation) as refused:
        live(Life.DELIVERED, LifeEvent.CHECKLIST_COMPLETE, held="own", missing=("line", "device"))
    assert refused.value.rule == "MPC-7.1"
