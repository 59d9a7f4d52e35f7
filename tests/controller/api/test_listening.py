"""Clients that send too much, too slowly or too deep: refused, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from controller.api.listening import HEAD_AT_MOST
from tests.controller.house import House, ok, refused


@pytest.fixture
def line(house: House) -> Iterator[socket.socket]:
    """A bare connection to the API; it gives up after 10 s."""
    with socket.create_connection(("127.0.0.1", house.ports["api"]), timeout=10) as opened:
        yield opened


def everything(line: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(65_536):
            got += piece
    return got


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/", b"GET /api/v1/adapters HTTP/1.1\r\nX: y\r\n"])
def test_whoever_dawdles_with_the_head_is_shown_the_door(line: socket.socket, api: httpx.Client, sent: bytes) -> None:
    line.sendall(sent)
    assert everything(line).startswith(b"HTTP/1.1 400")
    ok(api.get("/adapters"))


def test_whoever_dawdles_with_the_body_is_told_408(line: socket.socket, house: House) -> None:
    line.sendall(
        f"POST /api/v1/contractors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    answer = line.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("field", [b"X: y\r\n" * 20_000, b"X: " + b"y" * (2 * HEAD_AT_MOST)])
def test_a_head_without_end_is_refused(line: socket.socket, field: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        line.sendall(b"GET /api/v1/adapters HTTP/1.1\r\n" + field)
    assert everything(line)[:12] in {b"HTTP/1.1 400", b""}


def test_a_request_after_another_on_the_same_connection_has_its_own_head(house: House) -> None:
    with house.client() as client:
        for _ in range(5):
            ok(client.get("/adapters", headers={"X-Long": "y" * 30_000}))


def test_a_client_that_keeps_its_connection_for_some_seconds_finds_it_open(line: socket.socket) -> None:
    """Clients and proxies keep one for 5 s and more: closed by us in the moment they use it again, it is an error."""
    request = b"GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    line.sendall(request)
    assert _whole_answer(line).startswith(b"HTTP/1.1 404")
    line.settimeout(6)
    with pytest.raises(TimeoutError):
        line.recv(65_536)
    line.sendall(request)
    assert _whole_answer(line).startswith(b"HTTP/1.1 404")


def _whole_answer(line: socket.socket) -> bytes:
    """Head and body, in however many pieces they come."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        octets += line.recv(65_536)
    head, _, body = octets.partition(b"\r\n\r\n")
    (length,) = (int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += line.recv(65_536)
    return octets


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": "\\ud800"}',
        b"\xff\x00",
        b"\x00",
    ],
    ids=["brackets", "braces", "digits", "surrogate", "octets", "NUL"],
)
def test_a_body_that_is_too_deep_or_no_json_is_a_plain_refusal(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/contractors", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_import_without_end_is_refused_and_kept_nowhere(api: httpx.Client) -> None:
    def lines() -> Iterator[bytes]:
        for _ in range(400):
            yield b"x" * 5000

    refused(api.post("/readings", content=lines(), headers={"Content-Type": "application/x-ndjson"}), 422, "bad-input")
