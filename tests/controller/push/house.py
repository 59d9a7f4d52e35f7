"""A daemon's push part that can be killed and started again on the same database, against the same device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.keyring import Keyring
from controller.push.service import Policy, PushService
from controller.store import configs
from controller.store.database import Database
from controller.store.scope import Scope
from inventory.plans import JournalRow, Plan, Push, PushState
from tests.controller.push.leap import LeapClock
from tests.controller.push.place import ENTRY_ID, furnish
from tests.controller.push.program import INTENT, FakePlanner, FakeReach, Killed, Program

ALL = Scope.everything()


class House:
    """One database, one device, and as many daemons one after the other as it takes."""

    def __init__(self, url: str, keyring: Keyring, program: Program, planner: FakePlanner | None = None) -> None:
        self.url = url
        self.keyring = keyring
        self.program = program
        self.clock: LeapClock = program.clock
        self.planner = planner or FakePlanner()
        self.kills = 0
        self.database: Database
        self.service: PushService

    async def open(self) -> None:
        self.database = await Database.open(self.url, require_head=False)
        self.service = PushService(
            database=self.database,
            keyring=self.keyring,
            clock=self.clock,
            reach=FakeReach(self.program),
            planner=self.planner,
            policy=Policy(),
        )

    async def close(self) -> None:
        await self.database.close()

    async def restart(self, down_s: float = 0.0) -> None:
        """The process is gone; `down_s` later another one stands there."""
        self.kills += 1
        await self.close()
        self.clock.leap(down_s)
        await self.open()

    async def furnish(self, working: str = INTENT) -> None:
        await furnish(self.database, self.keyring, working)

    async def plan(self) -> Plan:
        return await self.service.make_plan(ALL, ENTRY_ID, "ann")

    async def start(self) -> int:
        """Plan, approve, start; returns the push id."""
        plan = await self.plan()
        await self.service.approve(ALL, plan.id, "bob")
        return await self.service.start(ALL, plan.id, "ann")

    async def carry_out(self, push_id: int, *, down_s: float = 0.0) -> Push:
        """Advance until finished, with a new daemon after each kill."""
        for _ in range(300):
            try:
                if await self.service.go_on(push_id):
                    return await self.service.status(ALL, push_id)
            except Killed:
                await self.restart(down_s)
        raise AssertionError("the push does not end")

    async def until(self, push_id: int, state: PushState) -> None:
        """Advance until the outcome of `state` is journalled."""
        while (await self.service.status(ALL, push_id)).state is not state:
            assert not await self.service.advance(push_id)

    async def journal(self, push_id: int) -> list[JournalRow]:
        return await self.service.journal(ALL, push_id)

    async def config(self, kind: configs.Kind) -> str | None:
        async with self.database.read() as tx:
            found = await configs.latest_text(tx, ALL, self.keyring, ENTRY_ID, kind)
        return None if found is None else found.text()


@asynccontextmanager
async def furnished(url: str, keyring: Keyring, program: Program) -> AsyncIterator[House]:
    """A house with a plan to make in it, until the story is over."""
    made = House(url, keyring, program)
    await made.open()
    try:
        await made.furnish()
        yield made
    finally:
        await made.close()
