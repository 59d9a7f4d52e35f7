"""Proposals to switch the model or the line: when, how much is needed, and which remedy (§7.1–7.3).

A proposal is evidence and a recommendation, never a change. It stays silent rather than guess (MPC-19, SMF-24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from inventory.links import Direction
from inventory.processors import is_witness

MIN_VALID_DAYS = 28
SATURATION_MAX_DAYS = 90
LATE_MAX_DAYS = 180
DECLINED_REST_DAYS = 90
CAPACITY_REST_DAYS = 28
ENDING_DAYS = 60
REVIEW_DAYS = 7
"""An open proposal stands so long before newer evidence may replace it: a remedy near a limit would change daily."""
ORDERED_DAYS = 180
"""How long an accepted proposal keeps its place quiet while nothing of what it asks for has been done."""
LINE_SHARE = 0.85
PORT_SHARE = 0.90
PROCESSOR_WITNESS = "processor-witness"
"""Note of a remedy that rests on a busy processor: without a claim of size."""
PACKETS_BIND = "packets-per-second"
"""Note of a remedy that is asked for by packets per second: the present model has too few of them."""
MODEL_DERATE = 0.60
"""Published figures are best-case laboratory numbers; this share of them is taken as real."""


@dataclass(frozen=True, slots=True)
class Situation:
    """State of a place as the trigger sees it. Days count from today; a saturation already there is 0."""

    level: int
    capacity_kind: str
    valid_days: int
    stale: bool = False
    saturation_days: int | None = None
    late_days: int | None = None
    open_proposal: bool = False
    declined_days_ago: int | None = None
    level_when_declined: int | None = None
    silence: str | None = None
    """A case of §7.5 that applies, by its name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to propose, and the reason, which is stored and shown either way."""

    propose: bool
    reason: str


def trigger(place: Situation) -> Verdict:
    """Whether a place gets a proposal today; the first of the checks of §7.1 that speaks decides."""
    congested = place.level >= 2 and not place.stale
    saturating = (
        place.saturation_days is not None
        and place.saturation_days <= SATURATION_MAX_DAYS
        and place.late_days is not None
        and place.late_days <= LATE_MAX_DAYS
    )
    if place.open_proposal:
        return Verdict(False, "open-proposal")
    unfit = _no_ground(place.capacity_kind, place.valid_days, congested or saturating)
    if unfit:
        return Verdict(False, unfit)
    if (
        place.declined_days_ago is not None
        and place.declined_days_ago < DECLINED_REST_DAYS
        and place.level <= (place.level_when_declined or 0)
    ):
        return Verdict(False, "declined")
    if place.silence:
        return Verdict(False, place.silence)
    return Verdict(True, "level" if congested else "forecast")


def _no_ground(capacity_kind: str, valid_days: int, urgent: bool) -> str | None:
    """Checks 2 to 4 of §7.1."""
    if capacity_kind == "learned":
        return "capacity-not-known"
    if valid_days < MIN_VALID_DAYS:
        return "not-enough-data"
    return None if urgent else "not-congested"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What may explain a hot link, or make a proposal for it pointless (§7.5)."""

    lan_side: bool = False
    faulty: bool = False
    """Frames with errors, a link that goes up and down, or half duplex explain it rather than load."""
    swapping: bool = False
    """The unit that sits there has failed, and another is to take its place."""
    grade: str = "A"
    """How well the 95th percentile is known."""
    capacity_since: date | None = None
    """First day of the capacity that the link is judged by."""
    suspended: bool = False
    """Of the entry's management."""
    ends: date | None = None
    """Last day of service of the entry's management, once it is known."""
    ordered: date | None = None
    """Day of the acceptance of a proposal that was not carried out yet."""


def silence(place: Circumstances, today: date) -> str | None:
    """The first case of §7.5 that applies, by its name; None if a proposal may be made."""
    if place.lan_side:
        return "lan-side"
    if place.faulty:
        return "fault"
    if place.swapping:
        return "swap"
    if place.grade == "C":
        return "grade-c"
    if place.capacity_since is not None and (today - place.capacity_since).days < CAPACITY_REST_DAYS:
        return "capacity-changed"
    if place.suspended:
        return "suspended"
    if place.ends is not None and (place.ends - today).days <= ENDING_DAYS:
        return "ending"
    if place.ordered is not None and (today - place.ordered).days <= ORDERED_DAYS:
        return "ordered"
    return None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a proposal rests on; when it changes, the proposal is about something that is no more."""

    capacity_kind: str
    capacity_bps: int
    """As it is used, not as it is printed."""
    model: str
    """The model that sits there."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation as it is compared with a newer one."""

    kind: str
    model: str | None
    line_rate_bps: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """An open proposal, as the daily look finds it."""

    drafted: date
    basis: Basis
    advice: Advice


def outdated(
    standing: Standing, today: date, *, basis: Basis | None, verdict: Verdict, stale: bool, advice: Advice | None
) -> str | None:
    """Why an open proposal is superseded today (service-terms §8: newer evidence, the line ends); None: it stands.

    `basis` None: nobody sits there. `verdict` is what the checks say as if none were open, `advice` the remedy they
    lead to; where too little is measured to judge (`stale`), it stands.
    """
    if basis is None:
        return "no-adapter"
    if basis.model != standing.basis.model:
        return "model-changed"
    if basis != standing.basis:
        return "capacity-changed"
    if verdict.reason == "ending" or (verdict.reason in ("not-congested", "fits") and not stale):
        return verdict.reason
    old = (today - standing.drafted).days >= REVIEW_DAYS
    return "newer-evidence" if old and advice is not None and advice != standing.advice else None


@dataclass(frozen=True, slots=True)
class Demand:
    """What one series shows, in bit/s: one direction, or in + out for the device's figure.

    In packets/s throughout, where it is what is compared with a figure in packets/s.
    """

    p95_low_bps: float
    """95th percentile of the last 28 days, the certain end."""
    busy_bps: tuple[float, ...]
    """Busy-hour means of the last 14 valid days."""
    growth_asserted: bool = False
    slope_bps_per_week: float = 0.0
    level_last_week_bps: float = 0.0


def need_bps(series: Iterable[Demand]) -> float:
    """Capacity needed over the next 12 months, in their unit: the largest need of the series (§7.2); 0 for none."""
    return max((_need_of(one) for one in series), default=0.0)


def _need_of(series: Demand) -> float:
    largest = sorted(series.busy_bps[-14:])[-3:]
    busy = sum(largest) / len(largest) if largest else 0.0
    return max(series.p95_low_bps, busy) * _growth(series)


def _growth(series: Demand) -> float:
    if not series.growth_asserted or series.slope_bps_per_week <= 0 or series.level_last_week_bps <= 0:
        return 1.0
    return min(2.0, 1 + 52 * series.slope_bps_per_week / series.level_last_week_bps)


class RemedyKind(StrEnum):
    """What a proposal recommends."""

    NONE = "none"
    LINE = "line"
    MODEL = "model"
    LINE_AND_MODEL = "line+model"


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model as a remedy sees it. Figures by kind of traffic, in bit/s; a kind without figure is absent."""

    model: str
    device_class: str
    figures_bps: Mapping[str, float]
    ports: int | None
    """None: not published; it does not bind, and a note says so."""
    port_speed_bps: float | None
    monthly_yen: int | None
    current: bool
    """In the current life-cycle state, with no end announced within the minimum period."""
    line_types: frozenset[str] | None
    """None: not published, as for `ports`."""
    service: str | None = None
    options: frozenset[str] = frozenset()
    dialect: str | None = None
    key: str | None = None
    """Its row of the catalogue, which prices are for."""
    packets_per_s: float | None = None
    """None: not published, so that it is neither too little nor enough."""


@dataclass(frozen=True, slots=True)
class LineNeed:
    """One direction of the line: what it lets through now, and what it needs, in bit/s."""

    direction: Direction
    rate_bps: float | None
    """None: nobody said."""
    need_bps: float

    @property
    def least_bps(self) -> float:
        """The smallest rate that would do."""
        return self.need_bps / LINE_SHARE

    @property
    def short(self) -> bool:
        """Whether it lets too little through."""
        return self.rate_bps is not None and self.rate_bps * LINE_SHARE < self.need_bps


@dataclass(frozen=True, slots=True)
class Need:
    """What the place needs, and what it has around the device."""

    line_bps: float
    """Need of the busier direction."""
    device_bps: float
    """Need of in + out, for the device's own figure."""
    traffic_kind: str
    line_rate_bps: float | None
    """Of the direction that the line suffices least for."""
    line_type: str
    ports_used: int
    options: frozenset[str] = frozenset()
    """Contract options that the place would lose on a model without them."""
    line_offers_bps: tuple[float, ...] = ()
    """The operator's list of line rates; empty if there is none."""
    derate: float = MODEL_DERATE
    strained_days: int = 0
    """Of the last seven valid days, those on which the processor was busy and the line was not."""
    ladder: tuple[str, ...] = ()
    """The operator's models from small to big, for devices without a figure; empty if there is none."""
    line_need_bps: float | None = None
    """Need of the direction whose rate `line_rate_bps` is, where that is not the busier one."""
    directions: tuple[LineNeed, ...] = ()
    """Down, then up; empty where the place tells only the tightest."""
    device_pps: float = 0.0
    """Need of received and sent packets, per second; 0: they were compared with nothing."""

    @property
    def uneven(self) -> bool:
        """Whether the line lets through more in one direction than in the other."""
        return len({one.rate_bps for one in self.directions}) > 1


def tightest_line(rates_and_needs: Iterable[tuple[float | None, float]]) -> tuple[float | None, float | None]:
    """Rate and need of the direction that a line suffices least for; (None, None) where no rate is known.

    A line of 1 Gbit/s down and 100 Mbit/s up is not too small because it carries 300 Mbit/s down.
    """
    known = [(rate, need) for rate, need in rates_and_needs if rate]
    return max(known, key=lambda one: (one[1] / one[0], -one[0]), default=(None, None))


@dataclass(frozen=True, slots=True)
class Remedy:
    """The recommendation, or the reason for silence."""

    kind: RemedyKind
    reason: str | None = None
    """Why there is no remedy, or what could not be said beside it."""
    model: str | None = None
    monthly_delta_yen: int | None = None
    line_rate_bps: float | None = None
    notes: tuple[str, ...] = field(default=())


def silence_before_remedy(level: int, saturation_days: int | None, capacity_kind: str, valid_days: int) -> str | None:
    """Checks 2 to 4 of §7.1 for a place without a forecast interval; None if a remedy may be sought."""
    urgent = level >= 2 or (saturation_days is not None and saturation_days <= SATURATION_MAX_DAYS)
    return _no_ground(capacity_kind, valid_days, urgent)


def remedy(current: ModelOffer, catalogue: Sequence[ModelOffer], need: Need) -> Remedy:
    """Which remedy suffices (§7.3): a line, a model, both, or none, and why."""
    asked = need.line_bps if need.line_need_bps is None else need.line_need_bps
    line_ok = need.line_rate_bps is None or need.line_rate_bps * LINE_SHARE >= asked
    figure = current.figures_bps.get(need.traffic_kind)
    port_ok, too_many = _port_suffices(current, need), short_of_packets(current, need)
    if port_ok and not too_many and figure is not None and figure * need.derate >= need.device_bps:
        return Remedy(RemedyKind.NONE, "fits") if line_ok else _line(need)
    by_witness = port_ok and figure is None and not too_many
    if by_witness:
        chosen = _next_up(current, catalogue, need)
    else:
        chosen = min(
            (offer for offer in catalogue if _suffices(offer, current, need)),
            key=lambda offer: (_fee_order(offer), offer.figures_bps[need.traffic_kind], offer.model),
            default=None,
        )
    if chosen is None:
        return _without_model("device-figure-unknown" if by_witness else "no-model-suffices", line_ok, need)
    line = None if line_ok else _line(need)
    return Remedy(
        RemedyKind.MODEL if line is None else RemedyKind.LINE_AND_MODEL,
        model=chosen.model,
        monthly_delta_yen=_fee_difference(current, chosen),
        line_rate_bps=line.line_rate_bps if line else None,
        notes=(
            *_notes(current, chosen),
            *((PROCESSOR_WITNESS,) if by_witness else ()),
            *((PACKETS_BIND,) if too_many else ()),
        ),
    )


def short_of_packets(offer: ModelOffer, need: Need) -> bool:
    """Whether a model's figure in packets per second is known and, derated, less than what is needed."""
    return offer.packets_per_s is not None and offer.packets_per_s * need.derate < need.device_pps


def _next_up(current: ModelOffer, catalogue: Sequence[ModelOffer], need: Need) -> ModelOffer | None:
    """The next model of the operator's ladder that can take the place, where the processor is a witness (§7.3)."""
    if not is_witness(need.strained_days) or current.model not in need.ladder:
        return None
    above = need.ladder[need.ladder.index(current.model) + 1 :]
    fit = {offer.model: offer for offer in catalogue if _eligible(offer, current, need)}
    return next((fit[name] for name in above if name in fit), None)


def _line(need: Need, reason: str | None = None) -> Remedy:
    enough = [rate for rate in need.line_offers_bps if rate * LINE_SHARE >= need.line_bps]
    return Remedy(RemedyKind.LINE, reason, line_rate_bps=min(enough, default=None))


def _without_model(reason: str, line_ok: bool, need: Need) -> Remedy:
    return Remedy(RemedyKind.NONE, reason) if line_ok else _line(need, reason)


def _port_suffices(offer: ModelOffer, need: Need) -> bool:
    return offer.port_speed_bps is None or offer.port_speed_bps * PORT_SHARE >= need.line_bps


def _suffices(offer: ModelOffer, current: ModelOffer, need: Need) -> bool:
    """A model without a figure in packets per second is no remedy where the present one has too few of them."""
    figure = offer.figures_bps.get(need.traffic_kind)
    if figure is None or figure * need.derate < need.device_bps or short_of_packets(offer, need):
        return False
    if offer.packets_per_s is None and short_of_packets(current, need):
        return False
    return _eligible(offer, current, need)


def _eligible(offer: ModelOffer, current: ModelOffer, need: Need) -> bool:
    """Whether a model may take the place of another, whatever it carries."""
    return (
        offer.current
        and offer.model != current.model
        and offer.device_class == current.device_class
        and (offer.service == current.service or None in (offer.service, current.service))
        and (offer.ports is None or offer.ports >= need.ports_used)
        and (offer.line_types is None or need.line_type in offer.line_types)
        and need.options <= offer.options
        and _port_suffices(offer, need)
    )


def _fee_order(offer: ModelOffer) -> tuple[bool, int]:
    """Cheapest first; a model without a price after all that have one."""
    return offer.monthly_yen is None, offer.monthly_yen or 0


def _fee_difference(current: ModelOffer, chosen: ModelOffer) -> int | None:
    """None if a price is missing, and for class III, which the customer buys."""
    if chosen.device_class == "III" or current.monthly_yen is None or chosen.monthly_yen is None:
        return None
    return chosen.monthly_yen - current.monthly_yen


def _notes(current: ModelOffer, chosen: ModelOffer) -> tuple[str, ...]:
    notes = []
    if None not in (current.dialect, chosen.dialect) and current.dialect != chosen.dialect:
        notes.append("needs-config-migration")
    if chosen.ports is None:
        notes.append("ports-not-published")
    if chosen.line_types is None:
        notes.append("line-types-not-published")
    return tuple(notes)
