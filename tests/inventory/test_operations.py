"""Parameters of operations and their limits, outcomes, deadlines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import BadInput
from inventory.operations import (
    ASYNCHRONOUS,
    FINAL,
    HOLDING,
    Given,
    Item,
    OperationKind,
    OperationState,
    Parameters,
    answer_within_s,
    outcome,
    parameters_of,
    result_within_s,
)
from inventory.secrets import MASK

pytestmark = pytest.mark.fast
LEAST: dict[OperationKind, Given] = {
    OperationKind.READ_STATUS: Given(items=(Item(0, "arp"),)),
    OperationKind.CLEAR_STATUS: Given(items=(Item(0),)),
    OperationKind.MD_COMMAND: Given(command="show log"),
    OperationKind.PING: Given(address="192.0.2.1"),
    OperationKind.TRACEROUTE: Given(address="2001:DB8::1"),
}


def least(kind: OperationKind) -> Given:
    """The least that a request of this kind must name."""
    return LEAST.get(kind, Given())


@pytest.mark.parametrize("kind", OperationKind)
def test_what_is_left_out_is_filled_in(kind: OperationKind) -> None:
    found = parameters_of(kind, least(kind))
    expected = {
        OperationKind.MD_COMMAND: Parameters(items=(Item(0, "show log"),)),
        OperationKind.PING: Parameters(address="192.0.2.1", count=3),
        OperationKind.TRACEROUTE: Parameters(address="2001:db8::1", count=1, max_hop=30),
        OperationKind.READ_STORAGE: Parameters(storage="running"),
        OperationKind.PULL_CONFIG: Parameters(start="RS"),
    }
    assert found == expected.get(kind, Parameters(items=least(kind).items or ()))


@pytest.mark.parametrize("kind", OperationKind)
def test_a_parameter_of_another_kind_is_refused(kind: OperationKind) -> None:
    own = {
        "items": OperationKind.READ_STATUS,
        "module": OperationKind.MD_COMMAND,
        "address": OperationKind.PING,
        "max_hop": OperationKind.TRACEROUTE,
        "storage": OperationKind.READ_STORAGE,
        "start": OperationKind.PULL_CONFIG,
    }
    values = {
        "items": (Item(0),),
        "module": 0,
        "address": "192.0.2.1",
        "max_hop": 3,
        "storage": "backup",
        "start": "LS",
    }
    shared = {OperationKind.CLEAR_STATUS: {"items"}, OperationKind.TRACEROUTE: {"address"}}
    for name, belongs in own.items():
        if belongs is kind or name in shared.get(kind, set()):
            continue
        with pytest.raises(BadInput) as refused:
            parameters_of(kind, replace(least(kind), **{name: values[name]}))  # type: ignore[arg-type]  # by name
        assert refused.value.field == f"parameters.{name}"
        assert refused.value.next_step


@pytest.mark.parametrize(
    ("kind", "wrong", "field"),
    [
        ("ping", {"address": None}, "address"),
        ("ping", {"address": "router.example"}, "address"),
        ("ping", {"address": "fe80::1%ge0"}, "address"),
        ("ping", {"count": 0}, "count"),
        ("ping", {"count": 11}, "count"),
        ("ping", {"size": 65_508}, "size"),
        ("ping", {"size": -1}, "size"),
        ("traceroute", {"max_hop": 257}, "max_hop"),
        ("traceroute", {"max_hop": 0}, "max_hop"),
        ("traceroute", {"count": 0}, "count"),
        ("md-command", {"command": "  "}, "command"),
        ("md-command", {"command": "x" * 8193}, "command"),
        ("md-command", {"command": "é" * 4097}, "command"),
        ("md-command", {"command": "show\x1blog"}, "command"),
        ("md-command", {"command": "bad \ud800"}, "command"),
        ("md-command", {"command": f"password {MASK}"}, "command"),
        ("md-command", {"module": 2**31}, "command"),
        ("read-status", {"items": ()}, "items"),
        ("read-status", {"items": tuple(Item(n) for n in range(41))}, "items"),
        ("read-status", {"items": (Item(1), Item(1))}, "items"),
        ("clear-status", {"items": (Item(-1),)}, "items"),
    ],
)
def test_what_lies_outside_its_range_is_refused_by_its_field(kind: str, wrong: dict[str, Any], field: str) -> None:
    asked = OperationKind(kind)
    with pytest.raises(BadInput) as refused:
        parameters_of(asked, replace(least(asked), **wrong))
    assert refused.value.field == f"parameters.{field}"


def test_forty_items_are_taken() -> None:
    items = tuple(Item(n, "x" * 8192) for n in range(40))
    assert parameters_of(OperationKind.READ_STATUS, Given(items=items)).items == items
    assert result_within_s(OperationKind.READ_STATUS, Parameters(items=items)) == 40 * 30 + 60


def test_a_command_is_shown_by_no_repr() -> None:
    assert "hush" not in repr(parameters_of(OperationKind.MD_COMMAND, Given(command="hush")))
    assert "hush" not in repr(Given(command="hush"))


@given(st.sampled_from(sorted(OperationKind)), st.integers(1, 10), st.integers(1, 256))
def test_no_wait_is_shorter_than_a_script_or_longer_than_half_an_hour(
    kind: OperationKind, count: int, max_hop: int
) -> None:
    asked = Parameters(count=count, max_hop=max_hop, items=tuple(Item(n) for n in range(count)))
    assert answer_within_s(kind) > 30
    if kind in ASYNCHRONOUS:
        assert 60 < result_within_s(kind, asked) <= 1800


def test_every_state_is_under_way_or_one_of_three_outcomes() -> None:
    assert {outcome(state) for state in OperationState if state in FINAL} == {
        outcome(state) for state in OperationState
    } - {None}
    assert HOLDING.isdisjoint(FINAL)
    assert {OperationState.WAITING} == set(OperationState) - HOLDING - FINAL
