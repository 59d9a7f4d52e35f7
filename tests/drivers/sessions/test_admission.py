"""Too many sessions at once wait for their turn; nothing is dropped, and nothing fails for it (row 24)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace

import pytest

from drivers.errors import DomainPaused
from drivers.ios import DRIVER
from drivers.sessions.admission import Admission, Most
from drivers.sessions.carriers import connector
from drivers.sessions.contract import CliSession, Endpoint, Hop, Limits
from drivers.sessions.ssh import open_ssh
from drivers.simulator.ios_cli import IosDevice
from inventory.errors import AuthenticationFailed, Truncated
from inventory.secrets import Secret


@pytest.fixture
async def device() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="r1", serial="FTX1", model="ISR4331", config_text="hostname r1\nend\n", username="op", password="pw"
    ) as device:
        yield device


def to(device: IosDevice, password: str = "pw") -> Endpoint:
    return Endpoint("127.0.0.1", device.port, "op", Secret(password))


def dialling(device: IosDevice, password: str = "pw") -> Callable[[], Coroutine[None, None, CliSession]]:
    async def login() -> CliSession:
        return await open_ssh(DRIVER, to(device, password), Limits())

    return login


async def test_the_third_of_two_waits_until_one_has_left(device: IosDevice) -> None:
    gate = Admission(Most(devices=2))
    first, second = [await gate.open(gate.seat(), to(device), dialling(device)) for _ in range(2)]

    third = asyncio.create_task(gate.open(gate.seat(), to(device), dialling(device)))
    assert "FTX1" in await first.command("show inventory", timeout_s=10)
    assert not third.done()
    await first.close()
    await first.abort()
    late = await third

    assert "FTX1" in await late.command("show inventory", timeout_s=10)
    assert late.privileged
    for session in (second, late):
        await session.close()
    assert len(device.logins) == 3


async def test_the_second_session_of_a_device_never_waits_for_other_devices(device: IosDevice) -> None:
    gate = Admission(Most(devices=1))
    seat = gate.seat()
    first = await gate.open(seat, to(device), dialling(device))
    async with asyncio.timeout(10):
        second = await gate.open(seat, to(device), dialling(device))
    other = asyncio.create_task(gate.open(gate.seat(), to(device), dialling(device)))

    await first.close()
    assert "FTX1" in await second.command("show inventory", timeout_s=10)
    assert not other.done()
    await second.close()

    await (await other).close()


@pytest.mark.parametrize("how", ["lost", "forgotten"])
async def test_a_session_that_is_lost_or_forgotten_leaves_its_place(device: IosDevice, how: str) -> None:
    gate = Admission(Most(devices=1))
    session = await gate.open(gate.seat(), to(device), dialling(device))
    if how == "lost":
        device.throw(cut_output_after=20)
        with pytest.raises(Truncated):
            await session.command("show inventory", timeout_s=10)
    else:
        await session._session.abort()  # type: ignore[attr-defined]  # the connection is gone, the place is not
        del session

    async with asyncio.timeout(10):
        late = await gate.open(gate.seat(), to(device), dialling(device))
    await late.close()


async def test_a_login_that_fails_gives_its_place_back(device: IosDevice) -> None:
    gate = Admission(Most(devices=1))
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await gate.open(gate.seat(), to(device, "wrong"), dialling(device, "wrong"))

    session = await gate.open(gate.seat(), to(device), dialling(device))
    await session.close()


async def test_a_family_with_a_limit_of_its_own_keeps_no_other_waiting(device: IosDevice) -> None:
    gate = Admission(Most(devices=2, of_family={"fortios": 1}))
    first = await gate.open(gate.seat("fortios"), to(device), dialling(device))
    second = asyncio.create_task(gate.open(gate.seat("fortios"), to(device), dialling(device)))
    third = asyncio.create_task(gate.open(gate.seat("fortios"), to(device), dialling(device)))

    other = await gate.open(gate.seat("ios"), to(device), dialling(device))
    assert not second.done()
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)
    await first.close()

    for session in (await second, other):
        await session.close()


async def test_no_more_than_so_many_logins_stand_before_one_jump_host(device: IosDevice) -> None:
    gate = Admission(Most(logins_per_jump_host=2))
    hop = Hop("192.0.2.1", 22, "jumper", Secret("pw"), host_key="ssh-ed25519 AAAA")
    behind = Endpoint("192.0.2.9", 22, "op", Secret("pw"), jump=(hop,))
    under_way, most, two, go = 0, 0, asyncio.Event(), asyncio.Event()

    async def login() -> CliSession:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            two.set()
        await go.wait()
        under_way -= 1
        return await open_ssh(DRIVER, to(device), Limits())

    waiting = [asyncio.create_task(gate.open(gate.seat(), behind, login)) for _ in range(5)]
    await two.wait()
    go.set()
    sessions = await asyncio.gather(*waiting)

    assert most == 2
    for session in sessions:
        await session.close()


async def test_logins_leave_with_a_distance(device: IosDevice) -> None:
    gate = Admission(Most(logins_per_s=20.0))
    at_s: list[float] = []

    async def login() -> CliSession:
        at_s.append(asyncio.get_running_loop().time())
        return await open_ssh(DRIVER, to(device), Limits())

    sessions = await asyncio.gather(*(gate.open(gate.seat(), to(device), login) for _ in range(4)))

    assert at_s[-1] - at_s[0] >= 0.14
    for session in sessions:
        await session.close()


async def test_a_connector_goes_through_the_gate(device: IosDevice) -> None:
    session = await connector(Limits())(DRIVER, to(device))

    assert session.terminal
    assert session.mode == ""
    assert session.host_key == device.host_key.export_public_key().decode().strip()
    assert (await session.lines(["show inventory"], timeout_s=10))[0].failed is False
    await session.close()


def of_domain(device: IosDevice, password: str = "pw") -> Endpoint:
    return replace(to(device, password), aaa_domain="tacacs.example")


@pytest.fixture
async def another() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="r2", serial="FTX2", model="ISR4331", config_text="hostname r2\nend\n", username="op", password="pw"
    ) as device:
        yield device


async def test_two_devices_that_refuse_us_in_a_row_keep_their_domain_from_being_asked(
    device: IosDevice, another: IosDevice
) -> None:
    gate = Admission(Most(domain_pause_s=0.3, logins_per_s_of_domain=1000.0))
    for one in (device, device, another):
        with pytest.raises(AuthenticationFailed):
            await gate.open(gate.seat(), of_domain(one, "wrong"), dialling(one, "wrong"))

    with pytest.raises(DomainPaused, match=r"2 devices of AAA domain tacacs\.example"):
        await gate.open(gate.seat(), of_domain(device), dialling(device))
    assert len(device.logins) == 2, "nothing was sent"
    await (await gate.open(gate.seat(), to(device), dialling(device))).close()  # it is no matter of the device
    async with asyncio.timeout(10):
        while not await let_in(gate, device):  # noqa: ASYNC110  # the pause is of the clock, and has no event
            await asyncio.sleep(0.02)
    with pytest.raises(AuthenticationFailed):
        await gate.open(gate.seat(), of_domain(another, "wrong"), dialling(another, "wrong"))
    await (await gate.open(gate.seat(), of_domain(device), dialling(device))).close()


async def let_in(gate: Admission, device: IosDevice) -> bool:
    """Whether the domain is asked again."""
    try:
        await (await gate.open(gate.seat(), of_domain(device), dialling(device))).close()
    except DomainPaused:
        return False
    return True


async def test_the_second_session_of_a_device_is_let_through_a_pause(device: IosDevice, another: IosDevice) -> None:
    gate = Admission(Most(logins_per_s_of_domain=1000.0))
    seat = gate.seat()
    first = await gate.open(seat, of_domain(device), dialling(device))
    for one in (device, another):
        with pytest.raises(AuthenticationFailed):
            await gate.open(gate.seat(), of_domain(one, "wrong"), dialling(one, "wrong"))

    second = await gate.open(seat, of_domain(device), dialling(device))
    for session in (first, second):
        await session.close()


async def test_the_logins_of_a_domain_keep_their_distance_and_no_other_waits_for_them(device: IosDevice) -> None:
    gate = Admission(Most(logins_per_s_of_domain=20.0))
    at_s: list[float] = []

    async def login() -> CliSession:
        at_s.append(asyncio.get_running_loop().time())
        return await open_ssh(DRIVER, to(device), Limits())

    slow = [asyncio.create_task(gate.open(gate.seat(), of_domain(device), login)) for _ in range(4)]
    await (await gate.open(gate.seat(), to(device), dialling(device))).close()
    for session in await asyncio.gather(*slow):
        await session.close()

    assert at_s[-1] - at_s[0] >= 0.14
