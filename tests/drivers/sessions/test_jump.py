"""Jump hosts: every carrier passes them, whoever is at fault is named, and a device behind them pays for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import asyncssh
import pytest

from drivers.errors import JumpHostRefused
from drivers.ios import DRIVER
from drivers.sessions.contract import Endpoint, Hop, Limits
from drivers.simulator.ios_cli import IosDevice
from inventory.errors import AuthenticationFailed, Unreachable
from inventory.secrets import Secret
from tests.drivers.sessions.carriers import Opener

PASSWORD = "correct horse"
HOP_PASSWORD = "hop hop"
LIMITS = Limits(connect_s=10.0)
LOOPBACKS = "".join(f"interface Loopback{number}\n description {'x' * 200}\n" for number in range(400))
LONG = f"version 15.2\nhostname r1\n{LOOPBACKS}end\n"


@dataclass
class JumpHost(asyncssh.SSHServer):
    """An SSH server that carries channels onward and keeps what it was shown."""

    passwords: list[str] = field(default_factory=list)
    onward: list[tuple[str, int]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    key: str = ""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self.passwords.append(password)
        return password == HOP_PASSWORD

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self.onward.append((dest_host, dest_port))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def hop(self) -> Hop:
        return Hop("127.0.0.1", self.port, "jumper", Secret(HOP_PASSWORD), host_key=self.key)


@asynccontextmanager
async def jump_host() -> AsyncIterator[JumpHost]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    host = JumpHost(key=key.export_public_key().decode().strip())
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=lambda: host, server_host_keys=[key])
    host.port = server.get_port()
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()
        if host.passwords:
            async with asyncio.timeout(10):
                await host.gone.wait()


@pytest.fixture
async def device() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="r1",
        serial="FTX1",
        model="ISR4331",
        config_text=LONG,
        username="op",
        password=PASSWORD,
    ) as device:
        yield device


def behind(device: IosDevice, *hops: Hop) -> Endpoint:
    key = device.host_key.export_public_key().decode()
    return Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD), host_key=key, jump=hops)


async def test_a_device_behind_two_jump_hosts_is_reached(opener: Opener, device: IosDevice) -> None:
    async with jump_host() as first, jump_host() as second:
        session = await opener(DRIVER, behind(device, first.hop(), second.hop()), LIMITS)
        said = await session.command("show inventory", timeout_s=10)
        await session.close()

        assert "SN: FTX1" in said
        assert first.onward == [("127.0.0.1", second.port)]
        assert second.onward == [("127.0.0.1", device.port)]


async def test_a_long_reading_comes_through_whole(opener: Opener, device: IosDevice) -> None:
    direct = await opener(DRIVER, replace(behind(device), jump=()), LIMITS)
    whole = await direct.command("show running-config", timeout_s=10)
    await direct.close()
    assert len(whole) > 80_000
    async with jump_host() as host:
        session = await opener(DRIVER, behind(device, host.hop()), LIMITS)
        assert await session.command("show running-config", timeout_s=10) == whole
        await session.close()


async def test_a_device_that_is_down_behind_a_jump_host_that_is_up(opener: Opener, device: IosDevice) -> None:
    async with jump_host() as host:
        down = replace(behind(device, host.hop()), port=1)

        with pytest.raises(Unreachable, match=r"Jump host 127\.0\.0\.1 is up and did not reach 127\.0\.0\.1 port 1"):
            await opener(DRIVER, down, LIMITS)


async def test_a_jump_host_that_is_down_is_named(opener: Opener, device: IosDevice) -> None:
    async with jump_host() as host:
        missing = replace(host.hop(), port=1)

        with pytest.raises(Unreachable, match=r"jump host 127\.0\.0\.1 port 1 \(hop 2 of 2\) is at fault") as failed:
            await opener(DRIVER, behind(device, host.hop(), missing), LIMITS)

    assert failed.value.step == "jump host"
    assert not isinstance(failed.value, AuthenticationFailed)


async def test_a_jump_host_with_another_key_gets_no_password(opener: Opener, device: IosDevice) -> None:
    async with jump_host() as host, jump_host() as other:
        with pytest.raises(JumpHostRefused, match=r"hop 1 of 1.*no credential was sent"):
            await opener(DRIVER, behind(device, replace(host.hop(), host_key=other.key)), LIMITS)

        assert host.passwords == []


async def test_a_jump_host_without_a_pinned_key_is_not_even_called(opener: Opener, device: IosDevice) -> None:
    async with jump_host() as host:
        with pytest.raises(JumpHostRefused, match="has no pinned host key"):
            await opener(DRIVER, behind(device, replace(host.hop(), host_key=None)), LIMITS)

        assert host.passwords == []


async def test_a_wrong_password_for_a_jump_host_is_shown_once_and_not_held_against_the_device(
    opener: Opener, device: IosDevice
) -> None:
    async with jump_host() as host:
        with pytest.raises(JumpHostRefused, match="hop 1 of 1"):
            await opener(DRIVER, behind(device, replace(host.hop(), password=Secret("wrong"))), LIMITS)

        assert host.passwords == ["wrong"]
    assert device.logins == ()


async def test_devices_behind_a_jump_host_share_its_connection_and_the_last_one_closes_it(
    opener: Opener, device: IosDevice
) -> None:
    async with jump_host() as host:
        endpoint = behind(device, host.hop())
        sessions = await asyncio.gather(*(opener(DRIVER, endpoint, LIMITS) for _ in range(3)))
        assert host.passwords == [HOP_PASSWORD]
        assert len(host.onward) == 3
        for session in sessions[:2]:
            await session.close()
        assert "SN: FTX1" in await sessions[2].command("show inventory", timeout_s=10)
        await sessions[2].close()

        async with asyncio.timeout(10):
            await host.gone.wait()
