"""`If-Match`: a change is made to what the caller has seen, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.controller.house import Fleet, ok, refused

SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
"""A day to come, also in Tokyo; counts change once a day, and the day of the opening is one."""


def test_a_stale_version_changes_nothing(fleet: Fleet) -> None:
    (key,) = fleet.slots("entries", fleet.management())
    seen = fleet.api.get(f"/entries/{key}")
    first = fleet.api.patch(f"/entries/{key}", json={"name": "Osaka"}, headers={"If-Match": seen.headers["etag"]})
    assert ok(first)["name"] == "Osaka"
    late = fleet.api.patch(f"/entries/{key}", json={"name": "Kobe"}, headers={"If-Match": seen.headers["etag"]})
    problem = refused(late, 412, "stale-version")
    assert problem["facts"]["version"] == problem["facts"]["seen"] + 1
    now = fleet.api.get(f"/entries/{key}")
    assert now.json()["name"] == "Osaka"
    assert now.headers["etag"] == first.headers["etag"]
    again = fleet.api.patch(f"/entries/{key}", json={"name": "Kobe"}, headers={"If-Match": now.headers["etag"]})
    assert ok(again)["name"] == "Kobe"


@pytest.mark.parametrize("header", [None, "3", 'W/"3"', '"x"', "", '"' + "9" * 30 + '"'])
def test_a_missing_or_malformed_version_is_refused(fleet: Fleet, header: str | None) -> None:
    (key,) = fleet.slots("entries", fleet.management())
    headers = {} if header is None else {"If-Match": header}
    problem = refused(fleet.api.patch(f"/entries/{key}", json={"name": "x"}, headers=headers), 422, "bad-input")
    assert problem["field"] == "If-Match"


def test_counts_are_changed_on_the_version_that_was_read(fleet: Fleet) -> None:
    key = fleet.management(entries=2)
    seen = fleet.api.get(f"/managements/{key}").headers["etag"]
    body = {"entry_count": 3, "valid_from": SOON}
    changed = fleet.api.put(f"/managements/{key}/counts", json=body, headers={"If-Match": seen})
    assert ok(changed)["entry_count"] == 2, "a count holds from its day on"
    assert changed.headers["etag"] != seen
    refused(fleet.api.put(f"/managements/{key}/counts", json=body, headers={"If-Match": seen}), 412, "stale-version")


def test_a_count_below_occupancy_lists_the_occupants(fleet: Fleet) -> None:
    key = fleet.management(entries=2)
    sitting = {fleet.register(fleet.arms(place={"management": key}))["serial_number"] for _ in range(2)}
    less = fleet.api.put(
        f"/managements/{key}/counts", json={"entry_count": 1, "valid_from": SOON}, headers={"If-Match": "*"}
    )
    problem = refused(less, 409, "count-below-occupancy")
    assert problem["rule"]
    assert sitting <= {str(word) for one in problem["facts"]["occupants"] for word in _words(one)}


def _words(one: object) -> list[object]:
    return list(one.values()) if isinstance(one, dict) else [one]


def test_two_operators_do_not_overwrite_each_others_endpoint(fleet: Fleet) -> None:
    name = fleet.register(fleet.ssh())["serial_number"]
    seen = fleet.api.get(f"/adapters/{name}/endpoint").headers["etag"]
    assert seen == fleet.api.get(f"/adapters/{name}").headers["etag"]
    body = {"host": "127.0.0.1", "port": 9, "username": "one", "password": "long enough"}
    ok(fleet.api.put(f"/adapters/{name}/endpoint", json=body, headers={"If-Match": seen}))
    late = fleet.api.put(f"/adapters/{name}/endpoint", json=body | {"username": "two"}, headers={"If-Match": seen})
    refused(late, 412, "stale-version")
    assert ok(fleet.api.get(f"/adapters/{name}/endpoint"))["username"] == "one"


def test_two_operators_do_not_overwrite_each_others_draft(fleet: Fleet) -> None:
    management = fleet.management()
    fleet.register(fleet.ssh(place={"management": management}))
    (key,) = fleet.slots("entries", management)
    assert ok(fleet.api.get(f"/entries/{key}/configs"))["items"] == []

    def write(text: str, seen: str) -> object:
        body = {"modules": [{"text": text}]}
        return fleet.api.put(f"/entries/{key}/configs/working", json=body, headers={"If-Match": seen})

    first = write("hostname one\n", '"0"')
    assert first.status_code == 200, first.text  # type: ignore[attr-defined]
    refused(write("hostname two\n", '"0"'), 412, "stale-version")  # type: ignore[arg-type]
    (last,) = ok(fleet.api.get(f"/entries/{key}/configs", params={"kind": "working", "limit": 1}))["items"]
    read = fleet.api.get(f"/configs/{last['id']}")
    assert "hostname one" in ok(read)["modules"][0]["text"]
    assert write("hostname two\n", read.headers["etag"]).status_code == 200  # type: ignore[attr-defined]


def test_a_life_event_on_a_stale_version_is_refused(fleet: Fleet) -> None:
    made = fleet.register(fleet.arms())
    path = f"/adapters/{made['serial_number']}/life/failure-reported"
    ok(fleet.api.post(path, headers={"If-Match": f'"{made["version"]}"'}))
    refused(fleet.api.post(path, headers={"If-Match": f'"{made["version"]}"'}), 412, "stale-version")


def test_counts_change_on_the_day_a_management_is_opened_and_once_a_day(fleet: Fleet) -> None:
    key = fleet.management(entries=2)
    fleet.register(fleet.arms(place={"management": key}))
    fleet.register(fleet.arms(place={"management": key}))
    path = f"/managements/{key}/counts"
    below = refused(
        fleet.api.put(path, json={"entry_count": 1}, headers={"If-Match": "*"}), 409, "count-below-occupancy"
    )
    assert len(below["facts"]["occupants"]) == 2
    assert ok(fleet.api.put(path, json={"entry_count": 3}, headers={"If-Match": "*"}))["entry_count"] == 3
    again = refused(fleet.api.put(path, json={"entry_count": 4}, headers={"If-Match": "*"}), 409, "rule-violation")
    assert "one change per day" in again["detail"]
