"""Evidence of one identity in two places that two nodes hold, each a half (MPC-11): shared through the database.

Nearly every adapter is heard by one node, or by several as copies from one source. So nothing is shared until a node
sees that another heard an adapter of its own from another source; then both tell each other its heartbeats.
"""

from __future__ import annotations

from typing import Final

from controller.phonehome.context import Context
from controller.phonehome.senders import Sender, Senders
from controller.store import sightings
from inventory import clones

LATELY: Final = 1.5
"""Intervals within which two sources of one adapter are suspicious."""
SUSPECT: Final = 8
"""Intervals for which its heartbeats are told, then."""


class CloneSharing:
    """One node's part; `look` twice an interval. Does nothing where there is one node."""

    def __init__(self, context: Context, senders: Senders, interval_ms: float) -> None:
        self._context = context
        self._senders = senders
        self._interval_ms = interval_ms
        self._told_ms = 0
        """On the wall clock: up to where this node has told what it heard."""

    async def look(self) -> None:
        """Tell what others may need, take what they told, and see who is to be watched."""
        context = self._context
        async with context.database.read() as tx:
            if not await sightings.several_nodes(tx):
                return
            lately = self._heard_lately()
            last = await sightings.last_heard(tx, [one.adapter_id for one in lately])
            window_ms = round((clones.WINDOW + 1) * self._interval_ms)
            others = await sightings.of_others(tx, context.node, context.clock.now_ms() - window_ms)
        shift_ms = context.clock.now_ms() - context.clock.monotonic_ms()
        told_of = {one.adapter_id for one in others}
        for sender in lately:
            if sender.adapter_id in told_of or self._heard_from_elsewhere(sender, last.get(sender.adapter_id)):
                sender.suspect_until_ms = context.clock.monotonic_ms() + SUSPECT * self._interval_ms
        context.clones.heard_elsewhere(others, shift_ms)
        mine = [one for one in context.clones.told(shift_ms) if one.sighting.at_ms > self._told_ms]
        if mine:
            self._told_ms = max(one.sighting.at_ms for one in mine)
            async with context.database.write() as tx:
                await sightings.put(tx, context.node, mine, before_ms=context.clock.now_ms() - 2 * window_ms)

    def _heard_lately(self) -> list[Sender]:
        since_ms = self._context.clock.monotonic_ms() - LATELY * self._interval_ms
        return [one for one in self._senders.known.values() if one.last_ms is not None and one.last_ms > since_ms]

    def _heard_from_elsewhere(self, sender: Sender, last: tuple[str | None, int] | None) -> bool:
        return last is not None and last[0] != sender.source and last[1] > sender.received_ms
