"""What a proposal says, and the figures it says it with (§7.6). Counters and capacities only (SMF-17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from statistics import median, median_low

from inventory.backtest import Record
from inventory.congestion import DEFAULT_RULES
from inventory.forecast import NoDate, Outlook
from inventory.linkdays import LinkDay
from inventory.links import USED_PERCENT, CapacityKind, Direction, Governing
from inventory.metering import Interval, rate_bps
from inventory.processors import BUSY_PERCENT
from inventory.proposalmoney import Money, money_facts
from inventory.proposalreasons import words
from inventory.proposals import LINE_SHARE, PROCESSOR_WITNESS, LineNeed, ModelOffer, Need, Remedy, RemedyKind
from inventory.timeslots import SLOT_MS

SHOWN_DAYS = 14
P95_DAYS = 28
WEEK = 7
_SOURCES = {
    CapacityKind.LINE: "line rate entered by the operator",
    CapacityKind.SHAPED: "shaper found in the config",
    CapacityKind.PORT: "negotiated port speed",
    CapacityKind.MODEL: "figure of the model, published or entered",
    CapacityKind.LEARNED: "learned from traffic",
}


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How warnings like this one came true, as it may be told: counts of others are rounded to 5 (§7.7)."""

    of: str
    """`link`: its own; `group`: comparable links; `fleet`: all links."""
    warnings: int
    came_true: int
    median_days_ahead: float | None
    origins: int

    @classmethod
    def told(cls, found: Record, of: str) -> TrackRecord:
        """Of a link's own record every count, of others' none that a single contractor could be told by."""
        shown = found if of == "link" else found.rounded()
        return cls(of, shown.warnings, shown.came_true, found.median_lead_days, shown.origins)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the text rests on; `days` are those of the present capacity, in order."""

    interface: str
    direction: Direction
    capacity: Governing
    days: tuple[LinkDay, ...]
    p95: Interval
    outlook: Outlook
    current: ModelOffer
    need: Need
    remedy: Remedy
    money: Money | None = None
    """None: no contract line would end, or a price is missing; then the text is silent about money."""
    record: TrackRecord | None = None
    """None: neither the link nor a group has enough of one."""
    place: str = ""
    """Name of the entry, as people call it."""

    @property
    def valid(self) -> list[LinkDay]:
        """The last valid days, as many as are shown."""
        return [day for day in self.days if day.figures.valid][-SHOWN_DAYS:]

    @property
    def busy_clock(self) -> str | None:
        """The usual busy hour by the local clock; None without a valid day, and where days are not of 24 hours."""
        starts = [day.figures.busy_start_slot for day in self.valid if day.figures.busy_start_slot is not None]
        if not starts:
            return None
        begin = median_low(starts) * 5
        return "–".join(f"{at // 60:02d}:{at % 60:02d}" for at in (begin, begin + 60))

    @property
    def coverage(self) -> float:
        """Share of the time of the last 28 days' slots that was measured."""
        shown = [day for day in self.days if day.slots][-P95_DAYS:]
        slots = sum(day.slots for day in shown)
        return sum(day.covered_ms for day in shown) / (slots * SLOT_MS) if slots else 0.0

    @property
    def packet_utils(self) -> list[float]:
        """Of the last valid days, where packets fill the device sooner than octets; else none."""
        told = [day.figures for day in self.valid if day.figures.packet_util is not None]
        utils = [one.packet_util or 0.0 for one in told]
        return utils if utils and median(utils) > median(one.busy_util or 0.0 for one in told) else []

    @property
    def since(self) -> date | None:
        """First day of the capacity; None where it holds as far back as readings go."""
        return None if self.capacity.since == date.min else self.capacity.since


def mbps(bps: float) -> str:
    """A rate for people: Mbit/s with one place, k, M, G as powers of 1000."""
    return f"{bps / 1e6:,.1f} Mbit/s"


def judged_by(facts: Facts) -> tuple[str, str]:
    """What the direction is judged against, and the whole of what that is a share of, for people."""
    used, nominal = facts.capacity.used_pps, facts.capacity.nominal_pps
    if used is not None and nominal is not None and facts.packet_utils:
        return f"{used:,} packets/s", f"{nominal:,} packets/s"
    return mbps(facts.capacity.used_bps), mbps(facts.capacity.nominal_bps)


def sentence(facts: Facts) -> str:
    """The proposal in words, with its figures."""
    utils = facts.packet_utils or [day.figures.busy_util for day in facts.valid if day.figures.busy_util is not None]
    hot = sum(util >= DEFAULT_RULES.congested_util for util in utils[-WEEK:])
    subject = (
        "the device (in + out)" if facts.direction is Direction.DEVICE else f"{facts.interface} ({facts.direction})"
    )
    used, nominal = judged_by(facts)
    where = f" at {facts.place}" if facts.place else ""
    since = f" from {facts.since.isoformat()} on" if facts.since else ""
    parts = [
        f"{subject}{where}: judged against {used} ({_SOURCES[facts.capacity.kind]}{since}, "
        f"{USED_PERCENT[facts.capacity.kind]} % of {nominal}).",
    ]
    if utils:
        busy = "Busiest hour of packets" if facts.packet_utils else f"Busy hour {facts.busy_clock}"
        parts.append(
            f"{busy}: {100 * median(utils):.0f} % ({len(utils)}-day median), "
            f"above 85 % on {hot} of the last {len(utils[-WEEK:])} measured days."
        )
    parts.append(
        f"95th percentile of the last 28 days {_interval(facts.p95)} (coverage {100 * facts.coverage:.1f} %, "
        f"grade {facts.p95.grade})."
    )
    parts += _growth(facts.outlook)
    parts.append(_recommendation(facts))
    if facts.money:
        parts += _money(facts.money)
    elif facts.remedy.monthly_delta_yen is not None:
        parts.append(f"The monthly fee changes by {facts.remedy.monthly_delta_yen:+,} yen (without tax).")
    if facts.record:
        parts.append(_backtest(facts.record))
    return " ".join(parts)


_OF = {"link": "on this link", "group": "on comparable links", "fleet": "on all links"}


def _backtest(found: TrackRecord) -> str:
    if not found.warnings:
        return f"Back-test: no such warning {_OF[found.of]} in {found.origins} trials."
    ahead = "" if found.median_days_ahead is None else f", median {found.median_days_ahead:.0f} days ahead"
    return f"Back-test: of {found.warnings} such warnings {_OF[found.of]} {found.came_true} came true{ahead}."


def _interval(p95: Interval) -> str:
    low = mbps(rate_bps(p95.low))
    if p95.high is None:
        return f"at least {low}"
    high = mbps(rate_bps(p95.high))
    return low if low == high else f"{low} to {high}"


def _growth(found: Outlook) -> list[str]:
    if isinstance(found.saturation, date):
        pace = f"{mbps(found.slope_bps_per_week or 0)} per week, Z = {found.mann_kendall_z or 0:.1f}"
        early, late = (_shown(day) or "none" for day in (found.early, found.late))
        return [
            f"At the present growth ({pace}) 85 % is reached on {found.saturation.isoformat()} "
            f"(80 % interval {early} to {late})."
        ]
    if found.saturation is NoDate.ALREADY:
        return ["The weekly busy hour is above 85 % already."]
    return []


def _line(found: Remedy, need: Need) -> str:
    """The line that would do; where the two directions differ, what each needs and has."""
    if not need.uneven:
        return (
            f"a line of {mbps(need.line_bps / LINE_SHARE)} or more"
            if found.line_rate_bps is None
            else f"a line of {mbps(found.line_rate_bps)}"
        )
    wanted = " and ".join(f"{mbps(one.least_bps)} or more {one.direction}" for one in need.directions)
    if found.line_rate_bps is not None:
        wanted = f"{mbps(found.line_rate_bps)} in each direction"
    return f"a line of {wanted} (now {'; '.join(_now(one) for one in need.directions)})"


def _now(one: LineNeed) -> str:
    if one.rate_bps is None:
        return f"{one.direction} not known"
    return f"{one.direction} {mbps(one.rate_bps)}, {'short' if one.short else 'enough'}"


def _recommendation(facts: Facts) -> str:
    found, need = facts.remedy, facts.need
    line = _line(found, need)
    model = f"the model {found.model}"
    if facts.current.device_class == "III":
        model = f"a model of this kind: {found.model}"
    packets = f" and {need.device_pps:,.0f} packets/s" if need.device_pps else ""
    reached = f"needed over the next 12 months: {mbps(need.device_bps)}{packets} through the device"
    if PROCESSOR_WITNESS in found.notes:
        reached = (
            f"its processor was at {BUSY_PERCENT} % and more in half of the busy hour on {need.strained_days} of the "
            "last 7 measured days while the line was below 70 %; no figure is published, so no size is claimed"
        )
    match found.kind:
        case RemedyKind.LINE:
            stays = "the router's figure is not the limit; the model can stay"
            if found.reason:
                stays = f"whether the model suffices could not be said: {words(found.reason)}"
            return f"Recommended: {line}; {stays}."
        case RemedyKind.MODEL:
            return f"Recommended: {model} ({reached}); the line can stay."
        case RemedyKind.LINE_AND_MODEL:
            return f"Recommended: {line} and {model} ({reached}); a bigger router alone would not help."
        case RemedyKind.NONE:
            return f"Nothing is recommended: {words(found.reason or '')}."


_DAYS = {"now": "now", "free": "on the first day without a rest charge", "saturation": "on the forecast saturation"}


def _money(found: Money) -> list[str]:
    at = found.recommended
    parts = [
        f"The monthly fee goes from {found.monthly_old_yen:,} to {found.monthly_new_yen:,} yen "
        f"({found.monthly_delta_yen:+,} yen, without tax).",
        "Due once: "
        + "; ".join(
            f"{_DAYS[one.name]} ({one.day.isoformat()}) {one.once_yen:,} yen, "
            f"of which {one.rest.yen:,} yen for the rest of the minimum period of {found.line}"
            for one in found.days
        )
        + ".",
    ]
    if at.name == "now":
        parts.append(f"Cheapest in time: now, charge {at.once_yen:,} yen.")
    else:
        parts.append(f"Cheapest in time: {at.day.isoformat()}, charge {at.once_yen:,} yen.")
    parts.append(f"The new minimum period then lasts until {found.new_period_end.isoformat()}.")
    return parts


def series_facts(link_id: int, days: Sequence[LinkDay], p95: Interval, outlook: Outlook) -> dict[str, object]:
    """Figures of one direction, JSON-ready; each day with the address of the slots that it was made of."""
    return {
        "days": [
            {
                "day": day.day.isoformat(),
                "slots": (
                    f"/api/v1/links/{link_id}/slots?first={day.day.isoformat()}"
                    f"&after={(day.day + timedelta(days=1)).isoformat()}"
                ),
                "valid": day.figures.valid,
                "busy_util": day.figures.busy_util,
                "packet_util": day.figures.packet_util,
                "hot90": day.figures.hot90,
                "unknown_slots": day.figures.unknown_slots,
                "origins": list(day.origins),
            }
            for day in days[-SHOWN_DAYS:]
        ],
        "p95_bps": [rate_bps(p95.low), None if p95.high is None else rate_bps(p95.high)],
        "grade": p95.grade.value,
        "forecast": f"/api/v1/links/{link_id}/forecast",
        "saturation": _shown(outlook.saturation),
        "late": _shown(outlook.late),
        "slope_bps_per_week": outlook.slope_bps_per_week,
    }


def _shown(day: date | NoDate | None) -> str | None:
    return day.isoformat() if isinstance(day, date) else day and day.value


def evidence(facts: Facts) -> dict[str, object]:
    """What the recommendation was computed from, JSON-ready."""
    return {
        "direction": facts.direction.value,
        "capacity": {
            "kind": facts.capacity.kind.value,
            "nominal_bps": facts.capacity.nominal_bps,
            "used_bps": facts.capacity.used_bps,
            "nominal_pps": facts.capacity.nominal_pps,
            "used_pps": facts.capacity.used_pps,
        },
        "need": {
            "line_bps": facts.need.line_bps,
            "device_bps": facts.need.device_bps,
            "device_pps": facts.need.device_pps,
            "traffic_kind": facts.need.traffic_kind,
            "line_rate_bps": facts.need.line_rate_bps,
            "directions": [
                {
                    "direction": one.direction.value,
                    "rate_bps": one.rate_bps,
                    "need_bps": one.need_bps,
                    "least_bps": one.least_bps,
                    "short": one.short,
                }
                for one in facts.need.directions
            ],
            "derate": facts.need.derate,
            "strained_days": facts.need.strained_days,
        },
        "money": money_facts(facts.money) if facts.money else None,
        "backtest": asdict(facts.record) if facts.record else None,
        "current": {
            "model": facts.current.model,
            "figures_bps": dict(facts.current.figures_bps),
            "packets_per_s": facts.current.packets_per_s,
        },
        "remedy": {
            "kind": facts.remedy.kind.value,
            "reason": facts.remedy.reason,
            "model": facts.remedy.model,
            "monthly_delta_yen": facts.remedy.monthly_delta_yen,
            "line_rate_bps": facts.remedy.line_rate_bps,
            "notes": list(facts.remedy.notes),
        },
    }
