"""`Idempotency-Key`: the same request acts once and is answered the same, whatever happened in between."""

from __future__ import annotations

import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.controller.house import Fleet, House, Json, ok, refused, serving


def register(api: httpx.Client, body: Json, key: str) -> httpx.Response:
    """One registration under an idempotency key."""
    return api.post("/adapters", json=body, headers={"Idempotency-Key": key})


def test_the_answer_is_given_again_with_the_key_that_is_shown_once(fleet: Fleet) -> None:
    body, key = fleet.arms(), str(uuid.uuid4())
    first, again = register(fleet.api, body, key), register(fleet.api, body, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(first.json()["ls_key"]) >= 32
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert ok(fleet.api.get(f"/adapters/{body['serial_number']}"))["ls_key"] is None


def test_another_request_under_the_same_key_is_refused(fleet: Fleet) -> None:
    key = str(uuid.uuid4())
    ok(register(fleet.api, fleet.arms(), key))
    other = fleet.arms()
    problem = refused(register(fleet.api, other, key), 422, "bad-input")
    assert problem["field"] == "Idempotency-Key"
    refused(fleet.api.get(f"/adapters/{other['serial_number']}"), 404, "not-found")
    elsewhere = fleet.api.post("/contractors", json={"name": "x"}, headers={"Idempotency-Key": key})
    refused(elsewhere, 422, "bad-input")


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_of_no_length_or_too_long_is_refused(fleet: Fleet, key: str) -> None:
    assert refused(register(fleet.api, fleet.arms(), key), 422, "bad-input")["field"] == "Idempotency-Key"


def test_keys_of_two_callers_are_apart(house: House, fleet: Fleet) -> None:
    made = ok(fleet.api.post("/api-keys", json={"name": "another program", "role": "operator"}))
    key = str(uuid.uuid4())
    ok(register(fleet.api, fleet.arms(), key))
    ok(register(house.client(made["key"]), fleet.arms(), key))


def test_a_refused_request_is_judged_anew(fleet: Fleet) -> None:
    management = fleet.management(entries=1)
    sitting = fleet.register(fleet.arms(place={"management": management}))["serial_number"]
    body, key = fleet.arms(place={"management": management}), str(uuid.uuid4())
    refused(register(fleet.api, body, key), 409, "no-free-slot")
    ok(fleet.api.post(f"/adapters/{sitting}/release"))
    ok(register(fleet.api, body, key))


def test_duplicates_at_the_same_time_act_once(house: House, fleet: Fleet) -> None:
    body, key = fleet.arms(), str(uuid.uuid4())
    clients = [house.client() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda api: register(api, body, key), clients))
    assert {one.status_code for one in answers} == {201}
    assert len({one.text for one in answers}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in answers) == 1


def test_a_request_that_reads_a_device_may_be_sent_again_after_its_refusal(fleet: Fleet) -> None:
    made = fleet.register(fleet.ssh())
    path, headers = f"/adapters/{made['serial_number']}/identify", {"Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        refused(fleet.api.post(path, headers=headers), 424, "unreachable")


@pytest.mark.slow
def test_after_a_crash_the_same_request_is_answered_the_same(tmp_path: Path) -> None:
    key = str(uuid.uuid4())
    with serving(tmp_path / "data") as house:
        fleet = Fleet(house.client())
        body = fleet.arms()
        first = register(fleet.api, body, key).json()
        admin = house.key
        house.stop(signal.SIGKILL)
    with serving(tmp_path / "data") as house:
        assert house.key == admin, "the second start made another key"
        api = house.client()
        again = register(api, body, key)
        assert again.json() == first
        assert again.headers["idempotency-replayed"] == "true"
        assert len(ok(api.get("/adapters"))["items"]) == 1
        assert len(ok(api.get("/api-keys"))["items"]) == 1
        assert house.stop() == 0
