"""Each kind of report, in both languages and all formats, from the same figures as REST."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from controller.reports import rendering
from controller.reports.changes import changed_cells
from controller.reports.tables import CONTRACTOR_COLUMNS
from controller.reports.words import ENGLISH, JAPANESE, sentence, title_of
from controller.store import backtests, links, maintenance
from controller.store.links import NewLink
from controller.store.reports import Manner
from drivers.simulator.traffic import Traffic, ndjson
from inventory.backtest import HorizonRecord, Record
from inventory.errors import BadInput
from inventory.links import Direction, LinkRole, Member
from inventory.periods import TOKYO, Period
from inventory.reporting import Format, Kind, Language, Subject
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import BUSY, ON_SQLITE, as_json, metered, seated_since_ever, service, yesterday

JAPANESE_MANNER = Manner(Language.JAPANESE, (Format.JSON, Format.CSV, Format.HTML))


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@ON_SQLITE
async def test_a_link_s_day_has_a_row_for_every_five_minutes(place: Place, tmp_path: Path) -> None:
    await metered(place, 2, without=range(300, 330))
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place))
    content = rows(await made.file(EVERYTHING, run.key, Format.CSV))
    head = next(n for n, row in enumerate(content) if row[0] == "time")
    steps = content[head + 1 : head + 289]
    assert content[head][:4] == ["time", "down mean [bit/s]", "down max slot [bit/s]", "down low [bit/s]"]
    assert steps[0][0] == f"{yesterday(place)}T00:00:00+09:00"
    assert (steps[0][5], steps[0][7:11]) == ("100.0", ["", "", "100000000", "line"]), (
        "no drops and no errors were told, so none are shown"
    )
    silent = [row for row in steps if row[1] == ""]
    assert 29 <= len(silent) <= 31
    assert all(row[4] != "" and row[6] == "derived" for row in silent), "a gap is an interval, and says what it is"


@ON_SQLITE
async def test_the_annex_names_rank_and_digest_of_the_slots_that_an_invoice_rests_on(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 20)
    made = service(place, tmp_path)
    wanted = Subject(contractor_id=place.contractor_id, wanted=Kind.ANNEX)
    last_month = yesterday(place).replace(day=1) - timedelta(days=1)
    run = await made.make(EVERYTHING, wanted, Period.MONTH, last_month)
    report = await as_json(made, run.key)
    (link,) = report["links"]
    assert run.key == f"annex-K-{place.contractor_id}/month/{last_month:%Y-%m}-01"
    assert (link["convention"], link["k"]) == ("max_of_p95", (95 * link["n"] + 99) // 100)
    traffic = await as_json(
        made, (await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.MONTH, last_month)).key
    )
    assert link["low_bps"] == traffic["links"][0]["p95"]["low_bps"]
    assert len(bytes.fromhex(link["slots_sha256"])) == 32
    again = await made.make(EVERYTHING, wanted, Period.MONTH, last_month)
    assert again.sha256 == run.sha256
    assert run.grade == link["grade"]


async def test_the_fleet_s_week_counts_levels_by_model_and_ranks_the_busiest(place: Place, tmp_path: Path) -> None:
    await metered(place, 20)
    await seated_since_ever(place)
    made = service(place, tmp_path)
    last_week = yesterday(place) - timedelta(days=7)
    run = await made.make(EVERYTHING, Subject(wanted=Kind.FLEET), Period.WEEK, last_week)
    report = await as_json(made, run.key)
    (levels,) = report["levels"]
    assert (levels["model"], levels["congested"] + levels["critical"]) == ("FortiGate 40F", 1)
    first = report["top_busy"][0]
    assert (first["place"], first["direction"], first["level"]) == ("Osaka 2", "down", "critical")
    days = await as_json(
        made, (await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.WEEK, last_week)).key
    )
    assert first["busy_util"] == days["links"][0]["directions"][0]["busy"]["util"]
    assert sum(one["directions"] for one in report["coverage"]) == 2
    assert report["audience"] == "operator"


@ON_SQLITE
async def test_the_fleet_s_report_tells_how_good_forecasts_have_been_and_is_not_corrected_for_it(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 8)
    made = service(place, tmp_path)
    last_week = yesterday(place) - timedelta(days=7)
    without = await as_json(made, (await made.make(EVERYTHING, Subject(wanted=Kind.FLEET), Period.DAY, last_week)).key)
    assert without["record"] is None
    errors = (HorizonRecord(4, 2, 0.04, 0.1), *(HorizonRecord(weeks) for weeks in (8, 13, 26)))
    tested = Record(6, errors, 4, 3, (41, 30, 52), 12.0)
    at = backtests.Place(place.contractor_id, "fortigate", "dhcp")
    async with place.traffic.write() as tx:
        await backtests.put(tx, backtests.Kept(place.link.id, Direction.DOWN, at, tested), 1)
    run = await made.make(EVERYTHING, Subject(wanted=Kind.FLEET), Period.WEEK, last_week)
    report = await as_json(made, run.key)
    assert report["record"] == {
        "origins": 6,
        "warnings": 4,
        "came_true": 3,
        "median_lead_days": 41,
        "false_per_100_link_months": pytest.approx(100 / 12),
        "horizons": [{"weeks": 4, "mae": 0.02, "naive_mae": 0.05}],
    }
    text = rows(await made.file(EVERYTHING, run.key, Format.CSV))
    assert ["came true in their interval", "3"] in text
    assert ["4", "2.0", "5.0"] in text
    page = (await made.file(EVERYTHING, run.key, Format.HTML)).decode()
    assert "How good such forecasts have been" in page
    assert changed_cells(without, without | {"record": report["record"]}) == []


async def test_data_quality_counts_the_gaps_by_source_and_model(place: Place, tmp_path: Path) -> None:
    await metered(place, 3, without=range(600, 650))
    await seated_since_ever(place)
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(wanted=Kind.QUALITY), Period.DAY, yesterday(place))
    report = await as_json(made, run.key)
    (group,) = report["groups"]
    assert (group["source"], group["model"], group["interfaces"]) == ("import", "FortiGate 40F", 1)
    assert (group["slots"], group["unknown"]) == (288, 51)
    assert report["worst"][0]["place"] == "Osaka 2"


@ON_SQLITE
async def test_a_free_period_has_its_own_key_and_is_of_a_link_only(place: Place, tmp_path: Path) -> None:
    await metered(place, 4)
    made = service(place, tmp_path)
    first, last = yesterday(place) - timedelta(days=2), yesterday(place)
    run = await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.FREE, first, last_day=last)
    assert run.key == f"traffic-link-{place.link.id}/free/{first}_{last}"
    assert (await as_json(made, run.key))["period"]["slots"] == 3 * 288
    assert run.span.days[-1] == last
    with pytest.raises(BadInput, match="no contractor report by free"):
        await made.make(EVERYTHING, Subject(contractor_id=place.contractor_id), Period.FREE, first, last_day=last)


@ON_SQLITE
async def test_japanese_words_and_english_words_stand_over_the_same_json(place: Place, tmp_path: Path) -> None:
    await metered(place, 10)
    made = service(place, tmp_path)
    about = Subject(contractor_id=place.contractor_id)
    run = await made.make(EVERYTHING, about, Period.DAY, yesterday(place), manner=JAPANESE_MANNER)
    page = (await made.file(EVERYTHING, run.key, Format.HTML)).decode()
    english = (await made.file(EVERYTHING, run.key, Format.HTML, Language.ENGLISH)).decode()
    assert '<html lang="ja">' in page
    assert ("通信量：Osaka Bakery" in page, "下り" in page) == (True, True)
    assert ("Traffic: Osaka Bakery" in english, "下り" in english) == (True, False)
    assert run.sha256 is not None
    assert run.sha256 in page
    assert run.sha256 in english
    assert hashlib.sha256(await made.file(EVERYTHING, run.key, Format.JSON)).hexdigest() == run.sha256
    heads = [
        next(row for row in rows(await made.file(EVERYTHING, run.key, Format.CSV, language)) if row[0] == name)
        for language, name in ((Language.JAPANESE, "エントリ"), (Language.ENGLISH, "entry"))
    ]
    assert [len(head) for head in heads] == [len(CONTRACTOR_COLUMNS)] * 2


async def test_every_kind_is_the_same_bytes_from_the_same_data_on_another_node(place: Place, tmp_path: Path) -> None:
    await metered(place, 3)
    one, two = service(place, tmp_path / "one"), service(place, tmp_path / "two", "two")
    for wanted in (Subject(link_id=place.link.id), Subject(wanted=Kind.FLEET), Subject(wanted=Kind.QUALITY)):
        run = await one.make(EVERYTHING, wanted, Period.DAY, yesterday(place))
        again = await two.make(EVERYTHING, wanted, Period.DAY, yesterday(place))
        assert again == run
        for kind in (Format.JSON, Format.CSV, Format.HTML):
            assert await one.file(EVERYTHING, run.key, kind) == await two.file(EVERYTHING, run.key, kind)


@ON_SQLITE
async def test_a_fleet_without_links_gets_a_report_that_says_so(place: Place, tmp_path: Path) -> None:
    made = service(place, tmp_path)
    run = await made.make(EVERYTHING, Subject(wanted=Kind.QUALITY), Period.DAY, yesterday(place))
    report = await as_json(made, run.key)
    assert report["groups"][0]["unknown"] == 288
    entry = f"E-{place.entry_id}"
    assert report["changes"] == [{"what": "unmeasured", "entry": entry, "place": "Osaka 2", "interface": "wan1"}]
    assert report["data_as_of_ms"] is None


@ON_SQLITE
async def test_a_group_is_reported_as_the_sum_of_its_interfaces_and_maintenance_is_shaded(
    place: Place, tmp_path: Path
) -> None:
    await metered(place, 2)
    start_ms, end_ms = place.today_ms(2), place.today_ms()
    members = (Member("ge1", 1_000_000_000), Member("ge2", 1_000_000_000))
    new = NewLink(place.entry_id, "lag1", LinkRole.WAN, None, None, "static", TOKYO, members)
    hour_ms = 3_600_000
    async with place.database.write() as tx:
        group = await links.add(tx, EVERYTHING, place.by(), new)
        await maintenance.add(
            tx,
            EVERYTHING,
            place.by(),
            entry_id=place.entry_id,
            kind="maintenance",
            start_ms=place.today_ms(1) + 2 * hour_ms,
            end_ms=place.today_ms(1) + 3 * hour_ms,
            daily_min=None,
            reason="new firmware",
        )
    for member in members:
        readings = Traffic(BUSY, start_ms).readings(start_ms, end_ms, step_ms=300_000)
        lines = b"".join(ndjson(f"E-{place.entry_id}", member.interface, readings))
        await place.metering.import_readings(EVERYTHING, lines)
    await place.metering.tick()
    made = service(place, tmp_path)
    alone, both = [
        await as_json(made, (await made.make(EVERYTHING, Subject(link_id=n), Period.DAY, yesterday(place))).key)
        for n in (place.link.id, group.id)
    ]
    one, two = (report["links"][0]["directions"][0] for report in (alone, both))
    assert two["volume_low_octets"] == two["volume_high_octets"] == 2 * one["volume_low_octets"]
    assert one["maintenance_minutes"] == 90, "and half an hour after it"
    page = (await made.file(EVERYTHING, both["report"], Format.HTML)).decode()
    assert page.count('class="maintenance"') == 2


def pdf_is_possible() -> bool:
    try:
        rendering.require_pdf()
    except BadInput:
        return False
    return True


@pytest.mark.skipif(
    not pdf_is_possible() and os.environ.get("CI") != "true",
    reason="Pango is not installed (Debian: libpangoft2-1.0-0)",
)
@ON_SQLITE
async def test_the_pdf_is_the_page_on_a4(place: Place, tmp_path: Path) -> None:
    await metered(place, 2)
    made = service(place, tmp_path)
    manner = Manner(Language.JAPANESE, (Format.JSON, Format.PDF))
    about = Subject(contractor_id=place.contractor_id)
    run = await made.make(EVERYTHING, about, Period.DAY, yesterday(place), manner=manner)
    content = await made.file(EVERYTHING, run.key, Format.PDF)
    assert content.startswith(b"%PDF-")
    assert (tmp_path / run.files[1]).read_bytes().startswith(b"%PDF-")
    assert run.files[1].startswith(f"K-{place.contractor_id}_")


@ON_SQLITE
async def test_without_the_extra_a_pdf_is_refused_by_its_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await metered(place, 1)
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    made = service(place, tmp_path)
    manner = Manner(Language.ENGLISH, (Format.JSON, Format.PDF))
    with pytest.raises(BadInput, match=r"kajitori\[pdf\]"):
        await made.make(EVERYTHING, Subject(link_id=place.link.id), Period.DAY, yesterday(place), manner=manner)


@pytest.mark.fast
def test_both_languages_have_every_word_with_the_same_parts() -> None:
    assert set(ENGLISH) == set(JAPANESE)
    for word, text in ENGLISH.items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", JAPANESE[word])), word


def test_a_place_without_a_name_is_called_by_its_entry() -> None:
    nameless = {"what": "unmeasured", "entry": "E-7", "place": "", "interface": "ge0"}
    assert sentence(nameless, Language.ENGLISH) == "E-7, ge0: nothing was measured"
    assert sentence(nameless, Language.JAPANESE) == "E-7 ge0：計測値がありません"
    link = {"kind": "link", "subject": {"link": 1, "entry": "E-7", "name": "", "interface": "ge0"}}
    assert title_of(link, Language.ENGLISH) == "Traffic of a link: E-7 ge0"
