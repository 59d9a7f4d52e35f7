"""The lane's own login: what netmiko and Paramiko alone would get wrong."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable

import paramiko
import pytest

from drivers.ios import DRIVER
from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.lane import open_lane
from drivers.simulator.ios_cli import IosDevice
from inventory.errors import AuthenticationFailed
from inventory.secrets import Secret

PASSWORD = "correct horse"
LIMITS = Limits(connect_s=5.0, handshake_s=5.0, authentication_s=3.0, prompt_s=5.0, command_s=5.0)
REQUEST = bytes([50])
"""SSH_MSG_USERAUTH_REQUEST (RFC 4252 §6)."""


@pytest.fixture
def quick_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's answer to a login is dealt with before our own thread goes on from having sent the request."""
    dealt_with = threading.Event()
    handler = paramiko.auth_handler.AuthHandler
    sends = paramiko.Transport._send_message

    def send(transport: paramiko.Transport, message: paramiko.Message) -> None:
        sends(transport, message)
        if message.asbytes()[:1] == REQUEST:
            assert dealt_with.wait(2.0)

    def telling(take: Callable[[object, object], None]) -> Callable[[object, object], None]:
        def taken(self: object, message: object) -> None:
            take(self, message)
            dealt_with.set()

        return taken

    monkeypatch.setattr(paramiko.Transport, "_send_message", send)
    for name in ("_parse_userauth_success", "_parse_userauth_failure"):
        monkeypatch.setattr(handler, name, telling(getattr(handler, name)))


@pytest.fixture
async def device() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="r1",
        serial="FTX1",
        model="ISR4331",
        config_text="hostname r1\nend\n",
        username="op",
        password=PASSWORD,
    ) as running:
        yield running


def to(device: IosDevice, password: str) -> Endpoint:
    return Endpoint("127.0.0.1", device.port, "op", Secret(password))


@pytest.mark.usefixtures("quick_device")
async def test_a_device_that_answers_a_login_at_once_is_heard(device: IosDevice) -> None:
    session = await open_lane(DRIVER, to(device, PASSWORD), LIMITS)
    try:
        assert "hostname r1" in await session.command("show running-config", timeout_s=5.0)
    finally:
        await session.close()
    assert len(device.logins) == 1


@pytest.mark.usefixtures("quick_device")
async def test_a_device_that_refuses_a_login_at_once_is_a_bad_password_and_no_time_out(device: IosDevice) -> None:
    with pytest.raises(AuthenticationFailed):
        await open_lane(DRIVER, to(device, "wrong"), LIMITS)
    assert len(device.logins) == 1
