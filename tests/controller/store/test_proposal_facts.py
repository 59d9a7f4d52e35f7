"""What a proposal knows of the contract behind a place, out of the recorded facts of both databases."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from controller.keyring import Keyring
from controller.store import prices, proposalfacts, slots
from controller.store.database import Database
from controller.store.proposalfacts import ContractFacts
from inventory.contractevents import Notice
from inventory.prices import Price, rental_item, rows
from inventory.proposalmoney import money
from tests.controller.store.contracting import PLAIN, RENTAL, TODAY, Office, on
from tests.controller.store.fleet import ALL, BY, Fleet


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


async def facts(fleet: Fleet, entry_id: int, day: date = TODAY) -> ContractFacts:
    async with fleet.database.read() as tx:
        return await proposalfacts.of_entry(tx, entry_id, day)


@pytest.mark.rule("SMF-16.3")
async def test_a_rented_adapters_line_and_prices_are_found_behind_its_entry(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, service="smfsx")
    (management_id,) = (await office.standing(lines["management"])).managements
    async with fleet.database.write() as tx:
        since = date(2025, 1, 1)
        await prices.put(tx, ALL, BY, [Price(i, f, 3_100, since) for i, f in rows()])
        await prices.put(tx, ALL, BY, [Price(rental_item("seil-x2"), "monthly", 2_900, since, who.id)])
    unit = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/X1")
    await office.link(lines["adapter-rental"], unit)
    async with fleet.database.write() as tx:
        seat = await slots.assign(tx, ALL, BY, unit.id, management_id=management_id)
    found = await facts(fleet, seat.slot_id)
    assert found.line is not None
    assert (found.line.key, found.line.item, found.line.billing_start) == (
        lines["adapter-rental"].key,
        rental_item("seil-x1"),
        TODAY,
    )
    assert (found.suspended, found.ends) == (False, None)
    cost = money(found.line, rental_item("seil-x2"), found.prices, today=TODAY, saturation=None, early=None)
    assert cost is not None
    assert cost.monthly_delta_yen == -200
    assert cost.days[0].rest.yen > 11 * 3_000
    assert cost.days[1].rest.yen == 0

    await office.record(lines["management"], Notice(TODAY + timedelta(days=1)), by=on(TODAY + timedelta(days=1)))
    assert (await facts(fleet, seat.slot_id, TODAY + timedelta(days=1))).ends is not None
