"""Keys of slots, counts of slots, and who may sit in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import slots
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, CountBelowOccupancy, FleetError, NotEligible, RuleViolation
from inventory.slots import Management, Occupant, SlotKind

pytestmark = pytest.mark.fast

LEASED = Management(3, 1, "mpc", ("I",), "Osaka", 5, 2, None, 0, 1)
SMFSX = replace(LEASED, service="smfsx", classes=())


@pytest.mark.parametrize(
    ("shown", "parsed"), [("E-12", ("E", 12)), ("e-0012", ("E", 12)), (" Ｓ－７ ", ("S", 7)), ("K-1", ("K", 1))]
)
def test_a_key_is_read_with_padding_and_written_without(shown: str, parsed: tuple[str, int]) -> None:
    assert slots.parse_key(shown) == parsed
    assert slots.parse_key(slots.show_key(*slots.parse_key(shown))) == parsed


@pytest.mark.parametrize("shown", ["", "E", "E-0", "E-", "X-1", "12", "E-1 2", "E--1", "E-१"])
def test_what_is_no_key_is_refused(shown: str) -> None:
    with pytest.raises(BadInput):
        slots.parse_key(shown)


@given(st.text(max_size=30))
def test_any_text_is_a_key_or_a_clear_refusal(text: str) -> None:
    try:
        kind, number = slots.parse_key(text)
    except BadInput:
        return
    assert slots.parse_key(slots.show_key(kind, number)) == (kind, number)


def refusal(
    management: Management,
    service: Service,
    device_class: DeviceClass | None,
    kind: SlotKind,
    *,
    consented: bool = True,
) -> str | None:
    with pytest.raises(NotEligible) as refused:
        slots.require_placement(management, service, device_class, kind, consented=consented)
    return refused.value.rule


@pytest.mark.rule("MPC-3.2")
def test_class_three_is_refused_in_a_standby_with_the_rule() -> None:
    everything = replace(LEASED, classes=("I", "II", "III"))
    assert refusal(everything, "mpc", "III", "standby") == "MPC-3.2"
    assert refusal(everything, "mpc", "II", "standby") == "MPC-3.2"
    slots.require_placement(everything, "mpc", "III", "entry", consented=True)
    slots.require_placement(everything, "mpc", "I", "standby", consented=True)


@pytest.mark.rule("MPC-3.1")
def test_an_entry_takes_only_a_class_that_its_management_serves() -> None:
    assert refusal(LEASED, "mpc", "III", "entry") == "MPC-3.1"


def test_services_do_not_mix() -> None:
    assert refusal(LEASED, "smfsx", None, "entry") == "MPC-3.1"
    assert refusal(SMFSX, "mpc", "I", "entry") == "SMF-2"


@pytest.mark.rule("MPC-6.2", "SMF-13")
def test_another_contractors_management_needs_its_consent() -> None:
    assert refusal(LEASED, "mpc", "I", "entry", consented=False) == "MPC-6.2"
    assert refusal(SMFSX, "smfsx", None, "entry", consented=False) == "SMF-13"


@pytest.mark.rule("SMF-2")
def test_a_standby_of_smfsx_takes_any_model() -> None:
    slots.require_placement(SMFSX, "smfsx", None, "standby", consented=True)


@pytest.mark.rule("MPC-8")
@pytest.mark.parametrize(
    ("classes", "kind", "count", "rule"),
    [
        (("II",), "standby", 1, "MPC-3.2"),
        (("III",), "standby", 1, "MPC-3.2"),
        (("I",), "entry", 0, "MPC-8"),
    ],
)
def test_counts_that_the_terms_forbid(classes: tuple[DeviceClass, ...], kind: SlotKind, count: int, rule: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        slots.require_count("mpc", classes, kind, count)
    assert refused.value.rule == rule


def test_counts_that_the_terms_allow() -> None:
    slots.require_count("mpc", ("II",), "standby", 0)
    slots.require_count("mpc", ("I", "III"), "standby", 4)
    slots.require_count("smfsx", (), "entry", 0)
    slots.require_count("smfsx", (), "standby", 9)
    with pytest.raises(BadInput):
        slots.require_count("smfsx", (), "entry", -1)


@pytest.mark.rule("MPC-8", "SMF-5.1")
def test_a_count_changes_from_today_on_and_once_a_day() -> None:
    today, tomorrow = date(2025, 6, 11), date(2025, 6, 12)
    slots.require_day("mpc", today, today, [])
    slots.require_day("mpc", today, tomorrow, [today])
    for wanted, known in ((date(2025, 6, 10), []), (tomorrow, [tomorrow])):
        with pytest.raises(RuleViolation) as refused:
            slots.require_day("smfsx", today, wanted, known)
        assert refused.value.rule == "SMF-5.1"


@pytest.mark.rule("MPC-8", "SMF-5.1")
def test_a_count_below_the_occupied_slots_lists_who_sits_there() -> None:
    occupants = [Occupant("E-1", "ABC1"), Occupant("E-2", "ABC2")]
    slots.require_occupancy("mpc", "entry", 2, occupants)
    with pytest.raises(CountBelowOccupancy) as refused:
        slots.require_occupancy("mpc", "entry", 1, occupants)
    assert refused.value.facts["occupants"] == [
        {"slot": "E-1", "serial_number": "ABC1"},
        {"slot": "E-2", "serial_number": "ABC2"},
    ]


@given(st.sets(st.integers(1, 99)), st.data())
def test_the_newest_free_slots_go_first_and_no_occupied_one_ever(open_slots: set[int], data: st.DataObject) -> None:
    occupied = data.draw(st.frozensets(st.sampled_from(sorted(open_slots)))) if open_slots else frozenset[int]()
    count = data.draw(st.integers(len(occupied), 100))
    closed = slots.to_close(sorted(open_slots), occupied, count)
    assert not occupied & set(closed)
    assert len(open_slots) - len(closed) == min(len(open_slots), count)
    kept_free = open_slots - occupied - set(closed)
    assert not closed or not kept_free or max(kept_free) < min(closed)


@pytest.mark.parametrize(("service", "classes"), [("mpc", ()), ("mpc", ("I", "I")), ("smfsx", ("I",))])
def test_a_management_names_its_classes(service: Service, classes: tuple[DeviceClass, ...]) -> None:
    with pytest.raises(FleetError):
        slots.require_classes(service, classes)
