"""`/adapters`: registration by serial number, checklist, moves, life, explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from controller import explaining
from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, IfMatchOrAny, tag
from controller.api.schemas import (
    NO_NUL,
    AdapterView,
    ChecklistView,
    ContractorKey,
    EndpointView,
    ExplanationView,
    HopView,
    ManagementKey,
    NewAdapter,
    NewEndpoint,
    NewPlace,
    PlacementView,
    RestView,
    Tick,
)
from controller.api.state import acting, daemon_of, number
from controller.store import adapters, checklist, endpoints, occupancy, slots, ssh
from controller.store.database import Tx
from controller.store.rows import require_version
from controller.store.scope import By, Scope
from drivers.devices import model_key
from drivers.sessions.contract import Endpoint, Hop, Rest
from inventory import onboarding
from inventory.adapters import Adapter, Life, LifeEvent, SerialNumber
from inventory.catalogue import Service
from inventory.errors import BadInput, NotFound
from inventory.secrets import Secret

if TYPE_CHECKING:
    from controller.main import Daemon

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]
SerialPath = Annotated[str, Path(max_length=200, description="Serial number, in any spelling.")]


@router.post("/adapters", status_code=201, response_model=AdapterView, tags=["adapters"])
async def register(body: NewAdapter, request: Request, caller: Operator, once: Once) -> Response:
    """Register an adapter by its serial number, for ever (SMF-1), and seat it if a place is given.

    An ARMS adapter gets its keys now: `ls_key` is in this answer and never again.
    """
    daemon = daemon_of(request)

    async def work(tx: Tx) -> AdapterView:
        by = acting(request, caller)
        made = await adapters.register(
            tx,
            caller.scope,
            by,
            serial=body.serial_number,
            contractor_id=number(body.contractor, "K", "contractor"),
            service=body.service,
            device_class=body.device_class,
            model=model_key(body.model),
            hardware=body.hardware,
            path=body.path,
            distribution_id=body.distribution_id,
            rented=body.rented,
            endpoint=None if body.endpoint is None else endpoint_of(body.endpoint),
            keyring=daemon.keyring,
            doubtful_paths=daemon.settings.sessions.sa_over_ssh,
        )
        ls_key = await daemon.provision(tx, made) if made.path == "arms" else None
        place = await _seat(tx, caller.scope, by, made, body.place) if body.place else None
        return AdapterView.of(made, place, None if ls_key is None else ls_key.reveal())

    answer = await once.commit(work)
    daemon.phonehome.provisioned()
    return answer


@router.get("/adapters", tags=["adapters"])
async def list_adapters(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    service: Service | None = None,
    model: Annotated[str | None, Query(max_length=100)] = None,
    life: Life | None = None,
    path: Literal["arms", "ssh"] | None = None,
    contractor: ContractorKey | None = None,
    management: ManagementKey | None = None,
    seated: bool | None = None,
    refused: Annotated[bool | None, Query(description="Has refused the credential on record (SSH).")] = None,
    text: Annotated[str | None, Query(max_length=100, pattern=NO_NUL, description="Part of a serial number.")] = None,
) -> Page[AdapterView]:
    """Adapters in the order of their registration; every filter given must hold."""
    async with daemon_of(request).db.read() as tx:
        found = await adapters.page(
            tx,
            caller.scope,
            after=wanted.after,
            limit=wanted.limit + 1,
            service=service,
            model=None if model is None else model_key(model),
            life=life,
            path=path,
            contractor_id=None if contractor is None else number(contractor, "K", "contractor"),
            management_id=None if management is None else number(management, "M", "management"),
            seated=seated,
            refused=refused,
            text=text,
        )
        seats = await occupancy.seats(tx, [one.id for one in found])
    views = [AdapterView.of(one, seats[one.id].slot_key if one.id in seats else None) for one in found]
    return page(views, [one.id for one in found], wanted)


@router.get("/adapters/{serial}", tags=["adapters"])
async def read_adapter(serial: SerialPath, request: Request, response: Response, caller: Viewer) -> AdapterView:
    """One adapter."""
    async with daemon_of(request).db.read() as tx:
        view = await _view(tx, caller.scope, await _find(tx, caller.scope, serial))
    tag(response, view.version)
    return view


@router.get("/adapters/{serial}/explain", tags=["adapters"])
async def explain_adapter(serial: SerialPath, request: Request, caller: Viewer) -> ExplanationView:
    """Why it is as it is, and what to do next."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        (told,) = await explaining.adapters(tx, daemon, [await _find(tx, caller.scope, serial)])
    return ExplanationView.of(told)


@router.get("/adapters/{serial}/history", tags=["adapters"])
async def adapter_history(serial: SerialPath, request: Request, caller: Viewer) -> list[PlacementView]:
    """Where it sat, the oldest first."""
    async with daemon_of(request).db.read() as tx:
        found = await _find(tx, caller.scope, serial)
        past = await slots.history(tx, caller.scope, adapter_id=found.id)
    return [PlacementView.of(one, found.serial.shown) for one in past]


@router.post("/adapters/{serial}/release", response_model=AdapterView, tags=["adapters"])
async def release(serial: SerialPath, request: Request, caller: Operator, once: Once) -> Response:
    """Take it out of its slot; it is unseated then and gets no config."""
    daemon = daemon_of(request)
    moved: list[int] = []

    async def work(tx: Tx) -> AdapterView:
        found = await _find(tx, caller.scope, serial)
        await slots.release(tx, caller.scope, acting(request, caller), found.id)
        await daemon.unseated(tx, found.id)
        moved.append(found.id)
        return await _view(tx, caller.scope, await _find(tx, caller.scope, serial))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*moved)
    return answer


@router.post("/adapters/{serial}/identify", response_model=ExplanationView, tags=["adapters"])
async def identify(serial: SerialPath, request: Request, caller: Operator, once: Once) -> Response:
    """Connect over SSH, prove serial number and host key; the first contact puts the adapter in service."""
    daemon = daemon_of(request)

    async def work() -> ExplanationView:
        async with daemon.db.read() as tx:
            found = await _find(tx, caller.scope, serial)
        await daemon.identifier.identify(caller.scope, found, caller.actor)
        async with daemon.db.read() as tx:
            (told,) = await explaining.adapters(tx, daemon, [await _find(tx, caller.scope, serial)])
        return ExplanationView.of(told)

    return await once.carry_out(work, status=200)


@router.post("/adapters/{serial}/clear-quarantine", response_model=ExplanationView, tags=["adapters"])
async def clear_quarantine(serial: SerialPath, request: Request, caller: Operator, once: Once) -> Response:
    """An operator has looked: the adapter may prove itself again."""
    daemon = daemon_of(request)

    async def work() -> ExplanationView:
        async with daemon.db.read() as tx:
            found = await _find(tx, caller.scope, serial)
        await daemon.clear_quarantine(found, acting(request, caller))
        async with daemon.db.read() as tx:
            (told,) = await explaining.adapters(tx, daemon, [await _find(tx, caller.scope, serial)])
        return ExplanationView.of(told)

    return await once.carry_out(work, status=200)


@router.post("/adapters/{serial}/forget-host-key", response_model=EndpointView, tags=["adapters"])
async def forget_host_key(serial: SerialPath, request: Request, caller: Operator, once: Once) -> Response:
    """An operator's word that the unit may show a new host key; the next contact pins it."""
    daemon = daemon_of(request)

    async def work(tx: Tx) -> EndpointView:
        found = await _find(tx, caller.scope, serial)
        await endpoints.forget_host_key(tx, caller.scope, acting(request, caller), found.id)
        return await _endpoint(tx, daemon, caller.scope, found)

    return await once.commit(work, status=200)


@router.post("/adapters/{serial}/life/{event}", response_model=AdapterView, tags=["adapters"])
async def live(
    serial: SerialPath, event: LifeEvent, request: Request, caller: Operator, once: Once, seen: IfMatchOrAny
) -> Response:
    """Let an event happen to it: a failure reported, a loss, a return (service-terms §8)."""
    daemon = daemon_of(request)
    touched: list[int] = []

    async def work(tx: Tx) -> AdapterView:
        found = await _find(tx, caller.scope, serial)
        await adapters.set_life(tx, caller.scope, acting(request, caller), found.id, event, if_version=seen)
        touched.append(found.id)
        return await _view(tx, caller.scope, await _find(tx, caller.scope, serial))

    answer = await once.commit(work, status=200)
    await daemon.places_changed(*touched)
    return answer


@router.get("/adapters/{serial}/checklist", tags=["adapters"])
async def read_checklist(serial: SerialPath, request: Request, caller: Viewer) -> ChecklistView:
    """What the customer has provided, and what is missing (MPC-7.1, SMF-8.1)."""
    async with daemon_of(request).db.read() as tx:
        return await _checklist(tx, caller.scope, await _find(tx, caller.scope, serial))


@router.put("/adapters/{serial}/checklist/{item}", tags=["adapters"])
async def tick(serial: SerialPath, item: str, body: Tick, request: Request, caller: Operator) -> ChecklistView:
    """Tick an item off; ticking twice changes nothing. The last one makes a delivered adapter installed."""
    async with daemon_of(request).db.write() as tx:
        found = await _find(tx, caller.scope, serial)
        await checklist.tick(tx, caller.scope, acting(request, caller), found.id, item, note=body.note)
        return await _checklist(tx, caller.scope, found)


@router.get("/adapters/{serial}/endpoint", tags=["adapters"])
async def read_endpoint(serial: SerialPath, request: Request, response: Response, caller: Viewer) -> EndpointView:
    """Where it is reached; credentials are never shown."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await _find(tx, caller.scope, serial)
        view = await _endpoint(tx, daemon, caller.scope, found)
    tag(response, found.version)
    return view


@router.put("/adapters/{serial}/endpoint", tags=["adapters"])
async def change_endpoint(
    serial: SerialPath, body: NewEndpoint, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> EndpointView:
    """Change address or credential; a pinned host key stays unless a new one is given."""
    daemon = daemon_of(request)
    async with daemon.db.write() as tx:
        found = await _find(tx, caller.scope, serial)
        require_version(found.serial.shown, found.version, seen)
        await endpoints.put(
            tx, caller.scope, acting(request, caller), found.id, endpoint=endpoint_of(body), keyring=daemon.keyring
        )
        await ssh.endpoint_changed(tx, found.id, daemon.clock.now_ms())
        view = await _endpoint(tx, daemon, caller.scope, found)
        changed = await _find(tx, caller.scope, serial)
    daemon.identifier.wanted(found.id)
    tag(response, changed.version)
    return view


def endpoint_of(body: NewEndpoint) -> Endpoint:
    """The value of a body; credentials become secrets here."""
    return Endpoint(
        host=body.host,
        port=body.port,
        username=body.username,
        password=Secret(body.password),
        enable_password=None if body.enable_password is None else Secret(body.enable_password),
        host_key=body.host_key,
        profile=body.profile,
        transport=body.transport,
        jump=tuple(
            Hop(hop.host, hop.port, hop.username, Secret(hop.password), hop.host_key, hop.profile) for hop in body.jump
        ),
        rest=None if body.rest is None else Rest(Secret(body.rest.token), body.rest.port, body.rest.certificate),
        aaa_domain=body.aaa_domain or "",
    )


async def _find(tx: Tx, scope: Scope, serial: str) -> Adapter:
    return await adapters.by_serial(tx, scope, SerialNumber.parse(serial))


async def _view(tx: Tx, scope: Scope, adapter: Adapter) -> AdapterView:
    place = await slots.place_of(tx, scope, adapter.id)
    return AdapterView.of(adapter, place.slot_key if place else None)


async def _checklist(tx: Tx, scope: Scope, adapter: Adapter) -> ChecklistView:
    provided = {one.item for one in await checklist.ticks(tx, scope, adapter.id)}
    return ChecklistView(provided=sorted(provided), missing=list(onboarding.missing(adapter.device_class, provided)))


async def _seat(tx: Tx, scope: Scope, by: By, adapter: Adapter, wanted: NewPlace) -> str:
    """Seat the new adapter where the body says; exactly one of management, entry, standby."""
    named = [name for name in ("management", "entry", "standby") if getattr(wanted, name) is not None]
    if len(named) != 1:
        raise BadInput(
            "place names exactly one of management, entry, standby",
            field="place",
            next_step="Name a management for any free slot of it, or one entry or standby.",
        )
    seat = await slots.assign(
        tx,
        scope,
        by,
        adapter.id,
        management_id=None if wanted.management is None else number(wanted.management, "M", "place.management"),
        entry_id=None if wanted.entry is None else number(wanted.entry, "E", "place.entry"),
        standby_id=None if wanted.standby is None else number(wanted.standby, "S", "place.standby"),
        kind=wanted.slot,
    )
    return seat.slot_key


async def _endpoint(tx: Tx, daemon: Daemon, scope: Scope, adapter: Adapter) -> EndpointView:
    known = await endpoints.get(tx, scope, daemon.keyring, adapter.id)
    if known is None:
        raise NotFound(f"{adapter.serial} has no endpoint: it phones home", next_step="See its contact in explain.")
    return EndpointView(
        host=known.host,
        port=known.port,
        username=known.username,
        host_key=known.host_key,
        profile=known.profile,
        transport=known.transport,
        jump=[
            HopView(host=hop.host, port=hop.port, username=hop.username, host_key=hop.host_key, profile=hop.profile)
            for hop in known.jump
        ],
        rest=None if known.rest is None else RestView(port=known.rest.port, certificate=known.rest.certificate),
        aaa_domain=known.aaa_domain or None,
    )
