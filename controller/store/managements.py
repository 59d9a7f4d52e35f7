"""Managements: who they belong to, suspensions, consents to other contractors' adapters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from controller.store import audit, contractors, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import insert_new, not_found, require_version
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import consents, entries, managements, standbys, suspensions
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, Conflict
from inventory.slots import Management, show_key

GROUNDS = {
    1: "payment is overdue or clearly about to be",
    2: "unlawful or immoral use",
    3: "grave disturbance of other users",
    4: "breach of the contractor's duties",
}
"""Grounds of SMF-21.1 by number."""


def _query() -> Select[Any]:
    return select(
        managements,
        _open_slots(entries).label("entry_count"),
        _open_slots(standbys).label("standby_count"),
        select(suspensions.c.reason)
        .where(suspensions.c.management_id == managements.c.id, suspensions.c.to_ms.is_(None))
        .scalar_subquery()
        .label("suspended"),
    )


def _open_slots(table: Any) -> Any:
    return (
        select(func.count())
        .select_from(table)
        .where(table.c.management_id == managements.c.id, table.c.closed_ms.is_(None))
        .scalar_subquery()
    )


def _management(row: AnyRow) -> Management:
    return Management(
        id=row.id,
        contractor_id=row.contractor_id,
        service=row.service,
        classes=tuple(json.loads(row.classes)),
        name=row.name,
        entry_count=row.entry_count,
        standby_count=row.standby_count,
        suspended=row.suspended,
        created_ms=row.created_ms,
        version=row.version,
    )


async def get(tx: Tx, scope: Scope, management_id: int) -> Management:
    """The management with its counts as they are now. Raises NotFound."""
    row = (await tx.execute(_query().where(managements.c.id == management_id))).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(f"management {show_key('M', management_id)}")
    return _management(row)


async def lock(tx: Tx, scope: Scope, *management_ids: int) -> tuple[Management, ...]:
    """The managements, held against every other slot change until the transaction ends (architecture §3a.3).

    Rows are locked in the order of their numbers, and read only then: what is read is what the lock protects.
    """
    wanted = sorted(set(management_ids))
    await tx.execute(
        select(managements.c.id).where(managements.c.id.in_(wanted)).order_by(managements.c.id).with_for_update()
    )
    return tuple([await get(tx, scope, number) for number in management_ids])


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    contractor_id: int | None = None,
    service: Service | None = None,
) -> list[Management]:
    """Managements with a number above `after`, in its order."""
    query = _query().where(managements.c.id > after).order_by(managements.c.id).limit(limit)
    for owner in (scope.contractor_id, contractor_id):
        if owner is not None:
            query = query.where(managements.c.contractor_id == owner)
    if service is not None:
        query = query.where(managements.c.service == service)
    return [_management(row) for row in await tx.execute(query)]


async def insert_row(
    tx: Tx, by: By, *, contractor_id: int, service: Service, classes: Sequence[DeviceClass], name: str
) -> int:
    """Number of a new management without slots; `counts.create_management` is the door to it."""
    number: int | None = await tx.scalar(
        insert(managements)
        .values(
            contractor_id=contractor_id,
            service=service,
            classes=json.dumps(sorted(classes)),
            name=contractors.required_name(name, "name"),
            created_ms=by.at_ms,
            version=1,
        )
        .returning(managements.c.id)
    )
    assert number is not None
    return number


async def bump(tx: Tx, management: Management) -> None:
    """Raise the version after a change."""
    await tx.execute(
        update(managements).where(managements.c.id == management.id).values(version=management.version + 1)
    )


async def suspend(
    tx: Tx,
    scope: Scope,
    by: By,
    management_id: int,
    *,
    ground: int,
    until: date | None = None,
    if_version: int | None = None,
) -> Management:
    """Suspend on a ground of SMF-21.1 (1 to 4), until a day or until resumed. Data stay, adapters are not controlled.

    Raises BadInput for another ground, Conflict if it is suspended already.
    """
    if ground not in GROUNDS:
        raise BadInput(
            f"{ground} is no ground for a suspension",
            field="ground",
            rule="SMF-21",
            next_step="Give the number of a ground: "
            + "; ".join(f"{number} {words}" for number, words in GROUNDS.items()),
        )
    (management,) = await lock(tx, scope, management_id)
    require_version(management.key, management.version, if_version)
    reason = GROUNDS[ground]
    made = await insert_new(
        tx,
        suspensions,
        {
            "management_id": management.id,
            "ground": ground,
            "reason": reason,
            "until_day": until.isoformat() if until else None,
            "from_ms": by.at_ms,
            "actor": by.actor,
        },
    )
    if made is None:
        raise Conflict(
            f"{management.key} is suspended already: {management.suspended}",
            rule="SMF-21",
            next_step="Resume it first if the ground has changed.",
        )
    await _changed(
        tx, by, management, "suspend", before={"suspended": None}, after={"suspended": reason, "ground": ground}
    )
    return await get(tx, scope, management_id)


async def resume(tx: Tx, scope: Scope, by: By, management_id: int, *, if_version: int | None = None) -> Management:
    """End the suspension: its ground is gone, or its period over (SMF-21). Raises Conflict if there is none."""
    (management,) = await lock(tx, scope, management_id)
    require_version(management.key, management.version, if_version)
    if management.suspended is None:
        raise Conflict(f"{management.key} is not suspended", rule="SMF-21", next_step="There is nothing to resume.")
    await tx.execute(
        update(suspensions)
        .where(suspensions.c.management_id == management.id, suspensions.c.to_ms.is_(None))
        .values(to_ms=by.at_ms)
    )
    await _changed(tx, by, management, "resume", before={"suspended": management.suspended}, after={"suspended": None})
    return await get(tx, scope, management_id)


@dataclass(frozen=True, slots=True)
class Consent:
    """That another contractor's adapters may be put into a management; instants in milliseconds UTC."""

    contractor_id: int
    proof: str
    actor: str
    from_ms: int
    to_ms: int | None


async def consents_of(tx: Tx, scope: Scope, management_id: int) -> list[Consent]:
    """All consents of a management, oldest first. Raises NotFound."""
    management = await get(tx, scope, management_id)
    rows = await tx.execute(
        select(consents.c.contractor_id, consents.c.proof, consents.c.actor, consents.c.from_ms, consents.c.to_ms)
        .where(consents.c.management_id == management.id)
        .order_by(consents.c.id)
    )
    return [Consent(*row) for row in rows]


async def consent(tx: Tx, scope: Scope, by: By, management_id: int, *, contractor_id: int, proof: str) -> None:
    """Record that the management's contractor lets another's adapters into its slots (MPC-6.2, SMF-13).

    `proof` says where the consent is kept. Raises Conflict if one is in force.
    """
    (management,) = await lock(tx, scope, management_id)
    await contractors.get(tx, Scope.everything(), contractor_id)
    made = await insert_new(
        tx,
        consents,
        {
            "management_id": management.id,
            "contractor_id": contractor_id,
            "proof": contractors.required_name(proof, "proof"),
            "from_ms": by.at_ms,
            "actor": by.actor,
        },
    )
    if made is None:
        raise Conflict(
            f"{management.key} has this contractor's consent on record already",
            rule="MPC-6.2" if management.service == "mpc" else "SMF-13",
            next_step="Withdraw it first if another proof is to stand.",
        )
    await _changed(
        tx, by, management, "consent", before={}, after={"contractor": show_key("K", contractor_id), "proof": proof}
    )


async def withdraw_consent(tx: Tx, scope: Scope, by: By, management_id: int, *, contractor_id: int) -> None:
    """End a consent: new placements stop, adapters in place stay until moved. Raises Conflict if none is in force."""
    (management,) = await lock(tx, scope, management_id)
    ended = await tx.execute(
        update(consents)
        .where(
            consents.c.management_id == management.id,
            consents.c.contractor_id == contractor_id,
            consents.c.to_ms.is_(None),
        )
        .values(to_ms=by.at_ms)
    )
    if ended.rowcount == 0:
        raise Conflict(
            f"no consent of {management.key} for this contractor is in force",
            rule="MPC-6.2" if management.service == "mpc" else "SMF-13",
            next_step="There is nothing to withdraw.",
        )
    await _changed(
        tx, by, management, "withdraw-consent", before={"contractor": show_key("K", contractor_id)}, after={}
    )


async def consented(tx: Tx, management: Management, contractor_id: int) -> bool:
    """Whether this contractor's adapters may be put into the management: it is its own, or the consent is in force."""
    if management.contractor_id == contractor_id:
        return True
    found = await tx.scalar(
        select(consents.c.id).where(
            consents.c.management_id == management.id,
            consents.c.contractor_id == contractor_id,
            consents.c.to_ms.is_(None),
        )
    )
    return found is not None


async def _changed(
    tx: Tx, by: By, management: Management, verb: str, *, before: dict[str, object], after: dict[str, object]
) -> None:
    await bump(tx, management)
    await events.record(
        tx, NewEvent(f"management.{verb}", by.at_ms, management_id=management.id, facts=after or before)
    )
    audit.record(
        tx,
        by,
        f"management.{verb}",
        management.key,
        contractor_id=management.contractor_id,
        before=before,
        after=after,
    )
