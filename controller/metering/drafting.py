"""Drafts a proposal where a place is congested or soon will be, with the evidence it rests on (§7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from controller.clock import Clock
from controller.metering.series import KeptPorts, kept_ports, series_of
from controller.store import links, proposalfacts, proposals, traffic
from controller.store.database import Database
from controller.store.links import Equipment, LinkLevel
from controller.store.proposalfacts import Check, ContractFacts
from controller.store.proposals import NewProposal, Proposal
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory import catalogue, proposaltext, proposalwords
from inventory.capacities import PUBLISHED, published, usual_traffic
from inventory.congestion import STALE_DAYS
from inventory.errors import Conflict
from inventory.forecast import NoDate, Outlook
from inventory.linkdays import LinkDay, direction_series
from inventory.links import Capacity, CapacityKind, Direction, Governing, Link, LinkRole, governing
from inventory.metering import RULE_VERSION, Interval, p95_interval, rate_bps
from inventory.outlooks import FORECAST_WEEKS, busy_rates, outlook_of
from inventory.periods import day_of, day_start_ms
from inventory.prices import PriceList
from inventory.proposalmoney import Money, item_for, money
from inventory.proposals import (
    Circumstances,
    Demand,
    ModelOffer,
    Need,
    Remedy,
    RemedyKind,
    Situation,
    Verdict,
    need_bps,
    remedy,
    silence,
    trigger,
)

P95_DAYS = 28
BUSY_DAYS = 14
PAGE = 500


@dataclass(frozen=True, slots=True)
class _Series:
    """One direction of the link: its level, its days, its figures for the need."""

    state: LinkLevel
    days: Sequence[LinkDay]
    capacity: Governing
    p95: Interval
    outlook: Outlook

    def demand(self) -> Demand:
        busy = busy_rates(self.days)
        return Demand(
            rate_bps(self.p95.low),
            tuple(busy[-BUSY_DAYS:]),
            self.outlook.growth_asserted,
            self.outlook.slope_bps_per_week or 0.0,
            self.outlook.level_last_week_bps or 0.0,
        )


class Drafter:
    """Looks at every place once a day. A place with an open proposal gets no second one."""

    def __init__(self, database: Database, traffic_database: TrafficDatabase, clock: Clock) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock

    async def draft_all(self) -> list[Proposal]:
        """Check each link that is judged; the proposals drafted now."""
        drafted, after = [], 0
        while True:
            async with self._database.read() as tx:
                page = await links.page(tx, Scope.everything(), after=after, limit=PAGE)
            for link in page:
                found = await self.draft(link)
                if found:
                    drafted.append(found)
            if len(page) < PAGE:
                return drafted
            after = page[-1].id

    async def draft(self, link: Link) -> Proposal | None:
        """Draft a proposal for the place of a link, if the rules of §7.1 to §7.3 give one."""
        now_ms = self._clock.now_ms()
        today = day_of(now_ms, link.zone)
        async with self._database.read() as tx:
            states = await links.levels(tx, link.id)
            if not states:
                return None
            capacities = await links.known_capacities(tx, link)
            equipment = await links.equipment(tx, link.entry_id)
            contract = await proposalfacts.of_entry(tx, link.entry_id, today)
            earlier = await proposals.page(tx, Scope.everything(), entry_id=link.entry_id, limit=1000)
        series = await self._series(link, capacities, states, today)
        if not series:
            return None
        hottest = max(series, key=lambda s: (s.state.level, s.state.direction is not Direction.DEVICE))
        quiet = silence(_circumstances(link, hottest, contract), today)
        verdict = trigger(_situation(hottest, earlier, today, link.zone, quiet))
        if verdict.propose and equipment is None:
            verdict = Verdict(False, "no-adapter")
        if not verdict.propose or equipment is None:
            await self._note(link, today, verdict)
            return None
        current = _offer(equipment, contract.prices, today)
        need = _need(link, capacities, equipment, series, today)
        candidates = [o for o in _candidates(equipment, contract.prices, today) if o.model != current.model]
        found = remedy(current, candidates, need)
        if found.kind is RemedyKind.NONE:
            await self._note(link, today, Verdict(False, found.reason or found.kind.value))
            return None
        cost = _money(found, candidates, contract, hottest.outlook, today)
        new = _proposal(link, hottest, verdict.reason, (current, found, need, cost), series)
        try:
            async with self._database.write() as tx:
                await proposalfacts.put_check(tx, Check(link.id, today, True, verdict.reason, now_ms))
                return await proposals.draft(tx, now_ms, new)
        except Conflict:
            # Another node drafted one for this place meanwhile; one is enough.
            return None

    async def _note(self, link: Link, today: date, verdict: Verdict) -> None:
        """Keep why nothing is proposed, if it is not what was kept before today's look."""
        async with self._database.read() as tx:
            before = await proposalfacts.check(tx, link.id)
        if before and (before.day, before.proposed, before.reason) == (today, False, verdict.reason):
            return
        async with self._database.write() as tx:
            await proposalfacts.put_check(tx, Check(link.id, today, False, verdict.reason, self._clock.now_ms()))

    async def _series(
        self, link: Link, capacities: list[Capacity], states: list[LinkLevel], today: date
    ) -> list[_Series]:
        first = today - timedelta(days=7 * FORECAST_WEEKS)
        start_ms = day_start_ms(today - timedelta(days=P95_DAYS), link.zone)
        end_ms = day_start_ms(today, link.zone)
        async with self._traffic.read() as tx:
            days = await traffic.link_days(tx, link.id, first, today)
            ports = await kept_ports(tx, link, start_ms, end_ms)
        intervals = await asyncio.to_thread(_intervals, link, ports, start_ms, end_ms)
        found = []
        for state in states:
            capacity = governing(link, capacities, state.direction, today)
            if capacity is None:
                continue
            mine = [day for day in days if day.direction is state.direction and day.capacity is not None]
            since = [day for day in mine if day.capacity == mine[-1].capacity]
            found.append(
                _Series(state, since, capacity, intervals[state.direction], outlook_of(since, first, today, capacity))
            )
        return found


def _intervals(link: Link, ports: KeptPorts, start_ms: int, end_ms: int) -> dict[Direction, Interval]:
    found = series_of(ports, start_ms, end_ms)
    series = direction_series(link, found.into, found.out)
    return {direction: p95_interval(limits.known, limits.groups) for direction, (_, limits, _) in series.items()}


def _circumstances(link: Link, hottest: _Series, contract: ContractFacts) -> Circumstances:
    return Circumstances(
        lan_side=link.role is LinkRole.LAN,
        grade=hottest.p95.grade.value,
        capacity_since=hottest.capacity.since,
        suspended=contract.suspended,
        ends=contract.ends,
    )


def _money(
    found: Remedy, candidates: Sequence[ModelOffer], contract: ContractFacts, expected: Outlook, today: date
) -> Money | None:
    """The money of a remedy that ends a contract line; None where none ends, or a price is missing."""
    key = next((one.key for one in candidates if one.model == found.model), None)
    if key is None or contract.line is None:
        return None
    item = contract.line.item
    device_class = item.name.split(":")[1] if item.service == "mpc" else None
    return money(
        contract.line,
        item_for(item.service, device_class, key),
        contract.prices,
        today=today,
        saturation=expected.saturation if isinstance(expected.saturation, date) else None,
        early=expected.early if isinstance(expected.early, date) else None,
    )


def _monthly_yen(equipment: Equipment, key: str, prices: PriceList, today: date) -> int | None:
    found = prices.in_force(item_for(equipment.service, equipment.device_class, key), "monthly", today)
    return None if found is None else found.yen


def _situation(hottest: _Series, earlier: Sequence[Proposal], today: date, zone: str, quiet: str | None) -> Situation:
    state, expected = hottest.state, hottest.outlook
    declined = max((p for p in earlier if p.state == "declined"), key=lambda p: p.decided_ms or 0, default=None)
    stale = state.valid_day is None or (today - state.valid_day).days > STALE_DAYS
    return Situation(
        level=int(state.level),
        capacity_kind=state.capacity_kind.value,
        valid_days=state.valid_days,
        stale=stale,
        saturation_days=_days_until(expected.saturation, today),
        late_days=_days_until(expected.late, today),
        open_proposal=any(p.state in ("draft", "sent") for p in earlier),
        declined_days_ago=(today - day_of(declined.decided_ms or 0, zone)).days if declined else None,
        level_when_declined=declined.level if declined else None,
        silence=quiet,
    )


def _days_until(day: date | NoDate | None, today: date) -> int | None:
    if day is NoDate.ALREADY:
        return 0
    return (day - today).days if isinstance(day, date) else None


def _offer(equipment: Equipment, prices: PriceList, today: date) -> ModelOffer:
    """The seated adapter as the remedy sees it. What is not published is unknown, never zero."""
    model = catalogue.model(equipment.model_key)
    known = published(equipment.hardware)
    return ModelOffer(
        model=known.hardware if known else equipment.hardware or equipment.model_key,
        device_class=equipment.device_class or "",
        figures_bps=known.figures_bps if known else {},
        ports=None,
        port_speed_bps=None,
        monthly_yen=_monthly_yen(equipment, model.key, prices, today),
        current=True,
        line_types=None,
        service=equipment.service,
        dialect=model.dialect,
        key=model.key,
    )


def _candidates(equipment: Equipment, prices: PriceList, today: date) -> list[ModelOffer]:
    """Published hardware of the families that the service offers in the same class (MPC-2, SMF-15)."""
    offers = []
    for model in catalogue.MODELS:
        if not any(
            row.service == equipment.service and row.device_class == equipment.device_class for row in model.lines
        ):
            continue
        offers += [
            ModelOffer(
                model=known.hardware,
                device_class=equipment.device_class or "",
                figures_bps=known.figures_bps,
                ports=None,
                port_speed_bps=None,
                monthly_yen=_monthly_yen(equipment, model.key, prices, today),
                current=known.sold,
                line_types=None,
                service=equipment.service,
                dialect=model.dialect,
                key=model.key,
            )
            for known in PUBLISHED
            if known.family == model.family
        ]
    return offers


def _need(link: Link, capacities: list[Capacity], equipment: Equipment, series: Sequence[_Series], today: date) -> Need:
    lines = [c for c in capacities if c.kind in (CapacityKind.LINE, CapacityKind.SHAPED) and c.holds_on(today)]
    rates = [bps for c in lines for bps in (c.down_bps, c.up_bps) if bps]
    by_direction = {s.state.direction: s for s in series}
    return Need(
        line_bps=need_bps(s.demand() for s in series if s.state.direction is not Direction.DEVICE),
        device_bps=need_bps([by_direction[Direction.DEVICE].demand()] if Direction.DEVICE in by_direction else []),
        traffic_kind=usual_traffic(catalogue.model(equipment.model_key).family),
        line_rate_bps=min(rates, default=None),
        line_type=link.line_type,
        ports_used=0,
    )


def _proposal(
    link: Link,
    hottest: _Series,
    reason: str,
    judged: tuple[ModelOffer, Remedy, Need, Money | None],
    series: Sequence[_Series],
) -> NewProposal:
    current, found, need, cost = judged
    facts = proposaltext.Facts(
        interface=link.interface,
        direction=hottest.state.direction,
        capacity=hottest.capacity,
        days=tuple(hottest.days),
        p95=hottest.p95,
        outlook=hottest.outlook,
        current=current,
        need=need,
        remedy=found,
        money=cost,
    )
    return NewProposal(
        entry_id=link.entry_id,
        link_id=link.id,
        reason=reason,
        kind=found.kind.value,
        model=found.model,
        monthly_delta_yen=cost.monthly_delta_yen if cost else found.monthly_delta_yen,
        level=int(hottest.state.level),
        text=proposaltext.sentence(facts),
        text_ja=proposalwords.sentence_ja(facts),
        evidence=proposaltext.evidence(facts)
        | {
            "series": {
                s.state.direction.value: proposaltext.series_facts(link.id, s.days, s.p95, s.outlook) for s in series
            }
        },
        rule_version=RULE_VERSION,
    )
