"""Contract lines on both databases: applied for together, decided as a whole, read as of any day, never edited."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from controller.keyring import Keyring
from controller.store import (
    adapters,
    applications,
    contracts,
    contractsteps,
    deadlines,
    entitlement,
    managements,
    slots,
)
from controller.store.database import Database
from controller.store.scope import Scope
from controller.store.tables.contracts import control_stops
from controller.store.tables.inventory import entries, life_events
from inventory.adapters import Life, LifeEvent
from inventory.applications import Wanted
from inventory.contractbook import RECORDED, event_of
from inventory.contractevents import ChangeOption, Notice, ProviderTerminates, Resume, Suspend
from inventory.contracts import State
from inventory.errors import BadInput, Conflict, NotEligible, NotFound, RuleViolation
from inventory.slots import show_key
from inventory.terms import VERSIONS
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

WEEK = timedelta(days=7)


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


async def stops(database: Database) -> list[tuple[str, int | None, int | None]]:
    async with database.read() as tx:
        rows = await tx.execute(select(control_stops).where(control_stops.c.to_ms.is_(None)))
        return sorted((row.rule, row.management_id, row.adapter_id) for row in rows)


@pytest.mark.rule("MPC-9.1", "SMF-3.1")
async def test_an_application_keeps_its_form_and_is_accepted_as_a_whole(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    made = await office.apply(who, MANAGEMENT, ADAPTER, MOBILE, form="申込書 第7号\n")
    await office.accept(made, billing_start=TODAY + WEEK)
    async with fleet.database.read() as tx:
        assert (await applications.get(tx, ALL, made.id)).form == "申込書 第7号\n"
        lines = await contracts.of_application(tx, made.id)
        found = {one.line.kind: one for one in await contracts.standing(tx, lines, TODAY)}
        assert {one.contract.state for one in found.values()} == {State.ACCEPTED}
        (management_id,) = found["management"].managements
        opened = await managements.get(tx, ALL, management_id)
    assert (opened.entry_count, opened.standby_count, opened.name) == (2, 1, "Osaka")
    assert found["mobile-access"].line.on_line_id == found["adapter"].line.id
    later = await office.standing(found["adapter"].line, TODAY + WEEK)
    assert later.contract.state is State.ACTIVE


@pytest.mark.rule("MPC-6.1")
async def test_a_refused_whole_leaves_every_item_as_it_was(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    made = await office.apply(who, MANAGEMENT, Wanted("mobile-access", on="edge", plan="normal"))
    with pytest.raises(RuleViolation) as refused:
        await office.accept(made)
    rules = refused.value.facts["rules"]
    assert isinstance(rules, list)
    assert {"MPC-6.1", "MPC-6.6"} <= set(rules)
    async with fleet.database.read() as tx:
        assert await managements.page(tx, ALL) == []
        found = await contracts.standing(tx, await contracts.of_application(tx, made.id), TODAY)
    assert {one.contract.state for one in found} == {State.APPLIED}


@pytest.mark.rule("SMF-3.2")
async def test_an_application_is_refused_for_one_of_seven_reasons_or_withdrawn(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    one, other = await office.apply(who, MANAGEMENT, ADAPTER), await office.apply(who, MANAGEMENT, ADAPTER)
    async with fleet.database.write() as tx:
        await applications.refuse(tx, ALL, BY, one.id, reason=2)
        await applications.withdraw(tx, ALL, BY, other.id)
        events = await contracts.events(tx, ALL, (await contracts.of_application(tx, one.id))[0].id)
    assert [(row.name, row.facts, row.rule) for row in events] == [("refuse", {"reason": 2}, "SMF-3.2")]
    for decided in (one, other):
        with pytest.raises(RuleViolation):
            await office.accept(decided)


@pytest.mark.rule("SMF-27")
async def test_each_event_is_kept_with_who_when_rule_and_version_of_the_terms(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER)
    async with fleet.database.read() as tx:
        rows = await contracts.events(tx, ALL, lines["adapter"].id)
    assert [(row.name, row.actor, row.rule, row.calendar) for row in rows] == [
        ("accept", "test", "MPC-15", False),
        ("billing-starts", "calendar", "MPC-5", True),
    ]
    assert {row.terms_version for row in rows} == {VERSIONS["mpc"]}
    assert {row.recorded_ms for row in rows} == {BY.at_ms}


async def test_a_corrected_notice_is_another_row_and_both_readings_stay(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER)
    day = TODAY + WEEK
    await office.record(lines["adapter"], Notice(day), by=on(day))
    async with fleet.database.read() as tx:
        wrong = (await contracts.events(tx, ALL, lines["adapter"].id))[-1]
    corrected = on(day + WEEK)
    await office.record(lines["adapter"], Notice(TODAY), by=corrected, corrects=wrong.id)
    far = TODAY + timedelta(days=300)
    assert (await office.standing(lines["adapter"], far)).contract.effective == TODAY + timedelta(days=30)
    known_then = await office.standing(lines["adapter"], far, known_at_ms=corrected.at_ms - 1)
    assert known_then.contract.effective == day + timedelta(days=30)
    with pytest.raises(Conflict):
        await office.record(lines["adapter"], Notice(TODAY), by=corrected, corrects=wrong.id)
    with pytest.raises(BadInput):
        await office.record(lines["adapter"], Notice(TODAY), by=corrected, corrects=1)
    async with fleet.database.write() as tx:
        newest = [row for row in await contracts.events(tx, ALL, lines["adapter"].id) if row.name == "notice"][-1]
        await contractsteps.void(tx, ALL, office.keyring, corrected, lines["adapter"].id, newest.id, reason="a slip")
    assert (await office.standing(lines["adapter"], far)).contract.state is State.ACTIVE


@pytest.mark.rule("MPC-10.3", "MPC-13.2")
async def test_after_weeks_of_downtime_the_calendar_is_made_up_once(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER, MOBILE)
    unit = await fleet.adapter(who, model="SA-W2L")
    await office.link(lines["adapter"], unit)
    await office.record(lines["adapter"], Notice(TODAY))
    last = TODAY + timedelta(days=30)
    for _ in range(2):
        await office.day(who, last + timedelta(days=20))
    async with fleet.database.read() as tx:
        assert (await adapters.get(tx, ALL, unit.id)).life is Life.RETURN_DUE
        due = await tx.scalars(select(life_events.c.due_day).where(life_events.c.event == LifeEvent.LINE_ENDED))
        rows = await contracts.events(tx, ALL, lines["mobile-access"].id)
        assert due.all() == [(last + timedelta(days=30)).isoformat()]
    assert [(row.name, row.day) for row in rows if row.calendar][-1] == ("dependency-ends", last)
    await office.day(who, last + timedelta(days=30))
    async with fleet.database.read() as tx:
        assert (await adapters.get(tx, ALL, unit.id)).life is Life.RETURN_DUE
    for _ in range(2):
        await office.day(who, last + timedelta(days=31))
    async with fleet.database.read() as tx:
        assert (await adapters.get(tx, ALL, unit.id)).life is Life.LOST


async def test_a_management_that_has_ended_frees_its_slots(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, MANAGEMENT, ADAPTER)
    (management_id,) = (await office.standing(lines["management"])).managements
    unit = await fleet.adapter(who, model="SA-W2L")
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=management_id)
    gone = ProviderTerminates(TODAY, TODAY + WEEK, "unavoidable", TODAY)
    await office.record(lines["management"], gone)
    assert await office.day(who, TODAY + WEEK) == set()
    assert await office.day(who, TODAY + WEEK + timedelta(days=1)) == {unit.id}
    async with fleet.database.read() as tx:
        assert await slots.place_of(tx, ALL, unit.id) is None
        assert await tx.scalar(select(entries.c.id).where(entries.c.closed_ms.is_(None))) is None
    assert ("MPC-14", management_id, None) not in await stops(fleet.database)
    assert ("SMF-23.1", None, None) not in await stops(fleet.database)
    rules = {(rule, of_management) for rule, of_management, _ in await stops(fleet.database)}
    assert rules == {("SMF-23.1", management_id)}


@pytest.mark.rule("SMF-21")
async def test_a_suspended_management_line_suspends_its_management_until_resumed(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER)
    (management_id,) = (await office.standing(lines["management"])).managements
    with pytest.raises(RuleViolation) as refused:
        await office.record(lines["management"], Suspend(TODAY, ground=1))
    assert (refused.value.rule, refused.value.field) == ("SMF-21", "notified")
    assert await stops(fleet.database) == []
    until = TODAY + timedelta(days=20)
    await office.record(lines["management"], Suspend(TODAY, ground=1, until=until, notified=TODAY))
    async with fleet.database.read() as tx:
        assert (await managements.get(tx, ALL, management_id)).suspended is not None
    assert await stops(fleet.database) == [("SMF-21", management_id, None)]
    await office.record(lines["management"], Resume(TODAY))
    async with fleet.database.read() as tx:
        assert (await managements.get(tx, ALL, management_id)).suspended is None
    assert await stops(fleet.database) == []


@pytest.mark.rule("SMF-21")
async def test_an_option_gives_no_service_while_its_line_or_the_management_around_it_is_suspended(
    fleet: Fleet, office: Office
) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, FIREWALL, service="smfsx")
    unit = await fleet.adapter(who, service="smfsx", device_class=None, model="SEIL/X1")
    await office.link(lines["adapter-rental"], unit)
    (management_id,) = (await office.standing(lines["management"])).managements
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=management_id)
    await office.day(who, TODAY)

    async def why() -> str | None:
        async with fleet.database.read() as tx:
            found = await contracts.standing(tx, [lines["ultra-firewall"]], TODAY)
            told = await entitlement.carried(tx, found, TODAY)
            before = await entitlement.carried(tx, found, TODAY, known_at_ms=BY.at_ms - 1)
        assert (found[0].contract.state, before) == (State.ACTIVE, {})
        return str(told[lines["ultra-firewall"].id]) if told else None

    assert await why() is None
    for kind in ("adapter-rental", "management"):
        await office.record(lines[kind], Suspend(TODAY, ground=2, emergency=True))
        key = lines[kind].key if kind == "adapter-rental" else show_key("M", management_id)
        assert await why() == f"{key}, which it is on, is suspended (SMF-21)"
        await office.record(lines[kind], Resume(TODAY))
        assert await why() is None


@pytest.mark.rule("SMF-2")
async def test_ultra_firewall_follows_its_adapter_out_of_the_entry_and_back(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    lines = await office.contract(who, PLAIN, RENTAL, FIREWALL, service="smfsx")
    assert (await office.standing(lines["ultra-firewall"])).contract.state is State.DORMANT
    (management_id,) = (await office.standing(lines["management"])).managements
    unit = await fleet.adapter(who, service="smfsx", model="SEIL/X1")
    await office.link(lines["adapter-rental"], unit)
    async with fleet.database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=management_id, kind="entry")
    await office.day(who, TODAY)
    assert (await office.standing(lines["ultra-firewall"])).contract.state is State.ACTIVE
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, BY, unit.id)
    await office.day(who, TODAY)
    assert (await office.standing(lines["ultra-firewall"])).contract.state is State.DORMANT
    async with fleet.database.read() as tx:
        names = [row.name for row in await contracts.events(tx, ALL, lines["ultra-firewall"].id)]
    assert names == ["accept", "billing-starts", "leaves-entry", "back-in-entry", "leaves-entry"]


async def test_a_unit_of_another_model_or_contractor_does_not_come_under_a_line(fleet: Fleet, office: Office) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    lines = await office.contract(who, MANAGEMENT, ADAPTER)
    for unit in (await fleet.adapter(who, model="SA-W2"), await fleet.adapter(other, model="SA-W2L")):
        with pytest.raises(NotEligible):
            await office.link(lines["adapter"], unit)
    right = await fleet.adapter(who, model="SA-W2L")
    await office.link(lines["adapter"], right)
    with pytest.raises(Conflict):
        await office.link(lines["adapter"], right)
    with pytest.raises(BadInput):
        await office.link(lines["management"], right)


@pytest.mark.rule("MPC-6.2", "SMF-13")
async def test_an_adapter_line_alone_needs_the_recorded_consent_of_the_other_contractor(
    fleet: Fleet, office: Office
) -> None:
    host, guest = await fleet.contractor(), await fleet.contractor("Guest Foods")
    management = await fleet.management(host)
    line = Wanted("adapter", name="edge", device_class="I", model="SA-W2", management_id=management.id)
    made = await office.apply(guest, line)
    with pytest.raises(RuleViolation) as refused:
        await office.accept(made)
    assert refused.value.rule == "MPC-6.2"
    async with fleet.database.write() as tx:
        await managements.consent(tx, ALL, BY, management.id, contractor_id=guest.id, proof="letter 12")
    await office.accept(made)


async def test_a_management_without_a_line_is_taken_over_as_it_is(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    old = await fleet.management(who, classes=("I", "III"))
    same = Wanted("management", name="Osaka", classes=("I", "III"), entries=2, standbys=1, management_id=old.id)
    lines = await office.contract(who, same, ADAPTER)
    assert (await office.standing(lines["management"])).managements == (old.id,)
    again = await office.apply(who, same)
    with pytest.raises(Conflict):
        await office.accept(again)
    more = Wanted("management", name="Kobe", classes=("I",), entries=9, management_id=old.id)
    with pytest.raises(RuleViolation):
        await office.accept(await office.apply(who, more))


async def test_the_packet_share_plan_needs_a_group_of_the_contractor(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER, MOBILE)
    with pytest.raises(RuleViolation) as refused:
        await office.record(lines["mobile-access"], ChangeOption(TODAY, "plan", "packet-share"))
    assert (refused.value.rule, refused.value.field) == ("MPC-6.8", "group")
    await office.record(lines["mobile-access"], ChangeOption(TODAY, "plan", "10GB"))
    (pending,) = (await office.standing(lines["mobile-access"])).contract.pending
    assert (pending.value, pending.first_day) == ("10GB", date(2025, 11, 1))


async def test_counts_of_a_management_change_only_while_its_line_is_in_service(fleet: Fleet, office: Office) -> None:
    who = await fleet.contractor()
    made = await office.apply(who, MANAGEMENT, ADAPTER)
    await office.accept(made, billing_start=TODAY + WEEK)
    async with fleet.database.read() as tx:
        (management,) = await managements.page(tx, ALL)
    for by, first_day in ((BY, TODAY), (on(TODAY + WEEK), None)):
        async with fleet.database.write() as tx:
            if first_day is not None:
                with pytest.raises(RuleViolation):
                    await contractsteps.change_counts(tx, by, management.id, first_day)
            else:
                await contractsteps.change_counts(tx, by, management.id, None)


@pytest.mark.rule("SMF-7")
async def test_no_operation_gives_a_line_to_another_contractor(fleet: Fleet, office: Office) -> None:
    """No event carries a contractor, and a scope of another one does not even see the line."""
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    lines = await office.contract(who, MANAGEMENT, ADAPTER)
    for name in RECORDED:
        with pytest.raises(BadInput):
            event_of(name, TODAY, {"contractor": other.key})
    async with fleet.database.write() as tx:
        with pytest.raises(NotFound):
            await contractsteps.record(tx, Scope.of(other.id), office.keyring, BY, lines["adapter"].id, Notice(TODAY))
    assert (await office.standing(lines["adapter"])).line.contractor_id == who.id


async def test_an_event_of_a_day_to_come_or_before_the_application_is_none(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER)
    for day in (TODAY + timedelta(days=1), TODAY - timedelta(days=1)):
        with pytest.raises(BadInput):
            await office.record(lines["adapter"], Notice(day))


@pytest.mark.rule("SMF-21")
async def test_a_suspension_that_is_corrected_or_taken_back_is_that_of_its_management_too(
    fleet: Fleet, office: Office
) -> None:
    line = (await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER))["management"]
    (management_id,) = (await office.standing(line)).managements

    async def suspended() -> tuple[str | None, list[str]]:
        async with fleet.database.read() as tx:
            due = await deadlines.upcoming(tx, ALL, BY.at_ms, 400)
            held = (await managements.get(tx, ALL, management_id)).suspended
            return held, [one.day.isoformat() for one in due if one.kind == "suspension-ends"]

    async def last_event(name: str) -> int:
        async with fleet.database.read() as tx:
            return [one.id for one in await contracts.events(tx, ALL, line.id) if one.name == name][-1]

    async def take_back(name: str) -> None:
        number = await last_event(name)
        async with fleet.database.write() as tx:
            await contractsteps.void(tx, ALL, office.keyring, BY, line.id, number, reason="a slip")

    await office.record(line, Suspend(TODAY, 1, date(2025, 11, 1), TODAY))
    assert (await suspended())[1] == ["2025-11-01"]
    longer = Suspend(TODAY, 1, date(2025, 11, 9), TODAY)
    await office.record(line, longer, corrects=await last_event("suspend"))
    assert (await suspended())[1] == ["2025-11-09"]
    await office.record(line, Resume(TODAY))
    assert await suspended() == (None, [])
    await take_back("resume")
    assert (await suspended())[1] == ["2025-11-09"]
    await take_back("suspend")
    assert await suspended() == (None, [])
    assert (await office.standing(line)).contract.entitled
