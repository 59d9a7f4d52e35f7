"""`/entries` and `/standbys`: places, who sits there, and the moves between them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, IfMatchOrAny, tag
from controller.api.schemas import (
    NO_NUL,
    AdapterMove,
    EntryChange,
    EntryKey,
    EntryView,
    ManagementKey,
    PlacementView,
    Promotion,
    StandbyKey,
    StandbyMove,
    StandbyView,
)
from controller.api.state import acting, daemon_of, number
from controller.store import adapters, entries, occupancy, slots, slotunits
from controller.store.database import Tx
from controller.store.scope import Scope
from controller.store.seats import SlotRef
from inventory.adapters import SerialNumber

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]
InManagement = ManagementKey | None


@router.get("/entries", tags=["entries"])
async def list_entries(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    management: InManagement = None,
    occupied: bool | None = None,
    text: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
) -> Page[EntryView]:
    """Open entries in the order of their numbers."""
    owner = None if management is None else number(management, "M", "management")
    async with daemon_of(request).db.read() as tx:
        found = await entries.page(
            tx,
            caller.scope,
            after=wanted.after,
            limit=wanted.limit + 1,
            management_id=owner,
            occupied=occupied,
            text=text,
        )
        sitting = await occupancy.occupants(tx, "entry", [one.id for one in found])
    views = [EntryView.of(one, sitting.get(one.id)) for one in found]
    return page(views, [one.id for one in found], wanted)


@router.get("/entries/{key}", tags=["entries"])
async def read_entry(key: EntryKey, request: Request, response: Response, caller: Viewer) -> EntryView:
    """One place."""
    async with daemon_of(request).db.read() as tx:
        view = await _entry(tx, caller.scope, number(key, "E"))
    tag(response, view.version)
    return view


@router.patch("/entries/{key}", tags=["entries"])
async def change_entry(
    key: EntryKey, body: EntryChange, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> EntryView:
    """Change name, site or labels of a place."""
    async with daemon_of(request).db.write() as tx:
        await entries.describe(
            tx,
            caller.scope,
            acting(request, caller),
            number(key, "E"),
            name=body.name,
            site=body.site,
            labels=body.labels,
            if_version=seen,
        )
        view = await _entry(tx, caller.scope, number(key, "E"))
    tag(response, view.version)
    return view


@router.post("/entries/{key}/assign", response_model=EntryView, tags=["entries"])
async def assign(key: EntryKey, body: AdapterMove, request: Request, caller: Operator, once: Once) -> Response:
    """Put an unseated adapter into this entry."""

    async def work(tx: Tx) -> EntryView:
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(body.serial_number))
        await slots.assign(tx, caller.scope, acting(request, caller), adapter.id, entry_id=number(key, "E"))
        return await _entry(tx, caller.scope, number(key, "E"))

    return await once.commit(work, status=200)


@router.post("/entries/{key}/promote", response_model=EntryView, tags=["entries"])
async def promote(
    key: EntryKey, body: Promotion, request: Request, caller: Operator, once: Once, seen: IfMatchOrAny
) -> Response:
    """Let a standby take this place: its adapter moves in, the former occupant becomes unseated."""
    daemon = daemon_of(request)

    moved: list[int] = []

    async def work(tx: Tx) -> EntryView:
        done = await slots.promote(
            tx,
            caller.scope,
            acting(request, caller),
            entry_id=number(key, "E"),
            standby_id=number(body.standby, "S", "standby"),
            if_version=seen,
        )
        moved.append(done.placement.adapter_id)
        if done.unseated_adapter_id is not None:
            moved.append(done.unseated_adapter_id)
            await daemon.unseated(tx, done.unseated_adapter_id)
        return await _entry(tx, caller.scope, number(key, "E"))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*moved)
    return answer


@router.get("/entries/{key}/history", tags=["entries"])
async def entry_history(key: EntryKey, request: Request, caller: Viewer) -> list[PlacementView]:
    """Who sat in this place, the oldest first."""
    async with daemon_of(request).db.read() as tx:
        past = await slots.history(tx, caller.scope, slot=SlotRef("entry", number(key, "E")))
        sat = await occupancy.named(tx, {one.adapter_id for one in past})
    return [PlacementView.of(one, sat[one.adapter_id].serial.shown) for one in past]


@router.get("/standbys", tags=["standbys"])
async def list_standbys(
    request: Request, caller: Viewer, wanted: Wanted, management: InManagement = None, occupied: bool | None = None
) -> Page[StandbyView]:
    """Open standbys in the order of their numbers."""
    owner = None if management is None else number(management, "M", "management")
    async with daemon_of(request).db.read() as tx:
        found = await entries.page_standbys(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, management_id=owner, occupied=occupied
        )
        sitting = await occupancy.occupants(tx, "standby", [one.id for one in found])
        own = await slotunits.units(tx, [one.id for one in found])
    views = [StandbyView.of(one, sitting.get(one.id), own.get(one.id)) for one in found]
    return page(views, [one.id for one in found], wanted)


@router.get("/standbys/{key}", tags=["standbys"])
async def read_standby(key: StandbyKey, request: Request, caller: Viewer) -> StandbyView:
    """One standby."""
    async with daemon_of(request).db.read() as tx:
        return await _standby(tx, caller.scope, number(key, "S"))


@router.post("/standbys/{key}/assign", response_model=StandbyView, tags=["standbys"])
async def assign_standby(
    key: StandbyKey, body: StandbyMove, request: Request, caller: Operator, once: Once
) -> Response:
    """Put an unseated adapter into this standby (MPC-3.2: class I only); it may have come with it (MPC-1)."""

    async def work(tx: Tx) -> StandbyView:
        serial, by = SerialNumber.parse(body.serial_number), acting(request, caller)
        if body.with_slot:
            await slotunits.deliver(tx, caller.scope, by, number(key, "S"), serial)
        else:
            adapter = await adapters.by_serial(tx, caller.scope, serial)
            await slots.assign(tx, caller.scope, by, adapter.id, standby_id=number(key, "S"))
        return await _standby(tx, caller.scope, number(key, "S"))

    return await once.commit(work, status=200)


async def _entry(tx: Tx, scope: Scope, entry_id: int) -> EntryView:
    found = await entries.get(tx, scope, entry_id)
    return EntryView.of(found, await slots.occupant(tx, scope, SlotRef("entry", entry_id)))


async def _standby(tx: Tx, scope: Scope, standby_id: int) -> StandbyView:
    found = await entries.get_standby(tx, scope, standby_id)
    own = await slotunits.units(tx, [standby_id])
    return StandbyView.of(found, await slots.occupant(tx, scope, SlotRef("standby", standby_id)), own.get(standby_id))
