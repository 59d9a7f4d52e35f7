"""What stands behind a place: the bandwidth that its lines are contracted for, and who could take it over."""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import bindparam, or_, select

from controller.store import links as link_rows
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.tables.inventory import entries, placements, standbys
from controller.store.tables.metering import links
from controller.store.tables.phonehome import arms_contacts
from controller.store.tables.ssh import ssh_contacts
from inventory.links import CapacityKind

READY_MS = 3_600_000
"""A standby that was heard of no longer ago is ready: refused boots come every few minutes."""


_WAN: Final = direct(select(links.c.id).where(links.c.entry_id == bindparam("of_entry"), links.c.role == "wan"))
_READY: Final = direct(
    select(placements.c.id)
    .join(standbys, standbys.c.id == placements.c.standby_id)
    .join(entries, entries.c.management_id == standbys.c.management_id)
    .outerjoin(arms_contacts, arms_contacts.c.adapter_id == placements.c.adapter_id)
    .outerjoin(ssh_contacts, ssh_contacts.c.adapter_id == placements.c.adapter_id)
    .where(entries.c.id == bindparam("of_entry"), placements.c.to_ms.is_(None))
    .where(
        or_(
            arms_contacts.c.last_seen_ms >= bindparam("since_ms"),
            ssh_contacts.c.last_seen_ms >= bindparam("since_ms"),
        )
    )
    .limit(1)
)


async def contracted_bps(tx: Tx, entry_id: int, today: date) -> int | None:
    """Bandwidth towards the place that its WAN lines are contracted for, in bit/s; None where no contract says."""
    wan = await tx.scalars(_WAN, {"of_entry": entry_id})
    known = []
    for link_id in wan.all():
        in_force = [
            one
            for one in await link_rows.capacities(tx, link_id)
            if one.kind is CapacityKind.LINE and one.holds_on(today)
        ]
        known += [one.down_bps for one in in_force[-1:] if one.down_bps is not None]
    return sum(known) if known else None


async def has_ready_standby(tx: Tx, entry_id: int, now_ms: int) -> bool:
    """Whether a standby of the same management is occupied by an adapter that was heard of within the last hour."""
    since_ms = now_ms - READY_MS
    found = await tx.execute(_READY, {"of_entry": entry_id, "since_ms": since_ms})
    return found.first() is not None
