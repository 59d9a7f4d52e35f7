"""Incidents over REST and on the command line."""

from __future__ import annotations

import html

import httpx

from tests.controller.api.arranged import write
from tests.controller.commands import client, told
from tests.controller.house import Fleet, House, Json, ok, refused, serial
from tests.controller.seated import seated
from tests.controller.waiting_here import until

SECRET = "Pl4d83e1b60c"


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


def pushed(fleet: Fleet, entry: str) -> tuple[int, str]:
    """A plan to the working config of an entry, carried out: number and outcome of the push."""
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    number = int(ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"])
    outcome = until(lambda: ok(fleet.api.get(f"/pushes/{number}"))["outcome"], what="the end of the push")
    return number, str(outcome)


def of(fleet: Fleet, unit: str, state: str) -> list[Json]:
    """Incidents of a router that are left by pushes in doubt."""
    wanted = {"kind": "quarantined-push", "adapter": unit, "state": state}
    found: list[Json] = ok(fleet.api.get("/incidents", params=wanted))["items"]
    return found


def test_a_router_that_could_not_save_calls_somebody_wherever_one_looks_until_it_has_saved(
    house: House, fleet: Fleet
) -> None:
    with seated(fleet) as (entry, device):
        write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink of Kyoto\n"))
        device.throw(save="failed")
        number, outcome = pushed(fleet, entry)
        assert outcome == "unknown"
        (view,) = of(fleet, device.serial, "open")
        assert (view["entry"], view["facts"]["push"], view["count"]) == (entry, number, 1)
        assert view["title"] == f"push {number} to {entry} ended in doubt: {view['facts']['reason']}"
        assert "not saved" in view["facts"]["reason"]
        assert "kajitori push explain" in view["next_step"]
        said = f"{view['title']} (incident {view['id']})"
        explained = ok(fleet.api.get(f"/adapters/{device.serial}/explain"))
        assert said in explained["summary"]
        assert explained["next_action"].startswith("Read the push that ended in doubt")
        with httpx.Client(base_url=house.url, auth=("anybody", house.key), trust_env=False, timeout=60) as browser:
            assert said in html.unescape(browser.get(f"/status/adapters/{device.serial}").text)
        metrics = httpx.get(f"{house.url}/metrics", headers=fleet.api.headers, trust_env=False).text
        standing = ok(fleet.api.get("/incidents", params={"kind": "quarantined-push", "state": "open"}))["items"]
        assert f'kajitori_incidents_open{{kind="quarantined-push"}} {len(standing)}' in metrics
        assert f"push: {number}" in client(house, "incident", "show", str(view["id"]))[1]

        device.throw(save="ok")
        following, outcome = pushed(fleet, entry)
        assert outcome == "done"
        (over,) = of(fleet, device.serial, "closed")
        assert (over["id"], over["closed_reason"]) == (view["id"], f"push {following} is done: verified and saved")
        assert "ended in doubt" not in ok(fleet.api.get(f"/adapters/{device.serial}/explain"))["summary"]


def test_a_change_that_came_half_back_is_told_without_its_secrets_and_a_person_says_when_it_is_in_order(
    fleet: Fleet,
) -> None:
    with seated(fleet) as (entry, device):
        wanted = device.running_text().replace(" description uplink\n", " description uplink of Nagoya\n")
        write(fleet, entry, wanted.replace("end\n", f"snmp-server community {SECRET} RO\nend\n"))
        device.throw(reject_lines=[f"snmp-server community {SECRET} RO"], revert="partial")
        _, outcome = pushed(fleet, entry)
        assert outcome == "unknown"
        (view,) = of(fleet, device.serial, "open")
        assert "Invalid input" in str(view["facts"]), view
        assert SECRET not in str(view)
        ok(fleet.api.post(f"/incidents/{view['id']}/close", json={"reason": "I have looked: it is in order"}))
        assert of(fleet, device.serial, "open") == []
