"""Operations as rows: one at a time for each adapter, never beside a push, seen by their owner; both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select

from controller.keyring import Keyring
from controller.store import audit, operations, plans, pushes, slots
from controller.store.database import Database
from controller.store.operations import Change, NewOperation
from controller.store.scope import Scope
from controller.store.tables.operations import operation_results
from controller.store.tables.operations import operations as table
from inventory.errors import Conflict, NotFound
from inventory.operations import (
    Given,
    Operation,
    OperationKind,
    OperationResult,
    OperationState,
    Parameters,
    Report,
    parameters_of,
)
from inventory.plans import BlastRadius, Computed, ConfigText, Push
from tests.controller.store.fleet import ALL, BY, Fleet

SENDING, RUNNING, DONE = OperationState.SENDING, OperationState.RUNNING, OperationState.DONE
SECRET = "Planted-in-an-operation"


class Place:
    """An adapter in an entry."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database, self.keyring = database, keyring
        self.fleet = Fleet(database, keyring)
        self.adapter_id = self.entry_id = self.contractor_id = 0

    async def furnish(self) -> Place:
        owner = await self.fleet.contractor()
        management = await self.fleet.management(owner)
        adapter = await self.fleet.adapter(owner)
        seat = await self.fleet.assign(adapter, management=management)
        self.adapter_id, self.entry_id, self.contractor_id = adapter.id, seat.slot_id, owner.id
        return self

    async def asked(self, kind: OperationKind = OperationKind.MD_COMMAND, secret: str = SECRET) -> Operation:
        given = Given(command=f"echo {secret}") if kind is OperationKind.MD_COMMAND else Given()
        wanted = parameters_of(kind, given)
        new = NewOperation(self.adapter_id, self.entry_id, kind, wanted, Parameters(), 300)
        async with self.database.write() as tx:
            return await operations.create(tx, self.keyring, new, BY)

    async def claims(self, operation: Operation) -> str | None:
        async with self.database.write() as tx:
            return await operations.claim(tx, operation, now_ms=BY.at_ms, said="sent")

    async def becomes(self, operation: Operation, state: OperationState, **facts: object) -> Operation:
        async with self.database.write() as tx:
            present = await operations.get(tx, ALL, operation.id)
            step = Change(state, "so it is", BY.at_ms + 1, **facts)  # type: ignore[arg-type]  # by name
            assert await operations.change(tx, self.keyring, present, step)
            return await operations.get(tx, ALL, operation.id)

    async def push(self) -> Push:
        """A push of the place, due now."""
        text = ConfigText.single("x")
        computed = Computed("a", "b", (), (), True, "", (), (), "", (), ())
        async with self.database.write() as tx:
            plan_id = await plans.create(
                tx,
                self.keyring,
                plans.NewPlan(
                    entry_id=self.entry_id,
                    adapter_id=self.adapter_id,
                    generation=0,
                    family="recipe",
                    created_ms=BY.at_ms,
                    valid_until_ms=BY.at_ms + 1000,
                    created_by="ann",
                    base=text,
                    intent=text,
                    computed=computed,
                    rarity=(),
                    blast=BlastRadius(1, 1, None, 0),
                    guard="client rollback",
                    guard_s=120,
                    read_during_guard=False,
                    expected_s=30,
                    approvals_needed=1,
                ),
            )
            plan = await plans.get(tx, ALL, plan_id)
            push_id = await pushes.create(tx, plan, BY, due_ms=BY.at_ms)
            return await pushes.get(tx, ALL, push_id)


@pytest.fixture
async def place(database: Database, keyring: Keyring) -> Place:
    return await Place(database, keyring).furnish()


async def test_an_operation_is_stored_told_and_carried_through(place: Place) -> None:
    asked = await place.asked()
    assert (asked.state, asked.outcome, asked.tries) == (OperationState.WAITING, None, 0)
    assert await place.claims(asked) is None
    running = await place.becomes(asked, RUNNING, transaction_id=7)
    assert (running.transaction_id, running.tries, running.sent_ms) == (7, 1, BY.at_ms)
    result = OperationResult(reports=(Report(0, f"\udcff {SECRET} ✓", 100),), answered=0)
    ended = await place.becomes(running, DONE, result=result, result_code=100)
    async with place.database.read() as tx:
        assert await operations.result(tx, place.keyring, ended) == result
        journal = [step.state.value for step in await operations.steps(tx, asked.id)]
        assert (await operations.parameters(tx, place.keyring, asked.id)).items[0].text == f"echo {SECRET}"
        assert await operations.unfinished(tx) == []
        actions = [row.action for row in await audit.page(tx, ALL) if row.action.startswith("operation.")]
    assert journal == ["waiting", "sending", "running", "done"]
    assert actions == ["operation.start", "operation.done"]


async def test_what_is_sent_and_brought_is_sealed_at_rest(place: Place) -> None:
    asked = await place.asked()
    await place.claims(asked)
    await place.becomes(asked, DONE, result=OperationResult(reports=(Report(0, SECRET),)))
    async with place.database.read() as tx:
        row = (await tx.execute(select(table))).mappings().one()
        sealed = (await tx.execute(select(operation_results.c.result_sealed))).scalar_one()
        assert SECRET.encode() not in sealed
        assert SECRET not in " ".join(str(value) for value in row.values())
        audited = str([row.after for row in await audit.page(tx, ALL)])
    assert SECRET not in audited


async def test_a_step_from_a_state_that_is_past_changes_nothing(place: Place) -> None:
    asked = await place.asked()
    assert await place.claims(asked) is None
    assert await place.claims(asked) == "", "somebody was faster"
    async with place.database.write() as tx:
        assert not await operations.change(tx, place.keyring, asked, Change(DONE, "late", BY.at_ms))
        assert (await operations.get(tx, ALL, asked.id)).state is SENDING


async def test_of_many_that_claim_an_adapter_at_once_one_gets_it(place: Place) -> None:
    asked = [await place.asked() for _ in range(6)]
    answers = await asyncio.gather(*(place.claims(one) for one in asked))
    assert answers.count(None) == 1
    assert set(answers) == {None, "another operation has the adapter"}


async def test_a_push_and_an_operation_never_have_the_adapter_together(place: Place) -> None:
    push = await place.push()
    asked = await place.asked()
    assert await place.claims(asked) is None
    async with place.database.write() as tx:
        assert await pushes.waiting(tx, BY.at_ms, 10) == []
        assert not await pushes.claim(tx, push, attempt=1, now_ms=BY.at_ms)
    await place.becomes(asked, DONE)
    second = await place.asked()
    async with place.database.write() as tx:
        assert [one.id for one in await pushes.waiting(tx, BY.at_ms, 10)] == [push.id]
        assert await pushes.claim(tx, push, attempt=1, now_ms=BY.at_ms)
    assert await place.claims(second) == f"push {push.id} has the adapter"


async def test_a_push_and_an_operation_that_claim_at_once_do_not_both_get_it(place: Place) -> None:
    push = await place.push()
    asked = await place.asked()

    async def pushing() -> bool:
        async with place.database.write() as tx:
            return await pushes.claim(tx, push, attempt=1, now_ms=BY.at_ms)

    pushed, said = await asyncio.gather(pushing(), place.claims(asked))
    assert pushed is (said is not None)


async def test_a_unit_that_has_left_its_place_is_not_claimed(place: Place) -> None:
    asked = await place.asked()
    async with place.database.write() as tx:
        await slots.release(tx, ALL, BY, place.adapter_id)
    assert await place.claims(asked) == "the adapter has left its place"


async def test_another_contractor_sees_none_of_it(place: Place) -> None:
    asked = await place.asked()
    stranger = Scope.of((await place.fleet.contractor("South Foods")).id)
    async with place.database.read() as tx:
        assert [one.id for one in await operations.find(tx, Scope.of(place.contractor_id))] == [asked.id]
        assert await operations.find(tx, stranger) == []
        with pytest.raises(NotFound):
            await operations.get(tx, stranger, asked.id)


async def test_lists_are_filtered_and_paged_newest_first(place: Place) -> None:
    asked = [await place.asked() for _ in range(3)]
    other = await place.asked(OperationKind.DUMP_DEBUG)
    await place.claims(asked[0])
    async with place.database.read() as tx:
        found = await operations.find(tx, ALL, limit=2)
        assert [one.id for one in found] == [other.id, asked[2].id]
        found = await operations.find(tx, ALL, before=asked[2].id, adapter_id=place.adapter_id)
        assert [one.id for one in found] == [asked[1].id, asked[0].id]
        assert [one.id for one in await operations.find(tx, ALL, kind=OperationKind.DUMP_DEBUG)] == [other.id]
        assert [one.id for one in await operations.find(tx, ALL, state=SENDING)] == [asked[0].id]
        assert await operations.count_open(tx, place.adapter_id, BY.at_ms) == (4, 0)
        assert (await operations.open_of(tx, [place.adapter_id]))[place.adapter_id].id == asked[0].id


async def test_a_sealed_value_of_one_operation_does_not_open_in_another(place: Place) -> None:
    one, other = await place.asked(), await place.asked(OperationKind.DUMP_DEBUG)
    await place.claims(one)
    await place.becomes(one, DONE, result=OperationResult(transactions=(1,)))
    async with place.database.write() as tx:
        sealed = (await tx.execute(select(operation_results.c.result_sealed))).scalar_one()
        await tx.execute(insert(operation_results).values(operation_id=other.id, result_sealed=sealed))
        with pytest.raises(Conflict, match="does not belong"):
            await operations.result(tx, place.keyring, other)
