"""A push over SSH whose connection is cut after the n-th byte, told from what the simulated device itself holds.

The clock leaps, for the device as for the controller, so no case waits; everything else is real: SSH, the family's
session and driver, the push engine and its journal on SQLite. Bytes are those of the dialogue, counted by the device
from the moment at which the guard is about to be armed until the change is saved.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from controller.keyring import KEY_BYTES, Keyring
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store.database import Database
from drivers.devices import over_ssh
from drivers.push import Device
from drivers.sessions.contract import Endpoint, Limits
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ssh_device import digest
from inventory.plans import Outcome, Phase, PushState
from inventory.secrets import Secret
from tests.configs import FORTIOS, divided
from tests.controller.push.leap import LeapClock
from tests.controller.push.place import SERIAL, furnish
from tests.controller.store.fleet import ALL

Family = Literal["ios", "fortios", "fortios-vdom"]
"""What a push goes to; `fortios-vdom` is a FortiGate with virtual domains."""
Direction = Literal["output", "input"]
FAMILIES: tuple[Family, ...] = ("ios", "fortios", "fortios-vdom")
DIRECTIONS: tuple[Direction, ...] = ("output", "input")

PASSWORD = "correct horse 7"
KEYRING = Keyring(bytes(range(KEY_BYTES)))
LIMITS = Limits(connect_s=20.0, handshake_s=20.0, authentication_s=20.0, prompt_s=20.0, command_s=20.0, line_s=20.0)
FAR = 10**9
"""A cut that never comes, to count by."""

IOS_CONFIG = """version 15.2
hostname osaka-edge-01
archive
 path flash:before
interface GigabitEthernet0/0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 198.51.100.1 255.255.255.0
line vty 0 4
 login local
end
"""
UNIT, _, REST = FORTIOS.partition("config firewall")
DIVIDED = divided(UNIT, root="", kobe=f"config firewall{REST}")
"""The same FortiGate with virtual domains."""
CONFIGS: dict[Family, str] = {"ios": IOS_CONFIG, "fortios": FORTIOS, "fortios-vdom": DIVIDED}
CHANGES: dict[Family, tuple[tuple[str, str], ...]] = {
    "ios": (
        ("interface GigabitEthernet0/1\n", "interface GigabitEthernet0/1\n description to the warehouse\n"),
        ("line vty 0 4\n", "ip route 203.0.113.0 255.255.255.0 198.51.100.2\n!\nline vty 0 4\n"),
    ),
    "fortios": (
        (
            "        set subnet 198.51.100.0 255.255.255.0\n    next\n",
            "        set subnet 198.51.100.0 255.255.255.0\n    next\n"
            '    edit "warehouse"\n        set subnet 203.0.113.0 255.255.255.0\n    next\n'
            '    edit "yard"\n        set subnet 203.0.114.0 255.255.255.0\n    next\n',
        ),
    ),
    "fortios-vdom": (
        (
            '    set hostname "kobe-fw-01"\n',
            '    set hostname "kobe-fw-01"\n    set alias "of the warehouse"\n',
        ),
        (
            "edit root\nend\n",
            'edit root\nconfig firewall address\n    edit "yard"\n'
            "        set subnet 203.0.114.0 255.255.255.0\n    next\nend\nend\n",
        ),
        (
            "        set subnet 198.51.100.0 255.255.255.0\n    next\n",
            "        set subnet 198.51.100.0 255.255.255.0\n    next\n"
            '    edit "warehouse"\n        set subnet 203.0.113.0 255.255.255.0\n    next\n',
        ),
    ),
}
"""What the wanted config has instead of what: several statements, so that a cut may leave a part of them; of a unit
with virtual domains in `config global` and in two domains."""


class DeviceClock(LeapClock):
    """One time for the controller and its device: a guard fires, and a boot is over, when the waits have passed it."""

    def __init__(self) -> None:
        super().__init__()
        self.device: IosDevice | FortiDevice | None = None

    def leap(self, seconds: float) -> None:
        super().leap(seconds)
        device = self.device
        if device is None:
            return
        pending = device.pending_undo()
        if pending is not None and self.now_ms() >= pending.armed_ms + pending.timeout_s * 1000:
            device.revert("the guard's time is over")
        went_down = [record.at_ms for record in device.log.records if record.what == "reload"]
        if went_down and self.now_ms() >= went_down[-1] + device.boot_s * 1000:
            device.power_on()


@dataclass(frozen=True)
class Started:
    """A database in which push 1 is due, and the texts that the device may end on."""

    family: Family
    database: Path
    before: str
    wanted: str

    async def cut_at(self, folder: Path, direction: Direction, byte: int) -> Ended:
        """See `cut_at`."""
        return await cut_at(self, folder, direction, byte)


@dataclass(frozen=True)
class Ended:
    """How a case ended: by the controller's word, and how many bytes were left before the cut."""

    outcome: Outcome | None
    left: int | None


class _Reach:
    """Leads to one device."""

    def __init__(self, device: IosDevice | FortiDevice, clock: DeviceClock) -> None:
        self._device = device
        self._clock = clock

    async def device_for(self, _adapter_id: int, *_told: object) -> Device:
        host_key = self._device.host_key.export_public_key().decode("ascii").strip()
        endpoint = Endpoint("127.0.0.1", self._device.port, "op", Secret(PASSWORD), host_key=host_key)
        return over_ssh(self._device.family, endpoint, SERIAL, wait=self._clock.wait, limits=LIMITS)


@asynccontextmanager
async def device_of(family: Family, clock: DeviceClock) -> AsyncIterator[IosDevice | FortiDevice]:
    """A fresh device on the clock of the controller."""
    device: IosDevice | FortiDevice
    if family == "ios":
        device = IosDevice(
            hostname="osaka-edge-01",
            serial=SERIAL,
            model="ISR4331",
            config_text=CONFIGS[family],
            username="op",
            password=PASSWORD,
            management="GigabitEthernet0/0",
            clock_ms=clock.now_ms,
        )
    else:
        device = FortiDevice(
            hostname="kobe-fw-01",
            serial=SERIAL,
            model="FortiGate-60F",
            config_text=CONFIGS[family],
            username="op",
            password=PASSWORD,
            management="mgmt",
            clock_ms=clock.now_ms,
        )
    async with device:
        clock.device = device
        yield device


@asynccontextmanager
async def service_of(database: Path, device: IosDevice | FortiDevice, clock: DeviceClock) -> AsyncIterator[PushService]:
    """The push part of a daemon."""
    opened = await Database.open(f"sqlite:///{database}", require_head=False)
    try:
        yield PushService(
            database=opened, keyring=KEYRING, clock=clock, reach=_Reach(device, clock), planner=TextPlanner()
        )
    finally:
        await opened.close()


async def prepare(family: Family, template: Path, folder: Path) -> Started:
    """Plan, approve and start the change; the device it was planned on is gone afterwards, its like will come."""
    path = folder / f"{family}.db"
    shutil.copyfile(template, path)
    clock = DeviceClock()
    async with device_of(family, clock) as device:
        before = device.running_text()
        wanted = before
        for old, new in CHANGES[family]:
            assert old in wanted
            wanted = wanted.replace(old, new)
        database = await Database.open(f"sqlite:///{path}", require_head=False)
        await furnish(database, KEYRING, wanted)
        await database.close()
        async with service_of(path, device, clock) as service:
            plan = await service.make_plan(ALL, 1, "ann")
            for person in ("bob", "carol")[: plan.approvals_needed]:
                await service.approve(ALL, plan.id, person)
            assert await service.start(ALL, plan.id, "ann") == 1
    return Started(family, path, before, wanted)


async def cut_at(started: Started, folder: Path, direction: Direction, byte: int) -> Ended:
    """Carry the push out with the connection cut after that many bytes of the commit dialogue, and compare.

    Raises AssertionError when the controller's word is not what the device holds, when the device is ever in a state
    that its guard would not lead out of, or when a line was sent twice.
    """
    path = folder / f"{started.family}-{direction}-{byte}.db"
    shutil.copyfile(started.database, path)
    clock = DeviceClock()
    try:
        async with device_of(started.family, clock) as device, service_of(path, device, clock) as service:
            _give_the_same_account(device, started)
            ended = await _carry_out(service, device, started, direction, byte)
            for _ in range(2):
                _must_be_true(device, started, ended.outcome)
                clock.leap(7200)
            return ended
    finally:
        _tidy(path)


def _tidy(database: Path) -> None:
    for left in database.parent.glob(f"{database.name}*"):
        left.unlink()


class Case(Protocol):
    """A push that is due, over whatever it goes."""

    @property
    def family(self) -> str: ...

    async def cut_at(self, folder: Path, direction: Direction, byte: int) -> Ended:
        """Carry it out with a cut after that many bytes; raises AssertionError unless the truth is told."""


async def length(started: Case, folder: Path, direction: Direction) -> int:
    """Bytes of the commit dialogue in one direction."""
    ended = await started.cut_at(folder, direction, FAR)
    assert ended.outcome is Outcome.DONE
    assert ended.left is not None
    return FAR - ended.left


def _give_the_same_account(device: IosDevice | FortiDevice, started: Started) -> None:
    """A device salts the hash of its account's password anew; this one is the device of the plan."""
    account = next((line for line in started.before.splitlines() if line.startswith("username op ")), None)
    if isinstance(device, IosDevice) and account is not None:
        for tree in (device.running, device.startup):
            for node in tree.children:
                if node.text.startswith("username op "):
                    node.text = account
    assert device.running_text() == device.saved_text() == started.before


async def _carry_out(
    service: PushService, device: IosDevice | FortiDevice, started: Started, direction: Direction, byte: int
) -> Ended:
    name = f"cut_{direction}_after"
    left: int | None = None
    async with asyncio.timeout(300):
        while not await service.advance(1):
            rows = await service.journal(ALL, 1)
            if rows[-1].state is PushState.BASELINED and rows[-1].phase is Phase.OUTCOME:
                device.throw(**{name: byte})
            if rows[-1].state is PushState.SAVED and rows[-1].phase is Phase.OUTCOME:
                left = getattr(device.faults, name)
                device.throw(**{name: None})
            _must_have_a_way_out(device, started)
    return Ended((await service.status(ALL, 1)).outcome, left)


def _must_have_a_way_out(device: IosDevice | FortiDevice, started: Started) -> None:
    """At every moment the device runs the old or the new config, or its own guard leads it back to the old one."""
    pending = device.pending_undo()
    running = _without_guard(device.running_text())
    if running in (started.before, started.wanted):
        return
    assert pending is not None, f"no guard over a part of the change:\n{running}"
    way_back = device.saved_text() if isinstance(device, FortiDevice) else started.before
    assert pending.before_digest == digest(way_back), "the guard leads elsewhere"
    assert _without_guard(way_back) == started.before


def _must_be_true(device: IosDevice | FortiDevice, started: Started, outcome: Outcome | None) -> None:
    """The controller's word is what runs and what is saved, nothing is pending, and no line came twice."""
    wanted = {Outcome.DONE: started.wanted, Outcome.NOT_DONE: started.before}
    assert outcome in wanted, f"the push ended {outcome}"
    assert device.pending_undo() is None
    assert device.running_text() == wanted[outcome]
    assert device.saved_text() == wanted[outcome]
    sent = [
        record.detail["line"]
        for record in device.log.records
        if record.what == "line" and any(mark in record.detail["line"] for mark in ("warehouse", "203.0.11", "yard"))
    ]
    added = [line for line in sent if not line.startswith(("no ", "delete "))]
    assert len(added) == len(set(added)), added


def _without_guard(text: str) -> str:
    """Without the two lines of our own guard on a FortiGate."""
    return "".join(line for line in text.splitlines(keepends=True) if "set cfg-" not in line)
