"""Configs of a place over REST: in the language of who sits there, masked in the language they were written in."""

from __future__ import annotations

import pytest

from tests.controller.house import Fleet, House, ok, refused

LONG = "".join(f"interface.ge{n}.description: port {n}\n" for n in range(700))


def place(fleet: Fleet, body: dict[str, object]) -> tuple[str, str]:
    """A new entry and the serial number of who sits in it."""
    made = fleet.register({**body, "place": {"management": fleet.management()}})
    return made["place"], made["serial_number"]


def test_a_long_text_is_read_beside_the_loop_and_refused_with_its_line(fleet: Fleet) -> None:
    entry, _ = place(fleet, fleet.arms())
    path = f"/entries/{entry}/configs/working"
    for _ in range(2):
        problem = refused(
            fleet.api.put(path, json={"modules": [{"text": LONG + "no colon here\n"}]}), 422, "config-syntax"
        )
        assert problem["facts"]["line"] == 701
        assert problem["field"].startswith("line 701")
    version = ok(fleet.api.put(path, json={"modules": [{"text": LONG}]}))
    other = ok(fleet.api.put(path, json={"modules": [{"text": LONG + "hostname: osaka\n"}]}))
    shown = ok(fleet.api.get(f"/configs/{version['id']}/diff/{other['id']}"))["lines"]
    assert [line for line in shown if line.startswith("+")] == ["+hostname: osaka"]


def test_versions_of_two_places_are_compared_and_their_secrets_stay_masked(house: House, fleet: Fleet) -> None:
    versions = []
    for name, secret in (("kobe", "planted-in-kobe"), ("nara", "planted-in-nara")):
        entry, _ = place(fleet, fleet.ssh())
        text = f"hostname {name}\nsnmp-server community {secret} RO\nntp server 192.0.2.1\n"
        versions.append(
            ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))["id"]
        )
    answer = fleet.api.get(f"/configs/{versions[0]}/diff/{versions[1]}")
    lines = ok(answer)["lines"]
    assert [line for line in lines if "hostname" in line] == ["-hostname kobe", "+hostname nara"]
    assert [line for line in lines if "community" in line] == [
        f"{sign}snmp-server community ‹masked› RO" for sign in "-+"
    ]
    assert "planted" not in answer.text
    stranger = ok(fleet.api.post("/contractors", json={"name": f"stranger {versions[0]}"}))["key"]
    key = ok(fleet.api.post("/api-keys", json={"name": "eve", "role": "contractor", "contractor": stranger}))["key"]
    refused(house.client(key).get(f"/configs/{versions[0]}/diff/{versions[1]}"), 404, "not-found")


def test_a_startup_is_released_only_where_the_adapter_pulls_it(fleet: Fleet) -> None:
    entry, _ = place(fleet, fleet.ssh())
    refused(fleet.api.post(f"/entries/{entry}/configs/startup"), 409, "conflict")
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": "hostname a\n"}]}))
    problem = refused(fleet.api.post(f"/entries/{entry}/configs/startup"), 409, "conflict")
    assert "push" in problem["next_step"]


def test_a_text_of_another_model_is_never_released_and_stays_masked(fleet: Fleet) -> None:
    management = fleet.management()
    seil = fleet.register(fleet.arms(model="SEIL BPV4", place={"management": management}))
    entry = seil["place"]
    text = 'ike preshared-key add "192.0.2.1" "planted-in-seil"\nhostname "osaka"\n'
    draft = ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))["id"]
    ok(fleet.api.post(f"/adapters/{seil['serial_number']}/release"))
    recipe = fleet.register(fleet.arms(model="SA-W2"))["serial_number"]
    ok(fleet.api.post(f"/entries/{entry}/assign", json={"serial_number": recipe}))
    problem = refused(fleet.api.post(f"/entries/{entry}/configs/startup"), 409, "conflict")
    assert recipe in problem["next_step"]
    seen = fleet.api.get(f"/configs/{draft}")
    assert "planted" not in seen.text
    assert "osaka" in seen.text
    newer = {"modules": [{"text": "ppp.0.password: planted-in-recipe\n"}]}
    other = ok(fleet.api.put(f"/entries/{entry}/configs/working", json=newer))["id"]
    refused(fleet.api.get(f"/configs/{draft}/diff/{other}"), 409, "conflict")
    assert "planted" not in fleet.api.get(f"/configs/{other}").text


def test_a_startup_that_was_released_is_what_the_place_runs_once_it_is_read(fleet: Fleet) -> None:
    entry, _ = place(fleet, fleet.arms())
    draft = ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": "hostname: osaka\n"}]}))
    startup = ok(fleet.api.post(f"/entries/{entry}/configs/startup"))
    assert (startup["kind"], startup["digest"]) == ("startup", draft["digest"])
    kinds = [one["kind"] for one in ok(fleet.api.get(f"/entries/{entry}/configs"))["items"]]
    assert kinds == ["startup", "working"]


@pytest.mark.parametrize(
    "modules",
    [
        [],
        [{"id": 0, "text": "a: b\n"}, {"id": 0, "text": "c: d\n"}],
        [{"id": -1, "text": ""}],
        [{"id": 2**40, "text": ""}],
    ],
)
def test_modules_that_make_no_config_are_refused(fleet: Fleet, modules: list[dict[str, object]]) -> None:
    entry, _ = place(fleet, fleet.arms())
    problem = refused(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": modules}), 422, "bad-input")
    assert problem["field"].startswith("modules")


def test_an_empty_place_has_no_language(fleet: Fleet) -> None:
    (entry,) = fleet.slots("entries", fleet.management())
    body = {"modules": [{"text": "hostname a\n"}]}
    refused(fleet.api.put(f"/entries/{entry}/configs/working", json=body), 409, "conflict")


def test_a_plan_for_a_device_that_never_phoned_home_is_refused_soon(fleet: Fleet) -> None:
    entry, _ = place(fleet, fleet.arms())
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": "hostname: osaka\n"}]}))
    answer = fleet.api.post("/plans", json={"entry": entry})
    refused(answer, 424, "unreachable")
    assert answer.elapsed.total_seconds() < 30
