"""Steps: an entry falls silent, a standby takes its place, and the old unit wakes up to nothing."""

from __future__ import annotations

from typing import Final

from controller.demo import texts
from controller.demo.checks import Findings
from controller.demo.contacting import IN_CONTACT, PROVEN, as_held, explained, says
from controller.demo.pushing import carried_out, modules_with, planned, running
from controller.demo.rest import Json, until
from controller.demo.roster import Unit
from controller.demo.world import World

SILENT_S: Final = 30.0
TAKEN_OVER_S: Final = 60.0
REFUSED: Final = frozenset({401, 403, 404})


def _pair(world: World) -> tuple[Unit, Unit]:
    """The entry's unit that will fail, and the standby that takes its place."""
    family = world.of("sa-w2")
    return family[0], next(unit for unit in family if unit.slot == "standby")


async def silence(world: World, found: Findings) -> None:
    """Somebody pulls the plug."""
    old, _ = _pair(world)
    await world.fleet.ask("unplug", serial=old.serial)
    told, late = await explained(world, [old], lambda one: one["word"] == "silent", timeout_s=SILENT_S)
    said = told[old.serial]
    found.api("explain says that it is silent, and what to do", said["summary"], not late)
    found.api("the next action names the standby", said["next_action"], "standby" in said["next_action"])
    truth = await world.fleet.truth(old.serial)
    found.device("it has no power", truth["state"], truth["state"] == "OFF")


async def promotion(world: World, found: Findings) -> None:
    """The standby takes the place: the config follows the place, then goes on changing there."""
    old, new = _pair(world)
    entry, standby = world.entry_of(old), world.places[new.serial]
    before = await world.rest.get(f"/entries/{entry}")
    after = await world.rest.post(f"/entries/{entry}/promote", {"standby": standby})
    found.api("the standby's adapter is in the entry", after["occupant"], after["occupant"] == new.serial)
    generation = after["generation"]
    found.api("the place has a new generation", generation, generation == before["generation"] + 1)
    spare = await world.rest.get(f"/standbys/{standby}")
    found.api("the standby slot is free", spare["occupant"], spare["occupant"] is None)
    unseated = await world.rest.get(f"/adapters/{old.serial}")
    found.api("the old unit sits nowhere", unseated["place"], unseated["place"] is None)
    told, late = await explained(
        world, [new], lambda one: says(one, IN_CONTACT) and says(one, PROVEN), timeout_s=TAKEN_OVER_S
    )
    found.api("the new unit is in contact and proven", told[new.serial]["summary"], not late)
    # What the place had when its unit fell silent: the first text and the change that was pushed.
    wanted = as_held(old, modules_with(world, old, texts.NTP)[0])
    held = running(await world.fleet.truth(new.serial))
    found.device("the new unit runs the startup config of the place", _same(held, wanted), held == wanted)
    plan = await planned(world, old, modules_with(world, old, texts.NTP, texts.AFTERWARDS), found)
    found.api(
        "a plan for the place is one for the new unit", plan["serial_number"], plan["serial_number"] == new.serial
    )
    done = await carried_out(world, plan, found)
    found.api("the place goes on being changed", f"{done['state']}: {done['said']}", done["outcome"] == "done")
    held = running(await world.fleet.truth(new.serial))
    marker = texts.marker(old.family, texts.AFTERWARDS)
    found.device("the new unit has the next change", marker in held, marker in held)


async def awakening(world: World, found: Findings) -> None:
    """Power returns to the old unit: it asks, is refused, and gets nothing of what is its place's now."""
    old, new = _pair(world)
    entry = world.entry_of(old)
    seen_before = len(await world.fleet.records(old.serial))
    await world.fleet.ask("plug", serial=old.serial)

    async def refusals() -> list[Json]:
        records = (await world.fleet.records(old.serial))[seen_before:]
        return [one for one in records if one["what"] == "refused" and one["detail"].get("code") in REFUSED]

    seen = await until(
        refusals,
        lambda records: any(one["detail"]["code"] == 404 for one in records),
        timeout_s=TAKEN_OVER_S,
        what="the refusal of the old unit",
    )
    codes = [one["detail"]["code"] for one in seen]
    found.device("it asked for its config and was refused: 404", codes, 404 in codes)
    truth = await world.fleet.truth(old.serial)
    found.device("it runs nothing", _same(running(truth), ""), not running(truth))
    marker = texts.marker(old.family, texts.AFTERWARDS)
    found.device("it holds nothing of what changed since", marker in str(truth), marker not in str(truth))
    since = [one for one in (await world.fleet.records(old.serial))[seen_before:] if one["what"] == "applied"]
    found.device("it was given no config at all", f"{len(since)} applied", not since)
    told, late = await explained(world, [old], lambda one: one["word"] in {"refused", "unseated"}, timeout_s=SILENT_S)
    said = told[old.serial]
    found.api("explain says that it sits in no slot", said["summary"], not late and "in no slot" in said["summary"])
    occupant = (await world.rest.get(f"/entries/{entry}"))["occupant"]
    found.api("the place stays with the new unit", occupant, occupant == new.serial)


def _same(held: str, wanted: str) -> str:
    return "equal" if held == wanted else f"{len(held.splitlines())} lines held, {len(wanted.splitlines())} wanted"
