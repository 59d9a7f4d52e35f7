"""Every state an adapter gets into explains itself, in the same words everywhere."""

from __future__ import annotations

import html
import json
import subprocess
import sys

import httpx
import pytest

from tests.controller.api.arranged import Seeded, later, seeded
from tests.controller.house import Fleet, House, Json, environment, ok


def explained(fleet: Fleet, name: str) -> Json:
    """The explanation of an adapter; complete, whatever its state."""
    return complete(ok(fleet.api.get(f"/adapters/{name}/explain")))


def complete(told: Json) -> Json:
    """An explanation with at least one fact, each with time and source, and a next action."""
    assert told["word"]
    assert told["summary"]
    assert told["next_action"]
    assert told["facts"]
    for fact in told["facts"]:
        assert fact["at"].endswith("Z")
        assert fact["source"]
        assert fact["text"]
    return told


def do(fleet: Fleet, name: str, *events: str) -> None:
    """Let events happen to an adapter."""
    for event in events:
        ok(fleet.api.post(f"/adapters/{name}/life/{event}"))


def tick(fleet: Fleet, name: str, *items: str) -> None:
    """Tick items of its checklist off."""
    for item in items:
        ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))


ITEMS = ("line", "site", "installation", "other")


def test_an_adapter_is_explained_through_its_life_and_no_two_states_read_the_same(fleet: Fleet) -> None:
    management = fleet.management(entries=1, standbys=1)
    (entry,), (standby,) = fleet.slots("entries", management), fleet.slots("standbys", management)
    name = fleet.register(fleet.arms())["serial_number"]
    seen: dict[str, Json] = {"registered": explained(fleet, name)}
    ok(fleet.api.post(f"/standbys/{standby}/assign", json={"serial_number": name}))
    seen["spare, checklist open"] = explained(fleet, name)
    tick(fleet, name, *ITEMS)
    seen["spare, complete"] = explained(fleet, name)
    ok(fleet.api.post(f"/entries/{entry}/promote", json={"standby": standby}))
    seen["in an entry"] = explained(fleet, name)
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": "hostname: osaka\n"}]}))
    ok(fleet.api.post(f"/entries/{entry}/configs/startup"))
    seen["in an entry with a config"] = explained(fleet, name)
    ok(fleet.api.post(f"/managements/{management}/suspend", json={"ground": 1}))
    seen["suspended"] = explained(fleet, name)
    assert seen["suspended"]["word"] == "suspended"
    ok(fleet.api.post(f"/managements/{management}/resume"))
    assert explained(fleet, name)["summary"] == seen["in an entry with a config"]["summary"]
    do(fleet, name, "first-contact")
    seen["in service"] = explained(fleet, name)
    do(fleet, name, "failure-reported")
    seen["failed"] = explained(fleet, name)
    ok(fleet.api.post(f"/adapters/{name}/release"))
    seen["failed and unseated"] = explained(fleet, name)
    do(fleet, name, "replacement-arrives")
    seen["send-back due"] = explained(fleet, name)
    do(fleet, name, "sent-back")
    seen["returned"] = explained(fleet, name)
    others = {"lost": ("loss-reported",), "return due": ("line-ended",), "overdue": ("line-ended", "return-overdue")}
    for state, events in others.items():
        other = fleet.register(fleet.arms())["serial_number"]
        do(fleet, other, *events)
        seen[state] = _renamed(explained(fleet, other), other, name)
    assert seen.pop("overdue")["word"] == seen["lost"]["word"] == "lost"
    texts: dict[str, str] = {}
    for state, told in seen.items():
        same = texts.setdefault(told["summary"], state)
        assert same == state, f"{state!r} and {same!r} read the same: {told['summary']}"
    assert len({told["next_action"] for told in seen.values()}) >= 6


def test_an_adapter_on_ssh_that_nobody_reaches(fleet: Fleet) -> None:
    management = fleet.management()
    name = fleet.register(fleet.ssh(place={"management": management}))["serial_number"]
    tick(fleet, name, *ITEMS, "device")
    fleet.api.post(f"/adapters/{name}/identify")
    told = explained(fleet, name)
    assert told["word"] == "never-seen"
    assert "SSH" in {fact["source"] for fact in told["facts"]}
    do(fleet, name, "deregister")
    retired = explained(fleet, name)
    assert retired["word"] == "retired"
    assert retired["summary"] != told["summary"]


@pytest.fixture
def seed(house: House) -> object:
    """A fleet with a push and a link in it."""
    with seeded(house) as made:
        yield made


@pytest.mark.slow
def at_one_moment(house: House, seed: Seeded, path: str, words: list[str], page: str) -> tuple[Json, Json, str]:
    """What API, command and page say, asked until nothing happened to it between the first and the last question."""
    for _ in range(10):
        told = complete(ok(seed.fleet.api.get(path)))
        ran = subprocess.run(
            [sys.executable, "-m", "controller", "explain", *words, "--json"],
            env=environment(house.directory, URL=house.url, API_KEY=house.key),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answer = httpx.get(house.url + page, auth=("", house.key), trust_env=False, timeout=60)
        after = complete(ok(seed.fleet.api.get(path)))
        if [one["text"] for one in after["facts"]] == [one["text"] for one in told["facts"]]:
            return told, json.loads(ran.stdout), html.unescape(answer.text)
    raise AssertionError(f"{path} never stood still")


def test_api_cli_and_status_page_say_the_same_of_adapter_push_and_link(house: House, seed: Seeded) -> None:
    push = later(seed)
    for path, words, page in (
        (f"/adapters/{seed.reachable}/explain", [seed.reachable], f"/status/adapters/{seed.reachable}"),
        (f"/pushes/{push}/explain", ["push", str(push)], f"/status/pushes/{push}"),
        (f"/links/{seed.link}/explain", ["link", str(seed.link)], f"/status/links/{seed.link}"),
    ):
        told, by_command, shown = at_one_moment(house, seed, path, words, page)
        for part in ("summary", "word", "next_action"):
            assert by_command[part] == told[part]
            assert told[part] in shown
        assert [one["text"] for one in by_command["facts"]] == [one["text"] for one in told["facts"]]
        assert all(one["text"] in shown and one["source"] in shown for one in told["facts"])
    fleet_page = html.unescape(httpx.get(f"{house.url}/status", auth=("", house.key), trust_env=False).text)
    assert ok(seed.fleet.api.get(f"/pushes/{push}/explain"))["summary"] in fleet_page
    assert ok(seed.fleet.api.get(f"/links/{seed.link}/explain"))["summary"] in fleet_page
    ok(seed.fleet.api.post(f"/pushes/{push}/cancel"))


def _renamed(told: Json, old: str, new: str) -> Json:
    """The same of another adapter, so that only the state tells the two apart."""
    renamed: Json = json.loads(json.dumps(told).replace(old, new))
    return renamed
