"""Values of plans and pushes: states, their order by family, outcomes (architecture §4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class PushState(StrEnum):
    """Where a push to one adapter stands. Each is journalled before the device sees its command."""

    PLANNED = "planned"
    PREFLIGHT = "preflight"
    BASELINED = "baselined"
    ARMED = "armed"
    APPLYING = "applying"
    APPLIED = "applied"
    REACHABLE = "reachable"
    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    SAVED = "saved"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"
    RECONCILE = "reconcile"
    QUARANTINED = "quarantined"
    NOT_DONE = "not-done"


class Outcome(StrEnum):
    """The three outcomes of anything that is sent to a device."""

    DONE = "done"
    NOT_DONE = "not-done"
    UNKNOWN = "unknown"


_HEAD: Final = (
    PushState.PLANNED,
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
)
SSH_ORDER: Final = (
    *_HEAD,
    PushState.VERIFIED,
    PushState.CONFIRMED,
    PushState.SAVED,
    PushState.DONE,
)
"""IOS, FortiOS: verified while the guard still runs, then confirmed."""

ARMS_ORDER: Final = (
    *_HEAD,
    PushState.CONFIRMED,
    PushState.VERIFIED,
    PushState.SAVED,
    PushState.DONE,
)
"""ARMS: configure-done must be answered before anything can be read back."""

FINAL: Final = frozenset({PushState.DONE, PushState.REVERTED, PushState.NOT_DONE, PushState.QUARANTINED})
TOUCHED: Final = frozenset(
    {
        PushState.ARMED,
        PushState.APPLYING,
        PushState.APPLIED,
        PushState.REACHABLE,
        PushState.VERIFIED,
        PushState.CONFIRMED,
        PushState.SAVED,
        PushState.REVERTING,
    }
)
"""States in which the device may hold something of the change: after a loss of contact only RECONCILE may follow."""


def outcome(state: PushState) -> Outcome | None:
    """Outcome of a push in `state`; None while under way. Quarantine is the unknown that waits for a person."""
    match state:
        case PushState.DONE:
            return Outcome.DONE
        case PushState.REVERTED | PushState.NOT_DONE:
            return Outcome.NOT_DONE
        case PushState.QUARANTINED:
            return Outcome.UNKNOWN
        case _:
            return None


@dataclass(frozen=True, slots=True)
class ConfigText:
    """Configuration of one place: text per module. SSH families and recipe have module 0 only (devices-seil §9.1)."""

    modules: tuple[tuple[int, str], ...]

    @classmethod
    def single(cls, text: str) -> ConfigText:
        """A config of module 0 only."""
        return cls(((0, text),))

    def text(self, module: int = 0) -> str:
        """Text of a module; empty if the module is not there."""
        return dict(self.modules).get(module, "")
