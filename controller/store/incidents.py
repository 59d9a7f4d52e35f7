"""Incidents: opened or added to by what finds them, settled when the cause is gone, acknowledged and closed by people.

An opening and an end are events in the same transaction; what a person does is in the audit too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, or_, select, update

from controller.store import audit, events
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.events import NewEvent
from controller.store.rows import in_parts, not_found, require_version, upsert
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.incidents import OPEN, incidents
from controller.store.tables.inventory import adapters, entries, managements
from inventory.errors import Conflict
from inventory.incidents import Incident, IncidentKind, IncidentState, NewIncident


async def note(tx: Tx, by: By, new: NewIncident) -> Incident:
    """Open an incident, or add to the open one of the same kind and cause: it is counted, and title and facts are the
    newest. The unique index decides, so two who find it at once open one."""
    (found,) = await note_all(tx, [(by, new)])
    return found


async def note_all(tx: Tx, new: Sequence[tuple[By, NewIncident]]) -> list[Incident]:
    """As `note`, of many that differ in kind or cause, in any order; two statements whatever the number."""
    if not new:
        return []
    made = upsert(tx, incidents)
    statement = made.values([_values(by, one) for by, one in new]).on_conflict_do_update(
        index_elements=["kind", "cause"],
        index_where=OPEN,
        set_={
            "title": made.excluded.title,
            "facts": made.excluded.facts,
            "last_ms": made.excluded.last_ms,
            "count": incidents.c["count"] + 1,
            "version": incidents.c.version + 1,
        },
    )
    found = [_incident(row) for row in await tx.execute(statement.returning(incidents))]
    by_cause = {(one.kind, one.cause): by for by, one in new}
    opened = [one for one in found if one.count == 1]
    await events.record_all(
        tx, [_event("incident.opened", by_cause[one.kind, one.cause], one, {"title": one.title}) for one in opened]
    )
    return found


async def settle(tx: Tx, by: By, kind: IncidentKind, cause: str, why: str) -> Incident | None:
    """The cause is gone: close the open incident of this kind and cause and say why. None when none was open."""
    row = (
        await tx.execute(
            update(incidents)
            .where(incidents.c.kind == kind.value, incidents.c.cause == cause, incidents.c.closed_ms.is_(None))
            .values(_closed(by, why))
            .returning(incidents)
        )
    ).one_or_none()
    if row is None:
        return None
    found = _incident(row)
    await events.record(tx, _event("incident.closed", by, found, {"why": why, "actor": by.actor}))
    return found


async def settle_all(tx: Tx, ends: Mapping[int, tuple[By, str]]) -> None:
    """As `settle`, of many by their numbers, each with who and why; three statements whatever the number. Those that
    are closed already are left alone."""
    if not ends:
        return
    still_open = select(incidents).where(incidents.c.id.in_(sorted(ends)), incidents.c.closed_ms.is_(None))
    found = [_incident(row) for row in await tx.execute(still_open.order_by(incidents.c.id).with_for_update())]
    if not found:
        return
    await tx.execute(_CLOSE, [_end(one.id, *ends[one.id]) for one in found])
    told = ((one, *ends[one.id]) for one in found)
    await events.record_all(
        tx, [_event("incident.closed", by, one, {"why": why, "actor": by.actor}) for one, by, why in told]
    )


_CLOSE: Final = (
    update(incidents)
    .where(incidents.c.id == bindparam("of_incident"))
    .values(
        state="closed",
        closed_ms=bindparam("new_ms"),
        closed_by=bindparam("new_actor"),
        closed_why=bindparam("new_why"),
        version=incidents.c.version + 1,
    )
)


def _end(incident_id: int, by: By, why: str) -> dict[str, object]:
    return {"of_incident": incident_id, "new_ms": by.at_ms, "new_actor": by.actor, "new_why": why}


async def acknowledge(
    tx: Tx, scope: Scope, by: By, incident_id: int, *, why: str, if_version: int | None = None
) -> Incident:
    """A person is at work on it. Raises NotFound, StaleVersion, or Conflict when it is closed."""
    found = await _still_open(tx, scope, incident_id, if_version)
    changes = {
        "state": "acknowledged",
        "acknowledged_ms": by.at_ms,
        "acknowledged_by": by.actor,
        "acknowledged_why": why,
        "version": found.version + 1,
    }
    return await _by_a_person(tx, by, found, "incident.acknowledge", "incident.acknowledged", changes, why)


async def close(tx: Tx, scope: Scope, by: By, incident_id: int, *, why: str, if_version: int | None = None) -> Incident:
    """A person says it is over; found again, it is a new one. Raises NotFound, StaleVersion, or Conflict when it is
    closed."""
    found = await _still_open(tx, scope, incident_id, if_version)
    return await _by_a_person(tx, by, found, "incident.close", "incident.closed", _closed(by, why), why)


async def get(tx: Tx, scope: Scope, incident_id: int) -> Incident:
    """An incident by its number. Raises NotFound."""
    row = (await tx.execute(_visible(scope).where(incidents.c.id == incident_id))).one_or_none()
    if row is None:
        raise not_found(f"incident {incident_id}")
    return _incident(row)


async def open_one(tx: Tx, kind: IncidentKind, cause: str, *, lock: bool = False) -> Incident | None:
    """The open incident of this kind and cause; for the daemon itself. With `lock` nobody else adds to it or closes it
    until the transaction ends."""
    query = select(incidents).where(
        incidents.c.kind == kind.value, incidents.c.cause == cause, incidents.c.closed_ms.is_(None)
    )
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _incident(row)


async def open_causes(tx: Tx, kind: IncidentKind, causes: Collection[str]) -> list[str]:
    """Those of the causes of which an incident of this kind is open; for the daemon itself."""
    if not causes:
        return []
    found = await tx.scalars(_OPEN_CAUSES, {"of_kind": kind.value, "of_causes": list(causes)})
    return list(found.all())


_OPEN_CAUSES: Final = direct(
    select(incidents.c.cause).where(
        incidents.c.kind == bindparam("of_kind"),
        incidents.c.cause.in_(bindparam("of_causes", expanding=True)),
        incidents.c.closed_ms.is_(None),
    )
)


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    state: IncidentState | None = None,
    kind: IncidentKind | None = None,
    adapter_id: int | None = None,
    still_open: bool = False,
) -> list[Incident]:
    """Incidents by number, after one; `still_open`: acknowledged ones too, closed ones not."""
    query = _visible(scope).where(incidents.c.id > after).order_by(incidents.c.id).limit(limit)
    if state is not None:
        query = query.where(incidents.c.state == state)
    if kind is not None:
        query = query.where(incidents.c.kind == kind.value)
    if adapter_id is not None:
        query = query.where(incidents.c.adapter_id == adapter_id)
    if still_open:
        query = query.where(incidents.c.closed_ms.is_(None))
    return [_incident(row) for row in await tx.execute(query)]


async def open_of_adapters(tx: Tx, adapter_ids: Sequence[int]) -> dict[int, list[Incident]]:
    """Open incidents by adapter, oldest first; for explanations whose scope was checked."""
    found: dict[int, list[Incident]] = {}
    for some in in_parts(adapter_ids):
        query = select(incidents).where(incidents.c.adapter_id.in_(some), incidents.c.closed_ms.is_(None))
        for row in await tx.execute(query.order_by(incidents.c.id)):
            found.setdefault(row.adapter_id, []).append(_incident(row))
    return found


async def _still_open(tx: Tx, scope: Scope, incident_id: int, if_version: int | None) -> Incident:
    found = await get(tx, scope, incident_id)
    require_version(f"incident {incident_id}", found.version, if_version)
    if not found.is_open:
        raise Conflict(
            f"incident {incident_id} is closed: {found.closed_why}",
            next_step="Nothing is left to do; found again, it is a new incident.",
            facts={"state": found.state},
        )
    return found


async def _by_a_person(
    tx: Tx, by: By, found: Incident, action: str, kind: str, changes: Mapping[str, Any], why: str
) -> Incident:
    statement = update(incidents).where(incidents.c.id == found.id, incidents.c.closed_ms.is_(None)).values(changes)
    row = (await tx.execute(statement.returning(incidents))).one_or_none()
    if row is None:
        raise Conflict(f"incident {found.id} was closed meanwhile", next_step="Look at it again.")
    done = _incident(row)
    owner = row.thing_contractor_id if row.thing_contractor_id is not None else row.place_contractor_id
    await events.record(tx, _event(kind, by, done, {"why": why, "actor": by.actor}))
    audit.record(
        tx,
        by,
        action,
        f"incident {found.id}",
        contractor_id=owner,
        before={"state": found.state},
        after={"state": done.state, "reason": why},
    )
    return done


def _closed(by: By, why: str) -> dict[str, Any]:
    return {
        "state": "closed",
        "closed_ms": by.at_ms,
        "closed_by": by.actor,
        "closed_why": why,
        "version": incidents.c.version + 1,
    }


def _visible(scope: Scope) -> Select[Any]:
    found = select(incidents)
    if scope.contractor_id is None:
        return found
    return found.where(
        or_(
            incidents.c.thing_contractor_id == scope.contractor_id,
            incidents.c.place_contractor_id == scope.contractor_id,
        )
    )


def _values(by: By, new: NewIncident) -> dict[str, object]:
    """A new row; its owners are those of the thing and of the place, as they are now."""
    thing = place = None
    if new.adapter_id is not None:
        thing = select(adapters.c.contractor_id).where(adapters.c.id == new.adapter_id).scalar_subquery()
    if new.management_id is not None:
        place = select(managements.c.contractor_id).where(managements.c.id == new.management_id).scalar_subquery()
    elif new.entry_id is not None:
        of_entry = select(entries.c.management_id).where(entries.c.id == new.entry_id).scalar_subquery()
        place = select(managements.c.contractor_id).where(managements.c.id == of_entry).scalar_subquery()
    return {
        "kind": new.kind.value,
        "cause": new.cause,
        "title": new.title,
        "state": "open",
        "opened_ms": by.at_ms,
        "last_ms": by.at_ms,
        "count": 1,
        "thing_contractor_id": thing,
        "place_contractor_id": place,
        "adapter_id": new.adapter_id,
        "entry_id": new.entry_id,
        "management_id": new.management_id,
        "facts": to_json(dict(new.facts)),
        "version": 1,
    }


def _event(kind: str, by: By, found: Incident, more: Mapping[str, object]) -> NewEvent:
    return NewEvent(
        kind,
        by.at_ms,
        adapter_id=found.adapter_id,
        entry_id=found.entry_id,
        management_id=found.management_id,
        facts={"incident": found.id, "kind": found.kind.value, "cause": found.cause, **more},
    )


def _incident(row: AnyRow) -> Incident:
    values = {name: value for name, value in row._mapping.items() if not name.endswith("_contractor_id")}
    return Incident(**{**values, "kind": IncidentKind(row.kind), "facts": json.loads(row.facts)})
