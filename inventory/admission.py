"""What phone-home answers to whom (architecture §6, arms-protocol §10): one pure decision for each door.

The order is that of arms-protocol §10.2: known id, its key, the same id as user; then what operator and contract say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

SUCCESS: Final = 100
BUSY: Final = 301
STANDBY: Final = 404
UNKNOWN_ID: Final = 420
NO_CONFIG: Final = 421
OTHER_ID: Final = 423
SHUT_OUT: Final = 501


class Door(StrEnum):
    """Who asks: a location request, a pull, a tunnel."""

    LS = "ls"
    RS = "rs"
    TUNNEL = "tunnel"


class Place(StrEnum):
    """Where the adapter sits."""

    ENTRY = "entry"
    STANDBY = "standby"
    NONE = "unseated"


@dataclass(frozen=True, slots=True)
class Caller:
    """All that the answer rests on."""

    known: bool
    """The distribution id belongs to an adapter whose life goes on; retired, lost and returned ones are not known."""
    key_ok: bool = True
    doubt: str | None = None
    """Why it is not believed though the key may be right; None: the key itself decided."""
    same_id: bool = True
    """The user of the credential is the id in the body."""
    place: Place = Place.NONE
    delivered: bool = True
    missing: tuple[str, ...] = ()
    """Items of the onboarding checklist that are open (MPC-7.3)."""
    suspended: str | None = None
    unentitled: str | None = None
    """Why its contract line, or that of its management, gives no service, with the rule."""
    finishing: bool = False
    """Something that was begun is under way: it ends at its next safe state before a stopped contract puts it out."""
    shut_out: str | None = None
    quarantine: str | None = None
    startup: bool = False
    """Its place has a startup config."""
    overload: bool = False
    looping: str | None = None
    """It asks again and again without getting on; it was held, and is told to come back later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` of HTTP or of ARMS; `reason` in the words that `explain` shows."""

    kind: Literal["arms", "http"]
    code: int
    reason: str = ""

    @property
    def admitted(self) -> bool:
        """Whether the door opens."""
        return self.code in {SUCCESS, 200}


def admit(door: Door, caller: Caller) -> Answer:
    """The answer of that door. Never one that makes a client loop or reboot, never an empty configuration."""
    refusal = _identity(caller) or _operator(caller)
    if refusal is None and door is not Door.LS:
        refusal = _place(caller, in_touch=door is Door.TUNNEL and caller.finishing)
    if refusal is None and caller.looping is not None:
        refusal = Answer("arms", BUSY, f"it is answered slowly: {caller.looping}")
    if refusal is None and caller.overload:
        refusal = Answer("arms", BUSY, "the server is busy; the adapter asks again after its interval")
    if refusal is None:
        return Answer("http", 200) if door is Door.TUNNEL else Answer("arms", SUCCESS)
    return _tunnel(refusal) if door is Door.TUNNEL else refusal


def _identity(caller: Caller) -> Answer | None:
    if not caller.known:
        return Answer("arms", UNKNOWN_ID, "no adapter in service has this distribution id")
    if not caller.key_ok:
        return Answer("http", 401, caller.doubt or "the key is wrong")
    if not caller.same_id:
        return Answer("arms", OTHER_ID, "the credential names another distribution id than the message")
    return None


def _operator(caller: Caller) -> Answer | None:
    if caller.shut_out is not None:
        return Answer("arms", SHUT_OUT, f"an operator shut it out: {caller.shut_out}")
    return None


def _place(caller: Caller, *, in_touch: bool) -> Answer | None:
    if caller.quarantine is not None:
        return Answer("arms", STANDBY, f"it is in quarantine: {caller.quarantine}")
    if not caller.delivered:
        return Answer("arms", STANDBY, "it was not delivered yet")
    if caller.place is Place.NONE:
        return Answer("arms", STANDBY, "it sits in no slot")
    if caller.place is Place.STANDBY:
        return Answer("arms", STANDBY, "it is a standby, ready to take over")
    if caller.missing:
        return Answer("arms", STANDBY, f"the onboarding checklist still misses {', '.join(caller.missing)}")
    if caller.suspended is not None and not in_touch:
        return Answer("arms", STANDBY, f"the contract is suspended: {caller.suspended} (SMF-21)")
    if caller.unentitled is not None and not in_touch:
        return Answer("arms", STANDBY, f"the contract gives no service: {caller.unentitled}")
    if not caller.startup:
        return Answer("arms", NO_CONFIG, "its entry has no startup config")
    return None


def _tunnel(refusal: Answer) -> Answer:
    """A tunnel answers in HTTP only: 401 for a wrong key, 503 when busy, else 403 (arms-protocol §10.1, §10.2)."""
    status = {401: 401, BUSY: 503}.get(refusal.code, 403)
    return Answer("http", status, refusal.reason)
