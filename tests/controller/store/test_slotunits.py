"""Units that come with their standby, on both databases (MPC-1)."""

from __future__ import annotations

from datetime import date

import pytest

from controller.keyring import Keyring
from controller.store import adapters, counts, deadlines, entries, slots, slotunits
from controller.store.database import Database
from inventory.adapters import Adapter, Life, LifeEvent
from inventory.contractevents import Notice
from inventory.errors import Conflict, NotEligible
from inventory.slots import Entry, Management, Standby
from tests.controller.store.contracting import ADAPTER, MANAGEMENT, TODAY, Office
from tests.controller.store.fleet import ALL, BY, Fleet


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


async def deliver(fleet: Fleet, standby: Standby, unit: Adapter) -> None:
    async with fleet.database.write() as tx:
        await slotunits.deliver(tx, ALL, BY, standby.id, unit.serial)


async def first(fleet: Fleet, management: Management) -> tuple[Entry, Standby]:
    async with fleet.database.read() as tx:
        entry = (await entries.page(tx, ALL, management_id=management.id))[0]
        return entry, (await entries.page_standbys(tx, ALL, management_id=management.id))[0]


async def life(fleet: Fleet, unit: Adapter) -> Life:
    async with fleet.database.read() as tx:
        return (await adapters.get(tx, ALL, unit.id)).life


@pytest.mark.rule("MPC-1", "MPC-10.3")
async def test_a_unit_that_came_with_its_standby_is_due_back_when_the_slot_is_given_up_wherever_it_sits(
    fleet: Fleet,
) -> None:
    who = await fleet.contractor()
    osaka = await fleet.management(who)
    entry, standby = await first(fleet, osaka)
    unit = await fleet.adapter(who)
    await deliver(fleet, standby, unit)
    async with fleet.database.write() as tx:
        assert await slotunits.units(tx, [standby.id]) == {standby.id: unit.serial.shown}
        await slots.promote(tx, ALL, BY, entry_id=entry.id, standby_id=standby.id)
        await counts.change_counts(tx, ALL, BY, osaka.id, standby_count=0)
        due = await deadlines.upcoming(tx, ALL, BY.at_ms, 60)
    assert await life(fleet, unit) is Life.RETURN_DUE
    assert [(one.kind, one.day, one.rule) for one in due] == [("return", date(2025, 11, 16), "MPC-10.3")]


@pytest.mark.rule("MPC-1")
async def test_it_needs_no_contract_line_and_gets_none(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    line = (await office.contract(who, MANAGEMENT, ADAPTER))["adapter"]
    osaka = await fleet.management(who)
    _, standby = await first(fleet, osaka)
    spare, contracted = await fleet.adapter(who, model="SA-W2L"), await fleet.adapter(who, model="SA-W2L")
    await deliver(fleet, standby, spare)
    with pytest.raises(Conflict) as refused:
        await office.link(line, spare)
    assert refused.value.rule == "MPC-1"
    await office.link(line, contracted)
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, BY, spare.id)
        await adapters.set_life(tx, ALL, BY, spare.id, LifeEvent.LOSS_REPORTED)
    with pytest.raises(Conflict, match="has a contract line"):
        await deliver(fleet, standby, contracted)


@pytest.mark.rule("MPC-1", "SMF-2")
async def test_only_an_mpc_standby_comes_with_one_class_i_unit_of_its_contractor(fleet: Fleet) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    _, standby = await first(fleet, await fleet.management(who))
    _, plain = await first(fleet, await fleet.management(who, service="smfsx"))
    rental = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/X1")
    with pytest.raises(NotEligible) as refused:
        await deliver(fleet, plain, rental)
    assert refused.value.rule == "SMF-2"
    for wrong in (await fleet.adapter(other), await fleet.adapter(who, device_class="III", model="FortiGate"), rental):
        with pytest.raises(NotEligible) as refused:
            await deliver(fleet, standby, wrong)
        assert refused.value.rule == "MPC-1"


@pytest.mark.rule("MPC-1", "MPC-12.2")
async def test_a_second_unit_comes_only_after_the_first_has_failed_or_is_lost(fleet: Fleet) -> None:
    who = await fleet.contractor()
    _, standby = await first(fleet, await fleet.management(who))
    unit, second = await fleet.adapter(who), await fleet.adapter(who)
    await deliver(fleet, standby, unit)
    with pytest.raises(Conflict, match="has its unit"):
        await deliver(fleet, standby, second)
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.FAILURE_REPORTED)
        await slots.release(tx, ALL, BY, unit.id)
    await deliver(fleet, standby, second)
    async with fleet.database.read() as tx:
        assert await slotunits.units(tx, [standby.id]) == {standby.id: second.serial.shown}


@pytest.mark.rule("MPC-1")
async def test_with_its_management_the_unit_of_a_standby_is_due_thirty_days_after_the_last_day(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    line = (await office.contract(who, MANAGEMENT, ADAPTER))["management"]
    (management_id,) = (await office.standing(line)).managements
    async with fleet.database.read() as tx:
        (standby,) = await entries.page_standbys(tx, ALL, management_id=management_id)
    unit = await fleet.adapter(who)
    await deliver(fleet, standby, unit)
    await office.record(line, Notice(TODAY))
    await office.day(who, date(2025, 11, 18))
    assert await life(fleet, unit) is Life.RETURN_DUE
    async with fleet.database.read() as tx:
        (_, step) = (await adapters.life_history(tx, ALL, unit.id))[-1]
    assert step.due_day == date(2025, 12, 17)
