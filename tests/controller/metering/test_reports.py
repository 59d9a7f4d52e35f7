"""Traffic reports: once per period, the same bytes from the same data, gaps never joined."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from controller.reports.csvfile import written
from controller.reports.graphs import INNER_WIDTH, LEFT, graph
from controller.reports.service import ReportService
from controller.store import reports
from controller.store.scope import Scope
from drivers.simulator.traffic import Profile
from inventory.errors import BadInput, Conflict, NotFound
from inventory.periods import TOKYO, Period, day_of, day_start_ms
from inventory.reporting import Format, Schedule, Subject
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

BUSY = Profile(seed=3, kind="office", capacity_bps=100_000_000, busy_share=0.97, bursts=False)


def service(place: Place, folder: Path, node: str = "one") -> ReportService:
    return ReportService(place.database, place.traffic, place.metering, place.clock, folder=folder, node=node)


def yesterday(place: Place) -> date:
    return day_of(place.today_ms(1), TOKYO)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else set()


async def metered(place: Place, days: int, *, without: range = range(0)) -> None:
    lines = place.past(BUSY, days).splitlines(keepends=True)
    kept = [line for i, line in enumerate(lines) if i not in without]
    await place.metering.import_readings(EVERYTHING, b"".join(kept))
    await place.metering.tick()


async def files(made: ReportService, key: str) -> dict[str, bytes]:
    return {kind.value: await made.file(EVERYTHING, key, kind) for kind in (Format.JSON, Format.CSV, Format.HTML)}


async def test_a_contractor_s_day_names_volume_percentile_and_the_origin_of_the_day(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 10)
    made = service(place, tmp_path / "reports")
    run = await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.DAY, yesterday(place))
    assert (run.state, run.key) == ("final", f"traffic-K-{place.contractor_id}/day/{yesterday(place)}")
    report = json.loads((await files(made, run.key))["json"])
    (link,) = report["links"]
    down = link["directions"][0]
    assert (link["place"], link["interface"], down["direction"]) == ("Osaka 2", "wan1", "down")
    assert link["p95"]["grade"] == "A"
    assert (link["p95"]["n"], link["p95"]["k"]) == (288, 274)
    assert down["volume_low_octets"] == down["volume_high_octets"] > 0
    assert down["coverage"] == 1
    assert [day["origins"] for day in link["days"]] == [["import"]]


async def test_the_same_report_again_is_the_same_bytes(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path / "reports")
    about = Subject(link_id=place.link.id)
    first = await made.make(EVERYTHING, about, Period.DAY, yesterday(place))
    before = await files(made, first.key)
    place.clock.advance(5_000)
    again = await made.make(EVERYTHING, about, Period.DAY, yesterday(place))
    assert again.sha256 == first.sha256
    assert await files(made, first.key) == before
    assert len(names(tmp_path / "reports")) == 3


async def test_fired_twice_and_on_two_nodes_a_report_is_made_once(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    one, two = service(place, tmp_path / "one", "one"), service(place, tmp_path / "two", "two")
    await one.add_schedule(
        EVERYTHING, place.by(), Schedule("daily", Period.DAY, time(6, 0)), Subject(link_id=place.link.id)
    )
    place.clock.advance(DAY_MS / 1000)
    made = await asyncio.gather(one.tick(), two.tick(), one.tick(), two.tick())
    assert [len(runs) for runs in made].count(1) == 1
    assert sum(len(runs) for runs in made) == 1
    async with place.database.read() as tx:
        assert [run.key for run in await reports.runs(tx, EVERYTHING)] == [
            f"daily/day/{day_of(place.today_ms(1), TOKYO)}"
        ]


async def test_the_timer_of_the_library_makes_what_is_due(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path / "reports")
    await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), Subject(link_id=place.link.id))
    place.clock.advance(DAY_MS / 1000)
    made.start(every_s=0.05)
    try:
        async with asyncio.timeout(20):
            while len(names(tmp_path / "reports")) < 3:  # noqa: ASYNC110  # files have no event
                await asyncio.sleep(0.02)
    finally:
        made.stop()
    assert len(names(tmp_path / "reports")) == 3  # written one after the other


async def test_missed_days_are_caught_up_each_for_its_own_period(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path / "reports")
    await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), Subject(link_id=place.link.id))
    place.clock.advance(40 * DAY_MS / 1000)
    runs = await made.tick()
    assert len(runs) == 35
    async with place.database.read() as tx:
        known = await reports.runs(tx, EVERYTHING)
    assert [run.action for run in known].count("skipped") == 5
    assert {run.first_day for run in runs} == {day_of(place.today_ms(n), TOKYO) for n in range(1, 36)}
    assert await made.tick() == []


async def test_a_report_on_the_day_at_hand_is_provisional_and_settles_when_the_day_is_over(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 3)
    made = service(place, tmp_path / "reports")
    today = day_of(place.clock.now_ms(), TOKYO)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, today)
    assert run.state == "provisional"
    assert json.loads((await files(made, run.key))["json"])["state"] == "provisional"
    assert await made.tick() == []
    place.clock.advance(DAY_MS / 1000)
    (settled,) = await made.tick()
    assert (settled.key, settled.state) == (run.key, "final")


async def test_late_readings_make_a_new_report_and_leave_the_old_one_in_place(place: Place, tmp_path: Path) -> None:
    await metered(place, 3, without=range(600, 650))
    made = service(place, tmp_path / "reports")
    about, day = Subject(link_id=place.link.id), yesterday(place)
    first = await made.make(EVERYTHING, about, Period.DAY, day)
    old = names(tmp_path / "reports")
    place.clock.advance(60)
    await metered(place, 3)
    second = await made.make(EVERYTHING, about, Period.DAY, day)
    assert second.sha256 != first.sha256
    assert old < names(tmp_path / "reports")


async def test_gaps_are_hatched_and_never_joined(place: Place, tmp_path: Path) -> None:
    # A day's first reading after four hours of silence says how much passed, not when; before an unknown reset it
    # says nothing. Here the counter is gone for more than a day, so nothing at all is known of yesterday's morning.
    await metered(place, 3, without=range(288, 720))
    made = service(place, tmp_path / "reports")
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    content = await files(made, run.key)
    report = json.loads(content["json"])
    (link,) = report["links"]
    assert None in link["series"]["down"]["low"]
    assert link["p95"]["grade"] == "C"
    page = content["html"].decode()
    assert page.count('class="gap"') >= 2
    assert "<script" not in page


def drawn(low: Sequence[int | None], start_ms: int, step_ms: int, *, p95: object = None, **more: object) -> str:
    mine = {"low": low, "high": low, "maintenance": [], "unmeasured": []} | more
    link: dict[str, Any] = {"series": {"start_ms": start_ms, "step_ms": step_ms, "down": mine}}
    return graph(link, {"direction": "down", "capacity": {"used_bps": 62_000_000}, "p95": p95}, "down", TOKYO)


def texts(drawing: str) -> list[str]:
    return [one.partition("<")[0] for one in re.split(r"<text[^>]*>", drawing)[1:]]


def test_a_graph_breaks_its_line_at_every_gap() -> None:
    low = [1, 1, None, 1, None, None, 1]
    found = drawn(low, 0, 300_000, high=[1, 1, 9, None, None, 9, 1], maintenance=[1])
    assert found.count("<polyline") == 3
    assert found.count('class="gap"') == 2
    assert found.count('class="capacity"') == 1
    assert found.count('class="maintenance"') == 1


def test_a_graph_hatches_hours_of_which_only_the_sum_is_known() -> None:
    found = drawn([5, 0, 0, 5], 0, 3_600_000, high=[5, 900, 900, 5], unmeasured=[1, 2])
    assert (found.count("<polyline"), found.count('class="gap"'), found.count('class="band"')) == (2, 1, 0)


def test_a_band_is_as_wide_as_the_steps_that_are_uncertain() -> None:
    found = drawn([300_000, 300_000, 300_000], 0, 300_000, high=[300_000, 600_000, 300_000])
    (band,) = re.findall(r'class="band" points="([^"]*)"', found)
    left = {float(point.partition(",")[0]) for point in band.split()}
    assert left == {round(LEFT + third * INNER_WIDTH / 3, 2) for third in (1, 2)}


def test_a_graph_names_its_rates_and_its_days_in_local_time() -> None:
    start_ms = day_start_ms(date(2026, 10, 1), TOKYO)
    slot = 60_000_000 // 8 * 3600
    month = texts(drawn([slot] * 31 * 24, start_ms, 3_600_000))
    assert {"20 Mbit/s", "40 Mbit/s", "60 Mbit/s", "62 Mbit/s", "0"} <= set(month)
    assert [text for text in month if text.startswith("10-")] == [f"10-{day:02d}" for day in range(1, 32, 4)]
    day = texts(drawn([slot // 12] * 288, start_ms, 300_000))
    assert [text for text in day if ":" in text] == [f"{hour:02d}:00" for hour in range(0, 24, 3)]


def test_a_graph_shows_the_percentile_as_the_interval_that_it_is() -> None:
    wide = drawn([1], 0, 300_000, p95={"low_bps": 31_000_000, "high_bps": 62_000_000})
    assert wide.count('class="p95"') == 2
    assert 'class="interval"' in wide
    assert "p95" in texts(wide)
    without_bound = drawn([1], 0, 300_000, p95={"low_bps": 31_000_000, "high_bps": None})
    assert without_bound.count('class="p95"') == 1
    assert 'class="interval"' not in drawn([1], 0, 300_000)


async def test_csv_is_what_a_spreadsheet_expects_and_no_cell_is_a_formula(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    made = service(place, tmp_path / "reports")
    run = await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.WEEK, yesterday(place))
    content = await files(made, run.key)
    text = content["csv"].decode("utf-8-sig")
    assert content["csv"].startswith(b"\xef\xbb\xbf")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert run.sha256 in rows[3]
    assert [row[3] for row in rows[5:]] == ["down", "up"]
    assert b"'=1+1" in written([("=1+1", 5, None, "fine")])


class Tags(HTMLParser):
    """Tags that were opened and not closed, and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.void = {"meta", "line", "rect", "polyline", "polygon", "br"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed where it opens."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_html_is_one_well_formed_file_and_names_are_escaped(place: Place, tmp_path: Path) -> None:
    await metered(place, 10)
    made = service(place, tmp_path / "reports")
    run = await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.MONTH, yesterday(place))
    page = (await files(made, run.key))["html"].decode()
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert "Osaka Bakery" in page
    assert "calm → " in page
    assert run.sha256 is not None
    assert run.sha256 in page
    assert "http" not in page


async def test_a_contractor_without_links_gets_a_report_that_says_so(place: Place, tmp_path: Path) -> None:
    made = service(place, tmp_path / "reports")
    run = await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.DAY, yesterday(place))
    page = (await files(made, run.key))["html"].decode()
    assert "Nothing was measured" in page


async def test_another_contractor_finds_no_such_report(place: Place, tmp_path: Path) -> None:
    await metered(place, 2)
    made = service(place, tmp_path / "reports")
    stranger = Scope.of(place.contractor_id + 1)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    with pytest.raises(NotFound):
        await made.file(stranger, run.key, Format.JSON)
    with pytest.raises(NotFound):
        await made.make(stranger, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    own = Scope.of(place.contractor_id)
    assert await made.file(own, run.key, Format.JSON)


async def test_a_period_that_has_not_begun_is_refused(place: Place, tmp_path: Path) -> None:
    tomorrow = yesterday(place) + timedelta(days=3)
    with pytest.raises(BadInput, match="has not begun"):
        await service(place, tmp_path / "reports").make(
            EVERYTHING, Subject(link_id=place.link.id), Period.DAY, tomorrow
        )


async def test_a_schedule_s_id_is_taken_once(place: Place, tmp_path: Path) -> None:
    made = service(place, tmp_path / "reports")
    about = Subject(link_id=place.link.id)
    await made.add_schedule(EVERYTHING, place.by(), Schedule("m", Period.MONTH), about)
    with pytest.raises(Conflict, match="exists"):
        await made.add_schedule(EVERYTHING, place.by(), Schedule("m", Period.MONTH), about)


async def test_a_full_disk_fails_the_report_and_says_so_and_it_is_tried_again(place: Place, tmp_path: Path) -> None:
    await metered(place, 2)
    blocked = tmp_path / "reports"
    blocked.write_text("a file where the folder should be")
    made = service(place, blocked)
    await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), Subject(link_id=place.link.id))
    place.clock.advance(DAY_MS / 1000)
    (failed,) = await made.tick()
    assert failed.state == "failed"
    assert failed.failure
    assert await made.tick() == []
    blocked.unlink()
    place.clock.advance(3_600)
    (settled,) = await made.tick()
    assert settled.state == "final"
