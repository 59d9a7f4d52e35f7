"""The engine's way through a push: each outcome is stored together with the intention that follows it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from drivers.push import Device, PushJob, Step
from inventory.plans import JournalRow, Outcome, PushState
from tests.controller.push.house import ALL, House
from tests.controller.push.place import promote
from tests.controller.push.program import BASE, FakeDevice
from tests.controller.push.test_entitlement import suspend

Deed = Callable[[House, int], Awaitable[object]]


async def cancelled(house: House, push_id: int) -> None:
    await house.service.cancel(ALL, push_id, "bob")


async def promoted(house: House, _push_id: int) -> None:
    await promote(house.database)


async def suspended(house: House, _push_id: int) -> None:
    await suspend(house)


def while_entering(house: House, state: PushState, deed: Deed) -> None:
    """Have somebody do something while the device is asked for a state."""

    class Busy(FakeDevice):
        async def enter(self, entered: PushState, job: PushJob) -> Step:
            if entered is state:
                await deed(house, int(job.push_id))
            return await super().enter(entered, job)

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Busy(house.program)

    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach


@pytest.mark.parametrize("deed", [cancelled, promoted, suspended])
@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (PushState.PREFLIGHT, PushState.NOT_DONE),
        (PushState.BASELINED, PushState.NOT_DONE),
        (PushState.APPLYING, PushState.REVERTED),
        (PushState.VERIFIED, PushState.REVERTED),
    ],
)
async def test_what_happens_while_a_state_is_entered_counts_before_the_next(
    house: House, deed: Deed, state: PushState, ends: PushState
) -> None:
    push_id = await house.start()
    while_entering(house, state, deed)
    push = await house.carry_out(push_id)
    assert (push.state, push.outcome) == (ends, Outcome.NOT_DONE)
    assert house.program.running == BASE
    assert "confirmed" not in house.program.log


async def test_a_daemon_that_has_carried_out_pushes_holds_nothing_of_them(house: House) -> None:
    """Nor of those that somebody asked to stop when they were over; in years it would be all of its memory."""
    for number in range(2):
        house.program.running = house.program.saved = BASE
        push_id = await house.start()
        if number:
            await house.service.cancel(ALL, push_id, "bob")
        assert (await house.carry_out(push_id)).finished_ms is not None
        house.service._advance.nudge(push_id)
    advance = house.service._advance
    assert not advance._turns
    assert not advance._contacts


async def test_state_by_state_or_in_one_go_the_journal_is_the_same(house: House) -> None:
    def shown(rows: list[JournalRow]) -> list[tuple[object, ...]]:
        return [(row.seq, row.attempt, row.state, row.phase, row.verdict, row.said) for row in rows]

    first = await house.start()
    while not await house.service.advance(first):
        pass
    in_steps = shown(await house.journal(first))
    house.program.running = house.program.saved = BASE
    second = await house.start()
    assert await house.service.go_on(second)
    assert shown(await house.journal(second)) == in_steps
