"""Metering over REST and on the command line, as an operator and cron use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import typer
import uvicorn
from sqlalchemy import update
from typer.testing import CliRunner

from controller.api.app import build
from controller.cli import modelfigures, reporting, traffic
from controller.keyring import Keyring
from controller.reports.service import ReportService
from controller.settings import Settings
from controller.store import api_keys, backtests
from controller.store.scope import By
from controller.store.tables.inventory import adapters
from drivers.simulator.traffic import Profile
from inventory.backtest import Record
from inventory.errors import BadInput
from inventory.links import Direction
from inventory.periods import TOKYO, day_of
from tests.controller.metering.conftest import DAY_MS, Place
from tests.controller.metering.reporting import ON_SQLITE, metered

BUSY = Profile(seed=3, kind="office", capacity_bps=100_000_000, busy_share=0.97, bursts=False)
STRANGE = "E-999999"


def daemon(place: Place, keyring: Keyring, folder: Path) -> SimpleNamespace:
    reports = ReportService(place.database, place.traffic, place.metering, place.clock, folder=folder, node="one")
    return SimpleNamespace(
        db=place.database,
        traffic=place.traffic,
        clock=place.clock,
        keyring=keyring,
        metering=place.metering,
        reports=reports,
        settings=Settings(data_directory=folder.parent),
        started_ms=place.clock.now_ms(),
    )


@pytest.fixture
async def api(place: Place, keyring: Keyring, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    parts = daemon(place, keyring, tmp_path / "reports")
    async with place.database.write() as tx:
        key = await api_keys.first_key(tx, keyring, By("first start", place.clock.now_ms()))
    assert key is not None
    transport = httpx.ASGITransport(build(parts))  # type: ignore[arg-type]  # the parts that these routers use
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers) as client:
        yield client


async def test_from_an_import_to_a_flag_a_proposal_and_a_report(api: httpx.AsyncClient, place: Place) -> None:
    done = await api.post("/readings", content=place.past(BUSY, 35))
    assert (done.status_code, done.json()["new"]) == (200, 35 * 288 + 1)
    await place.metering.tick()

    (hot,) = (await api.get("/congestion", params={"level": 2})).json()["items"]
    assert (hot["link"]["interface"], hot["level"]["direction"]) == ("wan1", "down")
    judged = (await api.get(f"/links/{place.link.id}/congestion")).json()
    assert judged["changes"][0]["evidence"]["days"]
    assert (hot["level"]["stale"], judged["levels"][0]["stale"]) == (False, False)
    busy = {one["direction"]: one["hour"] for one in judged["usual_busy_hours"]}
    assert busy["down"] in range(9, 16)  # an office
    last = day_of(place.today_ms(1), TOKYO)
    query = {"first": last.isoformat(), "after": (last + timedelta(days=1)).isoformat()}
    shown = {one["direction"]: one for one in (await api.get(f"/links/{place.link.id}/days", params=query)).json()}
    proof = judged["changes"][0]["evidence"]["days"][-1]
    assert shown["down"]["required_share"] > shown["down"]["busy_util"] > 0
    assert (shown["device"]["required_share"], shown["down"]["drop_slots"], proof["drop_slots"]) == (0.0, 0, 0)
    causes = hot["level"]["causes"]
    assert (causes[0]["cause"], {one["cause"] for one in causes}) == ("busy-hour", {"busy-hour", "full-slots"})
    assert all(1 <= one["days"] <= 7 for one in causes)
    (draft,) = (await api.get("/proposals", params={"state": "draft"})).json()["items"]
    told = (await api.get(f"/links/{place.link.id}/explain")).json()
    assert f"proposal {draft['id']}" in told["next_action"].lower()

    seen = await api.get(f"/proposals/{draft['id']}")
    sent = await api.put(
        f"/proposals/{draft['id']}/state", json={"state": "sent"}, headers={"If-Match": seen.headers["ETag"]}
    )
    assert sent.json()["state"] == "sent"
    stale = await api.put(
        f"/proposals/{draft['id']}/state", json={"state": "accepted"}, headers={"If-Match": seen.headers["ETag"]}
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    version = {"If-Match": sent.headers["ETag"]}
    backwards = await api.put(f"/proposals/{draft['id']}/state", json={"state": "sent"}, headers=version)
    assert "accepted, declined, expired, superseded" in backwards.json()["next_step"]
    agreed = await api.put(f"/proposals/{draft['id']}/state", json={"state": "accepted"}, headers=version)
    assert agreed.json()["state"] == "accepted"
    told = (await api.get(f"/links/{place.link.id}/explain")).json()
    assert told["next_action"].startswith(f"Carry out what proposal {draft['id']} was accepted for")

    day = day_of(place.today_ms(1), TOKYO).isoformat()
    made = await api.post("/reports", json={"contractor": f"K-{place.contractor_id}", "period": "day", "day": day})
    assert (made.status_code, made.json()["state"]) == (201, "final")
    page = await api.get("/reports/file", params={"key": made.json()["key"], "format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.text
    assert [run["key"] for run in (await api.get("/reports")).json()["items"]] == [made.json()["key"]]


async def test_a_wrong_line_is_a_problem_that_names_line_and_field(api: httpx.AsyncClient, place: Place) -> None:
    refused = await api.post("/readings", content=place.past(BUSY, 1) + b'{"entry":"E-1"}\n')
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (422, "bad-input", "line 290, field at")
    assert "nothing was imported" in problem["detail"]
    twice = b'{"entry":"E-1","interface":"wan1","at_ms":1,"in_octets":1,"in_octets":2,"out_octets":1}'
    doubtful = (await api.post("/readings", content=twice)).json()
    assert (doubtful["field"], "stands there twice" in doubtful["detail"]) == ("line 1, field in_octets", True)


async def test_slots_and_days_show_gaps_and_origins(api: httpx.AsyncClient, place: Place) -> None:
    await api.post("/readings", content=place.past(BUSY, 1))
    await place.metering.tick()
    first, after = (day_of(place.today_ms(n), TOKYO).isoformat() for n in (2, 0))
    slots = (await api.get(f"/links/{place.link.id}/slots", params={"first": first, "after": after})).json()
    assert len(slots["down"]["low"]) == 576
    assert slots["down"]["covered_ms"][:288] == [0] * 288
    assert slots["down"]["covered_ms"][288:] == [300_000] * 288
    days = (await api.get(f"/links/{place.link.id}/days", params={"first": first, "after": after})).json()
    assert {day["direction"] for day in days} == {"down", "up", "device"}
    assert all(day["origins"] == ["import"] for day in days)
    refused = await api.get(f"/links/{place.link.id}/slots", params={"first": after, "after": first})
    assert refused.status_code == 422


async def test_a_link_is_made_changed_and_given_a_capacity(api: httpx.AsyncClient, place: Place) -> None:
    new = {"entry": f"E-{place.entry_id}", "interface": "wan2", "ifindex": 9, "port_speed_bps": 10**9}
    made = await api.post("/links", json=new)
    assert made.status_code == 201
    assert (await api.post("/links", json=new)).status_code == 409
    assert (await api.post("/links", json=new | {"entry": STRANGE})).status_code == 404
    assert (await api.post("/links", json=new | {"zone": "Mars/Olympus"})).status_code == 422
    number = made.json()["id"]
    body = {"port_speed_bps": 10**8, "ifindex": 3, "line_type": "pppoe"}
    taken = await api.put(f"/links/{number}", json=body, headers={"If-Match": "*"})
    assert (taken.status_code, taken.json()["field"]) == (409, "ifindex")
    changed = await api.put(f"/links/{number}", json=body | {"ifindex": None}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    rate = {"kind": "line", "down_bps": 50_000_000, "up_bps": 20_000_000, "valid_from": "2025-10-01"}
    assert (await api.post(f"/links/{number}/capacities", json=rate)).status_code == 201
    faster = rate | {"down_bps": 80_000_000, "valid_from": "2025-11-01"}
    await api.post(f"/links/{number}/capacities", json=faster)
    shown = [c for c in (await api.get(f"/links/{number}/capacities")).json() if c["kind"] == "line"]
    assert [(c["down_bps"], c["valid_to"]) for c in shown] == [(50_000_000, "2025-11-01"), (80_000_000, None)]
    nothing = {"kind": "line", "valid_from": "2025-10-01"}
    assert (await api.post(f"/links/{number}/capacities", json=nothing)).status_code == 422
    for day in ("0001-01-01", "9999-12-31"):
        never = await api.post(f"/links/{number}/capacities", json=rate | {"valid_from": day})
        assert (never.status_code, never.json()["field"]) == (422, "valid_from")
    kept = (await api.get(f"/links/{number}/capacities")).json()
    assert [c for c in kept if c["kind"] == "line"] == shown
    (one,) = [link for link in (await api.get("/links")).json()["items"] if link["id"] == number]
    assert one["line_type"] == "pppoe"


async def test_a_schedule_is_kept_and_names_its_subject(api: httpx.AsyncClient, place: Place) -> None:
    wanted = {"id": "monthly", "period": "month", "link": place.link.id, "at": "07:30"}
    assert (await api.post("/report-schedules", json=wanted)).status_code == 201
    assert (await api.post("/report-schedules", json=wanted)).status_code == 409
    both = wanted | {"id": "two", "contractor": f"K-{place.contractor_id}"}
    assert (await api.post("/report-schedules", json=both)).status_code == 422
    (kept,) = (await api.get("/report-schedules")).json()
    assert (kept["at"], kept["link"]) == ("07:30", place.link.id)


@asynccontextmanager
async def served(parts: SimpleNamespace) -> AsyncIterator[str]:
    """The application on a real port, as the command line meets it."""
    server = uvicorn.Server(uvicorn.Config(build(parts), port=0, log_config=None, lifespan="off"))  # type: ignore[arg-type]  # as above
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def test_cron_gets_exit_0_for_a_final_report_and_3_for_a_provisional_one(
    place: Place, keyring: Keyring, tmp_path: Path
) -> None:
    async with place.database.write() as tx:
        key = await api_keys.first_key(tx, keyring, By("first start", place.clock.now_ms()))
    assert key is not None
    app = typer.Typer()
    traffic.register(app)
    reporting.register(app)
    modelfigures.register(app)
    past = tmp_path / "past.ndjson"
    past.write_bytes(place.past(BUSY, 10))
    async with served(daemon(place, keyring, tmp_path / "made")) as url:
        options = ["--url", url]
        environment = {"KAJITORI_API_KEY": key.reveal()}

        async def run(*words: str) -> tuple[int, str]:
            done = await asyncio.to_thread(CliRunner().invoke, app, [*words, *options], env=environment)
            return done.exit_code, done.output

        assert (await run("readings", str(past)))[0] == 0
        yesterday, today = (day_of(place.today_ms(n), TOKYO).isoformat() for n in (1, 0))
        about = ("report", "traffic", "--link", str(place.link.id), "--output", str(tmp_path / "out"))
        status, said = await run(*about, "--day", yesterday)
        assert (status, "final" in said) == (0, True)
        assert await run(*about, "--day", yesterday) == (status, said)
        other = tmp_path / "other"
        words = ("--day", yesterday, "--lang", "ja", "--format", "html", "--format", "csv")
        assert (await run(*about[:4], "--output", str(other), *words))[0] == 0
        shown = {file.suffix: file.read_bytes() for file in other.iterdir()}
        assert (set(shown), b'lang="ja"' in shown[".html"]) == ({".html", ".csv"}, True)
        assert shown[".csv"].decode("utf-8-sig").startswith("報告書,")
        blocked = [*about[:4], "--output", str(past), "--day", yesterday, *options]
        done = await asyncio.to_thread(CliRunner().invoke, app, blocked, env=environment)
        assert isinstance(done.exception, BadInput), "the command line tells it and ends with 2"
        assert done.exception.field == "output"
        assert (await run(*about, "--day", today))[0] == 3
        status, said = await run("link", "congestion", "--level", "2")
        assert (status, "wan1" in said) == (0, True)
        status, said = await run("report", "list", "--json")
        assert [run["state"] for run in json.loads(said)] == ["final", "provisional"]
        status, said = await run("report", "traffic", "--kind", "fleet", "--day", yesterday, "--lang", "ja")
        assert (status, "fleet/day/" in said, "に平常 → " in said or "calm" in said) == (0, True, False)
        free = ("report", "traffic", "--link", str(place.link.id), "--from", yesterday, "--to", yesterday)
        assert (await run(*free))[0] == 0
        assert (await run("report", "traffic", "--link", "99", "--day", yesterday))[0] == 1
        added = ("report-schedule", "add", "daily", "--link", str(place.link.id), "--period", "day", "--lang", "ja")
        assert (await run(*added))[0] == 0
        assert (await run("report-schedule", "send-to", "daily", "folder", "noc", "--format", "csv"))[0] == 0
        status, said = await run("report-schedule", "recipients", "daily", "--json")
        assert [one["target"] for one in json.loads(said)] == ["noc"]
        assert (await run("report", "traffic", "--schedule", "daily", "--day", yesterday))[0] == 0
        status, said = await run("report-delivery", "list", "--json")
        (waiting,) = json.loads(said)
        assert (waiting["state"], waiting["report"]) == ("waiting", f"daily/day/{yesterday}")
        assert (await run("report-delivery", "retry", str(waiting["id"])))[0] == 1, "only what failed is tried again"
        assert (await run("report-schedule", "stop-sending", "daily", "1"))[0] == 0
        status, said = await run("report-schedule", "end", "daily", "--json")
        assert json.loads(said)[0]["active_to"] is not None
        assert (await run("report-schedule", "list", "--json")) == (0, "[]\n")
        assert (await run("proposal", "list"))[0] == 0
        # A report has closed the days; the daily look comes all the same.
        await place.metering.tick()
        status, said = await run("proposal", "check", str(place.link.id), "--json")
        assert (status, json.loads(said)[0]["reason"]) == (0, "not-enough-data")
        figures = (
            "model-figure",
            "set",
            "fortigate",
            "--hardware",
            "FGT-90X",
            "--inspected-bps",
            "900000000",
            "--json",
        )
        status, said = await run(*figures)
        assert (status, json.loads(said)[0]["origin"]) == (0, "operator")
        assert (await run("model-figure", "list", "--model", "FortiGate"))[0] == 0
        assert (await run("model-figure", "withdraw", "FGT 90X"))[0] == 0  # case, spaces and dashes do not count
        assert (await run("model-figure", "withdraw", "FGT 90X"))[0] == 1
        assert (await run("link", "list"))[0] == 0
    assert len({path.suffix for path in (tmp_path / "out").iterdir()}) == 3  # a test's folder


def test_a_report_command_without_a_period_is_bad_input() -> None:
    app = typer.Typer()
    traffic.register(app)
    reporting.register(app)
    done = CliRunner().invoke(app, ["report", "traffic", "--link", "1"])
    assert isinstance(done.exception, BadInput)
    assert "--month" in done.exception.message


@pytest.mark.parametrize(("contractors", "told"), [(9, None), (10, ("group", 10)), (13, ("group", 15))])
async def test_a_contractor_reads_the_record_of_others_only_where_they_are_ten_and_rounded(
    place: Place, keyring: Keyring, tmp_path: Path, contractors: int, told: tuple[str, int] | None
) -> None:
    tested = (backtests.Place(1_000 + n, "fortigate", "dhcp") for n in range(contractors))
    async with place.traffic.write() as tx:
        for n, at in enumerate(tested):
            await backtests.put(tx, backtests.Kept(9_000 + n, Direction.DOWN, at, Record(1)), 1)
    async with place.database.write() as tx:
        _, key = await api_keys.create(
            tx, keyring, place.by(), name="shop", role="contractor", contractor_id=place.contractor_id
        )
    transport = httpx.ASGITransport(build(daemon(place, keyring, tmp_path / "reports")))  # type: ignore[arg-type]  # see `api`
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers) as client:
        shown = (await client.get(f"/links/{place.link.id}/forecast")).json()
    found = next(one for one in shown if one["direction"] == "down")["backtest"]
    assert (None if found is None else (found["of"], found["origins"])) == told
    assert all("contractor" not in name and name not in {"min", "max"} for name in found or {})


async def test_a_percentile_is_of_the_slots_in_service_as_in_the_report(api: httpx.AsyncClient, place: Place) -> None:
    """Metering that began in the middle of the days that are asked for."""
    await api.post("/readings", content=place.past(BUSY, 2))
    first, today = day_of(place.today_ms(5), TOKYO), day_of(place.today_ms(), TOKYO)
    query = {"first": first.isoformat(), "after": (today + timedelta(days=3)).isoformat()}
    found = (await api.get(f"/links/{place.link.id}/p95", params=query)).json()
    passed = (place.clock.now_ms() - place.today_ms()) // 300_000
    assert found["n"] == 2 * 288 + passed
    days = {"first": day_of(place.today_ms(2), TOKYO).isoformat(), "after": today.isoformat()}
    whole = (await api.get(f"/links/{place.link.id}/p95", params=days)).json()
    assert (whole["n"], whole["k"], whole["coverage"]) == (576, 548, 1.0)
    assert whole["p95"]["low_bps"] == whole["p95"]["high_bps"]
    before = {"first": first.isoformat(), "after": days["first"]}
    nothing = (await api.get(f"/links/{place.link.id}/p95", params=before)).json()
    assert (nothing["p95"], nothing["n"], nothing["k"]) == (None, 0, 0)
    asked = {"link": place.link.id, "period": "free", "day": first.isoformat(), "last_day": today.isoformat()}
    made = (await api.post("/reports", json=asked)).json()
    report = (await api.get("/reports/file", params={"key": made["key"], "format": "json"})).json()
    span = {"first": first.isoformat(), "after": (today + timedelta(days=1)).isoformat()}
    same = (await api.get(f"/links/{place.link.id}/p95", params=span)).json()
    shown = report["links"][0]["p95"]
    assert (shown["n"], shown["low_bps"], shown["high_bps"]) == (
        same["n"],
        *(same["p95"][x] for x in ("low_bps", "high_bps")),
    )


async def test_what_a_router_is_judged_by_is_told_in_packets_and_what_a_line_is_judged_by_is_not_the_routers(
    api: httpx.AsyncClient, place: Place
) -> None:
    """Over REST alone: the figure is entered, the days before are judged anew, and explain names both figures."""
    async with place.database.write() as tx:
        await tx.execute(update(adapters).values(model="seil-x4", hardware="SEIL/X4"))
    lines = [json.loads(line) for line in place.past(BUSY, 4).splitlines()]
    told = [one | {"in_packets": one["in_octets"] // 90, "out_packets": one["out_octets"] // 90} for one in lines]
    await api.post("/readings", content="\n".join(json.dumps(one) for one in told))
    await place.metering.tick()
    before = (await api.get(f"/links/{place.link.id}/explain")).json()
    assert "judged against 100 Mbit/s down, 100 Mbit/s up (line)" in before["summary"]
    assert "kajitori proposal check" in before["next_action"]

    figure = {"model": "seil-x4", "packets_per_s": 100_000, "source": "laboratory"}
    assert (await api.post("/model-figures", json=figure)).status_code == 201
    await place.metering.tick()
    found = (await api.get(f"/links/{place.link.id}/congestion")).json()
    (device,) = [one for one in found["levels"] if one["direction"] == "device"]
    assert (device["level"], [one["cause"] for one in device["causes"]]) == (2, ["packets"])
    (listed,) = [one for one in (await api.get(f"/links/{place.link.id}/capacities")).json() if one["kind"] == "model"]
    assert (listed["down_bps"], listed["packets_per_s"]) == (None, 100_000)
    day = day_of(place.today_ms(1), TOKYO)
    query = {"first": day.isoformat(), "after": (day + timedelta(days=1)).isoformat()}
    days = (await api.get(f"/links/{place.link.id}/days", params=query)).json()
    (shown,) = [one for one in days if one["direction"] == "device"]
    assert (shown["capacity_bps"], shown["capacity_pps"], shown["busy_util"]) == (None, 60_000, None)
    assert shown["packet_util"] > 1
    for one in days:
        assert (one["packet_util"] is None) == (one["direction"] != "device")
    line_rate = {"kind": "line", "down_bps": 10**9, "up_bps": 10**9, "valid_from": "2025-01-01", "reason": "upgrade"}
    assert (await api.post(f"/links/{place.link.id}/capacities", json=line_rate)).status_code == 201
    await place.metering.tick()
    after = (await api.get(f"/links/{place.link.id}/explain")).json()
    assert "judged against 60 % of 100,000 packets/s, in and out together (model)" in after["summary"]


@ON_SQLITE
async def test_a_percentile_of_days_whose_slots_are_forgotten_is_refused_and_not_that_of_the_rest(
    api: httpx.AsyncClient, place: Place
) -> None:
    await metered(place, 3)
    days = [day_of(place.today_ms(ago), TOKYO) for ago in (3, 2, 0)]
    begin_ms = place.today_ms(2) // DAY_MS * DAY_MS
    place.clock.advance((begin_ms + 400 * DAY_MS - place.clock.now_ms()) / 1000)
    await place.metering.tick()
    query = {"first": days[0].isoformat(), "after": days[2].isoformat()}
    refused = await api.get(f"/links/{place.link.id}/p95", params=query)
    assert (refused.status_code, refused.json()["field"]) == (422, "first")
    assert "400 days" in refused.json()["next_step"]
    kept = await api.get(f"/links/{place.link.id}/p95", params=query | {"first": days[1].isoformat()})
    assert kept.json()["n"] == 2 * 288
