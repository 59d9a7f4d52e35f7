"""From durable heartbeats to slots: once, whatever crashes, and on however many nodes."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select, text

from controller.metering.service import MeteringService
from controller.phonehome.beats import HEAD, Beat, unpacked
from controller.store import beats as rows
from controller.store import retention, slotdays
from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.traffic import TrafficDatabase
from drivers.arms import heartbeat as codec
from inventory.errors import ProtocolViolation, StaleVersion
from inventory.replays import MARK_BYTES, digest
from inventory.timeslots import SLOT_MS
from tests.controller.beats import batch
from tests.controller.metering.conftest import DAY_MS, Place
from tests.controller.metering.test_service import heartbeat, slots_of


async def unsettled(place: Place) -> int:
    async with place.traffic.read() as tx:
        return len(await rows.unsettled(tx, "", place.clock.now_ms() + DAY_MS, at_most=1_000_000))


def another_node(place: Place) -> MeteringService:
    """A second service on the same databases: a node beside it, or the next start after a crash."""
    return MeteringService(place.database, place.traffic, place.clock)


def series(place: Place, count: int) -> list[Beat]:
    """One heartbeat a minute, 100 octets each."""
    found = []
    for number in range(count):
        found.append(heartbeat(place, 1_000 + 100 * number))
        place.clock.advance(60)
    return found


async def test_what_was_durable_before_a_crash_is_in_the_slots_after_the_next_start(place: Place) -> None:
    start = place.clock.now_ms()
    await place.metering.keep(batch(*series(place, 6)))  # and here the process dies
    place.clock.advance(400)
    next_start = another_node(place)
    added = await next_start.settle()
    assert (added.new, added.duplicates) == (6, 0)
    assert sum((await slots_of(place, start, start + 2 * SLOT_MS)).known) == 500
    assert await unsettled(place) == 0
    assert (await next_start.settle()).new == 0


async def test_a_crash_within_settling_leaves_all_or_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    start = place.clock.now_ms()
    await place.metering.keep(batch(*series(place, 6)))
    written = rows.put_statistics

    async def dies(tx: Tx, told: object) -> None:
        await written(tx, told)  # type: ignore[arg-type]  # what it was given
        raise ConnectionError("the database went away before the commit")

    monkeypatch.setattr(rows, "put_statistics", dies)
    with pytest.raises(ConnectionError):
        await place.metering.settle()
    monkeypatch.undo()
    assert await unsettled(place) == 1
    assert (await place.metering.settle()).new == 6
    assert sum((await slots_of(place, start, start + 2 * SLOT_MS)).known) == 500


async def test_the_same_heartbeats_received_by_two_nodes_are_counted_once(place: Place) -> None:
    """Each adapter sends to both; the copies come a few milliseconds apart, and each node settles its own."""
    start = place.clock.now_ms()
    told = series(place, 6)
    other = another_node(place)
    await place.metering.keep(batch(*told))
    await other.keep(batch(*(replace(one, received_ms=one.received_ms + 7) for one in told)))
    place.clock.advance(400)
    first, second = await asyncio.gather(place.metering.settle(), other.settle())
    assert first.new + second.new == 6
    assert await unsettled(place) == 0
    assert sum((await slots_of(place, start, start + 2 * SLOT_MS)).known) == 500
    async with place.traffic.read() as tx:
        assert await tx.scalar(text(f"SELECT count(*) FROM {_table(place, 'readings')}")) == 6


async def test_a_unique_key_decides_which_of_two_nodes_counts_a_heartbeat(place: Place) -> None:
    async with place.traffic.write() as tx:
        await rows.count_once(tx, {(1, 77), (1, -5)}, place.clock.now_ms())
    with pytest.raises(StaleVersion):
        async with place.traffic.write() as tx:
            await rows.count_once(tx, {(1, 77), (2, 77)}, place.clock.now_ms())
    async with place.traffic.read() as tx:
        assert await rows.heard(tx, {(1, 77), (1, -5), (2, 77)}) == {(1, 77), (1, -5)}


async def test_contents_are_forgotten_after_an_hour_and_statistics_are_a_ring(place: Place) -> None:
    for _ in range(3 * rows.PERIODS):
        await place.metering.keep(batch(heartbeat(place, 1)))
        await place.metering.settle()
        place.clock.advance(rows.PERIOD_MS / 1000)
    await place.metering.tick()
    async with place.traffic.read() as tx:
        assert await tx.scalar(text(f"SELECT count(*) FROM {_table(place, 'heard')}")) == 12
        kept = await rows.statistics(tx, place.adapter_id, 0)
        latest = await rows.latest_statistics(tx, [place.adapter_id, 999], 0)
    assert len(kept) == rows.PERIODS
    assert kept == sorted(kept, key=lambda one: -one.at_ms)
    assert latest == {place.adapter_id: kept[0]}


async def test_a_unit_without_a_place_has_statistics_and_its_traffic_is_nobody_s(place: Place) -> None:
    await place.metering.keep(batch(replace(heartbeat(place, 1), entry_id=None)))
    assert (await place.metering.settle()).new == 0
    async with place.traffic.read() as tx:
        (kept,) = await rows.statistics(tx, place.adapter_id, 0)
        assert await slotdays.changed_days(tx, 1 << 50) == []
    assert kept.entry_id is None
    assert codec.statistics(kept.content)[0].name == "traffic-count"


async def test_a_power_on_between_two_heartbeats_counts_for_the_one_after_it_only(place: Place) -> None:
    """They are settled together, long after: the restart must not be laid to the heartbeat before it."""
    start = place.clock.now_ms()
    first = heartbeat(place, 1_000)
    place.clock.advance(60)
    second = heartbeat(place, 1_600)
    place.clock.advance(30)
    place.metering.declare_restart(place.adapter_id, place.clock.now_ms())
    place.clock.advance(30)
    third = heartbeat(place, 50)
    await place.metering.keep(batch(first, second, third))
    await place.metering.settle()
    found = await slots_of(place, start, start + SLOT_MS)
    assert found.known == (650,)
    assert found.covered_ms == (90_000,)


async def test_a_database_of_the_layout_before_gets_the_new_tables_columns_and_indexes(
    traffic: TrafficDatabase,
) -> None:
    async with traffic.write() as tx:
        schema = "traffic." if traffic.shared else ""
        await tx.execute(text(f"UPDATE {schema}layout SET version = 1"))
        await tx.execute(text(f"DROP TABLE {schema}heard"))
        await tx.execute(text(f"DROP INDEX {schema}ix_slot_days_stale"))
        for table, column in (("readings", "in_packets"), ("link_days", "packet_util"), ("link_days", "packet_hot90")):
            await tx.execute(text(f"ALTER TABLE {schema}{table} DROP COLUMN {column}"))
    await traffic._prepare()
    async with traffic.write() as tx:
        assert await rows.heard(tx, {(1, 1)}) == set()
        await tx.execute(text(f"DROP INDEX {schema}ix_slot_days_stale"))  # it is there, or this fails
        await tx.execute(text(f"SELECT in_packets FROM {schema}readings"))
        await tx.execute(text(f"SELECT packet_util, packet_hot90 FROM {schema}link_days"))


async def test_what_is_to_be_closed_or_forgotten_is_found_without_reading_400_days_of_slots(tmp_path: Path) -> None:
    """As SQLite would go about the very statements; PostgreSQL plans by what its tables hold."""
    asked: list[tuple[str, object]] = []
    database = await TrafficDatabase.open(f"sqlite:///{tmp_path / 'traffic.db'}")
    try:
        async with database.write() as tx:

            def heard(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
                asked.append((statement, values))

            event.listen(tx.sync_connection, "before_cursor_execute", heard)
            await slotdays.changed_days(tx, 5)
            await retention.prune_slot_days(tx, 1 << 44)
            event.remove(tx.sync_connection, "before_cursor_execute", heard)
            for statement, values in asked:
                plan = await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]  # as given
                details = [row.detail for row in plan]
                assert "history" in statement or not any(detail.startswith("SCAN") for detail in details), details
    finally:
        await database.close()
    assert len(asked) == 6


@pytest.mark.fast
@given(
    st.lists(
        st.builds(
            Beat,
            st.integers(1, 2**31),
            st.one_of(st.none(), st.integers(1, 2**31)),
            st.integers(0, 2**62),
            st.integers(0, 2**62),
            st.binary(max_size=980),
        )
    )
)
def test_a_packed_batch_gives_its_beats_back(beats: list[Beat]) -> None:
    packed = batch(*beats).packed
    assert list(unpacked(packed)) == beats
    if beats:
        with pytest.raises(ValueError, match="ends within"):
            list(unpacked(packed[:-1]) if beats[-1].content else unpacked(packed[: 1 - HEAD.size]))


@pytest.mark.fast
@given(st.binary(max_size=1100), st.binary(min_size=1, max_size=64))
def test_the_quick_way_through_a_datagram_agrees_with_the_decoder(tail: bytes, key: bytes) -> None:
    """The receiver proves and walks without making values; it must accept exactly what `decode` accepts."""
    datagram = _signed(tail, key)
    quick = codec.id_of(datagram) is not None and codec.proven(datagram, key) and codec.intact(datagram)
    try:
        decoded = codec.decode(datagram, key)
    except ProtocolViolation:
        assert not quick
        return
    assert quick
    content = codec.content(datagram)
    assert codec.statistics(content) == decoded.statistics
    counted = {s.index: s.values[:2] + s.values[4:] for s in decoded.statistics if s.name == "traffic-rate"}
    counted |= {s.index: s.values[:2] + s.values[4:] for s in decoded.statistics if s.name == "traffic-count"}
    assert {i: (into, out, *errors) for i, into, out, _, *errors in codec.traffic(content)} == counted


def _signed(tail: bytes, key: bytes) -> bytes:
    blank = b"\x00\x01\x00\x14" + bytes(20) + b"\x00\x11\x00\x10" + bytes(16) + tail
    return blank[:4] + hmac.digest(key, blank, "sha1") + blank[24:]


def _table(place: Place, name: str) -> str:
    return f"traffic.{name}" if place.traffic.shared else name


async def test_what_was_counted_is_remembered_for_a_day_in_ever_fewer_rows(place: Place) -> None:
    sent = series(place, 60)
    await place.metering.keep(batch(*sent))
    await place.metering.catch_up()
    marks = {digest(one.content)[:MARK_BYTES] for one in sent}

    async def recalled() -> set[bytes]:
        told = (await place.metering.recall([place.adapter_id])).get(place.adapter_id, ())
        found = b"".join(portion for _, portion in told)
        return {found[at : at + MARK_BYTES] for at in range(0, len(found), MARK_BYTES)}

    async def rows_kept() -> int:
        async with place.traffic.read() as tx:
            return sum(
                [
                    (await tx.execute(select(func.count()).select_from(one))).scalar_one()
                    for one in (t.heard, t.heard_before)
                ]
            )

    place.clock.advance(10)  # another node waits so long, lest it takes a copy for a replay
    assert await recalled() == marks
    assert await rows_kept() == 60
    place.clock.advance(2 * 3600)
    await place.metering.tick()
    assert await recalled() == marks
    assert await rows_kept() == 1
    place.clock.advance(22 * 3600)
    await place.metering.tick()
    assert await recalled() == marks
    place.clock.advance(2 * 3600)
    await place.metering.tick()
    assert await recalled() == set()
    assert await rows_kept() == 0
