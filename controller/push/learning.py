"""Learns the shapes of what the fleet runs, so that a plan can say how rare each of its lines is."""

from __future__ import annotations

from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.push.texts import TextPlanner
from controller.store import shapes
from controller.store.database import Database
from inventory.errors import ConfigSyntax, Conflict

log = structlog.get_logger(__name__)

LOOK_S: Final = 30.0
"""Seconds between two looks for new readings."""
AT_ONCE: Final = 20


class ShapeLearner:
    """Works through the last reading of each place, each once."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, planner: TextPlanner) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._planner = planner

    async def run(self) -> None:
        """Learn what is new, again and again, until cancelled."""
        while True:
            while await self.look():
                await self._clock.wait(0.1)
            await self._clock.wait(LOOK_S)

    async def look(self) -> int:
        """Learn some of the readings that are new; how many there were."""
        async with self._database.read() as tx:
            found = await shapes.unlearnt(tx, self._keyring, AT_ONCE)
        for one in found:
            standing = None
            try:
                standing = await self._planner.shapes(one.family, one.text)
            except (ConfigSyntax, Conflict) as error:
                log.info("shapes.not-learnt", version=one.version_id, code=error.code)
            async with self._database.write() as tx:
                await shapes.learn(tx, one.version_id, standing)
        return len(found)
