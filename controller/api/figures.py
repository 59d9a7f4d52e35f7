"""What the slots of a link come to: exact percentiles with their interval, months, forecasts, saturation alarms."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from controller.api.auth import Viewer
from controller.api.schemas import instant
from controller.api.state import daemon_of
from controller.metering import outlooks
from controller.metering.outlooks import Expected
from controller.metering.series import LinkSeries, first_slot_day, kept_ports, metered, series_of
from controller.store import alarms, links, months
from controller.store.alarms import LinkAlarm
from controller.store.retention import forgotten
from inventory.backtest import HORIZONS, Record
from inventory.errors import BadInput
from inventory.linkmonths import LinkMonth
from inventory.links import Link
from inventory.metering import RULE_VERSION, Convention, Interval, outer, p95_interval, rank, rate_bps
from inventory.periods import Span
from inventory.timeslots import SLOT_MS, bounds

router = APIRouter(tags=["figures"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
MOST_DAYS = 92


class IntervalView(BaseModel):
    """The smallest and the largest value that missing measurements allow; equal where nothing is missing."""

    low_bps: int = Field(description="What is certain; the only end that may be invoiced.")
    high_bps: int | None = Field(description="null: no bound is known.")
    grade: str = Field(description="A, B or C; C is never invoiced without a person.")

    @classmethod
    def of(cls, found: Interval) -> IntervalView:
        """View of a value."""
        high = None if found.high is None else rate_bps(found.high)
        return cls(low_bps=rate_bps(found.low), high_bps=high, grade=found.grade.value)


class PercentileView(BaseModel):
    """A 95th percentile: the k-th smallest of n five-minute slots, gap slots included, no interpolation."""

    link: int
    convention: str = Field(description="How two directions become one figure.")
    bound: str = Field(description="exact, or outer: sound, not always tight (sums of interfaces or directions).")
    p95: IntervalView | None = Field(description="null: the link was not metered in these days.")
    n: int = Field(
        description="Slots in metered service: from the first reading of the link on, as far as they passed."
    )
    k: int
    coverage: float = Field(description="Share of the time that measurements cover, of the worse direction.")
    slots_unknown: int
    first: date
    after: date
    zone: str
    rule_version: str


class MonthView(BaseModel):
    """A month of one direction."""

    month: str
    direction: str
    volume_low_octets: int
    volume_high_octets: int | None
    p95: IntervalView
    coverage: float
    capacity_kind: str | None
    capacity_bps: int | None
    rule_version: str

    @classmethod
    def of(cls, one: LinkMonth) -> MonthView:
        """View of a value."""
        return cls(
            month=one.month.isoformat()[:7],
            direction=one.direction.value,
            volume_low_octets=one.octets_low,
            volume_high_octets=one.octets_high,
            p95=IntervalView.of(one.p95),
            coverage=one.covered_ms / (one.slots * SLOT_MS),
            capacity_kind=one.capacity.kind.value if one.capacity else None,
            capacity_bps=one.capacity.used_bps if one.capacity else None,
            rule_version=one.rule_version,
        )


class HorizonView(BaseModel):
    """Mean error at one horizon, in shares of capacity, beside that of "same as last week"."""

    weeks: int
    mae: float
    naive_mae: float


class RecordView(BaseModel):
    """What a back-test of such forecasts found."""

    of: str = Field(description="link, group (same model and line type), fleet; groups have ten contractors or more.")
    origins: int
    horizons: list[HorizonView]
    warnings: int
    came_true: int
    median_lead_days: float | None
    false_per_100_link_months: float | None

    @classmethod
    def of_record(cls, record: Record, of: str) -> RecordView:
        """View of a value; counts of others are rounded to 5 (SMF-17)."""
        shown = [(weeks, record.mae(weeks)) for weeks in HORIZONS]
        record = record if of == "link" else record.rounded()
        return cls(
            of=of,
            origins=record.origins,
            horizons=[HorizonView(weeks=w, mae=mae[0], naive_mae=mae[1]) for w, mae in shown if mae is not None],
            warnings=record.warnings,
            came_true=record.came_true,
            median_lead_days=record.median_lead_days,
            false_per_100_link_months=record.false_per_100_months,
        )


class ForecastView(BaseModel):
    """Where one direction's busy hour leads: the date of 85 % of capacity, its 80 % interval, and the record."""

    direction: str
    capacity_kind: str
    capacity_bps: int
    saturation: str = Field(description="A date, or none, already, not-enough-data.")
    early: str | None
    late: str | None = Field(description="A date, or none: the slow end never gets there.")
    slope_bps_per_week: float | None
    level_last_week_bps: float | None
    mann_kendall_z: float | None
    backtest: RecordView | None = Field(description="null: neither the link nor a group has enough of a record.")
    rule_version: str

    @classmethod
    def of(cls, one: Expected) -> ForecastView:
        """View of a value."""
        told = one.outlook
        return cls(
            direction=one.direction.value,
            capacity_kind=one.capacity.kind.value,
            capacity_bps=one.capacity.used_bps,
            saturation=_shown(told.saturation) or "none",
            early=_shown(told.early),
            late=_shown(told.late),
            slope_bps_per_week=told.slope_bps_per_week,
            level_last_week_bps=told.level_last_week_bps,
            mann_kendall_z=told.mann_kendall_z,
            backtest=None if one.record is None else RecordView.of_record(one.record, one.of),
            rule_version=RULE_VERSION,
        )


def _shown(found: object) -> str | None:
    """A date as ISO, or the word in its place."""
    return found.isoformat() if isinstance(found, date) else (None if found is None else str(found))


class AlarmView(BaseModel):
    """The last saturation alarm of one direction. It is no level, and opens no proposal."""

    direction: str
    raised: bool
    since: datetime
    cleared_at: datetime | None
    evidence: dict[str, object]

    @classmethod
    def of(cls, one: LinkAlarm) -> AlarmView:
        """View of a value."""
        return cls(
            direction=one.direction.value,
            raised=one.cleared_ms is None,
            since=instant(one.since_ms),
            cleared_at=None if one.cleared_ms is None else instant(one.cleared_ms),
            evidence=dict(one.evidence),
        )


@router.get("/links/{link_id}/p95")
async def read_p95(
    link_id: Number,
    request: Request,
    caller: Viewer,
    first: date,
    after: Annotated[date, Query(description="First day that is not wanted any more; at most 92 days.")],
    convention: Convention = Convention.MAX_OF_P95,
) -> PercentileView:
    """The 95th percentile of the local days [first, after), as an interval over what nobody measured."""
    if not 0 < (after - first).days <= MOST_DAYS or not 1971 <= first.year < 2200:
        raise BadInput(
            f"the days {first} to {after} are not 1 to {MOST_DAYS} days between 1971 and 2200",
            field="after",
            next_step="Ask for fewer days; `after` is the first day not wanted.",
        )
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
    span = Span(first, after, link.zone)
    async with daemon.traffic.read() as tx:
        ports = await kept_ports(tx, link, span.start_ms, span.end_ms)
        first_ms = await first_slot_day(tx, link)
    now_ms = daemon.clock.now_ms()
    _require_kept(span, first_ms, now_ms)

    def compute() -> PercentileView:
        found = metered(series_of(ports, span.start_ms, span.end_ms), first_ms, now_ms)
        return _percentile(link, found, span, convention)

    return await asyncio.to_thread(compute)


def _require_kept(span: Span, oldest_ms: int | None, now_ms: int) -> None:
    """Raises BadInput where the first of the days are forgotten: the rest of them would be taken for all."""
    if forgotten(span.start_ms, now_ms) and (oldest_ms is None or oldest_ms > span.start_ms):
        raise BadInput(
            f"the slots of {span.first.isoformat()} are no longer kept",
            field="first",
            next_step="Slots are kept for 400 days; the figures of months stay: GET /links/{id}/months.",
        )


def _percentile(link: Link, found: LinkSeries, span: Span, convention: Convention) -> PercentileView:
    into, out = (bounds(series, link.speed_bps) for series in (found.into, found.out))
    n = len(found.into.known)
    single = {
        Convention.IN_ONLY: (into,),
        Convention.OUT_ONLY: (out,),
        Convention.MAX_OF_P95: (into, out),
    }.get(convention)
    p95: Interval | None
    if not n:
        p95 = None
    elif single is not None:
        intervals = [p95_interval(one.known, one.groups) for one in single]
        highs = [one.high for one in intervals if one.high is not None]
        p95 = Interval(max(one.low for one in intervals), max(highs) if len(highs) == len(intervals) else None)
    else:
        p95 = outer(convention, (into.low, into.high), (out.low, out.high))
    return PercentileView(
        link=link.id,
        convention=convention.value,
        bound="exact" if single is not None and not link.members else "outer",
        p95=None if p95 is None else IntervalView.of(p95),
        n=n,
        k=rank(n) if n else 0,
        coverage=min(sum(found.into.covered_ms), sum(found.out.covered_ms)) / (n * SLOT_MS) if n else 0.0,
        slots_unknown=sum(
            min(a, b) < SLOT_MS - 1_000 for a, b in zip(found.into.covered_ms, found.out.covered_ms, strict=True)
        ),
        first=span.first,
        after=span.after,
        zone=link.zone,
        rule_version=RULE_VERSION,
    )


@router.get("/links/{link_id}/months")
async def list_months(link_id: Number, request: Request, caller: Viewer) -> list[MonthView]:
    """Months that are over, by direction; kept as long as invoices."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        await links.get(tx, caller.scope, link_id)
    async with daemon.traffic.read() as tx:
        return [MonthView.of(one) for one in await months.of_link(tx, link_id)]


@router.get("/links/{link_id}/forecast")
async def read_forecast(link_id: Number, request: Request, caller: Viewer) -> list[ForecastView]:
    """When each direction will be full, and how good such forecasts have been."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        link = await links.get(tx, caller.scope, link_id)
    found = await outlooks.of_link(daemon.db, daemon.traffic, link, daemon.clock.now_ms())
    return [ForecastView.of(one) for one in found]


@router.get("/links/{link_id}/alarms")
async def list_alarms(link_id: Number, request: Request, caller: Viewer) -> list[AlarmView]:
    """The last saturation alarm of each direction, with the steps that it rests on."""
    async with daemon_of(request).db.read() as tx:
        await links.get(tx, caller.scope, link_id)
        return [AlarmView.of(one) for one in await alarms.of_links(tx, [link_id])]
