"""The lease of this node: what it may send to devices it may send only while the lease lasts (architecture §5).

A node that was frozen and woken, or that cannot reach the database, has a lease that has run out. Before the next
command to a device it is read again: still ours, it is renewed; taken over by a survivor, nothing is sent any more.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import structlog

from controller.clock import Clock
from controller.store import nodes
from controller.store.database import Database
from drivers.sessions.permission import NotPermittedError

log = structlog.get_logger(__name__)

LEASE_S: Final = 15.0
GRACE: Final = 1 / 5
"""Share of a lease that a survivor waits beyond its end, for clocks that differ; together within lease + 5 s."""
TRUSTED: Final = 2 / 3
"""Share of a lease in which it needs no reading again."""


class NodeLease:
    """Taken with `open`, kept by `hold`, asked by `permit`. Seconds are real ones, whatever the pace."""

    def __init__(self, database: Database, clock: Clock, node_id: str, *, lease_s: float = LEASE_S) -> None:
        self.node_id = node_id
        self._database = database
        self._clock = clock
        self._lease_ms = round(lease_s * 1000)
        self._token = uuid.uuid4().hex
        self._renewed_ms = 0
        self._is_lost = False
        self._renewing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the lease. The file of the node id is held by a lock, so no other live process has this id."""
        asked_ms, now_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        async with self._database.write() as tx:
            await nodes.begin(tx, self.node_id, self._token, now_ms=now_ms, until_ms=now_ms + self._lease_ms)
            await nodes.take_over(tx, self.node_id, before_ms=self._dead_before_ms())
        self._renewed_ms = asked_ms

    async def hold(self) -> None:
        """Renew in time and take over the devices of nodes that are dead, until cancelled.

        Raises NotPermittedError when another node has taken this one's place.
        """
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            await self._renew_together()
            async with self._database.write() as tx:
                dead = await nodes.take_over(tx, self.node_id, before_ms=self._dead_before_ms())
            if dead:
                log.warning("the devices of dead nodes were taken over", nodes=dead)

    async def permit(self) -> None:
        """See `drivers.sessions.permission.Permit`."""
        while self._is_lost or self._clock.monotonic_ms() - self._renewed_ms >= self._lease_ms * TRUSTED:
            await self._renew_together()

    async def _renew_together(self) -> None:
        """One question for all who wait; its answer counts from its beginning, so one that came too late is no good to
        any of them and the next is asked."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(lambda task: task.cancelled() or task.exception())  # who asked may be gone
        await asyncio.shield(self._renewing)

    async def _renew(self) -> None:
        # Counted from before the question: whoever is frozen while it is answered must ask again.
        asked_ms = self._clock.monotonic_ms()
        until_ms = self._clock.now_ms() + self._lease_ms
        if not self._is_lost:
            renewed = await self._database.change(
                lambda tx: nodes.renew(tx, self.node_id, self._token, until_ms=until_ms)
            )
            self._is_lost = not renewed
        if self._is_lost:
            raise NotPermittedError(f"node {self.node_id} was frozen or cut off, and another has taken its work over")
        self._renewed_ms = asked_ms

    def _dead_before_ms(self) -> int:
        return self._clock.now_ms() - round(self._lease_ms * GRACE)
