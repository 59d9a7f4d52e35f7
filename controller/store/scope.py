"""Whose rows a caller may see, and who changes them.

Functions over owned rows take a scope, and none has a default (architecture §3a.5).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Rows of one contractor, or of all of them. What lies outside is answered as not found."""

    contractor_id: int | None
    """None: every contractor's."""

    @classmethod
    def everything(cls) -> Scope:
        """The provider's own view; also what the daemon's loops use."""
        return cls(None)

    @classmethod
    def of(cls, contractor_id: int) -> Scope:
        """The view of one contractor."""
        return cls(contractor_id)

    def allows(self, *owners: int | None) -> bool:
        """Whether a row with these owners (thing's contractor, place's contractor …) may be seen."""
        return self.contractor_id is None or self.contractor_id in owners


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change and when; every change carries one into audit and events."""

    actor: str
    """As the audit shows it, such as `key 3 (night shift)` or `daemon`."""
    at_ms: int
