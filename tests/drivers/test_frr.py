"""A real peer: FRRouting behind a real OpenSSH takes a push, gives a change back, and saves, over every carrier."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers import plan
from drivers.device import CommandLineDevice
from drivers.push import PushJob
from drivers.registry import driver
from drivers.sessions.carriers import connector
from drivers.sessions.contract import Endpoint, Limits
from drivers.unguarded import UnguardedDevice
from inventory.errors import AuthenticationFailed, CommandRejected, IdentityMismatch
from inventory.plans import SSH_ORDER, ConfigText, PushState
from inventory.secrets import Secret
from tests import frr
from tests.drivers.example import install

CHANGE = ("ip route 198.51.100.0/24 Null0", "interface lo", " description seen by the fleet")
LIMITS = Limits()


@pytest.fixture(scope="module")
def router() -> Iterator[frr.Router]:
    absent = frr.missing()
    if absent:
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    with frr.router() as running:
        running.configure("interface lo", "description as it was")
        yield running


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with install(tmp_path, monkeypatch):
        yield


@pytest.fixture(params=["scrapli", "asyncssh", "lane"])
async def device(router: frr.Router, request: pytest.FixtureRequest) -> AsyncIterator[CommandLineDevice]:
    made = make(router, request.param)
    yield made
    await made.close()
    router.configure("no ip route 198.51.100.0/24 Null0", "interface lo", "description as it was")


def make(router: frr.Router, carrier: str, **changes: object) -> CommandLineDevice:
    """A device of the example driver on the running router."""
    chosen = driver("frr")
    if carrier == "asyncssh":
        chosen = replace(chosen, carrier="asyncssh")
    transport = "lane" if carrier == "lane" else "ssh"
    endpoint = Endpoint("127.0.0.1", router.port, router.username, Secret(frr.PASSWORD), host_key=router.key)
    endpoint = replace(endpoint, transport=transport, **changes)  # type: ignore[arg-type]  # test data
    assert chosen.device is not None
    dialect = plan.dialect_of(chosen)
    connect = connector(LIMITS, redact=dialect.redact)

    async def at_once(_seconds: float) -> None:
        return None

    return chosen.device(chosen, dialect, endpoint, frr.HOSTNAME, connect=connect, wait=at_once, limits=LIMITS)


async def job(device: CommandLineDevice, *lines: str) -> PushJob:
    """A push of lines on top of what runs now."""
    dialect = plan.dialect_of(device.driver)
    base = await device.read()
    intent = dialect.render(dialect.apply(dialect.parse(base.text()), lines))
    computed = plan.compute(device.driver, base, ConfigText.single(intent))
    assert computed.proven, computed.proof
    return PushJob("7", frr.HOSTNAME, base, ConfigText.single(intent), computed.remediation, computed.rollback)


async def test_a_push_arrives_is_verified_and_saved(device: CommandLineDevice, router: frr.Router) -> None:
    wanted = await job(device, *CHANGE)

    for state in SSH_ORDER[1:-1]:
        await device.enter(state, wanted)

    assert "ip route 198.51.100.0/24 Null0" in router.running()
    assert "description seen by the fleet" in router.saved.read_text()
    assert await device.guard_pending(wanted) is False


async def test_a_question_mark_in_a_text_is_text_and_asks_for_no_help(
    device: CommandLineDevice, router: frr.Router
) -> None:
    wanted = await job(device, "interface lo", " description who? and ? why??")

    for state in SSH_ORDER[1:-1]:
        await device.enter(state, wanted)

    assert "description who? and ? why??" in router.running()


async def test_a_refused_line_is_taken_back_with_all_that_came_before_it(
    device: CommandLineDevice, router: frr.Router
) -> None:
    wanted = await job(device, *CHANGE)
    before = router.running()
    broken = replace(wanted, remediation=("ip route 198.51.100.0/24 Null0", "bogus line"))
    for state in SSH_ORDER[1:4]:
        await device.enter(state, broken)

    with pytest.raises(CommandRejected, match="Line 2 of 2 was refused: % Unknown command"):
        await device.enter(PushState.APPLYING, broken)
    assert "198.51.100.0/24" in router.running()
    await device.revert(broken)

    assert router.running() == before


async def test_another_host_key_gets_no_password(router: frr.Router) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFydGlmaWNpYWxhcnRpZmljaWFsYXJ0aWZpY2lhbGFydGk="
    for carrier in ("scrapli", "asyncssh", "lane"):
        with pytest.raises(IdentityMismatch, match="no credential was sent"):
            await make(router, carrier, host_key=other).identify()


async def test_a_wrong_password_is_a_wrong_password_to_openssh_too(router: frr.Router) -> None:
    for carrier in ("scrapli", "asyncssh", "lane"):
        with pytest.raises(AuthenticationFailed):
            await make(router, carrier, password=Secret("wrong")).identify()


async def test_the_example_is_an_unguarded_device(router: frr.Router) -> None:
    assert isinstance(make(router, "scrapli"), UnguardedDevice)
