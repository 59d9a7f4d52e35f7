"""A plan over REST: what speaks against it is said line by line, and two people look at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ios_tree import IosNode
from tests.controller.api.arranged import write
from tests.controller.house import Fleet, House, ok, refused, serial
from tests.controller.seated import seated
from tests.controller.waiting_here import until

SECRET = "Pl7c61f0b2a94d"


@pytest.fixture
def place(fleet: Fleet) -> Iterator[tuple[str, IosDevice]]:
    """An entry, and the router that runs in it."""
    with seated(fleet) as made:
        yield made


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


def test_two_keys_of_one_person_are_not_two_people(house: House, fleet: Fleet, place: tuple[str, IosDevice]) -> None:
    entry, device = place
    name = f"Ann-{serial()}"
    ann, other_key, bob = (
        somebody(house, fleet, name),
        somebody(house, fleet, name.lower()),
        somebody(house, fleet, "bob"),
    )
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink\n shutdown\n"))
    plan = f"/plans/{ok(ann.post('/plans', json={'entry': entry}))['id']}"
    ok(ann.post(f"{plan}/approve"))
    assert "has approved" in refused(other_key.post(f"{plan}/approve"), 409, "conflict")["detail"]
    made = f"/plans/{ok(other_key.post('/plans', json={'entry': entry}))['id']}"
    ok(bob.post(f"{made}/approve"))
    problem = refused(ann.post(f"{made}/approve"), 409, "conflict")
    assert "its second approval is another person's" in problem["detail"]


def test_a_plan_that_has_its_approvals_takes_no_more_of_them(
    house: House, fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink of Otsu\n"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))["id"]
    ok(fleet.api.post(f"/plans/{made}/approve"))
    late = somebody(house, fleet, f"late-{serial()}")
    problem = refused(late.post(f"/plans/{made}/approve"), 409, "conflict")
    assert problem["detail"] == f"plan {made} has its approvals"
    assert problem["next_step"] == "Start it."
    push = ok(fleet.api.post("/pushes", json={"plan": made}))["id"]
    until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
    assert f"push {push}" in refused(late.post(f"/plans/{made}/approve"), 409, "conflict")["next_step"]
    assert len(ok(fleet.api.get(f"/plans/{made}"))["approvals"]) == 1


@pytest.mark.parametrize(
    "wanted", ["20261201", 20261201, 1798761600.0, "2026-12-01", "2026-12-01T02:00:00", "2025-12-01T02:00:00+09:00"]
)
def test_a_push_for_a_day_that_is_written_wrongly_or_over_does_not_begin_at_once(
    fleet: Fleet, place: tuple[str, IosDevice], wanted: object
) -> None:
    entry, device = place
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink of Nara\n"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))["id"]
    ok(fleet.api.post(f"/plans/{made}/approve"))
    problem = refused(fleet.api.post("/pushes", json={"plan": made, "not_before": wanted}), 422, "bad-input")
    assert problem["field"] == "not_before"
    assert ok(fleet.api.get("/pushes", params={"entry": entry}))["items"] == []
    a_moment_ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()  # by a clock that is behind
    ok(fleet.api.post("/pushes", json={"plan": made, "not_before": a_moment_ago}))


def renamed(device: IosDevice, words: str) -> None:
    """Somebody changes the description of the second interface at the router itself."""
    second = next(node for node in device.running.children if node.text == "interface GigabitEthernet0/1")
    others = [node for node in second.children if not node.text.startswith("description ")]
    second.children[:] = [IosNode(f"description {words}"), *others]


def test_a_scheduled_push_whose_router_was_changed_meanwhile_sends_nothing_and_leads_to_a_new_plan(
    house: House, fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    write(fleet, entry, device.running_text().replace(" description uplink\n", " description uplink of Kobe\n"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    assert made["push"] is None
    plan = f"/plans/{made['id']}"
    ok(fleet.api.post(f"{plan}/approve"))
    later = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"], "not_before": later}))["id"]
    assert ok(fleet.api.get(plan))["push"] == push
    assert "waits for its turn" in ok(fleet.api.get(f"/pushes/{push}/explain"))["summary"]

    renamed(device, "changed at the router")
    again = ok(fleet.api.post(f"{plan}/recompute"))
    told = ok(fleet.api.get(f"/pushes/{push}/explain"))
    assert "would send nothing: the device has changed since the plan was made" in told["summary"]
    assert told["next_action"] == f"Cancel it, and have plan {made['id']} recomputed."
    ok(fleet.api.post(f"/pushes/{push}/cancel"))

    ok(fleet.api.post(f"/plans/{again['id']}/approve"))
    renamed(device, "changed once more")
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    push = ok(fleet.api.post("/pushes", json={"plan": again["id"], "not_before": soon}))["id"]
    ended = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
    assert ended == "not-done"
    told = ok(fleet.api.get(f"/pushes/{push}/explain"))
    assert "has changed since the plan was made; nothing was sent" in told["summary"]
    assert f"have plan {again['id']} recomputed" in told["next_action"]
    assert device.log.count("line") == 0
    where = ["--url", house.url, "--key-file", str(house.directory / "admin.key")]
    shown = CliRunner().invoke(app, ["push", "show", str(push), *where])
    assert "+ description changed once more" in shown.stdout, "what has changed is said too"

    anew = CliRunner().invoke(app, ["push", "recompute", str(again["id"]), *where])
    assert "uplink of Kobe" in anew.stdout
    assert "- description changed once more" in anew.stdout, "the new plan shows that the change of another is undone"


def test_a_router_that_could_not_save_gets_a_plan_without_a_difference_and_then_saves(
    house: House, fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    wanted = device.running_text().replace(" description uplink\n", " description uplink of Uji\n")

    def pushed() -> str:
        made = ok(fleet.api.post("/plans", json={"entry": entry}))
        ok(fleet.api.post(f"/plans/{made['id']}/approve"))
        push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
        return str(until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push"))

    write(fleet, entry, wanted)
    device.throw(save="failed")
    assert pushed() == "unknown"
    assert "description uplink of Uji" in device.running_text()
    assert "description uplink of Uji" not in device.saved_text()
    device.throw(save="ok")
    assert pushed() == "done", "what runs is what is wanted, and it was not saved"
    assert "description uplink of Uji" in device.saved_text()
    problem = refused(fleet.api.post("/plans", json={"entry": entry}), 409, "conflict")
    assert "runs what is wanted already" in problem["detail"]

    renamed(device, "typed in at the router")
    write(fleet, entry, device.running_text())
    assert pushed() == "done", "and what somebody typed in, and did not save, is saved where it is wanted"
    assert "typed in at the router" in device.saved_text()


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


def test_what_was_typed_and_said_in_a_push_is_told_without_its_secrets(
    house: House, fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    more = f"snmp-server community {SECRET} RO\n"
    write(fleet, entry, device.running_text().replace("end\n", f"{more}end\n"))
    device.throw(padding=4000)
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    if made["approvals_needed"] == 2:
        ok(somebody(house, fleet, f"carol-{serial()}").post(f"/plans/{made['id']}/approve"))
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
    until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
    pieces = ok(fleet.api.get(f"/pushes/{push}/transcripts"))
    assert [one["state"] for one in pieces] == ["applying", "done"]
    words = "\n".join(one["words"] for one in pieces)
    typed = [line for line in words.splitlines() if line.startswith("> ")]
    assert any(line.startswith("> configure terminal revert timer") for line in typed), typed
    assert "> snmp-server community ‹masked› RO" in typed
    assert typed.index("> snmp-server community ‹masked› RO") < typed.index("> configure confirm")
    assert SECRET not in words
    assert " signs in " in words, "long readings are versions, and told by their length"
    index = ok(fleet.api.get("/transcripts", params={"entry": entry, "push": push}))["items"]
    assert [one["id"] for one in index] == [one["id"] for one in reversed(pieces)]
    where = ["--url", house.url, "--key-file", str(house.directory / "admin.key")]
    told = CliRunner().invoke(app, ["push", "transcript", str(push), *where])
    assert told.exit_code == 0
    assert "> configure confirm" in told.stdout


def test_a_line_that_is_refused_stands_in_the_transcript_with_what_was_said_to_it(
    fleet: Fleet, place: tuple[str, IosDevice]
) -> None:
    entry, device = place
    device.throw(reject_lines=("ip http timeout-policy idle 60",))
    write(fleet, entry, device.running_text().replace("end\n", "ip http timeout-policy idle 60\nend\n"))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
    ended = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push")
    assert ended == "not-done"
    journal = ok(fleet.api.get(f"/pushes/{push}/journal"))
    assert journal[-1]["detail"] == "the line that was refused:\nip http timeout-policy idle 60"
    pieces = ok(fleet.api.get(f"/pushes/{push}/transcripts"))
    said = next(one["words"] for one in pieces if one["state"] == "applying")
    assert "% Invalid input" in said[said.index("> ip http timeout-policy") :]
    assert any("> configure revert now" in one["words"] for one in pieces)
