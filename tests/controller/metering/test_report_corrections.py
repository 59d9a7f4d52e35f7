"""Late data make a correction, never an edit; who dies in the middle is stood in for (§8.3, §8.4)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.keyring import Keyring
from controller.store import dayfigures, deliveries, links, reports, slotdays, traffic
from controller.store.deliveries import NewRecipient, Way
from controller.store.reports import Claim, Manner, ReportRun
from inventory.errors import BadInput, NotFound
from inventory.linkdays import LinkDay
from inventory.links import Capacity, CapacityKind
from inventory.periods import Period, span_of
from inventory.reporthead import digest
from inventory.reporting import Action, Format, Kind, Language, Schedule, Subject
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place
from tests.controller.metering.reporting import ON_SQLITE, as_json, metered, next_day, service, yesterday


async def known(place: Place) -> list[ReportRun]:
    async with place.database.read() as tx:
        return await reports.runs(tx, EVERYTHING)


async def test_late_data_make_a_correction_with_old_and_new_and_keep_the_old(place: Place, tmp_path: Path) -> None:
    await metered(place, 3, without=range(600, 650))
    made = service(place, tmp_path)
    about, day = Subject(contractor_id=place.contractor_id), yesterday(place)
    first = await made.make(EVERYTHING, about, Period.DAY, day)
    before = await as_json(made, first.key)
    assert await made.tick() == []
    place.clock.advance(3_600)
    await metered(place, 3)
    (correction,) = await made.tick()
    assert (correction.key, correction.corrects, correction.correction) == (f"{first.key}/correction-1", first.key, 1)
    assert correction.state == "final"
    report = await as_json(made, correction.key)
    assert report["correction"]["replaces"] == first.key
    changed = {cell["column"]: (cell["old"], cell["new"]) for cell in report["correction"]["changed"]}
    assert changed["coverage"][1] == "100.0"
    assert changed["unknown"][1] == "0"
    assert int(changed["unknown"][0]) > 40
    assert await as_json(made, first.key) == before
    page = (await made.file(EVERYTHING, correction.key, Format.HTML)).decode()
    assert f"Correction 1; it replaces {first.key}" in page
    japanese = (await made.file(EVERYTHING, correction.key, Format.HTML, Language.JAPANESE)).decode()
    assert "<td>不明な区間数</td>" in japanese
    assert "wan1, 下り</td>" in japanese
    assert "maintenance_minutes" not in japanese
    assert await made.tick() == []
    assert await made.make(EVERYTHING, about, Period.DAY, day) == correction


async def test_late_data_that_change_no_shown_figure_make_no_correction(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    async with place.database.write() as tx:
        await reports.mark_remade(tx, place.link.id, [yesterday(place)], place.clock.now_ms())
    assert await made.tick() == []
    assert [one.key for one in await known(place)] == [run.key]
    async with place.database.read() as tx:
        assert await reports.remade(tx) == []


async def test_two_nodes_correct_a_report_once(place: Place, tmp_path: Path) -> None:
    await metered(place, 3, without=range(600, 650))
    one, two = service(place, tmp_path / "one"), service(place, tmp_path / "two", "two")
    await one.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    place.clock.advance(3_600)
    await metered(place, 3)
    await asyncio.gather(one.tick(), two.tick())
    assert [run.correction for run in await known(place)] == [0, 1]


@ON_SQLITE
async def test_a_provisional_report_becomes_final_once_and_is_then_corrected_not_edited(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 3)
    made = service(place, tmp_path)
    today = yesterday(place) + timedelta(days=1)
    about = Subject(link_id=place.link.id)
    provisional = await made.make(EVERYTHING, about, Period.DAY, today)
    assert provisional.state == "provisional"
    next_day(place)
    (final,) = await made.tick()
    assert (final.key, final.state, final.sha256 != provisional.sha256) == (provisional.key, "final", True)
    await metered(place, 1)
    (correction,) = await made.tick()
    assert correction.corrects == final.key
    assert [run.state for run in await known(place)] == ["final", "final"]


async def test_a_report_that_a_dead_node_began_is_made_by_another_one(place: Place, tmp_path: Path) -> None:
    await metered(place, 2)
    day = yesterday(place)
    begun = Claim(
        f"daily/day/{day}",
        "daily",
        Subject(link_id=place.link.id),
        Period.DAY,
        span_of(Period.DAY, day),
        Manner(),
        Action.MAKE,
    )
    async with place.database.write() as tx:
        assert await reports.claim(tx, begun, node="dead", now_ms=place.clock.now_ms())
    one, two = service(place, tmp_path / "one"), service(place, tmp_path / "two", "two")
    assert await one.tick() == []
    place.clock.advance(31 * 60)
    made = await asyncio.gather(one.tick(), two.tick())
    assert sorted(len(runs) for runs in made) == [0, 1]
    (run,) = await known(place)
    assert (run.state, run.node != "dead") == ("final", True)


async def test_a_node_that_wakes_up_after_another_took_its_report_over_changes_nothing(
    place: Place, tmp_path: Path, keyring: Keyring
) -> None:
    await metered(place, 2)
    slow, quick = service(place, tmp_path / "one"), service(place, tmp_path / "two", "two")
    await slow.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), Subject(link_id=place.link.id))
    async with place.database.write() as tx:
        new = NewRecipient(Way.FOLDER, "bakery", (Format.JSON,))
        await deliveries.add_recipient(tx, keyring, EVERYTHING, place.by(), "daily", new, shown="bakery")
    next_day(place)
    asleep, awake = asyncio.Event(), asyncio.Event()
    written = slow._written

    def frozen(*parts: Any) -> list[str]:
        loop.call_soon_threadsafe(asleep.set)
        asyncio.run_coroutine_threadsafe(awake.wait(), loop).result(20)
        return written(*parts)

    loop = asyncio.get_running_loop()
    slow._written = frozen  # type: ignore[method-assign,assignment]  # its machine stands still
    sleeping = asyncio.create_task(slow.tick())
    await asyncio.wait_for(asleep.wait(), 20)
    place.clock.advance(31 * 60)
    (made,) = await quick.tick()
    awake.set()
    await sleeping
    (after,) = await known(place)
    assert (after.node, after.sha256, after.state) == ("two", made.sha256, "final")
    assert digest(await quick.file(EVERYTHING, after.key, Format.JSON)) == after.sha256
    async with place.database.read() as tx:
        (delivery,) = await deliveries.page(tx, EVERYTHING)
    assert delivery.sha256 == made.sha256, "and it goes out once"


@ON_SQLITE
async def test_cron_may_do_the_timer_s_work_under_the_same_key(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path)
    about = Subject(link_id=place.link.id)
    await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), about)
    next_day(place)
    run = await made.make_scheduled(EVERYTHING, "daily", yesterday(place))
    assert run.key == f"daily/day/{yesterday(place)}"
    assert await made.tick() == [], "the timer finds it done"
    with pytest.raises(BadInput, match="by day, not by month"):
        await made.make_scheduled(EVERYTHING, "daily", yesterday(place), period=Period.MONTH)
    with pytest.raises(NotFound):
        await made.make_scheduled(EVERYTHING, "nightly", yesterday(place))


@ON_SQLITE
async def test_a_schedule_that_has_ended_makes_nothing_and_its_id_stays_taken(place: Place, tmp_path: Path) -> None:
    made = service(place, tmp_path)
    about = Subject(link_id=place.link.id)
    await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), about)
    async with place.database.write() as tx:
        await reports.end_schedule(tx, EVERYTHING, place.by(), "daily")
    place.clock.advance(3 * DAY_MS / 1000)
    assert await made.tick() == []
    with pytest.raises(BadInput, match="made by command"):
        await made.add_schedule(EVERYTHING, place.by(), Schedule("traffic-K-1", Period.DAY), about)


@ON_SQLITE
async def test_what_is_forgotten_corrects_no_report_and_is_no_report_that_nobody_measured(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 3)
    made = service(place, tmp_path)
    about, day = Subject(link_id=place.link.id), yesterday(place)
    first = await made.make(EVERYTHING, about, Period.DAY, day)
    place.clock.advance(401 * DAY_MS / 1000)
    await place.metering.tick()
    again = await made.make(EVERYTHING, about, Period.DAY, day)
    assert (again.key, again.sha256, await made.tick()) == (first.key, first.sha256, [])
    with pytest.raises(BadInput, match="no longer kept") as refused:
        await made.make(EVERYTHING, about, Period.DAY, day - timedelta(days=1))
    assert "400 days" in refused.value.next_step
    assert [run.key for run in await known(place)] == [first.key]
    fleet = await made.make(EVERYTHING, Subject(wanted=Kind.FLEET), Period.DAY, day)
    assert (await as_json(made, fleet.key))["top_busy"], "days are kept for ten years"


@ON_SQLITE
async def test_figures_of_which_a_part_of_the_slots_is_forgotten_stay_as_they_were(place: Place) -> None:
    await metered(place, 3)
    span = span_of(Period.DAY, yesterday(place))

    async def figures() -> list[LinkDay]:
        async with place.traffic.read() as tx:
            return await dayfigures.of_link(tx, place.link.id, span.first, span.after)

    before = await figures()
    # A Tokyo day begins in one UTC day and ends in the next: for a while, only its second part is there.
    place.clock.advance((span.start_ms + 400 * DAY_MS - place.clock.now_ms()) / 1000)
    await place.metering.tick()
    async with place.traffic.read() as tx:
        (number,) = (await traffic.interface_ids(tx, [(place.entry_id, place.link.interface)])).values()
        kept = await slotdays.days_between(tx, number, span.start_ms - DAY_MS, span.end_ms)
    assert len(kept) == 1
    async with place.database.write() as tx:
        rate = Capacity(CapacityKind.LINE, 50_000_000, 50_000_000, span.first, None, "test", "found in a drawer")
        await links.set_capacity(tx, EVERYTHING, place.by(), place.link.id, rate)
    names = [(place.entry_id, place.link.interface)]
    await place.metering.rejudge(names, span.start_ms, place.clock.now_ms())
    await place.metering.tick()
    assert await figures() == before


@ON_SQLITE
async def test_a_report_that_cannot_be_written_for_a_fault_of_ours_stops_no_other(place: Place, tmp_path: Path) -> None:
    await metered(place, 2)
    made = service(place, tmp_path)
    for name in ("broken", "whole"):
        about = Subject(link_id=place.link.id)
        await made.add_schedule(EVERYTHING, place.by(), Schedule(name, Period.DAY), about)
    written = made._written

    def faulty(run: ReportRun, one: Any) -> list[str]:
        if run.schedule_id == "broken":
            raise KeyError("a word of a newer template")
        return written(run, one)

    made._written = faulty  # type: ignore[method-assign,assignment]  # files newer than the process
    next_day(place)
    await made.tick()
    assert {run.schedule_id: run.state for run in await known(place)} == {"broken": "failed", "whole": "final"}
    made._written = written  # type: ignore[method-assign]  # it was started again
    place.clock.advance(15 * 60)
    (again,) = await made.tick()
    assert (again.schedule_id, again.state) == ("broken", "final")
