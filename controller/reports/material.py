"""Gathers what a report says about each link, from both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.metering.series import KeptPorts, LinkSeries, first_slot_day, kept_ports, metered, series_of
from controller.store import contractors, dayfigures, entries, levels, links, maintenance, proposals, slotdays, traffic
from controller.store.database import Database
from controller.store.levels import LevelChange
from controller.store.proposals import Proposal
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory.congestion import Level
from inventory.forecast import Outlook
from inventory.linkdays import LinkDay
from inventory.links import Capacity, Direction, Governing, Link, governing
from inventory.maintenance import MaintenanceWindow, left_out
from inventory.outlooks import FORECAST_WEEKS, outlook_of
from inventory.periods import Span
from inventory.reporting import Subject
from inventory.reportseries import maintained
from inventory.slots import show_key
from inventory.trafficreport import ChangeOfLevel, LinkMaterial, OpenProposal

LINKS_AT_MOST = 10_000
CHANGES_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to show, and as of when."""

    subject: Subject
    span: Span
    slots_until_ms: int
    """Slots that end later have not passed yet."""
    known_ms: int
    """Proposals are told as they stood then, so that a correction is about measurements alone."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Material of a report on links: what it is about, whose it is, its links, and how new the newest slot is."""

    subject: Mapping[str, object]
    audience: str
    links: tuple[LinkMaterial, ...]
    data_as_of_ms: int | None


async def gather(database: Database, traffic_database: TrafficDatabase, scope: Scope, asked: Asked) -> Gathered:
    """Everything for a report on a contractor's links or on one link. Raises NotFound out of scope."""
    about: Mapping[str, object]
    async with database.read() as tx:
        if asked.subject.link_id is not None:
            link = await links.get(tx, scope, asked.subject.link_id)
            found = [link]
            place = await entries.get(tx, scope, link.entry_id)
            about = {"link": link.id, "entry": place.key, "name": place.name, "interface": link.interface}
            audience = "operator"
        else:
            assert asked.subject.contractor_id is not None
            contractor = await contractors.get(tx, scope, asked.subject.contractor_id)
            found = await links.page(tx, scope, contractor_id=contractor.id, limit=LINKS_AT_MOST)
            audience = show_key("K", contractor.id)
            about = {"contractor": audience, "name": contractor.name}
    gathered = [await _link(database, traffic_database, scope, link, asked) for link in found]
    return Gathered(
        about,
        audience,
        tuple(material for material, _ in gathered),
        max((as_of for _, as_of in gathered if as_of is not None), default=None),
    )


async def _link(
    database: Database, traffic_database: TrafficDatabase, scope: Scope, link: Link, asked: Asked
) -> tuple[LinkMaterial, int | None]:
    span = asked.span
    async with traffic_database.read() as tx:
        ids = await traffic.interface_ids(tx, [(link.entry_id, port.interface) for port in link.ports])
        ports = await kept_ports(tx, link, span.start_ms, span.end_ms)
        first_ms = await first_slot_day(tx, link)
        revised = [await slotdays.newest_revision_ms(tx, n, span.start_ms, span.end_ms) for n in ids.values()]
        earliest = min(span.first, span.after - timedelta(weeks=FORECAST_WEEKS))
        days = await dayfigures.of_link(tx, link.id, earliest, span.after)
    async with database.read() as tx:
        place = await entries.get(tx, scope, link.entry_id)
        capacities = await links.known_capacities(tx, link)
        windows = (await maintenance.holding(tx, [link.entry_id], span.start_ms, span.end_ms))[link.entry_id]
        changes = await levels.changes(tx, scope, link.id, limit=CHANGES_AT_MOST)
        drafted = await proposals.page(tx, scope, entry_id=link.entry_id, limit=1_000)
    material = await asyncio.to_thread(
        _material,
        link,
        place.name,
        asked,
        (ports, first_ms, windows),
        (days, changes, capacities),
    )
    as_of_ms = max((ms for ms in revised if ms is not None), default=None)
    return replace(material, proposal=_open(drafted, asked)), as_of_ms


def _open(drafted: Sequence[Proposal], asked: Asked) -> OpenProposal | None:
    """The proposal that lay with the contractor then: sent, and not yet decided. Drafts are nobody's but ours."""
    for one in reversed(drafted):
        answered = one.decided_ms is not None and one.decided_ms <= asked.known_ms
        if one.sent_ms is not None and one.sent_ms <= asked.known_ms and not answered:
            return OpenProposal(one.id, "sent", one.kind, one.model, one.monthly_delta_yen, one.text, one.text_ja)
    return None


def _material(
    link: Link,
    place: str,
    asked: Asked,
    slots: tuple[KeptPorts, int | None, list[MaintenanceWindow]],
    judged: tuple[list[LinkDay], list[LevelChange], list[Capacity]],
) -> LinkMaterial:
    ports, first_ms, windows = slots
    days, changes, capacities = judged
    span = asked.span
    series = series_of(ports, span.start_ms, span.end_ms)
    known = [one for one in windows if one.kind == "maintenance"]
    shaded = left_out(known, span.start_ms, span.slots, span.zone)
    shown = LinkSeries(maintained(series.into, shaded), maintained(series.out, shaded), series.origins)
    counted = metered(shown, first_ms, asked.slots_until_ms)
    earlier = [change for change in reversed(changes) if change.day < span.first]
    last = span.after - timedelta(days=1)
    governed = {d: c for d in Direction if (c := governing(link, capacities, d, last)) is not None}
    return LinkMaterial(
        link=link,
        place=place,
        into=counted.into,
        out=counted.out,
        days=tuple(day for day in days if day.day >= span.first),
        changes=tuple(
            ChangeOfLevel(change.direction, change.day, change.before, change.after)
            for change in reversed(changes)
            if span.first <= change.day < span.after
        ),
        levels_before={d: _level_before(earlier, d) for d in Direction},
        capacities=governed,
        outlooks={d: _outlook(days, d, span, capacity) for d, capacity in governed.items()},
    )


def _outlook(days: Sequence[LinkDay], direction: Direction, span: Span, capacity: Governing) -> Outlook:
    first = span.after - timedelta(weeks=FORECAST_WEEKS)
    mine = [day for day in days if day.direction is direction and day.capacity is not None and day.day >= first]
    since = [day for day in mine if day.capacity == mine[-1].capacity]
    return outlook_of(since, first, span.after, capacity)


def _level_before(earlier: Sequence[LevelChange], direction: Direction) -> Level:
    """Level after the last of some changes, the oldest first."""
    mine = [change.after for change in earlier if change.direction is direction]
    return mine[-1] if mine else Level.CALM
