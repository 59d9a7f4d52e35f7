"""What contacts over SSH say of an adapter: a refused credential, a corrected one, a reading."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from drivers.simulator.faults import Faults
from drivers.simulator.ios_cli import IosDevice
from tests.controller.api.arranged import write
from tests.controller.commands import BAD_INPUT, DONE, FAILED, client, told
from tests.controller.house import Fleet, House, Json, ok, refused, serial
from tests.controller.routers import USERNAME, router

PASSWORD, WRONG = "correct horse", "wrong horse"
ITEMS = ("line", "site", "installation", "other", "device")


@pytest.fixture
def device() -> Iterator[IosDevice]:
    with router(serial(), password=PASSWORD) as device:
        yield device


def registered(fleet: Fleet, device: IosDevice, password: str) -> str:
    """The entry in which it was put."""
    endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": password}
    seat = {"management": fleet.management()}
    made = fleet.register(fleet.ssh(serial_number=device.own_serial, endpoint=endpoint, place=seat))
    for item in ITEMS:
        ok(fleet.api.put(f"/adapters/{device.own_serial}/checklist/{item}", json={}))
    fleet.api.post(f"/adapters/{device.own_serial}/identify")
    return str(made["place"])


def explained(fleet: Fleet, device: IosDevice) -> Json:
    told: Json = ok(fleet.api.get(f"/adapters/{device.own_serial}/explain"))
    return told


def soon(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def correct(fleet: Fleet, device: IosDevice, password: str = PASSWORD) -> None:
    path = f"/adapters/{device.own_serial}"
    body = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": password}
    ok(fleet.api.put(f"{path}/endpoint", json=body, headers={"If-Match": f'"{ok(fleet.api.get(path))["version"]}"'}))


def test_a_refused_credential_is_tried_once_and_then_not_until_it_is_corrected(fleet: Fleet, device: IosDevice) -> None:
    entry = registered(fleet, device, WRONG)
    soon(lambda: len(device.logins) == 1)
    soon(lambda: explained(fleet, device)["word"] == "refused")
    told = explained(fleet, device)
    assert "refused the password" in told["summary"]
    assert "not tried again" in told["next_action"]

    write(fleet, entry, device.running_text().replace(" description uplink\n", " description Osaka\n"))
    problem = refused(fleet.api.post("/plans", json={"entry": entry}), 409, "conflict")
    assert "has refused its credential" in problem["detail"]
    assert "identify it" in problem["next_step"]
    asked = ok(fleet.api.post("/operations", json={"adapter": device.own_serial, "kind": "read-storage"}))
    soon(lambda: ok(fleet.api.get(f"/operations/{asked['id']}"))["outcome"] == "not-done")
    assert [login.accepted for login in device.logins] == [False], "neither a plan nor an operation tries it again"

    refused(fleet.api.post(f"/adapters/{device.own_serial}/identify"), 424, "authentication-failed")
    assert [login.accepted for login in device.logins] == [False, False], "an operator may have it tried"

    correct(fleet, device)
    soon(lambda: explained(fleet, device)["word"] not in ("refused", "never-seen"))
    assert device.logins[-1].accepted
    ok(fleet.api.post("/plans", json={"entry": entry}))


def test_an_adapter_that_was_reached_before_its_checklist_was_complete_comes_into_service_after_it(
    fleet: Fleet, device: IosDevice
) -> None:
    endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": PASSWORD}
    seat = {"management": fleet.management()}
    name = device.own_serial
    fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place=seat))
    ok(fleet.api.post(f"/adapters/{name}/identify"))
    soon(lambda: "was reached and identified" in explained(fleet, device)["summary"])
    for item in ITEMS:
        ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
    assert ok(fleet.api.get(f"/adapters/{name}"))["life"] == "installed"
    ok(fleet.api.post(f"/adapters/{name}/identify"))
    assert ok(fleet.api.get(f"/adapters/{name}"))["life"] == "in-service"


def test_a_working_config_that_was_not_pushed_is_not_called_the_config_that_it_runs(
    fleet: Fleet, device: IosDevice
) -> None:
    entry = registered(fleet, device, PASSWORD)
    soon(lambda: explained(fleet, device)["word"] not in ("never-seen", "onboarding"))
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description Osaka\n"))
    ok(fleet.api.post("/plans", json={"entry": entry}))
    told = explained(fleet, device)
    assert told["word"] == "to be pushed"
    assert "the working config of its place was not pushed yet" in told["summary"]


def test_a_plan_that_cannot_log_in_says_so_in_explain_until_somebody_can(fleet: Fleet, device: IosDevice) -> None:
    entry = registered(fleet, device, PASSWORD)
    soon(lambda: explained(fleet, device)["word"] not in ("never-seen", "onboarding"))
    device.faults = Faults(refuse_logins=True)
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description Osaka\n"))
    problem = fleet.api.post("/plans", json={"entry": entry}).json()
    assert problem["code"] in ("authentication-failed", "conflict"), "the daemon's own reading may have come first"
    assert "refused" in problem["detail"]
    assert explained(fleet, device)["word"] == "refused"
    device.faults = Faults()
    ok(fleet.api.post(f"/adapters/{device.own_serial}/identify"))
    assert explained(fleet, device)["word"] != "refused"


def test_a_credential_is_corrected_by_commands_alone(fleet: Fleet, house: House, device: IosDevice) -> None:
    registered(fleet, device, WRONG)
    soon(lambda: explained(fleet, device)["word"] == "refused")
    name = device.own_serial
    assert told(house, "adapter", "endpoint", name)["port"] == device.port
    status, out, err = client(house, "adapter", "identify", name)
    assert (status, out) == (FAILED, "")
    assert "refused the password" in err
    assert name in [one["serial_number"] for one in ok(fleet.api.get("/adapters", params={"refused": True}))["items"]]
    assert client(house, "adapter", "identify")[0] == BAD_INPUT
    status, out, err = client(house, "adapter", "identify", "--refused", "--json")
    assert (status, name in json.loads(out)["serial_numbers"]) == (FAILED, False)
    assert f"port {device.port} refused the password" in err
    assert PASSWORD not in client(house, "adapter", "endpoint", name, "--credential", PASSWORD=PASSWORD)[1]
    soon(lambda: explained(fleet, device)["word"] not in ("refused", "never-seen"))
    status, out, _ = client(house, "adapter", "identify", name)
    assert (status, out.startswith(f"{name}: ")) == (DONE, True)
    refusing = ok(fleet.api.get("/adapters", params={"refused": True}))["items"]
    assert name not in [one["serial_number"] for one in refusing]
    assert told(house, "adapter", "forget-host-key", name)["host_key"] is None
    assert told(house, "adapter", "life", name, "deregister")["life"] == "retired"
    assert client(house, "adapter", "life", name, "deliver")[0] in (FAILED, BAD_INPUT)
    assert client(house, "adapter", "shut-out", name, "--reason", "lost")[0] == FAILED, "it does not phone home"
