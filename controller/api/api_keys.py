"""`/api-keys`: made, listed and revoked by admins; a key is shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from controller.api.auth import Admin
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import ApiKeyView, NewApiKey, instant
from controller.api.state import acting, daemon_of, number
from controller.store import api_keys
from controller.store.api_keys import ApiKey
from controller.store.database import Tx
from inventory.errors import Conflict
from inventory.slots import show_key

router = APIRouter(tags=["api-keys"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.post("/api-keys", status_code=201, response_model=ApiKeyView)
async def create_api_key(body: NewApiKey, request: Request, caller: Admin, once: Once) -> Response:
    """Make a key. `key` is in this answer and never again."""
    daemon = daemon_of(request)

    async def work(tx: Tx) -> ApiKeyView:
        made, secret = await api_keys.create(
            tx,
            daemon.keyring,
            acting(request, caller),
            name=body.name,
            role=body.role,
            contractor_id=None if body.contractor is None else number(body.contractor, "K", "contractor"),
            company_id=body.company,
        )
        return _view(made, secret.reveal())

    return await once.commit(work)


@router.get("/api-keys")
async def list_api_keys(
    request: Request, _caller: Admin, wanted: Annotated[Window, Depends(window)]
) -> Page[ApiKeyView]:
    """Keys in the order of their numbers, the revoked ones included."""
    async with daemon_of(request).db.read() as tx:
        found = await api_keys.page(tx, after=wanted.after, limit=wanted.limit + 1)
    return page([_view(one) for one in found], [one.id for one in found], wanted)


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_api_key(key_id: Number, request: Request, caller: Admin) -> None:
    """Revoke a key for ever; it is refused from the next request on. A key does not revoke itself."""
    if key_id == caller.key_id:
        raise Conflict("a key does not revoke itself", next_step="Revoke it with another admin key.")
    async with daemon_of(request).db.write() as tx:
        await api_keys.revoke(tx, acting(request, caller), key_id)


def _view(one: ApiKey, key: str | None = None) -> ApiKeyView:
    return ApiKeyView(
        id=one.id,
        name=one.name,
        role=one.role,
        contractor=None if one.contractor_id is None else show_key("K", one.contractor_id),
        company=one.company,
        created_at=instant(one.created_ms),
        revoked_at=None if one.revoked_ms is None else instant(one.revoked_ms),
        key=key,
    )
