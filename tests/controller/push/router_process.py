"""A simulated router or firewall in a process of its own, so that it lives through the deaths of the daemon."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from tests.configs import FORTIOS, IOS

SERIAL, USER, PASSWORD = "FTX1840ALY0", "op", "correct horse 7"


@dataclass(frozen=True)
class Box:
    """What stands there, and a change of it: `change` is put behind `before`."""

    family: str
    model: str
    hostname: str
    management: str
    config: str
    before: str
    change: str
    mark: str
    """A line of the change that is sent once."""


ROUTER: Final = Box(
    "ios",
    "Cisco IOS",
    "osaka-edge-01",
    "GigabitEthernet0/0",
    IOS,
    "interface GigabitEthernet0/1\n",
    " description to the warehouse\n",
    "description to the warehouse",
)
FIREWALL: Final = Box(
    "fortios",
    "FortiGate",
    "kobe-fw-01",
    "mgmt",
    FORTIOS,
    "        set subnet 198.51.100.0 255.255.255.0\n    next\n",
    '    edit "warehouse"\n        set subnet 203.0.113.0 255.255.255.0\n    next\n',
    "set subnet 203.0.113.0",
)


def main(told: Connection, pace: float, box: Box = ROUTER) -> None:
    """Be that box until killed; tells its SSH port and its control port."""
    asyncio.run(serve(told, pace, box))


async def serve(told: Connection, pace: float, box: Box) -> None:
    """See `main`."""
    make = IosDevice if box.family == "ios" else FortiDevice
    device = make(
        hostname=box.hostname,
        serial=SERIAL,
        model="ISR4331" if box.family == "ios" else "FortiGate-60F",
        config_text=box.config,
        username=USER,
        password=PASSWORD,
        pace=pace,
        management=box.management,
    )
    async with device, await device.serve_control() as control:
        told.send((device.port, control.port))
        await asyncio.Event().wait()
