"""The kind `chain` of metering vectors: readings of one or more ports, as they arrive, through all levels to the p95.

It goes the way that polled readings go in the daemon: the outlier rule, steps of the controller's clock, the sum of
ports slot by slot, bounds and the interval. Source: metering specification §2, §3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.metering.pairing import paired
from controller.metering.settling import Step, Stood, step_between
from controller.store.traffic import Kept
from inventory import metering, timeslots

Json = Any
"""JSON that was checked for its shape."""
INTERVAL_MS = 60_000


def chain(given: Mapping[str, Json]) -> Json:
    """Slots, their bounds and the percentile of ports that are summed."""
    start_ms, end_ms = given["start_ms"], given["end_ms"]
    parts = []
    for port in given["ports"]:
        series = _series(port)
        increments = paired(series, {one.t_ms for one in series}, INTERVAL_MS)[0]
        parts.append((timeslots.slot(increments, start_ms, end_ms), port["port_speed_bps"]))
    summed = timeslots.sum_series(parts)
    speeds = [speed for _, speed in parts]
    found = timeslots.bounds(summed, None if None in speeds else sum(speeds))
    interval = metering.p95_interval(found.known, found.groups)
    return {
        "known": list(summed.known),
        "covered_ms": list(summed.covered_ms),
        "flags": [sorted(flag.value for flag in flags) for flags in summed.flags],
        "low": list(found.low),
        "high": list(found.high),
        "p95": [interval.low, interval.high],
        "grade": interval.grade.value,
    }


def _series(port: Mapping[str, Json]) -> list[Kept]:
    """Readings by time; of one instant the first to arrive. Clocks are compared in the order of arrival."""
    found: dict[int, Kept] = {}
    stood: Stood | None = None
    for one in port["readings"]:
        step = None
        if one.get("monotonic_ms") is not None:
            now = (one["t_ms"], one["monotonic_ms"])
            step, stood = (None, Stood(*now, now[0])) if stood is None else step_between(stood, *now)
        found.setdefault(one["t_ms"], _kept(one, port, step))
    return [found[t_ms] for t_ms in sorted(found)]


def _kept(one: Mapping[str, Json], port: Mapping[str, Json], step: Step | None) -> Kept:
    return Kept(
        t_ms=one["t_ms"],
        in_octets=one["octets"],
        out_octets=0,
        source="snmp",
        counter_bits=port["counter_bits"],
        uptime_cs=one.get("uptime_cs"),
        discontinuity=one.get("disc"),
        speed_bps=port["port_speed_bps"],
        adapter_id=one.get("adapter"),
        clock_stepped=step is not None,
        follows_ms=step.follows_ms if step else None,
        elapsed_ms=step.elapsed_ms if step else None,
        shadowed=step.shadowed if step else False,
    )
