"""Gathers what fleet and quality reports say, for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from controller.metering.series import KeptPorts, series_of
from controller.reports.material import Asked
from controller.store import backtests, fleetfigures, links
from controller.store.database import Database, Tx
from controller.store.fleetfigures import DaysOfDirection
from controller.store.scope import Scope
from controller.store.slotdays import KeptDay
from controller.store.traffic import TrafficDatabase
from inventory import backtest
from inventory.congestion import STALE_DAYS
from inventory.fleetreport import FleetDirection, FleetLink, FleetMaterial
from inventory.linkdays import KNOWN_MS
from inventory.links import Link
from inventory.periods import Span
from inventory.qualityreport import COUNTED, InterfaceQuality

AT_ONCE: Final = 200
PAGE: Final = 1_000
EVERYTHING: Final = Scope.everything()
_NOTHING: Final = DaysOfDirection(0, 0, None, None, None)


async def gather_fleet(
    database: Database, traffic_database: TrafficDatabase, asked: Asked
) -> tuple[FleetMaterial, int | None]:
    """The fleet over a period, and how new its newest slot is."""
    span = asked.span
    before = span.first - (span.after - span.first)
    last = span.days[-1]
    async with database.read() as tx:
        named = await fleetfigures.fleet_links(tx, span.end_ms)
        levels = await fleetfigures.levels_after(tx, last)
        changes = await fleetfigures.level_changes_between(tx, span.first, span.after)
        made, decided, left = await fleetfigures.proposals_between(tx, span.start_ms, span.end_ms)
    async with traffic_database.read() as tx:
        now = await fleetfigures.days_of_directions(tx, span.first, span.after)
        past = await fleetfigures.days_of_directions(tx, before, span.first)
        lately = await fleetfigures.days_of_directions(tx, span.after - timedelta(days=STALE_DAYS + 2), span.after)
        as_of_ms = await fleetfigures.newest_revision_of_all(tx, span.start_ms, span.end_ms)
        tested = [one.record for one in await backtests.read(tx)]
    directions = [
        FleetDirection(
            link_id,
            direction,
            levels.get((link_id, direction)),
            lately.get((link_id, direction), _NOTHING).valid_day,
            days.covered_ms,
            days.slots,
            days.busy_max,
            days.busy_mean,
            past.get((link_id, direction), _NOTHING).busy_mean,
        )
        for link_id, direction in sorted(now.keys() | levels.keys())
        if link_id in named
        for days in (now.get((link_id, direction), _NOTHING),)
    ]
    known = [change for change in changes if change.link_id in named]
    record = backtest.total(tested) if tested else None
    return FleetMaterial(named, directions, known, made, decided, left, record), as_of_ms


async def gather_quality(
    database: Database, traffic_database: TrafficDatabase, asked: Asked
) -> tuple[list[InterfaceQuality], int | None]:
    """Every interface of a link over a day, and how new the newest slot is."""
    span = asked.span
    async with database.read() as tx:
        named = await fleetfigures.fleet_links(tx, span.end_ms)
    async with traffic_database.read() as tx:
        ids = await fleetfigures.interfaces(tx)
        as_of_ms = await fleetfigures.newest_revision_of_all(tx, span.start_ms, span.end_ms)
    found: list[InterfaceQuality] = []
    async with database.read() as tx:
        wanted = [(named[one.id], one) for one in await every_link(tx) if one.id in named]
    for begin in range(0, len(wanted), AT_ONCE):
        some = wanted[begin : begin + AT_ONCE]
        numbers = [ids.get((one.entry_id, port.interface), 0) for _, one in some for port in one.ports]
        async with traffic_database.read() as tx:
            kept = await fleetfigures.slot_days_of_all(tx, numbers, span.start_ms, span.end_ms)
        found += await asyncio.to_thread(_qualities, some, ids, kept, span)
    return found, as_of_ms


async def every_link(tx: Tx) -> list[Link]:
    """All links with their interfaces, by number."""
    found: list[Link] = []
    while True:
        page = await links.page(tx, EVERYTHING, after=found[-1].id if found else 0, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _qualities(
    wanted: Sequence[tuple[FleetLink, Link]],
    ids: Mapping[tuple[int, str], int],
    kept: Mapping[int, Sequence[KeptDay]],
    span: Span,
) -> list[InterfaceQuality]:
    return [
        _quality(named, [(port, kept.get(ids.get((one.entry_id, port.interface), 0), ())) for port in one.ports], span)
        for named, one in wanted
    ]


def _quality(link: FleetLink, ports: KeptPorts, span: Span) -> InterfaceQuality:
    series = series_of(ports, span.start_ms, span.end_ms)
    into, out = series.into, series.out
    flags = [a | b for a, b in zip(into.flags, out.flags, strict=True)]
    covered = zip(into.covered_ms, out.covered_ms, strict=True)
    return InterfaceQuality(
        link.link_id,
        link.entry,
        link.place,
        link.interface,
        " ".join(series.origins),
        link.model,
        span.slots,
        sum(min(a, b) < KNOWN_MS for a, b in covered),
        {flag: sum(flag in mine for mine in flags) for flag in COUNTED},
    )
