"""What every session promises, whatever carries it: asyncssh, scrapli, the lane, SEIL without a terminal, FortiOS REST.

The command lines have more in common (`test_contract.py`); here stands what holds for a REST API as well. ARMS sessions
authenticate the other way round, by the adapter's own keys: their part of these promises is in
`tests/drivers/test_arms_push.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest

from drivers.driver import Driver
from drivers.ios import DRIVER as IOS
from drivers.registry import driver
from drivers.sessions.contract import CliSession, Endpoint, Limits, Rest
from drivers.sessions.exec import open_exec
from drivers.sessions.permission import PERMIT, NotPermittedError
from drivers.sessions.rest import RestSession
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.forti_rest import FortiRest
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.seil_cli import SeilDevice
from inventory.errors import AuthenticationFailed, IdentityMismatch, OutcomeUnknown, Truncated, Unreachable
from inventory.secrets import Secret
from tests.drivers.sessions.carriers import SHELLS

SECRET = "correct horse"
MARK = "seen-by-the-fleet"
SHORT = Limits(
    connect_s=5.0, handshake_s=5.0, authentication_s=20.0, prompt_s=5.0, command_s=5.0, rest_s=5.0, backup_s=5.0
)
IOS_TEXT = "version 15.2\nhostname r1\ninterface Loopback7\nend\n"
SEIL_TEXT = 'hostname "r1"\nsshd enable\n'
FORTI_TEXT = 'config system global\n    set hostname "r1"\nend\n'
Opener = Callable[..., Awaitable[CliSession]]


@dataclass
class Rig:
    """One carrier and its device. `read` gives a whole answer of the device, `change` changes it for all to see."""

    endpoint: Endpoint
    other_identity: Endpoint
    wrong_credential: Endpoint
    credentials: Callable[[], int]
    read: Callable[[Endpoint, Limits], Awaitable[str]]
    change: Callable[[Endpoint, Limits], Awaitable[None]]
    cut_reading: Callable[[], None]
    cut_change: Callable[[], None]
    running: Callable[[], str]
    written: list[str] = field(default_factory=list)
    logged_in: Callable[[], None] = lambda: None
    """Called between the login and the change; over REST, where each request is its own login, before both."""

    def moved(self, port: int) -> Endpoint:
        """The same device at another port."""
        if self.endpoint.rest is not None:
            return replace(self.endpoint, rest=replace(self.endpoint.rest, port=port))
        return replace(self.endpoint, port=port)


@pytest.fixture(params=[*SHELLS, "exec", "rest"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "rest":
                yield await rest_rig(stack)
            case "exec":
                yield await exec_rig(stack)
            case carrier:
                yield await ios_rig(stack, SHELLS[carrier])


def cli_rig(
    device: IosDevice | SeilDevice, chosen: Driver, opener: Opener, user: str, reading: str, *lines: str, cut_at: str
) -> Rig:
    key = device.host_key.export_public_key().decode().strip()
    endpoint = Endpoint("127.0.0.1", device.port, user, Secret(SECRET), host_key=key)
    written: list[str] = []

    async def opened(at: Endpoint, limits: Limits) -> CliSession:
        return await opener(chosen, at, limits, transcript=lambda _way, text: written.append(text))

    async def read(at: Endpoint, limits: Limits) -> str:
        session = await opened(at, limits)
        try:
            return await session.command(reading, timeout_s=limits.command_s)
        finally:
            await session.close()

    async def change(at: Endpoint, limits: Limits) -> None:
        session = await opened(at, limits)
        made.logged_in()
        try:
            if chosen is IOS:
                await session.command("configure terminal", timeout_s=limits.command_s)
            await session.lines(lines, timeout_s=limits.command_s)
        finally:
            await session.close()

    made = Rig(
        endpoint,
        replace(
            endpoint, host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFydGlmaWNpYWxhcnRpZmljaWFsYXJ0aWZpY2lhbGFydGk="
        ),
        replace(endpoint, password=Secret("wrong")),
        lambda: len(device.logins),
        read,
        change,
        lambda: device.throw(strike_at=reading, strike_when="after"),
        lambda: device.throw(strike_at=cut_at, strike_when="after"),
        device.running_text,
        written,
    )
    return made


async def ios_rig(stack: AsyncExitStack, opener: Opener) -> Rig:
    device = await stack.enter_async_context(
        IosDevice(hostname="r1", serial="FTX1", model="ISR4331", config_text=IOS_TEXT, username="op", password=SECRET)
    )
    lines = ("interface Loopback7", f"description {MARK}")
    return cli_rig(device, IOS, opener, "op", "show running-config", *lines, cut_at=lines[1])


async def exec_rig(stack: AsyncExitStack) -> Rig:
    device = await stack.enter_async_context(
        SeilDevice(
            hostname="r1", serial="A1", model="SEIL/X1", config_text=SEIL_TEXT, username="admin", password=SECRET
        )
    )
    load = f'load-from stdin\nhostname "{MARK}"\nsshd enable\n.'
    return cli_rig(device, driver("seil-ssh"), open_exec, "admin", "show config", load, cut_at="load-from stdin")


async def rest_rig(stack: AsyncExitStack) -> Rig:
    unit = await stack.enter_async_context(
        FortiDevice(
            hostname="r1", serial="FGT1", model="FortiGate-60F", config_text=FORTI_TEXT, username="op", password="pw"
        )
    )
    api = await stack.enter_async_context(FortiRest(unit, SECRET))
    rest = Rest(Secret(SECRET), api.port, api.fingerprint)
    endpoint = Endpoint("127.0.0.1", unit.port, "op", Secret("pw"), rest=rest)
    written: list[str] = []

    def session(at: Endpoint, limits: Limits) -> RestSession:
        return RestSession(at, limits, transcript=lambda _way, text: written.append(text))

    async def read(at: Endpoint, limits: Limits) -> str:
        return await session(at, limits).backup()

    async def change(at: Endpoint, limits: Limits) -> None:
        made.logged_in()
        await session(at, limits).change("PUT", "/api/v2/cmdb/system/global", {"alias": MARK})

    def cut() -> None:
        api.cut_after = 30

    made = Rig(
        endpoint,
        replace(endpoint, rest=replace(rest, certificate="00" * 32)),
        replace(endpoint, rest=replace(rest, token=Secret("wrong"))),
        lambda: len(api.tokens),
        read,
        change,
        cut,
        cut,
        unit.running_text,
        written,
    )
    return made


async def test_a_device_is_read_and_changed(rig: Rig) -> None:
    assert "r1" in await rig.read(rig.endpoint, SHORT)

    await rig.change(rig.endpoint, SHORT)

    assert MARK in rig.running()


async def test_another_identity_gets_no_credential(rig: Rig) -> None:
    with pytest.raises(IdentityMismatch, match=r"no (?:credential|token) was sent"):
        await rig.read(rig.other_identity, SHORT)

    assert rig.credentials() == 0


async def test_a_credential_that_is_refused_is_shown_once(rig: Rig) -> None:
    with pytest.raises(AuthenticationFailed):
        await rig.read(rig.wrong_credential, SHORT)

    assert rig.credentials() == 1


async def test_a_closed_port_is_unreachable(rig: Rig) -> None:
    with pytest.raises(Unreachable) as failed:
        await rig.read(rig.moved(1), SHORT)

    assert failed.value.step == "connect"


async def test_a_port_that_says_nothing_is_unreachable_and_no_bad_password(rig: Rig) -> None:
    waiting: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: waiting.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(Unreachable) as failed:
        await rig.read(rig.moved(port), replace(SHORT, handshake_s=0.3))

    assert failed.value.step == "handshake"
    assert rig.credentials() == 0
    for writer in waiting:
        writer.close()
    server.close()


async def test_a_reading_that_is_cut_is_truncated(rig: Rig) -> None:
    rig.cut_reading()

    with pytest.raises(Truncated):
        await rig.read(rig.endpoint, SHORT)


async def test_a_change_that_is_cut_is_unknown_and_was_sent_once(rig: Rig) -> None:
    rig.cut_change()

    with pytest.raises(OutcomeUnknown):
        await rig.change(rig.endpoint, SHORT)

    assert MARK in rig.running()
    assert rig.credentials() == 1


async def test_a_process_whose_work_was_taken_over_changes_nothing_with_a_session_that_is_open(rig: Rig) -> None:
    over_rest = rig.endpoint.rest is not None
    asks = iter([True] if over_rest else [])  # over REST the connection is still made, and the request is not sent

    async def permit() -> None:
        if not next(asks, False):
            raise NotPermittedError("another has this work")

    def taken_over() -> None:
        PERMIT.set(permit)

    rig.logged_in = taken_over

    with pytest.raises(NotPermittedError):
        await rig.change(rig.endpoint, SHORT)

    assert MARK not in rig.running()
    assert rig.credentials() == (0 if over_rest else 1)


async def test_an_answer_beyond_the_limit_is_truncated(rig: Rig) -> None:
    with pytest.raises(Truncated, match="size limit"):
        await rig.read(rig.endpoint, replace(SHORT, output_octets=40))


async def test_nothing_secret_is_in_a_transcript(rig: Rig) -> None:
    await rig.read(rig.endpoint, SHORT)
    await rig.change(rig.endpoint, SHORT)

    whole = "\n".join(rig.written)
    assert MARK in whole
    assert SECRET not in whole


async def test_four_at_once_keep_apart(rig: Rig) -> None:
    said = await asyncio.gather(*(rig.read(rig.endpoint, SHORT) for _ in range(4)))

    assert all("r1" in text for text in said)
