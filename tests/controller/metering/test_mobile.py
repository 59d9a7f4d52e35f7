"""What a SIM used, from the counters of the link that it sits behind, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import insert, select, update

from controller.keyring import Keyring
from controller.metering.mobile import MobileUse, use_of
from controller.metering.mobilewatch import MobileWatch
from controller.metering.service import PolledReading
from controller.store import contractors, events, links, mobile
from controller.store.contracts import ContractLine
from controller.store.links import NewLink
from controller.store.scope import Scope
from controller.store.tables.contracts import line_links
from controller.store.tables.inventory import entries, placements
from controller.store.traffic import Kept
from inventory.applications import Wanted
from inventory.calendar import Month
from inventory.contractevents import ChangeOption
from inventory.links import LinkRole
from inventory.mobileusage import RunOut, RunOutState
from inventory.periods import TOKYO, day_start_ms
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place
from tests.controller.store.contracting import ADAPTER, MANAGEMENT, MOBILE, Office, on

SLOT_MS = 300_000
OCTOBER = Month(2025, 10)
FIRST = date(2025, 10, 1)
FIRST_MS = day_start_ms(FIRST, TOKYO)
IN, OUT = 1_400_000, 350_000
"""Octets of each slot: 504 MB a day in both directions."""


@pytest.fixture
def office(place: Place, keyring: Keyring) -> Office:
    return Office(place.database, keyring)


async def contracted(place: Place, office: Office, *items: Wanted) -> dict[str, ContractLine]:
    """Lines in service since the first of October; the first adapter line's unit is the one in the place."""
    async with place.database.read() as tx:
        who = await contractors.get(tx, EVERYTHING, place.contractor_id)
    lines = await office.contract(who, MANAGEMENT, ADAPTER, *items, by=on(FIRST))
    async with place.database.write() as tx:
        when = {"day": FIRST.isoformat(), "recorded_ms": FIRST_MS, "actor": "test"}
        await tx.execute(insert(line_links).values(line_id=lines["adapter"].id, adapter_id=place.adapter_id, **when))
        await tx.execute(update(placements).values(from_ms=FIRST_MS))
    return lines


async def carried(place: Place) -> None:
    """A mobile link beside the line of the place, and what it has carried since the first of October."""
    async with place.database.write() as tx:
        new = NewLink(place.entry_id, "ppp0", LinkRole.WAN, 100_000_000, 9, mobile.LINE_TYPE, TOKYO)
        await links.add(tx, EVERYTHING, place.by(), new)
    await carried_on(place)


async def carried_on(place: Place) -> None:
    """What its counter tells up to now."""
    count = (place.clock.now_ms() - FIRST_MS) // SLOT_MS + 1
    kept = [
        Kept(FIRST_MS + i * SLOT_MS, i * IN, i * OUT, "snmp", speed_bps=100_000_000, adapter_id=place.adapter_id)
        for i in range(count)
    ]
    await place.metering.ingest_polled(PolledReading(place.adapter_id, place.entry_id, "ppp0", one) for one in kept)


async def use(place: Place, *lines: ContractLine, month: Month = OCTOBER) -> list[MobileUse]:
    return await use_of(place.database, place.traffic, [one.id for one in lines], month, place.clock.now_ms())


async def test_a_ten_gb_plan_is_measured_and_runs_out_on_the_twentieth(place: Place, office: Office) -> None:
    lines = await contracted(place, office, replace(MOBILE, plan="10GB"))
    await carried(place)
    (found,) = await use(place, lines["mobile-access"])
    slots = (place.clock.now_ms() - 3 * SLOT_MS - FIRST_MS) // SLOT_MS
    total = found.usage.total
    assert (total.octets_low, total.octets_high, total.coverage) == (slots * (IN + OUT),) * 2 + (1.0,)
    assert found.usage.days[FIRST].octets_low == 288 * (IN + OUT)
    assert found.run_out == RunOut(RunOutState.EXPECTED, *[date(2025, 10, 20)] * 3)
    assert found.next_month == RunOut(RunOutState.EXPECTED, *[date(2025, 11, 20)] * 3)
    thirty = next(one for one in found.changes if one.value == "30GB")
    assert (thirty.request_by, thirty.effective) == (date(2025, 10, 30), date(2025, 11, 1))
    assert (thirty.before_run_out, thirty.enough, found.linked) == (False, True, True)
    # A change that waits for its day counts for the next month.
    today = date(2025, 10, 18)
    await office.record(lines["mobile-access"], ChangeOption(today, "plan", "30GB"), by=on(today))
    (found,) = await use(place, lines["mobile-access"])
    assert (found.plan, found.allowance_gb, found.run_out.state) == ("10GB", 10, RunOutState.EXPECTED)
    assert found.next_month == RunOut(RunOutState.NONE)


async def test_a_group_is_the_sum_of_its_members_and_one_that_nobody_counts_leaves_it_open(
    place: Place, office: Office
) -> None:
    share = replace(MOBILE, name="s1", plan="packet-share", group="share")
    others = (replace(ADAPTER, name="away"), replace(share, name="s2", on="away"))
    lines = await contracted(place, office, share, *others, Wanted("packet-share-group", name="share", packs_gb=50))
    await carried(place)
    counted = lines["mobile-access"]
    found = {one.standing.line.id: one for one in await use(place, lines["packet-share-group"], counted)}
    group, access = found[lines["packet-share-group"].id], found[counted.id]
    assert len(group.members) == 2
    assert counted.id in group.members
    assert (group.allowance_gb, access.allowance_gb) == (50, None)
    assert group.usage.total.octets_low == access.usage.total.octets_low == access.usage.total.octets_high
    assert (group.usage.total.octets_high, group.usage.total.coverage) == (None, 0.5)
    assert access.run_out.state is RunOutState.NO_LIMIT
    assert (group.run_out.state, group.run_out.early) == (RunOutState.POSSIBLE, FIRST)


@pytest.mark.rule("MPC-9.2(2)(i)")
async def test_a_plan_that_runs_out_is_told_once_a_month_to_its_contractor_too(place: Place, office: Office) -> None:
    lines = await contracted(place, office, replace(MOBILE, plan="10GB"))
    await carried(place)
    (told,) = await place.metering.warn_of_mobile_plans()
    assert told.standing.line.id == lines["mobile-access"].id
    assert await place.metering.warn_of_mobile_plans() == []  # looked at today already
    again = MobileWatch(place.database, place.traffic, place.clock)
    assert await again.check() == []  # another node, or after a restart
    async with place.database.write() as tx:
        await events.publish(tx)
    async with place.database.read() as tx:
        (seen,) = await events.page(tx, Scope.of(place.contractor_id), kind="mobile")
    assert (seen.kind, seen.facts["line"], seen.facts["month"]) == ("mobile.running-out", told_key(told), "2025-10")
    assert (seen.facts["day"], seen.facts["plan"], seen.facts["coverage"]) == ("2025-10-20", "10GB", 1.0)
    place.clock.step_ms(4 * DAY_MS)
    await carried_on(place)
    (out,) = await place.metering.warn_of_mobile_plans()
    assert out.run_out.state is RunOutState.ALREADY


def told_key(one: MobileUse) -> str:
    return f"L-{one.standing.line.id}"


async def test_a_sim_without_a_mobile_link_is_found_and_told_as_not_measured(place: Place, office: Office) -> None:
    lines = await contracted(place, office, replace(MOBILE, plan="10GB"))
    (found,) = await use(place, lines["mobile-access"])
    total = found.usage.total
    assert (total.octets_low, total.octets_high, total.coverage, found.linked) == (0, None, 0.0, False)
    assert (found.run_out.state, found.run_out.early) == (RunOutState.POSSIBLE, FIRST)
    wanted = [lines["mobile-access"].id]
    async with place.database.read() as tx:
        seat = await tx.scalar(select(entries.c.management_id).where(entries.c.id == place.entry_id))
        management = int(seat or 0)

        async def numbers(**filters: int) -> list[int]:
            return await mobile.line_ids(tx, EVERYTHING, limit=9, **filters)

        assert await numbers() == await numbers(adapter_id=place.adapter_id) == wanted
        assert await numbers(contractor_id=place.contractor_id) == await numbers(management_id=management) == wanted
        assert await numbers(contractor_id=place.contractor_id + 1) == await numbers(management_id=999) == []
        assert await numbers(adapter_id=999) == await numbers(after=wanted[0]) == []


async def test_what_an_entry_carried_after_the_unit_left_is_not_the_sims(place: Place, office: Office) -> None:
    lines = await contracted(place, office, replace(MOBILE, plan="10GB"))
    await carried(place)
    left_ms = FIRST_MS + 10 * DAY_MS + SLOT_MS // 3
    async with place.database.write() as tx:
        await tx.execute(update(placements).values(to_ms=left_ms, end_cause="unassign"))
    (found,) = await use(place, lines["mobile-access"])
    assert found.usage.total.octets_low == 10 * 288 * (IN + OUT)
    assert found.usage.total.octets_high is None
    assert found.usage.days[date(2025, 10, 10)].octets_high == 288 * (IN + OUT)
    edge = found.usage.days[date(2025, 10, 11)]
    assert (edge.octets_low, edge.covered_ms, edge.wanted_ms) == (0, 0, DAY_MS)


async def test_a_month_before_the_service_has_used_nothing_and_later_ones_are_forecast_only_now(
    place: Place, office: Office
) -> None:
    lines = await contracted(place, office, replace(MOBILE, plan="10GB"))
    await carried(place)
    assert await use(place, lines["mobile-access"], month=Month(2025, 9)) == []
    place.clock.step_ms(31 * DAY_MS)
    (past,) = await use(place, lines["mobile-access"])
    assert (past.next_month, past.changes) == (None, ())
    assert past.usage.total.wanted_ms == 31 * DAY_MS
    assert past.usage.total.octets_high is not None
