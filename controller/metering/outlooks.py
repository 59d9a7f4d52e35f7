"""Where a link's busy hours lead, and how good such forecasts have been (metering specification §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from controller.store import backtests, dayfigures, links
from controller.store.backtests import Kept
from controller.store.database import Database
from controller.store.traffic import TrafficDatabase
from inventory import backtest
from inventory.backtest import CONTRACTORS_MIN, OWN_ORIGINS, Record
from inventory.forecast import Outlook
from inventory.links import Capacity, Direction, Governing, Link, governing
from inventory.outlooks import FORECAST_WEEKS, outlook_of, weekly
from inventory.periods import day_of

BACKTEST_WEEKS: Final = 52
LINE: Final = (Direction.DOWN, Direction.UP)


@dataclass(frozen=True, slots=True)
class Expected:
    """Forecast of one direction, and the record of such forecasts, with the group that it is of."""

    direction: Direction
    capacity: Governing
    outlook: Outlook
    record: Record | None
    of: Literal["link", "group", "fleet", "nobody"]


async def of_link(database: Database, traffic_database: TrafficDatabase, link: Link, now_ms: int) -> list[Expected]:
    """Forecasts of both directions of a link that have a capacity."""
    today = day_of(now_ms, link.zone)
    async with database.read() as tx:
        capacities = await links.known_capacities(tx, link)
        group = await backtests.place_of(tx, link)
    first = today - timedelta(days=7 * FORECAST_WEEKS)
    async with traffic_database.read() as tx:
        days = await dayfigures.of_link(tx, link.id, first, today)
        kept = await backtests.read(tx)
    found = []
    for direction in LINE:
        capacity = governing(link, capacities, direction, today)
        if capacity is not None:
            since = [d for d in days if d.direction is direction and d.capacity is not None and d.day >= capacity.since]
            told = await asyncio.to_thread(outlook_of, since, first, today, capacity)
            record, of = chosen(kept, link, direction, group)
            found.append(Expected(direction, capacity, told, record, of))
    return found


def chosen(
    kept: Sequence[Kept], link: Link, direction: Direction, place: backtests.Place | None
) -> tuple[Record | None, Literal["link", "group", "fleet", "nobody"]]:
    """The record that may be told: the link's own with five origins, else of a group of ten contractors or more.

    A group is not told where what it leaves of the fleet is of fewer than ten: the fleet less the group would tell
    about those few (SMF-17); then it is the fleet's.
    """
    own = next((one for one in kept if (one.link_id, one.direction) == (link.id, direction)), None)
    if own is not None and own.record.origins >= OWN_ORIGINS:
        return own.record, "link"
    mine = [one for one in kept if place is not None and one.place.kind == place.kind]
    rest = [one for one in kept if place is None or one.place.kind != place.kind]
    if _many(mine) and (not rest or _many(rest)):
        return backtest.total(one.record for one in mine), "group"
    if _many(kept):
        return backtest.total(one.record for one in kept), "fleet"
    return None, "nobody"


def _many(some: Sequence[Kept]) -> bool:
    return len({one.place.contractor_id for one in some}) >= CONTRACTORS_MIN


async def keep_record(
    database: Database, traffic_database: TrafficDatabase, link: Link, capacities: Sequence[Capacity], now_ms: int
) -> None:
    """Back-test a link over its last year, and keep what was found; once a month."""
    today = day_of(now_ms, link.zone)
    first = today - timedelta(days=7 * BACKTEST_WEEKS)
    async with database.read() as tx:
        place = await backtests.place_of(tx, link)
    if place is None:
        return
    async with traffic_database.read() as tx:
        days = await dayfigures.of_link(tx, link.id, first, today)
    for direction in LINE:
        capacity = governing(link, capacities, direction, today)
        mine = [day for day in days if day.direction is direction]
        if capacity is None or not mine:
            continue
        monday, weeks = weekly(mine, max(first, mine[0].day), today)
        record = await asyncio.to_thread(backtest.run, monday, weeks, capacity.used_bps)
        async with traffic_database.write() as tx:
            await backtests.put(tx, Kept(link.id, direction, place, record), now_ms)
