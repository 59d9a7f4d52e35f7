"""Each kind of metering vector: from a case's input, through the pure functions, to an output in its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from controller.cli.metering_chain import chain
from controller.cli.metering_shapes import SHAPES
from inventory import congestion, counters, forecast, metering, periods, proposals, reporting, timeslots

Json = Any
"""JSON from a published file; it becomes typed values in the functions below, once."""
Input = Mapping[str, Json]


def _increments(found: Sequence[counters.Increment]) -> list[Json]:
    return [
        {
            "t0_ms": i.t0_ms,
            "t1_ms": i.t1_ms,
            "octets_min": i.octets_min,
            "octets_max": i.octets_max,
            "flag": i.flag.value,
        }
        for i in found
    ]


def _increment(given: Input) -> counters.Increment:
    return counters.Increment(
        given["t0_ms"],
        given["t1_ms"],
        given["octets_min"],
        given["octets_max"],
        counters.Flag(given["flag"]),
    )


def _paired(given: Input, *, drop_outliers: bool) -> counters.Paired:
    readings = [
        counters.Reading(r["t_ms"], r["octets"], r.get("uptime_cs"), r.get("disc"), r.get("name", ""))
        for r in given["readings"]
    ]
    return counters.pair_all(readings, given["counter_bits"], given["port_speed_bps"], drop_outliers=drop_outliers)


def delta(given: Input) -> Json:
    return {"increments": _increments(_paired(given, drop_outliers=False).increments)}


def outlier(given: Input) -> Json:
    paired = _paired(given, drop_outliers=True)
    return {"increments": _increments(paired.increments), "outliers": paired.outliers}


def heartbeat_rate(given: Input) -> Json:
    reports = [counters.RateReport(h["t_ms"], h["rate"]) for h in given["heartbeats"]]
    return {"increments": _increments(counters.spread_rates(reports, given["interval_ms"]))}


def _slots(given: Input) -> timeslots.SlotSeries:
    return timeslots.slot(map(_increment, given["increments"]), given["start_ms"], given["end_ms"])


def slotting(given: Input) -> Json:
    series = _slots(given)
    return {
        "known": list(series.known),
        "covered_ms": list(series.covered_ms),
        "flags": [sorted(flag.value for flag in flags) for flags in series.flags],
        "groups": [
            {
                "slots": list(g.slots),
                "overlap_ms": list(g.overlap_ms),
                "octets_min": g.octets_min,
                "octets_max": g.octets_max,
                "clipped": g.clipped,
            }
            for g in series.groups
        ],
    }


def bounds(given: Input) -> Json:
    found = timeslots.bounds(_slots(given), given["port_speed_bps"])
    interval = metering.p95_interval(found.known, found.groups)
    return {
        "known": list(found.known),
        "low": list(found.low),
        "high": list(found.high),
        "p95": [interval.low, interval.high],
        "groups": [
            {"slots": list(g.slots), "room": list(g.room), "tmin": g.tmin, "tmax": g.tmax} for g in found.groups
        ],
    }


def p95(given: Input) -> Json:
    groups = [timeslots.Uncertain(tuple(g["slots"]), tuple(g["room"]), g["tmin"], g["tmax"]) for g in given["groups"]]
    interval = metering.p95_interval(given["known"], groups)
    return {"low": interval.low, "high": interval.high}


def p95_month(given: Input) -> Json:
    series = _generated(given)
    if series[: len(given["first"])] != given["first"] or series[-1] != given["last"]:
        raise ValueError(f"the series begins {series[:3]} and ends {series[-1]}")
    known, groups = list(series), []
    for g in given["groups"]:
        slots = tuple(range(g["first"], g["last"] + 1))
        groups.append(timeslots.Uncertain(slots, (g["room"],) * len(slots), g["tmin"], g["tmax"]))
    for g in given["free"]:
        groups += [
            timeslots.Uncertain((index,), (g["room"],), 0, g["room"]) for index in range(g["first"], g["last"] + 1)
        ]
    for group in groups:
        for index in group.slots:
            known[index] = 0
    interval = metering.p95_interval(known, groups)
    return {
        "rank": metering.rank(len(series)),
        "p95_without_gaps": metering.p95(series),
        "low": interval.low,
        "high": interval.high,
    }


def _generated(given: Input) -> list[int]:
    """The series by formula of specification §11."""
    x, series = int(given["seed"]), []
    for i in range(given["n"]):
        x = (1_103_515_245 * x + 12_345) % (1 << 31)
        series.append(given["base"] + given["step"] * min(i % 288, 288 - i % 288) + x % given["noise"])
    return series


def convention(given: Input) -> Json:
    return {name.value: metering.combine(name, given["in"], given["out"]) for name in metering.Convention}


def port_sum(given: Input) -> Json:
    interval = metering.port_sum((port["low"], port["high"]) for port in given["ports"])
    return {"sum_first": [interval.low, interval.high]}


def calendar(given: Input) -> Json:
    span = periods.span_of(
        periods.Period.MONTH, date(given["year"], given["month"], 1), given.get("time_zone", periods.TOKYO)
    )
    k = metering.rank(span.slots)
    return {
        "first_slot_utc": _utc(span.start_ms),
        "slots": span.slots,
        "rank": k,
        "discard": span.slots - k,
    }


def _utc(t_ms: int) -> str:
    return periods.moment_at(t_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_metrics(given: Input) -> Json:
    day = congestion.day_figures(given["low"], given["capacity_octets_per_slot"], frozenset(given["maintenance_slots"]))
    return {
        "valid": day.valid,
        "busy_start_slot": day.busy_start_slot,
        "busy_util": day.busy_util,
        "hot90": day.hot90,
        "hot95": day.hot95,
    }


def levels(given: Input) -> Json:
    days = [
        congestion.DayFigures(
            d["valid"],
            None,
            d["busy_util"],
            d["hot90"],
            d["hot95"],
            d.get("drop_slots") or 0,
            d.get("c_req") or 0.0,
            packet_util=d.get("packet_util"),
            packet_hot90=d.get("packet_hot90") or 0,
            packet_hot95=d.get("packet_hot95") or 0,
        )
        for d in given["days"]
    ]
    return {"levels": [int(level) for level in congestion.levels(days, given["capacity_kind_ceiling"])]}


def dimensioning(given: Input) -> Json:
    return {
        "c_req_bps": congestion.required_capacity_bps(
            given["mean_bps"],
            given["sigma_bps"],
            measured_at_s=given["sigma_timescale_s"],
            target_s=given["T_s"],
            epsilon=given["epsilon"],
            hurst=given["hurst"],
        )
    }


def _outlook(given: Input, *, search_shift: bool) -> forecast.Outlook:
    return forecast.outlook(
        date.fromisoformat(given["first_monday"]),
        given["weekly_median_bps"],
        given["threshold_bps"],
        search_shift=search_shift,
    )


def forecast_date(given: Input) -> Json:
    found = _outlook(given, search_shift=False)
    return {
        "slope_per_week": found.slope_bps_per_week,
        "level_last_week": found.level_last_week_bps,
        "mk_z": found.mann_kendall_z,
        "saturation": _day(found.saturation),
    }


def forecast_interval(given: Input) -> Json:
    found = _outlook(given, search_shift=True)
    return {
        "used_from": found.used_from,
        "slope_per_week": found.slope_bps_per_week,
        "level_last_week": found.level_last_week_bps,
        "mk_z": found.mann_kendall_z,
        "saturation": _day(found.saturation),
        "early": _day(found.early),
        "late": _day(found.late),
    }


def _day(day: date | forecast.NoDate | None) -> str | None:
    if isinstance(day, forecast.NoDate):
        return day.value
    return day.isoformat() if day else None


def trigger(given: Input) -> Json:
    verdict = proposals.trigger(
        proposals.Situation(
            level=given["level"],
            capacity_kind=given["capacity_kind"],
            valid_days=given["valid_days"],
            stale=given["stale"],
            saturation_days=given["saturation_days"],
            late_days=given["late_days"],
            open_proposal=given["open_proposal"],
            declined_days_ago=given["declined_days_ago"],
            level_when_declined=given["level_when_declined"],
            silence=given.get("silence"),
        )
    )
    return {"propose": verdict.propose, "reason": verdict.reason}


def need(given: Input) -> Json:
    series = [
        proposals.Demand(
            s["p95_low_bps"],
            tuple(s["busy_bps"]),
            s["growth_asserted"],
            s["slope_per_week"],
            s["level_last_week"],
        )
        for s in given["series"]
    ]
    return {"need_bps": proposals.need_bps(series)}


def schedule(given: Input) -> Json:
    wanted = given["schedule"]
    runs = reporting.runs_due(
        reporting.Schedule(
            wanted["id"],
            periods.Period(wanted["period"]),
            time.fromisoformat(wanted.get("at", "06:00")),
            wanted.get("delay_days", 0),
            wanted.get("zone", periods.TOKYO),
        ),
        _instant(given["since"]),
        _instant(given["now"]),
        set(given["done"]),
    )
    return {
        "runs": [
            {
                "key": run.key,
                "run_at": _utc(run.run_at_ms),
                "slots": run.span.slots,
                "action": run.action.value,
            }
            for run in runs
        ]
    }


def _instant(text: str) -> int:
    return periods.instant_ms(datetime.fromisoformat(text).astimezone(UTC))


FIGURES = {"forwarding": "fwd", "ipsec": "vpn", "vpn": "vpn", "inspected": "inspected"}


def proposal(given: Input) -> Json:
    silence = proposals.silence_before_remedy(
        given["level"], given["saturation_days"], given["capacity_kind"], given["minimum_data_days"]
    )
    if silence:
        return {"kind": "none", "reason": silence}
    catalogue = [_offer(m) for m in given["catalogue"]]
    current = next(m for m in catalogue if m.model == given["current_model"])
    found = proposals.remedy(
        current,
        catalogue,
        proposals.Need(
            line_bps=given["need_bps"],
            device_bps=given["need_bps"],
            traffic_kind=FIGURES[given["traffic_kind"]],
            line_rate_bps=given["line_rate_bps"],
            line_type=given["line_type"],
            ports_used=given["ports_used"],
            line_offers_bps=tuple(given.get("line_list_bps") or ()),
            derate=given["derate"],
        ),
    )
    return {
        "kind": found.kind.value,
        "reason": found.reason,
        "note": found.reason,
        "model": found.model,
        "monthly_delta_yen": found.monthly_delta_yen,
        "line_rate_bps": found.line_rate_bps,
    }


def _offer(given: Input) -> proposals.ModelOffer:
    return proposals.ModelOffer(
        model=given["model"],
        device_class=given["class"],
        figures_bps={kind: given[kind] for kind in ("fwd", "vpn", "inspected") if given.get(kind) is not None},
        ports=given["ports"],
        port_speed_bps=given["port_speed"],
        monthly_yen=given["monthly_yen"],
        current=given["state"] == "current",
        line_types=frozenset(given["line_types"]),
    )


_JUDGES: Mapping[str, Callable[[Input], Json]] = {
    "delta": delta,
    "outlier": outlier,
    "heartbeat-rate": heartbeat_rate,
    "slotting": slotting,
    "bounds": bounds,
    "p95": p95,
    "p95-month": p95_month,
    "convention": convention,
    "port-sum": port_sum,
    "calendar": calendar,
    "day-metrics": day_metrics,
    "levels": levels,
    "dimensioning": dimensioning,
    "forecast": forecast_date,
    "forecast-interval": forecast_interval,
    "trigger": trigger,
    "need": need,
    "schedule": schedule,
    "proposal": proposal,
    "chain": chain,
}


def judge(kind: str, given: Json) -> Json:
    """The output for a case's input. Raises BadInput that names the place of what is not as it must be."""
    SHAPES[kind](given, "")
    return _JUDGES[kind](given)


KINDS = frozenset(_JUDGES)
