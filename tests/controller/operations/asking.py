"""Operations on a running phone-home: ask for one, and wait for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from controller.operations.carrying import Limits
from controller.operations.service import OperationService
from controller.push.texts import TextPlanner
from controller.store import adapters, configs, operations
from controller.store.scope import By
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import OpenTransactions
from inventory.operations import Given, Item, Operation, OperationResult, OperationState, OperationStep
from inventory.plans import ConfigText
from tests.controller.phonehome.site import ALL, Device, Site, Unit

QUICK = Limits(busy_pause_s=0.2, blocked_pause_s=0.2, answer_s=5.0, result_s=5.0, settle_s=8.0, early_s=0.3, look_s=0.5)


class Asking:
    """A service on a site, and what an operator does with it."""

    def __init__(self, site: Site, service: OperationService) -> None:
        self.site = site
        self.service = service

    async def ask(
        self, unit: Unit, kind: str, *, wait_s: int = 300, ago_s: int = 0, items: Any = None, **given: Any
    ) -> int:
        """Start an operation, or one that somebody asked for so many seconds ago; its number."""
        wanted = None if items is None else tuple(Item(module, text) for module, text in items)
        async with self.site.database.write() as tx:
            adapter = await adapters.get(tx, ALL, unit.adapter_id)
            by = By("key 1 (ann)", self.site.clock.now_ms() - ago_s * 1000)
            made = await self.service.create(tx, ALL, by, adapter, kind, Given(items=wanted, **given), wait_s=wait_s)
        self.service.wake()
        return made.id

    async def read(self, number: int) -> Operation:
        """An operation as it stands."""
        async with self.site.database.read() as tx:
            return await operations.get(tx, ALL, number)

    async def reaches(self, number: int, *states: OperationState, seconds: float = 30.0) -> Operation:
        """The operation, once it is in one of these states."""
        async with asyncio.timeout(seconds):
            while (found := await self.read(number)).state not in states:  # noqa: ASYNC110  # it is in the database
                await asyncio.sleep(0.01)
        return found

    async def ended(self, number: int, *, seconds: float = 30.0) -> tuple[Operation, OperationResult | None]:
        """The operation and its result, once it is over."""
        found = await self.reaches(
            number, OperationState.DONE, OperationState.NOT_DONE, OperationState.UNKNOWN, seconds=seconds
        )
        async with self.site.database.read() as tx:
            return found, await operations.result(tx, self.site.keyring, found)

    async def does(self, unit: Unit, kind: str, **given: Any) -> tuple[Operation, OperationResult | None]:
        """Ask, and wait for the end."""
        return await self.ended(await self.ask(unit, kind, **given))

    async def journal(self, number: int) -> list[OperationStep]:
        """What it went through."""
        async with self.site.database.read() as tx:
            return await operations.steps(tx, number)

    async def holds(self, unit: Unit, text: str) -> None:
        """The unit's place is known to run this."""
        assert unit.entry_id is not None
        async with self.site.database.write() as tx:
            await configs.put(
                tx,
                ALL,
                self.site.keyring,
                unit.entry_id,
                kind="startup",
                config=ConfigText.single(text),
                digest="x",
                author="ann",
                reason="test",
                at_ms=1,
            )


@asynccontextmanager
async def asking(site: Site, limits: Limits = QUICK) -> AsyncIterator[Asking]:
    """A service that carries operations out until the block ends; leaving it is what a restart finds."""
    planner = TextPlanner()
    service = OperationService(
        database=site.database,
        keyring=site.keyring,
        clock=site.clock,
        link=site.home.link,
        planner=planner,
        limits=limits,
        node=site.node,
    )
    running = asyncio.create_task(service.run())
    try:
        yield Asking(site, service)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await service.stop(deadline_s=0.1)
        planner.close()


async def request(device: Device, type_: str) -> Request:
    """The next request of the server, which must be of this type."""
    got = await device.next()
    assert isinstance(got, Request)
    assert got.type == type_
    return got


async def tells_open(device: Device, *ids: int) -> None:
    """The device is asked which transactions it holds open, and answers."""
    await request(device, "check-transaction")
    device.say(Response("check-transaction", 100, OpenTransactions((*ids, 0))))
