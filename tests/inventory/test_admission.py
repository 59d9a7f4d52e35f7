"""Phone-home's answer is a table; these are the laws that every cell obeys."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.arms.results import sendable
from inventory.admission import Answer, Caller, Door, Place, admit

pytestmark = pytest.mark.fast

reasons = st.one_of(st.none(), st.just("a reason"))
callers = st.builds(
    Caller,
    known=st.booleans(),
    key_ok=st.booleans(),
    same_id=st.booleans(),
    place=st.sampled_from(Place),
    delivered=st.booleans(),
    missing=st.sampled_from([(), ("line",)]),
    suspended=reasons,
    shut_out=reasons,
    quarantine=reasons,
    startup=st.booleans(),
    overload=st.booleans(),
)
doors = st.sampled_from(Door)


@given(doors, callers)
def test_no_answer_makes_a_client_loop_or_reboot(door: Door, caller: Caller) -> None:
    answer = admit(door, caller)
    if answer.kind == "arms":
        assert sendable(answer.code)
        assert answer.code not in {503}
    else:
        assert answer.code in {200, 401, 403, 503}
    assert door is not Door.TUNNEL or answer.kind == "http"
    assert answer.admitted != bool(answer.reason)


@given(doors, callers)
def test_whoever_is_not_who_he_says_learns_nothing_of_the_adapter(door: Door, caller: Caller) -> None:
    """Without the key, place, contract and quarantine change nothing in the answer."""
    stranger = dataclasses.replace(caller, key_ok=False)
    for place in Place:
        other = dataclasses.replace(
            stranger, place=place, missing=(), suspended=None, shut_out=None, quarantine=None, startup=True
        )
        assert admit(door, other) == admit(door, stranger)


@given(callers)
def test_a_config_goes_only_to_a_proven_adapter_that_sits_in_an_entry_and_may_have_it(caller: Caller) -> None:
    if admit(Door.RS, caller).admitted:
        assert caller.known
        assert caller.key_ok
        assert caller.same_id
        assert caller.place is Place.ENTRY
        assert not caller.missing
        assert caller.suspended is caller.shut_out is caller.quarantine is None
        assert caller.startup
        assert not caller.overload


@given(callers)
def test_a_tunnel_opens_exactly_where_a_config_is_given(caller: Caller) -> None:
    assert admit(Door.TUNNEL, caller).admitted == admit(Door.RS, caller).admitted


@given(callers)
def test_whoever_may_pull_finds_the_ls_open(caller: Caller) -> None:
    if admit(Door.RS, caller).admitted:
        assert admit(Door.LS, caller) == Answer("arms", 100)


READY = Caller(known=True, place=Place.ENTRY, startup=True)
TABLE: list[tuple[Caller, int, int, int]] = [
    (READY, 100, 100, 200),
    (dataclasses.replace(READY, known=False), 420, 420, 403),
    (dataclasses.replace(READY, key_ok=False), 401, 401, 401),
    (dataclasses.replace(READY, same_id=False), 423, 423, 403),
    (dataclasses.replace(READY, place=Place.NONE), 100, 404, 403),
    (dataclasses.replace(READY, place=Place.STANDBY), 100, 404, 403),
    (dataclasses.replace(READY, missing=("site",)), 100, 404, 403),
    (dataclasses.replace(READY, suspended="unpaid"), 100, 404, 403),
    (dataclasses.replace(READY, delivered=False), 100, 404, 403),
    (dataclasses.replace(READY, quarantine="another serial"), 100, 404, 403),
    (dataclasses.replace(READY, startup=False), 100, 421, 403),
    (dataclasses.replace(READY, shut_out="stolen"), 501, 501, 403),
    (dataclasses.replace(READY, overload=True), 301, 301, 503),
]


@pytest.mark.parametrize(("caller", "ls", "rs", "tunnel"), TABLE)
def test_each_row_of_the_table(caller: Caller, ls: int, rs: int, tunnel: int) -> None:
    assert tuple(admit(door, caller).code for door in (Door.LS, Door.RS, Door.TUNNEL)) == (ls, rs, tunnel)
