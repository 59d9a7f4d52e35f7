"""A plain asyncssh client for the simulated devices: types, and waits for what a person would wait for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ssh_device import CliDevice
from drivers.simulator.starting import MANAGEMENT, starting_config

USER, PASSWORD = "kaji", "correct horse 7"
IOS_SERIAL, FORTI_SERIAL = "FGL2201A0B1", "FGT60FTK20000007"
DEADLINE_S = 10.0
FAST = 100_000.0
"""A pace at which a revert minute lasts less than a millisecond."""


def ios(**changes: object) -> IosDevice:
    given: dict[str, object] = {
        "hostname": "tokyo-r1",
        "serial": IOS_SERIAL,
        "model": "C1111-8P",
        "config_text": starting_config("ios", 0),
        "username": USER,
        "password": PASSWORD,
        "management": MANAGEMENT["ios"],
        **changes,
    }
    return IosDevice(**given)  # type: ignore[arg-type]  # keyword values of one test, checked by the constructor


def forti(**changes: object) -> FortiDevice:
    given: dict[str, object] = {
        "hostname": "osaka-fw1",
        "serial": FORTI_SERIAL,
        "model": "FortiGate-60F",
        "config_text": starting_config("fortios", 0),
        "username": USER,
        "password": PASSWORD,
        "management": MANAGEMENT["fortios"],
        **changes,
    }
    return FortiDevice(**given)  # type: ignore[arg-type]  # keyword values of one test, checked by the constructor


@asynccontextmanager
async def connected(device: CliDevice, password: str = PASSWORD) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with asyncio.timeout(DEADLINE_S):
        connection = await asyncssh.connect(
            device.host,
            device.port,
            username=USER,
            password=password,
            known_hosts=device.known_hosts(),
            client_keys=None,
            agent_path=None,
            config=None,
            preferred_auth="password",
        )
    try:
        yield connection
    finally:
        connection.abort()
        await connection.wait_closed()


class Shell:
    """One interactive channel."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self._process = process
        self.seen = ""
        """Everything that came, line ends included."""

    async def expect(self, pattern: str) -> str:
        """Read until `pattern` matches what came since the last call; returns that text. TimeoutError, or
        ConnectionError when the device is gone first."""
        text = ""
        async with asyncio.timeout(DEADLINE_S):
            while not re.search(pattern, text):
                try:
                    piece = await self._process.stdout.read(65536)
                except asyncssh.Error as error:
                    raise ConnectionError(text) from error
                if not piece:
                    raise ConnectionError(text)
                text += piece
                self.seen += piece
        return text.replace("\r", "")

    def type(self, text: str) -> None:
        self._process.stdin.write(text)

    async def run(self, line: str, prompt: str = r"[#>$] ?$") -> str:
        """Type a line and read up to the next prompt."""
        self.type(line + "\n")
        return await self.expect(prompt)


@asynccontextmanager
async def shell(device: CliDevice, *, prompt: str = r"[#>] ?$") -> AsyncIterator[Shell]:
    """A terminal with its first prompt read and the pager off where the family has a command for it."""
    async with connected(device) as connection:
        process = await connection.create_process(term_type="vt100", encoding="utf-8", errors="surrogateescape")
        opened = Shell(process)
        await opened.expect(prompt)
        if isinstance(device, IosDevice):
            await opened.run("terminal length 0")
        yield opened


async def once(device: CliDevice, command: str) -> str:
    """One exec request on a connection of its own. ConnectionError when the device is gone before its end."""
    async with connected(device) as connection:
        result = await connection.run(command)
        if result.exit_status is None:
            raise ConnectionError("the connection was lost before the request ended")
        return str(result.stdout)
