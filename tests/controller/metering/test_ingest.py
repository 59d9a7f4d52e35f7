"""Two ways into the slots, one result; and two nodes that both receive the same adapters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from controller.metering import ingest
from controller.metering.ingest import Ingestor, Interface
from controller.metering.service import AT_ONCE_FOLDED, PolledReading
from controller.store import slotdays
from controller.store import traffic as rows
from controller.store.traffic import Kept, TrafficDatabase
from inventory.slotday import DAY_MS, window
from inventory.timeslots import SLOT_MS, SlotSeries, bounds
from tests.clock import ManualClock
from tests.controller.metering.conftest import Place

PORT_BPS = 1_000_000_000


def series(random_: random.Random, start_ms: int, count: int) -> list[Kept]:
    """A counter that is read once a minute, with what happens to counters now and then."""
    found, at, into, out, uptime = [], start_ms, 10_000, 5_000, 100_000
    source = random_.choice(["snmp", "heartbeat"])
    for _ in range(count):
        step = random_.choice([60_000] * 12 + [0, 1_000, 280_000, 700_000, 5 * 3_600_000])
        at += step
        into += random_.randrange(step * 60 + 1)
        out += random_.randrange(step * 60 + 1)
        uptime += step // 10
        if random_.random() < 0.04:
            into = out = uptime = 7
        up = random_.random() > 0.03
        wild = random_.random() < 0.03
        found.append(
            Kept(
                at,
                into + (1 << 50 if wild else 0),
                out,
                source,
                uptime_cs=uptime if source == "snmp" else None,
                speed_bps=PORT_BPS,
                adapter_id=1,
                up=up,
                in_packets=into // 700 if source == "snmp" else None,
                out_packets=out // 800 if source == "snmp" else None,
                out_drops=out // 90_000 if source == "snmp" else None,
            )
        )
    return found


def offers(random_: random.Random, start_ms: int) -> list[dict[Interface, list[Kept]]]:
    """What five interfaces tell, as it comes: mostly in order, at times late, twice, or both."""
    told: dict[Interface, list[Kept]] = {(n, "ge0"): series(random_, start_ms, 40) for n in range(1, 6)}
    found = []
    while any(told.values()):
        offer = {}
        for name, waiting in told.items():
            if waiting:
                some = [waiting.pop(0) for _ in range(min(len(waiting), random_.choice([1, 1, 4])))]
                if random_.random() < 0.1:
                    random_.shuffle(some)
                offer[name] = some
        found.append(offer)
        if random_.random() < 0.15:
            found.insert(random_.randrange(len(found)), offer)
    return found


async def kept(database: TrafficDatabase, numbers: Sequence[int]) -> list[tuple[object, ...]]:
    """All that is kept of interfaces: slot-days byte for byte, and readings."""
    async with database.read() as tx:
        ids = await rows.interface_ids(tx, [(n, "ge0") for n in numbers])
        found: list[tuple[object, ...]] = []
        for number in numbers:
            one = ids[number, "ge0"]
            days = await slotdays.days_between(tx, one, 0, 1 << 50)
            found += [(start, slotdays.KeptBlob.of(day).slots) for start, day in sorted(days.items())]
            found += [(r,) for r in await rows.readings_around(tx, one, 0, 1 << 50)]
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_what_continues_and_what_does_not_leaves_the_same_bytes_whichever_way_it_goes(
    traffic: TrafficDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random_ = random.Random(seed)
    start_ms = clock.now_ms() - DAY_MS
    told = offers(random_, start_ms)
    await take(traffic, clock, told)
    usual = await kept(traffic, range(1, 6))
    monkeypatch.setattr(ingest, "_lengthened", lambda *_: None)
    later = [{(entry + 5, name): kept for (entry, name), kept in offer.items()} for offer in told]
    await take(traffic, clock, later)
    assert usual == await kept(traffic, range(6, 11))


async def take(
    database: TrafficDatabase, clock: ManualClock, told: Sequence[Mapping[Interface, Sequence[Kept]]]
) -> None:
    """All of it, in order; now and then the process begins anew and remembers nothing."""
    ingestor = Ingestor(database, clock, heartbeat_interval_ms=60_000)
    for number, offer in enumerate(told, 1):
        await ingestor.add(offer)
        if not number % 7:
            ingestor = Ingestor(database, clock, heartbeat_interval_ms=60_000)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
async def test_readings_that_come_one_by_one_in_any_order_make_the_slots_that_they_make_together(
    traffic: TrafficDatabase, clock: ManualClock, seed: int
) -> None:
    """A reading in the middle of a pair tells better what the pair told: the shape, and two sums instead of one."""
    random_ = random.Random(seed)
    start_ms = clock.now_ms() // DAY_MS * DAY_MS - DAY_MS // 8
    at, into, uptime, told = start_ms, 10**12, 10**6, []
    for number in range(90):
        told.append(
            Kept(at, into, 9, "snmp", uptime_cs=uptime, speed_bps=PORT_BPS, adapter_id=1, in_errors=into // 997)
        )
        step = random_.choice([60_000] * 8 + [20_000, 280_000, 700_000, 1_500_000])
        at, into, uptime = at + step, into + random_.randrange(step * 100), uptime + step // 10
        if number == 40 + seed:  # a restart that each later reading declares
            into, uptime = random_.randrange(1_000), random_.randrange(1, step // 20)
    together, apart = ((1, "ge0"), (1, "ge1"))
    await Ingestor(traffic, clock, heartbeat_interval_ms=60_000).add({together: told})
    shuffled = random_.sample(told, len(told))
    some = [shuffled[n : n + 15] for n in range(0, len(shuffled), 15)]
    await take(traffic, clock, [{apart: one} for one in some])
    assert (await Ingestor(traffic, clock, heartbeat_interval_ms=60_000).add({apart: told})).slot_days == 0
    async with traffic.read() as tx:
        ids = await rows.interface_ids(tx, [together, apart])
        days = [await slotdays.days_between(tx, ids[name], start_ms, at) for name in (together, apart)]
    end_ms = at // SLOT_MS * SLOT_MS + SLOT_MS
    whole, pieces = (window([day.day.into for day in one.values()], start_ms, end_ms) for one in days)
    assert pieces.known == whole.known
    assert pieces.covered_ms == whole.covered_ms
    assert pieces.errors == whole.errors
    assert bounds(pieces, PORT_BPS).low == bounds(whole, PORT_BPS).low
    assert bounds(pieces, PORT_BPS).high == bounds(whole, PORT_BPS).high


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_an_interface_whose_readings_reach_two_nodes_by_turns_loses_no_octet(
    traffic: TrafficDatabase, clock: ManualClock
) -> None:
    """Neither believes what it remembers of the last reading: the other node has had a later one."""
    nodes = [Ingestor(traffic, clock, heartbeat_interval_ms=60_000) for _ in range(2)]
    start_ms = clock.now_ms() // SLOT_MS * SLOT_MS - 20 * SLOT_MS
    random_ = random.Random(3)
    octets = 0
    for minute in range(51):
        octets += 0 if minute == 0 else random_.randrange(1_000, 900_000)
        one = Kept(start_ms + 60_000 * minute, octets, octets // 7, "heartbeat", speed_bps=PORT_BPS, adapter_id=1)
        await random_.choice(nodes).add({(1, "ge0"): [one]})
    found = await slots(traffic, start_ms, start_ms + 10 * SLOT_MS)
    assert sum(found.known) == octets
    assert set(found.covered_ms) == {SLOT_MS}


async def slots(database: TrafficDatabase, start_ms: int, end_ms: int) -> SlotSeries:
    """Slots of direction in of the interface that was told first."""
    async with database.read() as tx:
        days = await slotdays.days_between(tx, 1, start_ms, end_ms)
    return window([day.day.into for day in days.values()], start_ms, end_ms)


async def test_what_is_remembered_of_interfaces_is_bounded_and_read_again(
    traffic: TrafficDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "REMEMBERED", 2)
    ingestor = Ingestor(traffic, clock, heartbeat_interval_ms=60_000)
    first = Kept(clock.now_ms() // SLOT_MS * SLOT_MS - SLOT_MS, 0, 0, "snmp", speed_bps=PORT_BPS)
    for minute in range(3):
        one = replace(first, t_ms=first.t_ms + 60_000 * minute, in_octets=100 * minute, out_octets=minute)
        added = await ingestor.add({(n, "ge0"): [one] for n in range(1, 6)})
        assert (added.new, added.duplicates) == (5, 0)
    assert len(ingestor._newest) <= 2
    found = await slots(traffic, first.t_ms, first.t_ms + SLOT_MS)
    assert found.known == (200,)


async def test_whoever_stops_waits_for_the_fold_that_is_under_way(place: Place) -> None:
    """Of a large fleet polls are folded beside the polling; what a fold has taken waits nowhere else."""
    fleet = range(1, AT_ONCE_FOLDED + 2)
    start_ms = place.clock.now_ms()
    for octets in (0, 5_000):
        one = Kept(place.clock.now_ms(), octets, octets, "snmp", speed_bps=PORT_BPS, adapter_id=1)
        await place.metering.ingest_polled([PolledReading(1, entry, "ge0", one) for entry in fleet])
        place.clock.advance(241)
    await place.metering.ingest_polled([])
    await asyncio.sleep(0)
    await place.metering.fold()
    async with place.traffic.read() as tx:
        ids = await rows.interface_ids(tx, [(entry, "ge0") for entry in fleet])
        days = await slotdays.days_of(tx, [(number, start_ms - start_ms % DAY_MS) for number in ids.values()])
    assert {sum(kept.day.into.known) for kept in days.values()} == {5_000}
    assert len(days) == len(fleet)


async def test_many_readings_at_once_are_kept_as_they_are_and_the_first_copy_stays(place: Place) -> None:
    """Whatever stands in a word, a number at its bound, or nothing; PostgreSQL gets them as arrays."""
    words = ['a"b', "c\\d", "{e,f}", "NULL", "", "a b", "計", "%s", "'"]
    told = [
        Kept(
            1_000 * number,
            (1 << 64) - 1 - number,
            number,
            words[number % len(words)],
            uptime_cs=None if number % 2 else number,
            in_packets=(1 << 64) - 1 if number % 3 else None,
        )
        for number in range(60)
    ]
    async with place.traffic.write() as tx:
        await rows.add_interfaces(tx, [(1, "ge0")])
        (number,) = (await rows.interface_ids(tx, [(1, "ge0")])).values()
        copies = [replace(one, out_octets=7) for one in told]
        for some in (told, copies):
            await rows.keep_readings(tx, [rows.reading_row(number, one) for one in some])
        kept = await rows.readings_at(tx, number, [one.t_ms for one in told])
    assert sorted(kept, key=lambda one: one.t_ms) == told


ON_POSTGRES = pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


def rows_read(plan: Mapping[str, Any], table: str) -> int:
    """Rows that a plan took out of a table, by what PostgreSQL counted while it ran."""
    mine = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return round(mine) + sum(rows_read(below, table) for below in plan.get("Plans", ()))


@ON_POSTGRES
async def test_the_newest_readings_are_found_without_reading_those_of_two_days(place: Place) -> None:
    """Each batch asks for them, wherever nodes share PostgreSQL."""
    interfaces, each = 20, 2_000
    asked: list[tuple[str, Any]] = []
    async with place.traffic.write() as tx:
        await rows.add_interfaces(tx, [(number, "ge0") for number in range(interfaces)])
        ids = (await rows.interface_ids(tx, [(number, "ge0") for number in range(interfaces)])).values()
        await tx.exec_driver_sql(
            "INSERT INTO traffic.readings (interface_id, t_ms, in_octets, out_octets, rates, counter_bits, "
            "clock_stepped, source) SELECT i.id, n * 60000, n, n, 0, 64, 0, 'snmp' FROM traffic.interfaces i, "
            f"generate_series(1, {each}) n"
        )

        def heard(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
            asked.append((statement, values))

        event.listen(tx.sync_connection, "before_cursor_execute", heard)
        found = await rows.newest_readings(tx, list(ids)[:10])
        event.remove(tx.sync_connection, "before_cursor_execute", heard)
        ((statement, values),) = asked
        (told,) = (await tx.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)).one()
    assert [[one.t_ms for one in kept] for kept in found.values()] == [[(each - 1) * 60_000, each * 60_000]] * 10
    assert rows_read(told[0]["Plan"], "readings") == 2 * 10
