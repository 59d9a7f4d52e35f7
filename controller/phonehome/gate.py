"""Admission in time: who is served next when all come at once (architecture §6).

A refused client returns after its own fixed wait, so refusing alone would bring a wave back whole. So as many are in
work as keep the node busy, the others are held in one queue, and how fast that moves is what the node can do: no rate
is set beforehand. Only who cannot be served within the 20 s that a client bears is told to come back.
"""

from __future__ import annotations

import asyncio
import heapq
import zlib
from collections import OrderedDict, deque
from enum import Enum
from functools import partial
from typing import Final

from controller.clock import Clock

HOLD_S: Final = 20.0
MAX_HELD: Final = 10_000
"""Connections held at once; each costs a TLS session of some 30 KB."""
AT_ONCE: Final = 256
"""Pulls in work at the same time: enough that their reads are shared, few enough that the order of the queue counts."""
HEAD_START_S: Final = 2.0
"""How far each finished step of a boot puts the next one ahead: what was begun is finished, and nobody starves."""
URGENT_S: Final = 12.0
"""Who has waited for so long goes first, whatever the head starts: a refusal would bring it back at a time when the
others are done, as the second wave."""
MAX_SENT_AWAY: Final = 20_000
"""Of so many the wait is remembered that was in vain."""
_LATEST: Final = 256


class Turn(Enum):
    """How somebody came through."""

    AT_ONCE = "at once"
    HELD = "held"
    """What was read of it before is old now."""
    REFUSED = "refused"
    """It is told to come back later, and `leave` is not called."""


class Gate:
    """A queue before the work. Whoever has a turn calls `leave` when what it needed is read.

    `ceiling`: no more than so many a second, and twice that at once after a quiet time; None: as many as can be served.
    """

    def __init__(self, clock: Clock, *, ceiling: float | None = None, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._at_once = at_once
        self._bucket = None if ceiling is None else _Bucket(ceiling, clock.monotonic_ms())
        self._working = 0
        self._held = 0
        self._number = 0
        self._queue: list[tuple[float, int, asyncio.Future[Turn]]] = []
        self._arrived: list[tuple[float, int, asyncio.Future[Turn]]] = []
        """The same without the head starts of the steps."""
        self._left: deque[int] = deque(maxlen=_LATEST)
        self._sent_away: OrderedDict[str, float] = OrderedDict()
        self._refill: asyncio.Task[None] | None = None
        self.entered = 0
        """How many have asked for a turn."""
        self.refused = 0

    async def enter(self, who: str, *, step: int = 0) -> Turn:
        """Wait for the turn of `who`, whose boot has `step` steps behind it; at most 20 s of protocol time.

        The order is that of arrival, with a head start for each step, and for what it waited in vain before; who has
        waited for 12 s goes first. Who will not have its turn within 20 s, as fast as things go now, waits a time of
        its own between 10 and 20 s.
        """
        now_ms = self._clock.monotonic_ms()
        self.entered += 1
        if self._working < self._at_once and not self._held and self._token(now_ms):
            self._working += 1
            self._sent_away.pop(who, None)
            return Turn.AT_ONCE
        waited_ms = self._sent_away.pop(who, 0.0)
        if self._held >= MAX_HELD:
            return self._refuse(who, waited_ms)
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        # Waits are divided by the pace, and so are the head starts that are measured against them.
        head_ms = step * HEAD_START_S * 1000 / self._clock.pace + waited_ms
        self._number += 1
        heapq.heappush(self._queue, (now_ms - head_ms, self._number, turn))
        heapq.heappush(self._arrived, (now_ms - waited_ms, self._number, turn))
        hold_s = HOLD_S if self._ahead_s() <= HOLD_S / self._clock.pace else HOLD_S * _spread(who)
        self._go_on()
        if await self._wait(turn, hold_s) is Turn.HELD:
            return Turn.HELD
        return self._refuse(who, waited_ms + self._clock.monotonic_ms() - now_ms)

    def leave(self) -> None:
        """The turn is over."""
        self._working -= 1
        self._left.append(self._clock.monotonic_ms())
        self._go_on()

    @property
    def held(self) -> int:
        """How many wait for their turn."""
        return self._held

    @property
    def per_s(self) -> float | None:
        """Pulls a second, measured over the latest; None while there are too few to tell."""
        if len(self._left) < _LATEST // 8 or self._left[-1] == self._left[0]:
            return None
        return (len(self._left) - 1) * 1000 / (self._left[-1] - self._left[0])

    def _ahead_s(self) -> float:
        """Real seconds until all who wait now have had their turn."""
        rates = [rate for rate in (self.per_s, self._bucket.rate if self._bucket else None) if rate is not None]
        return self._held / min(rates) if rates else 0.0

    async def _wait(self, turn: asyncio.Future[Turn], hold_s: float) -> Turn:
        self._held += 1
        patience = asyncio.get_running_loop().create_task(self._clock.wait(hold_s))
        patience.add_done_callback(partial(_give_up, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result() is Turn.HELD:
                self.leave()
            raise
        finally:
            self._held -= 1
            patience.cancel()

    def _go_on(self) -> None:
        """Give turns to the next in the queue."""
        while self._working < self._at_once:
            now_ms = self._clock.monotonic_ms()
            turn = self._next(now_ms)
            if turn is None:
                return
            if not self._token(now_ms):
                self._wait_for_token()
                return
            self._working += 1
            turn.set_result(Turn.HELD)

    def _next(self, now_ms: int) -> asyncio.Future[Turn] | None:
        """Whose turn it is; those that were refused, or whose connection is gone, are dropped on the way."""
        for queue in (self._arrived, self._queue):
            while queue and queue[0][2].done():
                heapq.heappop(queue)
        if self._arrived and now_ms - self._arrived[0][0] >= URGENT_S * 1000 / self._clock.pace:
            return self._arrived[0][2]
        return self._queue[0][2] if self._queue else None

    def _token(self, now_ms: int) -> bool:
        return self._bucket is None or self._bucket.take(now_ms)

    def _wait_for_token(self) -> None:
        if self._refill is None and self._bucket is not None:
            seconds = self._bucket.next_s * self._clock.pace
            self._refill = asyncio.get_running_loop().create_task(self._clock.wait(seconds))
            self._refill.add_done_callback(self._refilled)

    def _refilled(self, waited: asyncio.Task[None]) -> None:
        self._refill = None
        if not waited.cancelled():
            self._go_on()

    def _refuse(self, who: str, waited_ms: float) -> Turn:
        self.refused += 1
        self._sent_away[who] = waited_ms
        if len(self._sent_away) > MAX_SENT_AWAY:
            self._sent_away.popitem(last=False)
        return Turn.REFUSED


class _Bucket:
    """Tokens that come at a rate; twice the rate are kept."""

    def __init__(self, rate: float, now_ms: int) -> None:
        self.rate = rate
        self._most = max(1.0, 2 * rate)
        self._tokens = self._most
        self._at_ms = now_ms

    def take(self, now_ms: int) -> bool:
        self._tokens = min(self._most, self._tokens + (now_ms - self._at_ms) / 1000 * self.rate)
        self._at_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def next_s(self) -> float:
        """Real seconds until there is one; a millisecond more, which is what the clock tells apart."""
        return max(0.0, 1 - self._tokens) / self.rate + 0.001


def _give_up(turn: asyncio.Future[Turn], _waited: asyncio.Task[None]) -> None:
    if not turn.done():
        turn.set_result(Turn.REFUSED)


def _spread(who: str) -> float:
    """A fixed share from 0.5 to 1 for each name."""
    return 0.5 + zlib.crc32(who.encode()) / 2**33


def own_interval_s(base_s: int, serial: str) -> int:
    """The retry interval of one adapter: `base_s` up to twice that, so that a fleet does not return at once (§7)."""
    return base_s + zlib.crc32(serial.encode()) % (base_s + 1)
