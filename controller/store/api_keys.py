"""API keys: shown once, kept as an HMAC; the first is made at the first start (architecture §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Select, func, insert, select, text, update

from controller.keyring import Keyring, new_key
from controller.store import audit, contractors
from controller.store import records as companies
from controller.store.contractors import required_name
from controller.store.database import Tx
from controller.store.rows import not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.contracts import companies as company_rows
from controller.store.tables.system import api_keys
from inventory import people
from inventory.errors import BadInput, Conflict
from inventory.secrets import Secret

RoleName = Literal["admin", "operator", "billing", "viewer", "contractor"]
FIRST_NAME: Final = "first admin key"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed; the key itself is nowhere."""

    id: int
    name: str
    role: RoleName
    contractor_id: int | None
    """Whose rows it sees; None: everybody's."""
    created_ms: int
    revoked_ms: int | None
    company_id: int | None = None
    company: str | None = None
    """Named company that the person works for, when work is delegated (SMF-18)."""

    @property
    def actor(self) -> str:
        """What the audit shows: number, name, and the company of a delegate."""
        return people.actor(self.id, self.name, self.company)


async def first_key(tx: Tx, keyring: Keyring, by: By) -> Secret | None:
    """The first admin key, made if no key was ever made; None otherwise, also to the slower of two nodes."""
    if tx.dialect.name == "postgresql":
        await tx.execute(text("LOCK TABLE api_keys IN EXCLUSIVE MODE"))
    if await tx.scalar(select(func.count()).select_from(api_keys)):
        return None
    _, secret = await create(tx, keyring, by, name=FIRST_NAME, role="admin")
    return secret


async def create(
    tx: Tx,
    keyring: Keyring,
    by: By,
    *,
    name: str,
    role: RoleName,
    contractor_id: int | None = None,
    company_id: int | None = None,
) -> tuple[ApiKey, Secret]:
    """A new key, and its secret to be shown once. `company_id`: whom its holder works for, if not for the provider.

    Raises BadInput without a name, and for a key of a contractor that names none or one of the provider that names
    one; NotFound; RuleViolation for a company that work is delegated to no more (SMF-18).
    """
    secret = new_key()
    name = required_name(name, "name")
    if (role == "contractor") != (contractor_id is not None):
        raise BadInput(
            "a key of the role contractor, and no other, belongs to a contractor",
            field="contractor",
            next_step="Name the contractor with that role, or leave it out.",
        )
    if contractor_id is not None:
        await contractors.get(tx, Scope.everything(), contractor_id)
    if company_id is not None:
        company = await companies.company(tx, company_id)
        people.require_delegation(company.name, ended=company.ended_ms is not None)
    number = await tx.scalar(
        insert(api_keys)
        .values(
            digest=keyring.digest(secret),
            name=name,
            role=role,
            contractor_id=contractor_id,
            company_id=company_id,
            created_ms=by.at_ms,
        )
        .returning(api_keys.c.id)
    )
    assert number is not None
    audit.record(
        tx, by, "api-key.create", f"api key {number}", after={"name": name, "role": role, "contractor": contractor_id}
    )
    return await get(tx, number), secret


async def find(tx: Tx, keyring: Keyring, secret: Secret) -> ApiKey | None:
    """The valid key with this secret; None if there is none or it was revoked. One HMAC, one index look-up."""
    row = (
        await tx.execute(_keys().where(api_keys.c.digest == keyring.digest(secret), api_keys.c.revoked_ms.is_(None)))
    ).one_or_none()
    return None if row is None else _key(row)


async def get(tx: Tx, key_id: int) -> ApiKey:
    """The key with this number, also when revoked. Raises NotFound."""
    row = (await tx.execute(_keys().where(api_keys.c.id == key_id))).one_or_none()
    if row is None:
        raise not_found(f"API key {key_id}")
    return _key(row)


async def page(tx: Tx, *, after: int = 0, limit: int = 100) -> list[ApiKey]:
    """Keys with a number above `after`, in its order, revoked ones included. For the provider's admins."""
    rows = await tx.execute(_keys().where(api_keys.c.id > after).order_by(api_keys.c.id).limit(limit))
    return [_key(row) for row in rows]


async def revoke(tx: Tx, by: By, key_id: int) -> ApiKey:
    """End a key for ever; ending it twice changes nothing.

    Raises Conflict for the last valid admin key, which would lock everybody out, NotFound.
    """
    key = await get(tx, key_id)
    if key.revoked_ms is not None:
        return key
    valid_admins = select(api_keys.c.id).where(api_keys.c.role == "admin", api_keys.c.revoked_ms.is_(None))
    others = await tx.scalars(valid_admins.with_for_update())
    if key.role == "admin" and not [other for other in others if other != key_id]:
        raise Conflict("this is the last admin key", next_step="Make another admin key first.")
    await tx.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_ms=by.at_ms))
    audit.record(tx, by, "api-key.revoke", f"api key {key_id}", before={"name": key.name, "role": key.role})
    return await get(tx, key_id)


def _keys() -> Select[Any]:
    return select(api_keys, company_rows.c.name.label("company")).outerjoin(
        company_rows, company_rows.c.id == api_keys.c.company_id
    )


def _key(row: AnyRow) -> ApiKey:
    return ApiKey(
        row.id, row.name, row.role, row.contractor_id, row.created_ms, row.revoked_ms, row.company_id, row.company
    )
