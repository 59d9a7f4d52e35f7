"""Incidents over REST and on the command line."""

from __future__ import annotations

from tests.controller.commands import client, told
from tests.controller.house import Fleet, House, ok, refused, serial


def test_an_incident_says_what_it_means_and_is_acknowledged_and_closed_with_a_reason(
    house: House, fleet: Fleet
) -> None:
    number = house.incident(f"api {serial()}")
    seen = fleet.api.get(f"/incidents/{number}")
    view = ok(seen)
    assert (view["state"], view["kind"], view["facts"]) == ("open", "client-loop", {"pulls": 31})
    assert "answered slowly" in view["sentence"]
    assert view["next_step"]

    stale = {"If-Match": '"7"'}
    path = f"/incidents/{number}"
    refused(fleet.api.post(f"{path}/acknowledge", json={"reason": "x"}, headers=stale), 412, "stale-version")
    tag = {"If-Match": seen.headers["etag"]}
    at_work = ok(fleet.api.post(f"{path}/acknowledge", json={"reason": "on my way"}, headers=tag))
    assert (at_work["state"], at_work["acknowledged_reason"]) == ("acknowledged", "on my way")
    over = ok(fleet.api.post(f"{path}/close", json={"reason": "replaced"}))
    assert (over["state"], over["closed_reason"]) == ("closed", "replaced")
    assert "replaced" in refused(fleet.api.post(f"{path}/close", json={"reason": "x"}), 409, "conflict")["detail"]


def test_incidents_are_listed_by_state_kind_and_adapter_and_page_by_key(house: House, fleet: Fleet) -> None:
    made = [house.incident(f"list {serial()}", "module") for _ in range(3)]
    first = ok(fleet.api.get("/incidents", params={"kind": "module", "state": "open", "limit": 2}))
    second = ok(fleet.api.get("/incidents", params={"kind": "module", "state": "open", "after": first["next"]}))
    assert [one["id"] for one in first["items"] + second["items"]] == made
    unit = fleet.register(fleet.arms())["serial_number"]
    assert ok(fleet.api.get("/incidents", params={"adapter": unit}))["items"] == []
    refused(fleet.api.get("/incidents", params={"adapter": "NOBODY"}), 404, "not-found")
    refused(fleet.api.get("/incidents", params={"kind": "bad-luck"}), 422, "bad-input")


def test_incidents_by_commands(house: House) -> None:
    number = house.incident(f"cli {serial()}", "certificate")
    assert number in [one["id"] for one in told(house, "incident", "list", "--kind", "certificate")]
    assert told(house, "incident", "acknowledge", str(number), "on my way")["state"] == "acknowledged"
    status, shown, _ = client(house, "incident", "show", str(number))
    assert (status, "pulls: 31" in shown, "next step" in shown) == (0, True, True)
    assert told(house, "incident", "close", str(number), "renewed by hand")["state"] == "closed"
    assert client(house, "incident", "close", str(number), "again")[0] == 1
