"""What is ordered in one request, or hangs on no rental, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from controller.keyring import Keyring
from controller.store import amounts, contracts, contractsteps, entries, groupchange, managements, prices, slots
from controller.store.database import Database
from controller.store.groupchange import NewGroup
from inventory.applications import Wanted
from inventory.calendar import Month
from inventory.contractevents import ChangeOption, Notice, ProviderTerminates
from inventory.contracts import State
from inventory.errors import NotFound, RuleViolation
from inventory.prices import Price, firewall_item
from tests.controller.store.contracting import (
    ADAPTER,
    FIREWALL,
    MANAGEMENT,
    MOBILE,
    PLAIN,
    RENTAL,
    TODAY,
    Office,
    on,
)
from tests.controller.store.fleet import ALL, BY, Fleet

FIRST = date(2025, 11, 1)


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


@pytest.mark.rule("MPC-6.7", "MPC-6.8")
async def test_a_plan_changes_to_packet_share_with_a_new_group_in_one_request(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    event = ChangeOption(TODAY, "plan", "packet-share")
    async with fleet.database.write() as tx:
        mobile = lines["mobile-access"].id
        await groupchange.change(tx, ALL, office.keyring, BY, mobile, event, NewGroup("share", 60, "<form/>"))
        every = await contracts.lines_of(tx, who.id)
    group = next(one for one in every if one.kind == "packet-share-group")
    before, after = await office.standing(group), await office.standing(group, FIRST)
    assert (before.contract.state, before.contract.billing_start) == (State.ACCEPTED, FIRST)
    assert (after.contract.state, after.contract.values) == (State.ACTIVE, {"packs-gb": 60})
    joined = await office.standing(lines["mobile-access"], FIRST)
    assert (joined.contract.values["plan"], joined.group_line_id) == ("packet-share", group.id)
    assert (await office.standing(lines["mobile-access"])).group_line_id is None


@pytest.mark.rule("MPC-6.7", "MPC-9.2(3)", "MPC-9.2(2)(i)")
@pytest.mark.parametrize(
    ("what", "value", "packs_gb", "rule"),
    [
        ("plan", "packet-share", 49, "MPC-9.2(3)"),
        ("plan", "10GB", 60, "MPC-6.7"),
        ("network-type", "fixed-ip", 60, "MPC-6.7"),
        ("plan", "normal", 60, "MPC-6.7"),
    ],
)
async def test_what_the_rules_refuse_of_it_leaves_neither_group_nor_change(
    fleet: Fleet, office: Office, what: str, value: str, packs_gb: int, rule: str
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)

    async def change() -> None:
        async with fleet.database.write() as tx:
            event, new = ChangeOption(TODAY, what, value), NewGroup("share", packs_gb, "<form/>")
            await groupchange.change(tx, ALL, office.keyring, BY, lines["mobile-access"].id, event, new)

    with pytest.raises(RuleViolation) as refused:
        await change()
    assert refused.value.rule == rule
    async with fleet.database.read() as tx:
        assert len(await contracts.lines_of(tx, who.id)) == 3
    assert (await office.standing(lines["mobile-access"])).contract.pending == ()


@pytest.mark.rule("SMF-4.2", "SMF-2", "SMF-23.3")
async def test_ultra_firewall_without_a_rental_follows_its_adapter_and_ends_with_the_management(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    management = (await office.contract(who, PLAIN, service="smfsx"))["management"]
    (management_id,) = (await office.standing(management)).managements
    unit = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/x86 Fuji")
    option = Wanted("ultra-firewall", serial_number=unit.serial.shown)
    with pytest.raises(RuleViolation) as refused:
        await office.contract(who, option, service="smfsx")
    assert refused.value.rule == "SMF-4.2"
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=management_id)
        item, since = firewall_item("seil-x86-fuji"), date(2025, 1, 1)
        await prices.put(tx, ALL, BY, [Price(item, "initial", 500, since), Price(item, "monthly", 930, since)])
    line = (await office.contract(who, option, service="smfsx"))["ultra-firewall"]
    assert (await office.standing(line)).contract.state is State.ACTIVE
    async with fleet.database.read() as tx:
        charges = (await amounts.of_line(tx, ALL, line.id, Month(2025, 11))).charges
    assert [(one.what, one.amount.yen) for one in charges] == [("monthly", 930)]
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, BY, unit.id)
    await office.day(who, TODAY)
    assert (await office.standing(line)).contract.state is State.DORMANT
    await office.record(management, Notice(TODAY))
    ended = (await office.standing(line, date(2025, 11, 18))).contract
    assert (ended.state, ended.effective) == (State.ENDED, date(2025, 11, 17))


@pytest.mark.rule("SMF-23.3")
async def test_ultra_firewall_without_a_rental_moves_with_its_adapter_to_another_management(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    here = (await office.contract(who, PLAIN, service="smfsx"))["management"]
    there = (await office.contract(who, replace(PLAIN, name="Gifu"), service="smfsx"))["management"]
    (from_id,), (to_id,) = [(await office.standing(one)).managements for one in (here, there)]
    unit = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/x86 Fuji")
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=from_id)
    option = Wanted("ultra-firewall", serial_number=unit.serial.shown)
    line = (await office.contract(who, option, service="smfsx"))["ultra-firewall"]
    later = on(TODAY + timedelta(days=1))
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, later, unit.id)
        await slots.assign(tx, ALL, later, unit.id, management_id=to_id)
    await office.record(here, Notice(TODAY), by=later)
    over = date(2025, 12, 31)
    assert (await office.standing(here, over)).contract.state is State.ENDED
    moved = await office.standing(line, over)
    assert (moved.contract.state, moved.on_line_id) == (State.ACTIVE, there.id)
    assert (await office.standing(line)).on_line_id == here.id
    as_known_before = (await office.standing(line, over, known_at_ms=BY.at_ms)).contract
    assert as_known_before.state is State.ACTIVE
    await office.record(there, Notice(later_day := TODAY + timedelta(days=1)), by=later)
    ended = (await office.standing(line, over)).contract
    assert (ended.state, ended.effective) == (State.ENDED, later_day + timedelta(days=30))


@pytest.mark.rule("SMF-23.3", "SMF-13")
async def test_ultra_firewall_that_has_moved_into_another_contractors_management_ends_with_that(
    fleet: Fleet, office: Office
) -> None:
    who, host = await fleet.contractor(), await fleet.contractor("South Foods")
    own, other = [(await office.contract(one, PLAIN, service="smfsx"))["management"] for one in (who, host)]
    (from_id,), (to_id,) = [(await office.standing(one)).managements for one in (own, other)]
    unit = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/x86 Fuji")
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=from_id)
    option = Wanted("ultra-firewall", serial_number=unit.serial.shown)
    line = (await office.contract(who, option, service="smfsx"))["ultra-firewall"]
    later = on(TODAY + timedelta(days=1))
    async with fleet.database.write() as tx:
        await managements.consent(tx, ALL, BY, to_id, contractor_id=who.id, proof="letter 3")
        await slots.release(tx, ALL, later, unit.id)
        await slots.assign(tx, ALL, later, unit.id, management_id=to_id)
    await office.record(other, Notice(TODAY), by=later)
    last = TODAY + timedelta(days=30)
    assert (await office.standing(line, last)).contract.state is State.ACTIVE
    ended = (await office.standing(line, last + timedelta(days=1))).contract
    assert (ended.state, ended.effective) == (State.ENDED, last)
    assert (await office.standing(own, last + timedelta(days=1))).contract.state is State.ACTIVE


@pytest.mark.rule("MPC-6.7", "MPC-6.8", "MPC-9.7")
async def test_a_group_that_was_ordered_with_a_change_that_is_replaced_never_begins_and_takes_nobody(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    mobile = lines["mobile-access"]
    async with fleet.database.write() as tx:
        event = ChangeOption(TODAY, "plan", "packet-share")
        await groupchange.change(tx, ALL, office.keyring, BY, mobile.id, event, NewGroup("share", 60, "<form/>"))
        every = await contracts.lines_of(tx, who.id)
    group = next(one for one in every if one.kind == "packet-share-group")
    await office.record(mobile, ChangeOption(TODAY, "plan", "30GB"))
    assert (await office.standing(mobile, FIRST)).contract.values["plan"] == "30GB"
    gone = (await office.standing(group, FIRST)).contract
    assert (gone.state, gone.started, gone.effective) == (State.ENDED, False, FIRST - timedelta(days=1))
    async with fleet.database.read() as tx:
        assert (await amounts.of_line(tx, ALL, group.id, Month.of(FIRST))).charges == ()

    async def join() -> None:
        async with fleet.database.write() as tx:
            await contractsteps.record(tx, ALL, office.keyring, BY, mobile.id, event, group_line_id=group.id)

    await office.record(group, ProviderTerminates(TODAY, FIRST - timedelta(days=1), "unavoidable", TODAY))
    with pytest.raises(RuleViolation) as refused:
        await join()
    assert refused.value.rule == "MPC-6.8"


@pytest.mark.rule("SMF-4.2")
async def test_an_option_is_ordered_again_only_from_the_day_after_its_last(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, FIREWALL, service="smfsx")
    await office.record(lines["ultra-firewall"], Notice(TODAY))
    again = await office.apply(who, FIREWALL, service="smfsx")
    last = TODAY + timedelta(days=30)
    with pytest.raises(RuleViolation) as refused:
        await office.accept(again, billing_start=last)
    assert refused.value.rule == "SMF-4.2"
    await office.accept(again, billing_start=last + timedelta(days=1))


@pytest.mark.rule("SMF-4.2", "SMF-17.2")
async def test_ultra_firewall_is_not_applied_for_on_a_rental_by_serial_number_or_on_another_contractors_unit(
    fleet: Fleet, office: Office
) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    lines = await office.contract(who, PLAIN, RENTAL, service="smfsx")
    (management_id,) = (await office.standing(lines["management"])).managements
    rental = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/X1")
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, rental.id, management_id=management_id)
        assert len(await entries.page(tx, ALL, management_id=management_id, occupied=True)) == 1
    option = Wanted("ultra-firewall", serial_number=rental.serial.shown)
    with pytest.raises(RuleViolation):
        await office.contract(who, option, service="smfsx")
    with pytest.raises(NotFound):
        await office.contract(other, option, service="smfsx")
