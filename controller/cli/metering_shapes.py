"""What the input of each kind of metering vector looks like (metering specification §11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from controller.cli.vector_shapes import (
    Json,
    Shape,
    chosen,
    clock,
    day,
    each,
    flag,
    instant,
    maybe,
    number,
    record,
    refuse,
    same_length,
    text,
    whole,
    zone,
)
from inventory.capacities import TrafficKind
from inventory.counters import Flag
from inventory.errors import BadInput
from inventory.links import CapacityKind
from inventory.periods import Period
from inventory.timeslots import SLOT_MS

SLOTS_AT_MOST: Final = 200_000
"""A window of nearly two years; a larger one is a slip of the pen, and would hold the runner for minutes."""
MS: Final = whole(0, 2**53)
OCTETS: Final = whole()
SPEED: Final = maybe(whole(1, 10**15))
LEVEL: Final = whole(0, 3)
DAYS: Final = maybe(whole(-100_000, 100_000))

_reading = record(
    {"t_ms": MS, "octets": OCTETS}, {"uptime_cs": maybe(whole(0, 2**32 - 1)), "disc": maybe(whole()), "name": text}
)
_readings = record({"counter_bits": chosen((32, 64)), "port_speed_bps": SPEED, "readings": each(_reading)})
_increment = record(
    {
        "t0_ms": MS,
        "t1_ms": MS,
        "octets_min": OCTETS,
        "octets_max": maybe(OCTETS),
        "flag": chosen([one.value for one in Flag]),
    }
)
_window = record({"start_ms": MS, "end_ms": MS, "increments": each(_increment)})
_group = record({"slots": each(whole(), least=1), "room": each(OCTETS), "tmin": OCTETS, "tmax": OCTETS})
_run = {"first": whole(), "last": whole(), "room": OCTETS}
_weeks = record({"first_monday": day, "weekly_median_bps": each(maybe(number())), "threshold_bps": number(above=0)})
_demand = record(
    {
        "p95_low_bps": number(),
        "busy_bps": each(number()),
        "growth_asserted": flag,
        "slope_per_week": number(-1e18),
        "level_last_week": number(-1e18),
    }
)
_judged_day = record(
    {"valid": flag, "busy_util": maybe(number()), "hot90": whole(), "hot95": whole()},
    {
        "drop_slots": maybe(whole()),
        "c_req": maybe(number()),
        "packet_util": maybe(number()),
        "packet_hot90": maybe(whole()),
        "packet_hot95": maybe(whole()),
    },
)
_figure = maybe(number())
_offer = record(
    {
        "model": text,
        "class": text,
        "ports": maybe(whole()),
        "port_speed": maybe(number()),
        "monthly_yen": maybe(whole()),
        "state": text,
        "line_types": each(text),
    },
    {"fwd": _figure, "vpn": _figure, "inspected": _figure},
)


def _readings_fit(found: Json, place: str) -> None:
    _readings(found, place)
    for i, one in enumerate(found["readings"]):
        if one["octets"] >= 2 ** found["counter_bits"]:
            raise refuse(f"readings[{i}].octets", f"a counter of {found['counter_bits']} bits", one["octets"])


def _slots(found: Json, place: str) -> None:
    _window(found, place)
    _on_grid(found)
    for i, one in enumerate(found["increments"]):
        if one["t1_ms"] <= one["t0_ms"]:
            raise refuse(f"increments[{i}].t1_ms", "an instant after t0_ms", one["t1_ms"])
        if one["octets_max"] is not None and one["octets_max"] < one["octets_min"]:
            raise refuse(f"increments[{i}].octets_max", "no less than octets_min", one["octets_max"])


def _on_grid(found: Json) -> None:
    for name in ("start_ms", "end_ms"):
        if found[name] % SLOT_MS:
            raise refuse(name, f"a multiple of {SLOT_MS}", found[name])
    if not 0 < (found["end_ms"] - found["start_ms"]) // SLOT_MS <= SLOTS_AT_MOST:
        raise refuse("end_ms", f"1 to {SLOTS_AT_MOST} slots after start_ms", found["end_ms"])


def _bounds(found: Json, place: str) -> None:
    _slots(found, place)
    record({"port_speed_bps": SPEED})(found, place)


def _p95(found: Json, place: str) -> None:
    record({"known": each(OCTETS, least=1), "groups": each(_group)})(found, place)
    for i, one in enumerate(found["groups"]):
        where = f"groups[{i}]"
        same_length(one, "slots", "room", where)
        if max(one["slots"]) >= len(found["known"]) or len(set(one["slots"])) != len(one["slots"]):
            raise refuse(f"{where}.slots", f"slots below {len(found['known'])}, each once", one["slots"])
        _sum_fits(one, sum(one["room"]), where)


def _sum_fits(one: Json, room: int, where: str) -> None:
    if not one["tmin"] <= min(one["tmax"], room):
        raise refuse(f"{where}.tmin", f"no more than tmax and the rooms, {min(one['tmax'], room)}", one["tmin"])


def _p95_month(found: Json, place: str) -> None:
    run = record({**_run, "tmin": OCTETS, "tmax": OCTETS})
    record(
        {
            "n": whole(1, 1_000_000),
            "seed": whole(0, 2**31 - 1),
            "base": OCTETS,
            "step": OCTETS,
            "noise": whole(1),
            "groups": each(run),
            "free": each(record(_run)),
            "first": each(OCTETS),
            "last": OCTETS,
        }
    )(found, place)
    for name in ("groups", "free"):
        for i, one in enumerate(found[name]):
            if not one["first"] <= one["last"] < found["n"]:
                raise refuse(f"{name}[{i}].last", f"a slot from first to {found['n'] - 1}", one["last"])
            if name == "groups":
                _sum_fits(one, one["room"] * (one["last"] - one["first"] + 1), f"groups[{i}]")


def _convention(found: Json, place: str) -> None:
    record({"in": each(OCTETS, least=1), "out": each(OCTETS, least=1)})(found, place)
    same_length(found, "in", "out")


def _port_sum(found: Json, place: str) -> None:
    highs = each(maybe(OCTETS), least=1)
    record({"ports": each(record({"low": each(OCTETS, least=1), "high": highs}), least=1)})(found, place)
    for i, port in enumerate(found["ports"]):
        same_length(port, "low", "high", f"ports[{i}]")
        if len(port["low"]) != len(found["ports"][0]["low"]):
            raise BadInput(f"ports[{i}].low: another number of slots than the first port's", field=f"ports[{i}].low")


def _day_metrics(found: Json, place: str) -> None:
    record(
        {
            "low": each(maybe(OCTETS), least=1),
            "capacity_octets_per_slot": number(above=0),
            "maintenance_slots": each(whole()),
        }
    )(found, place)
    for i, slot in enumerate(found["maintenance_slots"]):
        if slot >= len(found["low"]):
            raise refuse(f"maintenance_slots[{i}]", f"a slot below {len(found['low'])}", slot)


def _proposal(found: Json, place: str) -> None:
    record(
        {
            "catalogue": each(_offer, least=1),
            "current_model": text,
            "level": LEVEL,
            "saturation_days": DAYS,
            "capacity_kind": chosen([one.value for one in CapacityKind]),
            "minimum_data_days": whole(),
            "traffic_kind": chosen((*get_args(TrafficKind), "vpn")),
            "need_bps": number(),
            "line_rate_bps": maybe(number()),
            "line_type": text,
            "ports_used": whole(),
            "derate": number(above=0),
        },
        {"line_list_bps": maybe(each(number(above=0)))},
    )(found, place)
    if found["current_model"] not in [one["model"] for one in found["catalogue"]]:
        raise refuse("current_model", "a model of the catalogue", found["current_model"])


_arrival = record(
    {"t_ms": MS, "octets": OCTETS},
    {
        "uptime_cs": maybe(whole(0, 2**32 - 1)),
        "disc": maybe(whole()),
        "adapter": maybe(whole(1, 2**31 - 1)),
        "monotonic_ms": maybe(MS),
    },
)
_port = record({"counter_bits": chosen((32, 64)), "port_speed_bps": SPEED, "readings": each(_arrival)})


def _chain(found: Json, place: str) -> None:
    record({"start_ms": MS, "end_ms": MS, "ports": each(_port, least=1)})(found, place)
    _on_grid(found)
    for n, port in enumerate(found["ports"]):
        for i, one in enumerate(port["readings"]):
            if one["octets"] >= 2 ** port["counter_bits"]:
                place = f"ports[{n}].readings[{i}].octets"
                raise refuse(place, f"a counter of {port['counter_bits']} bits", one["octets"])


_schedule = record(
    {"id": text, "period": chosen([one.value for one in Period if one is not Period.FREE])},
    {"at": clock, "delay_days": whole(0, 27), "zone": zone},
)

SHAPES: Final[Mapping[str, Shape]] = {
    "delta": _readings_fit,
    "outlier": _readings_fit,
    "heartbeat-rate": record(
        {"interval_ms": whole(1, 2**40), "heartbeats": each(record({"t_ms": MS, "rate": maybe(OCTETS)}))}
    ),
    "slotting": _slots,
    "bounds": _bounds,
    "p95": _p95,
    "p95-month": _p95_month,
    "convention": _convention,
    "port-sum": _port_sum,
    "calendar": record({"year": whole(1971, 9998), "month": whole(1, 12)}, {"time_zone": zone}),
    "day-metrics": _day_metrics,
    "levels": record({"days": each(_judged_day), "capacity_kind_ceiling": LEVEL}),
    "dimensioning": record(
        {
            "mean_bps": number(),
            "sigma_bps": number(),
            "sigma_timescale_s": number(above=0),
            "T_s": number(above=0),
            "epsilon": number(0, 1, above=0),
            "hurst": number(0, 1),
        }
    ),
    "forecast": _weeks,
    "forecast-interval": _weeks,
    "trigger": record(
        {
            "level": LEVEL,
            "stale": flag,
            "saturation_days": DAYS,
            "late_days": DAYS,
            "valid_days": whole(),
            "capacity_kind": chosen([one.value for one in CapacityKind]),
            "open_proposal": flag,
            "declined_days_ago": DAYS,
            "level_when_declined": maybe(LEVEL),
        },
        {"silence": maybe(text)},
    ),
    "need": record({"series": each(_demand)}),
    "schedule": record({"schedule": _schedule, "since": instant, "now": instant, "done": each(text)}),
    "proposal": _proposal,
    "chain": _chain,
}
