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
from controller.store import configs, entitlement, pushes, quarantines, reading_requests, truths
from controller.store.database import Database
from controller.store.scope import By, Scope
from controller.store.truths import Unread
from inventory.errors import ConfigSyntax, Conflict, DeviceError, FleetError

log = structlog.get_logger(__name__)

LOOK_S: Final = 30.0
"""Seconds between two looks for places to read."""
AT_ONCE: Final = 4
BUSY_S: Final = 1.0
"""How long a reader waits before it looks again whether the node is busy."""
AGAIN_MS: Final = 300_000
"""A place that could not be read is left alone for so long, in protocol time."""
DAY_MS: Final = 86_400_000
ASKED_S: Final = 0.5
"""Real seconds between two looks for what other nodes ask."""


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
        node: str | None = None,
    ) -> None:
        """`busy`: adapters wait to be served, so that nothing is read of its own accord. `node`: what other nodes have
        a way to is left to them; None: this is the only one."""
        self._node = node if database.dialect == "postgresql" else None
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._reach = reach
        self._planner = planner
        self._failed_ms: dict[int, int] = {}
        self._asked: dict[int, asyncio.Task[None]] = {}
        """Readings for other nodes that are under way, by the number of the request."""
        self._busy = busy

    async def run(self) -> None:
        """Read what wants to be read, again and again, until cancelled."""
        while True:
            await self.look()
            await self._clock.wait(LOOK_S)

    async def look(self) -> int:
        """Read every place that wants it once; how many were read."""
        async with self._database.read() as tx:
            unread = await truths.unread(tx, older_than_ms=self._clock.now_ms() - DAY_MS, node=self._node)
            kept = await entitlement.stops(tx, [one.adapter_id for one in unread])
        wanted = [one for one in unread if one.adapter_id not in kept]
        patience_ms = AGAIN_MS / self._clock.pace
        now_ms = self._clock.monotonic_ms()
        due = iter([one for one in wanted if now_ms - self._failed_ms.get(one.adapter_id, -AGAIN_MS) >= patience_ms])
        return sum(await asyncio.gather(*(self._read_on(due) for _ in range(AT_ONCE))))

    async def run_for_others(self) -> None:
        """Read what other nodes ask for, until cancelled; with one node there is nothing to do."""
        if self._node is None:
            await asyncio.Event().wait()
            return
        while True:
            await self.look_for_others(self._node)
            await asyncio.sleep(ASKED_S)

    async def look_for_others(self, node: str) -> None:
        """Read what other nodes ask of this one now; see `controller.push.afar`."""
        async with self._database.read() as tx:
            asked = await reading_requests.asked_of(tx, node, self._clock.now_ms())
        for number, place in asked:
            if number not in self._asked:
                self._asked[number] = asyncio.create_task(self._read_for(number, place), name=f"reading {number}")

    async def _read_for(self, number: int, place: Unread) -> None:
        try:
            await self._answer(number, place)
        finally:
            self._asked.pop(number, None)

    async def _answer(self, number: int, place: Unread) -> None:
        code, said = None, ""
        try:
            if not await self._store(place):
                code, said = Conflict.code, "the adapter has moved, or a push of it has begun"
        except FleetError as error:
            code, said = error.code, error.message
        async with self._database.write() as tx:
            await reading_requests.answer(tx, number, self._clock.now_ms(), code=code, said=said)

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

    async def _store(self, place: Unread) -> bool:
        """Read the place; whether what was read is its truth."""
        device = await self._reach.device_for(place.adapter_id)
        began_ms = self._clock.now_ms()
        try:
            await device.identify()
            found = await device.read()
        finally:
            await device.close()
        digest = await self._planner.digest(place.family, found)
        async with self._database.write() as tx:
            seat = await pushes.seat(tx, place.entry_id)
            if seat.adapter_id != place.adapter_id or await pushes.holder(tx, place.adapter_id) is not None:
                return False  # it moved, or a push began: this reading is no longer the place's truth
            by = By("daemon", self._clock.now_ms())
            await configs.put(
                tx,
                Scope.everything(),
                self._keyring,
                place.entry_id,
                kind="truth",
                config=found,
                digest=digest,
                author=by.actor,
                reason="read after contact",
                at_ms=by.at_ms,
            )
            await quarantines.was_read(tx, by, place.adapter_id, digest, began_ms=began_ms)
        return True
