"""What the heartbeat receiver keeps in the main database: refusals by adapter; and where adapters are, for silences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Integer, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from controller.store.database import Tx
from controller.store.rows import in_parts, upsert
from controller.store.tables.inventory import adapters, entries, placements, standbys
from controller.store.tables.phonehome import arms_contacts, arms_identities, arms_refused_beats
from inventory.adapters import SerialNumber
from inventory.contacts import RefusedBeats


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an adapter is, as far as that may explain its silence."""

    adapter_id: int
    serial: str
    contractor_id: int
    entry_id: int | None
    site: str
    source: str | None
    """Address it was last seen from."""


async def whereabouts(tx: Tx) -> list[Whereabouts]:
    """All adapters that phone home; for the daemon itself."""
    rows = await tx.execute(
        select(
            adapters.c.id,
            adapters.c.serial_shown,
            adapters.c.contractor_id,
            placements.c.entry_id,
            func.coalesce(entries.c.site, "").label("site"),
            arms_contacts.c.source,
        )
        .join(arms_contacts, arms_contacts.c.adapter_id == adapters.c.id)
        .outerjoin(placements, (placements.c.adapter_id == adapters.c.id) & placements.c.to_ms.is_(None))
        .outerjoin(entries, entries.c.id == placements.c.entry_id)
    )
    return [
        Whereabouts(
            row.id, str(SerialNumber.parse(row.serial_shown)), row.contractor_id, row.entry_id, row.site, row.source
        )
        for row in rows
    ]


Standing = tuple[object, ...]
"""What a heartbeat's sender is believed by, as it is kept: while it is the same, so are its keys, place and life."""

_MANAGEMENT: Final = func.coalesce(entries.c.management_id, standbys.c.management_id)
_STANDINGS: Final = (
    select(
        arms_identities.c.distribution_id,
        arms_identities.c.adapter_id,
        arms_identities.c.passphrase_sealed,
        arms_identities.c.previous_passphrase_sealed,
        arms_identities.c.passphrase_rotated_ms,
        arms_identities.c.passphrase_delivered_ms,
        adapters.c.serial_shown,
        adapters.c.life,
        placements.c.entry_id,
        _MANAGEMENT,
    )
    .join(adapters, adapters.c.id == arms_identities.c.adapter_id)
    .outerjoin(placements, (placements.c.adapter_id == adapters.c.id) & placements.c.to_ms.is_(None))
    .outerjoin(entries, entries.c.id == placements.c.entry_id)
    .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
)
_BY_NAME: Final = _STANDINGS.where(arms_identities.c.distribution_id.in_(bindparam("distribution_ids", expanding=True)))
# One parameter for a thousand numbers: the statement stays the same, and nothing is done for each of them.
_BY_NUMBER: Final = {
    "sqlite": _STANDINGS.where(
        arms_identities.c.adapter_id.in_(select(column("value")).select_from(func.json_each(bindparam("adapter_ids"))))
    ),
    "postgresql": _STANDINGS.where(
        arms_identities.c.adapter_id == any_(bindparam("adapter_ids", type_=ARRAY(Integer)))
    ),
}


def standings_whole(connection: Connection, distribution_ids: Sequence[str]) -> dict[str, Standing]:
    """How these senders stand, without anything that must be unsealed; for `Database.read_whole`."""
    if not distribution_ids:
        return {}
    found = connection.execute(_BY_NAME, {"distribution_ids": list(distribution_ids)})
    return {row[0]: tuple(row) for row in found.all()}


def standings_of_whole(connection: Connection, adapter_ids: Sequence[int]) -> dict[str, Standing]:
    """The same of adapters by their numbers."""
    if not adapter_ids:
        return {}
    sqlite_ = connection.dialect.name == "sqlite"
    numbers = json.dumps(adapter_ids) if sqlite_ else list(adapter_ids)
    found = connection.execute(_BY_NUMBER[connection.dialect.name], {"adapter_ids": numbers})
    return {row[0]: tuple(row) for row in found.all()}


async def count_refused(tx: Tx, noted: Mapping[tuple[int, str], RefusedBeats]) -> None:
    """Add to what was refused in the name of adapters."""
    if not noted:
        return
    made = upsert(tx, arms_refused_beats)
    statement = made.on_conflict_do_update(
        index_elements=["adapter_id", "reason"],
        set_={
            "count": arms_refused_beats.c["count"] + made.excluded["count"],
            "last_ms": made.excluded.last_ms,
            "source": made.excluded.source,
        },
    )
    await tx.execute(
        statement,
        [
            {
                "adapter_id": one.adapter_id,
                "reason": one.reason,
                "count": one.count,
                "first_ms": one.first_ms,
                "last_ms": one.last_ms,
                "source": one.source,
            }
            for one in noted.values()
        ],
    )


async def refused(tx: Tx, adapter_ids: Sequence[int]) -> dict[int, list[RefusedBeats]]:
    """What was refused in the name of these adapters, the latest first; the caller has checked their scope."""
    found: dict[int, list[RefusedBeats]] = {}
    c = arms_refused_beats.c
    for some in in_parts(adapter_ids):
        query = select(arms_refused_beats).where(c.adapter_id.in_(some)).order_by(c.last_ms.desc(), c.reason)
        for row in (await tx.execute(query)).mappings():
            found.setdefault(row["adapter_id"], []).append(RefusedBeats(**row))
    return found
