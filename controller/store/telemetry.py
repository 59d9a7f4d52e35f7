"""Numbers of the whole fleet for monitoring, and how far slots were sent on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.tables.incidents import incidents
from controller.store.tables.inventory import adapters, entries
from controller.store.tables.metering import link_levels, links, proposals
from controller.store.tables.operations import operations
from controller.store.tables.phonehome import arms_contacts
from controller.store.tables.push import pushes
from controller.store.tables.reports import remote_write, report_deliveries, report_runs
from inventory.congestion import Level
from inventory.links import CapacityKind, Direction, Governing
from inventory.slots import show_key


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of everything, by what is asked about it."""

    adapters: dict[str, int]
    contacts: dict[str, int]
    tunnels: int
    links: dict[str, int]
    """By the highest level of their directions."""
    pushes_unfinished: int
    pushes: dict[str, int]
    """Finished, by outcome."""
    operations: dict[str, int]
    incidents: dict[str, int]
    """Open or acknowledged, by kind."""
    proposals: dict[str, int]
    reports: dict[str, int]
    deliveries: dict[str, int]


@dataclass(frozen=True, slots=True)
class NamedLink:
    """A link with the names that its numbers carry."""

    id: int
    entry_id: int
    entry: str
    place: str
    interface: str


@dataclass(frozen=True, slots=True)
class LastDay:
    """The newest judged day of one direction, as kept."""

    link_id: int
    direction: Direction
    day: date
    busy_util: float | None
    hot90: int
    unknown_slots: int
    covered_ms: int
    slots: int
    octets_low: int
    octets_high: int | None
    capacity: Governing | None


async def counts(tx: Tx) -> Counts:
    """Numbers of the fleet, now."""
    highest = select(func.max(link_levels.c.level).label("level")).group_by(link_levels.c.link_id).subquery()
    levels = await _by(tx, highest.c.level)
    tunnels: int = await tx.scalar(select(func.count()).where(arms_contacts.c.tunnel_open == 1)) or 0
    unfinished: int = await tx.scalar(select(func.count()).where(pushes.c.finished_ms.is_(None))) or 0
    return Counts(
        adapters=await _by(tx, adapters.c.life),
        contacts=await _by(tx, arms_contacts.c.stage),
        tunnels=tunnels,
        links={Level(int(level)).name.lower(): n for level, n in levels.items()},
        pushes_unfinished=unfinished,
        pushes=await _by(tx, pushes.c.outcome, pushes.c.finished_ms.is_not(None)),
        operations=await _by(tx, operations.c.state),
        incidents=await _by(tx, incidents.c.kind, incidents.c.state.in_(("open", "acknowledged"))),
        proposals=await _by(tx, proposals.c.state),
        reports=await _by(tx, report_runs.c.state),
        deliveries=await _by(tx, report_deliveries.c.state),
    )


async def _by(tx: Tx, column: ColumnElement[Any], *where: ColumnElement[bool]) -> dict[str, int]:
    rows = await tx.execute(select(column, func.count()).where(*where).group_by(column))
    return {str(row[0]): row[1] for row in rows}


async def named_links(tx: Tx) -> list[NamedLink]:
    """Every link of an open entry, by number."""
    rows = await tx.execute(
        select(links, entries.c.name.label("place"))
        .join(entries, entries.c.id == links.c.entry_id)
        .where(entries.c.closed_ms.is_(None))
        .order_by(links.c.id)
    )
    return [NamedLink(row.id, row.entry_id, show_key("E", row.entry_id), row.place, row.interface) for row in rows]


async def levels(tx: Tx) -> dict[tuple[int, Direction], Level]:
    """Level of each link and direction, as judged last."""
    rows = await tx.execute(select(link_levels.c.link_id, link_levels.c.direction, link_levels.c.level))
    return {(row.link_id, Direction(row.direction)): Level(row.level) for row in rows}


async def last_days(tx: Tx, since: date) -> list[LastDay]:
    """The newest day of each link and direction, not older than a day, by link and direction."""
    c = t.link_days.c
    newest = (
        select(c.link_id, c.direction, func.max(c.day).label("day"))
        .where(c.day >= since.isoformat())
        .group_by(c.link_id, c.direction)
        .subquery()
    )
    mine = and_(c.link_id == newest.c.link_id, c.direction == newest.c.direction, c.day == newest.c.day)
    rows = await tx.execute(select(t.link_days).join(newest, mine).order_by(c.link_id, c.direction))
    return [
        LastDay(
            row.link_id,
            Direction(row.direction),
            date.fromisoformat(row.day),
            row.busy_util,
            row.hot90,
            row.unknown_slots,
            row.covered_ms,
            row.slots,
            row.octets_low,
            row.octets_high,
            None
            if row.capacity_kind is None
            else Governing(CapacityKind(row.capacity_kind), row.nominal_bps, date.fromisoformat(row.capacity_since)),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far slots were sent on, and what was left out."""

    sent_to_ms: int
    gaps: int
    gap_slots: int
    last_failure: str | None


async def progress(tx: Tx) -> Progress | None:
    """How far slots were sent on; None: never any."""
    row = (await tx.execute(select(remote_write).where(remote_write.c.id == 1))).one_or_none()
    return None if row is None else Progress(row.sent_to_ms, row.gaps, row.gap_slots, row.last_failure)


async def take_remote_write(tx: Tx, *, node: str, now_ms: int, lease_ms: int, begin_ms: int) -> Progress | None:
    """Take the sending until the lease ends; None: another node has it. The very first starts at `begin_ms`."""
    first = upsert(tx, remote_write).values(id=1, sent_to_ms=begin_ms, gaps=0, gap_slots=0)
    await tx.execute(first.on_conflict_do_nothing())
    c = remote_write.c
    free = or_(c.node == node, c.lease_ms.is_(None), c.lease_ms <= now_ms)
    taken = await tx.execute(update(remote_write).where(c.id == 1, free).values(node=node, lease_ms=lease_ms))
    return await progress(tx) if taken.rowcount == 1 else None


async def sent_on(tx: Tx, node: str, reached: Progress) -> bool:
    """Record how far this node came; false if another one has taken over."""
    c = remote_write.c
    done = await tx.execute(
        update(remote_write)
        .where(c.id == 1, c.node == node)
        .values(
            sent_to_ms=reached.sent_to_ms,
            gaps=reached.gaps,
            gap_slots=reached.gap_slots,
            last_failure=reached.last_failure,
        )
    )
    return done.rowcount == 1
