"""Steps: adapters phone home, or are reached; either way they prove who they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from controller.demo import texts
from controller.demo.checks import Findings
from controller.demo.rest import Json, NotInTime, until
from controller.demo.roster import Unit
from controller.demo.world import World
from drivers.simulator.arms_tree import load_legacy, load_recipe

READY_S = 60.0
"""Real seconds for the whole fleet to boot, pull, confirm and be proven."""
BEATS = 2
IN_CONTACT = "is in contact and can be pushed to"
PROVEN = "its serial number was proven by the device itself"
BEATEN = "its last heartbeat came"


async def phone_home(world: World, found: Findings) -> None:
    """An installer writes LS address, root certificate and key into each unit and switches it on. The rest is ARMS."""
    await world.fleet.ask(
        "install", keys=world.ls_keys, ls_url=world.daemon.ls_url, root_ca_pem=world.daemon.root_ca_pem()
    )
    entries = [unit for unit in world.arms if unit.slot == "entry"]
    standbys = [unit for unit in world.arms if unit.slot == "standby"]
    told, late = await explained(world, entries, lambda one: says(one, IN_CONTACT) and says(one, PROVEN))
    found.api(f"{len(entries)} push-ready, serial number proven", _words(told, late), not late)
    waiting, late = await explained(world, standbys, lambda one: one["word"] == "standing by")
    found.api(f"{len(standbys)} standing by", _words(waiting, late), not late)
    beating, late = await explained(world, entries, lambda one: says(one, BEATEN))
    found.api("a heartbeat seen from each in an entry", _words(beating, late), not late)
    arms = await _beats(world, entries)
    silent = [u.serial for u in entries if arms[u.serial]["confirmed"] < 1 or arms[u.serial]["heartbeats"] < BEATS]
    found.device("each confirmed its path and beats", f"not yet: {silent or 'none'}", not silent)
    differ = [u.serial for u in entries if arms[u.serial]["running"] != as_held(u, texts.startup(u)[0])]
    found.device("each runs the config of its own place", f"others: {differ or 'none'}", not differ)
    holding = [u.serial for u in standbys if arms[u.serial]["running"]]
    found.device("no standby has ever held a config", f"holding one: {holding or 'none'}", not holding)


async def reach_out(world: World, found: Findings) -> None:
    """The controller connects, pins the host key and compares the serial number before it would write anything."""
    for unit in world.ssh:
        await world.rest.post(f"/adapters/{unit.serial}/identify")
    told, late = await explained(world, world.ssh, lambda one: says(one, PROVEN))
    found.api(f"{len(world.ssh)} reached, serial number proven", _words(told, late), not late)
    lives = {u.serial: (await world.rest.get(f"/adapters/{u.serial}"))["life"] for u in world.ssh}
    found.api("in service since the first contact", lives, set(lives.values()) == {"in-service"})
    pinned = {u.serial: (await world.rest.get(f"/adapters/{u.serial}/endpoint"))["host_key"] for u in world.ssh}
    overview = (await world.fleet.ask("overview"))["cli"]
    foreign = [s for s, key in pinned.items() if key != overview[s]["host_key"]]
    found.device("the host key pinned is the device's own", f"another one: {foreign or 'none'}", not foreign)
    logins = {s: one["logins"] for s, one in overview.items() if not one["logins"] or one["refused_logins"]}
    found.device("each saw a login, and none that it refused", f"otherwise: {logins or 'none'}", not logins)


def says(explanation: Json, words: str) -> bool:
    """Whether a fact of an explanation says so."""
    return any(fact["text"] == words for fact in explanation["facts"])


def as_held(unit: Unit, text: str) -> str:
    """The text as the device prints it when it has taken it in whole."""
    return (load_legacy if unit.family == "seil" else load_recipe)(text).text


async def explain(world: World, serial: str) -> Json:
    """Why an adapter is as it is."""
    return await world.rest.get(f"/adapters/{serial}/explain")


async def explained(
    world: World, units: Sequence[Unit], good: Callable[[Json], bool], *, timeout_s: float = READY_S
) -> tuple[dict[str, Json], list[str]]:
    """Explanations of units once they are all good, or as they are after the time-out; and who is not good."""
    told: dict[str, Json] = {}

    async def look() -> dict[str, Json]:
        for unit in units:
            if unit.serial not in told or not good(told[unit.serial]):
                told[unit.serial] = await explain(world, unit.serial)
        return told

    with contextlib.suppress(NotInTime):
        await until(look, lambda seen: all(good(one) for one in seen.values()), timeout_s=timeout_s, what="contact")
    return told, [serial for serial, one in told.items() if not good(one)]


def _words(told: dict[str, Json], late: list[str]) -> str:
    return f"not so: {[told[s]['summary'] for s in late[:3]]}" if late else f"{len(told)} are so"


async def _beats(world: World, units: list[Unit]) -> dict[str, Json]:
    async def look() -> dict[str, Json]:
        seen: dict[str, Json] = (await world.fleet.ask("overview"))["arms"]
        return seen

    def beating(seen: dict[str, Json]) -> bool:
        return all(seen[unit.serial]["heartbeats"] >= BEATS for unit in units)

    try:
        return await until(look, beating, timeout_s=READY_S, what="heartbeats")
    except NotInTime:
        return await look()
