"""Every operation against the simulated client, which shares no code with us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from controller.settings import ArmsSettings
from controller.store import identities, modules
from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.identity import SA_W2, fleet_member
from inventory.operations import OperationState
from inventory.secrets import MASK
from tests.controller.operations.asking import Asking
from tests.controller.phonehome.devices import settings_of
from tests.controller.phonehome.site import Site, Unit, eventually, until

DONE, NOT_DONE = OperationState.DONE, OperationState.NOT_DONE
SECRET = "Planted-in-startup-1"
STARTUP = f"hostname: osaka\nppp.0.password: {SECRET}\n"
METHODS = ("https-tunnel", "https-simple")


@pytest.fixture
def arms_settings() -> ArmsSettings:
    """Any push port: the simulated devices share one address."""
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, push_ports="1024-65535")


@pytest.fixture
def pace() -> float:
    return 30.0


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    """How the device is pushed to."""
    return str(request.param)


@pytest.fixture
async def client(method: str, site: Site, unit: Unit) -> AsyncIterator[ArmsDevice]:
    """A simulated SA-W2 in contact."""
    device = ArmsDevice(fleet_member(SA_W2, 21), replace(settings_of(site), methods=(method,)))
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)
    yield device
    await device.stop()


@pytest.fixture
async def unit(site: Site) -> Unit:
    who = fleet_member(SA_W2, 21)
    made = await site.unit(
        serial=who.serial_number, distribution_id=who.distribution_id, ls_key=who.ls_key, startup=STARTUP
    )
    site.home.provisioned()

    async def certified() -> bool:
        async with site.database.read() as tx:
            return (await identities.by_adapter(tx, site.keyring, [made.adapter_id]))[0].certificate is not None

    await eventually(certified)  # without it a device cannot be dialled
    return made


def asked(client: ArmsDevice) -> list[str]:
    """Commands that the device was given."""
    return [str(record.detail["command"]) for record in client.log if record.what == "command"]


async def test_every_operation_works(asker: Asking, client: ArmsDevice, unit: Unit) -> None:
    await asker.holds(unit, STARTUP)
    ended, result = await asker.does(unit, "ping", address="192.0.2.9", count=2)
    assert result is not None
    assert (ended.state, result.answered, result.lost) == (DONE, 2, 0)
    client.faults.unreachable.append("192.0.2.66")
    _, result = await asker.does(unit, "ping", address="192.0.2.66", count=2)
    assert result is not None
    assert (result.answered, result.lost) == (0, 2)

    _, result = await asker.does(unit, "traceroute", address="192.0.2.9")
    assert result is not None
    assert [(hop.hop, hop.address) for hop in result.hops][-1] == (3, "192.0.2.9")

    for storage in ("running", "candidate", "backup"):
        ended, result = await asker.does(unit, "read-storage", storage=storage)
        assert ended.state is DONE
        assert result is not None
        if storage == "running":
            assert result.reports[0].text == STARTUP.replace(SECRET, MASK)

    ended, result = await asker.does(
        unit, "read-status", items=[(0, "show system"), (7, "show system"), (3, "show status arp")]
    )
    assert result is not None
    assert [(one.module, one.code) for one in result.reports] == [(0, 100), (7, 402), (3, 402)]
    assert unit.serial in result.reports[0].text
    assert (ended.state, result.reports[1].text) == (DONE, "")

    ended, result = await asker.does(unit, "clear-status", items=[(0, "counters")])
    assert result is not None
    assert (ended.state, result.reports[0].text) == (DONE, "counters cleared\n")

    ended, result = await asker.does(unit, "md-command", command="show config")
    assert result is not None
    assert (ended.state, result.reports[0].text) == (DONE, STARTUP.replace(SECRET, MASK))
    ended, _ = await asker.does(unit, "md-command", module=7, command="show config")
    assert (ended.state, ended.result_code) == (NOT_DONE, 402)

    _, result = await asker.does(unit, "read-module-list")
    assert result is not None
    assert [one.module for one in result.modules] == [0]
    async with asker.site.database.read() as tx:
        known = (await modules.reported(tx, [unit.adapter_id]))[unit.adapter_id]
    assert [one.version for one in known.modules] == [one.version for one in result.modules]
    _, result = await asker.does(unit, "dump-debug")
    assert result is not None
    assert result.reports[0].text.startswith("state dump, 1 modules")
    ended, result = await asker.does(unit, "check-transaction")
    assert result is not None
    assert (ended.state, result.transactions) == (DONE, ())


async def test_a_pull_and_a_reboot_are_done_when_the_adapter_is_back(
    asker: Asking, client: ArmsDevice, unit: Unit
) -> None:
    ended, _ = await asker.does(unit, "pull-config", start="LS")
    assert (ended.state, "Pull requested by RS" in ended.said) == (DONE, True)
    ended, _ = await asker.does(unit, "reboot")
    assert (ended.state, "Reboot requested by RS" in ended.said) == (DONE, True)
    # What is asked while it is away waits until it is back.
    ended, _ = await asker.does(unit, "check-transaction")
    assert (ended.state, ended.tries) == (DONE, 1)


async def test_a_device_with_slow_scripts_and_binary_output_is_waited_for(
    asker: Asking, client: ArmsDevice, unit: Unit
) -> None:
    client.faults.slow_script_s = 20.0
    ended, result = await asker.does(unit, "read-status", items=[(0, "show status arp")])
    assert ended.state is DONE
    assert result is not None
    assert "192.0.2.254" in result.reports[0].text


@pytest.mark.parametrize("method", ["https-tunnel"], indirect=True)
async def test_a_command_whose_tunnel_is_cut_is_carried_out_once(asker: Asking, client: ArmsDevice, unit: Unit) -> None:
    client.faults.slow_script_s = 30.0
    number = await asker.ask(unit, "md-command", command="show log")
    await asker.reaches(number, OperationState.SENDING)
    client.faults.cut_to_server_after = 1
    ended, _ = await asker.ended(number)
    assert ended.state is OperationState.UNKNOWN
    client.faults.slow_script_s = 0.0
    ended, _ = await asker.does(unit, "check-transaction")
    assert ended.state is DONE
    assert asked(client).count("show log") == 1


async def test_a_command_during_which_the_power_fails_is_not_repeated(
    asker: Asking, client: ArmsDevice, unit: Unit
) -> None:
    client.faults.slow_script_s = 30.0
    number = await asker.ask(unit, "md-command", command="show log")
    await until(client._runtime.thread.locked)  # its script runs
    await client.unplug()
    ended, _ = await asker.ended(number)
    assert (ended.state, ended.tries) == (OperationState.UNKNOWN, 1)
    client.faults.slow_script_s = 0.0
    await client.plug()
    ended, _ = await asker.does(unit, "read-module-list")
    assert ended.state is DONE
    assert asked(client).count("show log") == 0
