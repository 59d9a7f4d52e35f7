"""A local day that is over is judged once, however often the UTC day that it ends in changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.counters import Flag, Increment
from inventory.periods import TOKYO, day_of, day_start_ms
from inventory.slotday import DAY_MS, SLOTS, SlotDay, add, decode, encode, part_digest
from inventory.timeslots import SLOT_MS
from tests.controller.beats import batch
from tests.controller.metering.conftest import Place
from tests.controller.metering.test_service import heartbeat


async def tell(place: Place, minutes: int, octets: int, *, ago_ms: int = 0) -> None:
    """One heartbeat a minute; `ago_ms`: they come late."""
    for minute in range(minutes):
        beat = heartbeat(place, octets + 1_000 * minute)
        await place.metering.keep(batch(replace(beat, received_ms=beat.received_ms - ago_ms)))
        place.clock.advance(60)
    await place.metering.settle()


async def test_a_day_that_is_over_is_made_once_while_the_next_goes_on_and_again_for_late_readings(place: Place) -> None:
    midnight = day_start_ms(day_of(place.clock.now_ms() + DAY_MS, TOKYO), TOKYO)
    place.clock.advance((midnight - place.clock.now_ms()) / 1000 - 30 * 60)
    await tell(place, 20, 1_000)
    place.clock.advance(10 * 60)
    assert await place.metering.close_days() == 0
    await tell(place, 20, 1_000_000)
    assert await place.metering.close_days() == 1
    for number in range(3):
        await tell(place, 5, 2_000_000 + 100_000 * number)
        assert await place.metering.close_days() == 0
    late = place.clock.now_ms() - midnight + 2 * 60 * 60_000
    await tell(place, 3, 500, ago_ms=late)
    assert await place.metering.close_days() == 1
    assert await place.metering.close_days() == 0


@pytest.mark.fast
@given(
    st.lists(st.tuples(st.integers(0, SLOTS - 2), st.integers(1, 400_000), st.booleans()), max_size=12),
    st.integers(1, SLOTS - 1),
    st.tuples(st.integers(0, SLOTS - 2), st.integers(1, 900_000), st.booleans()),
)
def test_what_comes_after_a_part_of_a_day_leaves_its_digest_and_what_changes_in_it_does_not(
    told: list[tuple[int, int, bool]], cut: int, last: tuple[int, int, bool]
) -> None:
    day = SlotDay.empty(0)
    for one in told:
        put(day, one)
    before = encode(day)
    put(day, last)
    after = encode(day)
    edge = cut * SLOT_MS
    early, late = (part_digest(0, blob, 0, edge) for blob in (before, after))
    if last[0] >= cut:
        assert early == late
    if last[0] < cut and day.into.known[:cut] != decode_known(before)[:cut]:
        assert early != late
    assert (part_digest(0, before, 0, DAY_MS) == part_digest(0, after, 0, DAY_MS)) == (before == after)


def put(day: SlotDay, told: tuple[int, int, bool]) -> None:
    """Octets of one slot, certain or not."""
    slot, octets, certain = told
    begin = slot * SLOT_MS
    flag = Flag.MEASURED if certain else Flag.AMBIGUOUS
    one = Increment(begin, begin + SLOT_MS, octets if certain else octets // 2, octets, flag)
    for direction in (day.into, day.out):
        add({0: direction}, [one], 1_000_000_000)


def decode_known(blob: bytes) -> list[int]:
    """Counts of direction in."""
    return decode(0, blob).into.known
