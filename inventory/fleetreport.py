"""The fleet at a glance: levels by model, the busiest and the fastest growing links, coverage, proposals (§8.1).

For operators. It names links, so it is no comparison that a contractor may see (SMF-17).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.backtest import HORIZONS, Record
from inventory.congestion import STALE_DAYS, Level
from inventory.links import Direction
from inventory.reporthead import Json, ReportHead, envelope

TOP = 20
COVERAGE_STEPS = (0.999, 0.99, 0.95, 0.90)
"""Shares of the period's time; the last group is below all of them."""


@dataclass(frozen=True, slots=True)
class FleetLink:
    """A link as the fleet report sees it."""

    link_id: int
    entry: str
    place: str
    interface: str
    model: str
    """Model of the adapter that sits there; empty for nobody."""


@dataclass(frozen=True, slots=True)
class FleetDirection:
    """One direction of a link over the period and over the one before it."""

    link_id: int
    direction: Direction
    level: Level | None
    """None: never judged."""
    valid_day: date | None
    covered_ms: int
    slots: int
    busy_max: float | None
    """Busiest hour of the valid days, as a share of the capacity."""
    busy_mean: float | None
    busy_mean_before: float | None
    """Mean of the valid days' busiest hours; and in the period before."""

    @property
    def growth(self) -> float | None:
        """Points of capacity that the mean busiest hour rose by against the period before."""
        if self.busy_mean is None or self.busy_mean_before is None:
            return None
        return self.busy_mean - self.busy_mean_before


@dataclass(frozen=True, slots=True)
class FleetChange:
    """A change of level in the period."""

    link_id: int
    direction: Direction
    day: date
    before: Level
    after: Level


@dataclass(frozen=True, slots=True)
class FleetMaterial:
    """Everything that the report says."""

    links: Mapping[int, FleetLink]
    directions: Sequence[FleetDirection]
    changes: Sequence[FleetChange]
    proposals_made: Mapping[str, int]
    """Proposals drafted in the period, by kind of remedy."""
    proposals_decided: Mapping[str, int]
    """Proposals decided in the period, by state."""
    proposals_open: int
    record: Record | None = None
    """How good the fleet's forecasts have been, of all back-tests; None: there is no back-test yet."""


def build(head: ReportHead, material: FleetMaterial) -> Json:
    """The report; one without links says so."""
    return envelope(
        head,
        [_change(material, change) for change in material.changes],
        links_known=len(material.links),
        levels=_levels(material),
        top_busy=_top(material, (d for d in material.directions if d.busy_max is not None), by_growth=False),
        top_growth=_top(material, (d for d in material.directions if (d.growth or 0) > 0), by_growth=True),
        entered=sum(c.after >= Level.CONGESTED > c.before for c in material.changes),
        cleared=sum(c.before >= Level.CONGESTED > c.after for c in material.changes),
        stale=_stale(head, material),
        coverage=_coverage(material),
        proposals={
            "made": dict(sorted(material.proposals_made.items())),
            "decided": dict(sorted(material.proposals_decided.items())),
            "open": material.proposals_open,
        },
        record=_record(material.record),
    )


def _record(found: Record | None) -> Json | None:
    """What such warnings came to before (§6): as it was known when the report was made."""
    if found is None:
        return None
    errors = ((weeks, found.mae(weeks)) for weeks in HORIZONS)
    return {
        "origins": found.origins,
        "warnings": found.warnings,
        "came_true": found.came_true,
        "median_lead_days": found.median_lead_days,
        "false_per_100_link_months": found.false_per_100_months,
        "horizons": [{"weeks": weeks, "mae": mae[0], "naive_mae": mae[1]} for weeks, mae in errors if mae is not None],
    }


def _change(material: FleetMaterial, change: FleetChange) -> Json:
    link = material.links[change.link_id]
    return {
        "what": "level",
        "entry": link.entry,
        "place": link.place,
        "interface": link.interface,
        "direction": change.direction.value,
        "day": change.day.isoformat(),
        "before": change.before.name.lower(),
        "after": change.after.name.lower(),
    }


def _levels(material: FleetMaterial) -> list[Json]:
    """Links by model and level; a link has the highest level of its directions."""
    highest: dict[int, Level] = {}
    for one in material.directions:
        if one.level is not None:
            highest[one.link_id] = max(one.level, highest.get(one.link_id, Level.CALM))
    counted = Counter((link.model, highest.get(link.link_id)) for link in material.links.values())
    models = sorted({model for model, _ in counted})
    return [
        {
            "model": model,
            **{level.name.lower(): counted[model, level] for level in Level},
            "not_judged": counted[model, None],
        }
        for model in models
    ]


def _top(material: FleetMaterial, found: Iterable[FleetDirection], *, by_growth: bool) -> list[Json]:
    def size(one: FleetDirection) -> float:
        return (one.growth if by_growth else one.busy_max) or 0.0

    ordered = sorted(found, key=lambda one: (-size(one), one.link_id, one.direction))[:TOP]
    return [
        {
            "link": one.link_id,
            "entry": material.links[one.link_id].entry,
            "place": material.links[one.link_id].place,
            "interface": material.links[one.link_id].interface,
            "model": material.links[one.link_id].model,
            "direction": one.direction.value,
            "busy_util": one.busy_max,
            "growth": one.growth,
            "level": None if one.level is None else one.level.name.lower(),
        }
        for one in ordered
        if one.link_id in material.links
    ]


def _stale(head: ReportHead, material: FleetMaterial) -> int:
    """Links that had a level and no valid day for longer than levels hold without one."""
    last = head.span.days[-1]
    return len(
        {
            one.link_id
            for one in material.directions
            if one.level is not None and (one.valid_day is None or (last - one.valid_day).days > STALE_DAYS)
        }
    )


def _coverage(material: FleetMaterial) -> list[Json]:
    """Directions of lines by the share of the period's slots that was measured."""
    shares = [
        one.covered_ms / (one.slots * 300_000) if one.slots else 0.0
        for one in material.directions
        if one.direction is not Direction.DEVICE
    ]
    found: list[Json] = []
    above = 0
    for step in COVERAGE_STEPS:
        reached = sum(share >= step for share in shares)
        found.append({"at_least": step, "directions": reached - above})
        above = reached
    return [*found, {"at_least": 0.0, "directions": len(shares) - above}]
