"""Where a link's busy hours lead, and how good such forecasts have been (metering specification §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Final, Literal

from controller.store import backtests, links, traffic
from controller.store.backtests import Kept
from controller.store.database import Database
from controller.store.traffic import TrafficDatabase
from inventory import backtest
from inventory.backtest import CONTRACTORS_MIN, OWN_ORIGINS, Record
from inventory.forecast import UTIL_THRESHOLD, Outlook, outlook
from inventory.linkdays import LinkDay
from inventory.links import Capacity, Direction, Governing, Link, governing
from inventory.periods import day_of

WEEKS: Final = 26
BACKTEST_WEEKS: Final = 52
WEEK_VALID_DAYS: Final = 4
LINE: Final = (Direction.DOWN, Direction.UP)


@dataclass(frozen=True, slots=True)
class Expected:
    """Forecast of one direction, and the record of such forecasts, with the group that it is of."""

    direction: Direction
    capacity: Governing
    outlook: Outlook
    record: Record | None
    of: Literal["link", "group", "fleet", "nobody"]


def busy_rates(days: Iterable[LinkDay]) -> list[float]:
    """Busy-hour means of the valid days, in bit/s."""
    return [
        day.figures.busy_util * day.capacity.used_bps
        for day in days
        if day.figures.valid and day.figures.busy_util is not None and day.capacity is not None
    ]


def weekly(days: Sequence[LinkDay], first: date, today: date) -> tuple[date, list[float | None]]:
    """First Monday from `first` on, and the median of each whole week's valid busy hours; None: fewer than four.

    The week at hand is left out.
    """
    monday = first + timedelta(days=-first.weekday() % 7)
    weeks: list[float | None] = []
    while monday + timedelta(days=7 * (len(weeks) + 1)) <= today:
        begin = monday + timedelta(days=7 * len(weeks))
        end = begin + timedelta(days=7)
        busy = busy_rates(day for day in days if begin <= day.day < end)
        weeks.append(median(busy) if len(busy) >= WEEK_VALID_DAYS else None)
    return monday, weeks


def outlook_of(days: Sequence[LinkDay], first: date, today: date, capacity: Governing) -> Outlook:
    """Weekly medians of the valid days' busy hours, and where they lead."""
    monday, weeks = weekly(days, first, today)
    return outlook(monday, weeks, UTIL_THRESHOLD * capacity.used_bps)


async def of_link(database: Database, traffic_database: TrafficDatabase, link: Link, now_ms: int) -> list[Expected]:
    """Forecasts of both directions of a link that have a capacity."""
    today = day_of(now_ms, link.zone)
    async with database.read() as tx:
        capacities = await links.known_capacities(tx, link)
        group = await backtests.place_of(tx, link)
    first = today - timedelta(days=7 * WEEKS)
    async with traffic_database.read() as tx:
        days = await traffic.link_days(tx, link.id, first, today)
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
    """The record that may be told: the link's own with five origins, else of a group of ten contractors or more."""
    own = next((one for one in kept if (one.link_id, one.direction) == (link.id, direction)), None)
    if own is not None and own.record.origins >= OWN_ORIGINS:
        return own.record, "link"
    mine = [one for one in kept if place is not None and one.place.kind == place.kind]
    for some, of in ((mine, "group"), (list(kept), "fleet")):
        if len({one.place.contractor_id for one in some}) >= CONTRACTORS_MIN:
            return backtest.total(one.record for one in some), "group" if of == "group" else "fleet"
    return None, "nobody"


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
        days = await traffic.link_days(tx, link.id, first, today)
    for direction in LINE:
        capacity = governing(link, capacities, direction, today)
        mine = [day for day in days if day.direction is direction]
        if capacity is None or not mine:
            continue
        monday, weeks = weekly(mine, max(first, mine[0].day), today)
        record = await asyncio.to_thread(backtest.run, monday, weeks, capacity.used_bps)
        async with traffic_database.write() as tx:
            await backtests.put(tx, Kept(link.id, direction, place, record), now_ms)
