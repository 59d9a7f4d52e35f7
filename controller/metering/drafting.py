"""Drafts a proposal where a place is congested or soon will be, and ends what is out of date (§7, terms §8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from controller.clock import Clock
from controller.metering.grounds import grounds
from controller.metering.outlooks import LINE, chosen
from controller.metering.places import Around, Found, Place, Series, packet_demand, standing
from controller.metering.series import KeptPorts, kept_ports, series_of
from controller.store import (
    backtests,
    beats,
    counteragents,
    dayfigures,
    entries,
    equipment,
    falls,
    levels,
    links,
    modelfigures,
    proposalfacts,
    proposals,
    traffic,
)
from controller.store.database import Database
from controller.store.levels import LinkLevel
from controller.store.proposalfacts import Check
from controller.store.proposals import NewProposal, Proposal, State
from controller.store.scope import By, Scope
from controller.store.traffic import TrafficDatabase
from inventory.errors import Conflict, StaleVersion
from inventory.linkdays import direction_series, packets_through
from inventory.links import Capacity, Direction, Link, governing
from inventory.metering import Interval, p95, p95_interval
from inventory.outlooks import FORECAST_WEEKS, busy_packets, outlook_of, packet_outlook
from inventory.periods import TOKYO, day_of, day_start_ms
from inventory.proposals import Advice, Verdict, outdated
from inventory.proposaltext import TrackRecord
from inventory.timeslots import SLOT_MS

P95_DAYS = 28
PAGE = 500
EVERYTHING = Scope.everything()


class Drafter:
    """Looks at every place once a day. A place with an open proposal gets no second one."""

    def __init__(
        self,
        database: Database,
        traffic_database: TrafficDatabase,
        clock: Clock,
        *,
        line_offers_bps: Sequence[int] = (),
        model_ladder: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock
        self._line_offers_bps = tuple(float(one) for one in line_offers_bps)
        self._model_ladder = tuple(model_ladder)

    async def draft_all(self) -> list[Proposal]:
        """Check each link that is judged; the proposals drafted now."""
        drafted, after = [], 0
        while True:
            async with self._database.read() as tx:
                page = await links.page(tx, EVERYTHING, after=after, limit=PAGE)
            for link in page:
                found = await self.draft(link)
                if found:
                    drafted.append(found)
            if len(page) < PAGE:
                return drafted
            after = page[-1].id

    async def draft(self, link: Link) -> Proposal | None:
        """Look at the place of a link; the proposal that is drafted now, if the rules of §7.1 to §7.3 give one.

        An open one of this link is superseded where what it rests on is no more, or newer evidence asks for another.
        """
        now_ms = self._clock.now_ms()
        place = await self._place(link, day_of(now_ms, link.zone))
        if place is None:
            return None
        open_one = next((one for one in place.earlier if one.open), None)
        if open_one is not None and open_one.link_id != link.id:
            await self._note(link, place.today, Verdict(False, "open-proposal"), {"proposal": open_one.id})
            return None
        verdict, found = place.judge()
        if open_one is None:
            if found is None:
                await self._note(link, place.today, verdict, grounds(place, verdict.reason))
                return None
            return await self._put(await self._worded(place, verdict, found))
        ended = outdated(
            standing(open_one, link.zone),
            place.today,
            basis=place.basis_of(str(open_one.evidence.get("direction"))),
            verdict=verdict,
            stale=place.stale,
            advice=None
            if found is None
            else Advice(found.remedy.kind.value, found.remedy.model, found.remedy.line_rate_bps),
        )
        if ended is None:
            await self._note(link, place.today, Verdict(False, "open-proposal"), {"proposal": open_one.id})
            return None
        if found is not None and ended == "newer-evidence":
            return await self._put(await self._worded(place, verdict, found), instead_of=open_one)
        await self._end(open_one, "superseded", ended)
        reason = verdict.reason if found is None else ended
        await self._note(link, place.today, Verdict(False, reason), grounds(place, reason))
        return None

    async def expire(self) -> list[Proposal]:
        """End what was sent and could be accepted until a day that is over; what ended now."""
        async with self._database.read() as tx:
            over = await proposals.past_validity(tx, day_of(self._clock.now_ms(), TOKYO))
        ended = [await self._end(one, "expired", f"it was valid until {one.valid_until}") for one in over]
        return [one for one in ended if one is not None]

    async def _place(self, link: Link, today: date) -> Place | None:
        """None: nothing was judged there yet, or there is no capacity to judge by."""
        async with self._database.read() as tx:
            states = await levels.of_link(tx, link.id)
            if not states:
                return None
            capacities = await links.known_capacities(tx, link)
            place = await entries.get(tx, EVERYTHING, link.entry_id)
            around = Around(
                equipment=await equipment.seated(tx, link.entry_id),
                name=place.name or place.key,
                contract=await proposalfacts.of_entry(tx, link.entry_id, today),
                book=await modelfigures.book(tx),
                ports_used=_physical(await links.of_entries(tx, EVERYTHING, [link.entry_id])),
                line_offers_bps=self._line_offers_bps,
                model_ladder=self._model_ladder,
            )
            earlier = await proposals.page(tx, EVERYTHING, entry_id=link.entry_id, limit=1000)
        if around.equipment is not None and self._model_ladder:
            since_ms = self._clock.now_ms() - beats.BUSY_KEPT_MS
            async with self._traffic.read() as tx:
                busy = await beats.busy_slots(tx, around.equipment.adapter_id, since_ms)
            around = replace(around, busy_slots=frozenset(busy))
        series = await self._series(link, capacities, states, today)
        if not series:
            return None
        falls = await self._falls(link, today)
        half_duplex: list[str] = []
        if around.equipment is not None:
            async with self._database.read() as tx:
                names = [port.interface for port in link.ports]
                half_duplex = await counteragents.half_duplex(tx, around.equipment.adapter_id, names)
        return Place(link, today, capacities, around, earlier, series, falls, half_duplex)

    async def _falls(self, link: Link, today: date) -> Counter[date]:
        """How often the link went down on each of the last local days; seven valid ones may lie further apart."""
        start_ms = day_start_ms(today - timedelta(days=P95_DAYS), link.zone)
        async with self._traffic.read() as tx:
            ids = await traffic.interface_ids(tx, [(link.entry_id, port.interface) for port in link.ports])
            found = await falls.of_interfaces(tx, list(ids.values()), start_ms, day_start_ms(today, link.zone))
        return Counter(day_of(t_ms, link.zone) for t_ms in found)

    async def _series(
        self, link: Link, capacities: list[Capacity], states: list[LinkLevel], today: date
    ) -> list[Series]:
        first = today - timedelta(days=7 * FORECAST_WEEKS)
        start_ms = day_start_ms(today - timedelta(days=P95_DAYS), link.zone)
        end_ms = day_start_ms(today, link.zone)
        async with self._traffic.read() as tx:
            days = await dayfigures.of_link(tx, link.id, first, today)
            ports = await kept_ports(tx, link, start_ms, end_ms)
        intervals, packets = await asyncio.to_thread(_intervals, link, ports, start_ms, end_ms)
        found = []
        for state in states:
            capacity = governing(link, capacities, state.direction, today)
            if capacity is None:
                continue
            mine = [day for day in days if day.direction is state.direction and day.capacity is not None]
            since = [day for day in mine if day.capacity == mine[-1].capacity]
            told = outlook_of(since, first, today, capacity)
            of_packets = None
            if capacity.used_pps and packets is not None and busy_packets(since):
                of_packets = packet_demand(since, packets, packet_outlook(since, first, today, capacity))
            found.append(Series(state, since, capacity, intervals[state.direction], told, of_packets))
        return found

    async def _record(self, link: Link, direction: Direction) -> TrackRecord | None:
        """How such warnings came true before; None where nobody has enough of a record."""
        async with self._database.read() as tx:
            group = await backtests.place_of(tx, link)
        async with self._traffic.read() as tx:
            kept = await backtests.read(tx)
        record, of = chosen(kept, link, direction, group) if direction in LINE else (None, "nobody")
        return None if record is None or of == "nobody" else TrackRecord.told(record, of)

    async def _note(self, link: Link, today: date, verdict: Verdict, facts: Mapping[str, object]) -> None:
        """Keep why nothing is proposed and what that rests on, if it is not what today's look kept before."""
        async with self._database.read() as tx:
            before = await proposalfacts.check(tx, link.id)
        new = Check(link.id, today, False, verdict.reason, self._clock.now_ms(), facts)
        if before and replace(before, made_ms=new.made_ms) == new:
            return
        async with self._database.write() as tx:
            await proposalfacts.put_check(tx, new)

    async def _end(self, one: Proposal, state: State, reason: str) -> Proposal | None:
        """None: somebody was quicker, and theirs stands."""
        try:
            async with self._database.write() as tx:
                return await proposals.decide(
                    tx, EVERYTHING, self._by(), one.id, state=state, if_version=one.version, reason=reason
                )
        except (Conflict, StaleVersion):
            return None

    async def _worded(self, place: Place, verdict: Verdict, found: Found) -> NewProposal:
        record = await self._record(place.link, place.hottest.state.direction)
        return place.proposal(verdict.reason, found, record)

    async def _put(self, new: NewProposal, *, instead_of: Proposal | None = None) -> Proposal | None:
        """None: another node drafted one for this place meanwhile, or a person decided the old one; one is enough."""
        now_ms = self._clock.now_ms()
        today = day_of(now_ms, TOKYO)
        try:
            async with self._database.write() as tx:
                if instead_of is not None:
                    await proposals.decide(
                        tx,
                        EVERYTHING,
                        self._by(),
                        instead_of.id,
                        state="superseded",
                        if_version=instead_of.version,
                        reason="newer-evidence",
                    )
                facts = {"kind": new.kind, "level": new.level}
                await proposalfacts.put_check(tx, Check(new.link_id, today, True, new.reason, now_ms, facts))
                return await proposals.draft(tx, now_ms, new)
        except (Conflict, StaleVersion):
            return None

    def _by(self) -> By:
        return By(proposals.DRAFTED_BY, self._clock.now_ms())


def _physical(found: Sequence[Link]) -> int:
    """Interfaces of a place without those on top of others: sub-interfaces, PPP and tunnels need no port."""
    names = {port.interface.partition(".")[0].partition(":")[0].lower() for link in found for port in link.ports}
    return sum(not name.startswith(("ppp", "tun", "lo", "ipsec")) for name in names)


def _intervals(
    link: Link, ports: KeptPorts, start_ms: int, end_ms: int
) -> tuple[dict[Direction, Interval], float | None]:
    """Percentiles of each direction, and the certain end of that of the packets per second; None: nobody told them."""
    found = series_of(ports, start_ms, end_ms)
    series = direction_series(link, found.into, found.out)
    packets = [passed or 0 for passed in packets_through(found.into, found.out)]
    return (
        {direction: p95_interval(limits.known, limits.groups) for direction, (_, limits, _) in series.items()},
        p95(packets) * 1_000 / SLOT_MS if packets else None,
    )
