"""A simulated SA-W2 in a process of its own, so that it lives through the deaths of the daemon."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from multiprocessing.connection import Connection

from drivers.simulator.arms_client import ArmsDevice, ArmsSettings
from drivers.simulator.arms_control import serve_device
from drivers.simulator.identity import SA_W2, fleet_member
from inventory.secrets import Secret

UNIT = fleet_member(SA_W2, 1)


def main(told: Connection, ls_url: str, root_ca_pem: str, ls_key: str, pace: float) -> None:
    """Be the adapter until killed; tells its control port."""
    asyncio.run(serve(told, ls_url, root_ca_pem, ls_key, pace))


async def serve(told: Connection, ls_url: str, root_ca_pem: str, ls_key: str, pace: float) -> None:
    """See `main`."""
    settings = ArmsSettings(
        ls_urls=(ls_url,),
        root_ca_pem=root_ca_pem,
        pace=pace,
        shortest_timeout_s=0.5,
        boot_s=1.0,
        methods=("https-tunnel",),
    )
    device = ArmsDevice(replace(UNIT, ls_key=Secret(ls_key)), settings)
    async with await serve_device(device) as control:
        told.send(control.port)
        device.start()
        await asyncio.Event().wait()
