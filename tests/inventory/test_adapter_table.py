"""The life of an adapter, spelled out row by row (service-terms §8): where it goes, by which rule, what follows."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.adapters import FACTS, FINAL, Consequence, Holding, Life, LifeEvent, allowed, live
from inventory.catalogue import Service
from inventory.errors import Conflict, RuleViolation

pytestmark = pytest.mark.fast

L, E = Life, LifeEvent
DAY, DUE = date(2025, 3, 31), date(2025, 4, 30)
AT_SITE = (L.DELIVERED, L.INSTALLED, L.IN_SERVICE)
WITH_FAILED = (*AT_SITE, L.FAILED)
Row = tuple[tuple[Life | None, ...], LifeEvent, Life | None, str, str, tuple[Consequence, ...]]

LENT: tuple[Row, ...] = (
    ((None,), E.ORDER, L.ORDERED, "MPC-9.1", "SMF-3.1", ()),
    ((L.ORDERED,), E.DELIVER, L.DELIVERED, "SMF-1", "SMF-1", ()),
    ((L.ORDERED,), E.LINE_ENDED, L.CANCELLED, "MPC-14", "SMF-23.2", ()),
    ((L.DELIVERED,), E.CHECKLIST_COMPLETE, L.INSTALLED, "MPC-7.1", "SMF-8.1", ()),
    ((L.INSTALLED,), E.FIRST_CONTACT, L.IN_SERVICE, "MPC-7.1", "SMF-8.1", ()),
    (AT_SITE, E.FAILURE_REPORTED, L.FAILED, "MPC-12.1", "SMF-10.1", ("replacement",)),
    ((L.FAILED,), E.REPAIRED, L.INSTALLED, "MPC-12.1", "SMF-10.1", ()),
    ((L.FAILED,), E.REPLACEMENT_ARRIVES, L.SEND_BACK_DUE, "MPC-12.2", "SMF-10.2", ("due",)),
    (WITH_FAILED, E.RECEIVED_EARLY, L.RETURNED, "MPC-12.2", "SMF-10.2", ()),
    ((L.SEND_BACK_DUE,), E.SEND_BACK_OVERDUE, L.SEND_BACK_DUE, "MPC-12.2", "SMF-10.2", ("alert",)),
    ((L.SEND_BACK_DUE,), E.SENT_BACK, L.RETURNED, "MPC-12.3", "SMF-10.3", ()),
    ((L.SEND_BACK_DUE,), E.LINE_ENDED, L.SEND_BACK_DUE, "MPC-10.3", "SMF-9.3", ()),
    (AT_SITE, E.LOSS_REPORTED, L.LOST, "MPC-13.1", "SMF-11.1", ("loss-charge", "replacement")),
    (
        (L.FAILED, L.SEND_BACK_DUE, L.RETURN_DUE),
        E.LOSS_REPORTED,
        L.LOST,
        "MPC-13.1",
        "SMF-11.1",
        ("loss-charge",),
    ),
    (WITH_FAILED, E.LINE_ENDED, L.RETURN_DUE, "MPC-10.3", "SMF-9.3", ("due",)),
    ((L.RETURN_DUE,), E.RECEIVED, L.RETURNED, "MPC-10.3", "SMF-9.3", ()),
    ((L.RETURN_DUE,), E.RETURN_OVERDUE, L.LOST, "MPC-13.2", "SMF-11.2", ("loss-charge",)),
    ((L.LOST,), E.FOUND, L.LOST, "MPC-13.3", "SMF-11.3", ()),
)
OWN: tuple[Row, ...] = (
    ((None,), E.REGISTER, L.DELIVERED, "SMF-1", "SMF-1", ()),
    ((L.ORDERED,), E.DELIVER, L.DELIVERED, "SMF-1", "SMF-1", ()),
    ((L.ORDERED,), E.LINE_ENDED, L.CANCELLED, "MPC-14", "SMF-23.2", ()),
    ((L.DELIVERED,), E.CHECKLIST_COMPLETE, L.INSTALLED, "MPC-7.1", "SMF-8.1", ()),
    ((L.INSTALLED,), E.FIRST_CONTACT, L.IN_SERVICE, "MPC-7.1", "SMF-8.1", ()),
    ((L.FAILED,), E.REPAIRED, L.INSTALLED, "MPC-12.1", "SMF-10.1", ()),
    (AT_SITE, E.LINE_ENDED, L.RETIRED, "MPC-14", "SMF-23.2", ()),
    (AT_SITE, E.LOSS_REPORTED, L.RETIRED, "MPC-13.1", "SMF-11.1", ()),
    (AT_SITE, E.REPLACED, L.RETIRED, "SMF-1", "SMF-1", ()),
    (AT_SITE, E.DEREGISTER, L.RETIRED, "SMF-1", "SMF-1", ()),
)
TABLE: dict[Holding, tuple[Row, ...]] = {"lent": LENT, "issued": OWN, "own": OWN}


@pytest.mark.rule(
    *("SMF-1", "MPC-7.3", "SMF-8.2", "MPC-10.3", "SMF-9.3", "MPC-12.1", "SMF-10.1", "MPC-12.2", "SMF-10.2"),
    *("MPC-13.1", "SMF-11.1", "MPC-13.2", "SMF-11.2", "MPC-13.3", "SMF-11.3"),
)
@pytest.mark.parametrize("held", TABLE)
def test_every_state_and_event_does_what_its_row_says_and_nothing_else(held: Holding) -> None:
    for life in (None, *Life):
        for event in LifeEvent:
            row = next((one for one in TABLE[held] if life in one[0] and event is one[1]), None)
            assert (event in allowed(life, held)) is (row is not None)
            services: tuple[Service, ...] = ("mpc", "smfsx")
            for service in services:
                if row is not None:
                    _listed(row, life, service, held)
                elif event in FACTS and life is not None:
                    _unlisted_fact(life, event, service, held)
                else:
                    _unlisted_request(life, event, service, held)


def _listed(row: Row, life: Life | None, service: Service, held: Holding) -> None:
    _, event, to, mpc, smfsx, follows = row
    done = live(life, event, service=service, held=held, on=DAY, failed_in=L.INSTALLED)
    if (event, service) == (E.FAILURE_REPORTED, "smfsx"):
        follows = ()
    assert (done.event, done.life) == (event, to)
    assert (done.rule, done.consequences) == (mpc if service == "mpc" else smfsx, follows)
    assert done.due_day == (DUE if "due" in follows else None)
    assert (done.alert is not None) is (event is E.SEND_BACK_OVERDUE)


def _unlisted_fact(life: Life, event: LifeEvent, service: Service, held: Holding) -> None:
    done = live(life, event, service=service, held=held, on=DAY, failed_in=L.INSTALLED)
    assert (done.life, done.rule) == (life, "MPC-7.3" if service == "mpc" else "SMF-8.2")
    assert (done.consequences, done.due_day) == (("alert",), None)
    assert life.value in (done.alert or "")


def _unlisted_request(life: Life | None, event: LifeEvent, service: Service, held: Holding) -> None:
    with pytest.raises(Conflict) as refused:
        live(life, event, service=service, held=held, on=DAY)
    possible = [one.value for one in allowed(life, held)]
    assert refused.value.facts == {"life": life, "allowed": possible}
    assert (life.value if life else "not registered") in refused.value.message
    assert all(one in (refused.value.next_step or "") for one in possible)


def test_what_is_final_allows_no_request() -> None:
    assert {L.RETURNED, L.LOST, L.RETIRED, L.CANCELLED} == FINAL
    for held in TABLE:
        assert {event for life in FINAL for event in allowed(life, held)} <= {E.FOUND}


def test_a_unit_that_is_repaired_goes_back_to_the_state_it_failed_in_and_needs_to_know_it() -> None:
    for before in AT_SITE:
        assert live(L.FAILED, E.REPAIRED, service="mpc", held="lent", on=DAY, failed_in=before).life is before
    with pytest.raises(ValueError, match="failed_in"):
        live(L.FAILED, E.REPAIRED, service="mpc", held="lent", on=DAY)
    with pytest.raises(Conflict) as refused:
        live(L.FAILED, E.REPAIRED, service="smfsx", held="lent", on=DAY, failed_in=L.INSTALLED, replacement_sent=True)
    assert refused.value.rule == "SMF-10.1"


@pytest.mark.rule("MPC-7.1", "MPC-7.2", "SMF-8.1")
def test_a_checklist_that_misses_the_device_alone_is_refused_by_the_rule_of_class_three() -> None:
    for missing, rule in ((("device",), "MPC-7.2"), (("line",), "MPC-7.1"), (("line", "device"), "MPC-7.1")):
        with pytest.raises(RuleViolation) as refused:
            live(L.DELIVERED, E.CHECKLIST_COMPLETE, service="mpc", held="own", on=DAY, missing=missing)  # type: ignore[arg-type] # items by name
        assert (refused.value.rule, refused.value.facts) == (rule, {"missing": list(missing)})


def test_contact_from_no_slot_is_told_and_changes_nothing() -> None:
    done = live(L.INSTALLED, E.FIRST_CONTACT, service="smfsx", held="lent", on=DAY, seated=False)
    assert (done.life, done.rule, done.consequences) == (L.INSTALLED, "SMF-8.1", ("alert",))
    assert done.alert == "made contact while it sits in no slot"
