"""Incidents: one cause is one line, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from controller.store import audit, events, incidents
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.errors import Conflict, NotFound, StaleVersion
from inventory.incidents import Incident, IncidentKind, NewIncident
from tests.controller.store.fleet import ALL, BY, Fleet, later

LOOP = IncidentKind.CLIENT_LOOP


def found(title: str = "31 pulls in a minute", **more: int | None) -> NewIncident:
    return NewIncident(LOOP, "adapter 1", title, facts={"pulls": title.split(maxsplit=1)[0]}, **more)


async def told(fleet: Fleet) -> list[tuple[str, object]]:
    async with fleet.database.write() as tx:
        await events.publish(tx)
        return [(one.kind, one.facts.get("why")) for one in await events.page(tx, ALL, kind="incident")]


async def test_what_is_found_again_is_added_to_the_open_incident(fleet: Fleet) -> None:
    async with fleet.database.write() as tx:
        first = await incidents.note(tx, BY, found())
        again = await incidents.note(tx, later(5_000), found("40 pulls in a minute"))
        other = await incidents.note(tx, BY, NewIncident(LOOP, "adapter 2", "another"))
    assert again.id == first.id != other.id
    assert (again.count, again.opened_ms, again.last_ms) == (2, BY.at_ms, BY.at_ms + 5_000)
    assert (again.title, again.facts) == ("40 pulls in a minute", {"pulls": "40"})
    assert await told(fleet) == [("incident.opened", None), ("incident.opened", None)]


async def test_an_incident_settles_when_its_cause_is_gone_and_the_next_one_is_new(fleet: Fleet) -> None:
    async with fleet.database.write() as tx:
        first = await incidents.note(tx, BY, found())
        gone = await incidents.settle(tx, later(9), LOOP, "adapter 1", "it calmed down")
        assert gone is not None
        assert (gone.id, gone.state, gone.closed_why, gone.closed_ms) == (
            first.id,
            "closed",
            "it calmed down",
            BY.at_ms + 9,
        )
        assert await incidents.settle(tx, later(10), LOOP, "adapter 1", "again") is None
        second = await incidents.note(tx, later(11), found())
        assert (second.id != first.id, second.count) == (True, 1)
        assert await incidents.open_one(tx, LOOP, "adapter 1") == second
    assert await told(fleet) == [
        ("incident.opened", None),
        ("incident.closed", "it calmed down"),
        ("incident.opened", None),
    ]


async def test_a_person_acknowledges_and_closes_with_a_reason_that_stands_in_the_audit(fleet: Fleet) -> None:
    async with fleet.database.write() as tx:
        seen = await incidents.note(tx, BY, found())
        with pytest.raises(StaleVersion):
            await incidents.acknowledge(tx, ALL, BY, seen.id, why="x", if_version=seen.version + 1)
        at_work = await incidents.acknowledge(tx, ALL, later(1), seen.id, why="on my way", if_version=seen.version)
        assert (at_work.state, at_work.acknowledged_by, at_work.acknowledged_why) == (
            "acknowledged",
            "test",
            "on my way",
        )
        assert (await incidents.note(tx, later(2), found())).state == "acknowledged"
        over = await incidents.close(tx, ALL, later(3), seen.id, why="the unit was replaced")
        assert (over.state, over.closed_by, over.closed_why) == ("closed", "test", "the unit was replaced")
        for verb in (incidents.acknowledge, incidents.close):
            with pytest.raises(Conflict, match="the unit was replaced"):
                await verb(tx, ALL, later(4), seen.id, why="x")
    async with fleet.database.read() as tx:
        rows = [one for one in await audit.page(tx, ALL) if one.action.startswith("incident.")]
    assert [(one.action, one.after["reason"]) for one in rows] == [
        ("incident.acknowledge", "on my way"),
        ("incident.close", "the unit was replaced"),
    ]


async def test_a_contractor_sees_incidents_of_its_things_and_places_alone(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    unit = await fleet.adapter(north)
    osaka = await fleet.management(south)
    async with fleet.database.write() as tx:
        of_both = await incidents.note(tx, BY, found(adapter_id=unit.id, management_id=osaka.id))
        of_none = await incidents.note(tx, BY, NewIncident(IncidentKind.SILENCE, "line 3", "12 fell silent"))
    async with fleet.database.read() as tx:
        assert await ids(tx, ALL) == [of_both.id, of_none.id]
        assert await ids(tx, Scope.of(north.id)) == await ids(tx, Scope.of(south.id)) == [of_both.id]
        assert await ids(tx, Scope.of(south.id + 1)) == []
        with pytest.raises(NotFound):
            await incidents.get(tx, Scope.of(north.id), of_none.id)
        page = await incidents.page(tx, ALL, kind=LOOP, state="open", adapter_id=unit.id)
        assert page == [await incidents.get(tx, ALL, of_both.id)]
        assert await incidents.page(tx, ALL, state="closed") == []
        assert await incidents.open_of_adapters(tx, [unit.id, 99]) == {unit.id: [of_both]}


async def test_two_who_find_it_at_once_open_one(fleet: Fleet) -> None:
    async def find() -> Incident:
        async with fleet.database.write() as tx:
            return await incidents.note(tx, BY, found())

    seen = await asyncio.gather(*(find() for _ in range(8)))
    assert {one.id for one in seen} == {seen[0].id}
    assert sorted(one.count for one in seen) == list(range(1, 9))


async def ids(tx: Tx, scope: Scope) -> list[int]:
    return [one.id for one in await incidents.page(tx, scope)]


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    said = [(kind.sentence, kind.next_step) for kind in IncidentKind]
    assert all(sentence.endswith(".") and step.endswith(".") for sentence, step in said)
    assert len(set(said)) == len(said)
