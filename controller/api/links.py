"""`/links` and `/congestion`: what is metered, by which capacity it is judged, and how full it is."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller import explaining
from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import Body, EntryKey, ExplanationView, instant
from controller.api.state import acting, daemon_of, number
from controller.metering.series import kept_ports, series_of
from controller.store import dayfigures, levels, links
from controller.store.database import Tx
from controller.store.levels import LevelChange, LinkLevel
from controller.store.links import ChangedLink, NewLink
from inventory.congestion import STALE_DAYS
from inventory.errors import BadInput
from inventory.linkdays import LinkDay, direction_series, usual_busy_hour, with_required_by_history
from inventory.links import Capacity, CapacityKind, Direction, Link, LinkRole, Member
from inventory.metering import RULE_VERSION
from inventory.periods import TOKYO, Span, day_of, day_start_ms, require_year, zone_of
from inventory.slots import show_key

router = APIRouter()
Wanted = Annotated[Window, Depends(window)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Bps = Annotated[int, Field(ge=1, le=10**13, description="bit/s; k, M, G are powers of 1000.")]
LineType = Literal["pppoe", "dhcp", "ipoe", "static", "mobile"]
Interface = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]([ -~]*[!-~])?$")]
MOST_DAYS = 400
SLOT_DAYS = 31
BEFORE_DAYS = 60
"""Days before those asked for in which the last 14 valid ones are looked for."""


class MemberBody(Body):
    """One interface of a group."""

    interface: Interface
    port_speed_bps: Bps | None = None
    ifindex: Annotated[int, Field(ge=0, le=65_535, description="How heartbeats number it.")] | None = None


class NewLinkBody(Body):
    """An interface of an entry to be judged, or a group (LAG, active/standby pair) to be judged as its sum."""

    entry: EntryKey
    interface: Annotated[Interface, Field(description="Its name; of a group a name of your own, such as lag1.")]
    members: Annotated[tuple[MemberBody, ...], Field(max_length=16)] = ()
    role: Literal["wan", "lan"] = "wan"
    port_speed_bps: Bps | None = None
    ifindex: Annotated[int, Field(ge=0, le=65_535, description="How heartbeats number it.")] | None = None
    line_type: LineType = "dhcp"
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = TOKYO


class LinkChange(Body):
    """All three are set as they stand here."""

    port_speed_bps: Bps | None
    ifindex: Annotated[int, Field(ge=0, le=65_535)] | None
    line_type: LineType


class LinkView(BaseModel):
    """A link."""

    id: int
    entry: str
    interface: str
    role: str
    port_speed_bps: int | None
    ifindex: int | None
    line_type: str
    zone: str
    members: list[MemberBody] = Field(description="Interfaces that are summed slot by slot; empty: its own interface.")
    version: int

    @classmethod
    def of(cls, link: Link) -> LinkView:
        """View of a value."""
        return cls(
            id=link.id,
            entry=show_key("E", link.entry_id),
            interface=link.interface,
            role=link.role.value,
            port_speed_bps=link.port_speed_bps,
            ifindex=link.ifindex,
            line_type=link.line_type,
            zone=link.zone,
            members=[
                MemberBody(interface=one.interface, port_speed_bps=one.port_speed_bps, ifindex=one.ifindex)
                for one in link.members
            ],
            version=link.version,
        )


class CapacityBody(Body):
    """A capacity from a day on. A `model` figure has one number, in `down_bps`, for in and out together."""

    kind: Literal["line", "shaped", "port", "model"]
    down_bps: Bps | None = None
    up_bps: Bps | None = None
    valid_from: date
    reason: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""


class CapacityView(BaseModel):
    """A dated capacity; `valid_to` is the first day it does not hold any more."""

    kind: str
    down_bps: int | None
    up_bps: int | None
    valid_from: date | None = Field(description="null: as far back as readings go.")
    valid_to: date | None
    actor: str
    reason: str
    packets_per_s: int | None = Field(
        description="Published or entered for the model, in and out together; null: none, so none are compared."
    )

    @classmethod
    def of(cls, capacity: Capacity) -> CapacityView:
        """View of a value."""
        return cls(
            kind=capacity.kind.value,
            down_bps=capacity.down_bps,
            up_bps=capacity.up_bps,
            valid_from=None if capacity.valid_from == date.min else capacity.valid_from,
            valid_to=capacity.valid_to,
            actor=capacity.actor,
            reason=capacity.reason,
            packets_per_s=capacity.packets_per_s,
        )


class CauseView(BaseModel):
    """One cause of a level."""

    cause: str = Field(
        description="packets (per second, of the device), busy-hour, full-slots, drops (packets thrown away), bursts "
        "(inside the slots)."
    )
    days: int = Field(description="Of the last seven valid days, those on which it alone was enough for the level.")


class LevelView(BaseModel):
    """State of one direction: 0 calm, 1 watch, 2 congested, 3 critical."""

    direction: str
    level: int
    since: date
    last_valid_day: date | None
    judged_day: date
    valid_days: int
    stale: bool = Field(description="No valid day for more than five days: the level is what it was.")
    capacity_kind: str
    causes: list[CauseView] = Field(description="One flag a cause, the most frequent first; none for calm.")
    rule_version: str

    @classmethod
    def of(cls, state: LinkLevel, today: date) -> LevelView:
        """View of a value, on a day of the link's zone."""
        return cls(
            direction=state.direction.value,
            level=int(state.level),
            since=state.since_day,
            last_valid_day=state.valid_day,
            judged_day=state.judged_day,
            valid_days=state.valid_days,
            stale=state.valid_day is None or (today - state.valid_day).days > STALE_DAYS,
            capacity_kind=state.capacity_kind.value,
            causes=[CauseView(cause=one.cause.value, days=one.days) for one in state.causes],
            rule_version=state.rule_version,
        )


class LevelChangeView(BaseModel):
    """A change of level, with the figures it rests on."""

    id: int
    direction: str
    day: date
    before: int
    after: int
    evidence: dict[str, object]
    recorded_at: datetime

    @classmethod
    def of(cls, change: LevelChange) -> LevelChangeView:
        """View of a value."""
        return cls(
            id=change.id,
            direction=change.direction.value,
            day=change.day,
            before=int(change.before),
            after=int(change.after),
            evidence=dict(change.evidence),
            recorded_at=instant(change.recorded_ms),
        )


class BusyHourView(BaseModel):
    """The usual busy hour of a direction."""

    direction: str
    hour: int | None = Field(description="0 to 23 by the local clock, of the last 14 valid days; null: none of them.")


class CongestionView(BaseModel):
    """Levels of a link's directions, and how they came."""

    link: LinkView
    levels: list[LevelView]
    usual_busy_hours: list[BusyHourView]
    changes: list[LevelChangeView]


class HotView(BaseModel):
    """A link and its highest direction."""

    link: LinkView
    level: LevelView


class DayView(BaseModel):
    """Figures of one direction on one local day."""

    day: date
    direction: str
    valid: bool
    busy_start_slot: int | None
    busy_util: float | None
    hot90: int
    hot95: int
    drop_slots: int = Field(description="Slots at 30 % and more in which a packet of a thousand was thrown away.")
    error_slots: int = Field(
        description="Slots in which ten frames and more, about one of a thousand, had errors: a fault, no congestion."
    )
    required_share: float = Field(
        description="What the spread of the rate asks for inside the slots (of one second, but for 1 % of them), as a "
        "share of the capacity; 0: not measured."
    )
    maintenance_slots: int = Field(description="Left out of the level: maintenance, bulk, the half hour after.")
    unknown_slots: int
    could_be_class: int = Field(description="Class of the day if every missing octet had passed.")
    capacity_kind: str | None
    capacity_bps: int | None = Field(description="As it is used; null: none is known in bit/s.")
    capacity_pps: int | None = Field(
        description="Packets per second of the model, as they are used, for the direction `device`; null: none known."
    )
    packet_util: float | None = Field(
        description="Packets of their busiest hour against `capacity_pps`; null: nothing to compare with, or packets "
        "not told in both directions for nine tenths of the day."
    )
    packet_hot90: int
    packet_hot95: int
    volume_low_octets: int
    volume_high_octets: int | None
    coverage: float
    origins: list[str]
    rule_version: str

    @classmethod
    def of(cls, day: LinkDay) -> DayView:
        """View of a value."""
        return cls(
            day=day.day,
            direction=day.direction.value,
            valid=day.figures.valid,
            busy_start_slot=day.figures.busy_start_slot,
            busy_util=day.figures.busy_util,
            hot90=day.figures.hot90,
            hot95=day.figures.hot95,
            drop_slots=day.figures.drop_slots,
            error_slots=day.error_slots,
            required_share=day.figures.c_req,
            maintenance_slots=day.maintenance_slots,
            unknown_slots=day.figures.unknown_slots,
            could_be_class=int(day.high_class),
            capacity_kind=day.capacity.kind.value if day.capacity else None,
            capacity_bps=(day.capacity.used_bps or None) if day.capacity else None,
            capacity_pps=day.capacity.used_pps if day.capacity else None,
            packet_util=day.figures.packet_util,
            packet_hot90=day.figures.packet_hot90,
            packet_hot95=day.figures.packet_hot95,
            volume_low_octets=day.octets_low,
            volume_high_octets=day.octets_high,
            coverage=day.covered_ms / (day.slots * 300_000),
            origins=list(day.origins),
            rule_version=day.rule_version,
        )


class DirectionSlots(BaseModel):
    """Octets of each slot: certain, at most (null: no bound), and the milliseconds that measurements cover."""

    low: list[int]
    high: list[int | None]
    covered_ms: list[int]


class SlotsView(BaseModel):
    """Five-minute slots from `start` on; gaps are slots that nothing covers."""

    start: datetime
    step_s: int = 300
    rule_version: str = RULE_VERSION
    down: DirectionSlots
    up: DirectionSlots


@router.post("/links", status_code=201, response_model=LinkView, tags=["links"])
async def create_link(body: NewLinkBody, request: Request, caller: Operator, once: Once) -> Response:
    """Meter an interface of an entry as a link."""
    zone_of(body.zone)
    new = NewLink(
        number(body.entry, "E", "entry"),
        body.interface,
        LinkRole(body.role),
        body.port_speed_bps,
        body.ifindex,
        body.line_type,
        body.zone,
        tuple(Member(one.interface, one.port_speed_bps, one.ifindex) for one in body.members),
    )

    async def work(tx: Tx) -> LinkView:
        return LinkView.of(await links.add(tx, caller.scope, acting(request, caller), new))

    return await once.commit(work)


@router.get("/links", tags=["links"])
async def list_links(
    request: Request, caller: Viewer, wanted: Wanted, entry: Annotated[str | None, Query(max_length=24)] = None
) -> Page[LinkView]:
    """Links in the order of their numbers."""
    place = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        found = await links.page(tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, entry_id=place)
    return page([LinkView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/links/{link_id}", tags=["links"])
async def read_link(link_id: Number, request: Request, response: Response, caller: Viewer) -> LinkView:
    """One link."""
    async with daemon_of(request).db.read() as tx:
        found = await links.get(tx, caller.scope, link_id)
    tag(response, found.version)
    return LinkView.of(found)


@router.put("/links/{link_id}", tags=["links"])
async def change_link(
    link_id: Number, body: LinkChange, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> LinkView:
    """Change port speed, index or line type."""
    wanted = ChangedLink(body.port_speed_bps, body.ifindex, body.line_type)
    async with daemon_of(request).db.write() as tx:
        found = await links.change(tx, caller.scope, acting(request, caller), link_id, wanted, if_version=seen)
    tag(response, found.version)
    return LinkView.of(found)


@router.post("/links/{link_id}/capacities", status_code=201, response_model=CapacityView, tags=["links"])
async def set_capacity(link_id: Number, body: CapacityBody, request: Request, caller: Operator, once: Once) -> Response:
    """Enter a capacity from a day on; levels begin a new history there (metering §5.3)."""
    if body.down_bps is None and (body.up_bps is None or body.kind == "model"):
        raise BadInput("a capacity needs a rate", field="down_bps", next_step="Give down_bps, or up_bps, or both.")
    require_year(body.valid_from, "valid_from")
    by = acting(request, caller)
    new = Capacity(CapacityKind(body.kind), body.down_bps, body.up_bps, body.valid_from, None, by.actor, body.reason)

    async def work(tx: Tx) -> CapacityView:
        await links.set_capacity(tx, caller.scope, by, link_id, new)
        return CapacityView.of(new)

    answer = await once.commit(work)
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
    # Days that were judged by another capacity are judged again by the one of that day (§4).
    names = [(link.entry_id, port.interface) for port in link.ports]
    await daemon.metering.rejudge(names, day_start_ms(body.valid_from, link.zone), daemon.clock.now_ms())
    return answer


@router.get("/links/{link_id}/capacities", tags=["links"])
async def list_capacities(link_id: Number, request: Request, caller: Viewer) -> list[CapacityView]:
    """Capacities of a link by kind and day."""
    async with daemon_of(request).db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
        return [CapacityView.of(one) for one in await links.known_capacities(tx, link)]


@router.get("/links/{link_id}/congestion", tags=["congestion"])
async def read_congestion(link_id: Number, request: Request, caller: Viewer) -> CongestionView:
    """Levels of a link, its usual busy hours, and the last hundred changes, each with its evidence."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await links.get(tx, caller.scope, link_id)
    today = day_of(daemon.clock.now_ms(), found.zone)
    async with daemon.traffic.read() as tx:
        days = await dayfigures.of_link(tx, link_id, today - timedelta(days=BEFORE_DAYS), today)
    async with daemon.db.read() as tx:
        return CongestionView(
            link=LinkView.of(found),
            levels=[LevelView.of(one, today) for one in await levels.of_link(tx, link_id)],
            usual_busy_hours=[
                BusyHourView(
                    direction=direction.value, hour=usual_busy_hour([d for d in days if d.direction is direction])
                )
                for direction in Direction
            ],
            changes=[LevelChangeView.of(one) for one in await levels.changes(tx, caller.scope, link_id)],
        )


@router.get("/congestion", tags=["congestion"])
async def list_congestion(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    level: Annotated[int, Query(ge=0, le=3, description="Lowest level to show.")] = 1,
) -> Page[HotView]:
    """Links at or above a level, in the order of their numbers."""
    async with daemon_of(request).db.read() as tx:
        found = await levels.hot(tx, caller.scope, level=level, after=wanted.after, limit=wanted.limit + 1)
    now_ms = daemon_of(request).clock.now_ms()
    views = [
        HotView(link=LinkView.of(link), level=LevelView.of(state, day_of(now_ms, link.zone))) for link, state in found
    ]
    return page(views, [link.id for link, _ in found], wanted)


@router.get("/links/{link_id}/days", tags=["links"])
async def list_days(
    link_id: Number,
    request: Request,
    caller: Viewer,
    first: date,
    after: Annotated[date, Query(description="First day that is not wanted any more.")],
) -> list[DayView]:
    """Figures of the days [first, after) that have readings, by direction; the origin of each is named."""
    _require_days(first, after, MOST_DAYS)
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        await links.get(tx, caller.scope, link_id)
    async with daemon.traffic.read() as tx:
        days = await dayfigures.of_link(tx, link_id, first - timedelta(days=BEFORE_DAYS), after)
    return [DayView.of(one) for one in with_required_by_history(days) if one.day >= first]


@router.get("/links/{link_id}/slots", tags=["links"])
async def list_slots(
    link_id: Number,
    request: Request,
    caller: Viewer,
    first: date,
    after: Annotated[date, Query(description="First day that is not wanted any more; at most 31 days.")],
) -> SlotsView:
    """Five-minute slots of the local days [first, after)."""
    _require_days(first, after, SLOT_DAYS)
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
    span = Span(first, after, link.zone)
    async with daemon.traffic.read() as tx:
        ports = await kept_ports(tx, link, span.start_ms, span.end_ms)
    found = await asyncio.to_thread(series_of, ports, span.start_ms, span.end_ms)
    into, out = found.into, found.out
    series = direction_series(link, into, out)
    down, up = (into, out) if link.role is LinkRole.WAN else (out, into)
    views = [
        DirectionSlots(
            low=list(series[direction][1].low),
            high=list(series[direction][1].high),
            covered_ms=list(counted.covered_ms),
        )
        for direction, counted in ((Direction.DOWN, down), (Direction.UP, up))
    ]
    return SlotsView(start=instant(span.start_ms), down=views[0], up=views[1])


@router.get("/links/{link_id}/explain", tags=["links"])
async def explain_link(link_id: Number, request: Request, caller: Viewer) -> ExplanationView:
    """Why the link is judged as it is, and what to do next."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await links.get(tx, caller.scope, link_id)
        return ExplanationView.of(await explaining.link(tx, daemon, caller.scope, found))


def _require_days(first: date, after: date, most: int) -> None:
    if not 0 < (after - first).days <= most or not 1971 <= first.year < 2200:
        raise BadInput(
            f"the days {first} to {after} are not 1 to {most} days between 1971 and 2200",
            field="after",
            next_step="Ask for fewer days; `after` is the first day not wanted.",
        )
