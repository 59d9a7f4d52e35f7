"""The fleet that the benches of pushes change, in a process of its own: real SSH servers that answer slowly."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import uvloop

from controller.main import settle_heap
from drivers.simulator.faults import Faults
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from tests.bench.load import allow_files
from tests.configs import FORTIOS, IOS

USER, PASSWORD = "op", "correct horse 7"
ANSWER_S: Final = 0.05
"""How long a device thinks before each answer."""

IOS_LINES: Final = (
    "interface GigabitEthernet0/1",
    "description to the warehouse",
    *(f"ntp server 198.51.100.{number}" for number in range(11, 19)),
)
"""The ten lines, as a person types them."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One device as a client knows it. `wanted` is its config with the change in it."""

    family: str
    serial: str
    port: int
    host_key: str
    wanted: str


def _ios(number: int) -> IosDevice:
    name = f"edge-{number:04}"
    return IosDevice(
        hostname=name,
        serial=f"FTX{number:04}ALY0",
        model="ISR4331",
        config_text=IOS.replace("osaka-edge-01", name),
        username=USER,
        password=PASSWORD,
        management="GigabitEthernet0/0",
        faults=Faults(answer_delay_s=ANSWER_S),
    )


def _fortios(number: int) -> FortiDevice:
    name = f"fw-{number:04}"
    return FortiDevice(
        hostname=name,
        serial=f"FGT60F{number:010}",
        model="FortiGate-60F",
        config_text=FORTIOS.replace("kobe-fw-01", name),
        username=USER,
        password=PASSWORD,
        management="mgmt",
        faults=Faults(answer_delay_s=ANSWER_S),
    )


def _ios_wanted(text: str) -> str:
    first, second, *rest = IOS_LINES
    changed = text.replace(f"{first}\n", f"{first}\n {second}\n")
    return changed.replace("line vty", "\n".join([*rest, "line vty"]), 1)


def _fortios_wanted(text: str) -> str:
    places = "".join(
        f'    edit "warehouse {number}"\n        set subnet 203.0.113.{number} 255.255.255.255\n    next\n'
        for number in range(1, 4)
    )
    return text.replace('    edit "office"\n', f'{places}    edit "office"\n')


_MAKERS: Final[dict[str, tuple[Callable[[int], IosDevice | FortiDevice], Callable[[str], str]]]] = {
    "ios": (_ios, _ios_wanted),
    "fortios": (_fortios, _fortios_wanted),
}


def main(pipe: Connection, count: int, families: tuple[str, ...], cpu: int | None) -> None:
    """Entry of the process. To `renew` it answers with a new fleet of `count` units that have never been changed; to
    `changed`, how many hold the change now: running and saved, and running only; to `cpu`, its CPU seconds."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    allow_files()
    uvloop.run(_serve(pipe, count, families))


async def _serve(pipe: Connection, count: int, families: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: said.put_nowait(pipe.recv()[0]))
    os.set_blocking(pipe.fileno(), True)  # the loop has just made it otherwise, and 600 units fill the pipe
    devices: list[IosDevice | FortiDevice] = []
    pipe.send("up")
    while (command := await said.get()) != "stop":
        match command:
            case "renew":
                await asyncio.gather(*(device.aclose() for device in devices))
                devices = [_MAKERS[families[number % len(families)]][0](number) for number in range(count)]
                for device in devices:
                    await device.start()
                settle_heap()  # a collector that looks through the fleet again and again would slow everybody's answers
                pipe.send([_unit(device) for device in devices])
            case "changed":
                pipe.send(
                    (sum(_holds(d.saved_text()) for d in devices), sum(_holds(d.running_text()) for d in devices))
                )
            case "cpu":
                usage = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send(usage.ru_utime + usage.ru_stime)
    os._exit(0)


def _unit(device: IosDevice | FortiDevice) -> Unit:
    return Unit(
        device.family,
        device.own_serial,
        device.port,
        device.host_key.export_public_key().decode().strip(),
        _MAKERS[device.family][1](device.running_text()),
    )


def _holds(text: str) -> bool:
    ios = all(line in text for line in IOS_LINES)
    return ios or all(f'edit "warehouse {number}"' in text for number in range(1, 4))
