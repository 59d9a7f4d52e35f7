"""Incidents: what needs a person. One cause is one incident, however often and for however many adapters it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, get_args

IncidentState = Literal["open", "acknowledged", "closed"]
"""Acknowledged: a person has seen it and is at work on it; it is still there."""
STATES: Final[tuple[IncidentState, ...]] = get_args(IncidentState)


class IncidentKind(StrEnum):
    """What sort of trouble it is; each has a sentence and a next step."""

    CLONE = "clone"
    UNPROVEN_CONFIG = "unproven-config"
    CLIENT_LOOP = "client-loop"
    SILENCE = "silence"
    CERTIFICATE = "certificate"
    MODULE = "module"
    ABROAD = "abroad"
    QUARANTINED_PUSH = "quarantined-push"

    @property
    def sentence(self) -> str:
        """What such an incident means, for a person."""
        return _WORDS[self][0]

    @property
    def next_step(self) -> str:
        """What a person does about it."""
        return _WORDS[self][1]


_WORDS: Final[Mapping[IncidentKind, tuple[str, str]]] = {
    IncidentKind.CLONE: (
        "One identity is alive in two places at once.",
        "Find out at which of the two places the adapter is; shut the identity out until you know (MPC-11).",
    ),
    IncidentKind.UNPROVEN_CONFIG: (
        "A new startup config failed its connection check again and again; the last proven one is served.",
        "Compare the two texts, correct the working config of the entry and release it as startup.",
    ),
    IncidentKind.CLIENT_LOOP: (
        "An adapter asks again and again without getting on; it is answered slowly.",
        "Look at its boots and the reason of its pulls; it ends by itself when the adapter calms down.",
    ),
    IncidentKind.SILENCE: (
        "Adapters that were in contact have fallen silent from one cause.",
        "Check what they have in common: power, line, carrier, this node; promote standbys that are ready.",
    ),
    IncidentKind.CERTIFICATE: (
        "A certificate is about to end and could not be renewed.",
        "Read why the renewal failed; adapters refuse this server once it has ended.",
    ),
    IncidentKind.MODULE: (
        "An adapter does not run the module versions that its entry wants.",
        "Compare wanted and reported versions; the version must be one that the adapter can fetch.",
    ),
    IncidentKind.ABROAD: (
        "An adapter that may not be used outside Japan phones home from an address that is elsewhere.",
        "Ask the contractor where it is: there is no consent to use outside Japan (MPC-10.1, SMF-9.1). "
        "An address is a hint only; close the incident when it is at home.",
    ),
    IncidentKind.QUARANTINED_PUSH: (
        "A push ended in doubt: what the adapter runs, or keeps over a restart, is not known; nothing more is sent.",
        "Read why (`kajitori push explain`). A new plan leads to the wanted config, one back before the push to the "
        "former; if you have looked and it is in order as it is, close the incident.",
    ),
}


@dataclass(frozen=True, slots=True)
class NewIncident:
    """Something found. While one with the same kind and cause is open, it is added to that one.

    `cause` is the stable name of what is behind it (`adapter 12`, `entry 3`), `title` one line for lists; `facts` are
    JSON-ready and hold no secrets.
    """

    kind: IncidentKind
    cause: str
    title: str
    adapter_id: int | None = None
    entry_id: int | None = None
    management_id: int | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident on record. Times are milliseconds UTC; `count` is how often it was found while it was open."""

    id: int
    kind: IncidentKind
    cause: str
    title: str
    state: IncidentState
    opened_ms: int
    last_ms: int
    count: int
    adapter_id: int | None
    entry_id: int | None
    management_id: int | None
    facts: Mapping[str, object]
    acknowledged_ms: int | None
    acknowledged_by: str | None
    acknowledged_why: str | None
    closed_ms: int | None
    closed_by: str | None
    closed_why: str | None
    version: int

    @property
    def is_open(self) -> bool:
        """Whether it still needs somebody."""
        return self.state != "closed"
