"""What is kept of every change: events and the audit chain."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from controller.store import audit, contractors, events
from controller.store.events import NewEvent
from controller.store.scope import By, Scope
from inventory.errors import Conflict, FleetError
from tests.controller.store.fleet import ALL, BY, Fleet


async def test_each_change_stands_in_the_audit_with_who_and_when(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    await fleet.assign(unit, management=osaka)
    async with fleet.database.read() as tx:
        rows = await audit.page(tx, ALL)
        assert [row.action for row in rows] == [
            "contractor.create",
            "management.create",
            "adapter.register",
            "placement.assign",
        ]
        assert {(row.actor, row.at_ms) for row in rows} == {(BY.actor, BY.at_ms)}
        assert [row.action for row in await audit.page(tx, ALL, subject=str(unit.serial), after=rows[2].id)] == [
            "placement.assign"
        ]
        chain = await audit.verify(tx)
        assert (chain.rows, chain.digest) == (4, rows[-1].digest)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET actor = 'nobody' WHERE id = 2",
        "UPDATE audit SET at_ms = at_ms + 1 WHERE id = 1",
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit SET digest = previous WHERE id = 3",
    ],
)
async def test_an_edit_of_the_audit_is_detected_and_its_place_named(fleet: Fleet, tampering: str) -> None:
    for name in ("A", "B", "C", "D"):
        await fleet.contractor(name)
    async with fleet.database.write() as tx:
        await audit.verify(tx)
        await tx.execute(sa.text(tampering))
        with pytest.raises(Conflict) as found:
            await audit.verify(tx)
    assert found.value.facts["row"] in {1, 2, 3}


async def test_a_change_that_is_rolled_back_leaves_no_audit_and_no_event(fleet: Fleet) -> None:
    async def fail() -> None:
        async with fleet.database.write() as tx:
            await contractors.create(tx, ALL, BY, name="Lost")
            await events.record(tx, NewEvent("test", BY.at_ms))
            raise Conflict("no")

    with pytest.raises(FleetError):
        await fail()
    await fleet.contractor("Kept")
    async with fleet.database.write() as tx:
        assert [row.after["name"] for row in await audit.page(tx, ALL)] == ["Kept"]
        assert await events.publish(tx) == []


async def test_the_chain_holds_when_many_write_at_once(fleet: Fleet) -> None:
    await asyncio.gather(*(fleet.contractor(f"N{number}") for number in range(30)))
    async with fleet.database.read() as tx:
        assert (await audit.verify(tx)).rows == 30


async def test_a_contractor_sees_its_own_audit_rows_only(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    unit = await fleet.adapter(north)
    async with fleet.database.read() as tx:
        assert [row.subject for row in await audit.page(tx, Scope.of(north.id))] == [north.key, str(unit.serial)]
        assert [row.subject for row in await audit.page(tx, Scope.of(south.id))] == [south.key]


async def test_events_are_numbered_without_gaps_when_published(fleet: Fleet) -> None:
    async def write(number: int) -> None:
        async with fleet.database.write() as tx:
            await events.record(tx, *(NewEvent("test.many", BY.at_ms, facts={"n": number}) for _ in range(3)))

    async def publish() -> int:
        async with fleet.database.write() as tx:
            return len(await events.publish(tx, limit=4))

    await asyncio.gather(*(write(number) for number in range(10)), *(publish() for _ in range(10)))
    while await publish():
        pass
    async with fleet.database.read() as tx:
        seen = await events.page(tx, ALL, limit=1000)
        assert [one.sequence for one in seen] == list(range(1, 31))
        assert [one.sequence for one in await events.page(tx, ALL, after=28)] == [29, 30]


async def test_a_batch_of_events_is_one_statement_and_kept_in_order(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor())
    async with fleet.database.write() as tx:
        await events.record_all(tx, [NewEvent("beat", at, adapter_id=unit.id) for at in range(5)])
        await events.record_all(tx, [])
        await events.publish(tx)
        assert [one.at_ms for one in await events.page(tx, ALL, kind="beat")] == list(range(5))


async def test_events_are_seen_by_the_owner_of_the_thing_and_of_the_place(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    place = await fleet.assign(unit, management=osaka)
    async with fleet.database.write() as tx:
        await events.record(tx, NewEvent("line.down", BY.at_ms, entry_id=place.slot_id))
        await events.publish(tx)
        kinds = [one.kind for one in await events.page(tx, Scope.of(north.id))]
        assert kinds == ["management.create", "adapter.register", "placement.assign", "line.down"]
        assert await events.page(tx, Scope.of(south.id)) == []
        assert [one.kind for one in await events.page(tx, ALL, kind="placement")] == ["placement.assign"]
        assert [one.kind for one in await events.page(tx, ALL, entry_id=place.slot_id)] == [
            "placement.assign",
            "line.down",
        ]


async def test_contractors_have_names_and_are_created_by_the_provider(fleet: Fleet) -> None:
    north = await fleet.contractor(" North ")
    assert (north.name, north.key) == ("North", f"K-{north.id}")
    by = By("x", 1)
    async with fleet.database.write() as tx:
        for scope, name in ((Scope.of(north.id), "Mine"), (ALL, "  ")):
            with pytest.raises(FleetError):
                await contractors.create(tx, scope, by, name=name)
        assert await contractors.page(tx, ALL, text="nor") == [north]
        assert await contractors.page(tx, Scope.of(north.id + 1)) == []
