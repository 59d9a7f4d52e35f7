"""A place as the daily look sees it: what was measured, who sits there, under which contract, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from controller.store.equipment import Equipment
from controller.store.levels import LinkLevel
from controller.store.proposalfacts import ContractFacts
from controller.store.proposals import NewProposal, Proposal
from inventory import catalogue, proposaltext, proposalwords
from inventory.calendar import period_end
from inventory.capacities import ModelBook, PublishedModel, folded, usual_traffic
from inventory.catalogue import CatalogueLine, Model
from inventory.congestion import STALE_DAYS
from inventory.forecast import NoDate, Outlook
from inventory.linkdays import LinkDay, faulty, flapping, packet_words
from inventory.links import Capacity, CapacityKind, Direction, Governing, Link, LinkRole
from inventory.metering import RULE_VERSION, Interval, rate_bps
from inventory.outlooks import busy_packets, busy_rates
from inventory.periods import day_of
from inventory.processors import strained_days
from inventory.proposalmoney import MINIMUM_MONTHS, Money, item_for, money
from inventory.proposals import (
    Advice,
    Basis,
    Circumstances,
    Demand,
    LineNeed,
    ModelOffer,
    Need,
    Remedy,
    RemedyKind,
    Situation,
    Standing,
    Verdict,
    need_bps,
    remedy,
    silence,
    tightest_line,
    trigger,
)
from inventory.proposaltext import TrackRecord

BUSY_DAYS = 14


@dataclass(frozen=True, slots=True)
class Series:
    """One direction of the link: its level, its days, its figures for the need."""

    state: LinkLevel
    days: Sequence[LinkDay]
    capacity: Governing
    p95: Interval
    outlook: Outlook
    packets: Demand | None = None
    """What the device's packets show, in packets/s; None where they are compared with nothing."""

    def demand(self) -> Demand:
        """What it shows, for the need."""
        busy = busy_rates(self.days)
        return Demand(
            rate_bps(self.p95.low),
            tuple(busy[-BUSY_DAYS:]),
            self.outlook.growth_asserted,
            self.outlook.slope_bps_per_week or 0.0,
            self.outlook.level_last_week_bps or 0.0,
        )


def packet_demand(days: Sequence[LinkDay], p95_low: float, expected: Outlook) -> Demand:
    """What the device's packets show, in packets/s throughout (§7.2)."""
    return Demand(
        p95_low,
        tuple(busy_packets(days)[-BUSY_DAYS:]),
        expected.growth_asserted,
        expected.slope_bps_per_week or 0.0,
        expected.level_last_week_bps or 0.0,
    )


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside the link itself."""

    equipment: Equipment | None
    """None: nobody sits there."""
    name: str
    """Of the entry, as people call it."""
    contract: ContractFacts
    book: ModelBook
    ports_used: int
    """Physical interfaces of the place that are metered."""
    line_offers_bps: tuple[float, ...] = ()
    model_ladder: tuple[str, ...] = ()
    """The operator's models from small to big, as they call them."""
    busy_slots: frozenset[int] = frozenset()
    """Slots, by number since the epoch, in which the processor of the adapter that sits there was busy."""


@dataclass(frozen=True, slots=True)
class Found:
    """A remedy, with what it was found from."""

    current: ModelOffer
    need: Need
    remedy: Remedy
    money: Money | None


@dataclass(frozen=True)
class Place:
    """Everything that one look at a link rests on."""

    link: Link
    today: date
    capacities: Sequence[Capacity]
    around: Around
    earlier: Sequence[Proposal]
    """Every proposal of the place, by number."""
    series: Sequence[Series]
    """At least one."""
    falls: Mapping[date, int] = field(default_factory=dict)
    """How often the link went down, by local day."""
    half_duplex: Sequence[str] = ()
    """Its interfaces that send and receive by turns only."""

    @cached_property
    def hottest(self) -> Series:
        """The direction that speaks: the highest level, of a line before that of the device."""
        return max(self.series, key=lambda s: (s.state.level, s.state.direction is not Direction.DEVICE))

    @cached_property
    def current(self) -> ModelOffer | None:
        """The seated adapter as a remedy sees it; None: nobody sits there."""
        equipment = self.around.equipment
        if equipment is None:
            return None
        model = catalogue.model(equipment.model_key)
        known = self.around.book.find(equipment.hardware, model.key)
        if known is None:
            shown = equipment.hardware or _shown(model, equipment.service)
            known = PublishedModel(shown, model.family, "", sold=True)
        return self._offer(equipment, model, known)

    def basis_of(self, direction: str) -> Basis | None:
        """What a proposal of today about a direction would rest on; None: nobody sits there."""
        mine = next((s for s in self.series if s.state.direction.value == direction), None)
        if self.current is None:
            return None
        capacity = None if mine is None else mine.capacity
        return Basis(
            "" if capacity is None else capacity.kind.value,
            0 if capacity is None else capacity.used_bps,
            self.current.model,
        )

    @property
    def stale(self) -> bool:
        """Whether no valid day is recent enough for the level to count."""
        valid = self.hottest.state.valid_day
        return valid is None or (self.today - valid).days > STALE_DAYS

    def judge(self) -> tuple[Verdict, Found | None]:
        """What the checks of §7.1 say as if no proposal were open, and the remedy where they call for one."""
        quiet = silence(self._circumstances(), self.today)
        verdict = trigger(self._situation(quiet))
        if self.current is None:
            return Verdict(False, "no-adapter" if verdict.propose else verdict.reason), None
        if not verdict.propose:
            return verdict, None
        need = self.need()
        candidates = [one for one in self._candidates() if one.model != self.current.model]
        found = remedy(self.current, candidates, need)
        if found.kind is RemedyKind.NONE:
            return Verdict(False, found.reason or found.kind.value), None
        return verdict, Found(self.current, need, found, self._money(found, candidates))

    def proposal(self, reason: str, found: Found, record: TrackRecord | None = None) -> NewProposal:
        """The draft, in both languages, with its evidence."""
        hottest = self.hottest
        facts = proposaltext.Facts(
            interface=self.link.interface,
            direction=hottest.state.direction,
            capacity=hottest.capacity,
            days=tuple(hottest.days),
            p95=hottest.p95,
            outlook=hottest.outlook,
            current=found.current,
            need=found.need,
            remedy=found.remedy,
            money=found.money,
            record=record,
            place=self.around.name,
        )
        series = {
            s.state.direction.value: proposaltext.series_facts(self.link.id, s.days, s.p95, s.outlook)
            for s in self.series
        }
        return NewProposal(
            entry_id=self.link.entry_id,
            link_id=self.link.id,
            reason=reason,
            kind=found.remedy.kind.value,
            model=found.remedy.model,
            monthly_delta_yen=found.money.monthly_delta_yen if found.money else found.remedy.monthly_delta_yen,
            level=int(hottest.state.level),
            text=proposaltext.sentence(facts),
            text_ja=proposalwords.sentence_ja(facts),
            evidence=proposaltext.evidence(facts) | {"series": series, "packets": self.packets_said()},
            rule_version=RULE_VERSION,
        )

    def packets_said(self) -> dict[str, object] | None:
        """What packets per second were compared with on the newest day; None where the device was not judged."""
        days = [s.days[-1] for s in self.series if s.state.direction is Direction.DEVICE and s.days]
        return packet_words(days[-1]) if days else None

    def _circumstances(self) -> Circumstances:
        contract = self.around.contract
        return Circumstances(
            lan_side=self.link.role is LinkRole.LAN,
            faulty=bool(self.half_duplex) or any(faulty(s.days) or flapping(s.days, self.falls) for s in self.series),
            swapping=self.around.equipment is not None and self.around.equipment.failed,
            grade=self.hottest.p95.grade.value,
            capacity_since=self.hottest.capacity.since,
            suspended=contract.suspended,
            ends=contract.ends,
            ordered=self._ordered(),
        )

    def _ordered(self) -> date | None:
        """Day of the newest acceptance, while what that proposal rested on is still so."""
        accepted = max(
            (one for one in self.earlier if one.state == "accepted"), key=lambda one: one.decided_ms or 0, default=None
        )
        if accepted is None:
            return None
        before = standing(accepted, self.link.zone).basis
        same = self.basis_of(str(accepted.evidence.get("direction"))) == before
        return day_of(accepted.decided_ms or 0, self.link.zone) if same else None

    def _situation(self, quiet: str | None) -> Situation:
        state, expected = self.hottest.state, self.hottest.outlook
        declined = max(
            (one for one in self.earlier if one.state == "declined"), key=lambda one: one.decided_ms or 0, default=None
        )
        rested = None if declined is None else (self.today - day_of(declined.decided_ms or 0, self.link.zone)).days
        return Situation(
            level=int(state.level),
            capacity_kind=state.capacity_kind.value,
            valid_days=state.valid_days,
            stale=self.stale,
            saturation_days=self._days_until(expected.saturation),
            late_days=self._days_until(expected.late),
            declined_days_ago=rested,
            level_when_declined=declined.level if declined else None,
            silence=quiet,
        )

    def _days_until(self, day: date | NoDate | None) -> int | None:
        if day is NoDate.ALREADY:
            return 0
        return (day - self.today).days if isinstance(day, date) else None

    def _offer(self, equipment: Equipment, model: Model, known: PublishedModel) -> ModelOffer:
        """A model as a remedy sees it. What is not known is unknown, never zero."""
        ends = known.offered_until
        fee = item_for(equipment.service, equipment.device_class, model.key)
        price = self.around.contract.prices.in_force(fee, "monthly", self.today)
        return ModelOffer(
            model=known.hardware,
            device_class=equipment.device_class or "",
            figures_bps=known.figures_bps,
            ports=known.ports,
            port_speed_bps=known.port_speed_bps,
            monthly_yen=None if price is None else price.yen,
            current=known.sold and (ends is None or ends > period_end(self.today, MINIMUM_MONTHS)),
            line_types=known.line_types,
            service=equipment.service,
            options=_options(model, equipment),
            dialect=model.dialect,
            key=model.key,
            packets_per_s=known.packets_per_s,
        )

    def _candidates(self) -> list[ModelOffer]:
        """Known hardware that the service offers in the same class (MPC-2, SMF-15)."""
        equipment = self.around.equipment
        assert equipment is not None
        wanted = (equipment.service, equipment.device_class)
        return [
            self._offer(equipment, model, known)
            for model in catalogue.MODELS
            if any((row.service, row.device_class) == wanted and row.line != "ultra-firewall" for row in model.lines)
            for known in self.around.book.of(model.key) or self._without_figures(model)
        ]

    def _without_figures(self, model: Model) -> list[PublishedModel]:
        """A model of which nothing is known but that the operator's ladder names it."""
        shown = _shown(model, self.around.equipment.service if self.around.equipment else "")
        if not {folded(shown), folded(model.key)} & {folded(name) for name in self.around.model_ladder}:
            return []
        return [PublishedModel(shown, model.family, "", sold=True, model=model.key)]

    def _in_ladder(self, name: str) -> str:
        """A model of the ladder as offers name it."""
        offers = [*self._candidates(), *([self.current] if self.current else [])]
        return next((one.model for one in offers if folded(name) in {folded(one.model), folded(one.key or "")}), name)

    def need(self) -> Need:
        """What the place needs; somebody must sit there."""
        device = [s.demand() for s in self.series if s.state.direction is Direction.DEVICE]
        packets = [s.packets for s in self.series if s.packets is not None]
        wanted = {s.state.direction: need_bps([s.demand()]) for s in self.series}
        wanted.pop(Direction.DEVICE, None)
        lines = tuple(LineNeed(each, self._line_bps(each), wanted[each]) for each in Direction if each in wanted)
        rate, asked = tightest_line((one.rate_bps, one.need_bps) for one in lines)
        equipment = self.around.equipment
        assert equipment is not None
        return Need(
            line_bps=max(wanted.values(), default=0.0),
            device_bps=need_bps(device),
            device_pps=need_bps(packets),
            traffic_kind=usual_traffic(catalogue.model(equipment.model_key).family),
            line_rate_bps=rate,
            line_need_bps=asked,
            directions=lines,
            line_type=self.link.line_type,
            ports_used=self.around.ports_used,
            options=self.around.contract.options,
            line_offers_bps=self.around.line_offers_bps,
            strained_days=max(strained_days(s.days, self.around.busy_slots, self.link.zone) for s in self.series),
            ladder=tuple(self._in_ladder(name) for name in self.around.model_ladder),
        )

    def _line_bps(self, direction: Direction) -> int | None:
        """What line and shaper let through in a direction."""
        rates = [
            one.up_bps if direction is Direction.UP else one.down_bps
            for one in self.capacities
            if one.kind in (CapacityKind.LINE, CapacityKind.SHAPED) and one.holds_on(self.today)
        ]
        return min((bps for bps in rates if bps), default=None)

    def _money(self, found: Remedy, candidates: Sequence[ModelOffer]) -> Money | None:
        """The money of a remedy that ends a contract line; None where none ends, or a price is missing."""
        key = next((one.key for one in candidates if one.model == found.model), None)
        old, expected = self.around.contract.line, self.hottest.outlook
        if key is None or old is None:
            return None
        device_class = old.item.name.split(":")[1] if old.item.service == "mpc" else None
        return money(
            old,
            item_for(old.item.service, device_class, key),
            self.around.contract.prices,
            today=self.today,
            saturation=expected.saturation if isinstance(expected.saturation, date) else None,
            early=expected.early if isinstance(expected.early, date) else None,
        )


def _shown(model: Model, service: str) -> str:
    """The name of a model in a service."""
    return next((name for of, name in model.names if of == service), model.names[0][1])


def _options(model: Model, equipment: Equipment) -> frozenset[str]:
    """Options that an adapter of the model can have (MPC-6.5, MPC-6.6, SMF-A1)."""
    found = {"mobile-access"} if model.key == "sa-w2l" else set()
    if equipment.device_class == "I":
        found.add("ultra-send-back")
    if CatalogueLine("smfsx", "ultra-firewall") in model.lines:
        found.add("ultra-firewall")
    return frozenset(found)


def standing(one: Proposal, zone: str) -> Standing:
    """An earlier proposal, by what it rests on and what it recommends."""
    capacity, advised = one.evidence.get("capacity", {}), one.evidence.get("remedy", {})
    return Standing(
        day_of(one.created_ms, zone),
        Basis(
            str(capacity.get("kind")),
            int(capacity.get("used_bps") or 0),
            str(one.evidence.get("current", {}).get("model")),
        ),
        Advice(one.kind, one.model, advised.get("line_rate_bps")),
    )
