"""Limits of waits: as `asyncio.timeout` for whoever waits, with one timer for a whole conversation."""

from __future__ import annotations

import asyncio
import gc
from weakref import ref

import pytest

from drivers.sessions.patience import Patience
from drivers.sessions.ssh import ChannelStream

pytestmark = pytest.mark.fast


async def _in_vain(patience: Patience, limit_s: float) -> None:
    with patience.within(limit_s):
        await asyncio.get_running_loop().create_future()


async def _in_vain_at_most(patience: Patience, limit_s: float, *, around_s: float = 10, within_s: float = 10) -> None:
    async with asyncio.timeout(around_s):
        with patience.within(limit_s):
            async with asyncio.timeout(within_s):
                await asyncio.get_running_loop().create_future()


def _cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_wait_that_is_too_long_is_a_time_out_and_the_next_one_may_be_longer() -> None:
    patience = Patience()
    for limit_s in (0.02, 0.01, 0.05):
        with pytest.raises(TimeoutError):
            await _in_vain(patience, limit_s)
        assert _cancelling() == 0


async def test_a_limit_counts_from_its_own_beginning_whatever_timer_stands_from_before() -> None:
    patience, loop = Patience(), asyncio.get_running_loop()
    with patience.within(0.05):
        await asyncio.sleep(0)
    began_s = loop.time()
    with pytest.raises(TimeoutError):
        await _in_vain(patience, 0.1)
    assert loop.time() - began_s >= 0.1


async def test_a_limit_that_is_not_reached_leaves_the_task_alone() -> None:
    patience = Patience()
    for _ in range(3):
        with patience.within(0.01):
            await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    assert _cancelling() == 0


async def test_whoever_is_cancelled_from_outside_is_cancelled_and_not_timed_out() -> None:
    patience = Patience()
    task = asyncio.create_task(_in_vain(patience, 10))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):  # and the next wait has a limit of its own
        await _in_vain(patience, 0.01)


@pytest.mark.parametrize(("limit_s", "around_s", "within_s"), [(10, 0.01, 10), (10, 10, 0.01), (0.01, 10, 10)])
async def test_the_shortest_of_limits_around_each_other_strikes(
    limit_s: float, around_s: float, within_s: float
) -> None:
    patience = Patience()
    with pytest.raises(TimeoutError):
        await _in_vain_at_most(patience, limit_s, around_s=around_s, within_s=within_s)
    assert _cancelling() == 0
    with patience.within(10):
        await asyncio.sleep(0)


async def test_an_error_within_the_limit_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="a fault"), Patience().within(10):
        raise ValueError("a fault")


async def test_a_conversation_that_everybody_has_forgotten_is_not_held_by_its_timer() -> None:
    patience = Patience()
    with patience.within(3600):
        await asyncio.sleep(0)
    forgotten = ref(patience)
    del patience
    gc.collect()
    assert forgotten() is None


async def test_an_echo_alone_wakes_nobody_and_is_read_with_what_follows() -> None:
    stream = ChannelStream()
    reading = asyncio.create_task(stream.read(b"show clock\r\n"))
    await asyncio.sleep(0)
    for piece in (b"show ", b"clock\r", b"\n"):
        stream.data_received(piece, None)
        await asyncio.sleep(0)
        assert not reading.done()
    stream.data_received(b"12:00\r\nr1#", None)
    assert await reading == b"show clock\r\n12:00\r\nr1#"


@pytest.mark.parametrize("said", [b"% Bad", b"show clack", b"show clock\r\nr", b"s\x08"])
async def test_whatever_is_not_the_echo_is_read_at_once(said: bytes) -> None:
    stream = ChannelStream()
    reading = asyncio.create_task(stream.read(b"show clock\r\n"))
    await asyncio.sleep(0)
    stream.data_received(said, None)
    async with asyncio.timeout(5):
        assert await reading == said


async def test_an_echo_that_nothing_follows_is_read_when_the_channel_ends() -> None:
    stream = ChannelStream()
    reading = asyncio.create_task(stream.read(b"reload\r\n"))
    await asyncio.sleep(0)
    stream.data_received(b"reload\r\n", None)
    stream.eof_received()
    async with asyncio.timeout(5):
        assert await reading == b"reload\r\n"


async def test_a_conversation_that_is_over_leaves_nothing_with_the_loop() -> None:
    patience = Patience()
    with patience.within(10):
        timer = patience._timer
        patience.rest()
        assert timer is not None
        assert not timer.cancelled(), "a limit that somebody is waiting within stays"
    patience.rest()
    assert timer.cancelled()
    with pytest.raises(TimeoutError):
        await _in_vain(patience, 0.01)
