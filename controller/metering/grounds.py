"""What the verdict of a daily look rests on, JSON-ready: shown beside the reason, so that a person can check it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from inventory.forecast import NoDate
from inventory.linkdays import EVIDENCE_DAYS
from inventory.metering import rate_bps
from inventory.proposals import MIN_VALID_DAYS

if TYPE_CHECKING:
    from controller.metering.places import Place

Facts = dict[str, object]


def grounds(place: Place, reason: str) -> Facts:
    """The figures behind a reason; empty where the reason says all."""
    told = _OF.get(reason)
    return told(place) if told else {}


def _level(place: Place) -> Facts:
    hottest = place.hottest
    reached = hottest.outlook.saturation
    recent = [day for day in hottest.days if day.figures.valid][-EVIDENCE_DAYS:]
    return {
        "direction": hottest.state.direction.value,
        "level": int(hottest.state.level),
        "stale": place.stale,
        "saturation": reached.value if isinstance(reached, NoDate) else reached.isoformat(),
        # Maintenance, and hours that were marked as bulk: full on purpose, and so no congestion.
        "slots_left_out": sum(day.maintenance_slots for day in recent),
    }


def _capacity(place: Place) -> Facts:
    capacity = place.hottest.capacity
    return {
        "direction": place.hottest.state.direction.value,
        "kind": capacity.kind.value,
        "nominal_bps": capacity.nominal_bps,
        "since": capacity.since.isoformat(),
    }


def _fault(place: Place) -> Facts:
    recent = sorted({day.day for s in place.series for day in [d for d in s.days if d.figures.valid][-EVIDENCE_DAYS:]})
    frames = {
        day.day.isoformat(): day.error_slots
        for series in place.series
        for day in series.days
        if day.error_slots and day.day in recent
    }
    falls = {day.isoformat(): place.falls[day] for day in recent if place.falls.get(day)}
    return {"error_slots": frames, "falls": falls, "half_duplex": list(place.half_duplex)}


def _grade(place: Place) -> Facts:
    p95 = place.hottest.p95
    return {
        "direction": place.hottest.state.direction.value,
        "grade": p95.grade.value,
        "p95_bps": [rate_bps(p95.low), None if p95.high is None else rate_bps(p95.high)],
    }


def _need(place: Place) -> Facts:
    if place.current is None:
        return {}
    need = place.need()
    return {
        "model": place.current.model,
        "figures_bps": dict(place.current.figures_bps),
        "traffic_kind": need.traffic_kind,
        "device_need_bps": need.device_bps,
        "packets_per_s": place.current.packets_per_s,
        "device_need_pps": need.device_pps,
        "packets": place.packets_said(),
        "directions": [
            {"direction": one.direction.value, "rate_bps": one.rate_bps, "need_bps": one.need_bps}
            for one in need.directions
        ],
    }


def _ending(place: Place) -> Facts:
    ends = place.around.contract.ends
    return {"last_day": None if ends is None else ends.isoformat()}


def _declined(place: Place) -> Facts:
    return _newest(place, "declined")


def _ordered(place: Place) -> Facts:
    return _newest(place, "accepted")


def _newest(place: Place, state: str) -> Facts:
    found = max((one for one in place.earlier if one.state == state), key=lambda one: one.decided_ms or 0, default=None)
    return {"proposal": None if found is None else found.id}


def _days(place: Place) -> Facts:
    return {"valid_days": place.hottest.state.valid_days, "wanted": MIN_VALID_DAYS}


def _swap(place: Place) -> Facts:
    equipment = place.around.equipment
    return {"model": None if place.current is None or equipment is None else place.current.model}


def _lan(place: Place) -> Facts:
    return {"interface": place.link.interface}


_OF: Final[dict[str, Callable[[Place], Facts]]] = {
    "not-congested": _level,
    "level": _level,
    "forecast": _level,
    "capacity-not-known": _capacity,
    "capacity-changed": _capacity,
    "not-enough-data": _days,
    "fault": _fault,
    "grade-c": _grade,
    "declined": _declined,
    "ordered": _ordered,
    "ending": _ending,
    "swap": _swap,
    "lan-side": _lan,
    "fits": _need,
    "device-figure-unknown": _need,
    "no-model-suffices": _need,
}
