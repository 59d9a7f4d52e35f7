"""What is judged: groups, maintenance, alarms, learned ceilings, months and forecasts; on both databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, select, update

from controller.metering import outlooks
from controller.metering.pairing import paired
from controller.metering.series import link_series
from controller.metering.service import MeteringService, PolledReading
from controller.store import alarms, backtests, dayfigures, levels, links, maintenance, months
from controller.store.links import NewLink
from controller.store.scope import Scope
from controller.store.tables.metering import link_capacities
from controller.store.tables.metering import links as link_table
from controller.store.tables.system import events
from controller.store.traffic import Kept
from drivers.sessions.counting import FoundInterface
from inventory.backtest import Record
from inventory.calendar import tokyo_day
from inventory.congestion import Cause, CauseFlag, DayFigures, Level
from inventory.counters import Flag
from inventory.errors import BadInput, Conflict, NotAllowed, NotFound, RuleViolation
from inventory.linkdays import LinkDay, direction_series
from inventory.linkmonths import LinkMonth
from inventory.links import CapacityKind, Direction, Governing, Link, LinkRole, Member
from inventory.maintenance import Interruption
from inventory.metering import p95, p95_interval
from inventory.periods import TOKYO, day_of
from inventory.saturation import AlarmRules
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

SLOT_MS = 300_000
MINUTE_MS = 60_000


def readings(start_ms: int, rates_bps: Sequence[int], *, step_ms: int = SLOT_MS, octets: int = 0) -> list[Kept]:
    """Counter readings of a line that carries these rates down, and a tenth of them up."""
    found = [Kept(start_ms, octets, octets // 10, "snmp", speed_bps=1_000_000_000, adapter_id=1)]
    for number, rate in enumerate(rates_bps, 1):
        octets += rate * step_ms // 8_000
        found.append(replace(found[0], t_ms=start_ms + number * step_ms, in_octets=octets, out_octets=octets // 10))
    return found


async def poll(place: Place, interface: str, kept: Iterable[Kept]) -> None:
    await place.metering.ingest_polled(PolledReading(1, place.entry_id, interface, one) for one in kept)


async def levels_of(place: Place, link: Link | None = None) -> dict[Direction, Level]:
    async with place.database.read() as tx:
        return {one.direction: one.level for one in await levels.of_link(tx, (link or place.link).id)}


async def test_a_group_is_judged_by_the_sum_of_its_slots_and_never_by_the_sum_of_percentiles(place: Place) -> None:
    async with place.database.write() as tx:
        members = (Member("ge1", 1_000_000_000), Member("ge2", 1_000_000_000))
        new = NewLink(place.entry_id, "lag1", LinkRole.WAN, None, None, "static", TOKYO, members)
        lag = await links.add(tx, EVERYTHING, place.by(), new)
    start = place.today_ms(1)
    # Each port is full in another half of the day.
    first = [80_000_000] * 144 + [1_000_000] * 144
    await poll(place, "ge1", readings(start, first))
    await poll(place, "ge2", readings(start, list(reversed(first))))
    async with place.traffic.read() as tx:
        found = await link_series(tx, lag, start, start + DAY_MS)
    known, limits, _ = direction_series(lag, found.into, found.out)[Direction.DOWN]
    summed = 81_000_000 * 75 // 2
    assert set(known) == {summed}
    assert p95_interval(limits.known, limits.groups).low == summed
    assert 2 * p95([rate * 75 // 2 for rate in first]) > summed
    assert lag.speed_bps == 2_000_000_000
    place.clock.advance(1)
    await place.metering.close_days()
    async with place.traffic.read() as tx:
        day = day_of(start, TOKYO)
        (down,) = [
            d for d in await dayfigures.of_link(tx, lag.id, day, day + timedelta(days=1)) if d.direction == "down"
        ]
    assert (down.octets_low, down.octets_high) == (summed * 288, summed * 288)
    assert len(down.hours) == 24
    assert down.hours[0].octets_low == summed * 12


async def test_while_one_port_of_a_group_is_not_measured_the_sum_is_not_known_and_its_room_is_that_port_s(
    place: Place,
) -> None:
    async with place.database.write() as tx:
        members = (Member("ge1", 1_000_000_000), Member("ge2", 100_000_000))
        new = NewLink(place.entry_id, "lag1", LinkRole.WAN, None, None, "static", TOKYO, members)
        lag = await links.add(tx, EVERYTHING, place.by(), new)
    start = place.today_ms(1)
    await poll(place, "ge1", readings(start, [8_000_000] * 12))
    async with place.traffic.read() as tx:
        found = await link_series(tx, lag, start, start + 12 * SLOT_MS)
    known, limits, _ = direction_series(lag, found.into, found.out)[Direction.DOWN]
    assert known == [None] * 12
    assert set(limits.low) == {8_000_000 * 75 // 2}
    assert all(high is not None and 0 <= high - 108_000_000 * 75 // 2 <= 137_500 for high in limits.high)


async def test_an_interface_belongs_to_one_link_and_a_group_has_two_or_more(place: Place) -> None:
    async def add(name: str, *members: Member) -> None:
        async with place.database.write() as tx:
            new = NewLink(place.entry_id, name, LinkRole.WAN, None, None, "static", TOKYO, members)
            await links.add(tx, EVERYTHING, place.by(), new)

    with pytest.raises(BadInput):
        await add("lag1", Member("ge1"))
    with pytest.raises(BadInput):
        await add("lag1", Member("ge1"), Member("ge1"))
    with pytest.raises(Conflict):
        await add("lag1", Member("ge1"), Member("wan1"))
    with pytest.raises(Conflict):
        await add("lag1", Member("ge1", ifindex=3), Member("ge2"))
    await add("lag1", Member("ge1"), Member("ge2"))
    with pytest.raises(Conflict):
        await add("ge2")


async def test_a_nightly_backup_is_congestion_until_its_hours_are_marked_as_bulk_and_p95_stays(place: Place) -> None:
    start = place.today_ms(10)
    night = [10_000_000] * 24 + [99_000_000] * 12 + [10_000_000] * 252
    await poll(place, "wan1", readings(start, night * 10))
    place.clock.advance(1)
    await place.metering.close_days()
    assert (await levels_of(place))[Direction.DOWN] is Level.CRITICAL
    async with place.traffic.read() as tx:
        before = await link_series(tx, place.link, start, start + DAY_MS)
    async with place.database.write() as tx:
        window = await maintenance.add(
            tx,
            EVERYTHING,
            place.by(),
            entry_id=place.entry_id,
            kind="bulk",
            start_ms=start - DAY_MS,
            end_ms=place.clock.now_ms() + DAY_MS,
            daily_min=(120, 180),
            reason="backup",
        )
    names = [(place.entry_id, "wan1")]
    await place.metering.rejudge(names, start - DAY_MS, place.clock.now_ms())
    assert await place.metering.close_days() == 10
    assert (await levels_of(place))[Direction.DOWN] is Level.CALM
    async with place.traffic.read() as tx:
        day = day_of(start, TOKYO)
        kept = await dayfigures.of_link(tx, place.link.id, day, day + timedelta(days=1))
        assert await link_series(tx, place.link, start, start + DAY_MS) == before
    assert {one.maintenance_slots for one in kept} == {18}  # the hour, and the half hour after
    assert {one.figures.valid for one in kept if one.direction is Direction.DOWN} == {True}
    # Taken back, the time counts again.
    async with place.database.write() as tx:
        await maintenance.cancel(tx, EVERYTHING, place.by(), window.id, if_version=None)
    await place.metering.rejudge(names, start - DAY_MS, place.clock.now_ms())
    await place.metering.close_days()
    assert (await levels_of(place))[Direction.DOWN] is Level.CRITICAL


async def test_a_window_of_another_contractor_is_not_seen_and_the_fleet_s_is_the_provider_s(place: Place) -> None:
    now = place.clock.now_ms()
    one_hour = {"kind": "maintenance", "start_ms": now, "end_ms": now + 3_600_000, "daily_min": None, "reason": ""}
    async with place.database.write() as tx:
        mine = await maintenance.add(tx, EVERYTHING, place.by(), entry_id=place.entry_id, **one_hour)  # type: ignore[arg-type]  # fields of a window
        await maintenance.add(tx, EVERYTHING, place.by(), entry_id=None, **one_hour)  # type: ignore[arg-type]  # fields of a window
        stranger = Scope.of(place.contractor_id + 1)
        with pytest.raises(NotFound):
            await maintenance.get(tx, stranger, mine.id)
        with pytest.raises(NotAllowed):
            await maintenance.add(tx, stranger, place.by(), entry_id=None, **one_hour)  # type: ignore[arg-type]  # fields of a window
        await maintenance.cancel(tx, EVERYTHING, place.by(), mine.id, if_version=None)
        with pytest.raises(Conflict):
            await maintenance.cancel(tx, EVERYTHING, place.by(), mine.id, if_version=None)
        assert len(await maintenance.page(tx, stranger)) == 1
        notice = Interruption("planned", tokyo_day(now), emergency=True)
        later = {**one_hour, "reason": "new power supply", "interruption": notice}
        told = await maintenance.add(tx, EVERYTHING, place.by(), entry_id=None, **later)  # type: ignore[arg-type]  # fields of a window
        assert (await maintenance.get(tx, stranger, told.id)).interruption == notice
        late = {**later, "interruption": replace(notice, emergency=False)}
        with pytest.raises(RuleViolation):
            await maintenance.add(tx, EVERYTHING, place.by(), entry_id=None, **late)  # type: ignore[arg-type]  # fields of a window
        with pytest.raises(BadInput):
            await maintenance.add(
                tx,
                EVERYTHING,
                place.by(),
                entry_id=None,
                kind="bulk",
                start_ms=now,
                end_ms=now,
                daily_min=None,
                reason="",
            )


async def test_an_hour_at_98_percent_raises_the_alarm_once_and_half_an_hour_below_90_clears_it(place: Place) -> None:
    start = place.clock.now_ms() // SLOT_MS * SLOT_MS
    day = readings(start, [99_000_000] * 13 + [20_000_000] * 8)

    async def until(slots: int) -> list[bool]:
        at = start + slots * SLOT_MS + 30_000
        place.clock.advance((at - place.clock.now_ms()) / 1000)
        await poll(place, "wan1", [one for one in day if one.t_ms <= at])
        return [change.raised for change in await place.metering.check_alarms()]

    assert await until(11) == []
    assert await until(12) == [True]
    assert await until(13) == []
    assert await until(18) == []
    assert await until(19) == [False]
    assert await until(20) == []
    async with place.database.read() as tx:
        (alarm,) = await alarms.of_links(tx, [place.link.id])
        told = (await tx.scalars(select(events.c.kind).where(events.c.kind.like("link.satur%")))).all()
    assert (alarm.direction, alarm.evidence["capacity_kind"]) == (Direction.DOWN, "line")
    assert alarm.cleared_ms is not None
    assert sorted(told) == ["link.saturated", "link.saturation-cleared"]
    # It is no level, and nothing is proposed for it.
    assert await levels_of(place) == {}


async def test_with_shorter_steps_the_alarm_looks_at_the_readings_themselves(place: Place) -> None:
    rules = AlarmRules(step_ms=5_000, raise_steps=4, clear_steps=2)
    metering = MeteringService(place.database, place.traffic, place.clock, alarm=rules)
    start = place.clock.now_ms() // 5_000 * 5_000
    series = readings(start, [99_000_000] * 5 + [1_000_000] * 4, step_ms=5_000)
    changes = []
    for one in series:
        place.clock.advance((one.t_ms + 1 - place.clock.now_ms()) / 1000)
        await metering.ingest_polled([PolledReading(1, place.entry_id, "wan1", one)])
        changes += [change.raised for change in await metering.check_alarms()]
    assert changes == [True, False]


async def test_a_line_that_is_flat_every_evening_gets_a_learned_ceiling_that_may_only_ask(place: Place) -> None:
    async with place.database.write() as tx:
        await tx.execute(delete(link_capacities))
    evening = [40_000_000] * 240 + [310_000_000] * 30 + [40_000_000] * 18
    start = place.today_ms(5)
    await poll(place, "wan1", readings(start, evening * 5))
    place.clock.advance(1)
    await place.metering.close_days()
    async with place.database.read() as tx:
        (learned,) = [c for c in await links.capacities(tx, place.link.id) if c.kind is CapacityKind.LEARNED]
    assert (learned.down_bps, learned.actor) == (310_000_000, "daemon")
    assert "enter the line rate" in learned.reason
    end = place.today_ms()
    later = [*readings(end, evening * 4, octets=10**12)]
    place.clock.advance(4 * 86_400 + 3_600)
    await poll(place, "wan1", later)
    await place.metering.close_days()
    assert (await levels_of(place))[Direction.DOWN] is Level.WATCH
    async with place.database.read() as tx:
        again = [c for c in await links.capacities(tx, place.link.id) if c.kind is CapacityKind.LEARNED]
    assert len(again) == 1  # the same ceiling begins no new history


async def test_a_month_that_is_over_has_its_percentile_and_late_readings_make_it_anew(place: Place) -> None:
    first = day_of(place.clock.now_ms(), TOKYO).replace(day=1)
    last_month = (first - timedelta(days=1)).replace(day=1)
    days = (first - last_month).days
    start = place.today_ms((day_of(place.clock.now_ms(), TOKYO) - last_month).days)
    body = readings(start, [20_000_000, 40_000_000] * (144 * days))
    # An hour is missing at first: its octets are known, how they are spread is not.
    late = {one.t_ms for one in body[1_000:1_012]}
    await poll(place, "wan1", [one for one in body if one.t_ms not in late])
    await place.metering.close_days()

    async def down() -> LinkMonth:
        async with place.traffic.read() as tx:
            return next(one for one in await months.of_link(tx, place.link.id) if one.direction is Direction.DOWN)

    before = await down()
    assert (before.month, before.slots) == (last_month, 288 * days)
    assert before.covered_ms < before.slots * SLOT_MS
    lines = [
        f'{{"entry":"E-{place.entry_id}","interface":"wan1","at_ms":{one.t_ms},'
        f'"in_octets":{one.in_octets},"out_octets":{one.out_octets}}}\n'
        for one in body
        if one.t_ms in late
    ]
    await place.metering.import_readings(EVERYTHING, "".join(lines).encode())
    await place.metering.close_days()
    after = await down()
    assert after.p95.low == after.p95.high == 40_000_000 * 75 // 2
    assert after.covered_ms >= before.covered_ms
    assert after.octets_low == body[-1].in_octets


async def test_the_forecast_names_date_interval_and_record_or_says_that_nobody_has_one(place: Place) -> None:
    today = day_of(place.clock.now_ms(), TOKYO)
    line = Governing(CapacityKind.LINE, 100_000_000, date(2025, 1, 1))
    async with place.traffic.write() as tx:
        for number in range(20 * 7):
            busy = 0.5 + 0.001 * number + 0.01 * (number * 7 % 5)
            day = today - timedelta(days=20 * 7 - number)
            figures = DayFigures(True, 120, busy, 0, 0)
            made = LinkDay(1, Direction.DOWN, day, figures, Level.CALM, line, 1, 1, (), 1, 288, (), ())
            await dayfigures.put(tx, 1, replace(made, link_id=place.link.id))
    async with place.database.read() as tx:
        capacities = await links.known_capacities(tx, place.link)
    await outlooks.keep_record(place.database, place.traffic, place.link, capacities, place.clock.now_ms())
    found = await outlooks.of_link(place.database, place.traffic, place.link, place.clock.now_ms())
    down = next(one for one in found if one.direction is Direction.DOWN)
    assert isinstance(down.outlook.saturation, date)
    assert isinstance(down.outlook.early, date)
    assert down.outlook.early <= down.outlook.saturation
    async with place.traffic.read() as tx:
        kept = await backtests.read(tx)
    own = next(one for one in kept if one.direction is Direction.DOWN)
    assert own.record.origins >= 1
    assert (down.record is None) == (own.record.origins < 5)
    # A group of fewer than ten contractors is told nothing of the others (SMF-17).
    place_ = backtests.Place(1, "fortigate", "dhcp")
    others = [backtests.Kept(100 + n, Direction.DOWN, replace(place_, contractor_id=n), Record(1)) for n in range(10)]
    thin = replace(own, record=Record(1))
    assert outlooks.chosen([thin, *others[:9]], place.link, Direction.DOWN, place_)[1] == "nobody"
    record, of = outlooks.chosen([thin, *others], place.link, Direction.DOWN, place_)
    assert record is not None
    assert (of, record.origins) == ("group", 11)


def test_one_absurd_reading_between_two_good_ones_is_left_out_in_any_batching() -> None:
    good = readings(0, [8_000_000] * 6, step_ms=MINUTE_MS)
    mad = [*good[:3], replace(good[3], in_octets=10**15), *good[4:]]
    into, out = paired(mad, {one.t_ms for one in mad}, MINUTE_MS)
    assert sum(one.octets_min for one in into) == good[-1].in_octets
    assert all(one.exact for one in into)
    assert [one.length_ms for one in into].count(2 * MINUTE_MS) == 1
    assert Flag.OUTLIER in {mark for one in into for mark in one.marks}
    assert [one.length_ms for one in out] == [MINUTE_MS] * 6  # the other direction was sane


async def test_the_outlier_is_healed_when_the_reading_after_it_comes(place: Place) -> None:
    start = place.clock.now_ms() // SLOT_MS * SLOT_MS
    good = readings(start, [8_000_000] * 4, step_ms=MINUTE_MS, octets=5_000_000_000)
    mad = [*good[:2], replace(good[2], in_octets=6_000_000_000_000), *good[3:]]
    for one in mad:
        await poll(place, "wan1", [one])
    async with place.traffic.read() as tx:
        found = await link_series(tx, place.link, start, start + SLOT_MS)
    assert found.into.known == (good[-1].in_octets - good[0].in_octets,)
    assert found.into.covered_ms == (4 * MINUTE_MS,)
    assert Flag.OUTLIER in found.into.flags[0]


async def test_packets_that_the_device_threw_away_make_a_day_congested_at_half_load(place: Place) -> None:
    start = place.today_ms(4)
    body = []
    for number, one in enumerate(readings(start, ([45_000_000] * 6 + [20_000_000] * 282) * 4)):
        minute = number % 288
        body.append(
            replace(
                one,
                in_octets=one.out_octets,
                out_octets=one.in_octets,
                out_packets=number * 10_000,
                out_drops=(number // 288) * 300 + min(minute, 6) * 50,
            )
        )
    await poll(place, "wan1", body)
    place.clock.advance(1)
    await place.metering.close_days()
    async with place.traffic.read() as tx:
        first = day_of(start, TOKYO)
        days = await dayfigures.of_link(tx, place.link.id, first, first + timedelta(days=4))
    up = [day.figures for day in days if day.direction is Direction.UP]
    assert [(day.drop_slots, round(day.busy_util or 0, 2) < 0.5) for day in up] == [(6, True)] * 4
    assert {day.figures.drop_slots for day in days if day.direction is Direction.DOWN} == {0}
    assert (await levels_of(place))[Direction.UP] is Level.CONGESTED
    async with place.database.read() as tx:
        states = {one.direction: one for one in await levels.of_link(tx, place.link.id)}
        (change,) = [one for one in await levels.changes(tx, EVERYTHING, place.link.id) if one.direction == "up"]
    assert states[Direction.UP].causes == (CauseFlag(Cause.DROPS, 4),)
    assert change.evidence["causes"] == [{"cause": "drops", "days": 3}]
    assert states[Direction.DOWN].causes == ()


async def test_bursts_inside_the_slots_ask_for_capacity_and_raise_watch_at_most(place: Place) -> None:
    start = place.today_ms(7)
    spiky = [65_000_000 if n % 2 else 55_000_000 for n in range(288)]
    await poll(place, "wan1", readings(start, spiky * 7))
    place.clock.advance(1)
    await place.metering.close_days()
    assert (await levels_of(place))[Direction.DOWN] is Level.WATCH
    async with place.database.read() as tx:
        (change,) = [one for one in await levels.changes(tx, EVERYTHING, place.link.id) if one.direction == "down"]
    assert {day["class"] for day in change.evidence["days"]} == {1}
    assert [one["cause"] for one in change.evidence["causes"]] == ["bursts"]
    assert all(0.55 < day["busy_util"] < 0.65 and day["c_req"] > 1 for day in change.evidence["days"])


async def test_two_sources_never_make_a_pair(place: Place) -> None:
    start = place.clock.now_ms() // SLOT_MS * SLOT_MS
    polled = readings(start, [8_000_000], step_ms=MINUTE_MS)
    other = replace(polled[1], source="fortios-rest", in_octets=10**9)
    await poll(place, "wan1", [polled[0], other])
    async with place.traffic.read() as tx:
        found = await link_series(tx, place.link, start, start + SLOT_MS)
    assert found.into.known == (0,)
    assert found.into.flags[0] == {Flag.GAP}


async def test_octets_that_moved_while_the_link_was_down_are_kept_and_marked(place: Place) -> None:
    start = place.clock.now_ms() // SLOT_MS * SLOT_MS
    down = [replace(one, up=False) for one in readings(start, [8_000_000], step_ms=MINUTE_MS)]
    await poll(place, "wan1", down)
    async with place.traffic.read() as tx:
        found = await link_series(tx, place.link, start, start + SLOT_MS)
    assert found.into.known == (8_000_000 * 60 // 8,)
    assert found.into.flags[0] == {Flag.MEASURED, Flag.STATE}


async def test_port_speeds_come_from_the_device_where_none_was_entered(place: Place) -> None:

    async with place.database.write() as tx:
        await tx.execute(update(link_table).values(port_speed_bps=None))
    found = [FoundInterface("wan1", 1, "", 100_000_000, True)]
    await place.metering.ports_found(place.entry_id, found)
    await place.metering.ports_found(place.entry_id, [replace(found[0], speed_bps=10_000_000)])
    async with place.database.read() as tx:
        link = await links.get(tx, EVERYTHING, place.link.id)
    assert (link.port_speed_bps, link.version) == (100_000_000, 2)
