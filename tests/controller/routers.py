"""Simulated Cisco routers on real ports, for tests whose own thread talks to the daemon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from drivers.simulator.ios_cli import IosDevice
from tests.configs import IOS

Live = TypeVar("Live")
USERNAME = "kajitori"


@contextmanager
def router(serial: str, *, password: str = "correct horse", pace: float = 50.0) -> Iterator[IosDevice]:
    """A router that is on until the block ends, in a loop and thread of its own."""
    device = IosDevice(
        hostname="osaka-edge-01",
        serial=serial,
        model="ISR4331",
        config_text=IOS,
        username=USERNAME,
        password=password,
        pace=pace,
        management="GigabitEthernet0/0",
    )
    with beside(device, serial):
        yield device


@contextmanager
def beside(what: AbstractAsyncContextManager[Live], name: str) -> Iterator[Live]:
    """What lives in a loop and thread of its own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name)
    thread.start()
    try:
        made = asyncio.run_coroutine_threadsafe(what.__aenter__(), loop).result(20)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(what.__aexit__(None, None, None), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
