"""A fake server and devices for each story; all are gone when it ends."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.simulator.arms_client import ArmsDevice, ArmsSettings
from drivers.simulator.arms_runtime import OctetCounter
from drivers.simulator.identity import SA_W2, ArmsModel, fleet_member
from tests.drivers.simulator.arms.fake_server import FakeServer

Change = Callable[[ArmsSettings], ArmsSettings]


class Workshop:
    """Makes devices that know the server, and clears up after them."""

    def __init__(self, server: FakeServer) -> None:
        self.made: list[ArmsDevice] = []
        self.settings = ArmsSettings(
            ls_urls=(server.ls_url,),
            root_ca_pem=server.root.pem,
            pace=50.0,
            shortest_timeout_s=1.0,
            boot_s=1.0,
        )

    def device(
        self,
        model: ArmsModel = SA_W2,
        *,
        change: Change = replace,
        interfaces: dict[int, OctetCounter] | None = None,
    ) -> ArmsDevice:
        device = ArmsDevice(fleet_member(model, 1), change(self.settings), interfaces=interfaces)
        self.made.append(device)
        return device


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    """A tunnel server; stories change its fields before the device starts."""
    fake = await FakeServer(tmp_path).start()
    yield fake
    await fake.stop()


@pytest.fixture
async def workshop(server: FakeServer) -> AsyncIterator[Workshop]:
    shop = Workshop(server)
    yield shop
    for device in shop.made:
        sys.stderr.writelines(f"{record}\n" for record in device.log)  # shown when the story failed
        await device.stop()
