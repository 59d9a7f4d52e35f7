"""Shapers that the running configuration of a place holds become capacities of its links (§4, kind `shaped`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from controller.clock import Clock
from controller.keyring import Keyring
from controller.metering.ingest import Interface
from controller.store import links, shapings
from controller.store.database import Database
from controller.store.scope import By, Scope
from drivers.shapers import Shaped, of_interface, shapers
from inventory import catalogue
from inventory.links import Capacity, CapacityKind, Link, LinkRole
from inventory.periods import day_of, day_start_ms

LOOK_S: Final = 30.0
AT_ONCE: Final = 50
FOUND_BY: Final = "daemon"
FOUND: Final = "shaper in the running configuration"
GONE: Final = "no shaper in the running configuration any more"
UNCLEAR: Final = "shapers in the running configuration that give no rate of the whole line"
REASON_AT_MOST: Final = 400

Rejudge = Callable[[Collection[Interface], int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FoundShaper:
    """A shaped capacity that a reading of a configuration brought, or took away."""

    link: Link
    capacity: Capacity


class ShaperWatch:
    """Looks through the newest reading of each place with links, each once a run of the node.

    What a person entered as `shaped` stays. The same reading again changes nothing.
    """

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, rejudge: Rejudge) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._rejudge = rejudge
        self._looked_to = 0
        self._links_to: int | None = None

    async def run(self) -> None:
        """Look at what is new, again and again, until cancelled."""
        while True:
            while await self.look() is not None:
                await self._clock.wait(0.1)
            await self._clock.wait(LOOK_S)

    async def look(self) -> list[FoundShaper] | None:
        """Look at some readings that are new, or at those of new links; what came of them. None: there was none."""
        found: list[FoundShaper] = []
        async with self._database.read() as tx:
            if self._links_to is None:
                self._links_to, _ = await shapings.new_links(tx, after=0)
            readings = await shapings.readings(tx, self._keyring, after=self._looked_to, limit=AT_ONCE)
            if not readings:
                self._links_to, entries = await shapings.new_links(tx, after=self._links_to)
                for begin in range(0, len(entries), AT_ONCE):
                    some = entries[begin : begin + AT_ONCE]
                    readings += await shapings.readings(tx, self._keyring, after=0, limit=AT_ONCE, of_entries=some)
        for reading in readings:
            told = await asyncio.to_thread(shapers, catalogue.model(reading.model).dialect, reading.text.text())
            found += await self._take(reading, told)
            self._looked_to = max(self._looked_to, reading.version_id)
        return found if readings else None

    async def _take(self, reading: shapings.Reading, told: dict[str, Shaped]) -> list[FoundShaper]:
        by = By(FOUND_BY, self._clock.now_ms())
        found: list[FoundShaper] = []
        changed: list[FoundShaper] = []
        async with self._database.write() as tx:
            for link in await links.of_entries(tx, Scope.everything(), [reading.entry_id]):
                day = day_of(reading.at_ms, link.zone)
                known = [c for c in await links.capacities(tx, link.id) if c.kind is CapacityKind.SHAPED]
                held = next((c for c in known if c.holds_on(day)), None)
                if (held and held.actor != FOUND_BY) or any(c.valid_from > day for c in known):
                    continue
                shaped = of_interface(told, link.interface)
                down, up = _rates(link, shaped)
                reason = _reason(shaped)
                before = (held.down_bps, held.up_bps, held.reason) if held else (None, None, GONE)
                if (down, up, reason) == before:
                    continue
                # Other words for the same rates begin no new history.
                begins = held.valid_from if held and (down, up) == before[:2] else day
                new = Capacity(CapacityKind.SHAPED, down, up, begins, None, by.actor, reason)
                await links.set_capacity(tx, Scope.everything(), by, link.id, new)
                found.append(FoundShaper(link, new))
                if (down, up) != before[:2]:
                    changed.append(found[-1])
        for one in changed:
            names = [(one.link.entry_id, port.interface) for port in one.link.ports]
            await self._rejudge(names, day_start_ms(one.capacity.valid_from, one.link.zone), by.at_ms)
        return found


def _reason(shaped: Shaped) -> str:
    """Where the rates come from, and what is there that no rate could be made of."""
    told = [FOUND] if shaped.in_bps or shaped.out_bps else []
    if shaped.unclear:
        told.append(f"{UNCLEAR}: {'; '.join(shaped.unclear)}")
    return "; ".join(told)[:REASON_AT_MOST] or GONE


def _rates(link: Link, held: Shaped) -> tuple[int | None, int | None]:
    """What holds the down and the up direction: a WAN interface receives what comes down."""
    if link.role is LinkRole.WAN:
        return held.in_bps, held.out_bps
    return held.out_bps, held.in_bps
