"""Steps: weeks of history come in, heartbeats go on, an overloaded link is flagged, a proposal drafted, reports made.

The ground truth is the generator in the process of the devices: octets that really passed, slot by slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from controller.demo.checks import Findings
from controller.demo.rest import Json, until
from controller.demo.roster import WAN_IFINDEX, Unit
from controller.demo.world import World
from drivers.simulator.traffic import SLOT_MS, Traffic, ndjson
from inventory.capacities import published
from inventory.periods import TOKYO, day_of, day_start_ms

CLOSED_S: Final = 60.0
"""Real seconds for days to be closed after an import: a tick of metering is ten of them at the demo's pace."""
HISTORY_DAYS: Final = 35
DAYS_EXPECTED: Final = 34
"""Of 35; just after midnight yesterday is not final yet."""
BUSY_SLOTS: Final = 12
CONGESTED_UTIL: Final = 0.85
REPORT_DAYS: Final = 7
EDGE_S: Final = 2
"""Seconds between two heartbeats at the demo's pace: what passes in them may count on the other side of an edge."""
FINAL_AFTER_MS: Final = 900_000
"""A period is final a quarter of an hour after its end (metering §2.4)."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Octets that really passed a WAN interface, by slots from `start_ms` on."""

    start_ms: int
    into: list[int]
    out: list[int]

    def day(self, day: date) -> tuple[list[int], list[int]]:
        """In and out of the slots of a local day."""
        first = (day_start_ms(day, TOKYO) - self.start_ms) // SLOT_MS
        last = (day_start_ms(day + timedelta(days=1), TOKYO) - self.start_ms) // SLOT_MS
        return self.into[first:last], self.out[first:last]

    def busy_octets(self, day: date) -> float:
        """Mean of the twelve neighbouring slots with the most octets, in and out together."""
        into, out = self.day(day)
        both = [one + other for one, other in zip(into, out, strict=True)]
        return max(sum(both[i : i + BUSY_SLOTS]) for i in range(len(both) - BUSY_SLOTS + 1)) / BUSY_SLOTS


async def history(world: World, found: Findings) -> None:
    """Lines are entered with their rates, and 35 days of past readings are imported through the public API."""
    for unit in world.metered:
        await _link(world, unit)
    expected = (world.history_end_ms - world.history_start_ms) // SLOT_MS + 1
    for unit in world.metered:
        done = await world.rest.post_lines("/readings", _lines(world, unit))
        found.api(f"{expected} readings of {unit.serial} are new", f"{done['new']} new", done["new"] == expected)
    again = await world.rest.post_lines("/readings", _lines(world, world.metered[0]))
    found.api("the same again changes nothing", again, again["slot_days"] == 0)
    for unit in world.metered:
        await _days_closed(world, unit, found)


async def _link(world: World, unit: Unit) -> None:
    metered = unit.metered
    assert metered is not None
    link = await world.rest.post(
        "/links",
        {
            "entry": world.entry_of(unit),
            "interface": metered.interface,
            "role": "wan",
            "ifindex": WAN_IFINDEX if unit.is_arms else None,
            "line_type": metered.line_type,
        },
    )
    world.links[unit.serial] = link["id"]
    rates: list[Json] = [{"kind": "line", "down_bps": metered.line_bps, "up_bps": metered.line_bps}]
    figure = _model_figure_bps(unit)
    if figure is not None:
        rates.append({"kind": "model", "down_bps": figure})
    first = day_of(world.history_start_ms, TOKYO).isoformat()
    for rate in rates:
        body = {**rate, "valid_from": first, "reason": "contract and data sheet"}
        await world.rest.post(f"/links/{link['id']}/capacities", body)


def _model_figure_bps(unit: Unit) -> int | None:
    """What the maker says its kind of traffic runs at: a FortiGate inspects, a router forwards."""
    known = published(unit.hardware) if unit.hardware else None
    if known is None:
        return None
    return known.inspected_bps if unit.family == "fortios" else known.forwarding_bps


def _lines(world: World, unit: Unit) -> Iterator[bytes]:
    assert unit.metered is not None
    readings = Traffic(unit.metered.profile, world.history_start_ms).readings(
        world.history_start_ms, world.history_end_ms
    )
    return ndjson(world.entry_of(unit), unit.metered.interface, readings)


async def _days_closed(world: World, unit: Unit, found: Findings) -> None:
    link = world.links[unit.serial]
    first = day_of(world.history_start_ms, TOKYO)
    wanted = [first + timedelta(days=n) for n in range(HISTORY_DAYS)]

    async def look() -> dict[tuple[str, str], Json]:
        after = (wanted[-1] + timedelta(days=1)).isoformat()
        days = await world.rest.array(f"/links/{link}/days", first=first.isoformat(), after=after)
        return {(one["day"], one["direction"]): one for one in days if one["valid"]}

    def enough(days: dict[tuple[str, str], Json]) -> bool:
        return sum(direction == "down" for _, direction in days) >= DAYS_EXPECTED

    days = await until(look, enough, timeout_s=CLOSED_S, what=f"days of {unit.serial}")
    count = sum(direction == "down" for _, direction in days)
    found.api(f"{DAYS_EXPECTED} days of {unit.serial} are valid", f"{count} days", enough(days))
    truth = await true_octets(world, unit)
    wrong = []
    for day in wanted:
        for direction, octets in zip(("down", "up"), truth.day(day), strict=True):
            one = days.get((day.isoformat(), direction))
            if one is not None and not one["volume_low_octets"] <= sum(octets) <= one["volume_high_octets"]:
                wrong.append((day.isoformat(), direction, one["volume_low_octets"], sum(octets)))
    found.device(f"each day's volume of {unit.serial} holds what really passed", wrong[:2] or "all do", not wrong)


async def true_octets(world: World, unit: Unit) -> Truth:
    """What the generator says of the whole history."""
    said = await world.fleet.ask(
        "octets", serial=unit.serial, start_ms=world.history_start_ms, end_ms=world.history_end_ms
    )
    return Truth(world.history_start_ms, said["in_octets"], said["out_octets"])


async def live(world: World, found: Findings) -> None:
    """Where the import ends, heartbeats of the devices go on with the same counters."""
    unit = next(unit for unit in world.metered if unit.is_arms)
    link = world.links[unit.serial]
    today = day_of(world.history_end_ms, TOKYO)
    first_slot = (world.history_end_ms - day_start_ms(today, TOKYO)) // SLOT_MS

    async def look() -> Json:
        after = today + timedelta(days=2)
        return await world.rest.get(f"/links/{link}/slots", first=today.isoformat(), after=after.isoformat())

    slots = await until(
        look,
        lambda seen: sum(seen["down"]["covered_ms"][first_slot:]) > 0,
        timeout_s=CLOSED_S,
        what="a slot covered by heartbeats",
    )
    end = next(i for i in range(len(slots["down"]["low"]), 0, -1) if slots["down"]["covered_ms"][i - 1])
    covered_s = sum(slots["down"]["covered_ms"][first_slot:end]) // 1000
    found.api("slots go on after the import", f"{covered_s} s covered by heartbeats", covered_s > 0)
    end_ms = world.history_end_ms + (end - first_slot) * SLOT_MS
    said = await world.fleet.ask("octets", serial=unit.serial, start_ms=world.history_end_ms, end_ms=end_ms)
    counted, passed = slots["down"]["low"][first_slot:end], said["in_octets"]
    edge = max(passed) * EDGE_S * 1000 // SLOT_MS
    wrong = [(low, octets) for low, octets in zip(counted, passed, strict=True) if low > octets + edge]
    whole = f"{sum(counted)} octets counted, {sum(passed)} in these slots to their end"
    found.device("no slot counts more than really passed", wrong or whole, not wrong and sum(counted) <= sum(passed))
    truth = await world.fleet.truth(unit.serial)
    beats = truth["heartbeats_sent"]
    found.device("the device goes on beating", f"{beats} heartbeats sent", beats > 2)


def overloaded(world: World) -> Unit:
    """The unit that has to inspect more than it can: the first FortiGate."""
    return world.of("fortios")[0]


async def congestion(world: World, found: Findings) -> None:
    """The overloaded link, and no other, is flagged; a switch of model is proposed with its evidence."""
    unit = overloaded(world)
    link = world.links[unit.serial]

    async def look() -> list[Json]:
        return await world.rest.every("/congestion", level=2)

    hot = await until(
        look, lambda seen: any(one["link"]["id"] == link for one in seen), timeout_s=CLOSED_S, what="the flag"
    )
    flagged = {one["link"]["id"] for one in hot}
    found.api("the overloaded link is flagged, and no other", f"links {sorted(flagged)}", flagged == {link})
    told = await world.rest.get(f"/links/{link}/explain")
    found.api("explain says congested", told["summary"], told["word"] in {"congested", "critical"})
    drafts = await until(
        lambda: world.rest.every("/proposals", entry=world.entry_of(unit)),
        bool,
        timeout_s=CLOSED_S,
        what="the proposal",
    )
    draft = drafts[0]
    said = f"{draft['state']}, {draft['kind']}: {draft['text']}"
    found.api("a switch of model is drafted", said, draft["state"] == "draft" and "model" in draft["kind"])
    better = published(str(draft["model"] or ""))
    found.api(
        "to a model that inspects more", draft["model"], (better.inspected_bps or 0 if better else 0) > _figure(unit)
    )
    found.api("with evidence", sorted(draft["evidence"]), bool(draft["evidence"]))
    for one in world.metered:
        await _truly_busy(world, one, found, congested=one is unit)


def _figure(unit: Unit) -> int:
    figure = _model_figure_bps(unit)
    assert figure is not None
    return figure


async def _truly_busy(world: World, unit: Unit, found: Findings, *, congested: bool) -> None:
    """What the generator says of the last week's busy hours, against what the unit or its line is taken to bear."""
    assert unit.metered is not None
    bears_bps = _figure(unit) * 0.6 if congested else unit.metered.line_bps
    truth = await true_octets(world, unit)
    today = day_of(world.history_end_ms, TOKYO)
    shares = [truth.busy_octets(today - timedelta(days=n)) * 8 / (SLOT_MS / 1000) / bears_bps for n in range(1, 8)]
    full = sum(share >= CONGESTED_UTIL for share in shares)
    said = f"busy hours of the last week: {', '.join(f'{share:.0%}' for share in shares)}"
    if congested:
        found.device(f"{unit.serial} really was overloaded", said, full >= 3)
    else:
        found.device(f"{unit.serial} really was not", said, full < 3)


async def report(world: World, found: Findings) -> None:
    """A report of the last whole week, as HTML and CSV, with the origin of each day."""
    unit = overloaded(world)
    today = day_of(world.history_end_ms - FINAL_AFTER_MS, TOKYO)
    day = today - timedelta(days=today.weekday() + REPORT_DAYS)
    body = {"contractor": world.contractors[unit.serial], "period": "week", "day": day.isoformat()}
    made = await world.rest.post("/reports", body)
    found.api("a report is made, and final", made["state"], made["state"] == "final")
    html = await world.rest.text("/reports/file", key=made["key"], format="html")
    csv = await world.rest.text("/reports/file", key=made["key"], format="csv")
    found.api("as HTML and CSV, with one digest", made["sha256"], made["sha256"] in html and made["sha256"] in csv)
    data = await world.rest.get("/reports/file", key=made["key"], format="json")
    mine = next(one for one in data["links"] if one["link"] == world.links[unit.serial])
    origins = {one["day"]: one["origins"] for one in mine["days"]}
    found.api("it names the origin of each day", origins, len(origins) == REPORT_DAYS and all(origins.values()))
    again = await world.rest.post("/reports", body)
    found.api("made again it is the same", again["sha256"], again["sha256"] == made["sha256"])
    folder = world.daemon.directory / "reports"
    world.report_paths = [str(folder / name) for name in made["files"]]
    there = [name for name in made["files"] if (folder / name).is_file()]
    found.device("the files are on the disk", there, len(there) == len(made["files"]) >= 2)
    truth = await true_octets(world, unit)
    wrong = []
    for one in mine["days"]:
        into, out = truth.day(date.fromisoformat(one["day"]))
        for direction, octets in (("down", sum(into)), ("up", sum(out))):
            low, high = one[direction]["volume_low_octets"], one[direction]["volume_high_octets"]
            if not low <= octets <= high:
                wrong.append((one["day"], direction, low, octets, high))
    found.device("its volumes hold what really passed", wrong[:2] or "all do", not wrong)
