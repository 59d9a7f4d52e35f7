"""The CLI is a client of the API: what it prints, and the exit statuses of architecture §10."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from controller.cli.app import app
from tests.controller.commands import BAD_INPUT, DONE, FAILED, NOT_SETTLED, client, kajitori, told
from tests.controller.house import Fleet, House, environment, ok, serial, serving


def test_every_command_takes_json() -> None:
    without: list[str] = []

    def walk(command: Any, path: str) -> None:
        if isinstance(command, TyperGroup):
            for name, below in command.commands.items():
                walk(below, f"{path} {name}")
        elif not any("--json" in option.opts for option in command.params):
            without.append(path)

    walk(typer.main.get_command(app), "kajitori")
    assert without == []


def test_a_fleet_is_made_and_looked_at_by_commands_alone(house: House) -> None:
    contractor = told(house, "contractor", "add", "By hand")["key"]
    management = told(
        house,
        *("management", "add", "--contractor", contractor, "--service", "mpc", "--classes", "I", "--entries", "2"),
        "--standbys",
        "1",
    )["key"]
    name = f"{serial()}/1"
    made = told(
        house,
        *("adapter", "register", name, "--contractor", contractor, "--service", "mpc", "--class", "I"),
        *("--model", "SEIL/X4", "--distribution-id", "0001-0000-0101-000B-0200-5EFF-FE00-53AA"),
        *("--management", management),
    )
    assert made["ls_key"]
    assert told(house, "adapter", "show", name)["place"] == made["place"]
    assert told(house, "adapter", "tick", name, "line", "site")["missing"]
    explained = told(house, "explain", name)
    status, out, _ = client(house, "explain", name)
    assert status == DONE
    for text in (explained["summary"], explained["next_action"], explained["facts"][0]["source"]):
        assert text in out
    status, out, _ = client(house, "adapter", "list")
    assert (status, name in out) == (DONE, True)
    assert name in [one["serial_number"] for one in told(house, "adapter", "list")]
    assert told(house, "adapter", "release", name)["place"] is None
    assert told(house, "entry", "assign", made["place"], name)["occupant"] == name


def test_bad_input_is_exit_2_and_names_the_next_step(house: House, tmp_path: Path) -> None:
    for words in (
        ("adapter", "show", " "),
        ("entry", "show", "K-1"),
        ("management", "add", "--contractor", "K-1", "--service", "isp", "--entries", "1"),
        ("entry", "config", "E-1", str(tmp_path / "not-there")),
        ("entry", "config", "E-1", str(tmp_path)),
    ):
        status, out, err = client(house, *words)
        assert (status, out) == (BAD_INPUT, ""), err
        assert err.startswith("kajitori: ")
    assert client(house, "adapter", "show")[0] == BAD_INPUT
    assert client(house, "adopter")[0] == BAD_INPUT
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"hostname osaka\n! caf\xe9\n")
    status, _, err = client(house, "entry", "config", "E-1", str(latin))
    assert (status, "line 2" in err) == (BAD_INPUT, True)


def test_what_is_refused_is_exit_1_with_its_rule(house: House, fleet: Fleet) -> None:
    body = fleet.arms()
    fleet.register(body)
    again = ("--contractor", fleet.contractor(), "--service", "mpc", "--class", "I", "--model", "SEIL/X4")
    status, _, err = client(
        house, "adapter", "register", body["serial_number"], *again, "--distribution-id", body["distribution_id"]
    )
    assert (status, "[SMF-1]" in err, "→" in err) == (FAILED, True, True)
    assert client(house, "adapter", "show", "NOBODY")[0] == FAILED
    assert kajitori(house.directory, "adapter", "list", URL=house.url, API_KEY="x" * 43)[0] == FAILED


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        status, _, err = kajitori(tmp_path / "data", "adapter", "list", URL=url, API_KEY="x" * 43)
    assert (status, "no answer" in err) == (FAILED, True)
    status, _, err = kajitori(tmp_path / "data", "adapter", "list", URL="http://127.0.0.1:1")
    assert (status, "KAJITORI_API_KEY" in err) == (BAD_INPUT, True)


def test_a_change_whose_answer_never_came_is_not_settled(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = subprocess.Popen(
            [sys.executable, "-m", "controller", "contractor", "add", "x"],
            env=environment(tmp_path / "data", URL=f"http://127.0.0.1:{listener.getsockname()[1]}", API_KEY="x" * 43),
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(65536).startswith(b"POST /api/v1/contractors")
        _, err = command.communicate(timeout=30)
    assert (command.returncode, "may have been done or not" in err) == (NOT_SETTLED, True)


def test_versions_of_a_config_are_listed_shown_and_compared_with_masks(
    house: House, fleet: Fleet, tmp_path: Path
) -> None:
    body = {**fleet.arms(model="SA-W2"), "place": {"management": fleet.management()}}
    entry = fleet.register(body)["place"]
    numbers = []
    for name, secret in (("osaka", "planted-one"), ("tokyo", "planted-two")):
        text = tmp_path / name
        text.write_text(f"hostname: {name}\ninterface.pppoe0.password: {secret}\n", encoding="utf-8")
        numbers.append(str(told(house, "entry", "config", entry, str(text), "--reason", f"for {name}")["id"]))
    listed = told(house, "config", "list", entry, "--kind", "working")
    assert [(str(one["id"]), one["reason"]) for one in listed] == [(numbers[1], "for tokyo"), (numbers[0], "for osaka")]
    assert all(one["author"] and one["at"] for one in listed)
    lines = told(house, "config", "diff", *numbers)["lines"]
    assert {"-hostname: osaka", "+hostname: tokyo"} <= set(lines)
    status, shown, _ = client(house, "config", "show", numbers[0])
    assert (status, "hostname: osaka" in shown) == (DONE, True)
    assert "planted" not in shown + "".join(lines)
    assert told(house, "config", "release", entry)["kind"] == "startup"


def test_a_plan_offline_is_proven_or_exit_3_and_a_text_that_does_not_parse_is_exit_2(tmp_path: Path) -> None:
    base, intent, broken = (tmp_path / name for name in ("base", "intent", "broken"))
    base.write_text("hostname a\ninterface Gi0/0\n description x\n", encoding="utf-8")
    intent.write_text("hostname a\ninterface Gi0/0\n description y\n", encoding="utf-8")
    broken.write_text("config system global\n    set hostname\n", encoding="utf-8")
    words = ("plan", "--dialect", "indented", str(base), str(intent))
    status, out, _ = kajitori(tmp_path / "data", *words, "--json")
    assert status == DONE
    told = json.loads(out)
    assert (told["proven"], told["management_path"]) == (True, [])
    base.write_text("interface Gi0/0\n ip address 192.0.2.1 255.255.255.0\n", encoding="utf-8")
    intent.write_text("interface Gi0/0\n ip address 192.0.2.1 255.255.255.0\n shutdown\n", encoding="utf-8")
    (cut,) = json.loads(kajitori(tmp_path / "data", *words, "--json")[1])["management_path"]
    assert cut == {"line": "interface Gi0/0 / shutdown", "reason": "shuts an interface that we come through"}
    assert "interface Gi0/0 / shutdown: shuts" in kajitori(tmp_path / "data", *words)[1]
    status, _, err = kajitori(tmp_path / "data", "plan", "--dialect", "block", str(broken), str(broken))
    assert (status, "line" in err) == (BAD_INPUT, True)
    assert kajitori(tmp_path / "data", "plan", "--dialect", "klingon", str(base), str(base))[0] == BAD_INPUT


def test_the_database_is_made_and_checked_without_a_daemon(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    status, _, err = kajitori(tmp_path / "data", "db", "check", "--url", url)
    assert (status, "db upgrade" in err) == (FAILED, True)
    for _ in range(2):
        assert kajitori(tmp_path / "data", "db", "upgrade", "--url", url)[0] == DONE
    status, out, _ = kajitori(tmp_path / "data", "db", "check", "--url", url, "--json")
    assert (status, json.loads(out)) == (DONE, {"at_head": True})
    assert kajitori(tmp_path / "data", "db", "check", "--url", "mysql://x/y")[0] == BAD_INPUT


def test_conformance_runs_through_the_module(tmp_path: Path) -> None:
    sample = tmp_path / "router.cfg"
    sample.write_text("hostname a\ninterface Gi0/0\n description x\n", encoding="utf-8")
    status, out, _ = kajitori(tmp_path / "data", "conformance", "dialect", "indented", str(sample))
    assert (status, out.splitlines()[-1]) == (DONE, "1 passed, 0 failed")
    status, out, _ = kajitori(tmp_path / "data", "conformance", "dialect", "indented", str(sample), "--json")
    assert (status, json.loads(out)["passed"]) == (DONE, 1)
    strange = tmp_path / "strange.json"
    strange.write_text('{"cases": [{"id": "x", "kind": "unheard-of"}]}', encoding="utf-8")
    status, out, _ = kajitori(tmp_path / "data", "conformance", "metering", str(strange))
    assert (status, out.splitlines()[-1]) == (FAILED, "0 passed, 1 failed")
    assert kajitori(tmp_path / "data", "conformance", "arms", str(tmp_path / "nowhere"))[0] == FAILED


def test_a_typo_in_the_settings_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    status, _, err = kajitori(tmp_path / "data", "serve", API__PROT="0")
    assert (status, "api.port" in err) == (BAD_INPUT, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("variable", "named"), [("API__PORT", "API"), ("ARMS__LS_PORT", "ARMS")])
def test_a_port_that_is_taken_is_told_and_not_a_traceback(tmp_path: Path, variable: str, named: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = kajitori(tmp_path / "data", "serve", **{variable: str(taken.getsockname()[1])})
    assert (status, named in err.splitlines()[-2]) == (BAD_INPUT, True), err


@pytest.mark.slow
def test_serve_stops_cleanly_and_starts_again_with_its_data(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with serving(directory) as house:
        made = Fleet(house.client())
        name = made.register(made.arms())["serial_number"]
        first = house.key
        status, _, err = kajitori(directory, "serve")
        assert (status, "another live process" in err) == (FAILED, True), err
        asked = time.monotonic()
        assert house.stop(signal.SIGTERM) == 0
        assert time.monotonic() - asked < 10
        assert not (directory / "listening.json").exists()
    assert "Traceback" not in house.log.read_text(encoding="utf-8")
    with sqlite3.connect(directory / "kajitori.db") as whole:
        assert whole.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    whole.close()
    before = (directory / "admin.key").stat().st_mtime_ns
    with serving(directory) as house:
        assert house.key == first
        assert (directory / "admin.key").stat().st_mtime_ns == before
        assert ok(house.client().get(f"/adapters/{name}"))["serial_number"] == name
        assert len(ok(house.client().get("/api-keys"))["items"]) == 1
        assert house.stop(signal.SIGINT) == 0


@pytest.mark.slow
def test_serve_tells_a_program_where_it_listens(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "controller", "serve", "--json"],
        env=environment(tmp_path / "data", API_KEY="exported for the commands"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert command.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1].rstrip() != "}":
        lines.append(command.stdout.readline())
        assert lines[-1], "it ended without a word"
    ports = json.loads("".join(lines))
    assert set(ports) == {"api", "ls", "rs", "heartbeat"}
    with socket.create_connection(("127.0.0.1", ports["api"]), 10):
        os.kill(command.pid, signal.SIGTERM)
    assert command.wait(30) == 0
    command.stdout.close()


def test_an_application_is_applied_for_accepted_and_given_notice_by_commands(house: House, tmp_path: Path) -> None:
    contractor = told(house, "contractor", "add", "By hand")["key"]
    form, items = tmp_path / "form.txt", tmp_path / "items.json"
    form.write_text("申込書\n", encoding="utf-8")
    name = serial()
    wanted = [
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 1},
        {"kind": "adapter", "name": name, "device_class": "I", "model": "SEIL/X4"},
    ]
    items.write_text(json.dumps(wanted), encoding="utf-8")
    options = ("--contractor", contractor, "--service", "mpc", "--form", str(form), str(items))
    made = told(house, "application", "add", *options)
    assert (made["form"], [line["state"] for line in made["lines"]]) == ("申込書\n", ["applied", "applied"])
    status, _, err = client(house, "application", "accept", str(made["id"]), "2025-06-01")
    assert (status, "arrived on" in err) == (BAD_INPUT, True)
    start = made["received"]
    lines = {
        line["kind"]: line["key"] for line in told(house, "application", "accept", str(made["id"]), start)["lines"]
    }
    ended = told(house, "contract", "record", lines["adapter"], "notice", "named=2099-06-30")
    assert (ended["state"], ended["effective"]) == ("terminating", "2099-06-30")
    assert "SMF-21" in client(house, "contract", "record", lines["management"], "suspend", "ground=1")[2]
    group = ("new_group.name=share", "new_group.packs_gb=60", "new_group.form=mail")
    change = ("change-option", "what=plan", "value=packet-share", *group)
    assert "MPC-9.2" in client(house, "contract", "record", lines["adapter"], *change)[2]
    rows = told(house, "contract", "events", lines["adapter"])
    assert [row["event"] for row in rows] == ["accept", "billing-starts", "notice"]
    assert told(house, "contract", "explain", lines["adapter"])["word"] == "terminating"
    listed = told(house, "contract", "list", "--contractor", contractor)
    assert [one["key"] for one in listed] == sorted(lines.values())
