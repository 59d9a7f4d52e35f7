"""A simulated device with a fault on, and the real session, driver and push engine against it.

The clock leaps, for the controller and for the device's guard, so that no story waits for minutes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.keyring import KEY_BYTES, Keyring
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store import configs, plans
from controller.store.database import Database, Tx
from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.push import Device, PushJob, Step
from drivers.sessions.contract import Endpoint, Limits
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from inventory.plans import ConfigText, JournalRow, Plan, Push, PushState
from inventory.secrets import Secret
from tests.configs import FORTIOS
from tests.controller.push.cutting import IOS_CONFIG, DeviceClock
from tests.controller.push.place import SERIAL, furnish
from tests.controller.store.fleet import ALL

USER, PASSWORD = "op", "correct horse 7"
KEYRING = Keyring(bytes(range(KEY_BYTES)))
LIMITS = Limits(connect_s=10.0, handshake_s=10.0, authentication_s=10.0, prompt_s=10.0, command_s=10.0, line_s=10.0)
SHORT = Limits(handshake_s=1.0, authentication_s=1.0, prompt_s=1.0, command_s=2.0, line_s=1.0)

LOCATION = "interface GigabitEthernet0/1\n"
DESCRIBED = f"{LOCATION} description to the warehouse\n"
ROUTE = "ip route 203.0.113.0 255.255.255.0 198.51.100.2"
LINES = "line vty 0 4\n"
ROUTED = f"{ROUTE}\n!\n{LINES}"
OFFICE = "        set subnet 198.51.100.0 255.255.255.0\n    next\n"
WAREHOUSE = f'{OFFICE}    edit "warehouse"\n        set subnet 203.0.113.0 255.255.255.0\n    next\n'
ORDINARY = {"ios": ((LOCATION, DESCRIBED), (LINES, ROUTED)), "fortios": ((OFFICE, WAREHOUSE),)}
"""A change that nothing speaks against, per family."""


def router(clock: DeviceClock, config: str = IOS_CONFIG, *, enable: str | None = None, pace: float = 1.0) -> IosDevice:
    """An IOS device that is not started yet."""
    device = IosDevice(
        hostname=config.partition("hostname ")[2].split()[0],
        serial=SERIAL,
        model="ISR4331",
        config_text=config,
        username=USER,
        password=PASSWORD,
        enable_password=enable,
        management="GigabitEthernet0/0",
        clock_ms=clock.now_ms,
        pace=pace,
    )
    clock.device = device
    return device


def firewall(clock: DeviceClock, config: str = FORTIOS) -> FortiDevice:
    """A FortiGate that is not started yet."""
    device = FortiDevice(
        hostname=config.partition('set hostname "')[2].partition('"')[0],
        serial=SERIAL,
        model="FortiGate-60F",
        config_text=config,
        username=USER,
        password=PASSWORD,
        management="mgmt",
        clock_ms=clock.now_ms,
    )
    clock.device = device
    return device


class Bench:
    """One device, and a push part of a daemon on a database of its own."""

    def __init__(self, device: IosDevice | FortiDevice, clock: DeviceClock, template: Path, folder: Path) -> None:
        self.device = device
        self.clock = clock
        self.limits = LIMITS
        self.enable: str | None = None
        self.said: list[str] = []
        """The transcript of every session of the pushes."""
        self.before = device.running_text()
        self._template = template
        self._path = folder / f"bench-{device.port}.db"
        self.made: list[CommandLineDevice] = []
        """Every device that was handed out."""
        self._database: Database | None = None
        self._halt_at: PushState | None = None
        self._halted = asyncio.Event()
        self.service: PushService

    def reach(self, limits: Limits | None = None) -> CommandLineDevice:
        """The device as the controller holds it, without contact yet."""
        endpoint = Endpoint(
            "127.0.0.1",
            self.device.port,
            USER,
            Secret(PASSWORD),
            enable_password=None if self.enable is None else Secret(self.enable),
            host_key=self.device.host_key.export_public_key().decode("ascii").strip(),
        )
        made = over_ssh(
            self.device.family,
            endpoint,
            SERIAL,
            wait=self.clock.wait,
            limits=limits or self.limits,
            transcript=lambda way, text: self.said.append(f"{way} {text}"),
        )
        self.made.append(made)
        return made

    async def device_for(self, _adapter_id: int, *_told: object) -> Device:
        """See `controller.push.reach.Reach`."""
        device: Any = self.reach()
        enter, read = device.enter, device.read

        async def entering(state: PushState, job: PushJob) -> Step:
            step: Step = await enter(state, job)
            await self._stand_still_at(state)
            return step

        async def reading() -> ConfigText:
            text: ConfigText = await read()
            if self._halt_at is PushState.DONE and (await self.journal())[-1].state is PushState.DONE:
                await self._stand_still_at(PushState.DONE)
            return text

        device.enter, device.read = entering, reading
        found: Device = device
        return found

    async def planned(self, *changes: tuple[str, str]) -> Plan:
        """A plan of replacements in the running text; an ordinary change if none is named."""
        wanted = self.before
        for old, new in changes or ORDINARY[self.device.family]:
            assert old in wanted, old
            wanted = wanted.replace(old, new, 1)
        shutil.copyfile(self._template, self._path)
        database = await Database.open(f"sqlite:///{self._path}", require_head=False)
        await furnish(database, KEYRING, wanted)
        self._database = database
        self.restart()
        return await self.service.make_plan(ALL, 1, "ann")

    def restart(self) -> None:
        """A daemon begins on the database, knowing nothing but what stands there."""
        self.service = PushService(
            database=self.database(), keyring=KEYRING, clock=self.clock, reach=self, planner=TextPlanner()
        )

    async def started(self, *changes: tuple[str, str]) -> None:
        """Push 1 is due."""
        plan = await self.planned(*changes)
        for person in ("bob", "carol")[: plan.approvals_needed]:
            await self.service.approve(ALL, plan.id, person)
        assert await self.service.start(ALL, plan.id, "ann") == 1

    async def plan(self) -> Plan:
        """Plan 1."""
        async with self.database().read() as tx:
            return await plans.get(tx, ALL, 1)

    async def advance_while(self, wanted: Callable[[JournalRow], bool]) -> None:
        """Go on as long as the last journal row is as wanted."""
        while wanted((await self.journal())[-1]):
            assert not await self.service.advance(1)

    async def cancelled_in(self, state: PushState) -> None:
        """Go on until the device has done what `state` asks of it, and cancel the task before that is journalled."""
        self._halt_at = state

        async def go_on() -> None:
            while not await self.service.advance(1):
                pass

        task = asyncio.create_task(go_on())
        halted = asyncio.create_task(self._halted.wait())
        await asyncio.wait((task, halted), return_when=asyncio.FIRST_COMPLETED)
        assert halted.done(), "it never came to that state"
        self._halt_at = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _stand_still_at(self, state: PushState) -> None:
        if state is self._halt_at:
            self._halted.set()
            await asyncio.Event().wait()

    async def ended(self) -> Push:
        """Carry push 1 out to its end."""
        for _ in range(300):
            if await self.service.advance(1):
                return await self.service.status(ALL, 1)
        raise AssertionError("the push does not end")

    async def pushed(self, *changes: tuple[str, str]) -> Push:
        """Plan, approve, start, carry out."""
        await self.started(*changes)
        return await self.ended()

    async def journal(self) -> list[JournalRow]:
        """The journal of push 1."""
        return await self.service.journal(ALL, 1)

    def database(self) -> Database:
        """The daemon's database."""
        assert self._database is not None
        return self._database

    async def truth(self, tx: Tx) -> str | None:
        """The last reading that was stored."""
        found = await configs.latest_text(tx, ALL, KEYRING, 1, "truth")
        return None if found is None else found.text()

    def untouched(self) -> bool:
        """Whether the device holds what it held before, running and saved, with nothing pending."""
        holds = self.device.running_text() == self.device.saved_text() == self.before
        return holds and self.device.pending_undo() is None

    def sent(self) -> list[str]:
        """Configuration lines that the device carried out."""
        return [record.detail["line"] for record in self.device.log.records if record.what == "line"]

    async def close(self) -> None:
        """Leave the device alone."""
        for one in self.made:
            await one.close()
        if self._database is not None:
            await self._database.close()
