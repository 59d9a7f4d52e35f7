"""SEIL on its own command line: whole text, read back, saved last; without a terminal, and with one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from drivers import plan
from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.driver import Driver
from drivers.push import PushJob
from drivers.registry import driver
from drivers.sessions.contract import Endpoint
from drivers.simulator.seil_cli import SeilDevice
from inventory.errors import CommandRejected, Conflict, IdentityMismatch, OutcomeUnknown
from inventory.plans import SSH_ORDER, ConfigText, PushState
from inventory.secrets import Secret

SERIAL = "AD9010J-BAA0001230001"
CONFIG = """hostname "branch-101"
timezone "Japan"
environment login-timer 600
environment pager on
environment terminal column 80
ppp add FLETS keepalive 30 identifier "branch101@isp.example.jp" passphrase "pppoe-secret-101"
interface lan0 add 192.168.101.1/24
interface pppoe0 over lan1
interface pppoe0 ppp-configuration FLETS
route add default pppoe0
sshd enable
"""
WANTED = CONFIG.replace(
    "route add default pppoe0\n", "route add default pppoe0\nroute add 10.0.0.0/8 192.168.101.254\n"
)


def unit(**changes: object) -> SeilDevice:
    facts: dict[str, object] = {
        "hostname": "branch-101",
        "serial": SERIAL,
        "model": "SEIL/X1",
        "config_text": CONFIG,
        "username": "admin",
        "password": "pw",
    }
    return SeilDevice(**{**facts, **changes})  # type: ignore[arg-type]  # test data


@pytest.fixture(params=[True, False], ids=["without a terminal", "on a terminal"])
async def seil(request: pytest.FixtureRequest) -> AsyncIterator[SeilDevice]:
    async with unit(machine_readable=request.param) as device:
        yield device


async def nothing(_seconds: float) -> None:
    return None


def reach(device: SeilDevice, family: str = "seil", serial: str | None = SERIAL, **changes: str) -> CommandLineDevice:
    endpoint = Endpoint("127.0.0.1", device.port, changes.pop("username", "admin"), Secret("pw"))
    return over_ssh(family, endpoint, serial, wait=nothing, **changes)  # type: ignore[arg-type]  # test data


def job(wanted: str = WANTED) -> PushJob:
    base, intent = ConfigText.single(CONFIG), ConfigText.single(wanted)
    computed = plan.compute(seil_ssh(), base, intent)
    return PushJob("7", SERIAL, base, intent, computed.remediation, computed.rollback)


def seil_ssh() -> Driver:
    return driver("seil-ssh")


async def test_a_push_loads_the_whole_text_reads_it_back_and_saves_it_last(seil: SeilDevice) -> None:
    device = reach(seil)
    wanted = job()

    for state in SSH_ORDER[1:-2]:
        await device.enter(state, wanted)
        assert seil.saved_text() == CONFIG
    await device.enter(PushState.SAVED, wanted)
    await device.close()

    assert seil.running_text() == WANTED
    assert seil.saved_text() == WANTED
    assert seil.log.count("saved") == 1


async def test_a_reading_leaves_the_device_as_it_was(seil: SeilDevice) -> None:
    device = reach(seil)

    assert (await device.read()).text() == CONFIG
    await device.close()

    assert seil.running_text() == CONFIG


async def test_lines_that_were_skipped_take_the_whole_text_back(seil: SeilDevice) -> None:
    device = reach(seil)
    broken = job(WANTED.replace("ppp add FLETS", "pqp add FLETS"))
    for state in SSH_ORDER[1:4]:
        await device.enter(state, broken)

    with pytest.raises(CommandRejected, match="unknown ppp configuration: FLETS"):
        await device.enter(PushState.APPLYING, broken)
    assert "pppoe0 ppp-configuration" not in seil.running_text()
    await device.revert(broken)
    await device.close()

    assert seil.running_text() == CONFIG
    assert seil.log.count("saved") == 0


async def test_a_load_whose_answer_is_lost_is_unknown_and_a_power_cycle_gives_the_old_text_back(
    seil: SeilDevice,
) -> None:
    device = reach(seil)
    wanted = job()
    for state in SSH_ORDER[1:4]:
        await device.enter(state, wanted)
    seil.throw(strike_at="load-from stdin", strike_when="after")

    with pytest.raises(OutcomeUnknown):
        await device.enter(PushState.APPLYING, wanted)
    await device.close()
    assert seil.running_text() == WANTED
    seil.power_off()
    seil.power_on()

    assert seil.running_text() == CONFIG


async def test_a_text_that_would_lock_us_out_is_not_sent(seil: SeilDevice) -> None:
    device = reach(seil)

    with pytest.raises(Conflict, match="sshd enable"):
        await device.enter(PushState.PREFLIGHT, job(WANTED.replace("sshd enable\n", "")))
    await device.close()


async def test_a_save_that_did_not_happen_is_told(seil: SeilDevice) -> None:
    device = reach(seil)
    wanted = job()
    for state in SSH_ORDER[1:-2]:
        await device.enter(state, wanted)
    seil.throw(save="no-ok")

    with pytest.raises(CommandRejected, match="its flash does not hold the intent"):
        await device.enter(PushState.SAVED, wanted)
    await device.close()


async def test_the_account_that_only_looks_is_stopped_before_anything_is_sent() -> None:
    async with unit(username="user") as seil:
        device = reach(seil, username="user")
        assert (await device.read()).text() == CONFIG

        with pytest.raises(Conflict, match="may not configure"):
            await device.enter(PushState.PREFLIGHT, job())
        await device.close()


@pytest.mark.parametrize("model", ["SEIL/Turbo", "SEIL/neu 2FE Plus"])
async def test_the_old_models_are_only_read(model: str) -> None:
    async with unit(model=model, machine_readable=False) as seil:
        device = reach(seil)
        assert (await device.identify()).model == model

        with pytest.raises(Conflict, match="only read over SSH"):
            await device.enter(PushState.PREFLIGHT, job())
        await device.close()


async def test_a_software_router_is_known_by_its_distribution_id() -> None:
    identifier = "0001-0000-0000-0086-0001-0000-0000-0042"
    async with unit(serial="", model="SEIL/x86 Fuji", distribution_id=identifier) as seil:
        device = reach(seil, serial="anything", distribution_id=identifier)
        assert (await device.identify()).distribution_id == identifier
        await device.close()
        with pytest.raises(IdentityMismatch):
            await reach(seil, serial="anything", distribution_id=identifier.replace("42", "43")).identify()


async def test_a_software_router_without_its_function_key_cannot_save_and_is_told_before() -> None:
    async with unit(serial="", model="SEIL/x86 Fuji", distribution_id="d", function_key=False) as seil:
        device = reach(seil, distribution_id="d")

        with pytest.raises(Conflict, match="function key"):
            await device.enter(PushState.PREFLIGHT, job())
        await device.close()


async def test_a_cut_reading_is_discarded_and_read_again(seil: SeilDevice) -> None:
    device = reach(seil)
    await device.identify()
    seil.throw(cut_output_after=60)

    assert (await device.read()).text() == CONFIG
    await device.close()

    assert seil.log.count("cut") == 1


async def test_the_recipe_families_are_read_over_ssh_and_never_written() -> None:
    text = "hostname: branch-4\ninterface.ge1.ipv4.address: 192.168.4.1/24\nsshd.service: enable\n"
    async with unit(model="SEIL/X4", config_text=CONFIG) as seil:
        seil.running = [*text.splitlines(), "sshd enable"]
        device = reach(seil, family="recipe")
        seil.running = text.splitlines()
        assert (await device.identify()).model == "SEIL/X4"
        assert (await device.read()).text() == text

        with pytest.raises(Conflict, match="goes over ARMS"):
            await device.enter(PushState.PREFLIGHT, job())
        await device.close()
