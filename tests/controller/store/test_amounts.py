"""Amounts on both databases: computed from dated facts, as of any day and as known at any instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from controller.keyring import Keyring
from controller.store import adapters, amounts, contracts, contractsteps, counts, outages, prices, records, unitcharges
from controller.store.amounts import Statement
from controller.store.database import Database
from controller.store.records import About
from controller.store.scope import By, Scope
from inventory.adapters import LifeEvent, SerialNumber
from inventory.calendar import Month
from inventory.contractevents import ChangeOption, Notice
from inventory.errors import BadInput, Conflict, NotFound, RuleViolation
from inventory.prices import Price, firewall_item, mobile_item, rows
from inventory.records import NewRecord
from inventory.slots import Contractor
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
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet, later

OCTOBER, NOVEMBER = Month(2025, 10), Month(2025, 11)


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


async def listed(fleet: Fleet, monthly_yen: int = 3_100, *, by: By = BY, owner: int | None = None) -> None:
    """A complete list: one price for every row, but 90 yen a GB."""
    found = [
        Price(item, fee, 90 if fee == "monthly-per-gb" else monthly_yen, date(2025, 1, 1), owner)
        for item, fee in rows()
    ]
    async with fleet.database.write() as tx:
        await prices.put(tx, ALL, by, found)


async def said(
    fleet: Fleet, who: Contractor, month: Month, *, as_of: date | None = None, known_at_ms: int | None = None
) -> Statement:
    async with fleet.database.read() as tx:
        return await amounts.statement(tx, ALL, who.id, month, as_of=as_of, known_at_ms=known_at_ms)


def yen(found: Statement) -> dict[str, int]:
    return {
        f"{line.line.kind} {charge.words.removeprefix(charge.what + ' fee ')} {charge.what}": charge.amount.yen
        for line in found.lines
        for charge in line.charges
    }


async def test_a_month_is_charged_from_the_billing_start_with_its_rules_and_arithmetic(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    await listed(fleet)
    found = await said(fleet, who, OCTOBER)
    assert yen(found) == {
        "management mpc entry initial": 6_200,
        "management mpc standby initial": 3_100,
        "management mpc entry monthly": 2 * 3_100 * 14 // 31,
        "management mpc standby monthly": 1_400,
        "adapter mpc adapter:I:sa-w2l initial": 3_100,
        "adapter adapter monthly": 1_400,
        "mobile-access mpc mobile-access:dynamic-ip:normal initial": 3_100,
        "mobile-access mobile-access monthly": 1_400,
    }
    (monthly,) = [one for line in found.lines for one in line.charges if one.words == "monthly fee adapter"]
    assert monthly.amount.arithmetic == "2025-10: 3,100 × 14/31 = 1,400 yen"
    assert monthly.amount.rules == ("SMF-15.3", "SMF-15.4")
    bill = found.bills[who.id, "mpc"]
    base = sum(yen(found).values())
    assert (bill.total.tax_yen, bill.total.total_yen) == (base // 10, base + base // 10)
    assert yen(await said(fleet, who, NOVEMBER))["management mpc entry monthly"] == 6_200
    assert (await said(fleet, who, Month(2025, 9))).lines == ()


async def test_counts_that_changed_and_prices_that_were_corrected_are_as_they_were_known(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, service="smfsx")
    await listed(fleet)
    async with fleet.database.read() as tx:
        number = (await amounts.of_line(tx, ALL, lines["management"].id, NOVEMBER)).line.id
    assert number == lines["management"].id
    async with fleet.database.write() as tx:
        (management_id,) = (await office.standing(lines["management"])).managements
        await counts.change_counts(tx, ALL, later(5), management_id, entry_count=3, valid_from=date(2025, 11, 16))
    await listed(fleet, 6_200, by=later(9))
    entry = "management smfsx entry monthly"
    assert yen(await said(fleet, who, NOVEMBER, known_at_ms=BY.at_ms))[entry] == 2 * 3_100
    assert yen(await said(fleet, who, NOVEMBER, known_at_ms=BY.at_ms + 5))[entry] == 2 * 3_100 + 1_550
    assert yen(await said(fleet, who, NOVEMBER))[entry] == 2 * 6_200 + 3_100
    asked_before = await said(fleet, who, NOVEMBER, as_of=date(2025, 11, 15))
    assert yen(asked_before)[entry] == 2 * 6_200 + 3_100


async def test_what_was_asked_for_until_the_day_counts_and_what_was_asked_for_later_does_not(
    fleet: Fleet, office: Office
) -> None:
    """As of a day in October, November is what had been ordered by then: plan, count, end, and what ends with it."""
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    await listed(fleet)
    async with fleet.database.write() as tx:
        await prices.put(
            tx, ALL, BY, [Price(mobile_item("10GB", "dynamic-ip"), "monthly", 9_000, date(2025, 1, 1), None)]
        )
    await office.record(
        lines["mobile-access"], ChangeOption(date(2025, 10, 20), "plan", "10GB"), by=on(date(2025, 10, 20))
    )
    await office.record(lines["adapter"], Notice(date(2025, 10, 21)), by=on(date(2025, 10, 21)))
    (management_id,) = (await office.standing(lines["management"])).managements
    async with fleet.database.write() as tx:
        day = date(2025, 10, 22)
        await counts.change_counts(tx, ALL, on(day), management_id, entry_count=3, valid_from=date(2025, 11, 16))

    async def november(as_of: date) -> dict[str, int]:
        found = yen(await said(fleet, who, NOVEMBER, as_of=as_of))
        return {name.split()[0] + name[-8:]: of for name, of in found.items() if "standby" not in name}

    plain = {"management monthly": 6_200, "adapter monthly": 3_100, "mobile-access monthly": 3_100}
    assert await november(date(2025, 10, 19)) == plain
    assert await november(date(2025, 10, 20)) == plain | {"mobile-access monthly": 9_000}
    ended = {"adapter monthly": 3_100 * 20 // 30, "adaptertermsum": 0}
    after = await november(date(2025, 10, 21))
    assert after["adapter monthly"] == ended["adapter monthly"]
    assert after["mobile-access monthly"] == 9_000  # a plan by the gigabyte: the month of its stop is charged whole
    assert (await november(date(2025, 10, 21)))["management monthly"] == 6_200
    assert (await november(date(2025, 10, 22)))["management monthly"] == 6_200 + 1_550


async def test_an_event_that_was_taken_back_later_never_happened_as_of_any_day(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, service="smfsx")
    await listed(fleet)
    day = date(2025, 10, 20)
    await office.record(lines["adapter-rental"], Notice(day), by=on(day))
    async with fleet.database.write() as tx:
        number = (await contracts.events(tx, ALL, lines["adapter-rental"].id))[-1].id
        by = on(date(2025, 11, 2))
        await contractsteps.void(tx, ALL, office.keyring, by, lines["adapter-rental"].id, number, reason="a slip")
    name = "adapter-rental adapter-rental monthly"
    assert yen(await said(fleet, who, NOVEMBER, as_of=date(2025, 10, 25)))[name] == 3_100
    known = on(date(2025, 11, 1)).at_ms
    assert yen(await said(fleet, who, NOVEMBER, known_at_ms=known))[name] == 3_100 * 19 // 30


@pytest.mark.rule("MPC-16.1")
async def test_an_exemption_with_its_reason_takes_the_minimum_period_sum_away_until_it_is_taken_back(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    await listed(fleet)
    await office.record(lines["adapter"], Notice(TODAY), by=BY)

    async def sums(known_at_ms: int | None = None) -> list[str]:
        found = await said(fleet, who, NOVEMBER, known_at_ms=known_at_ms)
        return [line.line.kind for line in found.lines for one in line.charges if one.what == "minimum-period-sum"]

    async def exempt(by: By, clause: str = "28(2)", corrects: int | None = None, kind: str = "adapter") -> int:
        new = NewRecord("exemption", "mpc", date(2026, 1, 9), {"clause": clause, "reason": "the area was given up"})
        async with fleet.database.write() as tx:
            return (await records.keep(tx, ALL, by, new, About(line_id=lines[kind].id), corrects_id=corrects)).id

    assert await sums() == ["adapter"]
    number = await exempt(later(10))
    assert await sums() == []
    before = await said(fleet, who, NOVEMBER, as_of=date(2026, 1, 8))
    assert [one.what for line in before.lines for one in line.charges].count("minimum-period-sum") == 1
    assert await sums(later(9).at_ms) == ["adapter"]
    await exempt(later(20), "none", number)
    assert await sums() == ["adapter"]
    with pytest.raises(RuleViolation) as refused:
        await exempt(later(30), kind="mobile-access")
    assert refused.value.rule == "MPC-16.2"


@pytest.mark.rule("MPC-6.3", "SMF-14.1")
async def test_an_addressee_that_was_learnt_of_later_does_not_change_the_bill_as_it_was_known(
    fleet: Fleet, office: Office
) -> None:
    who, user = await fleet.contractor(), await fleet.contractor("Guest Foods")
    lines = await office.contract(who, PLAIN, service="smfsx")
    await listed(fleet)
    (management_id,) = (await office.standing(lines["management"])).managements
    facts = {"adapter_user": user.key, "consent": "letter 3", "approval": "mail 9"}
    async with fleet.database.write() as tx:
        new = NewRecord("invoice-addressee", "smfsx", date(2025, 11, 1), facts)
        await records.keep(tx, ALL, later(10), new, About(management_id=management_id))
    assert {one.billed_to for one in (await said(fleet, who, NOVEMBER)).lines} == {user.id}
    assert {one.billed_to for one in (await said(fleet, who, OCTOBER)).lines} == {who.id}
    assert {one.billed_to for one in (await said(fleet, who, NOVEMBER, known_at_ms=BY.at_ms)).lines} == {who.id}


async def test_an_end_inside_the_minimum_period_brings_its_sum_once_it_is_known(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, service="smfsx")
    await listed(fleet)
    await office.record(lines["adapter-rental"], Notice(date(2025, 10, 20)), by=on(date(2025, 10, 20)))
    before = await said(fleet, who, NOVEMBER, known_at_ms=BY.at_ms)
    after = await said(fleet, who, NOVEMBER)
    assert "adapter-rental adapter-rental monthly" in yen(before)
    assert not any("minimum-period-sum" in one for one in yen(before))
    (sum_,) = [one for line in after.lines for one in line.charges if one.what == "minimum-period-sum"]
    assert (sum_.amount.rules[0], sum_.taxable) == ("SMF-16.2", False)
    assert yen(after)["adapter-rental adapter-rental monthly"] == 3_100 * 19 // 30
    assert sum_.amount.yen == int(3_100 * (11 / 30 + 10 + 17 / 31))


async def test_a_price_that_no_list_has_is_named_and_the_rest_is_summed(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    await office.contract(who, MANAGEMENT, ADAPTER)
    found = await said(fleet, who, OCTOBER)
    assert [one.rule for one in found.lines] == ["MPC-A1", "MPC-A1"]
    assert len(found.missing) == 2
    assert found.bills[who.id, "mpc"].total.total_yen == 0


@pytest.mark.rule("MPC-12.3")
async def test_a_failure_by_fault_is_charged_corrected_and_taken_back(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    await listed(fleet)
    unit = await fleet.adapter(who)

    async def record(by: By, cost_yen: int | None = None, corrects: int | None = None) -> int | None:
        async with fleet.database.write() as tx:
            made = await unitcharges.record(
                tx, ALL, by, unit.serial, "failure", day=TODAY, cost_yen=cost_yen, reason="wet", corrects_id=corrects
            )
            return made.id

    with pytest.raises(BadInput):
        await record(BY, cost_yen=9)
    first = await record(BY)
    second = await record(later(1), corrects=first)
    with pytest.raises(Conflict):
        await record(later(2), corrects=first)
    found = await said(fleet, who, OCTOBER)
    assert [(one.what, one.amount.yen, one.taxable) for one in found.others] == [("failure", 3_100, False)]
    assert found.bills[who.id, "mpc"].total.total_yen == 3_100
    assert second is not None
    async with fleet.database.write() as tx:
        await unitcharges.take_back(tx, ALL, later(3), second, reason="it was a fault of ours")
    assert (await said(fleet, who, OCTOBER)).others == ()
    assert len((await said(fleet, who, OCTOBER, known_at_ms=BY.at_ms + 2)).others) == 1


@pytest.mark.rule("MPC-10.2")
async def test_damage_of_a_unit_that_is_the_contractors_own_costs_nothing(fleet: Fleet) -> None:
    own = await fleet.adapter(await fleet.contractor(), device_class="III", model="Cisco IOS")
    async with fleet.database.write() as tx:
        with pytest.raises(RuleViolation) as refused:
            await unitcharges.record(tx, ALL, BY, own.serial, "damage", day=TODAY, cost_yen=5, reason="dropped")
        assert refused.value.rule == "MPC-10.2"
        with pytest.raises(NotFound):
            await unitcharges.record(
                tx, ALL, BY, SerialNumber.parse("NOBODY"), "damage", day=TODAY, cost_yen=5, reason="dropped"
            )


@pytest.mark.rule("MPC-13.2")
async def test_a_reported_loss_is_charged_in_its_month(fleet: Fleet) -> None:
    who = await fleet.contractor()
    await listed(fleet)
    unit = await fleet.adapter(who)
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, later(20 * DAY_MS), unit.id, LifeEvent.LOSS_REPORTED)
    assert (await said(fleet, who, OCTOBER)).others == ()
    (loss,) = (await said(fleet, who, NOVEMBER)).others
    assert (loss.what, loss.amount.yen, loss.amount.rules[0]) == ("loss", 3_100, "MPC-13.2")


async def test_a_credit_comes_off_the_bill_that_carries_the_management_and_its_rest_is_carried(
    fleet: Fleet, office: Office
) -> None:
    who, user = await fleet.contractor(), await fleet.contractor("Guest Foods")
    lines = await office.contract(who, PLAIN, service="smfsx")
    await listed(fleet)
    (management_id,) = (await office.standing(lines["management"])).managements
    at = later(2 * DAY_MS)
    async with fleet.database.write() as tx:
        made = await outages.record(tx, ALL, BY, management_id, began_ms=BY.at_ms, known_ms=None, reason="out")
        await outages.learn(tx, ALL, at, made.id, "ended", at.at_ms, reason="back")
        await outages.claim(tx, ALL, at, made.id, date(2025, 10, 20), reason="letter")
        await outages.decide_claim(tx, ALL, at, made.id, attributable=True, reason="our fault")
    bill = (await said(fleet, who, OCTOBER)).bills[who.id, "smfsx"]
    assert [(one.words, one.amount.yen) for one in bill.credits] == [(f"outage {made.id} of M-{management_id}", 620)]
    assert (await said(fleet, who, OCTOBER, known_at_ms=at.at_ms - 1)).bills[who.id, "smfsx"].credits == ()
    facts = {"adapter_user": user.key, "consent": "letter 3", "approval": "mail 9"}
    new = NewRecord("invoice-addressee", "smfsx", TODAY, facts)
    async with fleet.database.write() as tx:
        await records.keep(tx, ALL, BY, new, About(management_id=management_id))
    found = await said(fleet, who, OCTOBER)
    assert {one.billed_to for one in found.lines} == {user.id}
    totals = [found.bills[one.id, "smfsx"].total for one in (user, who)]
    assert (totals[0], totals[1].total_yen) == (bill.total, 0)


async def test_another_contractors_amounts_are_not_found(fleet: Fleet, office: Office) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    line = (await office.contract(who, MANAGEMENT, ADAPTER))["adapter"]
    async with fleet.database.read() as tx:
        for refused in (
            amounts.statement(tx, Scope.of(other.id), who.id, OCTOBER),
            amounts.of_line(tx, Scope.of(other.id), line.id, OCTOBER),
        ):
            with pytest.raises(NotFound):
                await refused
        mine = await amounts.statement(tx, Scope.of(who.id), who.id, OCTOBER)
        assert replace(mine, lines=()).contractor_id == who.id


@pytest.mark.rule("SMF-15.1")
async def test_contracts_of_two_services_are_billed_apart_each_with_its_own_tax_and_credits(
    fleet: Fleet, office: Office
) -> None:
    """Each bill floors its own tax; a credit of smfsx takes nothing off mpc's, and its rest is carried by smfsx."""
    who = await fleet.contractor()
    await office.contract(who, MANAGEMENT, ADAPTER)
    smfsx = await office.contract(who, PLAIN, service="smfsx")
    await listed(fleet, 3_101)
    (management_id,) = (await office.standing(smfsx["management"])).managements
    at = later(12 * DAY_MS)
    async with fleet.database.write() as tx:
        made = await outages.record(tx, ALL, BY, management_id, began_ms=BY.at_ms, known_ms=None, reason="out")
        await outages.learn(tx, ALL, at, made.id, "ended", at.at_ms, reason="back")
        await outages.claim(tx, ALL, at, made.id, date(2025, 10, 20), reason="letter")
        await outages.decide_claim(tx, ALL, at, made.id, attributable=True, reason="our fault")
    found = await said(fleet, who, OCTOBER)
    assert list(found.bills) == [(who.id, "mpc"), (who.id, "smfsx")]
    for service, bill in ((key[1], one) for key, one in found.bills.items()):
        of = [one.amount.yen for line in found.lines if line.line.service == service for one in line.charges]
        credit = 12 * 3 * 3_101 // 30 if service == "smfsx" else 0
        base = sum(of) - credit
        assert (bill.total.tax_yen, bill.total.total_yen) == (base // 10, base + base // 10)


@pytest.mark.rule("SMF-2", "SMF-5.2")
async def test_ultra_firewall_sleeps_on_a_replacement_that_is_not_designated_and_its_fee_goes_on(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, FIREWALL, service="smfsx")
    await listed(fleet)
    async with fleet.database.write() as tx:
        item = firewall_item("seil-x1")
        await prices.put(tx, ALL, BY, [Price(item, "monthly", 930, date(2025, 1, 1))])
    first = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/X1")
    await office.link(lines["adapter-rental"], first)
    for model in ("SEIL/B1", "SEIL/X2"):
        unit = await fleet.adapter(who, service="smfsx", device_class=None, model=model)
        day = date(2025, 10, 20) if model == "SEIL/B1" else date(2025, 11, 16)
        await office.link(lines["adapter-rental"], unit, by=on(day))
    fee = "ultra-firewall ultra-firewall monthly"
    assert yen(await said(fleet, who, NOVEMBER))[fee] == (930 + 3_100) // 2
    assert yen(await said(fleet, who, NOVEMBER, as_of=date(2025, 11, 15)))[fee] == 930


@pytest.mark.rule("SMF-A1")
async def test_ultra_firewall_is_applied_for_and_charged_by_the_model_that_is_registered_then(
    fleet: Fleet, office: Office
) -> None:
    """Rented as an X1, replaced by a B1 and then by an X2: on the B1 there is none, and on the X2 it costs what an X2
    costs, initially too."""
    who = await fleet.contractor()
    rental = (await office.contract(who, PLAIN, RENTAL, service="smfsx"))["adapter-rental"]
    await listed(fleet)
    async with fleet.database.write() as tx:
        item = firewall_item("seil-x1")
        await prices.put(tx, ALL, BY, [Price(item, "initial", 1, date(2025, 1, 1))])
    for number, model in enumerate(("SEIL/X1", "SEIL/B1", "SEIL/X2")):
        unit = await fleet.adapter(who, service="smfsx", device_class=None, model=model)
        day = on(date(2025, 10, 20 + number))
        await office.link(rental, unit, by=day)
        if model == "SEIL/B1":
            with pytest.raises(RuleViolation) as refused:
                await office.contract(who, FIREWALL, service="smfsx", by=day)
            assert refused.value.rule == "SMF-A1"
    await office.contract(who, FIREWALL, service="smfsx", by=on(date(2025, 10, 23)))
    assert yen(await said(fleet, who, OCTOBER))["ultra-firewall smfsx ultra-firewall:seil-x2 initial"] == 3_100
