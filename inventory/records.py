"""Records that the terms ask for: what each must say, and when it comes too late (service-terms §3–§5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from inventory.catalogue import DeviceClass, Service
from inventory.deadlines import require_notice
from inventory.errors import BadInput, RuleViolation
from inventory.fees import a_kind

RecordKind = Literal[
    "name-change",
    "address-change",
    "invoice-addressee",
    "serial-number",
    "mobile-limit",
    "duty-consent",
    "disclosure",
    "usage-sharing",
    "restriction",
    "interruption",
    "harassment",
    "count-refusal",
    "terms-change",
    "secrecy-release",
    "publication",
    "exemption",
    "planned-notice",
]
KINDS: Final[tuple[RecordKind, ...]] = get_args(RecordKind)
Relation = Literal["provider", "subsidiary", "delegate"]
HARASSMENT_KINDS: Final = 10
REFUSAL_REASONS: Final = 7
PUBLISHED_CONTRACTORS: Final = 10
"""Statistics that are published cover at least so many (SMF-17.3)."""
EXEMPTIONS: Final = ("28(2)", "28(3)", "none")
"""Paragraphs of article 28 of the general terms (MPC-16.1); `none` stands for one that was recorded by mistake."""
HANDED_OVER: Final = frozenset({"transfer", "assignment", "sale"})
"""Causes that make another contractor of it (SMF-7)."""
_SECRECY: Final = frozenset[RecordKind]({"disclosure", "usage-sharing", "secrecy-release", "publication"})
"""Records of the duties of SMF-17.1 to 17.4."""
_PLANNED: Final[Mapping[object, str]] = {
    "planned-interruption": "SMF-20",
    "abolition": "SMF-22",
    "terms-change": "SMF-0",
}
"""What has to be notified beforehand, and the rule that says so."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a kind of record must say, and what it is about."""

    rules: Mapping[Service, str]
    says: tuple[str, ...]
    """Facts that must be there."""
    may: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    """Of `contractor`, `line`, `management`, `adapter`, `company`: those that must be named."""


def _both(rule: str) -> Mapping[Service, str]:
    return {"mpc": rule, "smfsx": rule}


SHAPES: Final[Mapping[RecordKind, Shape]] = {
    "name-change": Shape(_both("SMF-6"), ("name", "proof"), ("cause",), ("contractor",)),
    "address-change": Shape(_both("SMF-6"), ("address", "proof"), ("cause",), ("contractor",)),
    "invoice-addressee": Shape(
        {"mpc": "MPC-6.3", "smfsx": "SMF-14.1"}, ("adapter_user", "consent", "approval"), (), ("management",)
    ),
    "serial-number": Shape(_both("SMF-8.3"), ("serial_number",), ("note",), ("line",)),
    "mobile-limit": Shape({"mpc": "MPC-9.4", "smfsx": "MPC-9.4"}, ("how",), ("carrier",), ("line",)),
    "duty-consent": Shape({"mpc": "MPC-10.1", "smfsx": "SMF-9.1"}, ("duty", "what", "proof"), (), ("adapter",)),
    "disclosure": Shape(_both("SMF-17.2"), ("to", "what", "consent"), (), ("contractor",)),
    "usage-sharing": Shape(_both("SMF-17.4"), ("what",), (), ("contractor", "company")),
    "restriction": Shape(_both("SMF-19"), ("what", "reason"), ("priority",)),
    "interruption": Shape(_both("SMF-20"), ("reason", "work"), ("emergency",)),
    "harassment": Shape(_both("SMF-25"), ("number", "what"), ("told", "damages_yen"), ("contractor",)),
    "count-refusal": Shape(_both("SMF-5.3"), ("reason", "asked"), (), ("management",)),
    "terms-change": Shape(_both("SMF-0"), ("version",), ("what",)),
    "secrecy-release": Shape(_both("SMF-17.1"), ("what", "to", "consent"), (), ("contractor",)),
    "publication": Shape(_both("SMF-17.3"), ("what", "purpose", "contractors", "identifies")),
    "exemption": Shape(_both("MPC-16.1"), ("clause", "reason"), (), ("line",)),
    "planned-notice": Shape(_both("SMF-20"), ("of",), ("what",)),
}


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be kept. `day` is when it happens or takes effect, `notified` when those affected were told."""

    kind: RecordKind
    service: Service
    day: date
    facts: Mapping[str, object]
    notified: date | None = None
    until: date | None = None
    after_contract: bool = False
    """No contract of whom it is about is in force any more."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that ask for it; duties of secrecy outlive the contract (SMF-17.5)."""
        outlives = self.after_contract and self.kind in _SECRECY
        return (self.rule, "SMF-17.5") if outlives else (self.rule,)

    @property
    def rule(self) -> str:
        """The rule that asks for it."""
        if self.kind == "planned-notice":
            return _PLANNED.get(self.facts.get("of"), "SMF-20")
        return SHAPES[self.kind].rules[self.service]


def require_record(new: NewRecord, about: frozenset[str]) -> None:
    """Raises BadInput for facts that are missing or not its own, RuleViolation where the terms forbid it or it comes
    too late. `about` holds the names of what it is about."""
    shape = SHAPES[new.kind]
    for name in shape.says:
        if new.facts.get(name) in (None, ""):
            raise _missing(new, name)
    for name in new.facts.keys() - set(shape.says) - set(shape.may):
        raise BadInput(
            f"{a_kind(new.kind)} has no {name[:40]}",
            field=f"facts.{name[:40]}",
            next_step=f"It takes {', '.join((*shape.says, *shape.may))}.",
        )
    for name in shape.about:
        if name not in about:
            raise BadInput(f"{a_kind(new.kind)} names its {name}", field=name, next_step=f"Give the {name}.")
    if new.until is not None and new.until < new.day:
        raise BadInput(f"it ends on {new.until}, before it begins on {new.day}", field="until", next_step="Correct it.")
    _guard(new)


def _missing(new: NewRecord, name: str) -> BadInput | RuleViolation:
    words = f"{a_kind(new.kind)} is recorded with its {name.replace('_', ' ')}"
    if name in {"consent", "approval", "proof", "adapter_user"}:
        return RuleViolation(
            words,
            rule=new.rule,
            field=f"facts.{name}",
            next_step=f"Obtain the {name}, then record it.",
            facts={"rules": list(new.rules)},
        )
    return BadInput(words, field=f"facts.{name}", rule=new.rule, next_step=f"Give the {name}.")


def _guard(new: NewRecord) -> None:
    match new.kind:
        case "name-change" | "address-change":
            _same_contractor(new)
        case "harassment":
            _numbered(new, "number", HARASSMENT_KINDS, "kinds of harassment")
        case "count-refusal":
            _numbered(new, "reason", REFUSAL_REASONS, "reasons")
        case "interruption":
            _interruption(new)
        case "terms-change":
            _notified_before(new)
        case "publication":
            _publication(new)
        case "exemption":
            _exemption(new)
        case "planned-notice":
            _chosen(new, "of", tuple(str(one) for one in _PLANNED))
        case _:
            pass


def _numbered(new: NewRecord, name: str, most: int, words: str) -> None:
    found = new.facts[name]
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise RuleViolation(
            f"{str(found)[:40]} is none of the {most} {words}",
            rule=new.rule,
            field=f"facts.{name}",
            next_step=f"Give 1 to {most}.",
        )


def _same_contractor(new: NewRecord) -> None:
    """Inheritance, merger and company split are filed (SMF-6); what is handed to a third party is not (SMF-7)."""
    cause = str(new.facts.get("cause", "")).strip().casefold()
    if cause in HANDED_OVER:
        raise RuleViolation(
            "rights and duties of a contract cannot be transferred to a third party",
            rule="SMF-7",
            field="facts.cause",
            next_step="The other party applies for a contract of its own; this contractor gives notice of its lines.",
        )


def _interruption(new: NewRecord) -> None:
    """Planned work: 14 days before. A fault: before it begins. An emergency: at any time (SMF-20)."""
    work = new.facts["work"]
    if work not in {"planned", "fault"}:
        raise BadInput("work is planned, or a fault", field="facts.work", next_step="Write planned or fault.")
    if new.until is None:
        raise BadInput("an interruption has a period", field="until", rule="SMF-20", next_step="Give its last day.")
    emergency = new.facts.get("emergency") is True
    if new.notified is None:
        if not emergency:
            raise RuleViolation(
                "an interruption is notified with its reason and period",
                rule="SMF-20",
                field="notified",
                next_step="Notify those affected, or record the emergency.",
            )
        return
    if work == "planned":
        require_notice("planned-interruption", new.day, new.notified, emergency=emergency)
    elif not emergency:
        _notified_before(new)


def _publication(new: NewRecord) -> None:
    """Statistics over communication records: for the safety of communications, over ten contractors and more, with no
    communication to be told from them (SMF-17.3)."""
    count = new.facts["contractors"]
    enough = isinstance(count, int) and not isinstance(count, bool) and count >= PUBLISHED_CONTRACTORS
    for field, fits, words in (
        ("purpose", new.facts["purpose"] == "safety", "statistics are made for the safety of communications"),
        ("identifies", new.facts["identifies"] is False, "no single communication may be told from what is published"),
        ("contractors", enough, f"published statistics cover at least {PUBLISHED_CONTRACTORS} contractors"),
    ):
        if not fits:
            raise RuleViolation(
                words, rule="SMF-17.3", field=f"facts.{field}", next_step="Do not publish it; obtain each consent."
            )


def _exemption(new: NewRecord) -> None:
    if new.service != "mpc":
        raise RuleViolation(
            "only mpc knows an exemption from the minimum-period sum",
            rule="MPC-16.1",
            field="service",
            next_step="The sum of SMF-16.2 is charged whoever terminates.",
        )
    _chosen(new, "clause", EXEMPTIONS)


def _chosen(new: NewRecord, name: str, of: tuple[str, ...]) -> None:
    if new.facts[name] not in of:
        raise BadInput(
            f"{str(new.facts[name])[:40]} is none of {', '.join(of)}",
            field=f"facts.{name}",
            rule=new.rule,
            next_step=f"Give {' or '.join(of)}.",
        )


def _notified_before(new: NewRecord) -> None:
    if new.notified is None or new.notified > new.day:
        raise RuleViolation(
            "those affected are notified beforehand",
            rule=new.rule,
            field="notified",
            next_step=f"Notify them by {new.day}, or choose a later day.",
        )


def require_duty(service: Service, device_class: DeviceClass | None, duty: object) -> None:
    """Raises RuleViolation unless a consent can lift this duty of care: (1) and (2) only, and not where there is none
    (MPC-10.1, MPC-10.4, SMF-9.1)."""
    rule = "SMF-9.1" if service == "smfsx" else ("MPC-10.4" if device_class == "II" else "MPC-10.1")
    if device_class == "III":
        raise RuleViolation(
            "an adapter of class III is free of these duties", rule=rule, next_step="Nothing has to be recorded."
        )
    if duty not in {1, 2}:
        raise RuleViolation(
            "consent is given to (1) unusual use and (2) disposal; to use outside Japan there is none",
            rule=rule,
            field="facts.duty",
            next_step="Give 1 or 2.",
        )
