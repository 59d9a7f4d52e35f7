"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class ManualClock:
    """Instants and waits under the test's control; implements `controller.clock.Clock`."""

    def __init__(self, start_ms: int = 1_760_745_600_000, pace: float = 1.0) -> None:
        # 2025-10-18T00:00:00Z
        self._now_ms = start_ms
        self._monotonic_ms = 0
        self._pace = pace
        self._waiters: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @property
    def pace(self) -> float:
        """See `Clock.pace`."""
        return self._pace

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return self._now_ms

    def monotonic_ms(self) -> int:
        """See `Clock.monotonic_ms`."""
        return self._monotonic_ms

    def step_ms(self, ms: int) -> None:
        """The wall clock jumps (either way); nobody's wait ends by it."""
        self._now_ms += ms

    def advance(self, seconds: float) -> None:
        """Let `seconds` of real time pass: both clocks move, and waits that are due end."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_ms += round(seconds * 1000)
        while self._waiters and self._waiters[0][0] <= self._monotonic_ms:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return when the test has advanced by `seconds / pace`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ms = self._monotonic_ms + seconds * 1000 / self._pace
        heapq.heappush(self._waiters, (due_ms, next(self._order), waiter))
        await waiter

    def waiting(self) -> int:
        """How many waits are open."""
        return sum(not waiter.done() for _, _, waiter in self._waiters)
