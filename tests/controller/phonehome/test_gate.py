"""Whoever comes while the node is busy: held in a fair order, served when there is room, told to come back if not."""

from __future__ import annotations

import asyncio

import pytest

from controller.phonehome.gate import Gate, Turn
from tests.clock import ManualClock

pytestmark = pytest.mark.fast


async def settle() -> None:
    """Let whoever can go on do so."""
    for _ in range(8):
        await asyncio.sleep(0)


async def come(gate: Gate, who: str, order: list[str], *, step: int = 0) -> Turn:
    """Wait for the turn of `who`, and note it."""
    turn = await gate.enter(who, step=step)
    if turn is not Turn.REFUSED:
        order.append(who)
    return turn


async def test_so_many_are_in_work_at_once_and_the_next_comes_when_one_is_done() -> None:
    gate = Gate(ManualClock(), at_once=2)
    assert [await gate.enter("x") for _ in range(2)] == [Turn.AT_ONCE] * 2
    held = [asyncio.create_task(gate.enter(f"SN-{number}")) for number in range(3)]
    await settle()
    assert not any(task.done() for task in held)
    gate.leave()
    await settle()
    assert [task.done() for task in held] == [True, False, False]
    gate.leave()
    gate.leave()
    assert await asyncio.gather(*held) == [Turn.HELD] * 3
    gate.leave()
    gate.leave()
    assert await gate.enter("quiet again") is Turn.AT_ONCE


async def test_without_a_ceiling_no_rate_holds_anybody_while_there_is_room() -> None:
    gate = Gate(ManualClock())
    for number in range(5000):
        assert await gate.enter(f"SN-{number}") is Turn.AT_ONCE
        gate.leave()


async def test_a_ceiling_lets_so_many_pass_a_second_and_twice_that_after_a_quiet_time() -> None:
    clock = ManualClock()
    gate = Gate(clock, ceiling=2)
    assert [await gate.enter("x") for _ in range(4)] == [Turn.AT_ONCE] * 4
    held = [asyncio.create_task(gate.enter(f"SN-{number}")) for number in range(3)]
    await settle()
    assert not any(task.done() for task in held)
    clock.advance(0.51)
    await settle()
    assert [task.done() for task in held] == [True, False, False]
    clock.advance(0.51)
    await settle()
    clock.advance(0.51)
    assert await asyncio.gather(*held) == [Turn.HELD] * 3


async def test_the_order_is_that_of_arrival() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    await gate.enter("busy")
    order: list[str] = []
    for number in range(20):
        asyncio.create_task(come(gate, f"SN-{number:02}", order))  # noqa: RUF006  # it ends with the test
        await settle()
        clock.advance(0.001)
    for _ in range(20):
        gate.leave()
        await settle()
    assert order == [f"SN-{number:02}" for number in range(20)]


async def test_a_boot_that_was_begun_goes_before_one_that_came_a_little_earlier_but_nobody_starves() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    await gate.enter("busy")
    order: list[str] = []
    tasks = [asyncio.create_task(come(gate, "waits long", order))]
    await settle()
    clock.advance(7.0)
    tasks.append(asyncio.create_task(come(gate, "new", order)))
    await settle()
    clock.advance(1.0)
    tasks.append(asyncio.create_task(come(gate, "half way", order, step=1)))
    tasks.append(asyncio.create_task(come(gate, "almost there", order, step=3)))
    await settle()
    for _ in tasks:
        gate.leave()
        await settle()
    assert order == ["waits long", "almost there", "half way", "new"]


async def test_boots_that_were_begun_do_not_push_a_newcomer_over_the_time_that_it_bears() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    await gate.enter("busy")
    order: list[str] = []
    tasks = [asyncio.create_task(come(gate, "newcomer", order))]
    await settle()
    for second in range(16):  # one is served each second, and another that is almost there comes
        tasks.append(asyncio.create_task(come(gate, f"step-{second:02}", order, step=10)))
        await settle()
        clock.advance(1.0)
        gate.leave()
        await settle()
    assert order.index("newcomer") == 11
    for _ in tasks:
        gate.leave()
    assert Turn.REFUSED not in await asyncio.gather(*tasks)


async def test_nobody_is_held_longer_than_20_s() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    await gate.enter("stuck")
    held = asyncio.create_task(gate.enter("SN-1"))
    await settle()
    clock.advance(19.9)
    await settle()
    assert not held.done()
    clock.advance(0.2)
    assert await held is Turn.REFUSED
    assert gate.refused == 1


async def test_whoever_is_too_far_back_is_held_for_a_time_of_its_own_and_refused() -> None:
    clock = ManualClock()
    gate = Gate(clock, ceiling=0.01)
    assert await gate.enter("first") is Turn.AT_ONCE
    late = [asyncio.create_task(gate.enter(f"SN-{number}")) for number in range(20)]
    await settle()
    clock.advance(9.9)
    await settle()
    assert not any(task.done() for task in late)
    ends: set[tuple[asyncio.Task[Turn], int]] = set()
    for tenth in range(100, 201):
        clock.advance(0.1)
        await settle()
        ends.update((task, tenth) for task in late if task.done() and task not in {each for each, _ in ends})
    assert await asyncio.gather(*late) == [Turn.REFUSED] * 20
    assert len({tenth for _, tenth in ends}) > 10
    assert gate.refused == 20


async def test_whoever_was_sent_away_goes_before_newcomers_when_it_is_back() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    await gate.enter("busy")
    assert_refused = asyncio.create_task(gate.enter("sent away"))
    await settle()
    clock.advance(20.0)
    assert await assert_refused is Turn.REFUSED
    order: list[str] = []
    newcomer = asyncio.create_task(come(gate, "newcomer", order))
    await settle()
    clock.advance(15.0)
    back = asyncio.create_task(come(gate, "sent away", order))
    await settle()
    gate.leave()
    gate.leave()
    await asyncio.gather(newcomer, back)
    assert order == ["sent away", "newcomer"]


async def test_a_connection_that_is_gone_takes_nobodys_turn() -> None:
    gate = Gate(ManualClock(), at_once=1)
    await gate.enter("busy")
    gone, next_ = asyncio.create_task(gate.enter("gone")), asyncio.create_task(gate.enter("next"))
    await settle()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    gate.leave()
    assert await next_ is Turn.HELD

    # Cancelled in the moment of its turn: the turn goes on to the next.
    cut, last = asyncio.create_task(gate.enter("cut")), asyncio.create_task(gate.enter("last"))
    await settle()
    gate.leave()
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert await last is Turn.HELD


async def test_the_rate_is_what_was_served() -> None:
    clock = ManualClock()
    gate = Gate(clock, at_once=1)
    assert gate.per_s is None
    for _ in range(100):
        await gate.enter("x")
        clock.advance(0.02)
        gate.leave()
    assert gate.per_s == pytest.approx(50)
