"""`/contractors` and `/managements`: who holds contracts, and how many slots they have."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from controller.api.auth import Admin, Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import (
    NO_NUL,
    ContractorKey,
    ContractorView,
    Counts,
    ManagementKey,
    ManagementView,
    NewContractor,
    NewManagement,
    Suspension,
)
from controller.api.state import acting, daemon_of, number
from controller.store import contractday, contractors, contracts, contractsteps, counts, managements
from controller.store.database import Tx
from inventory.calendar import parse_day, tokyo_day
from inventory.contractevents import Resume, Suspend

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]


@router.post("/contractors", status_code=201, response_model=ContractorView, tags=["contractors"])
async def create_contractor(body: NewContractor, request: Request, caller: Admin, once: Once) -> Response:
    """Record a contractor."""

    async def work(tx: Tx) -> ContractorView:
        made = await contractors.create(tx, caller.scope, acting(request, caller), name=body.name)
        return ContractorView.of(made)

    return await once.commit(work)


@router.get("/contractors", tags=["contractors"])
async def list_contractors(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    text: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Part of the name.")] = None,
) -> Page[ContractorView]:
    """Contractors in the order of their numbers."""
    async with daemon_of(request).db.read() as tx:
        found = await contractors.page(tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, text=text)
    return page([ContractorView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/contractors/{key}", tags=["contractors"])
async def read_contractor(key: ContractorKey, request: Request, response: Response, caller: Viewer) -> ContractorView:
    """One contractor."""
    async with daemon_of(request).db.read() as tx:
        found = await contractors.get(tx, caller.scope, number(key, "K"))
    tag(response, found.version)
    return ContractorView.of(found)


@router.post("/managements", status_code=201, response_model=ManagementView, tags=["managements"])
async def create_management(body: NewManagement, request: Request, caller: Operator, once: Once) -> Response:
    """Open a management with its entries and standbys (MPC-4, SMF-4.1)."""

    async def work(tx: Tx) -> ManagementView:
        made = await counts.create_management(
            tx,
            caller.scope,
            acting(request, caller),
            contractor_id=number(body.contractor, "K", "contractor"),
            service=body.service,
            classes=body.classes,
            name=body.name,
            entry_count=body.entry_count,
            standby_count=body.standby_count,
        )
        return ManagementView.of(made)

    return await once.commit(work)


@router.get("/managements", tags=["managements"])
async def list_managements(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    contractor: ContractorKey | None = None,
) -> Page[ManagementView]:
    """Managements in the order of their numbers."""
    owner = None if contractor is None else number(contractor, "K", "contractor")
    async with daemon_of(request).db.read() as tx:
        found = await managements.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, contractor_id=owner
        )
    return page([ManagementView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/managements/{key}", tags=["managements"])
async def read_management(key: ManagementKey, request: Request, response: Response, caller: Viewer) -> ManagementView:
    """One management."""
    async with daemon_of(request).db.read() as tx:
        found = await managements.get(tx, caller.scope, number(key, "M"))
    tag(response, found.version)
    return ManagementView.of(found)


@router.put("/managements/{key}/counts", tags=["managements"])
async def change_counts(
    key: ManagementKey, body: Counts, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> ManagementView:
    """Change the number of entries or standbys, not below the slots in use (MPC-8, SMF-5.1)."""
    valid_from = _day(body.valid_from, "valid_from")
    async with daemon_of(request).db.write() as tx:
        held = await managements.get(tx, caller.scope, number(key, "M"))
        await contractsteps.change_counts(tx, acting(request, caller), held.id, valid_from)
        changed = await counts.change_counts(
            tx,
            caller.scope,
            acting(request, caller),
            held.id,
            entry_count=body.entry_count,
            standby_count=body.standby_count,
            valid_from=valid_from,
            if_version=seen,
        )
    tag(response, changed.version)
    return ManagementView.of(changed)


@router.post("/managements/{key}/suspend", response_model=ManagementView, tags=["managements"])
async def suspend(key: ManagementKey, body: Suspension, request: Request, caller: Admin, once: Once) -> Response:
    """Suspend a management (SMF-21), and its contract line if it has one: its data stay, its adapters wait."""
    daemon, by = daemon_of(request), acting(request, caller)
    until, notified = _day(body.until, "until"), _day(body.notified, "notified")
    event = Suspend(tokyo_day(by.at_ms), body.ground, until, notified, body.emergency)
    touched: set[int] = set()

    async def work(tx: Tx) -> ManagementView:
        held = await managements.get(tx, caller.scope, number(key, "M"))
        touched.update(await contractday.seated(tx, held.id))
        line = await contracts.line_of_management(tx, held.id)
        if line is None:
            await managements.suspend(tx, caller.scope, by, held.id, ground=body.ground, until=until)
        else:
            await contractsteps.record(tx, caller.scope, daemon.keyring, by, line.id, event)
        return ManagementView.of(await managements.get(tx, caller.scope, held.id))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*sorted(touched))
    return answer


@router.post("/managements/{key}/resume", response_model=ManagementView, tags=["managements"])
async def resume(key: ManagementKey, request: Request, caller: Admin, once: Once) -> Response:
    """End a suspension, of the contract line too."""
    daemon, by = daemon_of(request), acting(request, caller)

    async def work(tx: Tx) -> ManagementView:
        held = await managements.get(tx, caller.scope, number(key, "M"))
        line = await contracts.line_of_management(tx, held.id)
        if line is None:
            await managements.resume(tx, caller.scope, by, held.id)
        else:
            await contractsteps.record(tx, caller.scope, daemon.keyring, by, line.id, Resume(tokyo_day(by.at_ms)))
        return ManagementView.of(await managements.get(tx, caller.scope, held.id))

    return await once.commit(work, status=200)


def _day(text: str | None, field: str) -> date | None:
    return None if text is None else parse_day(text, field)
