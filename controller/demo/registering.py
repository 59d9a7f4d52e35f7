"""Steps: contractors and slots, adapters by serial number, configs of the places."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from controller.demo import texts
from controller.demo.checks import Findings
from controller.demo.fleet import PASSWORD, USERNAME
from controller.demo.rest import Json, Refused
from controller.demo.roster import MANAGEMENTS, Management, Unit, counts
from controller.demo.world import World
from inventory import onboarding

AT_ONCE = 4
"""Requests at a time: an operator's script, not a flood."""


async def register(world: World, found: Findings) -> None:
    """Slots are opened, every adapter is registered into its own, its checklist ticked off, its place described."""
    world.endpoints = await world.fleet.ask("endpoints")
    for management in MANAGEMENTS:
        await _open(world, management)
    await _in_turn(world, [unit for unit in world.units if unit.slot == "entry"])
    await _in_turn(world, [unit for unit in world.units if unit.slot == "standby"])
    listed = {one["serial_number"]: one for one in await world.rest.every("/adapters")}
    found.api(
        f"{len(world.units)} adapters", f"{len(listed)} adapters", listed.keys() == {u.serial for u in world.units}
    )
    astray = [s for s, place in world.places.items() if listed.get(s, {}).get("place") != place]
    found.api("each in the slot it was meant for", f"astray: {astray or 'none'}", not astray)
    # The controller looks for SSH adapters by itself: some may have made contact already.
    waiting = [s for s, one in listed.items() if one["life"] not in {"installed", "in-service"}]
    found.api("every checklist complete", f"not installed: {waiting or 'none'}", not waiting)
    await _registered_once(world, found)
    overview = await world.fleet.ask("overview")
    typed = sum(one["lines"] for one in overview["cli"].values())
    found.device("nothing was written to a device", f"{typed} lines typed", typed == 0 and not overview["arms"])
    keys = len(world.ls_keys)
    found.device("one LS key for each unit that phones home", f"{keys} keys", keys == len(world.arms))


async def _open(world: World, management: Management) -> None:
    contractor = await world.rest.post("/contractors", {"name": management.contractor})
    entries, standbys = counts(world.units, management)
    made = await world.rest.post(
        "/managements",
        {
            "contractor": contractor["key"],
            "service": management.service,
            "classes": list(management.classes),
            "name": management.name,
            "entry_count": entries,
            "standby_count": standbys,
        },
    )
    for slot, path in (("entry", "/entries"), ("standby", "/standbys")):
        free = [one["key"] for one in await world.rest.every(path, management=made["key"])]
        units = [u for u in world.units if u.family in management.families and u.slot == slot]
        for unit, key in zip(units, free, strict=True):
            world.places[unit.serial] = key
            world.contractors[unit.serial] = contractor["key"]


async def _in_turn(world: World, units: Iterable[Unit]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(unit: Unit) -> None:
        async with gate:
            await _register(world, unit)

    async with asyncio.TaskGroup() as group:
        for unit in units:
            group.create_task(one(unit))


async def _register(world: World, unit: Unit) -> None:
    place = world.places[unit.serial]
    body: Json = {
        "serial_number": unit.serial,
        "contractor": world.contractors[unit.serial],
        "service": unit.service,
        "device_class": unit.device_class,
        "model": unit.model,
        "hardware": unit.hardware,
        "place": {unit.slot: place},
    }
    if unit.is_arms:
        body["distribution_id"] = unit.distribution_id
    else:
        known = world.endpoints[unit.serial]
        body["endpoint"] = {"host": known["host"], "port": known["port"], "username": USERNAME, "password": PASSWORD}
    made = await world.rest.post("/adapters", body)
    if unit.is_arms:
        world.ls_keys[unit.serial] = made["ls_key"]
    for item in onboarding.required(unit.device_class):
        await world.rest.put(f"/adapters/{unit.serial}/checklist/{item}", {"note": "demo"})
    if unit.slot == "entry":
        labels = {"family": unit.family}
        await world.rest.patch(f"/entries/{place}", {"name": unit.hostname, "site": unit.site, "labels": labels})
        if unit.is_arms:
            await write(world, place, texts.startup(unit), "first config")
            await world.rest.post(f"/entries/{place}/configs/startup")


async def write(world: World, entry: str, modules: dict[int, str], reason: str) -> Json:
    """Store a working config."""
    body = {"modules": [{"id": number, "text": text} for number, text in modules.items()], "reason": reason}
    return await world.rest.put(f"/entries/{entry}/configs/working", body)


async def _registered_once(world: World, found: Findings) -> None:
    """SMF-1: a serial number that is taken stays taken, however it is written, and in the other service too."""
    unit = world.of("seil")[0]
    again = {
        "serial_number": f" {unit.serial.lower()} ",
        "contractor": world.contractors[unit.serial],
        "service": "smfsx",
        "model": unit.model,
        "distribution_id": "0001-0000-0101-0009-0200-5EFF-FE00-FFFF",
    }
    try:
        await world.rest.post("/adapters", again)
    except Refused as refusal:
        found.api("the same serial number is refused (SMF-1)", refusal, refusal.problem.get("rule") == "SMF-1")
    else:
        found.api("the same serial number is refused (SMF-1)", "it was registered twice", False)
