"""Records that the terms ask for: what each must say, and when it comes too late."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.catalogue import Service
from inventory.errors import BadInput, FleetError, RuleViolation
from inventory.records import KINDS, SHAPES, NewRecord, RecordKind, require_duty, require_record
from inventory.terms import RULES

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 15)
GOOD: dict[RecordKind, dict[str, object]] = {
    "name-change": {"name": "North Foods KK", "proof": "register extract 17", "cause": "merger"},
    "address-change": {"address": "Osaka", "proof": "register extract 18"},
    "invoice-addressee": {"adapter_user": "K-2", "consent": "letter 3", "approval": "mail of 2025-05-01"},
    "serial-number": {"serial_number": "SN-1"},
    "mobile-limit": {"how": "200 kbit/s", "carrier": "the carrier's network was down"},
    "duty-consent": {"duty": 2, "what": "lent to a subsidiary", "proof": "letter 4"},
    "disclosure": {"to": "an auditor", "what": "list of adapters", "consent": "letter 5"},
    "usage-sharing": {"what": "uses Mobile Access"},
    "restriction": {"what": "pushes", "reason": "earthquake", "priority": "disaster relief"},
    "interruption": {"reason": "new power supply", "work": "planned"},
    "harassment": {"number": 3, "what": "threats on the phone", "told": "police"},
    "count-refusal": {"reason": 1, "asked": "40 entries"},
    "terms-change": {"version": "2025-10-01"},
    "secrecy-release": {"what": "the manual", "to": "its integrator", "consent": "mail of 2025-05-01"},
    "publication": {"what": "scans per day", "purpose": "safety", "contractors": 10, "identifies": False},
    "exemption": {"clause": "28(2)", "reason": "the carrier gave up the area"},
    "planned-notice": {"of": "abolition", "what": "SEIL/neu 2FE Plus"},
}
ABOUT = frozenset({"contractor", "line", "management", "adapter", "company"})


def new(kind: RecordKind, **more: object) -> NewRecord:
    service: Service = "mpc" if kind == "exemption" else "smfsx"
    return NewRecord(kind, service, DAY, {**GOOD[kind], **more}, notified=date(2025, 6, 1), until=DAY)


def without(kind: RecordKind, name: str) -> NewRecord:
    facts = {key: value for key, value in GOOD[kind].items() if key != name}
    return NewRecord(kind, "smfsx", DAY, facts, notified=date(2025, 6, 1), until=DAY)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_kept_when_whole_and_not_without_what_it_must_say(kind: RecordKind) -> None:
    require_record(new(kind), ABOUT)
    for name in SHAPES[kind].says:
        with pytest.raises(FleetError):
            require_record(without(kind, name), ABOUT)
    for name in SHAPES[kind].about:
        with pytest.raises(BadInput):
            require_record(new(kind), ABOUT - {name})
    with pytest.raises(BadInput):
        require_record(new(kind, colour="red"), ABOUT)
    assert set(SHAPES[kind].rules.values()) <= set(RULES)


@pytest.mark.rule("SMF-6")
def test_a_change_of_name_or_address_needs_its_proof() -> None:
    for kind in ("name-change", "address-change"):
        with pytest.raises(RuleViolation) as refused:
            require_record(without(kind, "proof"), ABOUT)
        assert refused.value.rule == "SMF-6"


@pytest.mark.rule("SMF-7")
@pytest.mark.parametrize("cause", ["transfer", " Assignment", "SALE"])
def test_a_change_of_name_does_not_hand_a_contract_to_a_third_party(cause: str) -> None:
    with pytest.raises(RuleViolation, match="third party") as refused:
        require_record(new("name-change", cause=cause), ABOUT)
    assert (refused.value.rule, refused.value.field) == ("SMF-7", "facts.cause")
    for filed in ("inheritance", "merger", "company split", "the sale of bicycles was given up"):
        require_record(new("name-change", cause=filed), ABOUT)


@pytest.mark.rule("MPC-6.3", "SMF-14.1")
def test_invoices_go_to_an_adapter_user_only_when_named_consenting_and_approved() -> None:
    for name in ("adapter_user", "consent", "approval"):
        with pytest.raises(RuleViolation) as refused:
            require_record(without("invoice-addressee", name), ABOUT)
        assert refused.value.rule == "SMF-14.1"


@pytest.mark.rule("SMF-17.2")
def test_a_disclosure_names_the_consent() -> None:
    with pytest.raises(RuleViolation) as refused:
        require_record(without("disclosure", "consent"), ABOUT)
    assert refused.value.rule == "SMF-17.2"


@pytest.mark.rule("SMF-25")
def test_harassment_has_one_of_ten_kinds() -> None:
    for number in (1, 10):
        require_record(new("harassment", number=number), ABOUT)
    for wrong in (0, 11, True, "3"):
        with pytest.raises(RuleViolation) as refused:
            require_record(new("harassment", number=wrong), ABOUT)
        assert refused.value.rule == "SMF-25"


@pytest.mark.rule("SMF-5.3")
def test_a_count_change_is_refused_for_one_of_seven_reasons() -> None:
    for wrong in (0, 8):
        with pytest.raises(RuleViolation) as refused:
            require_record(new("count-refusal", reason=wrong), ABOUT)
        assert refused.value.rule == "SMF-5.3"


@pytest.mark.rule("SMF-20")
def test_an_interruption_that_is_notified_too_late_is_rejected() -> None:
    def interruption(work: str, notified: date | None, *, emergency: bool = False) -> NewRecord:
        facts: dict[str, object] = {"reason": "power", "work": work, "emergency": emergency}
        return NewRecord("interruption", "smfsx", DAY, facts, notified=notified, until=DAY)

    require_record(interruption("planned", date(2025, 6, 1)), frozenset())
    require_record(interruption("fault", DAY), frozenset())
    require_record(interruption("fault", None, emergency=True), frozenset())
    require_record(interruption("planned", date(2025, 6, 14), emergency=True), frozenset())
    for work, notified in (("planned", date(2025, 6, 2)), ("fault", date(2025, 6, 16)), ("planned", None)):
        with pytest.raises(RuleViolation) as refused:
            require_record(interruption(work, notified), frozenset())
        assert refused.value.rule == "SMF-20"
    with pytest.raises(BadInput):
        require_record(interruption("sudden", DAY), frozenset())


@pytest.mark.rule("SMF-0")
def test_changed_terms_are_notified_before_they_apply() -> None:
    with pytest.raises(RuleViolation) as refused:
        require_record(NewRecord("terms-change", "mpc", DAY, {"version": "2025-07-01"}, date(2025, 6, 16)), ABOUT)
    assert (refused.value.rule, refused.value.field) == ("SMF-0", "notified")


@pytest.mark.rule("MPC-10.1", "MPC-10.4", "SMF-9.1")
def test_consent_lifts_two_duties_of_care_and_never_use_outside_japan() -> None:
    for duty in (1, 2):
        require_duty("mpc", "I", duty)
        require_duty("smfsx", None, duty)
    for service, device_class, duty, rule in (
        ("mpc", "I", 3, "MPC-10.1"),
        ("mpc", "II", 4, "MPC-10.4"),
        ("smfsx", None, 3, "SMF-9.1"),
        ("mpc", "III", 1, "MPC-10.1"),
    ):
        with pytest.raises(RuleViolation) as refused:
            require_duty(service, device_class, duty)  # type: ignore[arg-type] # the loop's literals are services
        assert refused.value.rule == rule


def test_what_ends_before_it_begins_is_no_record() -> None:
    with pytest.raises(BadInput):
        require_record(NewRecord("restriction", "mpc", DAY, GOOD["restriction"], until=date(2025, 6, 14)), ABOUT)


@pytest.mark.rule("SMF-17.1")
def test_the_providers_technical_information_goes_to_a_third_party_only_with_its_consent() -> None:
    with pytest.raises(RuleViolation) as refused:
        require_record(without("secrecy-release", "consent"), ABOUT)
    assert (refused.value.rule, refused.value.field) == ("SMF-17.1", "facts.consent")


@pytest.mark.rule("SMF-17.3")
def test_statistics_are_published_for_safety_over_ten_contractors_and_identify_no_communication() -> None:
    require_record(new("publication", contractors=10), ABOUT)
    for name, wrong in (
        ("contractors", 9),
        ("contractors", True),
        ("contractors", "12"),
        ("purpose", "marketing"),
        ("identifies", True),
        ("identifies", 0),
    ):
        with pytest.raises(RuleViolation) as refused:
            require_record(new("publication", **{name: wrong}), ABOUT)
        assert (refused.value.rule, refused.value.field) == ("SMF-17.3", f"facts.{name}")


@pytest.mark.rule("MPC-16.1")
def test_an_exemption_is_of_mpc_and_names_its_clause() -> None:
    with pytest.raises(RuleViolation) as refused:
        require_record(NewRecord("exemption", "smfsx", DAY, GOOD["exemption"]), ABOUT)
    assert (refused.value.rule, refused.value.field) == ("MPC-16.1", "service")
    with pytest.raises(BadInput):
        require_record(new("exemption", clause="28(1)"), ABOUT)


@pytest.mark.parametrize(
    ("of", "rule"), [("planned-interruption", "SMF-20"), ("abolition", "SMF-22"), ("terms-change", "SMF-0")]
)
def test_what_is_planned_stands_under_the_rule_that_wants_it_notified(of: str, rule: str) -> None:
    made = new("planned-notice", of=of)
    require_record(made, ABOUT)
    assert made.rule == rule
    with pytest.raises(BadInput):
        require_record(new("planned-notice", of="party"), ABOUT)


@pytest.mark.rule("SMF-17.5")
def test_duties_of_secrecy_outlive_the_contract_and_no_other_record_does() -> None:
    day, facts = date(2025, 7, 1), {"what": "the manual", "to": "an integrator"}
    kinds: tuple[tuple[RecordKind, str], ...] = (("secrecy-release", "SMF-17.1"), ("disclosure", "SMF-17.2"))
    for kind, rule in kinds:
        for over, rules in ((False, (rule,)), (True, (rule, "SMF-17.5"))):
            new = NewRecord(kind, "mpc", day, facts, after_contract=over)
            assert new.rules == rules
            with pytest.raises(RuleViolation) as refused:
                require_record(new, frozenset({"contractor"}))
            assert refused.value.facts["rules"] == list(rules)
    shared = NewRecord("usage-sharing", "smfsx", day, {"what": "uses it"}, after_contract=True)
    assert shared.rules == ("SMF-17.4", "SMF-17.5")
    renamed = NewRecord("name-change", "smfsx", day, {"name": "N", "proof": "p"}, after_contract=True)
    assert renamed.rules == ("SMF-6",)
