"""Wanted module versions: announced in the pull, synced without alarm, compared when the adapter is ready."""

from __future__ import annotations

from controller.store import modules, startups
from drivers.arms.parameters import ConfigSolicitationAnswer, Module
from inventory.explain import Contact
from inventory.incidents import Incident, IncidentKind
from inventory.modules import WantedModule
from tests.controller.phonehome.site import ALL, CONFIG, Device, Site, Unit, eventually

NEW = WantedModule(0, "5.70.0-0", "https://192.0.2.1/5.70")
RUNS = WantedModule(0, "5.66.0-0")


async def wanting(site: Site, *wanted: WantedModule) -> Unit:
    unit = await site.unit(startup=None)
    await site.release(unit, CONFIG)
    await site.want(unit, *wanted)
    return unit


async def ready(site: Site, unit: Unit, version: str) -> Device:
    await site.query(unit)
    device = Device(site, unit)
    device.modules = (Module(0, version, text="image"),)
    await device.ready()

    async def told() -> bool:
        async with site.database.read() as tx:
            found = (await modules.reported(tx, [unit.adapter_id])).get(unit.adapter_id)
        return found is not None and found.modules[0].version == version

    await eventually(told)
    return device


async def incident(site: Site) -> Incident:
    (found,) = await site.incidents(IncidentKind.MODULE)
    return found


async def test_wanted_versions_are_announced_before_each_config_and_others_run_what_they_run(site: Site) -> None:
    unit = await wanting(site, NEW, WantedModule(7, "1.0.0-0"))
    _, message = await site.pull(unit)
    assert message is not None
    assert isinstance(message.parameters, ConfigSolicitationAnswer)
    assert [(one.id, one.version, one.text) for one in message.parameters.modules] == [
        (0, "5.70.0-0", "https://192.0.2.1/5.70"),
        (7, "1.0.0-0", ""),
    ]
    assert [(one.id, one.content) for one in message.parameters.configs] == [(0, CONFIG), (7, "")]


async def test_syncing_modules_is_progress_and_is_not_held_against_the_config(site: Site) -> None:
    unit = await wanting(site, NEW)
    for _ in range(5):
        await site.pull(unit, trigger="retry is over")
        assert (await site.contact(unit)).stage is Contact.MODULE_SYNCING
    told = await site.explained(unit)
    assert told.word == "syncing modules"
    assert "module-syncing" in [kind.removeprefix("phonehome.") for kind, _ in await site.events(unit)]
    assert unit.entry_id is not None
    async with site.database.read() as tx:
        found = await startups.trial(tx, ALL, unit.entry_id)
    assert found is not None
    assert found.failures == 0
    assert await site.incidents(IncidentKind.MODULE) == []


async def test_what_an_adapter_runs_is_read_when_it_is_ready(site: Site) -> None:
    unit = await wanting(site, RUNS)
    await site.pull(unit)
    assert (await site.contact(unit)).stage is Contact.CONFIG_PULLED
    device = await ready(site, unit, "5.66.0-0")
    assert await site.incidents(IncidentKind.MODULE) == []
    assert "module 0" not in (await site.explained(unit)).summary
    await device.cut()


async def test_an_adapter_that_is_ready_with_another_version_is_an_incident_until_it_runs_the_wanted_one(
    site: Site,
) -> None:
    unit = await wanting(site, NEW)
    await site.pull(unit)
    device = await ready(site, unit, "5.66.0-0")
    assert (await incident(site)).facts["modules"] == "module 0 wants 5.70.0-0 and runs 5.66.0-0"
    assert "wants 5.70.0-0 and runs 5.66.0-0" in (await site.explained(unit)).summary
    await device.cut()

    await site.pull(unit)
    device = await ready(site, unit, "5.70.0-0")
    assert (await incident(site)).closed_why == "it runs the versions that are wanted"
    await device.cut()


async def test_an_adapter_that_says_that_the_sync_failed_is_an_incident(site: Site) -> None:
    unit = await wanting(site, NEW)
    await site.pull(unit, trigger="module sync failed")
    assert "could not fetch or install" in (await incident(site)).title
    await site.want(unit, RUNS)
    assert (await incident(site)).state == "closed"


async def test_nobody_is_asked_for_modules_that_nobody_wants(site: Site) -> None:
    unit = await wanting(site)
    await site.pull(unit)
    device = Device(site, unit)
    await device.ready()
    assert [request.type for request in device.requests] == ["push-confirmation-done", "md-command"]
    await device.cut()
