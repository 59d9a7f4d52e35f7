"""A simulated router in an entry of a daemon, entitled and identified: what a story about a plan begins with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from drivers.simulator.ios_cli import IosDevice
from tests.controller.house import Fleet, ok, serial
from tests.controller.routers import USERNAME, router

PASSWORD = "correct horse"


@contextmanager
def seated(fleet: Fleet) -> Iterator[tuple[str, IosDevice]]:
    """Key of the entry, and the router that runs in it."""
    name = serial()
    with router(name, password=PASSWORD) as device:
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": PASSWORD}
        seat = {"management": fleet.management()}
        entry = fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place=seat))["place"]
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        ok(fleet.api.post(f"/adapters/{name}/identify"))
        yield entry, device
