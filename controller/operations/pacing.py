"""Seconds of protocol time and real ones. What a machine computes is not faster under a pace, so waits of up to 10 s
stay as they are, here as in the link."""

from __future__ import annotations

from typing import Final

_KEPT_S: Final = 10.0


def real_s(protocol_s: float, pace: float) -> float:
    """Real seconds of so many of protocol time."""
    return max(protocol_s / pace, min(protocol_s, _KEPT_S))


def protocol_s(seconds: float, pace: float) -> float:
    """Protocol time of which the link makes so many real seconds."""
    return seconds if seconds <= _KEPT_S else seconds * pace
