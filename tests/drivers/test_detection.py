"""A device of which only the address is known is asked who it is, and recognised by its own family."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drivers.detection import detect
from drivers.ios import CiscoIos
from drivers.registry import all_drivers, driver
from drivers.sessions.contract import Endpoint, Limits
from drivers.simulator.ssh_device import CliDevice
from inventory.errors import AuthenticationFailed, Conflict, IdentityMismatch, Unreachable
from inventory.secrets import Secret
from tests.drivers.test_operating import FAMILIES, LIMITS, unit


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds / 600)


def to(device: CliDevice, password: str = "pw") -> Endpoint:
    return Endpoint("127.0.0.1", device.port, device.username, Secret(password))


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_device_is_recognised_by_its_own_family_with_one_login(family: str) -> None:
    async with unit(family) as device:
        before = device.running_text()
        found = await detect(to(device), wait=wait, limits=LIMITS)
        assert (found.driver.family, found.identity.serial) == (family, "S1")
        assert found.host_key == device.host_key.export_public_key().decode().strip()
        assert len(device.logins) == 1
        assert device.running_text() == before


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
async def test_an_old_device_is_recognised_over_the_lane() -> None:
    async with unit("ios") as device:
        device.throw(key_exchange="group1")
        found = await detect(replace(to(device), profile="legacy"), wait=wait, limits=LIMITS)
        assert found.driver.family == "ios"


async def test_what_nobody_recognises_is_said_and_nothing_but_questions_was_typed() -> None:
    async with unit("ios") as device:
        device.throw(unauthorised=("show", "get"))
        with pytest.raises(Conflict, match="no family recognises"):
            await detect(to(device), wait=wait, limits=LIMITS)


@pytest.mark.parametrize("family", ["a-clone", "zz-clone"])
async def test_a_driver_that_takes_ios_for_its_own_does_not_win_by_its_name(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistaken = replace(driver("ios"), family=family, title="A clone", device=CiscoIos)
    monkeypatch.setattr("drivers.registry._theirs", lambda: [("the test", mistaken)])
    all_drivers.cache_clear()
    try:
        async with unit("ios") as device:
            with pytest.raises(Conflict, match="more than one family takes it for its own") as refused:
                await detect(to(device), wait=wait, limits=LIMITS)
            assert refused.value.facts["families"] == sorted(["ios", family])
            assert "under that model" in refused.value.next_step
            assert len(device.logins) == 1
        async with unit("fortios") as device:
            assert (await detect(to(device), wait=wait, limits=LIMITS)).driver.family == "fortios"
    finally:
        all_drivers.cache_clear()


async def test_another_host_key_gets_no_password_and_a_wrong_password_is_tried_once() -> None:
    async with unit("fortios") as device:
        other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFydGlmaWNpYWxhcnRpZmljaWFsYXJ0aWZpY2lhbGFydGk="
        with pytest.raises(IdentityMismatch, match="no credential was sent"):
            await detect(replace(to(device), host_key=other), wait=wait, limits=Limits())
        assert device.logins == ()
        with pytest.raises(AuthenticationFailed):
            await detect(to(device, "wrong"), wait=wait, limits=LIMITS)
        assert len(device.logins) == 1


async def test_a_device_that_accepts_and_is_silent_is_unreachable_in_time_and_nothing_else() -> None:
    short = replace(LIMITS, handshake_s=0.5, prompt_s=0.5)
    async with unit("ios") as device:
        device.throw(greeting="silent")
        with pytest.raises(Unreachable, match=f"port {device.port}"):
            await detect(to(device), wait=wait, limits=short)
        device.throw(greeting="normal", after_login="silent")
        with pytest.raises(Unreachable):
            await detect(to(device), wait=wait, limits=short)
        assert len(device.logins) == 1
