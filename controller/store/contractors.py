"""Contractors."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from controller.store import audit
from controller.store.database import Tx
from controller.store.rows import not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import contractors
from inventory.errors import BadInput
from inventory.slots import Contractor, show_key

NAME_AT_MOST = 200


async def create(tx: Tx, scope: Scope, by: By, *, name: str) -> Contractor:
    """Record a contractor; the provider alone does. Raises BadInput without a name, NotFound for a narrower scope."""
    if scope.contractor_id is not None:
        raise not_found("such collection")
    name = required_name(name, "name")
    number = await tx.scalar(
        insert(contractors).values(name=name, created_ms=by.at_ms, version=1).returning(contractors.c.id)
    )
    assert number is not None
    audit.record(tx, by, "contractor.create", show_key("K", number), contractor_id=number, after={"name": name})
    return Contractor(number, name, by.at_ms, 1)


async def get(tx: Tx, scope: Scope, contractor_id: int) -> Contractor:
    """The contractor. Raises NotFound."""
    row = (await tx.execute(select(contractors).where(contractors.c.id == contractor_id))).one_or_none()
    if row is None or not scope.allows(row.id):
        raise not_found(f"contractor {show_key('K', contractor_id)}")
    return _contractor(row)


async def rename(tx: Tx, by: By, contractor_id: int, name: str) -> Contractor:
    """Another name of the same contractor, as its filed change says (SMF-6). Raises BadInput, NotFound."""
    before = await get(tx, Scope.everything(), contractor_id)
    after = required_name(name, "facts.name")
    await tx.execute(
        update(contractors).where(contractors.c.id == contractor_id).values(name=after, version=before.version + 1)
    )
    audit.record(
        tx,
        by,
        "contractor.rename",
        before.key,
        contractor_id=contractor_id,
        before={"name": before.name},
        after={"name": after},
    )
    return await get(tx, Scope.everything(), contractor_id)


async def page(tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, text: str | None = None) -> list[Contractor]:
    """Contractors with a number above `after`, in its order; `text` stands in the name, whatever the case."""
    query = select(contractors).where(contractors.c.id > after).order_by(contractors.c.id).limit(limit)
    if scope.contractor_id is not None:
        query = query.where(contractors.c.id == scope.contractor_id)
    if text:
        query = query.where(contractors.c.name.icontains(text, autoescape=True))
    return [_contractor(row) for row in await tx.execute(query)]


def required_name(name: str, field: str) -> str:
    """The trimmed name. Raises BadInput if nothing is left, or more than 200 characters."""
    trimmed = name.strip()
    if not 0 < len(trimmed) <= NAME_AT_MOST:
        raise BadInput(
            f"a name has 1 to {NAME_AT_MOST} characters", field=field, next_step="Give a name that people know it by."
        )
    return trimmed


def _contractor(row: AnyRow) -> Contractor:
    return Contractor(row.id, row.name, row.created_ms, row.version)
