"""A plan over REST: what speaks against it is said line by line, and two people look at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from drivers.simulator.ios_cli import IosDevice
from tests.controller.api.arranged import write
from tests.controller.house import Fleet, House, ok, refused, serial
from tests.controller.routers import USERNAME, router

pytestmark = pytest.mark.xdist_group("daemon")
PASSWORD = "correct horse"


@pytest.fixture
def place(fleet: Fleet) -> Iterator[tuple[str, IosDevice]]:
    """An entry, and the router that runs in it."""
    name = serial()
    with router(name, password=PASSWORD) as device:
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": PASSWORD}
        seat = {"management": fleet.management()}
        entry = fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place=seat))["place"]
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        ok(fleet.api.post(f"/adapters/{name}/identify"))
        yield entry, device


def somebody(house: House, fleet: Fleet, name: str) -> httpx.Client:
    """A client of another operator."""
    made = ok(fleet.api.post("/api-keys", json={"name": name, "role": "operator"}))
    return house.client(made["key"])


def test_a_plan_that_cuts_us_off_says_where_and_waits_for_two_people(
    house: House, fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    ann, bob = somebody(house, fleet, f"ann-{serial()}"), somebody(house, fleet, f"bob-{serial()}")
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink\n shutdown\n"))
    made = ok(ann.post("/plans", json={"entry": entry}))
    shut = {"line": "interface GigabitEthernet0/0 / shutdown", "reason": "shuts an interface that we come through"}
    assert made["management_path"] == [shut]
    assert (made["proven"], made["approvals_needed"]) == (True, 2)
    assert made["doubts"] == ["it touches our own way to the device"]
    assert "+ shutdown" in [one["text"] for one in made["diff_lines"]]
    plan = f"/plans/{made['id']}"
    assert ok(ann.post(f"{plan}/approve"))["standing"] == "waits for a second approval"
    refused(ann.post(f"{plan}/approve"), 409, "conflict")
    assert "neither made it nor approved it first" in ok(ann.get(f"{plan}/explain"))["next_action"]
    problem = refused(ann.post("/pushes", json={"plan": made["id"]}), 409, "conflict")
    assert problem["facts"]["doubts"] == made["doubts"]
    assert ok(bob.post(f"{plan}/approve"))["standing"] == "approved"

    month = datetime.now(UTC) + timedelta(days=31)
    late = (month + timedelta(hours=1)).isoformat()
    problem = refused(ann.post("/pushes", json={"plan": made["id"], "not_before": late}), 422, "bad-input")
    assert (problem["field"], problem["rule"]) == ("not_before", "schedule.one-month")
    soon = (month - timedelta(hours=1)).isoformat()
    push = ok(ann.post("/pushes", json={"plan": made["id"], "not_before": soon}))
    assert (push["state"], push["outcome"]) == ("planned", None)
    assert "due at" in ok(ann.get(f"/pushes/{push['id']}/explain"))["summary"]
    assert ok(ann.get(plan))["standing"] == "started"
    ok(bob.post(f"/pushes/{push['id']}/cancel"))
    assert " shutdown\n" not in device.running_text()


def test_a_plan_is_recomputed_to_the_same_config(fleet: Fleet, place: tuple[str, IosDevice]) -> None:
    entry, device = place
    before = device.running_text()
    write(fleet, entry, before.replace(" description uplink\n", " description uplink of Osaka\n"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    assert (made["management_path"], made["lasting"], made["doubts"]) == ([], [], [])
    assert made["expected_s"] > 0
    again = ok(fleet.api.post(f"/plans/{made['id']}/recompute"))
    assert (again["intent_digest"], again["id"] > made["id"]) == (made["intent_digest"], True)
    problem = refused(fleet.api.post("/plans", json={"entry": entry, "before_push": 2**31 - 1}), 404, "not-found")
    assert "push" in problem["detail"]
