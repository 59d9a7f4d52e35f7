"""Frames with errors: shown beside the traffic, never counted as congestion, and a reason to propose nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from controller.metering.pairing import paired, plain_pairs
from controller.store import links, proposalfacts, traffic
from controller.store.traffic import Kept
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


async def reason(place: Place) -> str:
    async with place.database.read() as tx:
        check = await proposalfacts.check(tx, place.link.id)
    assert check is not None
    return check.reason


async def test_a_line_with_broken_frames_is_congested_and_gets_no_proposal(place: Place, tmp_path: Path) -> None:
    await imported(place, every=400_000)
    assert await reason(place) == "fault"
    last = yesterday(place)
    async with place.traffic.read() as tx:
        days = {d.direction: d for d in await traffic.link_days(tx, place.link.id, last, last + timedelta(days=1))}
    assert days[Direction.DOWN].error_slots == 288
    assert (days[Direction.UP].error_slots, days[Direction.DEVICE].error_slots) == (0, 0)
    assert sum(hour.errors for hour in days[Direction.DOWN].hours) == 288 * 400_000
    async with place.database.read() as tx:
        change = next(
            one for one in await links.changes(tx, EVERYTHING, place.link.id) if one.direction == "down" and one.after
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
