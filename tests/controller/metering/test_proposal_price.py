"""From counters to yen: a lent router that is too small, figures that an operator entered, the contractor's prices."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from controller.keyring import Keyring
from controller.metering.service import MeteringService
from controller.store import links, modelfigures, prices, proposals, slots
from controller.store.database import Database
from controller.store.links import NewLink
from controller.store.proposals import Proposal
from controller.store.traffic import TrafficDatabase
from drivers.simulator.traffic import Profile, Traffic, ndjson
from inventory.applications import Wanted
from inventory.capacities import PublishedModel
from inventory.links import Capacity, CapacityKind, LinkRole
from inventory.periods import TOKYO, day_start_ms
from inventory.prices import Price, adapter_item, rows
from tests.clock import ManualClock
from tests.controller.metering.reporting import ON_SQLITE
from tests.controller.store.contracting import TODAY, Office
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet

pytestmark = ON_SQLITE

DAYS = 30
HEAVY = Profile(seed=14, kind="office", capacity_bps=1_000_000_000, busy_share=0.2, bursts=False)
"""200 Mbit/s down and 80 up in the busy hour."""
SMALL = PublishedModel("SEIL/X4", "recipe", "measured", forwarding_bps=350_000_000, model="seil-x4", origin="operator")
LARGE = PublishedModel(
    "SEIL CA10", "recipe", "measured", forwarding_bps=1_200_000_000, sold=True, ports=6, model="seil-ca10"
)
EVEN_LARGER = PublishedModel(
    "SEIL BPV4", "seil", "measured", forwarding_bps=9_000_000_000, sold=True, ports=1, model="seil-bpv4"
)


async def proposed(
    database: Database, traffic: TrafficDatabase, clock: ManualClock, keyring: Keyring, *, without: str = ""
) -> Proposal | None:
    """A class I SEIL/X4 with two metered ports that carried too much for a month; what is drafted for its place."""
    fleet, office = Fleet(database, keyring), Office(database, keyring)
    who = await fleet.contractor()
    management = Wanted("management", name="Osaka", classes=("I",), entries=1, standbys=0)
    lines = await office.contract(
        who, management, Wanted("adapter", name="edge", device_class="I", model="SEIL/X4"), service="mpc"
    )
    (management_id,) = (await office.standing(lines["management"])).managements
    unit = await fleet.adapter(who, model="SEIL/X4")
    await office.link(lines["adapter"], unit)
    since = date(2025, 1, 1)
    async with database.write() as tx:
        listed = [Price(item, fee, 3_000 if fee == "monthly" else 10_000, since) for item, fee in rows()]
        await prices.put(tx, ALL, BY, [one for one in listed if one.item.name != without])
        if not without:
            own = Price(adapter_item("I", "seil-ca10"), "monthly", 4_500, since, who.id)
            await prices.put(tx, ALL, BY, [own])
        for known in (SMALL, LARGE, EVEN_LARGER):
            await modelfigures.enter(tx, BY, known, TODAY)
        seat = await slots.assign(tx, ALL, BY, unit.id, management_id=management_id)
        link = await links.add(
            tx, ALL, BY, NewLink(seat.slot_id, "ge0", LinkRole.WAN, 1_000_000_000, None, "ipoe", TOKYO)
        )
        await links.add(tx, ALL, BY, NewLink(seat.slot_id, "ge1", LinkRole.LAN, 1_000_000_000, None, "static", TOKYO))
        rate = Capacity(CapacityKind.LINE, 1_000_000_000, 1_000_000_000, since)
        await links.set_capacity(tx, ALL, BY, link.id, rate)
    clock.step_ms(6 * 3_600_000)
    metering = MeteringService(database, traffic, clock)
    end_ms = day_start_ms(TODAY, TOKYO)
    readings = Traffic(HEAVY, end_ms - DAYS * DAY_MS).readings(end_ms - DAYS * DAY_MS, end_ms, step_ms=300_000)
    await metering.import_readings(ALL, b"".join(ndjson(f"E-{seat.slot_id}", "ge0", readings)))
    await metering.tick()
    async with database.read() as tx:
        return next(iter(await proposals.page(tx, ALL)), None)


@pytest.mark.rule("MPC-19", "MPC-16.1", "MPC-5")
async def test_the_smallest_lent_model_that_suffices_is_proposed_with_its_price_and_the_rest_of_the_old_period(
    database: Database, traffic: TrafficDatabase, clock: ManualClock, keyring: Keyring
) -> None:
    """SEIL BPV4 would be cheaper, but has one port and two are in use; the SA models have no figure."""
    found = await proposed(database, traffic, clock, keyring)
    assert found is not None
    assert (found.kind, found.model, found.monthly_delta_yen) == ("model", "SEIL CA10", 1_500)
    money = found.evidence["money"]
    assert money["monthly_yen"] == {"old": 3_000, "new": 4_500, "delta": 1_500}
    now, free = money["days"][:2]
    assert (now["name"], now["day"], now["initial_yen"]) == ("now", TODAY.isoformat(), 10_000)
    # Concluded today, so nearly the whole first year is left.
    assert 11 * 3_000 < now["rest_yen"] <= 12 * 3_000
    assert now["rest_arithmetic"]
    assert (free["day"], free["rest_yen"], free["once_yen"]) == ("2026-10-17", 0, 10_000)
    assert money["recommended"] == "now"  # the device is too small already
    assert money["new_minimum_period_end"] == (TODAY.replace(year=2026) - timedelta(days=1)).isoformat()
    assert "+1,500 yen" in found.text
    assert "差額+1,500円" in (found.text_ja or "")
    assert "the line can stay" in found.text
    # Without the figure that it rests on it says nothing any more, though the same router sits there.
    async with database.write() as tx:
        await modelfigures.withdraw(tx, BY, "SEIL/X4")
    await MeteringService(database, traffic, clock).draft_proposals()
    async with database.read() as tx:
        last = (await proposals.steps(tx, ALL, found.id))[-1]
    assert (last.state, last.reason) == ("superseded", "capacity-changed")


async def test_a_missing_price_leaves_the_model_and_takes_the_money_away(
    database: Database, traffic: TrafficDatabase, clock: ManualClock, keyring: Keyring
) -> None:
    found = await proposed(database, traffic, clock, keyring, without="adapter:I:seil-ca10")
    assert found is not None
    assert (found.model, found.monthly_delta_yen, found.evidence["money"]) == ("SEIL CA10", None, None)
    assert "yen" not in found.text
