"""Boots, startup configs on trial and module versions over REST and on the command line."""

from __future__ import annotations

from tests.controller.commands import client, told
from tests.controller.house import Fleet, House, ok, refused


def placed(fleet: Fleet) -> tuple[str, str]:
    """Serial number of a SEIL and the entry that it sits in."""
    serial = fleet.register(fleet.arms(place={"management": fleet.management(entries=1)}))["serial_number"]
    return serial, ok(fleet.api.get(f"/adapters/{serial}"))["place"]


def release(fleet: Fleet, entry: str, text: str) -> int:
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))
    return int(ok(fleet.api.post(f"/entries/{entry}/configs/startup"))["id"])


def test_the_startup_of_a_place_is_shown_with_its_trial_and_no_secret(house: House, fleet: Fleet) -> None:
    _, entry = placed(fleet)
    refused(fleet.api.get(f"/entries/{entry}/startup"), 404, "not-found")
    version = release(fleet, entry, "hostname: osaka\ninterface.ppp0.password: very-secret\n")
    answer = fleet.api.get(f"/entries/{entry}/startup")
    view = ok(answer)
    assert (view["standing"], view["newest"]["id"], view["served"]["id"]) == ("on-trial", version, version)
    assert (view["difference"], view["failures"]) == ([], 0)
    assert "very-secret" not in answer.text
    assert "on trial" in view["explanation"]
    assert told(house, "entry", "startup", entry)["standing"] == "on-trial"
    assert "is on-trial" in client(house, "entry", "startup", entry)[1]


def test_both_texts_and_their_difference_are_shown_masked_when_a_config_was_given_up(
    house: House, fleet: Fleet
) -> None:
    _, entry = placed(fleet)
    good = release(fleet, entry, "hostname: good\ninterface.ppp0.password: very-secret\n")
    bad = release(fleet, entry, "hostname: bad\ninterface.ppp0.password: other-secret\n")
    house.gave_up(bad, good)

    answer = fleet.api.get(f"/entries/{entry}/startup")
    view = ok(answer)
    assert (view["standing"], view["newest"]["id"], view["served"]["id"]) == ("given-up", bad, good)
    assert "hostname: bad" in view["newest"]["modules"][0]["text"]
    assert "hostname: good" in view["served"]["modules"][0]["text"]
    assert any(line.startswith("-") and "hostname: good" in line for line in view["difference"])
    assert any(line.startswith("+") and "hostname: bad" in line for line in view["difference"])
    assert "secret" not in answer.text
    shown = client(house, "entry", "startup", entry)[1]
    assert f"served: version {good}" in shown
    assert "hostname: bad" in shown


def test_no_module_version_is_wanted_where_nobody_would_hear_of_it(fleet: Fleet) -> None:
    serial = fleet.register(fleet.ssh(place={"management": fleet.management(entries=1)}))["serial_number"]
    path = f"/entries/{ok(fleet.api.get(f'/adapters/{serial}'))['place']}/modules"
    body = {"modules": [{"id": 0, "version": "5.66.0-0"}]}
    problem = refused(fleet.api.put(path, json=body, headers={"If-Match": "*"}), 409, "conflict")
    assert "over SSH" in problem["detail"]
    ok(fleet.api.put(path, json={"modules": []}, headers={"If-Match": "*"}))


def test_wanted_module_versions_are_set_with_what_was_seen_and_shown(house: House, fleet: Fleet) -> None:
    _, entry = placed(fleet)
    path = f"/entries/{entry}/modules"
    first = ok(fleet.api.get(path))
    assert (first["wanted"], first["reported"], first["version"]) == ([], None, 0)
    body = {"modules": [{"id": 0, "version": "5.66.0-0", "info": "https://192.0.2.1/5.66"}]}
    changed = ok(fleet.api.put(path, json=body, headers={"If-Match": '"0"'}))
    assert (changed["wanted"], changed["version"]) == (body["modules"], 1)
    refused(fleet.api.put(path, json=body, headers={"If-Match": '"0"'}), 412, "stale-version")
    twice = {"modules": [{"id": 0, "version": "1"}, {"id": 0, "version": "2"}]}
    assert "twice" in refused(fleet.api.put(path, json=twice, headers={"If-Match": "*"}), 422, "bad-input")["detail"]

    seen = told(house, "entry", "modules", entry, "--want", "0=5.70.0-0=https://192.0.2.1/x", "--want", "1=1.0.0-0")
    assert [(one["id"], one["version"], one["info"]) for one in seen["wanted"]] == [
        (0, "5.70.0-0", "https://192.0.2.1/x"),
        (1, "1.0.0-0", ""),
    ]
    assert "5.70.0-0" in client(house, "entry", "modules", entry)[1]
    assert told(house, "entry", "modules", entry, "--want-none")["wanted"] == []
    assert client(house, "entry", "modules", entry, "--want", "zero")[0] == 2


def test_boots_of_an_adapter_are_listed(house: House, fleet: Fleet) -> None:
    serial, _ = placed(fleet)
    assert ok(fleet.api.get(f"/adapters/{serial}/boots"))["items"] == []
    house.boot(serial)
    (boot,) = ok(fleet.api.get(f"/adapters/{serial}/boots"))["items"]
    assert boot["trigger"] == "power on boot"
    stages = {one["stage"]: one for one in boot["stages"]}
    assert list(stages) == [
        "ls-asked",
        "rs-asked",
        "config-pulled",
        "applied",
        "method-agreed",
        "confirmed",
        "ready",
        "heartbeat",
    ]
    assert stages["ls-asked"]["at"] is None
    assert "saved state" in stages["ls-asked"]["note"]
    shown = client(house, "adapter", "boots", serial)[1]
    assert "pull reason: power on boot" in shown
