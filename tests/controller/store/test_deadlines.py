"""Deadlines on both databases: one list from contracts, units, suspensions and claims."""

from __future__ import annotations

from datetime import date

import pytest

from controller.keyring import Keyring
from controller.store import adapters, deadlines, managements, outages, records
from controller.store.database import Database
from controller.store.records import About
from controller.store.scope import Scope
from inventory.adapters import LifeEvent
from inventory.agenda import Due
from inventory.contractevents import Resume, Suspend
from inventory.records import NewRecord
from tests.controller.store.contracting import ADAPTER, MANAGEMENT, TODAY, Office
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet, later


@pytest.fixture
def office(database: Database, keyring: Keyring) -> Office:
    return Office(database, keyring)


async def due(fleet: Fleet, days: int = 30, *, scope: Scope = ALL, after_days: int = 0) -> list[tuple[str, str]]:
    async with fleet.database.read() as tx:
        found = await deadlines.upcoming(tx, scope, BY.at_ms + after_days * DAY_MS, days)
    return [(one.day.isoformat(), one.kind) for one in found]


async def test_all_that_falls_due_is_one_list_in_the_order_of_its_days(fleet: Fleet, office: Office) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    await office.contract(who, MANAGEMENT, ADAPTER)
    unit = await fleet.adapter(who)
    osaka = await fleet.management(who)
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.LINE_ENDED)
        await managements.suspend(tx, ALL, BY, osaka.id, ground=1, until=date(2025, 10, 25))
        await outages.record(tx, ALL, BY, osaka.id, began_ms=BY.at_ms, known_ms=BY.at_ms, reason="out")
    management_period = [("2025-10-18", "notice-for-that-end"), ("2025-11-17", "minimum-period-ends")]
    assert await due(fleet) == [
        management_period[0],
        ("2025-10-25", "suspension-ends"),
        ("2025-11-17", "return"),
        management_period[1],
    ]
    assert ("2026-01-19", "claim-lapses") in await due(fleet, 200, after_days=2)
    assert await due(fleet, scope=Scope.of(other.id)) == []
    overdue = [kind for day, kind in await due(fleet, 0, after_days=10) if day < "2025-10-28"]
    assert overdue == ["suspension-ends"]


async def test_a_deadline_tells_what_is_lost_and_after_which_rule(fleet: Fleet) -> None:
    who = await fleet.contractor()
    unit = await fleet.adapter(who)
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, later(1), unit.id, LifeEvent.LINE_ENDED)
        (one,) = await deadlines.upcoming(tx, Scope.of(who.id), BY.at_ms, 30)
    words = "not returned by this day, it counts as lost and is charged"
    assert one == Due(date(2025, 11, 17), "return", unit.serial.shown, who.id, "MPC-10.3", words)
    assert not one.overdue(TODAY)


async def test_a_suspended_adapter_line_is_on_the_list_until_it_is_resumed(fleet: Fleet, office: Office) -> None:
    lines = await office.contract(await fleet.contractor(), MANAGEMENT, ADAPTER)
    for kind, until in (("adapter", date(2025, 10, 25)), ("management", date(2025, 10, 27))):
        await office.record(lines[kind], Suspend(TODAY, 1, until, TODAY))
    suspended = ["2025-10-25", "2025-10-27"]
    assert [day for day, kind in await due(fleet) if kind == "suspension-ends"] == suspended
    assert [day for day, kind in await due(fleet, after_days=60) if kind == "suspension-ends"] == suspended
    await office.record(lines["adapter"], Resume(TODAY))
    assert [day for day, kind in await due(fleet) if kind == "suspension-ends"] == suspended[1:]


async def test_a_notice_that_is_planned_is_on_the_list_until_it_is_given(fleet: Fleet) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")

    async def plan(of: str, day: date, about: About, notified: date | None = None, corrects: int | None = None) -> int:
        new = NewRecord("planned-notice", "smfsx", day, {"of": of}, notified=notified)
        async with fleet.database.write() as tx:
            return (await records.keep(tx, ALL, BY, new, about, corrects_id=corrects)).id

    work = await plan("planned-interruption", date(2025, 11, 15), About(who.id))
    await plan("abolition", date(2026, 1, 25), About())
    await plan("terms-change", date(2025, 11, 10), About())
    assert await due(fleet) == [
        ("2025-10-25", "notice-to-give"),
        ("2025-11-01", "notice-to-give"),
        ("2025-11-10", "notice-to-give"),
    ]
    assert await due(fleet, scope=Scope.of(who.id)) == [("2025-11-01", "notice-to-give")]
    assert await due(fleet, scope=Scope.of(other.id)) == []
    await plan("planned-interruption", date(2025, 11, 15), About(who.id), TODAY, work)
    assert await due(fleet, scope=Scope.of(who.id)) == []
    assert ("2025-10-25", "notice-to-give") in await due(fleet, 0, after_days=20)
