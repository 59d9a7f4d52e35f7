"""Why a thing is as it is: the chain of facts, each with its time and source, and what to do next (architecture §8).

One text for API, CLI and web. The functions take everything they need and read no clock: `now_ms` is an argument.
Two different states never read the same; `tests/inventory/test_explain.py` walks them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from inventory.entitlement import Stop


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known: when it was so (milliseconds UTC), what, and who says it (a table, a device, a person)."""

    at_ms: int
    text: str
    source: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`word` is the state in a word for lists; `summary` one sentence; `facts` the chain, oldest first."""

    subject: str
    word: str
    summary: str
    facts: tuple[Fact, ...]
    next_action: str


class Contact(StrEnum):
    """Axis *contact* of an adapter (architecture §1)."""

    NEVER_SEEN = "never-seen"
    REFUSED = "refused"
    LS_ASKED = "ls-asked"
    RS_ASKED = "rs-asked"
    CONFIG_PULLED = "config-pulled"
    MODULE_SYNCING = "module-syncing"
    METHOD_AGREED = "method-agreed"
    CONFIRMED = "confirmed"
    READY = "ready"
    SILENT = "silent"


class ConfigState(StrEnum):
    """Axis *config* of an adapter: what it runs against what its place wants."""

    NONE = "none"
    UNKNOWN = "unknown"
    IN_SYNC = "in-sync"
    DIFFERS = "differs"
    UNPUSHED = "unpushed"
    PUSHING = "pushing"


class Seat(StrEnum):
    """Where an adapter sits."""

    ENTRY = "entry"
    STANDBY = "standby"
    NONE = "unseated"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What heartbeats tell of an adapter beyond that it lives; each with its time in milliseconds UTC."""

    clone: tuple[int, str] | None = None
    """Sources and evidence of the violation that stands (MPC-11)."""
    silence: tuple[int, str] | None = None
    """With whom it fell silent, where that is more than itself."""
    refused: tuple[tuple[int, str], ...] = ()
    """Heartbeats that were refused in its name lately."""
    troubles: tuple[tuple[int, str], ...] = ()
    """What its last statistics tell that a person should know."""

    def facts(self) -> list[Fact]:
        """All of it as facts."""
        found = [Fact(at_ms, f"in two places: {said}", "phone-home", "MPC-11") for at_ms, said in _one(self.clone)]
        found += [Fact(at_ms, said, "phone-home") for at_ms, said in (*_one(self.silence), *self.refused)]
        return found + [Fact(at_ms, said, "its statistics") for at_ms, said in self.troubles]

    def words(self) -> str:
        """All of it for the summary; two different states never give the same."""
        parts = (
            ("in two places", _one(self.clone)),
            ("silent together", _one(self.silence)),
            ("refused heartbeats", self.refused),
            ("statistics", self.troubles),
        )
        return "".join(f"; {label}: {', '.join(said for _, said in told)}" for label, told in parts if told)


def _one(told: tuple[int, str] | None) -> tuple[tuple[int, str], ...]:
    return () if told is None else (told,)


_NOTHING_HEARD: Final = Hearing()


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """All that the explanation of an adapter rests on. Times are milliseconds UTC; None means it never was."""

    serial: str
    life: str
    life_at_ms: int
    seat: Seat
    seat_key: str | None
    seat_at_ms: int
    contact: Contact
    contact_at_ms: int | None
    config: ConfigState
    config_at_ms: int | None
    path: str = "arms"
    missing: tuple[str, ...] = ()
    suspended: str | None = None
    unentitled: Stop | None = None
    """Why its contract line, or that of its management, gives no service."""
    lines: tuple[str, ...] | None = None
    """Keys of the contract lines that govern it; empty: none is recorded; None: not looked up."""
    refusal: str | None = None
    quarantine: str | None = None
    quarantine_at_ms: int | None = None
    proven_at_ms: int | None = None
    heartbeat_at_ms: int | None = None
    notes: tuple[Fact, ...] = ()
    """What else is to be known of it now: keys that are being rotated, old TLS; each a sentence of its own."""
    boot: tuple[Fact, ...] = ()
    """Stages of its last boot, as far as it got."""
    loop: str | None = None
    """It asks again and again, and is answered slowly."""
    loop_at_ms: int | None = None
    trial: str | None = None
    """What the connection checks say against the startup config of its place (`startups.Trial.words`)."""
    trial_at_ms: int | None = None
    fell_back: bool = False
    """The last proven startup config is served in place of the newest one."""
    modules: str | None = None
    """Wanted module versions that it does not run."""
    modules_at_ms: int | None = None
    doubt: str | None = None
    """The push that ended in doubt about it, and its incident, in words."""
    doubt_at_ms: int | None = None
    operation: str | None = None
    """The operation that it has, or that waits for it, in words."""
    operation_at_ms: int | None = None
    push_endpoint: str | None = None
    """Where it is dialled in https-simple; None where it keeps a tunnel open."""
    pace: float = 1.0
    heard: Hearing = _NOTHING_HEARD


_STAGES: Final = {
    Contact.NEVER_SEEN: (
        "has never made contact",
        "Power it on at its site and check line and Location Server address.",
    ),
    Contact.REFUSED: ("asked and was refused", "Clear the reason of the refusal; the device retries by itself."),
    Contact.LS_ASKED: (
        "asked the Location Server and has not asked its Resource Server yet",
        "Wait one retry interval.",
    ),
    Contact.RS_ASKED: ("asked the Resource Server and got no config yet", "Look at the answer it got, below."),
    Contact.CONFIG_PULLED: ("pulled its config and has not agreed on a push method yet", "Wait one retry interval."),
    Contact.MODULE_SYNCING: (
        "pulled its config and is syncing its modules; it restarts by itself",
        "Wait: it fetches the modules and pulls again; that is progress, no failure.",
    ),
    Contact.METHOD_AGREED: (
        "agreed on a push method and has not confirmed yet",
        "Check that its tunnel gets through, or that its push port can be dialled from here.",
    ),
    Contact.CONFIRMED: ("confirmed its push path; its serial number is being proven", "Wait a few seconds."),
    Contact.READY: ("is in contact and can be pushed to", ""),
    Contact.SILENT: (
        "was in contact and has fallen silent",
        "Check power and line; promote a standby if one is ready.",
    ),
}
_SSH: Final = {
    Contact.NEVER_SEEN: ("has never been reached", "Check address, port and credential, then identify it."),
    Contact.REFUSED: (
        "was reached and refused us",
        "Clear the reason of the refusal and identify it again; a credential is not tried again before that.",
    ),
    Contact.READY: ("was reached and identified", ""),
    Contact.SILENT: ("no longer answers", "Check power and line; promote a standby if one is ready."),
}
_CONFIG: Final = {
    ConfigState.NONE: ("its place has no config", "Write the working config of its place, then plan and push."),
    ConfigState.UNKNOWN: ("its running config has not been read yet", "Make a plan; that reads the device."),
    ConfigState.IN_SYNC: ("it runs the config of its place", ""),
    ConfigState.DIFFERS: ("its running config differs from that of its place", "Make a plan and look at the diff."),
    ConfigState.UNPUSHED: ("the working config of its place was not pushed yet", "Make a plan and look at the diff."),
    ConfigState.PUSHING: ("a push to it is under way", "Follow the push."),
}
_LIVES: Final = {
    "ordered": "Wait for delivery.",
    "delivered": "Complete the onboarding checklist.",
    "installed": "Power it on; first contact puts it in service.",
    "in-service": "",
    "failed": "Wait for the replacement, or promote a standby.",
    "send-back-due": "Send the failed unit off.",
    "return-due": "Return the unit in time; afterwards it counts as lost.",
    "returned": "Nothing: this unit's life is over.",
    "cancelled": "Nothing: this unit was never sent.",
    "lost": "Nothing: its serial number stays blocked; a unit that turns up goes on being refused.",
    "retired": "Nothing: its serial number stays taken for ever.",
}
ENDED: Final = frozenset({"returned", "cancelled", "lost", "retired"})


def standing(facts: AdapterFacts) -> str:
    """The one word a person reads in a list: the most urgent of the three axes."""
    if facts.quarantine:
        return "quarantined"
    if facts.heard.clone:
        return "in two places"
    if facts.life in ENDED or facts.life in ("failed", "send-back-due", "return-due", "ordered"):
        return facts.life
    if facts.suspended:
        return "suspended"
    if facts.unentitled:
        return "not entitled"
    if facts.missing:
        return "onboarding"
    if facts.loop:
        return "looping"
    if facts.contact in (Contact.SILENT, Contact.REFUSED, Contact.NEVER_SEEN):
        return facts.contact.value
    if facts.seat is Seat.NONE:
        return "unseated"
    if facts.contact is Contact.MODULE_SYNCING:
        return "syncing modules"
    if facts.contact is not Contact.READY:
        return "booting"
    if facts.seat is Seat.STANDBY:
        return "standing by"
    if facts.fell_back:
        return "fell back"
    return {
        ConfigState.IN_SYNC: "ok",
        ConfigState.DIFFERS: "drifted",
        ConfigState.UNPUSHED: "to be pushed",
        ConfigState.PUSHING: "pushing",
        ConfigState.NONE: "without config",
        ConfigState.UNKNOWN: "unread",
    }[facts.config]


def explain_adapter(facts: AdapterFacts, now_ms: int) -> Explanation:
    """Life, seat, contact and config of an adapter as one chain; the most urgent thing gives the next action."""
    chain = [
        Fact(facts.life_at_ms, f"{facts.serial} is {facts.life.replace('-', ' ')}", "inventory", "SMF-1"),
        Fact(facts.seat_at_ms, _seated(facts), "placements"),
    ]
    if facts.missing:
        chain.append(
            Fact(facts.life_at_ms, f"still missing: {', '.join(facts.missing)}", "onboarding checklist", "MPC-7.1")
        )
    chain += _contracts(facts)
    said, _ = _contact(facts)
    chain += facts.boot
    chain.append(Fact(facts.contact_at_ms or facts.life_at_ms, said, _source(facts)))
    if facts.refusal:
        told = f"{'last attempt' if _unanswered(facts) else 'last refusal'}: {facts.refusal}"
        chain.append(Fact(facts.contact_at_ms or facts.life_at_ms, told, _source(facts)))
    if facts.push_endpoint is not None:
        said_path = f"it is dialled for pushes at {facts.push_endpoint} (https-simple)"
        chain.append(Fact(facts.contact_at_ms or facts.life_at_ms, said_path, _source(facts)))
    if facts.proven_at_ms is not None:
        chain.append(Fact(facts.proven_at_ms, "its serial number was proven by the device itself", "device"))
    if facts.heartbeat_at_ms is not None:
        chain.append(Fact(facts.heartbeat_at_ms, "its last heartbeat came", "phone-home"))
    if facts.seat is Seat.ENTRY:
        chain.append(Fact(facts.config_at_ms or facts.seat_at_ms, _CONFIG[facts.config][0], "last complete reading"))
    if facts.loop:
        chain.append(Fact(facts.loop_at_ms or now_ms, f"it is answered slowly: {facts.loop}", "phone-home"))
    if facts.trial:
        chain.append(Fact(facts.trial_at_ms or now_ms, facts.trial, "startup trials"))
    if facts.modules:
        chain.append(Fact(facts.modules_at_ms or now_ms, facts.modules, "module list"))
    if facts.doubt:
        chain.append(Fact(facts.doubt_at_ms or now_ms, facts.doubt, "push journal"))
    if facts.operation:
        chain.append(Fact(facts.operation_at_ms or now_ms, facts.operation, "operations"))
    if facts.quarantine:
        chain.append(Fact(facts.quarantine_at_ms or now_ms, f"quarantined: {facts.quarantine}", "controller"))
    chain += facts.heard.facts()
    chain += facts.notes
    if facts.pace != 1.0:
        chain.append(Fact(now_ms, f"waits of this daemon are divided by {facts.pace:g}", "settings"))
    word = standing(facts)
    summary = f"{facts.serial} is {word}: {_seated(facts)}; {said}"
    if facts.seat is Seat.ENTRY:
        summary += f"; {_CONFIG[facts.config][0]}"
    if facts.life not in ("in-service",):
        summary += f"; {facts.life.replace('-', ' ')}"
    if facts.operation:
        summary += f"; {facts.operation}"
    if facts.doubt:
        summary += f"; {facts.doubt}"
    for label, detail in (
        ("missing", ", ".join(facts.missing)),
        ("suspended", facts.suspended),
        ("not entitled", facts.unentitled and str(facts.unentitled)),
        ("not reached" if _unanswered(facts) else "refused", facts.refusal),
        ("quarantined", facts.quarantine),
        ("looping", facts.loop),
        ("fell back" if facts.fell_back else "startup", facts.trial),
        ("modules", facts.modules),
    ):
        if detail:
            summary += f"; {label}: {detail}"
    summary += facts.heard.words()
    summary += "".join(f"; {note.text}" for note in facts.notes)
    return Explanation(
        subject=facts.serial,
        word=word,
        summary=summary,
        facts=tuple(sorted(chain, key=lambda fact: fact.at_ms)),
        next_action=_next_action(facts, word),
    )


def _unanswered(facts: AdapterFacts) -> bool:
    """Whether it did not answer when it was called, which says nothing about a credential."""
    return facts.path == "ssh" and facts.contact in (Contact.NEVER_SEEN, Contact.SILENT)


def _contracts(facts: AdapterFacts) -> list[Fact]:
    """What its contracts say, with the rule."""
    found = []
    if facts.suspended:
        words = f"its contract is suspended: {facts.suspended}"
        found.append(Fact(facts.seat_at_ms, words, "contracts", "SMF-21"))
    if facts.unentitled:
        words = f"its contract gives no service: {facts.unentitled.words}"
        found.append(Fact(facts.seat_at_ms, words, "contracts", facts.unentitled.rule))
    if facts.lines is not None:
        held = f"contract lines {', '.join(facts.lines)}" if facts.lines else "no contract line is recorded"
        found.append(Fact(facts.seat_at_ms, held, "contracts"))
    return found


def _seated(facts: AdapterFacts) -> str:
    match facts.seat:
        case Seat.ENTRY:
            return f"in entry {facts.seat_key}"
        case Seat.STANDBY:
            return f"standing by in {facts.seat_key}"
        case Seat.NONE:
            return "in no slot"


def _source(facts: AdapterFacts) -> str:
    return "phone-home" if facts.path == "arms" else "SSH"


def _contact(facts: AdapterFacts) -> tuple[str, str]:
    if facts.path != "arms" and facts.contact in _SSH:
        return _SSH[facts.contact]
    said, then = _STAGES[facts.contact]
    if facts.seat is Seat.STANDBY and facts.contact is Contact.READY:
        # A standby never gets a config; its retries are its sign of life (architecture §6).
        return "retries as a standby should: that is its sign of life", then
    return said, then


def _next_action(facts: AdapterFacts, word: str) -> str:
    if word == "quarantined":
        return "Compare the device with its record; release it from quarantine only when you know which is right."
    if word == "in two places":
        return "Find out at which place the adapter is; shut the identity out until you know (MPC-11)."
    if word in _LIVES and word != "in-service":
        return _LIVES[word]
    if word == "suspended":
        return "Resume the contract when its ground is gone (SMF-21)."
    if word == "not entitled":
        return "Look at its contract line (`kajitori contract explain`); what is not entitled is not controlled."
    if word == "onboarding":
        return f"Tick off: {', '.join(facts.missing)}."
    if word == "looping":
        return "Look at its boots and the reasons of its pulls; it is let in again when it has calmed down."
    if facts.trial and (facts.fell_back or facts.contact is not Contact.READY):
        return "Compare the startup texts of its place, correct the working config and release it as startup."
    if word == "unseated":
        return "Put it into an entry or a standby slot; until then it gets no config."
    if facts.contact is Contact.NEVER_SEEN and facts.path == "arms" and facts.refusal:
        return "Somebody comes in its name: compare its Location Server key with the device's, or rotate it."
    _, contact_then = _contact(facts)
    if contact_then:
        return contact_then
    if facts.seat is Seat.ENTRY and facts.doubt and facts.config is not ConfigState.PUSHING:
        return "Read the push that ended in doubt (`kajitori push explain`) and its incident; then decide."
    if facts.seat is Seat.ENTRY and _CONFIG[facts.config][1]:
        return _CONFIG[facts.config][1]
    if facts.modules:
        return "Order a pull; if it comes back with the same versions, look at its module incident."
    return "Nothing to do." if facts.seat is Seat.ENTRY else "Nothing to do: it takes over when it is promoted."


_LEVELS: Final = ("quiet", "watch", "congested", "critical")
_LEVEL_NEXT: Final = (
    "Nothing to do.",
    "Look again in a week; no proposal is drafted at this level.",
    "Look why nothing is proposed (`kajitori proposal check`), or widen the line.",
    "Look today why nothing is proposed (`kajitori proposal check`), or widen the line: it is full for hours.",
)


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What the explanation of a link rests on. `level` is 0–3 (metering §5.3)."""

    key: str
    level: int
    level_at_ms: int
    valid_days: int
    stale: bool
    capacity_kind: str | None
    capacity: str
    busy: str = ""
    proposal: str | None = None
    notes: tuple[Fact, ...] = ()
    """What else is to be known of it: a saturation alarm, maintenance, how its counters are read."""
    ordered: str | None = None
    """The accepted proposal whose change order was not carried out yet."""
    for_contractor: bool = False
    """Whether the reader is the contractor, who decides what was sent and sees no draft."""


def explain_link(facts: LinkFacts) -> Explanation:
    """Congestion level of a link, what it was judged by, and what follows from it."""
    if facts.capacity_kind is None:
        word, then = "without capacity", "Enter the line rate; without a capacity no level is judged."
    elif facts.valid_days == 0:
        word, then = "unmeasured", "Wait for a full day of readings, or import past readings."
    elif facts.stale:
        word = f"stale ({_LEVELS[facts.level]} before)"
        then = "Find out why no valid day was measured for five days."
    else:
        word, then = _LEVELS[facts.level], _LEVEL_NEXT[facts.level]
        if facts.for_contractor and facts.level >= 2:
            then = "The provider looks at it, and proposes what helps."
    if facts.proposal and word in ("congested", "critical"):
        then = f"Review proposal {facts.proposal}."
    elif facts.ordered and word in ("congested", "critical") and not facts.for_contractor:
        then = f"Carry out what proposal {facts.ordered} was accepted for, or enter the capacity that it brought."
    chain = [
        Fact(facts.level_at_ms, f"level {_LEVELS[facts.level]} over {facts.valid_days} valid days", "levels", "MPC-19")
    ]
    if facts.capacity_kind is not None:
        chain.append(Fact(facts.level_at_ms, f"judged against {facts.capacity} ({facts.capacity_kind})", "capacities"))
    if facts.busy:
        chain.append(Fact(facts.level_at_ms, facts.busy, "day figures"))
    if facts.proposal:
        chain.append(Fact(facts.level_at_ms, f"proposal {facts.proposal} is open", "proposals"))
    elif facts.ordered:
        chain.append(Fact(facts.level_at_ms, f"proposal {facts.ordered} was accepted", "proposals", "MPC-19"))
    chain += facts.notes
    summary = f"{facts.key} is {word}: {'; '.join(fact.text for fact in chain)}"
    return Explanation(facts.key, word, summary, tuple(chain), then)
