"""Admission in time: so many pulls a second, the rest are held, then told to come back (architecture §6).

A refused client returns after its own fixed wait, so refusing alone would bring a wave back whole. Holding spreads it.
"""

from __future__ import annotations

import zlib

from controller.clock import Clock

HOLD_S = 20.0
MAX_HELD = 5000
"""Connections held at once; each costs a TLS session of some 30 KB."""


class Gate:
    """A token bucket with a queue. `rate` pulls a second pass, twice that at once after a quiet time."""

    def __init__(self, clock: Clock, *, rate: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
        self._tokens = self._burst
        self._at_ms = clock.monotonic_ms()
        self._held = 0
        self.refused = 0

    async def enter(self, who: str) -> bool:
        """Whether `who` may go on now; False after it was held for long enough, it is then told to try later.

        Held is at most 20 s of protocol time: the time until its turn, or a time of its own when its turn is too far.
        """
        now_ms = self._clock.monotonic_ms()
        self._tokens = min(self._burst, self._tokens + (now_ms - self._at_ms) / 1000 * self._rate)
        self._at_ms = now_ms
        if self._tokens >= 1:
            self._tokens -= 1
            return True
        turn_s = (1 - self._tokens) / self._rate
        if self._held >= MAX_HELD:
            self.refused += 1
            return False
        if turn_s <= HOLD_S / self._clock.pace:
            self._tokens -= 1
            await self._hold(turn_s * self._clock.pace)
            return True
        self.refused += 1
        await self._hold(_spread(who) * HOLD_S)
        return False

    async def _hold(self, seconds: float) -> None:
        self._held += 1
        try:
            await self._clock.wait(seconds)
        finally:
            self._held -= 1


def _spread(who: str) -> float:
    """A fixed share from 0.5 to 1 for each name."""
    return 0.5 + zlib.crc32(who.encode()) / 2**33


def own_interval_s(base_s: int, serial: str) -> int:
    """The retry interval of one adapter: `base_s` up to twice that, so that a fleet does not return at once (§7)."""
    return base_s + zlib.crc32(serial.encode()) % (base_s + 1)
