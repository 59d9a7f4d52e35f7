"""The simulated client, which shares no code with us, boots, pulls, confirms, beats, and is configured."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.settings import ArmsSettings
from controller.store import slots
from controller.store.database import Database
from drivers.arms.messages import Request
from drivers.arms.parameters import Configure, Module, ModuleConfig, ReadStorage, StoredConfigs
from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.identity import AYAME, SA_W2, SEIL_X1, ArmsModel, fleet_member
from inventory.errors import OutcomeUnknown, RolledBack
from inventory.explain import Contact
from tests.controller.phonehome.devices import FIRST, record, settings_of
from tests.controller.phonehome.site import ALL, BY, Site, Unit, eventually, until

SECOND = "hostname: second\n"


@pytest.fixture
def pace() -> float:
    return 30.0


@pytest.fixture
def arms_settings() -> ArmsSettings:
    return ArmsSettings(
        ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, heartbeat_interval_s=10, echo_interval_s=10
    )


Make = Callable[[Unit, ArmsModel, int], ArmsDevice]


@pytest.fixture
async def make(site: Site) -> AsyncIterator[Make]:
    """Makes devices that know the LS, and powers them off at the end."""
    made: list[ArmsDevice] = []

    def device(_unit: Unit, model: ArmsModel, number: int) -> ArmsDevice:
        made.append(ArmsDevice(fleet_member(model, number), settings_of(site)))
        return made[-1]

    yield device
    for each in made:
        await each.stop()


async def configure(site: Site, unit: Unit, text: str) -> int:
    """Start a configure; its transaction id."""
    asked = Request("configure-start", "", Configure((Module(0, "5.66.0-0"),), (ModuleConfig(0, text),)))
    response = await site.home.link.request(unit.serial, asked, timeout_s=60)
    assert response.transaction_id
    return response.transaction_id


@pytest.mark.parametrize("model", [SEIL_X1, AYAME, SA_W2], ids=lambda model: model.name)
async def test_a_device_boots_into_its_config_and_is_known_by_its_serial(
    site: Site, make: Make, model: ArmsModel
) -> None:
    unit = await record(site, model, 11)
    device = make(unit, model, 11)
    device.start()

    await site.home.link.wait_ready(unit.serial, timeout_s=600)

    assert device.running().startswith("hostname")
    assert "first" in device.running()
    contact = await site.contact(unit)
    assert contact.stage is Contact.READY
    assert contact.proven_serial == (unit.distribution_id if model is AYAME else unit.serial)
    await until(lambda: len(site.beats) >= 2)
    assert {beat.adapter_id for beat in site.beats} == {unit.adapter_id}


async def test_a_whole_configure_over_the_tunnel_ends_in_the_new_config(site: Site, make: Make) -> None:
    unit = await record(site, SA_W2, 12)
    device = make(unit, SA_W2, 12)
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)

    id_ = await configure(site, unit, SECOND)
    done = await site.home.link.wait_done(unit.serial, id_, timeout_s=600)
    assert done.transaction_result == 100
    await site.home.link.acknowledge(unit.serial, id_)
    await site.home.link.wait_ready(unit.serial, timeout_s=600)
    started = await site.home.link.request(
        unit.serial, Request("read-storage-start", "", ReadStorage("running")), timeout_s=60
    )
    assert started.transaction_id
    stored = await site.home.link.wait_done(unit.serial, started.transaction_id, timeout_s=600)

    assert isinstance(stored.parameters, StoredConfigs)
    assert [config.content for config in stored.parameters.configs] == [SECOND]
    assert device.running() == SECOND


async def test_a_configure_done_that_never_comes_ends_in_a_pull_and_a_rollback(site: Site, make: Make) -> None:
    unit = await record(site, SA_W2, 13)
    device = make(unit, SA_W2, 13)
    device.faults.drop_configure_done = True
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)

    id_ = await configure(site, unit, SECOND)
    with pytest.raises((RolledBack, OutcomeUnknown)):
        await site.home.link.wait_done(unit.serial, id_, timeout_s=1800)

    await site.home.link.wait_ready(unit.serial, timeout_s=1800)
    assert device.running() == FIRST


async def test_an_unplugged_device_is_told_silent_and_comes_back(site: Site, make: Make) -> None:
    unit = await record(site, SA_W2, 14)
    device = make(unit, SA_W2, 14)
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)
    await until(lambda: len(site.beats) >= 2)
    await device.unplug()

    async def silent() -> bool:
        return (await site.contact(unit)).stage is Contact.SILENT

    await eventually(silent, seconds=30)
    await device.plug()

    async def ready() -> bool:
        return (await site.contact(unit)).stage is Contact.READY

    await eventually(ready, seconds=30)


async def test_a_standby_takes_over_and_the_old_unit_gets_nothing(site: Site, make: Make) -> None:
    unit = await record(site, SA_W2, 15)
    device = make(unit, SA_W2, 15)
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)
    await device.unplug()
    async with site.database.write() as tx:
        await slots.release(tx, ALL, BY, unit.adapter_id)
    await site.home.place_changed(unit.adapter_id)
    await device.plug()

    async def refused() -> bool:
        return (await site.contact(unit)).refusal_reason == "it sits in no slot"

    await eventually(refused, seconds=30)
    assert device.running() != SECOND
    # Its place comes back to it: at its next retry it is served.
    async with site.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.adapter_id, entry_id=unit.entry_id)
    assert unit.entry_id is not None
    site.startups[unit.entry_id] = site.startups[unit.entry_id].single(SECOND)
    await until(lambda: device.running() == SECOND, seconds=60)


def test_the_same_under_uvloop_which_the_daemon_runs_on(
    sqlite_url: str, keyring: Keyring, folder: Path, arms_settings: ArmsSettings
) -> None:
    async def story() -> None:
        database = await Database.open(sqlite_url)
        site = Site(database, keyring, folder, arms_settings, 30.0)
        await site.home.start()
        unit = await record(site, SA_W2, 16)
        device = ArmsDevice(fleet_member(SA_W2, 16), settings_of(site))
        device.start()
        try:
            await site.home.link.wait_ready(unit.serial, timeout_s=600)
            id_ = await configure(site, unit, SECOND)
            await site.home.link.wait_done(unit.serial, id_, timeout_s=600)
            await site.home.link.acknowledge(unit.serial, id_)
            await site.home.link.wait_ready(unit.serial, timeout_s=600)
            await until(lambda: len(site.beats) >= 2)
            assert device.running() == SECOND
        finally:
            await device.stop()
            await site.home.stop()
            await database.close()

    uvloop.run(story())


async def test_after_a_restart_of_the_node_devices_come_back_by_themselves(
    site: Site, make: Make, sqlite_url: str, keyring: Keyring, arms_settings: ArmsSettings, tmp_path: Path
) -> None:
    unit = await record(site, SA_W2, 17)
    device = make(unit, SA_W2, 17)
    device.start()
    await site.home.link.wait_ready(unit.serial, timeout_s=600)
    ports = site.home.ports
    await site.home.stop()
    contact = await site.contact(unit)
    assert not contact.tunnel_open

    folder = Path(shutil.copytree(tmp_path / "pki", tmp_path / "again"))
    assert Pki.open(folder, now_ms=0).root_certificate == site.home.pki.root_certificate
    same_ports = arms_settings.model_copy(update={"ls_port": ports[0], "rs_port": ports[1], "heartbeat_port": ports[2]})
    again = Site(site.database, keyring, folder, same_ports, site.clock.pace)
    again.startups = site.startups
    await again.home.start()
    try:
        await again.home.link.wait_ready(unit.serial, timeout_s=600)
    finally:
        await again.home.stop()
        await asyncio.sleep(0)
