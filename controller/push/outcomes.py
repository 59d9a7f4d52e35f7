"""What came of an intention, before it is journalled, and what an error of a device means for the push."""

from __future__ import annotations

from dataclasses import dataclass

from inventory.errors import (
    AuthenticationFailed,
    FleetError,
    IdentityMismatch,
    NotOnboarded,
    OutcomeUnknown,
    RolledBack,
    Truncated,
    Unreachable,
)
from inventory.plans import ConfigText, Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is journalled of it. `reading` is stored with it as truth: a config and its digest."""

    verdict: Verdict
    said: str = ""
    detail: str = ""
    transaction_id: int | None = None
    reading: tuple[ConfigText, str] | None = None


def failed(error: FleetError) -> Outcome:
    """What an error of a device means for the push; nothing else is derived from its text."""
    match error:
        case RolledBack():
            verdict = Verdict.ROLLED_BACK
        case AuthenticationFailed() | IdentityMismatch() | NotOnboarded():
            verdict = Verdict.REFUSED
        case OutcomeUnknown() | Unreachable() | Truncated():
            verdict = Verdict.LOST
        case _:
            verdict = Verdict.FAILED
    difference, sent = error.facts.get("difference"), error.facts.get("sent")
    refused = f"the line that was refused:\n{sent}" if isinstance(sent, str) and sent else ""
    return Outcome(verdict, error.message, difference if isinstance(difference, str) else refused)
