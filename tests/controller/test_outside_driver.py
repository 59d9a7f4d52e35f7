"""The worked example of docs/drivers.md in a running daemon: a device of no service model, managed all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import frr
from tests.controller.house import ROOT, Fleet, House, environment, ok, refused, serving
from tests.controller.waiting_here import until
from tests.drivers.example import lay_out

SHOWN = "frr (no service model)"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    beside = tmp_path_factory.mktemp("site")
    lay_out(beside)
    with serving(tmp_path_factory.mktemp("outside") / "data", beside) as running:
        yield running


@pytest.fixture
def fleet(house: House) -> Fleet:
    return Fleet(house.client())


@pytest.fixture
def router() -> Iterator[frr.Router]:
    absent = frr.missing()
    if absent:
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    with frr.router() as running:
        yield running


@pytest.mark.parametrize("name", ["frr", "FRRouting", SHOWN])
def test_a_device_of_an_outside_driver_is_registered_and_said_to_be_no_service_model(fleet: Fleet, name: str) -> None:
    place = {"management": fleet.management()}

    made = fleet.register(fleet.ssh(model=name, place=place))

    assert (made["model"], made["family"], made["path"]) == (SHOWN, "frr", "ssh")
    assert made["place"].startswith("E-")
    listed = ok(fleet.api.get("/adapters", params={"model": name}))["items"]
    assert made["serial_number"] in [one["serial_number"] for one in listed]
    ok(fleet.api.get(f"/adapters/{made['serial_number']}/explain"))


def test_the_list_of_models_shows_it_without_any_contract_line(fleet: Fleet) -> None:
    (found,) = (one for one in ok(fleet.api.get("/models")) if one["family"] == "frr")
    assert (found["names"], found["dialect"], found["paths"], found["lines"]) == (
        {"mpc": SHOWN},
        "indented",
        ["ssh"],
        [],
    )


def test_it_is_the_customers_own_and_no_other_class(fleet: Fleet) -> None:
    refused(fleet.api.post("/adapters", json=fleet.ssh(model="frr", device_class="I")), 409, "not-eligible")
    refused(fleet.api.post("/adapters", json=fleet.ssh(model="quagga")), 422, "bad-input")


def test_a_real_frrouting_is_identified_planned_and_pushed_to_by_the_daemon(fleet: Fleet, router: frr.Router) -> None:
    endpoint = {"host": "127.0.0.1", "port": router.port, "username": router.username, "password": frr.PASSWORD}
    place = {"management": fleet.management()}
    fleet.register(fleet.ssh(serial_number=frr.HOSTNAME, model="FRRouting", endpoint=endpoint, place=place))
    for item in ("line", "site", "installation", "other", "device"):
        ok(fleet.api.put(f"/adapters/{frr.HOSTNAME}/checklist/{item}", json={}))
    entry = ok(fleet.api.get(f"/adapters/{frr.HOSTNAME}"))["place"]
    ok(fleet.api.post(f"/adapters/{frr.HOSTNAME}/identify"))
    route = "ip route 198.51.100.0/24 Null0"
    text = router.running().replace("\nend", f"\n{route}\nend")
    assert route in text
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))

    plan = ok(fleet.api.post("/plans", json={"entry": entry}))
    assert plan["guard"] == "none", plan
    ok(fleet.api.post(f"/plans/{plan['id']}/approve"))
    push = ok(fleet.api.post("/pushes", json={"plan": plan["id"]}))["id"]

    ended = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
    assert ended == "done"
    assert route in router.running()
    assert route in router.saved.read_text()


def test_one_that_cannot_be_loaded_is_named_with_its_reason_when_the_daemon_starts(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "kajitori_frr.py").write_text("import acme_sdk\n", encoding="utf-8")
    known = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    told = subprocess.run(
        [sys.executable, "-m", "controller", "serve"],
        env=environment(tmp_path / "data") | known,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert told.returncode == 2, told.stderr
    assert "kajitori_frr:DRIVER of kajitori-frr 1.0 cannot be loaded: ModuleNotFoundError" in told.stderr
    assert "uninstall it" in told.stderr
    assert "Traceback" not in told.stderr
