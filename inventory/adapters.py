"""Adapters: the thing with a serial number, and its life (service-terms §8)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Literal

from inventory.catalogue import DeviceClass, Model, Path, Service
from inventory.errors import BadInput, Conflict, RuleViolation
from inventory.onboarding import ChecklistItem

_SERIAL: Final = re.compile(r"[!-~](?: ?[!-~]){0,63}")


@dataclass(frozen=True, slots=True)
class SerialNumber:
    """The unique string of one adapter. Two are equal when their `key` is: NFKC, trimmed, upper-cased (SMF-1)."""

    key: str
    shown: str = field(compare=False)
    """As it was entered, trimmed."""

    @classmethod
    def parse(cls, text: str) -> SerialNumber:
        """A serial number of 1 to 64 visible ASCII characters after NFKC, single spaces allowed inside.

        Raises BadInput otherwise, and for `(unknown)`, which software routers show (devices-seil §6.2).
        """
        key = unicodedata.normalize("NFKC", text).strip().upper()
        if key == "(UNKNOWN)":
            raise BadInput(
                "(unknown) is what a software router shows that has no serial number",
                field="serial_number",
                next_step="Register it by its Distribution ID as serial number.",
            )
        if len(key) > 64 or not _SERIAL.fullmatch(key):
            raise BadInput(
                "a serial number has 1 to 64 visible ASCII characters",
                field="serial_number",
                rule="SMF-8.3",
                next_step="Copy it from the label of the device.",
            )
        return cls(key, text.strip())

    def __str__(self) -> str:
        return self.shown


def parse_distribution_id(text: str) -> str:
    """The 128-bit ARMS identity as 8 groups of 4 upper-case hexadecimal digits (arms-protocol §2.1).

    Hyphens, case and width do not count on input. Raises BadInput for anything else.
    """
    digits = unicodedata.normalize("NFKC", text).strip().replace("-", "").upper()
    if not re.fullmatch(r"[0-9A-F]{32}", digits):
        raise BadInput(
            "a Distribution ID has 8 groups of 4 hexadecimal digits",
            field="distribution_id",
            next_step="Copy it from the label, as in 0001-0000-0101-000B-0200-5EFF-FE00-5301.",
        )
    return "-".join(digits[at : at + 4] for at in range(0, 32, 4))


class Life(StrEnum):
    """Where an adapter stands in its life. Which slot it sits in is apart from this."""

    ORDERED = "ordered"
    DELIVERED = "delivered"
    INSTALLED = "installed"
    IN_SERVICE = "in-service"
    FAILED = "failed"
    SEND_BACK_DUE = "send-back-due"
    RETURN_DUE = "return-due"
    RETURNED = "returned"
    LOST = "lost"
    RETIRED = "retired"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({Life.RETURNED, Life.LOST, Life.RETIRED, Life.CANCELLED})
SEATABLE: Final = frozenset({Life.DELIVERED, Life.INSTALLED, Life.IN_SERVICE})
"""Lives in which an adapter may be put into a slot; one that leaves them stays where it sits until it is moved."""

Holding = Literal["lent", "issued", "own"]
"""lent: class I, rental, or delivered with its slot. issued: class II. own: class III, or smfsx without a rental."""


class LifeEvent(StrEnum):
    """What can happen to an adapter. Those of `FACTS` happened in the world or the calendar: they are never refused."""

    ORDER = "order"
    REGISTER = "register"
    DELIVER = "deliver"
    CHECKLIST_COMPLETE = "checklist-complete"
    FIRST_CONTACT = "first-contact"
    FAILURE_REPORTED = "failure-reported"
    REPAIRED = "repaired"
    REPLACEMENT_ARRIVES = "replacement-arrives"
    RECEIVED_EARLY = "received-early"
    SEND_BACK_OVERDUE = "send-back-overdue"
    SENT_BACK = "sent-back"
    LOSS_REPORTED = "loss-reported"
    LINE_ENDED = "line-ended"
    REPLACED = "replaced"
    DEREGISTER = "deregister"
    RECEIVED = "received"
    RETURN_OVERDUE = "return-overdue"
    FOUND = "found"


FACTS: Final = frozenset(
    {
        LifeEvent.FIRST_CONTACT,
        LifeEvent.FAILURE_REPORTED,
        LifeEvent.RECEIVED_EARLY,
        LifeEvent.SEND_BACK_OVERDUE,
        LifeEvent.SENT_BACK,
        LifeEvent.LOSS_REPORTED,
        LifeEvent.LINE_ENDED,
        LifeEvent.RECEIVED,
        LifeEvent.RETURN_OVERDUE,
        LifeEvent.FOUND,
    }
)

Consequence = Literal["loss-charge", "replacement", "alert", "due"]
"""loss-charge: MPC-13.2, SMF-11.2. replacement: one is owed. alert: an operator is told. due: a date 30 days on."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A managed router. Its contractor is that of its line; its place may belong to another's management (MPC-6.2)."""

    id: int
    serial: SerialNumber
    contractor_id: int
    service: Service
    device_class: DeviceClass | None
    model: Model
    hardware: str
    """Variant within a series, such as `60F` or `C921-4P`; empty if the model says it all."""
    holding: Holding
    path: Path
    distribution_id: str | None
    life: Life
    life_at_ms: int
    registered_ms: int
    version: int


@dataclass(frozen=True, slots=True)
class LifeStep:
    """What an event does: the state after it, the rule that says so, and what follows."""

    event: LifeEvent
    life: Life
    rule: str
    consequences: tuple[Consequence, ...] = ()
    due_day: date | None = None
    """Last day in time of what becomes due (send-back, return)."""
    alert: str | None = None
    """Why an operator should look: a fact that does not fit the state."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table in service-terms §8."""

    states: frozenset[Life | None]
    event: LifeEvent
    to: Life | None
    """None: the state stays (for `repaired`: the state it failed in)."""
    mpc_rule: str
    smfsx_rule: str
    holdings: frozenset[Holding] = frozenset({"lent", "issued", "own"})
    consequences: tuple[Consequence, ...] = ()


_LENT: Final[frozenset[Holding]] = frozenset({"lent"})
_OTHERS: Final[frozenset[Holding]] = frozenset({"issued", "own"})
_AT_SITE: Final[frozenset[Life | None]] = frozenset(SEATABLE)
_WITH_FAILED: Final = _AT_SITE | {Life.FAILED}
_REPLACED_OR_ENDED: Final[frozenset[Life | None]] = frozenset({Life.FAILED, Life.SEND_BACK_DUE, Life.RETURN_DUE})
_E = LifeEvent

_TABLE: Final = (
    _Row(frozenset({None}), _E.ORDER, Life.ORDERED, "MPC-9.1", "SMF-3.1", _LENT),
    _Row(frozenset({None}), _E.REGISTER, Life.DELIVERED, "SMF-1", "SMF-1", _OTHERS),
    _Row(frozenset({Life.ORDERED}), _E.DELIVER, Life.DELIVERED, "SMF-1", "SMF-1"),
    _Row(frozenset({Life.ORDERED}), _E.LINE_ENDED, Life.CANCELLED, "MPC-14", "SMF-23.2"),
    _Row(frozenset({Life.DELIVERED}), _E.CHECKLIST_COMPLETE, Life.INSTALLED, "MPC-7.1", "SMF-8.1"),
    _Row(frozenset({Life.INSTALLED}), _E.FIRST_CONTACT, Life.IN_SERVICE, "MPC-7.1", "SMF-8.1"),
    _Row(_AT_SITE, _E.FAILURE_REPORTED, Life.FAILED, "MPC-12.1", "SMF-10.1", _LENT, ("replacement",)),
    _Row(frozenset({Life.FAILED}), _E.REPAIRED, None, "MPC-12.1", "SMF-10.1"),
    _Row(frozenset({Life.FAILED}), _E.REPLACEMENT_ARRIVES, Life.SEND_BACK_DUE, "MPC-12.2", "SMF-10.2", _LENT, ("due",)),
    _Row(_WITH_FAILED, _E.RECEIVED_EARLY, Life.RETURNED, "MPC-12.2", "SMF-10.2", _LENT),
    _Row(frozenset({Life.SEND_BACK_DUE}), _E.SEND_BACK_OVERDUE, None, "MPC-12.2", "SMF-10.2", _LENT, ("alert",)),
    _Row(frozenset({Life.SEND_BACK_DUE}), _E.SENT_BACK, Life.RETURNED, "MPC-12.3", "SMF-10.3", _LENT),
    _Row(frozenset({Life.SEND_BACK_DUE}), _E.LINE_ENDED, None, "MPC-10.3", "SMF-9.3", _LENT),
    _Row(_AT_SITE, _E.LOSS_REPORTED, Life.LOST, "MPC-13.1", "SMF-11.1", _LENT, ("loss-charge", "replacement")),
    _Row(_REPLACED_OR_ENDED, _E.LOSS_REPORTED, Life.LOST, "MPC-13.1", "SMF-11.1", _LENT, ("loss-charge",)),
    _Row(_WITH_FAILED, _E.LINE_ENDED, Life.RETURN_DUE, "MPC-10.3", "SMF-9.3", _LENT, ("due",)),
    _Row(_AT_SITE, _E.LINE_ENDED, Life.RETIRED, "MPC-14", "SMF-23.2", _OTHERS),
    _Row(_AT_SITE, _E.LOSS_REPORTED, Life.RETIRED, "MPC-13.1", "SMF-11.1", _OTHERS),
    _Row(_AT_SITE, _E.REPLACED, Life.RETIRED, "SMF-1", "SMF-1", _OTHERS),
    _Row(_AT_SITE, _E.DEREGISTER, Life.RETIRED, "SMF-1", "SMF-1", _OTHERS),
    _Row(frozenset({Life.RETURN_DUE}), _E.RECEIVED, Life.RETURNED, "MPC-10.3", "SMF-9.3", _LENT),
    _Row(frozenset({Life.RETURN_DUE}), _E.RETURN_OVERDUE, Life.LOST, "MPC-13.2", "SMF-11.2", _LENT, ("loss-charge",)),
    _Row(frozenset({Life.LOST}), _E.FOUND, None, "MPC-13.3", "SMF-11.3", _LENT),
)


def holding(service: Service, device_class: DeviceClass | None, model: Model, *, rented: bool | None = None) -> Holding:
    """How the contractor holds an adapter (service-terms §8).

    `rented` speaks for smfsx only; None means rented wherever the model can be rented (SMF-A1).
    Raises BadInput for a rental of a model that is not for rent.
    """
    if service == "mpc":
        held: dict[DeviceClass | None, Holding] = {"I": "lent", "II": "issued", "III": "own"}
        return held[device_class]
    rentable = any(row.line == "adapter-rental" for row in model.lines)
    if rented and not rentable:
        raise BadInput(
            f"{model.name('smfsx')} is not for rent",
            field="rented",
            rule="SMF-A1",
            next_step="Register it as the contractor's own.",
        )
    return "lent" if rentable and rented is not False else "own"


def allowed(life: Life | None, held: Holding) -> tuple[LifeEvent, ...]:
    """Events that the terms list for this state and holding, in the order of their table."""
    return tuple(dict.fromkeys(row.event for row in _TABLE if life in row.states and held in row.holdings))


def live(
    life: Life | None,
    event: LifeEvent,
    *,
    service: Service,
    held: Holding,
    on: date,
    missing: tuple[ChecklistItem, ...] = (),
    seated: bool = True,
    failed_in: Life | None = None,
    replacement_sent: bool = False,
) -> LifeStep:
    """What `event` does to an adapter in state `life` (service-terms §8).

    `on` is the Tokyo day of the event; `missing` the checklist items still open; `seated` whether it sits in a slot;
    `failed_in` the state in which it failed.

    A request that is not listed raises Conflict with the state's name and the events it allows, one whose guard fails
    RuleViolation or Conflict. A fact is never refused: one that does not fit changes nothing and carries an `alert`.
    """
    row = next((row for row in _TABLE if row.event == event and life in row.states and held in row.holdings), None)
    if row is None:
        return _unlisted(life, event, service, held)
    rule = row.mpc_rule if service == "mpc" else row.smfsx_rule
    if event is LifeEvent.CHECKLIST_COMPLETE and missing:
        raise RuleViolation(
            f"the onboarding checklist still misses {', '.join(missing)}",
            rule="MPC-7.2" if missing == ("device",) else rule,
            next_step="Provide the missing items; control starts only then.",
            facts={"missing": list(missing)},
        )
    if event is LifeEvent.REPAIRED and replacement_sent:
        raise Conflict(
            "a replacement is on its way, so the failed unit does not go back into service",
            rule=rule,
            next_step="Send the failed unit off when the replacement has arrived.",
        )
    if event is LifeEvent.FIRST_CONTACT and not seated:
        assert life is not None
        return LifeStep(event, life, rule, ("alert",), alert="made contact while it sits in no slot")
    after = row.to or (failed_in if event is LifeEvent.REPAIRED else life)
    if after is None:
        raise ValueError("failed_in is needed to repair an adapter")
    # SMF-10.2 sends a replacement at the contractor's request only; MPC-12.2 sends it on the report.
    on_request = event is LifeEvent.FAILURE_REPORTED and service == "smfsx"
    return LifeStep(
        event,
        after,
        rule,
        () if on_request else row.consequences,
        due_day=on + timedelta(days=30) if "due" in row.consequences else None,
        alert="send-back is overdue" if event is LifeEvent.SEND_BACK_OVERDUE else None,
    )


def _unlisted(life: Life | None, event: LifeEvent, service: Service, held: Holding) -> LifeStep:
    named = life.value if life else "not registered"
    if event in FACTS and life is not None:
        rule = "MPC-7.3" if service == "mpc" else "SMF-8.2"
        return LifeStep(event, life, rule, ("alert",), alert=f"{event.value} does not fit the state {named}")
    possible = allowed(life, held)
    raise Conflict(
        f"an adapter that is {named} does not allow {event.value}",
        next_step=f"It allows {', '.join(possible)}." if possible else "Its life is over; register another unit.",
        facts={"life": life, "allowed": [one.value for one in possible]},
    )
