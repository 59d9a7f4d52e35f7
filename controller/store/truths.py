"""Which places want to be read: their adapter is in contact, and what it runs has not been read since it came there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, or_, select, true

from controller.store.database import Tx
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.phonehome import arms_contacts
from controller.store.tables.push import config_versions, device_locks
from controller.store.tables.ssh import ssh_contacts
from controller.store.whereabouts import elsewhere
from inventory.catalogue import Family, model
from inventory.explain import Contact


@dataclass(frozen=True, slots=True)
class Unread:
    """A place whose truth is missing or old, and who sits there."""

    adapter_id: int
    entry_id: int
    family: Family


async def unread(tx: Tx, *, older_than_ms: int, node: str | None = None) -> list[Unread]:
    """Places to be read, in the order of their adapters; those that a push holds are left alone, and with `node` those
    that another node has the way to.

    A reading counts if it is younger than `older_than_ms`, than the adapter's placement, and than its last return to
    contact (a boot, a silence that ended).
    """
    seen_ms = (
        select(func.max(config_versions.c.seen_ms))
        .where(config_versions.c.entry_id == placements.c.entry_id, config_versions.c.kind == "truth")
        .correlate(placements)
        .scalar_subquery()
    )
    rows = await tx.execute(
        select(placements.c.adapter_id, placements.c.entry_id, adapters.c.model)
        .join(adapters, adapters.c.id == placements.c.adapter_id)
        .outerjoin(arms_contacts, arms_contacts.c.adapter_id == adapters.c.id)
        .outerjoin(ssh_contacts, ssh_contacts.c.adapter_id == adapters.c.id)
        .where(
            placements.c.to_ms.is_(None),
            placements.c.entry_id.is_not(None),
            adapters.c.id.not_in(select(device_locks.c.adapter_id)),
            true() if node is None else ~elsewhere(adapters.c.id, node),
            or_(
                (arms_contacts.c.stage == Contact.READY) & arms_contacts.c.quarantine.is_(None),
                (ssh_contacts.c.stage == Contact.READY) & ssh_contacts.c.quarantine.is_(None),
            ),
            or_(
                seen_ms.is_(None),
                seen_ms < older_than_ms,
                seen_ms < placements.c.from_ms,
                seen_ms < arms_contacts.c.stage_ms,
            ),
        )
        .order_by(placements.c.adapter_id)
    )
    return [Unread(row.adapter_id, row.entry_id, model(row.model).family) for row in rows]
