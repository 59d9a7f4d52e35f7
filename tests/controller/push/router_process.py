"""A simulated Cisco IOS router in a process of its own, so that it lives through the deaths of the daemon."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

from drivers.simulator.ios_cli import IosDevice

SERIAL, USER, PASSWORD = "FTX1840ALY0", "op", "correct horse 7"
CONFIG = """version 15.2
hostname osaka-edge-01
archive
 path flash:before
 maximum 10
interface GigabitEthernet0/0
 description uplink
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 198.51.100.1 255.255.255.0
line vty 0 4
 login local
end
"""
BEFORE = "interface GigabitEthernet0/1\n"
CHANGE = " description to the warehouse\n"


def main(told: Connection, pace: float) -> None:
    """Be a router until killed; tells its SSH port and its control port."""
    asyncio.run(serve(told, pace))


async def serve(told: Connection, pace: float) -> None:
    """See `main`."""
    router = IosDevice(
        hostname="osaka-edge-01",
        serial=SERIAL,
        model="ISR4331",
        config_text=CONFIG,
        username=USER,
        password=PASSWORD,
        pace=pace,
        management="GigabitEthernet0/0",
    )
    async with router, await router.serve_control() as control:
        told.send((router.port, control.port))
        await asyncio.Event().wait()
