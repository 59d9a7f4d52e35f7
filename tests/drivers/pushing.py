"""What stories of pushes over SSH share: a box that is on, the contacts with it, and the states in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.push import PushJob
from drivers.sessions.contract import Endpoint, Limits
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ssh_device import CliDevice
from inventory.plans import SSH_ORDER, PushState
from inventory.secrets import Secret

PASSWORD = "correct horse"
FORTI_SERIAL = "FGT60FTK20000001"
PACE = 600.0
"""A minute of a guard takes a tenth of a second."""
LIMITS = Limits(connect_s=5.0, handshake_s=5.0, authentication_s=5.0, prompt_s=5.0, command_s=10.0, line_s=5.0)
SENDING = SSH_ORDER[1:-1]


class Reach(Protocol):
    """Makes a device as the controller holds it, which has no contact yet."""

    def __call__(self, limits: Limits = LIMITS) -> CommandLineDevice: ...


async def wait(seconds: float) -> None:
    """The controller's waiting, at the pace of the box."""
    await asyncio.sleep(seconds / PACE)


def firewall(hostname: str, config_text: str) -> FortiDevice:
    """A FortiGate that is on within its block."""
    return FortiDevice(
        hostname=hostname,
        serial=FORTI_SERIAL,
        model="FortiGate-60F",
        config_text=config_text,
        username="op",
        password=PASSWORD,
        pace=PACE,
        management="mgmt",
    )


@asynccontextmanager
async def reaching(box: CliDevice) -> AsyncIterator[Reach]:
    """Leads to a box; contacts that were made are closed at the end of the block."""
    made: list[CommandLineDevice] = []

    def device(limits: Limits = LIMITS) -> CommandLineDevice:
        endpoint = Endpoint("127.0.0.1", box.port, box.username, Secret(PASSWORD))
        made.append(over_ssh(box.family, endpoint, box.own_serial, wait=wait, limits=limits))
        return made[-1]

    yield device
    for one in made:
        await one.close()


async def enter(device: CommandLineDevice, job: PushJob, *states: PushState) -> None:
    """Enter these states, one after the other."""
    for state in states:
        await device.enter(state, job)


def up_to(state: PushState) -> tuple[PushState, ...]:
    """The states of a push from its first to this one."""
    return SENDING[: SENDING.index(state) + 1]
