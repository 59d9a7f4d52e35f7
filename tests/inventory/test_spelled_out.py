"""The tables of the terms, spelled out a second time from the page: states, rules of each row, names, rates, bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from inventory import adapters, slots
from inventory.adapters import Holding, Life, LifeEvent
from inventory.calendar import Month
from inventory.catalogue import MODELS, SERVICES, Service
from inventory.contractevents import (
    Abolition,
    Accept,
    BackInEntry,
    BillingStarts,
    ChangeCounts,
    ChangeDue,
    ChangeOption,
    ContractEvent,
    DayOver,
    DependencyEnds,
    LeavesEntry,
    Notice,
    ProviderTerminates,
    Refuse,
    Resume,
    Suspend,
    Withdraw,
)
from inventory.contracts import MINIMUM_MONTHS, Cause, Contract, State, allowed, step
from inventory.errors import Conflict, RuleViolation
from inventory.fees import KINDS, Kind
from inventory.invoicelife import InvoiceState
from inventory.invoices import tax_rate
from inventory.optionrules import MIN_PACKS_GB, MOBILE_PLANS, NETWORK_TYPES, TRANSITIONS
from inventory.outageclaims import ClaimState
from inventory.prices import rows

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 2)


def test_names_are_stored_and_shown_so_they_stay() -> None:
    assert " ".join(State) == "applied refused withdrawn accepted active suspended dormant terminating ended"
    assert " ".join(Cause) == "abolition provider dependency notice"
    assert " ".join(ClaimState) == "watching claimable claimed credited rejected lapsed closed"
    assert " ".join(InvoiceState) == "draft issued overdue paid passed-on replaced"
    assert " ".join(Life) == (
        "ordered delivered installed in-service failed send-back-due return-due returned lost retired cancelled"
    )
    assert " ".join(LifeEvent) == (
        "order register deliver checklist-complete first-contact failure-reported repaired replacement-arrives "
        "received-early send-back-overdue sent-back loss-reported line-ended replaced deregister received "
        "return-overdue found"
    )
    assert " ".join(KINDS) == (
        "management adapter adapter-rental ultra-send-back mobile-access packet-share-group ultra-firewall"
    )
    assert (MOBILE_PLANS, NETWORK_TYPES, MIN_PACKS_GB) == (
        ("normal", "backup", "10GB", "30GB", "50GB", "packet-share"),
        ("dynamic-ip", "fixed-ip"),
        50,
    )


@pytest.mark.rule("MPC-5", "MPC-9.3", "SMF-16.1")
def test_minimum_periods() -> None:
    assert dict(MINIMUM_MONTHS) == {
        "management": 1,
        "adapter": 12,
        "adapter-rental": 12,
        "ultra-send-back": 1,
        "mobile-access": 1,
        "packet-share-group": 1,
        "ultra-firewall": 1,
    }


def test_tax_rates_by_the_last_day_of_the_month() -> None:
    months = {"1989-03": 0, "1989-04": 3, "1997-03": 3, "1997-04": 5, "2014-03": 5, "2014-04": 8, "2019-09": 8}
    assert {month: tax_rate(Month.parse(month)) for month in months} == {
        month: Fraction(rate, 100) for month, rate in months.items()
    }
    assert tax_rate(Month(2019, 10)) == Fraction(1, 10)


@pytest.mark.rule("MPC-S2024-03.2", "MPC-S2024-05.2", "SMF-S2011-04.2")
def test_rules_for_lines_of_earlier_terms() -> None:
    assert {line: (one.rule, one.first_day.isoformat(), one.becomes) for line, one in TRANSITIONS.items()} == {
        "mobile-access": ("MPC-S2024-03.2", "2024-03-01", "dynamic-ip"),
        "mpc": ("MPC-S2024-05.2", "2024-05-01", "standard"),
        "smf": ("SMF-S2011-04.2", "2011-04-01", "smfsx"),
    }


@pytest.mark.rule("MPC-2", "SMF-A1")
def test_every_model_with_its_names_and_ways() -> None:
    assert [
        (one.key, "|".join(name for _, name in one.names), one.family, one.dialect, one.arms_modules, one.paths)
        for one in MODELS
    ] == [
        ("seil-bpv4", "SEIL BPV4|SEIL/BPV4", "seil", "statements", (0, 1), ("arms", "ssh")),
        ("seil-x4", "SEIL/X4", "recipe", "key-value", (0,), ("arms", "ssh")),
        ("sa-w2", "SA-W2", "recipe", "key-value", (0,), ("arms",)),
        ("sa-w2l", "SA-W2L", "recipe", "key-value", (0,), ("arms",)),
        ("seil-ca10", "SEIL CA10", "recipe", "key-value", (0,), ("arms", "ssh")),
        ("seil-x86-ayame", "SEIL/x86 Ayame", "recipe", "key-value", (0,), ("arms", "ssh")),
        ("cisco-ios", "Cisco IOS", "ios", "indented", (), ("ssh",)),
        ("fortigate", "FortiGate", "fortios", "block", (), ("ssh",)),
        ("seil-neu-2fe-plus", "SEIL/neu 2FE Plus", "seil", "statements", (0,), ("arms", "ssh")),
        ("seil-turbo", "SEIL/Turbo", "seil", "statements", (0,), ("arms", "ssh")),
        ("seil-x1", "SEIL/X1", "seil", "statements", (0, 1), ("arms", "ssh")),
        ("seil-x2", "SEIL/X2", "seil", "statements", (0, 1), ("arms", "ssh")),
        ("seil-b1", "SEIL/B1", "seil", "statements", (0, 1), ("arms", "ssh")),
        ("seil-x86-fuji", "SEIL/x86 Fuji", "seil", "statements", (0, 1), ("arms", "ssh")),
    ]


@pytest.mark.rule("MPC-A1", "SMF-A1", "MPC-A1.3")
def test_every_row_of_a_complete_price_list() -> None:
    found = {str(item): [fee for known, fee in rows() if known == item] for item, _ in rows()}
    one, two = ["one-time"], ["initial", "monthly"]
    expected: dict[str, list[str]] = {
        **{f"{service} {slot}": two for service in SERVICES for slot in ("entry", "standby")},
        **{f"mpc adapter:I:{key}": two for key in ("seil-bpv4", "seil-x4", "sa-w2", "sa-w2l", "seil-ca10")},
        "mpc adapter:II:seil-x86-ayame": two,
        **{f"mpc adapter:III:{key}": two for key in ("seil-x4", "seil-ca10", "cisco-ios", "fortigate")},
        **{
            f"mpc {why}:{key}": one
            for why in ("loss", "failure")
            for key in ("seil-bpv4", "seil-x4", "sa-w2", "sa-w2l", "seil-ca10")
        },
        **{
            f"smfsx {why}:seil-{key}": one if why == "loss" else two
            for why in ("loss", "adapter-rental")
            for key in ("bpv4", "neu-2fe-plus", "turbo", "x1", "x2", "b1")
        },
        **{f"smfsx ultra-firewall:seil-{key}": two for key in ("bpv4", "turbo", "x1", "x2", "x86-fuji")},
        "mpc ultra-send-back": two,
        **{f"mpc mobile-access:dynamic-ip:{plan}": two for plan in MOBILE_PLANS},
        "mpc mobile-access:fixed-ip": two,
        "mpc packet-share-group": ["monthly-per-gb"],
        "mpc network-type:dynamic-ip:fixed-ip": one,
    }
    assert found == expected


def test_keys_of_slots_are_letters_of_their_kinds() -> None:
    assert [slots.parse_key(f"{letter}-1") for letter in "KLMES"] == [(letter, 1) for letter in "KLMES"]
    assert slots.SLOTS_AT_MOST == 100_000
    assert slots.SLOT_KINDS == ("entry", "standby")


# --- contract lines and options ---------------------------------------------------------------------------------------

EVENTS: dict[str, tuple[ContractEvent, str, str]] = {
    "accept": (Accept(DAY, DAY), "MPC-9.1", "SMF-3.1"),
    "refuse": (Refuse(DAY, 1), "SMF-3.2", "SMF-3.2"),
    "withdraw": (Withdraw(DAY), "MPC-9.1", "SMF-3.1"),
    "billing-starts": (BillingStarts(DAY), "MPC-5", "SMF-16.1"),
    "change-counts": (ChangeCounts(DAY, DAY), "MPC-8", "SMF-5.1"),
    "suspend": (Suspend(DAY, 1, emergency=True), "SMF-21", "SMF-21"),
    "resume": (Resume(DAY), "SMF-21", "SMF-21"),
    "change-option": (ChangeOption(DAY, "plan", "normal"), "MPC-9.2", "SMF-5.2"),
    "change-due": (ChangeDue(DAY), "MPC-9.2", "SMF-5.2"),
    "leaves-entry": (LeavesEntry(DAY), "SMF-2", "SMF-2"),
    "back-in-entry": (BackInEntry(DAY), "SMF-2", "SMF-2"),
    "notice": (Notice(DAY), "MPC-14", "SMF-23.2"),
    "provider-terminates": (ProviderTerminates(DAY, DAY, "insolvency", DAY), "SMF-23.1", "SMF-23.1"),
    "abolition": (Abolition(DAY, DAY + timedelta(days=200), DAY), "SMF-22", "SMF-22"),
    "dependency-ends": (DependencyEnds(DAY), "MPC-9.8", "SMF-23.3"),
    "day-over": (DayOver(DAY), "MPC-14", "SMF-23.2"),
}
FACTS = {"billing-starts", "change-due", "leaves-entry", "back-in-entry", "notice", "dependency-ends", "day-over"}


def line(service: Service, kind: Kind, state: State) -> Contract:
    """A contract line in a state."""
    return Contract(service, kind, state, DAY)


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("service", ["mpc", "smfsx"])
def test_an_ended_line_answers_with_the_rule_of_the_row(name: str, service: Service) -> None:
    event, mpc_rule, smfsx_rule = EVENTS[name]
    rule = mpc_rule if service == "mpc" else smfsx_rule
    ended = line(service, "management", State.ENDED)
    if name in FACTS:
        found = step(ended, event)
        assert (found.rule, found.contract) == (rule, ended)
        assert found.alert is not None
        assert found.alert.startswith(name)
    else:
        with pytest.raises(RuleViolation) as refused:
            step(ended, event)
        assert refused.value.rule == rule
        assert refused.value.facts == {"state": "ended", "allowed": []}


def test_what_each_state_allows() -> None:
    always = ("notice", "provider-terminates", "abolition")

    def of(kind: Kind, state: State) -> tuple[str, ...]:
        return allowed(line("mpc", kind, state))

    assert of("management", State.APPLIED) == ("accept", "refuse", "withdraw")
    assert of("management", State.ACCEPTED) == ("billing-starts", *always)
    assert of("management", State.ACTIVE) == ("change-counts", "suspend", *always)
    assert of("management", State.SUSPENDED) == ("resume", *always)
    everything = ("billing-starts", "change-counts", "suspend", "resume", *always, "day-over")
    assert of("management", State.TERMINATING) == everything
    assert of("adapter", State.ACTIVE) == ("suspend", *always)
    assert of("mobile-access", State.APPLIED) == ("accept", "refuse", "withdraw", "dependency-ends")
    assert of("mobile-access", State.ACCEPTED) == ("billing-starts", *always, "dependency-ends")
    assert of("mobile-access", State.ACTIVE) == ("change-option", "change-due", *always, "dependency-ends")
    firewall = ("change-option", "change-due", "leaves-entry", *always, "dependency-ends")
    assert of("ultra-firewall", State.ACTIVE) == firewall
    assert of("ultra-firewall", State.DORMANT) == ("back-in-entry", *always, "dependency-ends")
    for state in (State.REFUSED, State.WITHDRAWN, State.ENDED):
        assert of("mobile-access", state) == ()


def test_what_a_line_says_when_it_is_accepted_started_and_over() -> None:
    rules = {
        ("mpc", "management"): ("MPC-15", "MPC-5", "MPC-14"),
        ("mpc", "mobile-access"): ("MPC-15", "MPC-9.3", "MPC-9.5"),
        ("smfsx", "adapter-rental"): ("SMF-15.2", "SMF-16.1", "SMF-23.2"),
        ("smfsx", "ultra-firewall"): ("SMF-15.2", "SMF-16.1", "SMF-23.2"),
    }
    found = {}
    for service, kind in rules:
        accepted = step(line(service, kind, State.APPLIED), Accept(DAY, DAY))  # type: ignore[arg-type]
        started = step(accepted.contract, BillingStarts(DAY))
        noticed = step(started.contract, Notice(DAY))
        over = step(noticed.contract, DayOver(DAY + timedelta(days=31)))
        assert noticed.rule == over.rule
        assert over.contract.state is State.ENDED
        early = step(noticed.contract, DayOver(DAY + timedelta(days=30)))
        assert early.alert is not None
        found[service, kind] = (accepted.rule, started.rule, over.rule)
    assert found == rules


def test_of_two_effective_days_the_earlier_holds_and_on_equal_days_the_stronger_cause() -> None:
    active = replace(line("smfsx", "management", State.ACTIVE), billing_start=DAY, started=True)
    noticed = step(active, Notice(DAY)).contract
    later = step(noticed, ProviderTerminates(DAY, DAY + timedelta(days=31), "insolvency", DAY)).contract
    assert (later.effective, later.cause) == (DAY + timedelta(days=30), Cause.NOTICE)
    equal = step(noticed, ProviderTerminates(DAY, DAY + timedelta(days=30), "insolvency", DAY)).contract
    assert (equal.effective, equal.cause) == (DAY + timedelta(days=30), Cause.PROVIDER)
    again = step(equal, Notice(DAY)).contract
    assert again.cause is Cause.PROVIDER


# --- units ------------------------------------------------------------------------------------------------------------

L, E = Life, LifeEvent
SITE = (L.DELIVERED, L.INSTALLED, L.IN_SERVICE)
UNIT: list[tuple[tuple[Life | None, ...], LifeEvent, Life | None, str, str, str]] = [
    ((None,), E.ORDER, L.ORDERED, "MPC-9.1", "SMF-3.1", "lent"),
    ((None,), E.REGISTER, L.DELIVERED, "SMF-1", "SMF-1", "others"),
    ((L.ORDERED,), E.DELIVER, L.DELIVERED, "SMF-1", "SMF-1", "all"),
    ((L.ORDERED,), E.LINE_ENDED, L.CANCELLED, "MPC-14", "SMF-23.2", "all"),
    ((L.DELIVERED,), E.CHECKLIST_COMPLETE, L.INSTALLED, "MPC-7.1", "SMF-8.1", "all"),
    ((L.INSTALLED,), E.FIRST_CONTACT, L.IN_SERVICE, "MPC-7.1", "SMF-8.1", "all"),
    (SITE, E.FAILURE_REPORTED, L.FAILED, "MPC-12.1", "SMF-10.1", "lent"),
    ((L.FAILED,), E.REPAIRED, L.INSTALLED, "MPC-12.1", "SMF-10.1", "all"),
    ((L.FAILED,), E.REPLACEMENT_ARRIVES, L.SEND_BACK_DUE, "MPC-12.2", "SMF-10.2", "lent"),
    ((*SITE, L.FAILED), E.RECEIVED_EARLY, L.RETURNED, "MPC-12.2", "SMF-10.2", "lent"),
    ((L.SEND_BACK_DUE,), E.SEND_BACK_OVERDUE, L.SEND_BACK_DUE, "MPC-12.2", "SMF-10.2", "lent"),
    ((L.SEND_BACK_DUE,), E.SENT_BACK, L.RETURNED, "MPC-12.3", "SMF-10.3", "lent"),
    ((L.SEND_BACK_DUE,), E.LINE_ENDED, L.SEND_BACK_DUE, "MPC-10.3", "SMF-9.3", "lent"),
    ((*SITE, L.FAILED, L.SEND_BACK_DUE, L.RETURN_DUE), E.LOSS_REPORTED, L.LOST, "MPC-13.1", "SMF-11.1", "lent"),
    ((*SITE, L.FAILED), E.LINE_ENDED, L.RETURN_DUE, "MPC-10.3", "SMF-9.3", "lent"),
    (SITE, E.LINE_ENDED, L.RETIRED, "MPC-14", "SMF-23.2", "others"),
    (SITE, E.LOSS_REPORTED, L.RETIRED, "MPC-13.1", "SMF-11.1", "others"),
    (SITE, E.REPLACED, L.RETIRED, "SMF-1", "SMF-1", "others"),
    (SITE, E.DEREGISTER, L.RETIRED, "SMF-1", "SMF-1", "others"),
    ((L.RETURN_DUE,), E.RECEIVED, L.RETURNED, "MPC-10.3", "SMF-9.3", "lent"),
    ((L.RETURN_DUE,), E.RETURN_OVERDUE, L.LOST, "MPC-13.2", "SMF-11.2", "lent"),
    ((L.LOST,), E.FOUND, L.LOST, "MPC-13.3", "SMF-11.3", "lent"),
]
HELD: dict[str, tuple[Holding, ...]] = {
    "lent": ("lent",),
    "others": ("issued", "own"),
    "all": ("lent", "issued", "own"),
}


def test_the_life_of_a_unit_is_the_table_of_the_terms_and_nothing_else() -> None:
    known = {
        (before, event, held): (after, mpc, smfsx)
        for befores, event, after, mpc, smfsx, whose in UNIT
        for before in befores
        for held in HELD[whose]
    }
    for before in (None, *Life):
        for event in LifeEvent:
            for held in HELD["all"]:
                for service in SERVICES:
                    expected = known.get((before, event, held))
                    try:
                        found = adapters.live(
                            before, event, service=service, held=held, on=DAY, failed_in=Life.INSTALLED
                        )
                    except Conflict:
                        assert expected is None
                        continue
                    if expected is None:
                        assert found.life == before
                        assert found.alert is not None
                        assert found.rule == ("MPC-7.3" if service == "mpc" else "SMF-8.2")
                    else:
                        assert (found.life, found.rule) == (expected[0], expected[1 if service == "mpc" else 2])
