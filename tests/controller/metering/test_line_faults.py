"""Frames with errors: shown beside the traffic, never counted as congestion, and a reason to propose nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.metering.ingest import Ingestor
from controller.metering.pairing import fell, paired, plain_pairs
from controller.store import counteragents, dayfigures, levels, proposalfacts, traffic
from controller.store import falls as falls_kept
from controller.store.proposalfacts import Check
from controller.store.traffic import Kept
from drivers.sessions.counting import FoundInterface
from inventory.links import Direction
from inventory.periods import Period
from inventory.reporting import Format, Subject
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import BUSY, ON_SQLITE, as_json, service, yesterday

DAYS = 30


def with_errors(past: bytes, *, every: int) -> bytes:
    """The same readings with receive errors that rise by `every` from each to the next, and no send errors."""
    lines = [json.loads(line) for line in past.splitlines()]
    told = ({**line, "in_errors": number * every, "out_errors": 7} for number, line in enumerate(lines))
    return b"".join(json.dumps(line).encode() + b"\n" for line in told)


async def imported(place: Place, *, every: int, days: int = DAYS) -> None:
    await place.metering.import_readings(EVERYTHING, with_errors(place.past(BUSY, days), every=every))
    await place.metering.tick()


async def looked(place: Place) -> Check:
    async with place.database.read() as tx:
        check = await proposalfacts.check(tx, place.link.id)
    assert check is not None
    return check


async def reason(place: Place) -> str:
    return (await looked(place)).reason


async def test_a_line_with_broken_frames_is_congested_and_gets_no_proposal(place: Place, tmp_path: Path) -> None:
    await imported(place, every=400_000)
    check = await looked(place)
    last = yesterday(place)
    week = {(last - timedelta(days=n)).isoformat(): 288 for n in range(7)}
    assert (check.reason, check.facts) == ("fault", {"error_slots": week, "falls": {}, "half_duplex": []})
    async with place.traffic.read() as tx:
        days = {d.direction: d for d in await dayfigures.of_link(tx, place.link.id, last, last + timedelta(days=1))}
    assert days[Direction.DOWN].error_slots == 288
    assert (days[Direction.UP].error_slots, days[Direction.DEVICE].error_slots) == (0, 0)
    assert sum(hour.errors for hour in days[Direction.DOWN].hours) == 288 * 400_000
    async with place.database.read() as tx:
        change = next(
            one for one in await levels.changes(tx, EVERYTHING, place.link.id) if one.direction == "down" and one.after
        )
    assert {day["error_slots"] for day in change.evidence["days"]} == {288}
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, last)
    series = (await as_json(made, run.key))["links"][0]["series"]
    assert series["down"]["errors"] == [400_000] * 288
    assert series["up"]["errors"] == [0] * 288
    text = (await made.file(EVERYTHING, run.key, Format.CSV)).decode("utf-8-sig")
    assert "down drops,down errors,down capacity" in text


@ON_SQLITE
async def test_a_few_broken_frames_are_shown_and_change_nothing(place: Place) -> None:
    await imported(place, every=9)
    assert await reason(place) == "level"


@ON_SQLITE
async def test_where_no_source_tells_errors_none_are_claimed(place: Place, tmp_path: Path) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 2))
    await place.metering.tick()
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    series = (await as_json(made, run.key))["links"][0]["series"]
    assert series["down"]["errors"] == [None] * 288


def falling(past: bytes, days: int, times: int) -> bytes:
    """The same readings; on the last days the link is down at some of them, `times` a day."""
    lines = [json.loads(line) for line in past.splitlines()]
    begin = len(lines) - 288 * days
    down = {begin + 288 * day + 20 * (n + 1) for day in range(days) for n in range(times)}
    told = ({**line, "up": number not in down} for number, line in enumerate(lines))
    return b"".join(json.dumps(line).encode() + b"\n" for line in told)


@ON_SQLITE
async def test_a_line_that_goes_up_and_down_is_congested_and_gets_no_proposal(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, falling(place.past(BUSY, DAYS), 3, 3))
    await place.metering.tick()
    check = await looked(place)
    falls = {(yesterday(place) - timedelta(days=n)).isoformat(): 3 for n in range(3)}
    assert (check.reason, check.facts) == ("fault", {"error_slots": {}, "falls": falls, "half_duplex": []})
    interface = FoundInterface("wan1", 3, "", 10**9, True, half_duplex=True)
    async with place.database.write() as tx:
        await counteragents.put_interfaces(tx, place.adapter_id, [interface], place.clock.now_ms())
    await place.metering.draft_proposals()
    assert (await looked(place)).facts["half_duplex"] == ["wan1"]
    async with place.traffic.write() as tx:
        await falls_kept.keep(tx, [], [(1, t_ms) for t_ms in await falls_kept.of_interfaces(tx, [1], 0, 2**60)])
    await place.metering.draft_proposals()
    check = await looked(place)
    assert (check.reason, check.facts["falls"]) == ("fault", {}), "half duplex is enough"


async def test_a_reading_that_comes_late_tells_when_the_link_went_down(place: Place) -> None:
    def read(minute: int, up: bool, last_change: int | None = None) -> Kept:
        return Kept(
            place.today_ms() + minute * 60_000, minute, minute, "snmp", up=up, last_change=last_change, adapter_id=1
        )

    async def told(*readings: Kept) -> list[int]:
        await ingestor.add({(place.entry_id, "wan1"): readings})
        async with place.traffic.read() as tx:
            (number,) = (await traffic.interface_ids(tx, [(place.entry_id, "wan1")])).values()
            found = await falls_kept.of_interfaces(tx, [number], 0, 2**60)
        return [(t_ms - place.today_ms()) // 60_000 for t_ms in found]

    ingestor = Ingestor(place.traffic, place.clock, heartbeat_interval_ms=60_000)
    assert await told(read(0, True), read(1, True), read(4, False)) == [4]
    assert await told(read(3, False)) == [3], "it was down a minute before already"
    assert await told(read(3, False), read(4, False)) == [3], "the same again is no other fall"
    assert await told(read(5, True, 700), read(6, True, 700), read(7, True, 42_000)) == [3, 7]


@pytest.mark.parametrize(
    ("before", "after", "is_fall"),
    [
        ({"up": True}, {"up": False}, True),
        ({"up": True}, {"up": None}, False),
        ({"up": None}, {"up": False}, False),
        ({"up": True, "last_change": 5}, {"up": True, "last_change": 9}, True),
        ({"up": True, "last_change": 5}, {"up": True}, False),
        ({"up": True, "last_change": 5, "uptime_cs": 900}, {"up": True, "last_change": 2, "uptime_cs": 30}, False),
        ({"up": True, "adapter_id": 1}, {"up": False, "adapter_id": 2}, False),
    ],
)
def test_a_fall_is_told_by_the_state_or_by_a_change_of_it_and_a_restart_is_none(
    before: dict[str, Any], after: dict[str, Any], is_fall: bool
) -> None:
    assert fell(Kept(0, 0, 0, "snmp", **before), Kept(60_000, 0, 0, "snmp", **after)) is is_fall


def test_a_counter_of_errors_that_began_anew_is_not_known_and_spoils_no_octet() -> None:
    told = [
        Kept(0, 0, 0, "snmp", in_errors=5, out_errors=5),
        Kept(60_000, 600, 60, "snmp", in_errors=5, out_errors=5),
        Kept(120_000, 1_200, 120, "snmp", in_errors=2, out_errors=9),
        Kept(180_000, 1_800, 180, "snmp"),
    ]
    assert plain_pairs(told[0], told[1:2]) is not None
    assert plain_pairs(told[1], told[2:3]) is None, "errors go the long way"
    into, out = paired(told, {one.t_ms for one in told}, 60_000)
    assert [one.errors for one in into] == [0, None, None]
    assert [one.errors for one in out] == [0, 4, None]
    assert [one.octets_min for one in into] == [600] * 3
