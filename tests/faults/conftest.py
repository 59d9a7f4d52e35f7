"""Devices for the stories of the failure catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from tests.controller.push.cutting import DeviceClock
from tests.faults.bench import Bench, firewall, router

Make = Callable[[IosDevice | FortiDevice, DeviceClock], Awaitable[Bench]]


@pytest.fixture
async def bench_of(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Make]:
    """Start a device and give it a bench."""
    async with AsyncExitStack() as stack:

        async def make(device: IosDevice | FortiDevice, clock: DeviceClock) -> Bench:
            await stack.enter_async_context(device)
            bench = Bench(device, clock, sqlite_template, tmp_path)
            stack.push_async_callback(bench.close)
            return bench

        yield make


@pytest.fixture
async def ios(bench_of: Make) -> Bench:
    """A healthy router."""
    clock = DeviceClock()
    return await bench_of(router(clock), clock)


@pytest.fixture
async def forti(bench_of: Make) -> Bench:
    """A healthy firewall."""
    clock = DeviceClock()
    return await bench_of(firewall(clock), clock)
