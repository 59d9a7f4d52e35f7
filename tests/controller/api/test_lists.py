"""Lists page by key: every row that was there comes once, whatever comes and goes meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx

from tests.controller.house import Fleet, House, Json, ok, serial


def pages(api: httpx.Client, path: str, **query: Any) -> Iterator[list[Json]]:
    """The pages of a list, to the last."""
    after: str | None = None
    while True:
        wanted = query if after is None else {**query, "after": after}
        page = ok(api.get(path, params=wanted))
        assert len(page["items"]) <= query["limit"]
        yield page["items"]
        after = page["next"]
        if after is None:
            return


def test_all_rows_come_once_while_rows_are_added(house: House, fleet: Fleet) -> None:
    there = [fleet.register(fleet.arms())["serial_number"] for _ in range(23)]
    contractor = fleet.contractor()
    other = Fleet(house.client())
    stop = threading.Event()
    added: list[str] = []

    def add() -> None:
        while not stop.is_set():
            added.append(other.register(fleet.arms(serial_number=serial()))["serial_number"])

    adding = threading.Thread(target=add)
    adding.start()
    try:
        seen = [
            one["serial_number"]
            for page in pages(fleet.api, "/adapters", contractor=contractor, limit=3)
            for one in page
        ]
    finally:
        stop.set()
        adding.join()
    assert added, "nothing was added meanwhile, so this test shows nothing"
    assert seen[: len(there)] == there
    assert len(seen) == len(set(seen))
    assert set(seen) <= {*there, *added}


def test_a_row_that_goes_shifts_nothing(fleet: Fleet) -> None:
    management = fleet.management(entries=6)
    names = [fleet.register(fleet.arms(place={"management": management}))["serial_number"] for _ in range(6)]
    walk = pages(fleet.api, "/adapters", management=management, limit=2)
    first = [one["serial_number"] for one in next(walk)]
    ok(fleet.api.post(f"/adapters/{names[1]}/release"))
    ok(fleet.api.post(f"/adapters/{names[3]}/release"))
    assert first + [one["serial_number"] for page in walk for one in page] == names[:3] + names[4:]


def test_every_list_pages_and_ends(api: httpx.Client, fleet: Fleet) -> None:
    """The OpenAPI document names the lists; a GET that answers many things without a cursor is a defect."""
    document = ok(api.get(f"{str(api.base_url).removesuffix('v1/')}openapi.json"))
    paged = []
    for path, methods in document["paths"].items():
        answer = methods.get("get", {}).get("responses", {}).get("200", {})
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if "Page_" in schema.get("$ref", ""):
            paged.append(path)
            names = {one["name"] for one in methods["get"]["parameters"]}
            assert {"after", "limit"} <= names, path
    assert {f"/api/v1/{noun}" for noun in ("adapters", "entries", "plans", "pushes", "events", "api-keys")} <= set(
        paged
    )


def test_filters_hold_together(fleet: Fleet) -> None:
    management = fleet.management(entries=2, standbys=1)
    seated = fleet.register(fleet.arms(place={"management": management}))
    spare = fleet.register(fleet.arms(place={"management": management, "slot": "standby"}))
    loose = fleet.register(fleet.arms(model="SA-W2"))

    def found(**query: Any) -> set[str]:
        page = ok(fleet.api.get("/adapters", params={"contractor": fleet.contractor(), **query}))
        return {one["serial_number"] for one in page["items"]}

    assert found(management=management) == {seated["serial_number"], spare["serial_number"]}
    assert found(seated=False) == {loose["serial_number"]}
    assert found(model="sa-w2", path="arms") == {loose["serial_number"]}
    assert found(text=seated["serial_number"].lower()) == {seated["serial_number"]}
    assert found(life="in-service") == set()
    assert found(text="%") == set(), "a percent sign is a letter like any other"


def test_events_are_resumed_where_the_last_page_ended(fleet: Fleet) -> None:
    made = fleet.register(fleet.arms())
    name = made["serial_number"]
    ok(fleet.api.put(f"/adapters/{name}/checklist/line", json={}))
    ok(fleet.api.post(f"/adapters/{name}/life/loss-reported"))
    kinds: list[str] = []
    after: str | None = None
    while (
        "adapter.life" not in kinds
    ):  # events are numbered a moment after their change; the test's time-out is the limit
        query = {"adapter": name, "limit": 1} | ({"after": after} if after else {})
        page = ok(fleet.api.get("/events", params=query))
        kinds += [one["kind"] for one in page["items"]]
        after = page["next"] or after
        if page["items"] and page["next"] is None and "adapter.life" not in kinds:
            kinds = []
            after = None
    assert kinds[0] == "adapter.register"
    assert len(kinds) == len(set(kinds))
