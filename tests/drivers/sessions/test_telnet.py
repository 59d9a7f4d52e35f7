"""Telnet goes over the lane: an old device without SSH is managed the same way, its password given once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from drivers.ios import DRIVER
from drivers.sessions.carriers import connector
from drivers.sessions.contract import CliSession, Endpoint, Limits
from inventory.errors import AuthenticationFailed, DeviceError, Truncated, Unreachable
from inventory.secrets import Secret

WILL_ECHO = bytes((255, 251, 1))
SHORT = Limits(connect_s=5.0, handshake_s=5.0, prompt_s=5.0, command_s=5.0)


@dataclass
class OldRouter:
    """A telnet server with a login and one command, that keeps what it was told."""

    port: int = 0
    told: list[str] = field(default_factory=list)
    silent: bool = False
    hang_up_at: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def ask(text: str) -> str:
            writer.write(text.encode())
            octets = await reader.readuntil(b"\n")
            plain = bytearray()
            while octets:
                if octets[0] == 255:
                    octets = octets[3:]
                else:
                    plain.append(octets[0])
                    octets = octets[1:]
            self.told.append(plain.decode().strip())
            return self.told[-1]

        try:
            if self.silent:
                await reader.read()
                return
            writer.write(WILL_ECHO)
            while (await ask("\r\nUsername: "), await ask("Password: "))[1] != "pw":
                writer.write(b"\r\n% Login invalid\r\n")
            while (line := await ask("old-r1#")) != "exit":
                if line == self.hang_up_at:
                    return
                if line == "show version":
                    writer.write(b"Cisco IOS Software, Version 12.2(55)SE\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def old_router(**switches: object) -> AsyncIterator[OldRouter]:
    router = OldRouter(**switches)  # type: ignore[arg-type]  # test data
    server = await asyncio.start_server(router.serve, "127.0.0.1", 0)
    router.port = server.sockets[0].getsockname()[1]
    try:
        yield router
    finally:
        server.close()


async def login(router: OldRouter, password: str = "pw", limits: Limits = SHORT) -> CliSession:
    endpoint = Endpoint("127.0.0.1", router.port, "op", Secret(password), transport="telnet")
    return await connector(limits)(DRIVER, endpoint)


async def test_an_old_router_answers_over_telnet() -> None:
    async with old_router() as router:
        session = await login(router)

        assert await session.command("show version", timeout_s=5) == "Cisco IOS Software, Version 12.2(55)SE"
        assert session.privileged
        assert session.host_key == ""
        await session.close()

    assert router.told[:2] == ["op", "pw"]


async def test_a_wrong_password_is_given_once() -> None:
    async with old_router() as router:
        with pytest.raises(AuthenticationFailed):
            await login(router, "wrong")

    assert router.told.count("wrong") == 1


async def test_a_port_without_a_word_is_unreachable() -> None:
    async with old_router(silent=True) as router:
        with pytest.raises(Unreachable) as failed:
            await login(router, limits=Limits(prompt_s=0.3))

    assert failed.value.step == "first prompt"


async def test_a_reading_that_is_cut_is_truncated() -> None:
    async with old_router(hang_up_at="show version") as router:
        session = await login(router)

        with pytest.raises(DeviceError) as failed:
            await session.command("show version", timeout_s=5)

    assert isinstance(failed.value, Truncated)
