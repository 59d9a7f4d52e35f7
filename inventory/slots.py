"""Slots: managements, entries, standbys, and who may sit in them (MPC-3, MPC-6.2, MPC-8, SMF-5.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, CountBelowOccupancy, NotEligible, RuleViolation

SlotKind = Literal["entry", "standby"]
SLOT_KINDS: Final[tuple[SlotKind, ...]] = ("entry", "standby")
PlacementCause = Literal["assign", "promote", "swap"]
EndCause = Literal["release", "promote", "swap"]
KeyKind = Literal["K", "L", "M", "E", "S"]

_KEY: Final = re.compile(r"([A-Z])-0*([1-9][0-9]{0,17})")
_KEY_NAMES: Final[Mapping[str, str]] = {
    "K": "contractor",
    "L": "contract line",
    "M": "management",
    "E": "entry",
    "S": "standby",
}
SLOTS_AT_MOST: Final = 100_000
"""Slots of one kind in one management; a bound against slips of the finger."""


def parse_key(shown: str) -> tuple[KeyKind, int]:
    """`E-12` → `("E", 12)`; padding, width and case do not count (`e-012`). Raises BadInput for anything else."""
    match = _KEY.fullmatch(unicodedata.normalize("NFKC", shown).strip().upper())
    kinds: dict[str, KeyKind] = {"K": "K", "L": "L", "M": "M", "E": "E", "S": "S"}
    if match is None or match[1] not in kinds:
        raise BadInput(
            f"{shown[:40]!r} is no key of a {', '.join(_KEY_NAMES.values())}",
            field="key",
            next_step="Write the letter, a hyphen and the number, such as E-12.",
        )
    return kinds[match[1]], int(match[2])


def show_key(kind: KeyKind, number: int) -> str:
    """`("E", 12)` → `E-12`, without padding."""
    return f"{kind}-{number}"


@dataclass(frozen=True, slots=True)
class Contractor:
    """Who holds contracts (契約者)."""

    id: int
    name: str
    created_ms: int
    version: int

    @property
    def key(self) -> str:
        """`K-1`."""
        return show_key("K", self.id)


@dataclass(frozen=True, slots=True)
class Management:
    """The contract kind that gives control over adapters: so many entries, so many standbys (MPC-4, SMF-4.1)."""

    id: int
    contractor_id: int
    service: Service
    classes: tuple[DeviceClass, ...]
    """Device classes it serves; empty for smfsx, which has none."""
    name: str
    entry_count: int
    standby_count: int
    suspended: str | None
    """Reason of the suspension in force (SMF-21); None if there is none."""
    created_ms: int
    version: int

    @property
    def key(self) -> str:
        """`M-3`."""
        return show_key("M", self.id)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place: what is configured, monitored and operated is the adapter that sits here."""

    id: int
    management_id: int
    name: str
    site: str
    generation: int
    """Rises with each change of occupant by promotion or swap; pushes of an older one end as not done."""
    version: int
    opened_ms: int
    closed_ms: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`E-12`."""
        return show_key("E", self.id)


@dataclass(frozen=True, slots=True)
class Standby:
    """A slot for a spare, without config."""

    id: int
    management_id: int
    opened_ms: int
    closed_ms: int | None = None

    @property
    def key(self) -> str:
        """`S-7`."""
        return show_key("S", self.id)


@dataclass(frozen=True, slots=True)
class Placement:
    """An adapter in a slot from `from_ms` until before `to_ms`; None: it sits there now."""

    id: int
    adapter_id: int
    slot_kind: SlotKind
    slot_id: int
    from_ms: int
    to_ms: int | None
    cause: PlacementCause
    end_cause: EndCause | None = None

    @property
    def slot_key(self) -> str:
        """`E-12` or `S-7`."""
        return show_key("E" if self.slot_kind == "entry" else "S", self.slot_id)


@dataclass(frozen=True, slots=True)
class Occupant:
    """Who sits in a slot; what CountBelowOccupancy lists."""

    slot_key: str
    serial: str


@dataclass(frozen=True, slots=True)
class CountChange:
    """A dated fact: from `valid_from` on the management has `count` slots of a kind."""

    id: int
    management_id: int
    kind: SlotKind
    count: int
    valid_from: date
    recorded_ms: int
    applied_ms: int | None
    """When the slots were opened or closed; None: its day is still to come."""


def placement_allowed(service: Service, device_class: DeviceClass | None, kind: SlotKind) -> bool:
    """Whether a slot of this kind takes an adapter of this class, where the management serves the class.

    mpc: entries take every class, standbys class I only (MPC-3.1, MPC-3.2). smfsx standbys take any model. An mpc
    adapter without a class has no place at all (MPC-2).
    """
    return service == "smfsx" or device_class == "I" or (kind == "entry" and device_class is not None)


def require_placement(
    management: Management, service: Service, device_class: DeviceClass | None, kind: SlotKind, *, consented: bool
) -> None:
    """Raises NotEligible, with the rule, unless an adapter may sit in a slot of this kind in the management.

    `consented`: the management is the adapter's contractor's own, or its contractor's recorded consent is in force
    (MPC-6.2, SMF-13).
    """
    if service != management.service:
        raise NotEligible(
            f"the adapter belongs to {service}, {management.key} to {management.service}",
            rule="MPC-3.1" if management.service == "mpc" else "SMF-2",
            next_step="Choose a management of the adapter's own service.",
            facts={"adapter_service": service, "management_service": management.service},
        )
    if not consented:
        raise NotEligible(
            f"{management.key} belongs to another contractor, and its consent is not on record",
            rule="MPC-6.2" if service == "mpc" else "SMF-13",
            next_step="Record the consent of the management's contractor first.",
            facts={"management": management.key},
        )
    if not placement_allowed(service, device_class, kind):
        raise NotEligible(
            f"a standby takes class I only, and this adapter is class {device_class}",
            rule="MPC-3.2",
            next_step="Assign it to an entry.",
            facts={"class": device_class, "slot": kind},
        )
    if service == "mpc" and device_class not in management.classes:
        raise NotEligible(
            f"{management.key} serves class {', '.join(management.classes)}, and this adapter is class {device_class}",
            rule="MPC-3.1",
            next_step="Choose a management that serves the class.",
            facts={"class": device_class, "classes": list(management.classes)},
        )


def require_classes(service: Service, classes: Sequence[DeviceClass]) -> None:
    """Raises BadInput unless an mpc management names at least one class, each once, and an smfsx one none (MPC-3)."""
    if service == "smfsx" and classes:
        raise BadInput("smfsx has no device classes", field="classes", next_step="Leave the classes out.")
    if service == "mpc" and (not classes or len(set(classes)) != len(classes)):
        raise BadInput(
            "an mpc management names the device classes it serves, each once",
            field="classes",
            rule="MPC-3.1",
            next_step="Give one or more of I, II, III.",
        )


def require_count(service: Service, classes: Sequence[DeviceClass], kind: SlotKind, count: int) -> None:
    """Raises RuleViolation or BadInput unless the management may have `count` slots of this kind.

    An mpc entry count is at least 1 (MPC-8); a standby count above 0 needs class I (MPC-3.2).
    """
    if not 0 <= count <= SLOTS_AT_MOST:
        raise BadInput(
            f"{count} is no number of slots (0 to {SLOTS_AT_MOST})",
            field=f"{kind}_count",
            next_step="Correct the number.",
        )
    if service == "mpc" and kind == "entry" and count < 1:
        raise RuleViolation(
            "an mpc management keeps at least one entry",
            rule="MPC-8",
            field="entry_count",
            next_step="Give notice for the management if it is to end.",
            facts={"count": count},
        )
    if service == "mpc" and kind == "standby" and count > 0 and "I" not in classes:
        raise RuleViolation(
            f"a management of class {', '.join(classes)} has entry slots only",
            rule="MPC-3.2",
            field="standby_count",
            next_step="Set the standby count to 0; standbys need class I.",
            facts={"count": count, "classes": list(classes)},
        )


def require_day(service: Service, accepted: date, valid_from: date, known_days: Sequence[date]) -> None:
    """Raises RuleViolation unless a count change may take effect on `valid_from` (MPC-8, SMF-5.1).

    Not before the day it is accepted, and one change per day; `known_days` are the days of the kind's other counts,
    those to come included.
    """
    if valid_from < accepted:
        raise RuleViolation(
            f"a count changes on the day it is accepted at the earliest, {accepted}; asked for was {valid_from}",
            rule=_count_rule(service),
            field="valid_from",
            next_step=f"Ask for {accepted} or a later day.",
            facts={"accepted": accepted.isoformat(), "valid_from": valid_from.isoformat()},
        )
    if valid_from in known_days:
        raise RuleViolation(
            f"the count already changes on {valid_from}, and there is one change per day",
            rule=_count_rule(service),
            field="valid_from",
            next_step="Ask for another day.",
            facts={"valid_from": valid_from.isoformat()},
        )


def require_occupancy(service: Service, kind: SlotKind, count: int, occupants: Sequence[Occupant]) -> None:
    """Raises CountBelowOccupancy, listing the occupants, if more than `count` slots are occupied (MPC-8, SMF-5.1)."""
    if len(occupants) > count:
        plural = "entries" if kind == "entry" else "standbys"
        raise CountBelowOccupancy(
            f"{len(occupants)} {plural} are occupied, so the count cannot become {count}",
            rule=_count_rule(service),
            field=f"{kind}_count",
            next_step=f"Release {len(occupants) - count} of the occupants first.",
            facts={
                "count": count,
                "occupants": [{"slot": one.slot_key, "serial_number": one.serial} for one in occupants],
            },
        )


def to_close(slots: Sequence[int], occupied: frozenset[int], count: int) -> tuple[int, ...]:
    """Ids of the slots that go when the count falls to `count`: free ones only, the newest first (SMF-15.5).

    Promises to return exactly `len(slots) - count` ids when enough are free; fewer otherwise.
    """
    surplus = max(0, len(slots) - count)
    free = sorted((slot for slot in slots if slot not in occupied), reverse=True)
    return tuple(free[:surplus])


def _count_rule(service: Service) -> str:
    return "MPC-8" if service == "mpc" else "SMF-5.1"
