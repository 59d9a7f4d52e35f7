"""Links of entries, and their dated capacities."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Row, Select, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from controller.store import audit, modelfigures
from controller.store.database import Tx
from controller.store.rows import in_parts, portions
from controller.store.scope import By, Scope
from controller.store.tables.counting import link_members
from controller.store.tables.inventory import adapters, entries, managements, placements
from controller.store.tables.metering import link_capacities, links
from inventory import catalogue
from inventory.capacities import usual_traffic
from inventory.errors import Conflict, NotFound, StaleVersion
from inventory.links import Capacity, CapacityKind, Link, LinkRole, Member, require_members
from inventory.periods import day_of


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link to be made."""

    entry_id: int
    interface: str
    role: LinkRole
    port_speed_bps: int | None
    ifindex: int | None
    line_type: str
    zone: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedLink:
    """What may be changed of a link: its interface, place and role may not."""

    port_speed_bps: int | None
    ifindex: int | None
    line_type: str


def _visible(scope: Scope) -> Select[Any]:
    found = (
        select(links)
        .join(entries, entries.c.id == links.c.entry_id)
        .join(managements, managements.c.id == entries.c.management_id)
    )
    return found if scope.contractor_id is None else found.where(managements.c.contractor_id == scope.contractor_id)


async def require_entry(tx: Tx, scope: Scope, entry_id: int) -> None:
    """Raises NotFound unless the entry exists in the scope and is open."""
    query = (
        select(entries.c.id)
        .join(managements, managements.c.id == entries.c.management_id)
        .where(entries.c.id == entry_id, entries.c.closed_ms.is_(None))
    )
    if scope.contractor_id is not None:
        query = query.where(managements.c.contractor_id == scope.contractor_id)
    if (await tx.execute(query)).first() is None:
        raise NotFound(f"there is no entry E-{entry_id}", next_step="List the entries.", field="entry")


async def add(tx: Tx, scope: Scope, by: By, new: NewLink) -> Link:
    """Make a link. Raises NotFound for the entry, Conflict if interface or index are taken at that entry."""
    await require_entry(tx, scope, new.entry_id)
    require_members(new.interface, new.members)
    await _require_free(tx, new)
    values: dict[str, Any] = {
        "entry_id": new.entry_id,
        "interface": new.interface,
        "role": new.role.value,
        "port_speed_bps": new.port_speed_bps,
        "ifindex": new.ifindex,
        "line_type": new.line_type,
        "zone": new.zone,
        "created_ms": by.at_ms,
        "version": 1,
    }
    try:
        row = (await tx.execute(insert(links).values(**values).returning(links))).one()
    except IntegrityError:
        raise Conflict(
            f"entry E-{new.entry_id} already has a link {new.interface} or one with that ifindex",
            next_step="Change that link instead.",
            field="interface",
        ) from None
    link = replace(_link(row), members=new.members)
    for one in new.members:
        await tx.execute(
            insert(link_members).values(
                link_id=link.id,
                entry_id=new.entry_id,
                interface=one.interface,
                port_speed_bps=one.port_speed_bps,
                ifindex=one.ifindex,
            )
        )
    after = {name: value for name, value in values.items() if name not in ("created_ms", "version")}
    after["members"] = [one.interface for one in new.members]
    audit.record(tx, by, "link.add", f"link {link.id}", contractor_id=await _owner(tx, link), after=after)
    return link


async def _require_free(tx: Tx, new: NewLink) -> None:
    """Raises Conflict if an interface of the new link is counted by another one already: octets count once."""
    m = link_members.c
    wanted = [new.interface, *(one.interface for one in new.members)]
    taken = set(await tx.scalars(select(m.interface).where(m.entry_id == new.entry_id, m.interface.in_(wanted)))) | set(
        await tx.scalars(
            select(links.c.interface).where(
                links.c.entry_id == new.entry_id, links.c.interface.in_([one.interface for one in new.members])
            )
        )
    )
    indexes = [one.ifindex for one in new.members if one.ifindex is not None]
    for table in (links, link_members):
        shared = select(table.c.interface).where(table.c.entry_id == new.entry_id, table.c.ifindex.in_(indexes))
        taken |= set(await tx.scalars(shared))
    if taken or len(set(indexes)) != len(indexes):
        raise Conflict(
            f"entry E-{new.entry_id} already has a link over {', '.join(sorted(taken)) or 'that ifindex'}",
            next_step="An interface belongs to one link or one group; choose other ones.",
            field="members",
        )


async def _whole(tx: Tx, found: list[Link]) -> list[Link]:
    """The same links with their members."""
    members: dict[int, list[Member]] = {}
    for some in in_parts([one.id for one in found]):
        m = link_members.c
        for row in await tx.execute(select(link_members).where(m.link_id.in_(some)).order_by(m.id)):
            members.setdefault(row.link_id, []).append(Member(row.interface, row.port_speed_bps, row.ifindex))
    return [replace(one, members=tuple(members.get(one.id, ()))) for one in found]


async def counted(tx: Tx, entry_ids: Collection[int]) -> dict[int, list[str]]:
    """Interfaces whose counters are to be asked for, by entry, in the order of the links.

    Those that heartbeats number are left out where the adapter phones home: two sources never mix in one series.
    """
    found: dict[int, list[str]] = {}
    for some in in_parts(entry_ids):
        phoning = set(
            await tx.scalars(
                select(placements.c.entry_id)
                .join(adapters, adapters.c.id == placements.c.adapter_id)
                .where(placements.c.to_ms.is_(None), placements.c.entry_id.in_(some), adapters.c.path == "arms")
            )
        )
        for link in await of_entries(tx, Scope.everything(), some):
            for port in link.ports:
                if port.ifindex is None or link.entry_id not in phoning:
                    found.setdefault(link.entry_id, []).append(port.interface)
    return found


async def _owner(tx: Tx, link: Link) -> int | None:
    query = (
        select(managements.c.contractor_id)
        .join(entries, entries.c.management_id == managements.c.id)
        .where(entries.c.id == link.entry_id)
    )
    found: int | None = await tx.scalar(query)
    return found


async def owners(tx: Tx, link_ids: Iterable[int]) -> dict[int, int]:
    """Contractor of each link's management."""
    found: dict[int, int] = {}
    for part in in_parts(list(link_ids)):
        rows = await tx.execute(
            select(links.c.id, managements.c.contractor_id)
            .join(entries, entries.c.id == links.c.entry_id)
            .join(managements, managements.c.id == entries.c.management_id)
            .where(links.c.id.in_(part))
        )
        found.update({row.id: row.contractor_id for row in rows})
    return found


async def get(tx: Tx, scope: Scope, link_id: int) -> Link:
    """A link by its number. Raises NotFound."""
    row = (await tx.execute(_visible(scope).where(links.c.id == link_id))).one_or_none()
    if row is None:
        raise NotFound(f"there is no link {link_id}", next_step="List the links.")
    return (await _whole(tx, [_link(row)]))[0]


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    entry_id: int | None = None,
    contractor_id: int | None = None,
    among: Select[tuple[int]] | None = None,
) -> list[Link]:
    """Links by number, after one; with `among`, only those whose number it selects."""
    query = _visible(scope).where(links.c.id > after).order_by(links.c.id).limit(limit)
    if entry_id is not None:
        query = query.where(links.c.entry_id == entry_id)
    if contractor_id is not None:
        query = query.where(managements.c.contractor_id == contractor_id)
    if among is not None:
        query = query.where(links.c.id.in_(among))
    return await _whole(tx, [_link(row) for row in await tx.execute(query)])


async def by_interface(tx: Tx, scope: Scope, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Link]:
    """Links by (entry, interface), those that exist in the scope; a group by the name of each member."""
    found: dict[tuple[int, str], Link] = {}
    m = link_members.c
    for part in portions(names):
        grouped = select(m.link_id).where(tuple_(m.entry_id, m.interface).in_(part))
        query = _visible(scope).where(tuple_(links.c.entry_id, links.c.interface).in_(part) | links.c.id.in_(grouped))
        for link in await _whole(tx, [_link(row) for row in await tx.execute(query)]):
            found.update({(link.entry_id, port.interface): link for port in link.ports})
    return found


async def of_entries(tx: Tx, scope: Scope, entry_ids: Iterable[int]) -> list[Link]:
    """All links of some entries."""
    query = _visible(scope).where(links.c.entry_id.in_(list(entry_ids))).order_by(links.c.id)
    return await _whole(tx, [_link(row) for row in await tx.execute(query)])


async def change(tx: Tx, scope: Scope, by: By, link_id: int, wanted: ChangedLink, *, if_version: int | None) -> Link:
    """Change what may change; `if_version` None: whatever it is now.

    Raises NotFound, StaleVersion, or Conflict for an ifindex that another link of the entry has.
    """
    before = await get(tx, scope, link_id)
    values = {
        "port_speed_bps": wanted.port_speed_bps,
        "ifindex": wanted.ifindex,
        "line_type": wanted.line_type,
    }
    seen = before.version if if_version is None else if_version
    statement = update(links).where(links.c.id == link_id, links.c.version == seen).values(**values, version=seen + 1)
    try:
        done = (await tx.execute(statement.returning(links))).one_or_none()
    except IntegrityError:
        raise Conflict(
            f"ifindex {wanted.ifindex} belongs to another link of that entry",
            next_step="Change that link first.",
            field="ifindex",
        ) from None
    if done is None:
        raise StaleVersion(f"link {link_id} changed since you read it", next_step="Read it again.")
    was = {name: getattr(before, name) for name in values}
    owner = await _owner(tx, before)
    audit.record(tx, by, "link.change", f"link {link_id}", contractor_id=owner, before=was, after=values)
    return replace(_link(done), members=before.members)


async def learn_speed(tx: Tx, by: By, link: Link, interface: str, bps: int) -> None:
    """Take the port speed that the device tells, where none is entered; a speed that is entered stays."""
    table, key = (link_members, link_members.c.link_id) if link.members else (links, links.c.id)
    mine = (key == link.id, table.c.interface == interface, table.c.port_speed_bps.is_(None))
    done = await tx.execute(update(table).where(*mine).values(port_speed_bps=bps))
    if done.rowcount:
        await tx.execute(update(links).where(links.c.id == link.id).values(version=links.c.version + 1))
        after = {"interface": interface, "port_speed_bps": bps}
        owner = await _owner(tx, link)
        audit.record(tx, by, "link.port-speed", f"link {link.id}", contractor_id=owner, after=after)


async def set_capacity(tx: Tx, scope: Scope, by: By, link_id: int, new: Capacity) -> None:
    """Record a capacity from a day on; an earlier row stays as it was. Raises NotFound. The actor is that of `by`."""
    link = await get(tx, scope, link_id)
    values = {
        "kind": new.kind.value,
        "down_bps": new.down_bps,
        "up_bps": new.up_bps,
        "valid_from": new.valid_from.isoformat(),
        "reason": new.reason,
    }
    await tx.execute(insert(link_capacities).values(link_id=link_id, actor=by.actor, recorded_ms=by.at_ms, **values))
    owner = await _owner(tx, link)
    audit.record(tx, by, "link.capacity", f"link {link_id}", contractor_id=owner, after=values)


async def capacities(tx: Tx, link_id: int) -> list[Capacity]:
    """Capacities of a link with the days they hold: each kind's ends where its next one begins."""
    c = link_capacities.c
    rows = await tx.execute(select(link_capacities).where(c.link_id == link_id).order_by(c.valid_from, c.id))
    # A later record for the same kind and day corrects the earlier one.
    latest = {(row.kind, row.valid_from): row for row in rows}
    found = []
    for kind in CapacityKind:
        dated = [row for (k, _), row in sorted(latest.items()) if k == kind]
        if not dated:
            continue
        ends: list[date | None] = [date.fromisoformat(row.valid_from) for row in dated[1:]]
        found += [_capacity(row, end) for row, end in zip(dated, [*ends, None], strict=True)]
    return found


async def known_capacities(tx: Tx, link: Link) -> list[Capacity]:
    """Capacities that were entered or learned and, where none was entered, the known figure of the seated model.

    The figure holds from the day on which the adapter took its place, so that a swap begins a new history. Of the first
    adapter of a place it holds for the days before, too: what was imported of them is taken for its own.
    """
    found = await capacities(tx, link.id)
    a = adapters.c
    row = (
        await tx.execute(
            select(a.model, a.hardware, placements.c.from_ms)
            .join(placements, placements.c.adapter_id == a.id)
            .where(placements.c.entry_id == link.entry_id, placements.c.to_ms.is_(None))
        )
    ).one_or_none()
    known = None if row is None else (await modelfigures.book(tx)).find(row.hardware, row.model)
    if row is None or known is None:
        return found
    if any(one.kind is CapacityKind.MODEL for one in found):
        # What was entered for the link is in bit/s; packets per second are still the model's.
        pps = known.packets_per_s
        return [replace(one, packets_per_s=pps) if one.kind is CapacityKind.MODEL else one for one in found]
    bps = known.figures_bps.get(usual_traffic(catalogue.model(row.model).family))
    if not bps and not known.packets_per_s:
        return found
    p = placements.c
    before = await tx.scalar(select(p.id).where(p.entry_id == link.entry_id, p.from_ms < row.from_ms).limit(1))
    since = date.min if before is None else day_of(row.from_ms, link.zone)
    figure = round(bps) if bps else None
    return [
        *found,
        Capacity(CapacityKind.MODEL, figure, None, since, None, known.origin, known.source, known.packets_per_s),
    ]


def _link(row: Row[Any]) -> Link:
    return Link(
        row.id,
        row.entry_id,
        row.interface,
        LinkRole(row.role),
        row.port_speed_bps,
        row.ifindex,
        row.line_type,
        row.zone,
        row.version,
    )


def _capacity(row: Row[Any], end: date | None) -> Capacity:
    return Capacity(
        CapacityKind(row.kind),
        row.down_bps,
        row.up_bps,
        date.fromisoformat(row.valid_from),
        end,
        row.actor,
        row.reason,
    )
