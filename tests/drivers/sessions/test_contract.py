"""One contract, three carriers: whatever carries a session, it promises the same (devices-ios-fortios §C, D)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncssh
import pytest

from drivers.errors import DeviceBusy
from drivers.ios import DRIVER
from drivers.sessions.contract import CliSession, Endpoint, Limits
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ssh_device import AUTH_METHODS
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, OutcomeUnknown, Truncated, Unreachable
from inventory.secrets import Secret
from tests.drivers.sessions.carriers import Opener

PASSWORD = "correct horse"
ENABLE = "battery staple"
CONFIG = """version 15.2
hostname osaka-edge-01
archive
 path flash:before
interface GigabitEthernet0/0
 description to osaka-edge-01#
 ip address 192.0.2.1 255.255.255.0
line vty 0 4
 login local
end
"""
SHORT = Limits(
    connect_s=5.0, handshake_s=5.0, authentication_s=20.0, prompt_s=5.0, command_s=5.0, read_config_s=5.0, line_s=5.0
)
Login = Callable[..., Awaitable[CliSession]]


@pytest.fixture
async def device() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="osaka-edge-01",
        serial="FTX1840ALY0",
        model="ISR4331",
        config_text=CONFIG,
        username="op",
        password=PASSWORD,
    ) as device:
        yield device


@pytest.fixture
async def login(device: IosDevice, opener: Opener) -> AsyncIterator[Login]:
    """Opens sessions on the device; all are dropped at the end."""
    opened: list[CliSession] = []

    async def open_one(limits: Limits = SHORT, **changes: object) -> CliSession:
        endpoint = Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD))
        session = await opener(DRIVER, replace(endpoint, **changes), limits)  # type: ignore[arg-type]  # test data
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        await session.abort()


def shown_credentials(device: IosDevice) -> list[str]:
    return [login.method for login in device.logins]


def r1(
    *, auth_methods: tuple[str, ...] = AUTH_METHODS, enable_password: str | None = None, session_limit: int = 5
) -> IosDevice:
    """A router that differs from others in one thing."""
    return IosDevice(
        hostname="r1",
        serial="FTX1",
        model="ISR4331",
        config_text=CONFIG,
        username="op",
        password=PASSWORD,
        auth_methods=auth_methods,
        enable_password=enable_password,
        session_limit=session_limit,
    )


async def test_a_session_says_what_the_device_says_and_nothing_else(login: Login, device: IosDevice) -> None:
    session = await login()

    said = await session.command("show inventory", timeout_s=10)

    assert (
        said == 'NAME: "Chassis", DESCR: "Cisco ISR4331 Chassis"\nPID: ISR4331           , VID: V01  , SN: FTX1840ALY0'
    )
    assert session.privileged
    assert session.mode == ""


async def test_a_key_that_nobody_pinned_is_learnt_and_handed_over(login: Login, device: IosDevice) -> None:
    session = await login()

    assert session.host_key == device.host_key.export_public_key().decode().strip()


async def test_a_changed_host_key_gets_no_password(login: Login, device: IosDevice) -> None:
    pinned = device.host_key.export_public_key().decode()
    device.throw(other_host_key=True)

    with pytest.raises(IdentityMismatch) as refused:
        await login(host_key=pinned)

    await device.wait_for("ended")
    assert shown_credentials(device) == []
    assert "no credential was sent" in refused.value.message


async def test_a_pinned_key_lets_us_in(login: Login, device: IosDevice) -> None:
    session = await login(host_key=device.host_key.export_public_key().decode())

    assert session.privileged


async def test_a_wrong_password_is_shown_once(login: Login, device: IosDevice) -> None:
    with pytest.raises(AuthenticationFailed):
        await login(password=Secret("wrong"))

    assert shown_credentials(device) == ["password"]


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_either_way_of_asking_for_the_password_is_answered(opener: Opener, method: str) -> None:
    async with r1(auth_methods=(method,)) as device:
        session = await opener(DRIVER, Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD)), SHORT)
        assert shown_credentials(device) == [method]
        await session.close()


async def test_the_enable_password_is_given_where_it_is_needed(opener: Opener) -> None:
    async with r1(enable_password=ENABLE) as device:
        endpoint = Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD), Secret(ENABLE))
        session = await opener(DRIVER, endpoint, SHORT)
        assert session.privileged
        await session.close()


async def test_a_wrong_enable_password_is_tried_once_and_fails_fast(opener: Opener) -> None:
    async with r1(enable_password=ENABLE) as device:
        endpoint = Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD), Secret("wrong"))
        with pytest.raises(AuthenticationFailed) as refused:
            await opener(DRIVER, endpoint, SHORT)
        assert refused.value.step == "enable"


async def test_a_port_that_accepts_and_stays_silent_is_unreachable_and_no_bad_password(
    login: Login, device: IosDevice
) -> None:
    device.throw(greeting="silent")

    with pytest.raises(Unreachable) as failed:
        await login(replace(SHORT, handshake_s=0.3))

    assert failed.value.step == "handshake"


async def test_a_closed_port_is_unreachable(opener: Opener) -> None:
    with pytest.raises(Unreachable) as failed:
        await opener(DRIVER, Endpoint("127.0.0.1", 1, "op", Secret(PASSWORD)), SHORT)

    assert failed.value.step == "connect"


async def test_a_device_without_a_free_line_is_busy(login: Login, device: IosDevice) -> None:
    device.throw(greeting="reset")

    with pytest.raises(DeviceBusy):
        await login()


async def test_a_login_without_a_prompt_ends_in_time_and_leaves_no_line_taken(login: Login, device: IosDevice) -> None:
    device.throw(after_login="silent")

    with pytest.raises(Unreachable) as failed:
        await login(replace(SHORT, prompt_s=0.3))

    assert failed.value.step == "first prompt"
    await device.wait_for("ended")


async def test_a_session_that_ends_right_after_login_is_reported_at_once(login: Login, device: IosDevice) -> None:
    device.throw(after_login="hang-up")
    began = time.monotonic()

    with pytest.raises(AuthenticationFailed, match="closed the session at once"):
        await login(replace(SHORT, prompt_s=30.0))

    assert time.monotonic() - began < 2


async def test_lines_are_sent_one_by_one_until_the_first_refusal(login: Login, device: IosDevice) -> None:
    session = await login()
    await session.command("configure terminal", timeout_s=10)

    results = await session.lines(["interface Loopback7", "description seven", "bogus", "shutdown"], timeout_s=10)

    assert [(result.number, result.failed) for result in results] == [(1, False), (2, False), (3, True)]
    assert "% Invalid input" in results[-1].said
    assert "description seven" in device.running_text()
    assert "shutdown" not in device.running_text()


async def test_a_banner_of_several_lines_arrives_as_it_is(login: Login, device: IosDevice) -> None:
    session = await login()
    await session.command("configure terminal", timeout_s=10)

    results = await session.lines(
        ["banner motd ^C", "osaka-edge-01#", "keep out", "^C", "hostname kobe-edge-02"], timeout_s=2
    )

    assert [(result.number, result.failed) for result in results] == [(1, False), (5, False)]
    assert "osaka-edge-01#\nkeep out\n" in device.running_text()
    assert device.current_hostname() == "kobe-edge-02"


async def test_a_new_host_name_in_the_middle_changes_nothing(login: Login, device: IosDevice) -> None:
    session = await login()
    await session.command("configure terminal", timeout_s=10)

    await session.lines(["hostname a-very-long-name-that-ios-will-cut", "interface Loopback1", "end"], timeout_s=10)

    assert session.mode == ""
    assert "SN: FTX1840ALY0" in await session.command("show inventory", timeout_s=10)


@pytest.mark.parametrize("chunk", [1, 7])
async def test_output_in_small_pieces_reads_the_same(login: Login, device: IosDevice, chunk: int) -> None:
    session = await login()
    whole = await session.command("show running-config", timeout_s=10)
    device.throw(output_chunk_bytes=chunk)

    assert await session.command("show running-config", timeout_s=10) == whole
    assert whole.endswith("\nend")
    assert " description to osaka-edge-01#\n" in whole


async def test_a_pager_that_cannot_be_switched_off_is_paged_through(login: Login, device: IosDevice) -> None:
    session = await login()
    whole = await session.command("show running-config", timeout_s=10)
    await session.abort()
    device.throw(unauthorised=("terminal length",))

    paged = await login()

    assert await paged.command("show running-config", timeout_s=10) == whole


async def test_a_slow_device_is_waited_for(login: Login, device: IosDevice) -> None:
    session = await login()
    device.throw(answer_delay_s=0.5)

    assert "FTX1840ALY0" in await session.command("show inventory", timeout_s=10)


async def test_a_reading_that_is_cut_is_truncated(login: Login, device: IosDevice) -> None:
    session = await login()
    device.throw(cut_output_after=200)

    with pytest.raises(Truncated):
        await session.command("show running-config", timeout_s=10)


async def test_a_write_that_is_cut_is_unknown(login: Login, device: IosDevice) -> None:
    session = await login()
    await session.command("configure terminal", timeout_s=10)
    device.throw(strike_at="description seven", strike_when="after")

    with pytest.raises(OutcomeUnknown):
        await session.lines(["interface Loopback7", "description seven", "shutdown"], timeout_s=10)

    assert "description seven" in device.running_text()
    assert "shutdown" not in device.running_text()


async def test_a_write_without_an_answer_is_unknown_after_its_time(login: Login, device: IosDevice) -> None:
    session = await login()
    device.throw(answer_delay_s=30.0)

    with pytest.raises(OutcomeUnknown, match=r"no prompt within 0\.3 s"):
        await session.command("write memory", timeout_s=0.3)

    device.throw(answer_delay_s=0.0)


async def test_more_output_than_allowed_is_refused(login: Login, device: IosDevice) -> None:
    session = await login(replace(SHORT, output_octets=100))

    with pytest.raises(Truncated, match="size limit"):
        await session.command("show running-config", timeout_s=10)


async def test_closing_is_quick_and_can_be_repeated(login: Login, device: IosDevice) -> None:
    session = await login()
    began = time.monotonic()

    await session.close()
    await session.close()

    assert time.monotonic() - began < 5
    await device.wait_for("ended")


async def test_nothing_secret_is_in_the_transcript(device: IosDevice, opener: Opener) -> None:
    transcript: list[str] = []
    session = await opener(
        DRIVER,
        Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD)),
        SHORT,
        redact=lambda text: text.replace("tango", "‹masked›"),
        transcript=lambda _direction, text: transcript.append(text),
    )
    await session.command("configure terminal", timeout_s=10)
    await session.lines(
        [f"interface Loopback7\n description {PASSWORD}", "snmp-server community tango RO"], timeout_s=2
    )
    await session.close()

    written = "\n".join(transcript)
    assert "snmp-server community" in written
    assert PASSWORD not in written
    assert "tango" not in written


async def test_ten_sessions_at_once_keep_apart(opener: Opener) -> None:
    async with r1(session_limit=10) as device:
        endpoint = Endpoint("127.0.0.1", device.port, "op", Secret(PASSWORD))
        sessions = await asyncio.gather(*(opener(DRIVER, endpoint, SHORT) for _ in range(10)))
        said = await asyncio.gather(*(session.command("show inventory", timeout_s=10) for session in sessions))
        await asyncio.gather(*(session.close() for session in sessions))
        assert all(text.endswith("SN: FTX1") for text in said)


async def test_an_old_device_gets_in_with_its_profile_only(opener: Opener) -> None:
    """A server with SHA-1 key exchange and CBC only; no IOS behind it, just a prompt."""

    async def greet(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("old#")
        async for line in process.stdin:
            process.stdout.write(f"{line.strip()}\r\nold#")

    class Anybody(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Anybody,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=greet,
        kex_algs=["ecdh-sha2-nistp256"],
        encryption_algs=["aes128-cbc"],
        mac_algs=["hmac-sha1"],
        line_editor=False,
    )
    try:
        endpoint = Endpoint("127.0.0.1", server.get_port(), "op", Secret(PASSWORD))
        with pytest.raises(DeviceError) as refused:
            await opener(DRIVER, endpoint, SHORT)
        assert refused.value.code == "negotiation-failed"
        session = await opener(DRIVER, replace(endpoint, profile="compat"), SHORT)
        assert session.privileged
        await session.close()
    finally:
        server.close()
        await server.wait_closed()
