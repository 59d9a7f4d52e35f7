"""From readings to a flag: what an operator sees of metering, on both databases."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from controller.metering.ingest import Added
from controller.phonehome.beats import Beat
from controller.store import dayfigures, levels, links, proposals, slotdays, traffic
from controller.store.scope import Scope
from controller.store.tables.system import events
from drivers.arms.heartbeat import LAYOUTS
from drivers.simulator.traffic import SLOT_MS, Profile, Traffic, ndjson
from inventory.congestion import Level
from inventory.counters import Flag
from inventory.errors import BadInput, Conflict, NotFound
from inventory.links import Capacity, CapacityKind, Direction
from inventory.periods import TOKYO, day_of
from inventory.slotday import flags_of, window
from inventory.timeslots import SlotSeries
from tests.controller.beats import batch
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

COUNT, RATE = 0x38, 0x39

BUSY = Profile(seed=3, kind="office", capacity_bps=100_000_000, busy_share=0.97, bursts=False)
CALM = replace(BUSY, busy_share=0.3)


async def slots_of(place: Place, start_ms: int, end_ms: int, direction: str = "into") -> SlotSeries:
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        kept = await slotdays.days_between(tx, next(iter(ids.values())), start_ms, end_ms)
    return window([getattr(k.day, direction) for k in kept.values()], start_ms, end_ms)


def statistic(kind: int, into: int, out: int, packets: int = 1) -> bytes:
    value = LAYOUTS[kind].struct.pack(3, into, out, packets, packets, 0, 0)
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def heartbeat(place: Place, into: int, out: int = 0, *, kind: int = COUNT) -> Beat:
    """A heartbeat of the place's adapter, now; no two are alike, as packets are counted too."""
    return Beat(
        place.adapter_id,
        place.entry_id,
        place.clock.now_ms(),
        place.clock.monotonic_ms(),
        statistic(kind, into, out, place.clock.now_ms() // 1000),
    )


async def ingest(place: Place, *beats: Beat) -> Added:
    """Keep them as one batch, and settle it."""
    await place.metering.keep(batch(*beats))
    return await place.metering.settle()


async def test_imported_readings_become_the_true_slots_and_the_same_import_again_changes_nothing(place: Place) -> None:
    body = place.past(BUSY, 3)
    first = await place.metering.import_readings(EVERYTHING, body)
    assert (first.lines, first.new, first.duplicates) == (865, 865, 0)
    start, end = place.today_ms(3), place.today_ms()
    before = await slots_of(place, start, end)
    assert list(before.known) == [into for into, _ in Traffic(BUSY, start).slots(start, end)]
    again = await place.metering.import_readings(EVERYTHING, body)
    assert (again.new, again.duplicates, again.slot_days) == (0, 865, 0)
    assert await slots_of(place, start, end) == before


async def test_an_import_may_come_in_any_pieces_and_any_order(place: Place) -> None:
    lines = place.past(CALM, 1).splitlines(keepends=True)
    body = b"".join(reversed(lines))

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 777):
            yield body[begin : begin + 777]

    await place.metering.import_readings(EVERYTHING, chunks())
    start, end = place.today_ms(1), place.today_ms()
    assert list((await slots_of(place, start, end)).known) == [i for i, _ in Traffic(CALM, start).slots(start, end)]


async def test_one_wrong_line_and_nothing_is_imported_but_every_wrong_line_is_named(place: Place) -> None:
    good = place.past(CALM, 1)
    wrong = [
        b'{"entry":"E-1"',
        b"[]",
        b'{"entry":"S-1","interface":"wan1","at_ms":1,"in_octets":1,"out_octets":1}',
        b'{"entry":"E-1","interface":"wan1","at":"yesterday","in_octets":1,"out_octets":1}',
        b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":-1,"out_octets":1}',
        b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":1.5,"out_octets":1}',
        b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":1,"out_octets":1,"counter_bits":16}',
        b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":1,"out_octets":1,"source":"heartbeat"}',
        b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":1,"out_octets":1,"speed":1}',
        b'{"entry":"E-1","interface":"wan1","at_ms":99999999999999,"in_octets":1,"out_octets":1}',
        b'{"entry":"E-1","interface":"lan7","at_ms":1,"in_octets":1,"out_octets":1}',
        b'{"entry":"E-1","interface":"wan1","in_octets":1,"out_octets":1}',
    ]
    body = good + b"\n".join(line.replace(b"E-1", f"E-{place.entry_id}".encode()) for line in wrong)
    with pytest.raises(BadInput) as refused:
        await place.metering.import_readings(EVERYTHING, body)
    errors = refused.value.facts["errors"]
    assert isinstance(errors, list)
    assert [(e["line"] - 289, e["field"]) for e in errors] == [
        (1, None),
        (2, None),
        (3, "entry"),
        (4, "at"),
        (5, "in_octets"),
        (6, "in_octets"),
        (7, "counter_bits"),
        (8, "source"),
        (9, "speed"),
        (10, "at_ms"),
        (11, "interface"),
        (12, "at"),
    ]
    assert refused.value.field == "line 290"
    async with place.traffic.read() as tx:
        assert await slotdays.changed_days(tx, 1 << 50) == []


async def test_another_contractor_cannot_import_into_this_place(place: Place) -> None:
    with pytest.raises(BadInput, match="no link"):
        await place.metering.import_readings(Scope.of(place.contractor_id + 1), place.past(CALM, 1))
    with pytest.raises(NotFound):
        async with place.database.read() as tx:
            await links.get(tx, Scope.of(place.contractor_id + 1), place.link.id)


async def test_a_line_of_a_megabyte_is_refused_before_it_is_read(place: Place) -> None:
    with pytest.raises(BadInput, match="line 1 is longer"):
        await place.metering.import_readings(EVERYTHING, b"x" * 1_000_000)


async def test_heartbeats_go_on_where_the_imported_readings_end(place: Place) -> None:
    start = place.today_ms(1)
    line = Traffic(BUSY, start)
    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 1))
    place.clock.advance((place.today_ms(-1) - place.clock.now_ms()) / 1000)
    midnight = place.clock.now_ms()
    missing = line.readings(place.today_ms(1), midnight)
    await place.metering.import_readings(
        EVERYTHING, b"".join(ndjson(f"E-{place.entry_id}", place.link.interface, missing))
    )
    for _ in range(10):
        place.clock.advance(60)
        into, out = line.octets_at(place.clock.now_ms())
        await ingest(place, heartbeat(place, into, out))
    series = await slots_of(place, midnight, midnight + 2 * SLOT_MS)
    assert list(series.known) == [i for i, _ in line.slots(midnight, midnight + 2 * SLOT_MS)]
    assert series.covered_ms == (SLOT_MS, SLOT_MS)
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        kept = await slotdays.days_between(tx, next(iter(ids.values())), midnight, midnight + 1)
    assert {o for k in kept.values() for o in k.day.origins} == {"heartbeat", "import"}


async def test_a_lost_heartbeat_loses_nothing_because_counters_tell_the_difference(place: Place) -> None:
    start = place.clock.now_ms()
    for minutes, octets in ((0, 0), (1, 100), (4, 400), (5, 500)):
        place.clock.advance(minutes * 60 - (place.clock.now_ms() - start) / 1000)
        await ingest(place, heartbeat(place, octets))
    assert (await slots_of(place, start, start + SLOT_MS)).known == (500,)


async def test_a_late_heartbeat_finds_its_place_and_a_repeated_one_none(place: Place) -> None:
    start = place.clock.now_ms()
    early = heartbeat(place, 0)
    place.clock.advance(480)
    middle = heartbeat(place, 800)
    place.clock.advance(420)
    late = heartbeat(place, 1500)
    await ingest(place, early, late)
    groups = (await slots_of(place, start, start + 3 * SLOT_MS)).groups
    assert [(g.octets_min, g.octets_max) for g in groups] == [(1500, 1500)]
    await ingest(place, middle)
    added = await ingest(place, middle)
    assert (added.new, added.duplicates) == (0, 1)
    after = await slots_of(place, start, start + 3 * SLOT_MS)
    assert sum(after.known) + sum(g.octets_min for g in after.groups) == 1500
    assert [(g.octets_min, g.octets_max) for g in after.groups] == [(800, 800)]


async def test_a_promoted_standby_s_counter_is_not_subtracted_from_the_old_unit_s(place: Place) -> None:
    start = place.clock.now_ms()
    await ingest(place, heartbeat(place, 1_000))
    place.clock.advance(60)
    other = replace(heartbeat(place, 900_000_000_000), adapter_id=place.adapter_id + 1)
    await ingest(place, other)
    assert (await slots_of(place, start, start + SLOT_MS)).known == (0,)


async def test_a_power_on_phone_home_keeps_the_octets_since_boot(place: Place) -> None:
    start = place.clock.now_ms()
    await ingest(place, heartbeat(place, 9_000_000))
    place.clock.advance(120)
    place.metering.declare_restart(place.adapter_id, start + 60_000)
    await ingest(place, heartbeat(place, 5_000))
    series = await slots_of(place, start, start + SLOT_MS)
    assert series.known == (5_000,)
    assert series.covered_ms == (60_000,)
    assert Flag.RESET in series.flags[0]


async def test_a_step_of_our_own_clock_forward_loses_no_octet_and_leaves_a_gap_that_says_so(place: Place) -> None:
    start = place.clock.now_ms()
    await ingest(place, heartbeat(place, 0))
    place.clock.advance(60)
    place.clock.step_ms(30_000)
    await ingest(place, heartbeat(place, 600))
    series = await slots_of(place, start, start + SLOT_MS)
    assert series.known == (600,)
    assert series.covered_ms == (60_000,)  # half a minute was never lived through
    assert series.flags[0] == {Flag.MEASURED, Flag.GAP, Flag.CLOCK}


async def test_a_step_of_our_own_clock_back_covers_time_twice_and_adds_its_octets(place: Place) -> None:
    start = place.clock.now_ms()
    await ingest(place, heartbeat(place, 0))
    for number in range(1, 11):
        place.clock.advance(60)
        if number == 4:
            place.clock.step_ms(-119_500)
        await ingest(place, heartbeat(place, 1_000 * number))
    series = await slots_of(place, start, start + 2 * SLOT_MS)
    assert sum(series.known) == 10_000  # what was counted is there, each octet once
    assert sum(series.covered_ms) == 480_500  # ten minutes, of which two came twice
    assert Flag.CLOCK in series.flags[0]


async def test_where_a_packet_has_count_and_rate_the_count_is_used(place: Place) -> None:
    start = place.clock.now_ms()
    for octets in (0, 600):
        counted = heartbeat(place, octets)
        await ingest(place, replace(counted, content=statistic(RATE, 99, 99) + counted.content))
        place.clock.advance(60)
    assert (await slots_of(place, start, start + SLOT_MS)).known == (600,)


async def test_rates_count_only_for_their_own_interval(place: Place) -> None:
    start = place.clock.now_ms()
    for wait in (60, 180):
        await ingest(place, heartbeat(place, 10, 20, kind=RATE))
        place.clock.advance(wait)
    await ingest(place, heartbeat(place, 10, 20, kind=RATE))
    series = await slots_of(place, start, start + SLOT_MS, "out")
    assert (series.known, series.covered_ms) == ((2400,), (120_000,))


async def test_traffic_of_a_unit_that_sits_nowhere_is_nobody_s(place: Place) -> None:
    added = await ingest(place, replace(heartbeat(place, 1), entry_id=None))
    assert added.new == 0


async def test_a_line_overloaded_on_three_evenings_is_congested_with_its_evidence(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 10))
    assert await place.metering.close_days() == 10
    async with place.database.read() as tx:
        found = {state.direction: state for state in await levels.of_link(tx, place.link.id)}
        changes = await levels.changes(tx, EVERYTHING, place.link.id)
    assert found[Direction.DOWN].level >= Level.CONGESTED
    assert found[Direction.UP].level is Level.CALM
    assert (found[Direction.DEVICE].level, found[Direction.DEVICE].capacity_kind) == (Level.CALM, CapacityKind.MODEL)
    newest = changes[0].evidence
    assert newest["capacity"] == {"kind": "line", "nominal_bps": 100_000_000, "used_bps": 100_000_000}
    assert len(newest["worst_slots"]) == 3
    assert all(day["origins"] == ["import"] for day in newest["days"])
    assert await place.metering.close_days() == 0


async def test_late_readings_make_a_closed_day_again_and_keep_what_it_was(place: Place) -> None:
    lines = place.past(BUSY, 3).splitlines(keepends=True)
    await place.metering.import_readings(EVERYTHING, b"".join(lines[:400] + lines[600:]))
    await place.metering.close_days()
    await place.metering.import_readings(EVERYTHING, b"".join(lines))
    assert await place.metering.close_days() > 0
    start, end = place.today_ms(3), place.today_ms()
    series = await slots_of(place, start, end)
    assert list(series.known) == [into for into, _ in Traffic(BUSY, start).slots(start, end)]
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        kept = await slotdays.days_between(tx, next(iter(ids.values())), start, end)
    marks = [flags_of(bits) for k in kept.values() for bits in k.day.into.marks]
    assert any(Flag.CORRECTED in flags for flags in marks)


@pytest.mark.rule("MPC-19", "SMF-24")
async def test_thirty_five_days_of_overload_draft_one_proposal_and_no_second(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 35))
    await place.metering.tick()
    async with place.database.read() as tx:
        (draft,) = await proposals.page(tx, EVERYTHING)
    assert (draft.state, draft.kind, draft.reason) == ("draft", "line", "level")
    assert "Recommended: a line of" in draft.text
    assert draft.text.startswith(
        "wan1 (down) at Osaka 2: judged against 100.0 Mbit/s (line rate entered by the operator from 2025-01-01 on, "
    )
    assert re.search(r"Busy hour 1[0-5]:\d\d–1[1-6]:\d\d: \d+ % \(14-day median\)", draft.text)
    assert "(coverage 100.0 %, grade A)" in draft.text
    assert (draft.text_ja or "").startswith("Osaka 2のwan1（下り）：判定の基準は100.0 Mbit/s")
    assert draft.evidence["capacity"]["kind"] == "line"
    json.dumps(dict(draft.evidence))
    shown = draft.evidence["series"]["down"]["days"][-1]
    assert shown["slots"].startswith(f"/api/v1/links/{place.link.id}/slots?first={shown['day']}&after=")
    assert (draft.evidence["money"], draft.monthly_delta_yen) == (None, None)
    assert "提案：" in (draft.text_ja or "")
    assert await place.metering.draft_proposals() == []
    async with place.database.write() as tx:
        decided = await proposals.decide(
            tx, EVERYTHING, place.by(), draft.id, state="declined", if_version=draft.version
        )
    assert decided.state == "declined"
    assert await place.metering.draft_proposals() == []
    with pytest.raises(Conflict, match="cannot become"):
        async with place.database.write() as tx:
            await proposals.decide(tx, EVERYTHING, place.by(), draft.id, state="accepted", if_version=None)


async def test_a_firewall_that_inspects_more_than_it_can_is_to_be_replaced_and_its_line_stays(place: Place) -> None:
    """The 40F's published 600 Mbit/s counts as 360; the line of 1 Gbit/s has room."""
    rates = (
        Capacity(CapacityKind.LINE, 1_000_000_000, 1_000_000_000, date(2025, 2, 1)),
        Capacity(CapacityKind.MODEL, 600_000_000, None, date(2025, 2, 1)),
    )
    async with place.database.write() as tx:
        for rate in rates:
            await links.set_capacity(tx, EVERYTHING, place.by(), place.link.id, rate)
    heavy = Profile(seed=14, kind="office", capacity_bps=1_000_000_000, busy_share=0.36, bursts=False)
    await place.metering.import_readings(EVERYTHING, place.past(heavy, 35))
    await place.metering.tick()
    async with place.database.read() as tx:
        (draft,) = await proposals.page(tx, EVERYTHING)
        states = {state.direction: state.level for state in await levels.of_link(tx, place.link.id)}
        happened = await tx.scalar(select(func.count()).where(events.c.kind.in_(("link.level", "proposal.drafted"))))
    assert states == {Direction.DOWN: 0, Direction.UP: 0, Direction.DEVICE: 2}
    assert (draft.kind, draft.monthly_delta_yen) == ("model", None)
    assert draft.model in ("FortiGate 80F", "FortiGate 100F", "FortiGate 200F")
    assert "a model of this kind" in draft.text
    assert "the line can stay" in draft.text
    assert happened is not None
    assert happened >= 2


async def test_slot_days_are_kept_for_400_days_and_their_figures_for_longer(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(CALM, 2))
    await place.metering.tick()
    place.clock.advance(401 * DAY_MS / 1000)
    await place.metering.tick()
    day = day_of(place.today_ms(402), TOKYO)
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        assert await slotdays.days_between(tx, next(iter(ids.values())), 0, place.clock.now_ms()) == {}
        figures = await dayfigures.of_link(tx, place.link.id, day, day + timedelta(days=1))
    assert len(figures) == len(Direction)


async def test_a_calm_line_gets_neither_flag_nor_proposal(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(CALM, 35))
    await place.metering.tick()
    async with place.database.read() as tx:
        assert await proposals.page(tx, EVERYTHING) == []
        assert {state.level for state in await levels.of_link(tx, place.link.id)} == {Level.CALM}


async def test_readings_are_forgotten_after_two_days_but_the_last_one_stays(place: Place) -> None:
    await ingest(place, heartbeat(place, 1))
    place.clock.advance(60)
    await ingest(place, heartbeat(place, 2))
    place.clock.advance(3 * DAY_MS / 1000)
    await place.metering.tick()
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        kept = await traffic.readings_around(tx, next(iter(ids.values())), 0, place.clock.now_ms())
    assert [r.in_octets for r in kept] == [2]


async def test_counters_above_two_to_the_63_come_back_as_they_were(place: Place) -> None:
    await ingest(place, heartbeat(place, (1 << 64) - 5, 1 << 63))
    async with place.traffic.read() as tx:
        ids = await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])
        kept = await traffic.readings_around(tx, next(iter(ids.values())), 0, place.clock.now_ms())
    assert [(r.in_octets, r.out_octets) for r in kept] == [((1 << 64) - 5, 1 << 63)]
