"""Somebody has an address and a password, and no idea what stands there: `POST /detections` through a daemon."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from drivers.simulator.ssh_device import CliDevice
from tests.controller.house import Fleet, House, Json, ok, refused
from tests.controller.routers import beside
from tests.drivers.test_operating import FAMILIES, unit

MODELS = {"ios": "Cisco IOS", "fortios": "FortiGate", "seil-ssh": "SEIL/X1"}


def body(device: CliDevice, **more: object) -> Json:
    return {"host": "127.0.0.1", "port": device.port, "username": device.username, "password": "pw", **more}


@contextmanager
def resetting() -> Iterator[int]:
    """A port that accepts every connection and resets it at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def assert_nobody_tries_again(problem: Json) -> None:
    """One call is one attempt: what is to be done next is the caller's."""
    assert problem["next_step"]
    assert not re.search(r"repeat|back-off|tried again|stored", problem["next_step"])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_device_is_named_and_can_be_registered_as_it_was_named(fleet: Fleet, family: str) -> None:
    device = unit(family)
    with beside(device, family):
        before = device.running_text()
        found = ok(fleet.api.post("/detections", json=body(device)))
        assert (found["family"], found["model"], found["serial_number"]) == (family, MODELS[family], "S1")
        assert found["host_key"] == device.host_key.export_public_key().decode().strip()
        assert (device.running_text(), len(device.logins)) == (before, 1)
    offered = [name for one in ok(fleet.api.get("/models")) for name in one["names"].values()]
    assert found["model"] in offered


def test_a_port_that_resets_one_that_is_shut_and_a_wrong_password_are_told_apart(fleet: Fleet) -> None:
    device = unit("ios")
    with beside(device, "r"):
        with resetting() as number:
            problem = refused(fleet.api.post("/detections", json=body(device, port=number)), 424, "device-busy")
            assert f"port {number}" in problem["detail"]
            assert_nobody_tries_again(problem)
        problem = refused(fleet.api.post("/detections", json=body(device, port=number)), 424, "unreachable")
        assert f"port {number}" in problem["detail"]
        assert_nobody_tries_again(problem)
        refused(fleet.api.post("/detections", json=body(device, password="no")), 424, "authentication-failed")
        assert len(device.logins) == 1


def test_the_command_line_asks_for_no_more_than_an_address(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAJITORI_PASSWORD", "pw")
    where = ["--url", house.url, "--key-file", str(house.directory / "admin.key")]
    device = unit("seil-ssh")
    with beside(device, "s"):
        verb = ["adapter", "detect", "127.0.0.1", "--port", str(device.port), "--username", device.username]
        told = CliRunner().invoke(app, [*verb, *where, "--json"])
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)["model"] == "SEIL/X1"
    told = CliRunner().invoke(app, [*verb, *where])
    assert told.exit_code == 1
    assert "pw" not in told.output.split()
