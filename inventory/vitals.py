"""What an adapter's heartbeat tells of itself, in words: what is nearly full, what is invalid (arms-protocol §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NEARLY_FULL: Final = 90
"""Percent of memory or disk used from which it is said."""
BUSY: Final = 95
"""Percent of a processor used from which it is said."""
INTERFACE_KINDS: Final = frozenset({"traffic-count", "traffic-rate"})
"""Statistics of the place's traffic; the others are the thing's own."""
RADIO_STATES: Final[Mapping[int, str]] = {
    0: "running",
    1: "no signal",
    2: "invalid data",
    3: "no device",
    4: "error",
}
_PERCENT: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu": ("utilization",),
    "cpu-detail": ("idle", "interrupt", "user", "system", "other"),
    "radio-wave": ("max", "min", "avg"),
}


@dataclass(frozen=True, slots=True)
class Vital:
    """One statistic: percent, bytes, counts, or rates per second, by name, as the adapter sent them."""

    kind: str
    index: int
    values: Mapping[str, int]

    @property
    def valid(self) -> bool:
        """Whether every percentage is one: senders do not check, and even 255 is sent."""
        return all(self.values[name] <= 100 for name in _PERCENT.get(self.kind, ()))


def share_used(used: int, free: int) -> int | None:
    """Percent used, rounded down; None where there is neither used nor free."""
    return None if used + free == 0 else used * 100 // (used + free)


def troubles(vitals: Sequence[Vital]) -> tuple[str, ...]:
    """What a person should know, in the order in which it was sent; nothing is concluded from invalid values."""
    return tuple(said for one in vitals if one.valid and (said := _trouble(one)))


def _trouble(one: Vital) -> str:
    match one.kind:
        case "memory" | "disk":
            share = share_used(one.values["used"], one.values["free"])
            if share is not None and share >= NEARLY_FULL:
                return f"{one.kind} {one.index} is nearly full: {share} % used"
        case "cpu":
            if one.values["utilization"] >= BUSY:
                return f"processor {one.index} is busy: {one.values['utilization']} %"
        case "radio-wave":
            status = one.values["status"]
            if status != 0:
                return f"radio {one.index}: {RADIO_STATES.get(status, f'unknown state {status}')}"
        case _:
            pass
    return ""
