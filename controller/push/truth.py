"""Reads what the adapters in entries run: after they come into contact, and once a day.

Drift is judged against the last complete reading, never against what we remember having sent (architecture §4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.push.planning import Planner
from controller.push.reach import Reach
from controller.store import configs, entitlement, pushes, truths
from controller.store.database import Database
from controller.store.scope import Scope
from controller.store.truths import Unread
from inventory.errors import ConfigSyntax, Conflict, DeviceError

log = structlog.get_logger(__name__)

LOOK_S: Final = 30.0
"""Seconds between two looks for places to read."""
AT_ONCE: Final = 4
BUSY_S: Final = 1.0
"""How long a reader waits before it looks again whether the node is busy."""
AGAIN_MS: Final = 300_000
"""A place that could not be read is left alone for so long, in protocol time."""
DAY_MS: Final = 86_400_000


class TruthReader:
    """The daemon's reader of running configs."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        reach: Reach,
        planner: Planner,
        *,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`busy`: adapters wait to be served, so that nothing is read of its own accord."""
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._reach = reach
        self._planner = planner
        self._failed_ms: dict[int, int] = {}
        self._busy = busy

    async def run(self) -> None:
        """Read what wants to be read, again and again, until cancelled."""
        while True:
            await self.look()
            await self._clock.wait(LOOK_S)

    async def look(self) -> int:
        """Read every place that wants it once; how many were read."""
        async with self._database.read() as tx:
            unread = await truths.unread(tx, older_than_ms=self._clock.now_ms() - DAY_MS)
            kept = await entitlement.stops(tx, [one.adapter_id for one in unread])
        wanted = [one for one in unread if one.adapter_id not in kept]
        patience_ms = AGAIN_MS / self._clock.pace
        now_ms = self._clock.monotonic_ms()
        due = iter([one for one in wanted if now_ms - self._failed_ms.get(one.adapter_id, -AGAIN_MS) >= patience_ms])
        return sum(await asyncio.gather(*(self._read_on(due) for _ in range(AT_ONCE))))

    async def _read_on(self, due: Iterator[Unread]) -> int:
        """One place after the other, as long as the node has nothing better to do; how many were read."""
        done = 0
        for place in due:
            while self._busy():
                await self._clock.wait(BUSY_S)
            done += await self._read(place)
        return done

    async def _read(self, place: Unread) -> bool:
        try:
            await self._store(place)
        except (Conflict, ConfigSyntax, DeviceError) as error:
            self._failed_ms[place.adapter_id] = self._clock.monotonic_ms()
            log.info("truth.not-read", entry=f"E-{place.entry_id}", code=error.code, why=error.message)
            return False
        self._failed_ms.pop(place.adapter_id, None)
        return True

    async def _store(self, place: Unread) -> None:
        device = await self._reach.device_for(place.adapter_id)
        try:
            await device.prove()
            found = await device.read()
        finally:
            await device.close()
        digest = await self._planner.digest(place.family, found)
        async with self._database.write() as tx:
            seat = await pushes.seat(tx, place.entry_id)
            if seat.adapter_id != place.adapter_id or await pushes.holder(tx, place.adapter_id) is not None:
                return  # it moved, or a push began: this reading is no longer the place's truth
            await configs.put(
                tx,
                Scope.everything(),
                self._keyring,
                place.entry_id,
                kind="truth",
                config=found,
                digest=digest,
                author="daemon",
                reason="read after contact",
                at_ms=self._clock.now_ms(),
            )
