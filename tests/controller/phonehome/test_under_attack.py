"""A whole daemon in a process of its own, attacked from several sources at once, while an honest adapter boots."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest

from controller.demo.contacting import PROVEN
from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.arms_client import ArmsSettings as DeviceSettings
from drivers.simulator.identity import SA_W2, ArmsIdentity, fleet_member
from inventory import onboarding
from inventory.secrets import Secret
from tests.controller.house import Fleet, House, ok, serving

GROWTH_AT_MOST_MB = 128
"""What 1,300 connections and 100,000 datagrams may cost the daemon at their peak."""
BOOT_AT_MOST_S = 25.0
pytestmark = pytest.mark.slow


def peak_mb(house: House) -> int:
    """The most that the daemon has had in memory so far."""
    status = Path(f"/proc/{house.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def seated(fleet: Fleet, number: int) -> ArmsIdentity:
    """A device of which the daemon knows, in an entry with a startup config; not started."""
    who = fleet_member(SA_W2, number)
    management = fleet.management(entries=1)
    made = fleet.register(
        fleet.arms(
            serial_number=who.serial_number,
            distribution_id=who.distribution_id,
            model="SA-W2",
            place={"management": management},
        )
    )
    for item in onboarding.required("I"):
        ok(fleet.api.put(f"/adapters/{who.serial_number}/checklist/{item}", json={"note": "there"}))
    (entry,) = fleet.slots("entries", management)
    text = {"modules": [{"id": 0, "text": "hostname: honest\n"}], "reason": "first"}
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json=text))
    ok(fleet.api.post(f"/entries/{entry}/configs/startup"))
    return replace(who, ls_key=Secret(made["ls_key"]))


def until_ready(fleet: Fleet, serial_number: str, began: float) -> float:
    """Seconds until the daemon has proven its serial number by a command over its tunnel."""
    while time.monotonic() - began < BOOT_AT_MOST_S:
        told = ok(fleet.api.get(f"/adapters/{serial_number}/explain"))
        if any(fact["text"] == PROVEN for fact in told["facts"]):
            break
        time.sleep(0.2)  # the daemon is another process: there is no event to wait for
    return time.monotonic() - began


class Attack:
    """Connections of an attacker; `stop` drops them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def half_open(self, source: str, count: int) -> None:
        """Handshakes that begin and do not go on."""
        for number in range(count):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", self._house.ports["rs" if number % 2 else "ls"], local_addr=(source, 0)
            )
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00"[: number % 8])
            self._writers.append(writer)

    async def dribble(self, source: str, count: int) -> None:
        """Heads that never end, an octet at a time, on finished handshakes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for _ in range(count):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", self._house.ports["rs"], ssl=context, local_addr=(source, 0)
            )
            self._writers.append(writer)
            self._tasks.append(asyncio.create_task(self._drip(writer)))

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            writer.write(b"POST /rs/arms HTTP/1.0\r\nX: ")
            while True:
                writer.write(b"y")
                await writer.drain()
                await asyncio.sleep(0.5)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def flood(house: House, count: int) -> None:
    """Junk datagrams as fast as they go out."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", house.ports["heartbeat"])
    )
    form = b"\x00\x01\x00\x14" + bytes(20) + b"\x00\x11\x00\x10"
    for number in range(count):
        transport.sendto(form + os.urandom(16) if number % 2 else os.urandom(number % 1200))
        if number % 200 == 0:
            await asyncio.sleep(0)
    transport.close()
    await asyncio.sleep(0)  # it closes in the next turn of the loop


def test_an_honest_adapter_boots_and_answers_a_command_while_the_daemon_is_attacked(tmp_path: Path) -> None:
    with serving(tmp_path / "data", PACE="3") as house:
        fleet = Fleet(house.client())
        who = seated(fleet, 71)

        async def story() -> float:
            attack = Attack(house)
            device = ArmsDevice(
                who,
                DeviceSettings(
                    ls_urls=(f"https://127.0.0.1:{house.ports['ls']}/ls/arms",),
                    root_ca_pem=next(house.directory.rglob("arms-root-ca.crt")).read_text(),
                    pace=20.0,
                    shortest_timeout_s=10.0,
                    boot_s=1.0,
                ),
            )
            try:
                await attack.half_open("127.0.0.2", 700)
                await attack.half_open("127.0.0.3", 400)
                await attack.dribble("127.0.0.4", 200)
                began = time.monotonic()
                device.start()
                _, took = await asyncio.gather(
                    flood(house, 100_000), asyncio.to_thread(until_ready, fleet, who.serial_number, began)
                )
                return took
            finally:
                await device.stop()
                await attack.stop()

        before = peak_mb(house)
        took = asyncio.run(story())
        assert took < BOOT_AT_MOST_S
        assert peak_mb(house) - before < GROWTH_AT_MOST_MB
        assert house.log.stat().st_size < 200_000
