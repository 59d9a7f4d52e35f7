"""`/claims`, boots, and shutting an adapter out: what an operator sees and says of phone-home."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Operator, Viewer
from controller.api.boots import BootView
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, Name, instant
from controller.api.state import acting, daemon_of
from controller.store import adapters, audit, boots, events, identities, phonehome
from controller.store.database import Tx
from controller.store.events import NewEvent
from inventory.adapters import Adapter, SerialNumber
from inventory.boots import Boot
from inventory.contacts import ContactRecord
from inventory.errors import Conflict

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]


class ClaimView(BaseModel):
    """Somebody asked who was not let in: an unknown id, a wrong key, a broken message."""

    id: int
    claimed: str = Field(description="The distribution id in the message; empty when there was none to read.")
    source: str
    reason: str
    first_at: datetime
    last_at: datetime
    count: int


class ContactView(BaseModel):
    """How an adapter stands with phone-home."""

    serial_number: str
    stage: str
    stage_at: datetime | None
    last_seen_at: datetime | None
    last_heartbeat_at: datetime | None
    tunnel_open: bool
    push_endpoint: str | None
    node: str | None = Field(description="The node that has its tunnel or dials it; none: not known yet.")
    source: str | None
    proven_serial: str | None
    refusal: str | None
    quarantine: str | None
    firmware: str | None
    ls_asked_at: datetime | None = Field(description="When it asked the Location Server since its last pull.")
    rs_asked_at: datetime | None = Field(description="When it asked for its config since it last got one.")
    boots: list[BootView]


class ShutOut(Body):
    """Why the adapter is shut out."""

    reason: Name


@router.get("/claims", tags=["claims"])
async def list_claims(request: Request, _caller: Operator, wanted: Wanted) -> Page[ClaimView]:
    """Claims in the order in which they first came. They belong to nobody, so contractors do not see them."""
    async with daemon_of(request).db.read() as tx:
        found = await phonehome.claims(tx, after=wanted.after, limit=wanted.limit + 1)
    views = [
        ClaimView(
            id=one.id,
            claimed=one.claimed,
            source=one.source,
            reason=one.reason,
            first_at=instant(one.first_ms),
            last_at=instant(one.last_ms),
            count=one.count,
        )
        for one in found
    ]
    return page(views, [one.id for one in found], wanted)


@router.get("/adapters/{serial}/contact", tags=["adapters"])
async def read_contact(serial: str, request: Request, caller: Viewer) -> ContactView:
    """Its last contact and its latest boots, newest first."""
    async with daemon_of(request).db.read() as tx:
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        found = await phonehome.contact(tx, caller.scope, adapter.id)
        latest = await boots.page(tx, adapter.id)
    return _view(adapter, found, latest)


@router.post("/adapters/{serial}/shut-out", response_model=ContactView, tags=["adapters"])
async def shut_out(serial: str, body: ShutOut, request: Request, caller: Operator, once: Once) -> Response:
    """Shut an adapter out: LS and RS answer 501, which stops it for good until it is powered again."""
    return await _shut(serial, body.reason, request, caller, once)


@router.post("/adapters/{serial}/admit", response_model=ContactView, tags=["adapters"])
async def admit(serial: str, request: Request, caller: Operator, once: Once) -> Response:
    """Let a shut-out adapter in again."""
    return await _shut(serial, None, request, caller, once)


async def _shut(serial: str, reason: str | None, request: Request, caller: Operator, once: Once) -> Response:
    daemon = daemon_of(request)
    touched: list[int] = []

    async def work(tx: Tx) -> ContactView:
        by = acting(request, caller)
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        _require_arms(adapter)
        await identities.shut_out(tx, adapter.id, reason)
        verb = "adapter.admit" if reason is None else "adapter.shut-out"
        await events.record(tx, NewEvent(verb, by.at_ms, adapter_id=adapter.id, facts={"reason": reason}))
        audit.record(tx, by, verb, adapter.serial.shown, contractor_id=adapter.contractor_id, after={"reason": reason})
        touched.append(adapter.id)
        found = await phonehome.contact(tx, caller.scope, adapter.id)
        return _view(adapter, found, await boots.page(tx, adapter.id))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*touched)
    return answer


def _require_arms(adapter: Adapter) -> None:
    if adapter.path != "arms":
        raise Conflict(f"{adapter.serial} does not phone home", next_step="See its endpoint instead.")


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else instant(at_ms)


def _view(adapter: Adapter, found: ContactRecord, latest: Sequence[Boot]) -> ContactView:
    return ContactView(
        serial_number=adapter.serial.shown,
        stage=found.stage.value,
        stage_at=_at(found.stage_ms),
        last_seen_at=_at(found.last_seen_ms),
        last_heartbeat_at=_at(found.last_heartbeat_ms),
        tunnel_open=found.tunnel_open,
        push_endpoint=found.push_endpoint,
        node=found.node,
        source=found.source,
        proven_serial=found.proven_serial,
        refusal=found.refusal,
        quarantine=found.quarantine,
        firmware=found.firmware,
        ls_asked_at=_at(found.ls_ms),
        rs_asked_at=_at(found.asked_ms),
        boots=[BootView.of(one) for one in latest],
    )
