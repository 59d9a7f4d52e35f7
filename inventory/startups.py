"""Startup configs on trial: a new one is proven by a boot that confirms, or given up for the last proven one.

The proof belongs to the text and the place: the same text released again is proven already, in whatever adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inventory.modules import WantedModule
from inventory.plans import ConfigText

Standing = Literal["proven", "on-trial", "given-up", "failing"]
"""Given up: the last proven one is served in its place. Failing: it failed as often, and there is no proven one."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the RS gives to the adapter of an entry."""

    text: ConfigText
    version_id: int | None = None
    """The version whose text this is."""
    proven: bool = True
    failures: int = 0
    """Failed connection checks of the newest startup version so far."""
    instead_of: int | None = None
    """The newest startup version, when it was given up and this older one is served."""
    modules: tuple[WantedModule, ...] = ()
    """Module versions that the entry wants; others run what they run."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How the newest startup version of an entry stands. Times are milliseconds UTC."""

    entry_id: int
    version_id: int
    standing: Standing
    proven_ms: int | None
    proven_by: str | None
    failures: int
    failed_ms: int | None
    failure: str | None
    instead_id: int | None
    """The proven version that is served in its place."""
    given_up_ms: int | None

    @property
    def words(self) -> str | None:
        """What `explain` says of it; None when there is nothing to say."""
        if self.standing == "proven" or self.failures == 0:
            return None
        told = f"startup version {self.version_id} failed its connection check {_times(self.failures)}"
        told += f", last: {self.failure}" if self.failure else ""
        if self.standing == "given-up":
            return f"{told}; the proven version {self.instead_id} is served in its place"
        if self.standing == "failing":
            return f"{told}; there is no proven version to go back to"
        return told


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
