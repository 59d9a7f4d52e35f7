"""Operations over REST and by command, on a daemon with a simulated Cisco router behind its SSH port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from drivers.simulator.ios_cli import IosDevice
from tests.controller.house import Fleet, House, Json, ok, refused, serial
from tests.controller.routers import USERNAME, router
from tests.controller.waiting_here import until

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Line:
    """A router in an entry."""

    api: httpx.Client
    serial: str
    router: IosDevice

    def starts(self, kind: str, **parameters: Any) -> int:
        """Start an operation."""
        body = {"adapter": self.serial, "kind": kind, "parameters": parameters}
        return int(ok(self.api.post("/operations", json=body))["id"])

    def ended(self, number: int) -> Json:
        """The operation, once it is over."""

        def over() -> Json | None:
            told: Json = ok(self.api.get(f"/operations/{number}"))
            return told if told["outcome"] else None

        return until(over, what=f"the end of operation {number}") or {}

    def asks(self, kind: str, **parameters: Any) -> Json:
        """Start an operation and wait for its end."""
        return self.ended(self.starts(kind, **parameters))


@pytest.fixture
def line(house: House, fleet: Fleet) -> Iterator[Line]:
    """A router that has run for three days."""
    name = serial()
    with router(name, password=PASSWORD) as device:
        device.started_ms -= 3 * 86_400_000
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": PASSWORD}
        fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place={"management": fleet.management()}))
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        ok(fleet.api.post(f"/adapters/{name}/identify"))
        yield Line(fleet.api, name, device)


def test_a_router_behind_ssh_is_asked_and_its_secrets_are_masked(line: Line) -> None:
    told = line.asks("ping", address="192.0.2.9", count=4)
    assert (told["outcome"], told["result"]["answered"], told["result"]["lost"]) == ("done", 4, 0)
    assert "> ping 192.0.2.9 repeat 4" in told["result"]["transcript"]
    assert [step["state"] for step in told["journal"]] == ["waiting", "sending", "done"]

    told = line.asks("traceroute", address="203.0.113.7")
    assert [hop["address"] for hop in told["result"]["hops"]] == ["192.0.2.254", "203.0.113.7"]

    told = line.asks("read-storage")
    text = told["result"]["reports"][0]["text"]
    assert "hostname osaka-edge-01" in text
    hashed = next(row for row in line.router.running_text().splitlines() if row.startswith("username")).split()[-1]
    assert hashed not in json.dumps(told)
    told = line.asks("md-command", command="show running-config | include username")
    assert told["outcome"] == "done"
    assert hashed not in json.dumps(told)

    told = line.asks("md-command", command="show nonsense")
    assert (told["outcome"], told["state"]) == ("not-done", "not-done")
    assert "refused" in told["said"]


def test_what_was_typed_and_said_is_found_by_adapter_operation_and_number(house: House, line: Line) -> None:
    waits = line.starts("ping", address="192.0.2.9")  # sent or not, by the time that it is looked at
    line.ended(waits)
    told = line.asks("md-command", command="show running-config | include username")
    (piece,) = ok(line.api.get(f"/operations/{told['id']}/transcripts"))
    assert "> show running-config | include username" in piece["words"]
    assert "‹masked›" in piece["words"]
    assert (piece["operation"], piece["push"], piece["adapter"]) == (told["id"], None, line.serial)
    index = ok(line.api.get("/transcripts", params={"adapter": line.serial}))["items"]
    assert [one["operation"] for one in index] == [told["id"], waits]
    assert "words" not in index[0]
    assert ok(line.api.get(f"/transcripts/{piece['id']}")) == piece
    where = ["--url", house.url, "--key-file", str(house.directory / "admin.key")]
    shown = CliRunner().invoke(app, ["operation", "transcript", str(told["id"]), *where])
    assert (shown.exit_code, piece["words"] in shown.stdout) == (0, True)
    listed = CliRunner().invoke(app, ["transcript", "list", "--operation", str(told["id"]), "--json", *where])
    assert json.loads(listed.stdout) == index[:1]
    one = CliRunner().invoke(app, ["transcript", "show", str(piece["id"]), "--json", *where])
    assert json.loads(one.stdout) == piece
    later = {"adapter": line.serial, "kind": "ping", "parameters": {"address": "192.0.2.9"}}
    later["not_before"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    unsent = ok(line.api.post("/operations", json=later))["id"]
    assert ok(line.api.get(f"/operations/{unsent}/transcripts")) == []
    refused(line.api.get("/transcripts/2000000000"), 404, "not-found")
    refused(line.api.get("/operations/2000000000/transcripts"), 404, "not-found")


def test_what_would_change_the_configuration_is_refused_before_anything_is_sent(line: Line) -> None:
    body = {"adapter": line.serial, "kind": "md-command", "parameters": {"command": "conf t"}}
    problem = refused(line.api.post("/operations", json=body), 409, "rule-violation")
    assert "configuration mode" in problem["detail"]
    assert "plan" in problem["next_step"]
    problem = refused(
        line.api.post("/operations", json=body | {"kind": "dump-debug", "parameters": {}}), 409, "not-eligible"
    )
    assert "request of ARMS" in problem["detail"]
    assert ok(line.api.get("/operations", params={"adapter": line.serial}))["items"] == [], (
        "there is nothing to be sent"
    )


def test_a_secret_that_was_typed_is_not_quoted_when_its_answer_is_lost(line: Line) -> None:
    line.asks("read-storage")
    entry = ok(line.api.get(f"/adapters/{line.serial}"))["place"]
    text = line.router.running_text().replace("\nend\n", "\nsnmp-server community Planted-Comm-41 RO\nend\n")
    ok(line.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))
    typed = "send log Planted-Comm-41"
    line.router.throw(strike_at=typed, strike_when="before", strike_how="hang-up")
    told = line.asks("md-command", command=typed)
    assert (told["outcome"], told["tries"]) == ("unknown", 1)
    assert "‹masked›" in told["said"]
    explained = ok(line.api.get(f"/operations/{told['id']}/explain"))
    news = ok(line.api.get("/events", params={"adapter": line.serial, "limit": 200}))
    assert "Planted-Comm-41" not in json.dumps([told, explained, news], ensure_ascii=False)


def test_what_is_scheduled_for_weeks_keeps_nobody_from_asking_now(line: Line) -> None:
    body = {"adapter": line.serial, "kind": "ping", "parameters": {"address": "192.0.2.9"}}
    for day in range(1, 18):
        later = (datetime.now(UTC) + timedelta(days=day)).isoformat()
        ok(line.api.post("/operations", json=body | {"not_before": later}))
    assert line.asks("ping", address="192.0.2.9")["outcome"] == "done"


def test_a_reboot_is_sent_once_and_proven_by_a_new_login(line: Line) -> None:
    told = line.asks("reboot")
    assert (told["outcome"], told["tries"]) == ("done", 1)
    assert "uptime began anew" in told["said"]
    assert [step["state"] for step in told["journal"]] == ["waiting", "sending", "returning", "done"]
    assert line.router.log.count("reload") == 1


@pytest.mark.parametrize("wanted", ["20261201", 20261201, "1.5", "2025-12-01T02:00:00+09:00"])
def test_a_reboot_for_a_day_that_is_written_wrongly_or_over_does_not_begin_at_once(line: Line, wanted: object) -> None:
    body = {"adapter": line.serial, "kind": "reboot", "not_before": wanted}
    assert refused(line.api.post("/operations", json=body), 422, "bad-input")["field"] == "not_before"
    assert ok(line.api.get("/operations", params={"adapter": line.serial}))["items"] == []


def test_a_reboot_that_did_not_reach_the_router_is_never_sent_twice(line: Line) -> None:
    line.router.throw(strike_at="reload", strike_when="before", strike_how="hang-up")
    told = line.asks("reboot")
    assert (told["outcome"], told["tries"]) == ("not-done", 1)
    assert "has run on" in told["said"]
    assert line.router.log.count("reload") == 0


def test_a_clearing_whose_answer_is_lost_is_unknown_and_a_reading_is_not_done(line: Line) -> None:
    line.router.throw(strike_at="clear counters", strike_when="after", strike_how="hang-up")
    told = line.asks("clear-status", items=[{"module": 0, "text": "clear counters"}])
    assert (told["outcome"], told["tries"]) == ("unknown", 1)
    assert line.router.log.count("cleared") == 1
    line.router.throw(strike_at="show clock", strike_when="after", strike_how="hang-up")
    told = line.asks("read-status", items=[{"module": 0, "text": "show clock"}])
    assert told["outcome"] == "not-done"


def test_many_are_asked_at_once_for_later_and_each_has_a_result_of_its_own(
    house: House, line: Line, tmp_path: Path
) -> None:
    month = datetime.now(UTC) + timedelta(days=31)
    body = {
        "adapters": [line.serial, line.serial.lower(), "NOBODY-1"],
        "kind": "ping",
        "parameters": {"address": "192.0.2.1"},
    }
    late = body | {"not_before": (month + timedelta(hours=1)).isoformat()}
    items = ok(line.api.post("/operations/many", json=late))["items"]
    assert [one["refused"] for one in items] == ["bad-input", "not-found"]
    soon = body | {"not_before": (month - timedelta(hours=1)).isoformat()}
    items = ok(line.api.post("/operations/many", json=soon))["items"]
    assert [one["refused"] for one in items] == [None, "not-found"]
    number = items[0]["operation"]["id"]
    assert "begins not before" in ok(line.api.get(f"/operations/{number}/explain"))["summary"]
    # What waits for its day keeps nobody else from asking now.
    assert line.asks("ping", address="192.0.2.1")["outcome"] == "done"
    assert ok(line.api.get(f"/operations/{number}"))["state"] == "waiting"
    assert ok(line.api.post(f"/operations/{number}/cancel"))["outcome"] == "not-done"

    key_file = tmp_path / "key"
    key_file.write_text(house.key, encoding="ascii")
    words = ["operation", "start", line.serial, "ping", "--address", "192.0.2.1", "--also", "NOBODY-1", "--wait"]
    told = CliRunner().invoke(app, [*words, "--json", "--url", house.url, "--key-file", str(key_file)])
    assert told.exit_code == 1
    assert [row["outcome"] for row in json.loads(told.stdout)] == ["done", "not-done"]
