"""Gathers what a report says about each link, from both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.store import contractors, entries, links, proposals, traffic
from controller.store.database import Database
from controller.store.links import LevelChange
from controller.store.reports import Subject
from controller.store.scope import Scope
from controller.store.traffic import KeptDay, TrafficDatabase
from inventory.congestion import Level
from inventory.linkdays import LinkDay
from inventory.links import Capacity, Direction, Link, governing
from inventory.periods import Span, day_of
from inventory.slotday import DAY_MS, window
from inventory.slots import show_key
from inventory.timeslots import SLOT_MS
from inventory.trafficreport import ChangeOfLevel, LinkMaterial, in_service

LINKS_AT_MOST = 10_000
CHANGES_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """Material of a report: its title, whose it is, its links, and how new the newest slot is."""

    title: str
    audience: str
    links: tuple[LinkMaterial, ...]
    data_as_of_ms: int | None


async def gather(
    database: Database, traffic_database: TrafficDatabase, scope: Scope, subject: Subject, span: Span, now_ms: int
) -> Gathered:
    """Everything for a report on a contractor's links or on one link. Raises NotFound out of scope."""
    async with database.read() as tx:
        if subject.link_id is not None:
            link = await links.get(tx, scope, subject.link_id)
            found = [link]
            place = await entries.get(tx, scope, link.entry_id)
            title, audience = f"Traffic of {place.name}, {link.interface}", "operator"
        else:
            assert subject.contractor_id is not None
            contractor = await contractors.get(tx, scope, subject.contractor_id)
            found = await links.page(tx, scope, contractor_id=contractor.id, limit=LINKS_AT_MOST)
            title, audience = f"Traffic of {contractor.name}", show_key("K", contractor.id)
    gathered = [await _link(database, traffic_database, scope, link, span, now_ms) for link in found]
    return Gathered(
        title,
        audience,
        tuple(material for material, _ in gathered),
        max((as_of for _, as_of in gathered if as_of is not None), default=None),
    )


async def _link(
    database: Database, traffic_database: TrafficDatabase, scope: Scope, link: Link, span: Span, now_ms: int
) -> tuple[LinkMaterial, int | None]:
    async with traffic_database.read() as tx:
        ids = await traffic.interface_ids(tx, [(link.entry_id, link.interface)])
        interface_id = next(iter(ids.values()), 0)
        kept = await traffic.slot_days_between(tx, interface_id, span.start_ms, span.end_ms)
        first_ms = await traffic.first_slot_day(tx, interface_id)
        as_of_ms = await traffic.newest_revision_ms(tx, interface_id, span.start_ms, span.end_ms)
        days = await traffic.link_days(tx, link.id, span.first, span.after)
    async with database.read() as tx:
        place = await entries.get(tx, scope, link.entry_id)
        capacities = await links.capacities(tx, link.id)
        changes = await links.changes(tx, scope, link.id, limit=CHANGES_AT_MOST)
        drafted = await proposals.page(tx, scope, entry_id=link.entry_id, limit=1_000)
    opened = [p for p in drafted if p.state in ("draft", "sent") and day_of(p.created_ms, span.zone) >= span.first]
    material = await asyncio.to_thread(
        _material, link, place.name, span, (list(kept.values()), first_ms, now_ms), (days, changes, capacities)
    )
    if opened:
        material = replace(material, proposal=opened[-1].text)
    return material, as_of_ms


def _material(
    link: Link,
    place: str,
    span: Span,
    slots: tuple[list[KeptDay], int | None, int],
    judged: tuple[list[LinkDay], list[LevelChange], list[Capacity]],
) -> LinkMaterial:
    kept, first_ms, now_ms = slots
    days, changes, capacities = judged
    into = window((k.day.into for k in kept), span.start_ms, span.end_ms)
    out = window((k.day.out for k in kept), span.start_ms, span.end_ms)
    # Metered from the first slot that any reading touches, as far as the slots have passed (§3.1).
    end = min(len(into.known), max(0, (now_ms - span.start_ms) // SLOT_MS))
    begin = 0 if first_ms is not None and first_ms + DAY_MS <= span.start_ms else _first_touched(into.untouched_ms, end)
    earlier = [change for change in reversed(changes) if change.day < span.first]
    last = span.after - timedelta(days=1)
    return LinkMaterial(
        link=link,
        place=place,
        into=in_service(into, begin, end),
        out=in_service(out, begin, end),
        days=tuple(days),
        changes=tuple(
            ChangeOfLevel(change.direction, change.day, change.before, change.after)
            for change in reversed(changes)
            if span.first <= change.day < span.after
        ),
        levels_before={d: _level_before(earlier, d) for d in Direction},
        capacities={d: c for d in Direction if (c := governing(link, capacities, d, last)) is not None},
    )


def _first_touched(untouched_ms: Sequence[int], end: int) -> int:
    return next((i for i, ms in enumerate(untouched_ms[:end]) if ms < SLOT_MS), end)


def _level_before(earlier: Sequence[LevelChange], direction: Direction) -> Level:
    """Level after the last of some changes, the oldest first."""
    mine = [change.after for change in earlier if change.direction is direction]
    return mine[-1] if mine else Level.CALM
