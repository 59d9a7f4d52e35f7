"""Who calls, and what the role allows. An API key is shown once, kept as an HMAC, sent as `Authorization: Bearer`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from controller.api.state import daemon_of
from controller.store import api_keys
from controller.store.scope import Scope
from inventory.errors import NotAllowed, Unauthenticated
from inventory.secrets import Secret

if TYPE_CHECKING:
    from controller.main import Daemon


class Role(IntEnum):
    """Each of viewer, operator and admin may do all that those before it may (architecture §7).

    Billing reads like a viewer and edits contracts and money; a contractor reads its own, whatever is asked for.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3
    BILLING = 4
    CONTRACTOR = 5

    @property
    def power(self) -> int:
        """What it may do to the fleet."""
        return Role.VIEWER.value if self in {Role.BILLING, Role.CONTRACTOR} else self.value


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `actor` is what the audit shows; `key_id` separates callers' idempotency keys."""

    key_id: int
    actor: str
    role: Role
    scope: Scope


bearer = HTTPBearer(auto_error=False, description="An API key; the first one is in `admin.key` of the data directory.")


async def caller_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    """The caller of this request. Raises Unauthenticated without a valid key."""
    if credentials is None:
        raise Unauthenticated(
            "this request carries no API key", next_step="Send Authorization: Bearer with a key of /api/v1/api-keys."
        )
    return await caller_with(daemon_of(request), Secret(credentials.credentials))


async def caller_with(daemon: Daemon, secret: Secret) -> Caller:
    """The caller who holds this API key. Raises Unauthenticated if it is not valid."""
    async with daemon.db.read() as tx:
        key = await api_keys.find(tx, daemon.keyring, secret)
    if key is None:
        raise Unauthenticated(
            "this API key is not valid", next_step="Ask an admin for a key; a revoked one stays dead."
        )
    scope = Scope.everything() if key.contractor_id is None else Scope.of(key.contractor_id)
    return Caller(key_id=key.id, actor=key.actor, role=Role[key.role.upper()], scope=scope)


def require(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """Dependency: a caller with at least this role. Raises NotAllowed."""

    async def allowed(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if caller.role.power < role.power:
            raise NotAllowed(
                f"this needs the role {role.name.lower()}, the key has {caller.role.name.lower()}",
                next_step=f"Use a key with the role {role.name.lower()} or above.",
            )
        return caller

    return allowed


async def billing(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    """Dependency: a caller who edits contracts and money. Raises NotAllowed."""
    if caller.role not in {Role.BILLING, Role.ADMIN}:
        raise NotAllowed(
            f"this needs the role billing, the key has {caller.role.name.lower()}",
            next_step="Use a key with the role billing or admin.",
        )
    return caller


Viewer = Annotated[Caller, Depends(require(Role.VIEWER))]
Operator = Annotated[Caller, Depends(require(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(require(Role.ADMIN))]
Billing = Annotated[Caller, Depends(billing)]
