"""A clock on which every wait is over at once, and time has passed all the same."""

from __future__ import annotations

import asyncio

from controller.clock import SystemClock


class LeapClock:
    """Waits leap: for tests in which one push runs at a time. Implements `controller.clock.Clock`."""

    pace = 1.0

    def __init__(self, start_ms: int = 1_760_745_600_000) -> None:
        self._start_ms = start_ms
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._now_ms - self._start_ms

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)

    async def wait(self, seconds: float) -> None:
        self.leap(max(0.0, seconds))
        await asyncio.sleep(0)


class WallClock(LeapClock):
    """The machine's clock, for tests with an engine beside the push: its rounds must not eat the time."""

    def __init__(self) -> None:
        super().__init__(0)
        self._real = SystemClock()

    def now_ms(self) -> int:
        return self._real.now_ms() + self._now_ms

    def monotonic_ms(self) -> int:
        return self._real.monotonic_ms() + self._now_ms

    async def wait(self, seconds: float) -> None:
        await self._real.wait(seconds)
