"""What a contract does not entitle to is not controlled: nothing new begins, and what runs ends safely."""

from __future__ import annotations

import pytest

from controller.store import managements
from controller.store.scope import By
from inventory.errors import RuleViolation
from inventory.plans import Outcome, PushState
from tests.controller.push.house import ALL, House
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.program import BASE


async def suspend(house: House) -> None:
    async with house.database.write() as tx:
        (management,) = await managements.page(tx, ALL)
        await managements.suspend(tx, ALL, By("ann", house.clock.now_ms()), management.id, ground=1)


@pytest.mark.rule("SMF-21")
async def test_a_suspended_contract_lets_no_plan_be_made_and_no_push_begin(house: House) -> None:
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    await suspend(house)
    for refused in (house.service.make_plan(ALL, ENTRY_ID, "ann"), house.service.start(ALL, plan.id, "ann")):
        with pytest.raises(RuleViolation) as error:
            await refused
        assert error.value.rule == "SMF-21"
    assert house.program.running == BASE


@pytest.mark.rule("SMF-21")
async def test_a_push_that_was_not_sent_yet_ends_with_the_contract(house: House) -> None:
    push_id = await house.start()
    await suspend(house)
    push = await house.carry_out(push_id)
    assert push.outcome is Outcome.NOT_DONE
    assert "SMF-21" in push.said
    assert house.program.running == BASE


@pytest.mark.rule("SMF-21")
async def test_a_push_behind_its_guard_is_taken_back_when_the_contract_is_suspended(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.VERIFIED)
    await suspend(house)
    push = await house.carry_out(push_id)
    assert push.state is PushState.REVERTED
    assert house.program.running == BASE


async def test_a_confirmed_push_is_saved_first(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    await suspend(house)
    assert (await house.carry_out(push_id)).state is PushState.DONE
