"""Every family with a command line behind one daemon: now and later, one and many, straight and over a jump host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.forti_rest import FortiRest
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.seil_cli import SeilDevice
from drivers.simulator.ssh_device import CliDevice
from tests.configs import IOS, divided
from tests.controller.api.arranged import write
from tests.controller.house import Fleet, Json, ok, refused, serial
from tests.controller.routers import beside
from tests.controller.waiting_here import until
from tests.drivers.sessions.test_jump import HOP_PASSWORD, JumpHost, jump_host

PASSWORD = "correct horse"
TOKEN = "kg7tdX9d8Qn4token"
FORTI = """config system interface
    edit "mgmt"
        set vdom "root"
        set ip 192.0.2.2 255.255.255.0
        set allowaccess ping ssh
    next
end
"""
KOBE = """config router static
    edit 1
        set gateway 192.0.2.1
        set device "mgmt"
    next
end
"""
DIVIDED = divided(FORTI.replace('vdom "root"', 'vdom "kobe"'), root="", kobe=KOBE)
SEIL = (
    'hostname "kobe"\nenvironment login-timer 600\nenvironment pager on\nenvironment terminal column 80\nsshd enable\n'
)
CLASSES = {"Cisco IOS": "III", "FortiGate": "III", "SEIL BPV4": "I"}
READS = {"Cisco IOS": "show clock", "FortiGate": "get system status", "SEIL BPV4": "show system"}


@pytest.fixture
def standing() -> Iterator[dict[str, CliDevice]]:
    """One unit of each model."""
    common = {"username": "admin", "password": PASSWORD, "pace": 50.0}
    with ExitStack() as stack:
        units: dict[str, CliDevice] = {
            "Cisco IOS": IosDevice(hostname="osaka", serial=serial(), model="ISR", config_text=IOS, **common),  # type: ignore[arg-type]  # as named
            "FortiGate": FortiDevice(hostname="kyoto", serial=serial(), model="FGT", config_text=FORTI, **common),  # type: ignore[arg-type]  # as named
            "SEIL BPV4": SeilDevice(hostname="kobe", serial=serial(), model="SEIL/BPV4", config_text=SEIL, **common),  # type: ignore[arg-type]  # as named
        }
        for unit in units.values():
            unit.started_ms -= 3 * 86_400_000  # an uptime is told in whole minutes
        yield {model: stack.enter_context(beside(unit, unit.serial)) for model, unit in units.items()}


def seat(fleet: Fleet, model: str, unit: CliDevice, **more: object) -> str:
    """Register a unit in an entry of its own and let it prove itself; the key of the entry."""
    endpoint = {"host": "127.0.0.1", "port": unit.port, "username": "admin", "password": PASSWORD, **more}
    body = fleet.ssh(model=model, serial_number=unit.serial, endpoint=endpoint, device_class=CLASSES[model], path="ssh")
    made = fleet.register({**body, "place": {"management": fleet.management()}})
    for item in ("line", "site", "installation", "other", "device"):
        fleet.api.put(f"/adapters/{unit.serial}/checklist/{item}", json={})
    ok(fleet.api.post(f"/adapters/{unit.serial}/identify"))
    return str(made["place"])


def over(api: httpx.Client, number: int) -> Json | None:
    """The operation, if it is over."""
    found: Json = ok(api.get(f"/operations/{number}"))
    return found if found["outcome"] else None


def ended(api: httpx.Client, number: int, kind: str) -> Json:
    """The operation, once it is over."""
    return until(partial(over, api, number), what=f"the end of {kind}") or {}


def many(api: httpx.Client, kind: str, serials: list[str], **more: object) -> list[Json]:
    """Ask many adapters for the same; what came of it for each."""
    asked = ok(api.post("/operations/many", json={"adapters": serials, "kind": kind, **more}))["items"]
    assert [one["refused"] for one in asked] == [None] * len(serials), asked
    return [ended(api, one["operation"]["id"], kind) for one in asked]


def test_each_family_is_asked_now_and_later_with_many_and_alone(fleet: Fleet, standing: dict[str, CliDevice]) -> None:
    for model, unit in standing.items():
        seat(fleet, model, unit)
    serials = [unit.serial for unit in standing.values()]
    pinged = many(fleet.api, "ping", serials, parameters={"address": "192.0.2.9", "count": 2})
    assert [(one["outcome"], one["result"]["answered"]) for one in pinged] == [("done", 2)] * 3
    later = datetime.now(UTC) + timedelta(seconds=1)
    traced = many(fleet.api, "traceroute", serials, parameters={"address": "203.0.113.7"}, not_before=later.isoformat())
    for one in traced:
        assert [hop["address"] for hop in one["result"]["hops"]] == ["192.0.2.254", "203.0.113.7"]
        assert datetime.fromisoformat(one["sent_at"]) >= later.replace(microsecond=later.microsecond // 1000 * 1000)
    stored = many(fleet.api, "read-storage", serials)
    assert all(one["result"]["reports"][0]["text"].strip() for one in stored)
    for model, unit in standing.items():
        for kind, parameters in (
            ("read-status", {"items": [{"text": READS[model]}]}),
            ("md-command", {"command": READS[model]}),
        ):
            (one,) = many(fleet.api, kind, [unit.serial], parameters=parameters)
            assert one["outcome"] == "done"
            (piece,) = ok(fleet.api.get(f"/operations/{one['id']}/transcripts"))
            assert f"> {READS[model]}" in piece["words"]


def test_a_seil_over_ssh_that_runs_what_is_wanted_gets_no_plan_and_is_not_said_to_guard_itself(
    fleet: Fleet, standing: dict[str, CliDevice]
) -> None:
    unit = standing["SEIL BPV4"]
    entry = seat(fleet, "SEIL BPV4", unit)
    write(fleet, entry, SEIL)
    assert "runs what is wanted" in refused(fleet.api.post("/plans", json={"entry": entry}), 409, "conflict")["detail"]
    write(fleet, entry, SEIL.replace("kobe", "nara"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    unit.throw(strike_at="load-from stdin", strike_how="silence")
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
    until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["state"] == "applying", what="the change on its way")
    told = ok(fleet.api.get(f"/pushes/{push}/explain"))
    assert "is sending the change" in told["summary"]
    assert "takes nothing back by itself" in told["next_action"]


def test_a_family_that_cannot_is_refused_for_itself_alone(fleet: Fleet, standing: dict[str, CliDevice]) -> None:
    for model in ("FortiGate", "SEIL BPV4"):
        seat(fleet, model, standing[model])
    serials = [standing[model].serial for model in ("FortiGate", "SEIL BPV4")]
    asked = ok(fleet.api.post("/operations/many", json={"adapters": serials, "kind": "reboot"}))["items"]
    assert [one["refused"] for one in asked] == [None, "not-eligible"]
    assert "dialogue" in asked[1]["detail"]
    assert ended(fleet.api, asked[0]["operation"]["id"], "the reboot")["outcome"] == "done"
    assert standing["FortiGate"].log.count("reload") == 1


def test_a_router_behind_a_jump_host_is_planned_pushed_and_asked(fleet: Fleet, standing: dict[str, CliDevice]) -> None:
    unit = standing["Cisco IOS"]
    with beside(jump_host(), "jump host") as host:
        hop = {"host": "127.0.0.1", "port": host.port, "username": "jumper", "password": HOP_PASSWORD}
        entry = seat(fleet, "Cisco IOS", unit, jump=[hop | {"host_key": host.key}])
        write(fleet, entry, unit.running_text().replace("description uplink", "description uplink to Kobe"))
        made = ok(fleet.api.post("/plans", json={"entry": entry}))
        ok(fleet.api.post(f"/plans/{made['id']}/approve"))
        push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
        outcome = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
        assert outcome == "done"
        (one,) = many(fleet.api, "ping", [unit.serial], parameters={"address": "192.0.2.9", "count": 1})
        assert one["outcome"] == "done"
        assert set(host.onward) == {("127.0.0.1", unit.port)}
        assert set(host.passwords) == {HOP_PASSWORD}
        _another_key_of_the_hop(fleet, unit, host, hop)


def _another_key_of_the_hop(fleet: Fleet, unit: CliDevice, host: JumpHost, hop: dict[str, object]) -> None:
    """A jump host with another key than the pinned one gets no password, and is named."""
    shown, logins = len(host.passwords), len(unit.logins)
    other = unit.host_key.export_public_key().decode().strip()
    endpoint = {"host": "127.0.0.1", "port": unit.port, "username": "admin", "password": PASSWORD}
    body = endpoint | {"jump": [hop | {"host_key": other}]}
    ok(fleet.api.put(f"/adapters/{unit.serial}/endpoint", json=body, headers={"If-Match": "*"}))
    problem = refused(fleet.api.post(f"/adapters/{unit.serial}/identify"), 424, "jump-host-refused")
    assert f"jump host 127.0.0.1 port {host.port} (hop 1 of 1)" in problem["detail"]
    assert (len(host.passwords), len(unit.logins)) == (shown, logins)


def test_a_firewall_is_read_over_its_api_and_over_its_command_line_where_the_api_cannot(
    fleet: Fleet, standing: dict[str, CliDevice]
) -> None:
    unit = standing["FortiGate"]
    assert isinstance(unit, FortiDevice)
    with beside(FortiRest(unit, TOKEN), "api") as api:
        entry = seat(fleet, "FortiGate", unit, rest={"token": TOKEN, "port": api.port})
        shown = ok(fleet.api.get(f"/adapters/{unit.serial}/endpoint"))["rest"]
        assert shown == {"port": api.port, "certificate": api.fingerprint}
        changed = unit.running_text().replace("ping ssh", "ping ssh https")
        write(fleet, entry, changed)
        ok(fleet.api.post("/plans", json={"entry": entry}))
        assert "POST /api/v2/monitor/system/config/backup?scope=global" in api.requests
        api.absent = ("/api/v2/monitor/system/config/backup",)
        (one,) = many(fleet.api, "read-storage", [unit.serial])
        assert "set allowaccess ping ssh" in one["result"]["reports"][0]["text"]
        (piece,) = ok(fleet.api.get(f"/operations/{one['id']}/transcripts"))
        assert "> show" in piece["words"]
        assert TOKEN not in piece["words"]
        api.answer = 401
        refused(fleet.api.post(f"/adapters/{unit.serial}/identify"), 424, "authentication-failed")
        assert unit.serial in refusing(fleet), "told of its API as of its command line"
        api.answer = None
        ok(fleet.api.post(f"/adapters/{unit.serial}/identify"))
        assert unit.serial not in refusing(fleet)


def refusing(fleet: Fleet) -> list[str]:
    """Adapters that have refused our credential."""
    found = ok(fleet.api.get("/adapters", params={"refused": True, "limit": 1000}))["items"]
    return [one["serial_number"] for one in found]


def test_a_firewall_with_virtual_domains_is_planned_pushed_and_asked(fleet: Fleet) -> None:
    unit = FortiDevice(
        hostname="kobe",
        serial=serial(),
        model="FGT",
        config_text=DIVIDED,
        username="admin",
        password=PASSWORD,
        pace=50.0,
    )
    unit.started_ms -= 3 * 86_400_000  # an uptime is told in whole minutes
    with beside(unit, unit.serial):
        entry = seat(fleet, "FortiGate", unit)
        running = unit.running_text()
        write(fleet, entry, running.replace("edit kobe\nnext\n", "edit kobe\nnext\nedit osaka\nnext\n"))
        problem = refused(fleet.api.post("/plans", json={"entry": entry}), 409, "conflict")
        assert "`edit osaka` in `config vdom`" in problem["detail"]

        added = "config firewall address\n    edit yard\n        set subnet 198.51.100.0 255.255.255.0\n    next\nend\n"
        write(fleet, entry, running.replace("config router static\n", f"{added}config router static\n"))
        made = ok(fleet.api.post("/plans", json={"entry": entry}))
        assert (made["proven"], made["management_path"]) == (True, [])
        assert [line.strip() for line in made["remediation"]][:3] == [
            "config vdom",
            "edit kobe",
            "config firewall address",
        ]
        ok(fleet.api.post(f"/plans/{made['id']}/approve"))
        push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
        outcome = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
        assert outcome == "done", ok(fleet.api.get(f"/pushes/{push}"))
        assert "yard" in unit.saved_text()

        lethal = unit.running_text().replace("set gateway 192.0.2.1", "set gateway 192.0.2.77")
        write(fleet, entry, lethal)
        (found, *_) = ok(fleet.api.post("/plans", json={"entry": entry}))["management_path"]
        assert found["line"].startswith("config vdom / edit kobe / config router static")

        (pinged,) = many(fleet.api, "ping", [unit.serial], parameters={"address": "192.0.2.9", "count": 2})
        assert (pinged["outcome"], pinged["result"]["answered"]) == ("done", 2)
        (shown,) = many(fleet.api, "md-command", [unit.serial], parameters={"command": "sudo kobe show router static"})
        assert "192.0.2.1" in shown["result"]["reports"][0]["text"]
        (rebooted,) = many(fleet.api, "reboot", [unit.serial])
        assert rebooted["outcome"] == "done"
