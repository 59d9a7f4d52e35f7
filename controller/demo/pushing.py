"""Steps: one change per family, planned, shown, approved, pushed, verified, saved, read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from controller.demo import texts
from controller.demo.checks import Findings
from controller.demo.contacting import as_held
from controller.demo.registering import write
from controller.demo.rest import Json, until
from controller.demo.roster import Family, Unit
from controller.demo.world import World

PUSH_S: Final = 60.0
PASSED: Final = (
    "PREFLIGHT",
    "BASELINED",
    "ARMED",
    "APPLYING",
    "APPLIED",
    "REACHABLE",
    "VERIFIED",
    "CONFIRMED",
    "SAVED",
)
"""States that every family passes on the straight way; VERIFIED and CONFIRMED change places over ARMS."""


def push(family: Family) -> Callable[[World, Findings], Awaitable[None]]:
    """The step of a family, on the first place of it."""

    async def work(world: World, found: Findings) -> None:
        unit = world.of(family)[0]
        before = await world.fleet.truth(unit.serial)
        logins = len(before.get("logins", ()))
        plan = await planned(world, unit, modules_with(world, unit, texts.NTP), found)
        done = await carried_out(world, plan, found)
        await _api_words(world, unit, plan, done, found)
        after = await world.fleet.truth(unit.serial)
        if unit.is_arms:
            records = await world.fleet.records(unit.serial)
            _arms_truth(unit, before, after, records, found)
        else:
            _cli_truth(unit, after, logins, found)

    return work


def modules_with(world: World, unit: Unit, *servers: str) -> dict[int, str]:
    """Texts of the place of a unit, with those servers added to what it was delivered with."""
    modules = texts.startup(unit) if unit.is_arms else {0: str(world.endpoints[unit.serial]["text"])}
    for server in servers:
        modules[0] = texts.changed(unit.family, modules[0], server)
    return modules


async def planned(world: World, unit: Unit, modules: dict[int, str], found: Findings) -> Json:
    """Store the working config and make a plan; its diff must be the change and nothing else."""
    entry = world.entry_of(unit)
    await write(world, entry, modules, "one more time server")
    plan = await world.rest.post("/plans", {"entry": entry})
    signs = [line for line in plan["diff"].splitlines() if line[:1] in "+-"]
    new = [line for line in signs if line.startswith("+")]
    found.api("the diff shows the change", plan["diff"] or "nothing", bool(new) and len(new) == len(signs))
    found.api("the plan is proven", plan["proof"], plan["proven"] is True)
    return plan


async def carried_out(world: World, plan: Json, found: Findings) -> Json:
    """Approve the plan, start its push and wait for its end."""
    approved = await world.rest.post(f"/plans/{plan['id']}/approve")
    found.api("approved", approved["approvals"], len(approved["approvals"]) >= approved["approvals_needed"])
    started = await world.rest.post("/pushes", {"plan": plan["id"]})
    return await until(
        lambda: world.rest.get(f"/pushes/{started['id']}"),
        lambda push: push["outcome"] is not None,
        timeout_s=PUSH_S,
        what="the end of the push",
    )


async def _api_words(world: World, unit: Unit, plan: Json, push: Json, found: Findings) -> None:
    found.api("the push is done", f"{push['state']}: {push['said']}", push["outcome"] == "done")
    journal = await world.rest.array(f"/pushes/{push['id']}/journal")
    passed = [row["state"] for row in journal if row["verdict"] == "ok"]
    missing = [state for state in PASSED if state not in {one.upper() for one in passed}]
    found.api("reached anew, verified, confirmed, saved", f"missing: {missing or 'none'} of {passed}", not missing)
    kinds = ("running", "startup") if unit.is_arms else ("running",)
    for kind in (*kinds, "truth"):
        last = (await world.rest.get(f"/entries/{world.entry_of(unit)}/configs", kind=kind, limit=1))["items"]
        same = bool(last) and last[0]["digest"] == plan["intent_digest"]
        found.api(f"the place's {kind} config is what was wanted", last and last[0]["reason"], same)


def _arms_truth(unit: Unit, before: Json, after: Json, records: list[Json] | object, found: Findings) -> None:
    wanted = as_held(unit, texts.changed(unit.family, texts.startup(unit)[0]))
    held = running(after)
    found.device("it runs the changed text, to the letter", _differing(wanted, held), held == wanted)
    pushed = [one for one in _list(records) if one["what"] == "applied" and one["detail"].get("how") == "configure"]
    found.device("it took one push", f"{len(pushed)} applied", len({one["at_ms"] for one in pushed}) == 1)
    found.device("it did not restart", f"{after['boots']} boots", after["boots"] == before["boots"])
    open_ones = after["open_transactions"]
    found.device("no transaction is left open", open_ones or "none", not open_ones)


def _cli_truth(unit: Unit, after: Json, logins_before: int, found: Findings) -> None:
    marker = texts.marker(unit.family)
    for name in ("running", "saved"):
        count = after[name].count(f"{marker}\n")
        found.device(f"its {name} config holds the change once", f"{count} times", count == 1)
    found.device("running and saved are one", after["saved_digest"], after["running_digest"] == after["saved_digest"])
    found.device("no guard is left running", after["pending"] or "none", after["pending"] is None)
    log = after["log"]
    lines = [one for one in log if one["what"] == "line" and marker in one["detail"].get("line", "")]
    found.device("the change was typed once", f"{len(lines)} times", len(lines) == 1)
    kinds = [one["what"] for one in log]
    armed = kinds.index("armed") if "armed" in kinds else len(kinds)
    straight = [kind for kind in kinds[armed:] if kind in {"armed", "session", "confirmed", "saved"}]
    found.device(
        "guarded, then seen on a new session, then confirmed and saved",
        straight,
        _in_order(("armed", "session", "confirmed", "saved"), straight),
    )
    fresh = len(after["logins"]) - logins_before
    found.device("it was logged into more than once", f"{fresh} new logins", fresh >= 2)


def running(truth: Json) -> str:
    """What module 0 of an ARMS device really runs."""
    return next((str(module["running"] or "") for module in truth["modules"] if module["id"] == 0), "")


def _in_order(wanted: tuple[str, ...], seen: list[str]) -> bool:
    rest = iter(seen)
    return all(one in rest for one in wanted)


def _differing(wanted: str, held: str) -> str:
    if wanted == held:
        return "equal"
    missing, extra = (
        set(wanted.splitlines()) - set(held.splitlines()),
        set(held.splitlines()) - set(wanted.splitlines()),
    )
    return f"missing {sorted(missing)[:3]}, too many {sorted(extra)[:3]}"


def _list(records: object) -> list[Json]:
    assert isinstance(records, list)
    return records
