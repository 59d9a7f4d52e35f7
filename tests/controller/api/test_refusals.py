"""Every refusal is a problem: code, rule, field and next step (RFC 9457), and nothing of it was applied."""

from __future__ import annotations

import socket
from urllib.parse import quote

import httpx
import pytest

from tests.controller.house import Fleet, House, ok, refused, serial

NOBODY = "A" * 43


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_without_a_key_nothing_is_told(house: House, method: str) -> None:
    answer = house.client("").request(method, "/adapters")
    if method in ("GET", "POST"):
        refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    else:
        assert set(answer.headers["allow"].split(", ")) & {"GET", "POST"}
        refused(answer, 405, "method-not-allowed")


def test_a_key_that_nobody_made_is_refused(house: House) -> None:
    refused(house.client(NOBODY).get("/adapters"), 401, "unauthenticated")
    strange = {"Authorization": "Bearer ü".encode()}
    refused(house.client("").get("/adapters", headers=strange), 401, "unauthenticated")  # type: ignore[arg-type]
    refused(house.client("").get("/adapters", headers={"Authorization": f"Basic {house.key}"}), 401, "unauthenticated")


def test_a_path_that_is_none(api: httpx.Client) -> None:
    refused(api.get("/adaptors"), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b'{"name": "x"', "not JSON"),
        (b'{"name": "\xff"}', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"name": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b"[]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b"", "body"),
    ],
)
def test_a_body_that_is_no_json_object(api: httpx.Client, body: bytes, says: str) -> None:
    answer = api.post("/contractors", content=body, headers={"Content-Type": "application/json"})
    problem = refused(answer, 422, "bad-input")
    assert says in problem["detail"]
    assert problem["field"] == "body"


def test_an_unknown_field_is_named(api: httpx.Client) -> None:
    problem = refused(api.post("/contractors", json={"name": "x", "nmae": "y"}), 422, "bad-input")
    assert problem["field"] == "nmae"


def test_a_field_deep_inside_is_named(fleet: Fleet) -> None:
    body = fleet.ssh()
    body["endpoint"]["port"] = 70_000
    problem = refused(fleet.api.post("/adapters", json=body), 422, "bad-input")
    assert problem["field"] == "endpoint.port"
    assert "70000" not in problem["detail"]


@pytest.mark.parametrize("body", [{"name": "\ud800"}, {"name": "a\x00b"}, {"name": "   "}, {"name": "x" * 201}])
def test_a_name_that_no_database_takes(api: httpx.Client, body: dict[str, str]) -> None:
    raw = str(body).replace("'", '"').replace("\\x00", "\\u0000").encode("ascii", "backslashreplace")
    problem = refused(
        api.post("/contractors", content=raw, headers={"Content-Type": "application/json"}), 422, "bad-input"
    )
    assert problem["field"] == "name"


def test_a_body_over_the_limit_is_refused_before_it_is_read(api: httpx.Client) -> None:
    body = b'{"name": "' + b"x" * (8 * 1024 * 1024) + b'"}'
    problem = refused(
        api.post("/contractors", content=body, headers={"Content-Type": "application/json"}), 413, "too-large"
    )
    assert problem["field"] == "body"


def test_a_streamed_body_over_the_limit_is_refused_too(api: httpx.Client) -> None:
    def chunks() -> object:
        for _ in range(130):
            yield b" " * 65536

    answer = api.post("/contractors", content=chunks(), headers={"Content-Type": "application/json"})  # type: ignore[arg-type]
    refused(answer, 413, "too-large")


def test_something_that_is_not_there(api: httpx.Client) -> None:
    for path in ("/contractors/K-999999", "/managements/M-999999", "/entries/E-999999", "/standbys/S-999999"):
        refused(api.get(path), 404, "not-found")
    for path in ("/adapters/NOBODY-1", "/plans/999999", "/pushes/999999", "/configs/999999", "/pushes/999999/explain"):
        refused(api.get(path), 404, "not-found")


ODD = [
    "%00",
    "E-%00",
    "E-0",
    "E--1",
    "E-1.5",
    "K-1",
    "%F0%9F%92%A9",
    "%FF",
    "..%2F..",
    "E-" + "9" * 17,
    "E-" + "9" * 300,
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("path", ["/entries/{}", "/adapters/{}", "/entries/{}/configs", "/adapters/{}/explain"])
def test_odd_keys_are_refused_and_harm_nobody(api: httpx.Client, path: str, odd: str) -> None:
    answer = api.get(path.format(odd))
    assert answer.status_code in (404, 422), answer.text
    refused(answer, answer.status_code, "not-found" if answer.status_code == 404 else "bad-input")


@pytest.mark.parametrize("odd", ["0", "-1", "9" * 30, "2147483648", "x", "%00", "1e3"])
@pytest.mark.parametrize("path", ["/plans/{}", "/pushes/{}/journal", "/configs/{}", "/configs/1/diff/{}"])
def test_odd_numbers_are_refused_and_harm_nobody(api: httpx.Client, path: str, odd: str) -> None:
    refused(api.get(path.format(odd)), 422, "bad-input")


@pytest.mark.parametrize(
    "query",
    [
        {"after": "\x00"},
        {"after": "YTk5OTk5OTk5OTk5OTk5OTk5"},
        {"limit": "0"},
        {"limit": "9" * 40},
        {"text": "\x00"},
        {"management": "M-\x00"},
        {"contractor": "E-1"},
        {"model": "\x00"},
        {"life": "bored"},
        {"seated": "perhaps"},
    ],
)
def test_odd_queries_are_refused_with_their_field(api: httpx.Client, query: dict[str, str]) -> None:
    problem = refused(api.get("/adapters", params=query), 422, "bad-input")
    assert problem["field"] == next(iter(query))


def test_a_number_beyond_every_sequence_is_not_found(api: httpx.Client) -> None:
    refused(api.get("/entries", params={"management": "M-999999999999999999"}), 404, "not-found")


def test_a_refused_rule_names_its_rule_and_its_facts(fleet: Fleet) -> None:
    body = fleet.arms()
    fleet.register(body)
    problem = refused(fleet.api.post("/adapters", json=body), 409, "serial-taken")
    assert problem["rule"] == "SMF-1"
    assert problem["field"] == "serial_number"
    assert problem["facts"]["life"] == "delivered"


def test_a_registration_whose_place_does_not_fit_leaves_no_adapter_behind(fleet: Fleet) -> None:
    management = fleet.management(entries=1, standbys=1)
    body = fleet.ssh(place={"management": management, "slot": "standby"})
    problem = refused(fleet.api.post("/adapters", json=body), 409, "not-eligible")
    assert problem["rule"] == "MPC-3.2"
    refused(fleet.api.get(f"/adapters/{body['serial_number']}"), 404, "not-found")
    two = fleet.arms(place={"management": management, "entry": "E-1"})
    assert refused(fleet.api.post("/adapters", json=two), 422, "bad-input")["field"] == "place"


def test_a_device_that_does_not_answer_is_told_as_such_and_is_no_fault_of_ours(fleet: Fleet) -> None:
    made = fleet.register(fleet.ssh())
    problem = refused(fleet.api.post(f"/adapters/{made['serial_number']}/identify"), 424, "unreachable")
    assert "127.0.0.1" in problem["detail"]


def test_a_serial_number_with_a_slash_can_be_addressed(fleet: Fleet) -> None:
    odd = f"A/B {serial()} %2F"
    fleet.register(fleet.arms(serial_number=odd))
    found = ok(fleet.api.get(f"/adapters/{quote(odd, safe='')}/explain"))
    assert found["subject"] == odd


def test_garbage_instead_of_http_ends_one_connection_only(house: House, api: httpx.Client) -> None:
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /" + b"a" * 100_000,
        b"POST /api/v1/contractors HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", house.ports["api"]), 10) as raw:
            raw.sendall(garbage)
            raw.settimeout(10)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
    ok(api.get("/models"))
