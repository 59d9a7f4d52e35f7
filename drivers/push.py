"""What a family must be able to do so that the engine can push to it (architecture §4).

The engine journals a state, then calls `enter` for it, then journals what came of it. A driver holds nothing that a
crash would lose: after a restart a fresh `Device` and the journalled `PushJob` are enough to find out what is true.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, Protocol

from inventory.plans import ConfigText, PushState

Guard = Literal["revert timer", "cfg-save revert", "client rollback", "none"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered. `serial` as the device prints it; `distribution_id` for software routers that print `(unknown)`."""

    serial: str | None
    model: str
    version: str
    hostname: str = ""
    distribution_id: str | None = None


def same_serial(one: str, other: str) -> bool:
    """Whether two serial numbers are equal: after NFKC, trimming and upper-casing (architecture §1)."""
    return _serial_key(one) == _serial_key(other)


def _serial_key(serial: str) -> str:
    return unicodedata.normalize("NFKC", serial).strip().upper()


@dataclass(frozen=True, slots=True)
class PushJob:
    """All that a push needs, as stored with its plan. `guard_s` is the time after which the device undoes by itself."""

    push_id: str
    serial: str
    base: ConfigText
    intent: ConfigText
    remediation: tuple[str, ...]
    rollback: tuple[str, ...]
    guard_s: int = 120
    transaction_id: int | None = None
    """ARMS: id of the configure transaction, journalled as soon as the start response is decoded."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of entering a state. `said` is safe to store: secrets masked. `transaction_id` is journalled if set."""

    said: str = ""
    transaction_id: int | None = None


class Device(Protocol):
    """One adapter as the engine holds it during a push: opens, keeps and drops its sessions or tunnel path.

    Errors are those of `inventory.errors.DeviceError`; OutcomeUnknown whenever something may have reached the device
    and its effect was not seen.
    """

    @property
    def family(self) -> str:
        """Name of the family, such as `ios`."""
        ...

    @property
    def order(self) -> tuple[PushState, ...]:
        """States of a push in this family's order."""
        ...

    @property
    def guard(self) -> Guard:
        """What the device does by itself when contact is lost."""
        ...

    @property
    def read_during_guard(self) -> bool:
        """Whether the device may be read while its guard runs; if not, stay silent until it has fired."""
        ...

    async def identify(self) -> Identity:
        """Connect and ask who it is; compares host key and serial number. Raises IdentityMismatch."""
        ...

    async def read(self) -> ConfigText:
        """The complete running config, now. Raises Truncated when the end mark is missing."""
        ...

    async def enter(self, state: PushState, job: PushJob) -> Step:
        """Do what `state` asks of the device: ARMED arms the guard, APPLYING sends the change, and so on.

        PREFLIGHT raises Conflict with the first reason why the device cannot be pushed to. VERIFIED reads and returns
        normally only if the running config equals the intent; otherwise it raises Conflict with the difference.
        """
        ...

    async def revert(self, job: PushJob) -> Step:
        """Go back to the base now, by the family's quickest safe way, and clear what the guard left behind.

        Returns normally only if a reading shows the base; raises OutcomeUnknown otherwise. Harmless to repeat.
        """
        ...

    async def guard_pending(self, job: PushJob) -> bool | None:
        """Whether the device-side guard still runs, or has left the device in its mode; None if nobody can tell."""
        ...

    async def close(self) -> None:
        """Drop all sessions; never raises."""
        ...
