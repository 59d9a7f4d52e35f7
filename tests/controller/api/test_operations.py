"""Operations over REST and by command, on a daemon with a simulated adapter that phones home."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from inventory.errors import BadInput
from tests.controller.api.phoning import SECRET, phoning
from tests.controller.house import Fleet, House, Json, ok, refused
from tests.controller.waiting_here import until

DONE, FAILED, BAD_INPUT, NOT_SETTLED = 0, 1, 2, 3


@dataclass(frozen=True)
class Phone:
    """An adapter in contact."""

    api: httpx.Client
    serial: str

    def asks(self, kind: str, **parameters: Any) -> Json:
        """Start an operation and wait for its end."""
        body = {"adapter": self.serial, "kind": kind, "parameters": parameters}
        number = ok(self.api.post("/operations", json=body))["id"]

        def over() -> Json | None:
            told: Json = ok(self.api.get(f"/operations/{number}"))
            return told if told["outcome"] else None

        return until(over, what=f"the end of {kind}") or {}


@pytest.fixture(scope="module")
def phone(house: House, api: httpx.Client) -> Iterator[Phone]:
    """A simulated SA-W2 in an entry, in contact."""
    with phoning(house, Fleet(api)) as serial:
        yield Phone(api, serial)


def key_of(api: httpx.Client, role: str) -> str:
    """Secret of a new key."""
    return str(ok(api.post("/api-keys", json={"name": f"a {role}", "role": role}))["key"])


def test_the_contact_names_the_node_that_has_its_tunnel(house: House, phone: Phone) -> None:
    contact = ok(phone.api.get(f"/adapters/{phone.serial}/contact"))
    assert contact["tunnel_open"]
    assert contact["node"] in (house.directory / "node").read_text(encoding="utf-8")


def test_an_operation_is_started_followed_and_explained(phone: Phone) -> None:
    told = phone.asks("ping", address="192.0.2.9", count=1)
    assert (told["state"], told["outcome"], told["result_name"]) == ("done", "done", "Success")
    assert (told["result"]["answered"], told["result"]["lost"]) == (1, 0)
    assert told["parameters"]["address"] == "192.0.2.9"
    assert [step["state"] for step in told["journal"]] == ["waiting", "sending", "running", "done"]
    explained = ok(phone.api.get(f"/operations/{told['id']}/explain"))
    assert (explained["word"], explained["next_action"]) == ("done", "Nothing to do; read the result.")
    assert len(explained["facts"]) == 5


def test_results_show_no_secret_and_each_module_its_code(phone: Phone) -> None:
    told = phone.asks("read-storage")
    assert "ppp.0.password: ‹masked›" in told["result"]["reports"][0]["text"]
    told = phone.asks("md-command", command="show config")
    assert SECRET not in json.dumps(told)
    told = phone.asks("read-status", items=[{"module": 0, "text": "show system"}, {"module": 9, "text": "x"}])
    assert [(one["module"], one["result_name"]) for one in told["result"]["reports"]] == [
        (0, "Success"),
        (9, "SA Failure"),
    ]


def test_a_dump_is_downloaded_byte_for_byte(phone: Phone) -> None:
    told = phone.asks("dump-debug")
    answer = phone.api.get(f"/operations/{told['id']}/file")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.content.decode() == told["result"]["reports"][0]["text"]
    refused(phone.api.get(f"/operations/{told['id']}/file", params={"module": 5}), 409, "conflict")
    refused(phone.api.get("/operations/2147483647/file"), 404, "not-found")


def test_the_list_is_filtered(phone: Phone) -> None:
    told = phone.asks("read-module-list")
    found = ok(phone.api.get("/operations", params={"adapter": phone.serial, "kind": "read-module-list"}))["items"]
    assert found[0]["id"] == told["id"]
    assert {one["kind"] for one in found} == {"read-module-list"}
    assert ok(phone.api.get("/operations", params={"adapter": phone.serial, "state": "unknown"}))["items"] == []
    refused(phone.api.get("/operations", params={"adapter": "NOBODY"}), 404, "not-found")


def test_the_same_key_never_starts_it_twice(phone: Phone) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"adapter": phone.serial, "kind": "md-command", "parameters": {"command": "show log"}}
    one, other = (phone.api.post("/operations", json=body, headers=headers) for _ in range(2))
    assert one.status_code == other.status_code == 202
    assert one.json()["id"] == other.json()["id"]
    assert other.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "configure"}, "kind"),
        ({"kind": "format"}, "kind"),
        ({"kind": "ping"}, "parameters.address"),
        ({"kind": "ping", "parameters": {"address": "192.0.2.1", "count": 11}}, "parameters.count"),
        ({"kind": "reboot", "parameters": {"storage": "backup"}}, "parameters.storage"),
        ({"kind": "read-storage", "parameters": {"storage": "startup"}}, "parameters.storage"),
        ({"kind": "md-command", "parameters": {"command": "x" * 8193}}, "parameters.command"),
        ({"kind": "ping", "wait_s": -1, "parameters": {"address": "192.0.2.1"}}, "wait_s"),
    ],
)
def test_what_is_malformed_is_refused_by_its_field(phone: Phone, body: Json, field: str) -> None:
    problem = refused(phone.api.post("/operations", json={"adapter": phone.serial, **body}), 422, "bad-input")
    assert field in problem["field"]


def test_a_configure_is_referred_to_a_plan(phone: Phone) -> None:
    answer = phone.api.post("/operations", json={"adapter": phone.serial, "kind": "configure"})
    assert "POST /plans" in refused(answer, 422, "bad-input")["next_step"]


def test_an_update_of_modules_is_referred_to_the_place(phone: Phone) -> None:
    answer = phone.api.post("/operations", json={"adapter": phone.serial, "kind": "update-module"})
    problem = refused(answer, 422, "bad-input")
    assert "PUT /entries/KEY/modules" in problem["next_step"]
    assert "pull-config" in problem["next_step"]


def test_who_sits_nowhere_is_refused_over_either_path(phone: Phone, fleet: Fleet) -> None:
    ssh = fleet.register(fleet.ssh())["serial_number"]
    loose = fleet.register(fleet.arms())["serial_number"]
    for name in (ssh, loose):
        problem = refused(fleet.api.post("/operations", json={"adapter": name, "kind": "reboot"}), 409, "conflict")
        assert "sits in no entry" in problem["detail"]


def test_an_operation_that_waits_is_shown_at_its_adapter_and_cancelled(phone: Phone, fleet: Fleet) -> None:
    silent = fleet.register(fleet.arms(place={"management": fleet.management()}))["serial_number"]
    made = ok(fleet.api.post("/operations", json={"adapter": silent, "kind": "reboot", "wait_s": 86_400}))
    assert made["state"] == "waiting"
    explained = ok(fleet.api.get(f"/adapters/{silent}/explain"))
    assert f"operation {made['id']} (reboot) waits" in explained["summary"]
    ended = ok(fleet.api.post(f"/operations/{made['id']}/cancel"))
    assert (ended["outcome"], ended["cancelled_by"] is None) == ("not-done", False)
    refused(fleet.api.post(f"/operations/{made['id']}/cancel"), 409, "conflict")
    assert "operation" not in ok(fleet.api.get(f"/adapters/{silent}/explain"))["summary"]


def test_a_viewer_sees_and_starts_nothing(house: House, phone: Phone) -> None:
    viewer = house.client(key_of(phone.api, "viewer"))
    ok(viewer.get("/operations"))
    refused(viewer.post("/operations", json={"adapter": phone.serial, "kind": "reboot"}), 403, "not-allowed")
    operator = house.client(key_of(phone.api, "operator"))
    ok(operator.post("/operations", json={"adapter": phone.serial, "kind": "check-transaction"}))


def command(phone: Phone, *words: str) -> tuple[int, str]:
    """Exit status and output of `kajitori operation …`, in this process."""
    known = {"KAJITORI_URL": str(phone.api.base_url).removesuffix("/api/v1/"), "KAJITORI_API_KEY": key_in(phone.api)}
    ran = CliRunner().invoke(app, ["operation", *words], env=known)
    if isinstance(ran.exception, BadInput):  # what `main` makes of it
        return BAD_INPUT, ran.exception.message
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


def key_in(api: httpx.Client) -> str:
    """The key that a client sends."""
    return str(api.headers["Authorization"]).removeprefix("Bearer ")


def test_by_command_with_the_exit_status_of_the_outcome(phone: Phone, fleet: Fleet, tmp_path: Path) -> None:
    start = ("start", phone.serial)
    status, out = command(phone, *start, "ping", "--address", "192.0.2.9", "--count", "1", "--wait")
    assert (status, "1 answered, 0 lost" in out) == (DONE, True), out
    status, out = command(phone, *start, "read-status", "--item", "0=show system", "--item", "4=x", "--wait")
    assert (status, phone.serial in out, "402 SA Failure" in out) == (DONE, True, True)
    status, out = command(phone, *start, "md-command", "--module", "4", "--command", "x", "--wait")
    assert (status, "402 SA Failure" in out) == (FAILED, True)
    assert command(phone, *start, "configure")[0] == BAD_INPUT
    assert command(phone, *start, "read-status", "--item", "arp")[0] == BAD_INPUT
    silent = fleet.register(fleet.arms(place={"management": fleet.management()}))["serial_number"]
    status, out = command(phone, "start", silent, "dump-debug", "--wait-s", "86400", "--json")
    number = str(json.loads(out)["id"])
    assert (status, command(phone, "show", number)[0]) == (NOT_SETTLED, NOT_SETTLED)
    assert command(phone, "wait", number, "--timeout-s", "0")[0] == NOT_SETTLED
    assert command(phone, "cancel", number)[0] == DONE
    assert command(phone, "show", number)[0] == FAILED
    status, out = command(phone, "list", "--adapter", phone.serial, "--kind", "ping", "--json")
    assert (status, json.loads(out)[0]["kind"]) == (DONE, "ping")
    dump = phone.asks("dump-debug")
    file = tmp_path / "dump.bin"
    assert command(phone, "save", str(dump["id"]), str(file))[0] == DONE
    assert file.read_text(encoding="utf-8").startswith("state dump")
    assert command(phone, "explain", number)[0] == DONE
