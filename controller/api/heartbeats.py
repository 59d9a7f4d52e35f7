"""`/heartbeats` and what they tell of an adapter: statistics now and lately, and what was refused in its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from controller import vitals
from controller.api.auth import Operator, Viewer
from controller.api.schemas import instant
from controller.api.state import daemon_of
from controller.store import adapters, beats, entries, heartbeats, phonehome
from controller.store.beats import KeptStatistics
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.adapters import Adapter, SerialNumber
from inventory.errors import NotFound
from inventory.vitals import INTERFACE_KINDS, troubles

router = APIRouter()
SerialPath = Annotated[str, Path(max_length=200, description="Serial number, in any spelling.")]


class ReceiverView(BaseModel):
    """What this node's heartbeat receiver has got since it started."""

    since: datetime
    accepted: int
    durable: int
    """Of the accepted ones, those that a crash no longer loses."""
    unsettled: int
    """Durable, and not yet readings and slots."""
    duplicate: int
    """Second copies of an accepted one, counted once."""
    refused: dict[str, int]
    """By reason."""
    dropped_by_the_kernel: int
    """Found the socket's buffer full; 0 where the system does not tell."""


class RefusedView(BaseModel):
    """Heartbeats in an adapter's name that were refused for one reason. The source of UDP proves nothing."""

    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    last_source: str


class AdapterBeatsView(BaseModel):
    """When an adapter was heard last, and what was refused in its name."""

    serial_number: str
    last_heartbeat_at: datetime | None
    source: str | None
    refused: list[RefusedView]


class StatisticView(BaseModel):
    """One statistic as it was sent: percent, bytes, counts since a reset, or rates per second."""

    kind: str
    index: int
    valid: bool
    """False: a percentage above 100, of which nothing is concluded."""
    values: dict[str, int]


class SnapshotView(BaseModel):
    """The statistics of one heartbeat."""

    at: datetime
    statistics: list[StatisticView]


class StatisticsView(BaseModel):
    """What an adapter told of itself: the newest heartbeat, and the last one of each five minutes, newest first."""

    serial_number: str
    latest: SnapshotView | None
    troubles: list[str]
    history: list[SnapshotView]


@router.get("/heartbeats", tags=["heartbeats"])
async def read_receiver(request: Request, _caller: Operator) -> ReceiverView:
    """The heartbeats that came to this node: accepted, durable, counted once, refused by reason."""
    daemon = daemon_of(request)
    receiver = daemon.phonehome.heartbeats
    return ReceiverView(
        since=instant(daemon.started_ms),
        accepted=receiver.counts.accepted,
        durable=receiver.counts.durable,
        unsettled=daemon.metering.unsettled,
        duplicate=receiver.counts.duplicate,
        refused=dict(sorted(receiver.counts.refused.items())),
        dropped_by_the_kernel=receiver.dropped_by_the_kernel(),
    )


@router.get("/adapters/{serial}/heartbeats", tags=["heartbeats"])
async def read_heartbeats(serial: SerialPath, request: Request, caller: Viewer) -> AdapterBeatsView:
    """When it was heard last, and what was refused in its name."""
    async with daemon_of(request).db.read() as tx:
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        contact = await phonehome.contact(tx, caller.scope, adapter.id)
        refused = (await heartbeats.refused(tx, [adapter.id])).get(adapter.id, [])
    heard_ms = contact.last_heartbeat_ms
    return AdapterBeatsView(
        serial_number=adapter.serial.shown,
        last_heartbeat_at=None if heard_ms is None else instant(heard_ms),
        source=contact.source,
        refused=[
            RefusedView(
                reason=one.reason,
                count=one.count,
                first_at=instant(one.first_ms),
                last_at=instant(one.last_ms),
                last_source=one.source,
            )
            for one in refused
        ],
    )


@router.get("/adapters/{serial}/statistics", tags=["heartbeats"])
async def read_statistics(serial: SerialPath, request: Request, caller: Viewer) -> StatisticsView:
    """Processor, memory, disk, interfaces and radio, as its heartbeats told them in the last two hours."""
    daemon = daemon_of(request)
    since_ms = daemon.clock.now_ms() - beats.PERIODS * beats.PERIOD_MS
    async with daemon.db.read() as tx:
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        async with daemon.traffic.read() as traffic_tx:
            kept = await beats.statistics(traffic_tx, adapter.id, since_ms)
        places = await _visible(tx, caller.scope, kept)
    seen = [one for one in kept if _may_see(caller.scope, adapter, one, places)]
    shown = [_snapshot(one, one.entry_id in places) for one in seen]
    found = troubles(vitals.of(seen[0])) if seen else ()
    return StatisticsView(
        serial_number=adapter.serial.shown, latest=shown[0] if shown else None, troubles=list(found), history=shown
    )


async def _visible(tx: Tx, scope: Scope, kept: Sequence[KeptStatistics]) -> set[int | None]:
    """Entries whose traffic the caller may see; traffic belongs to the place (architecture §3a.5)."""
    found: set[int | None] = {None} if scope.contractor_id is None else set()
    for entry_id in {one.entry_id for one in kept if one.entry_id is not None}:
        try:
            await entries.get(tx, scope, entry_id)
        except NotFound:
            continue
        found.add(entry_id)
    return found


def _may_see(scope: Scope, adapter: Adapter, kept: KeptStatistics, places: set[int | None]) -> bool:
    """The thing's own contractor, and whoever has the place where it sat then."""
    return scope.contractor_id in (None, adapter.contractor_id) or kept.entry_id in places


def _snapshot(kept: KeptStatistics, with_traffic: bool) -> SnapshotView:
    return SnapshotView(
        at=instant(kept.at_ms),
        statistics=[
            StatisticView(kind=one.kind, index=one.index, valid=one.valid, values=dict(one.values))
            for one in vitals.of(kept)
            if with_traffic or one.kind not in INTERFACE_KINDS
        ],
    )
