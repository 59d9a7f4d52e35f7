"""Boots, stage by stage, with the reason of the pull."""

from __future__ import annotations

import pytest

from controller.store import boots
from inventory.boots import Boot, Stage, check_failed, furthest, stages
from tests.controller.phonehome.site import CONFIG, Device, Site, Unit


def reached(boot: Boot) -> list[Stage]:
    return [one.stage for one in stages(boot) if one.at_ms is not None]


async def start(site: Site, unit: Unit, *, trigger: str = "power on boot", ask_ls: bool = True) -> Device:
    """A start as the reference client makes it, up to push-ready."""
    if ask_ls:
        await site.locate(unit)
    await site.pull(unit, trigger=trigger)
    await site.query(unit)
    device = Device(site, unit)
    await device.ready()
    return device


async def test_a_boot_shows_every_stage_with_its_time_and_the_serial_number(site: Site) -> None:
    unit = await site.unit(startup=None)
    version = await site.release(unit, CONFIG)
    device = await start(site, unit)

    (boot,) = await site.boots(unit)
    assert reached(boot) == [stage for stage in Stage if stage is not Stage.HEARTBEAT]
    times = [one.at_ms for one in stages(boot) if one.at_ms is not None]
    assert times == sorted(times)
    assert (boot.trigger, boot.shown, boot.firmware, boot.version_id) == ("power on boot", unit.serial, "5.66", version)

    told = await site.explained(unit)
    said = [fact.text for fact in told.facts if fact.text.startswith("last boot")]
    assert said[0] == "last boot, ls asked"
    assert "last boot, rs asked: pull reason: power on boot" in said
    assert f"last boot, ready: the device shows {unit.serial}" in said
    await device.cut()


async def test_the_first_heartbeat_after_the_confirmation_is_the_last_stage(site: Site) -> None:
    unit = await site.unit()
    device = await start(site, unit)
    for at_ms in (1_760_745_700_000, 1_760_745_760_000):
        site.home.context.boots.heartbeat(unit.adapter_id, at_ms)
    (boot,) = await site.boots(unit)
    assert (furthest(boot), boot.heartbeat_ms) == (Stage.HEARTBEAT, 1_760_745_700_000)
    await device.cut()


async def test_a_restart_from_saved_state_has_no_ls_stage_and_says_so(site: Site) -> None:
    unit = await site.unit()
    device = await start(site, unit)
    await device.cut()
    device = await start(site, unit, trigger="Reboot requested by RS", ask_ls=False)

    again, first = await site.boots(unit)
    assert (first.ls_ms is None, again.ls_ms) == (False, None)
    assert stages(first)[0].note == ""
    assert "saved state" in stages(again)[0].note
    assert again.trigger == "Reboot requested by RS"
    assert any("saved state" in fact.text for fact in (await site.explained(unit)).facts)
    await device.cut()


async def test_a_tunnel_that_is_built_anew_is_no_new_boot_and_moves_no_time(site: Site) -> None:
    unit = await site.unit()
    device = await start(site, unit)
    (before,) = await site.boots(unit)
    await device.cut()
    again = Device(site, unit)
    await again.ready()
    assert await site.boots(unit) == [before]
    await again.cut()


async def test_what_was_asked_shows_before_anything_is_pulled(site: Site) -> None:
    unit = await site.unit(seat="none")
    await site.locate(unit)
    assert (await site.contact(unit)).ls_ms is not None
    await site.pull(unit)
    contact = await site.contact(unit)
    assert contact.asked_ms is not None
    assert contact.refusal_code == 404
    assert await site.boots(unit) == []


async def test_the_latest_fifty_boots_are_kept(site: Site) -> None:
    unit = await site.unit()
    for number in range(boots.KEPT + 3):
        noted = boots.Noted()
        noted.begin(unit.adapter_id, trigger=str(number), rs_ms=number)
        async with site.database.write() as tx:
            await boots.write(tx, noted)
    async with site.database.read() as tx:
        kept = await boots.page(tx, unit.adapter_id, limit=100)
    assert [boot.trigger for boot in kept] == [str(number) for number in range(boots.KEPT + 2, 2, -1)]


def test_what_could_not_be_written_goes_on_in_its_order() -> None:
    failed, later = boots.Noted(), boots.Noted()
    failed.begin(1, trigger="one", rs_ms=1)
    failed.step(2, method_ms=5)
    later.step(1, method_ms=2)
    later.step(2, confirmed_ms=6)
    later.begin(1, trigger="two", rs_ms=3)
    later.put_before(failed)
    assert [(row["trigger"], row["method_ms"]) for row in later.new] == [("one", 2), ("two", None)]
    assert later.steps == {(2, "method_ms"): 5, (2, "confirmed_ms"): 6}


@pytest.mark.parametrize(
    ("trigger", "waited_s", "counts"),
    [
        ("retry is over", 0, True),
        ("Retry is over ", 0, True),
        ("no push method", 0, True),
        ("boot failed", 0, True),
        ("invalid config", 0, True),
        ("internal error(socket)", 0, True),
        ("power on boot", 119, False),
        ("power on boot", 120, True),
        ("Pull requested by RS", 9999, False),
        ("Reboot requested by RS", 9999, False),
        ("rollback failure", 9999, False),
        ("module sync failed", 9999, False),
        ("push server not found", 9999, False),
        ("tunnel URL not found", 9999, False),
        ("LS not found", 9999, False),
        ("RS not found", 9999, False),
        ("received 501 Out of service", 9999, False),
        ("got result of failure from server", 9999, False),
        ("", 9999, False),
        ("something else", 9999, False),
    ],
)
def test_which_pull_reasons_are_evidence_against_a_config(trigger: str, waited_s: float, counts: bool) -> None:
    assert (check_failed(trigger, waited_s=waited_s) is not None) == counts
