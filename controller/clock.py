"""The one place that reads a clock. Waits may be accelerated for simulations, time stamps never (architecture §3a)."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the daemon knows of time."""

    @property
    def pace(self) -> float:
        """Waits are divided by this; 1.0 in production."""
        ...

    def now_ms(self) -> int:
        """Instant in milliseconds UTC since 1970; true wall time, whatever the pace."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds on a clock that never steps; for durations only."""
        ...

    async def wait(self, seconds: float) -> None:
        """Wait for `seconds` of protocol time: `seconds / pace` of real time."""
        ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self, pace: float = 1.0) -> None:
        if pace <= 0:
            raise ValueError(f"pace is {pace}, and must be above 0")
        self._pace = pace

    @property
    def pace(self) -> float:
        """See `Clock.pace`."""
        return self._pace

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """See `Clock.monotonic_ms`."""
        return time.monotonic_ns() // 1_000_000

    async def wait(self, seconds: float) -> None:
        """See `Clock.wait`."""
        await asyncio.sleep(seconds / self._pace)
