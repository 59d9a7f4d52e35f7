"""Whatever operators do in whatever order: nobody sits twice, and history never overlaps."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.store import entries, slots
from controller.store.database import Tx
from controller.store.scope import By, Scope
from controller.store.seats import SlotRef
from inventory.errors import FleetError
from inventory.slots import Placement
from tests.controller.store.fleet import ALL, BY, Fleet

UNITS, ENTRIES, STANDBYS = 4, 3, 2
UNIT = st.integers(0, UNITS - 1)
ENTRY = st.integers(0, ENTRIES - 1)
STANDBY = st.integers(0, STANDBYS - 1)
MOVES = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("entry"), UNIT, ENTRY),
            st.tuples(st.just("standby"), UNIT, STANDBY),
            st.tuples(st.just("release"), UNIT, st.just(0)),
            st.tuples(st.just("promote"), ENTRY, STANDBY),
            st.tuples(st.just("swap"), UNIT, UNIT),
        ),
        st.integers(-5_000, 60_000),
    ),
    max_size=25,
)


async def move(tx: Tx, by: By, verb: str, one: int, other: int) -> None:
    """Carry out one move by the numbers of its parts."""
    match verb:
        case "entry":
            await slots.assign(tx, ALL, by, one, entry_id=other)
        case "standby":
            await slots.assign(tx, ALL, by, one, standby_id=other)
        case "release":
            await slots.release(tx, ALL, by, one)
        case "promote":
            await slots.promote(tx, ALL, by, entry_id=one, standby_id=other)
        case _:
            await slots.swap(tx, ALL, by, one, other)


def assert_apart(past: list[Placement]) -> None:
    """At most one is open, the last; each begins when or after the one before ended."""
    assert all(one.to_ms is not None for one in past[:-1])
    for one, following in pairwise(past):
        assert one.to_ms is not None
        assert one.from_ms <= one.to_ms <= following.from_ms


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
async def test_nobody_ever_sits_twice_and_history_never_overlaps(fleet: Fleet, moves: list[Any]) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=ENTRIES, standby_count=STANDBYS)
    units = [(await fleet.adapter(north)).id for _ in range(UNITS)]
    scope = Scope.of(north.id)
    async with fleet.database.read() as tx:
        places = [one.id for one in await entries.page(tx, scope, management_id=osaka.id)]
        spares = [one.id for one in await entries.page_standbys(tx, scope, management_id=osaka.id)]
    numbers = {
        "entry": (units, places),
        "standby": (units, spares),
        "release": (units, [0]),
        "promote": (places, spares),
        "swap": (units, units),
    }
    at_ms = BY.at_ms
    for (verb, one, other), step_ms in moves:
        at_ms += step_ms
        first, second = numbers[verb]
        # A refusal is one of the lawful answers; what it left behind is looked at next.
        with suppress(FleetError):
            async with fleet.database.write() as tx:
                await move(tx, By("hypothesis", at_ms), verb, first[one], second[other])
        async with fleet.database.read() as tx:
            seated = [place for unit in units if (place := await slots.place_of(tx, scope, unit))]
            assert len({place.slot_key for place in seated}) == len(seated)
    async with fleet.database.read() as tx:
        for unit in units:
            assert_apart(await slots.history(tx, scope, adapter_id=unit))
        for entry in places:
            past = await slots.history(tx, scope, slot=SlotRef("entry", entry))
            assert_apart(past)
            assert (await entries.get(tx, scope, entry)).generation == 1 + len(past)
        for spare in spares:
            assert_apart(await slots.history(tx, scope, slot=SlotRef("standby", spare)))
