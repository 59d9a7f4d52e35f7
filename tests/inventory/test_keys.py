"""Which key is accepted when: an adapter that is away, or loses an answer, always comes back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inventory.errors import BadInput, Conflict
from inventory.keys import (
    ClientCertificates,
    KeyKind,
    Keys,
    RotationState,
    accepted_certificates,
    certificate_doubt,
    deadline,
    explain,
)

pytestmark = pytest.mark.fast

NOW_MS = 1_760_745_600_000
GRACE_MS = 5_000
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)


@dataclass
class World:
    """An adapter and its server, with whatever may go wrong between them."""

    keys: Keys[int] = field(default_factory=lambda: Keys(0))
    has: int = 0
    """What the adapter really has."""
    now_ms: int = NOW_MS
    on_the_way: Keys[int] | None = None
    """The record as a slow answer saw it."""


class Rotations(RuleBasedStateMachine):
    """Rotations, deliveries that get lost or come late, deadlines, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.numbers = itertools.count(1)

    @rule(after_s=st.integers(0, 100))
    def time_passes(self, after_s: int) -> None:
        self.world.now_ms += after_s * 1000

    @rule(deadline_s=st.none() | st.integers(60, 120), at_once=st.booleans())
    def an_operator_rotates(self, deadline_s: int | None, at_once: bool) -> None:
        world, before = self.world, self.world.keys
        until_ms = None if deadline_s is None else world.now_ms + deadline_s * 1000
        if before.in_flight and not at_once:
            with pytest.raises(Conflict, match="in flight"):
                before.rotate(next(self.numbers), world.now_ms, deadline_ms=until_ms)
            return
        world.keys = before.rotate(next(self.numbers), world.now_ms, deadline_ms=until_ms, at_once=at_once)
        assert world.keys.rotated_ms != before.rotated_ms
        if at_once:
            assert world.keys.accepted(world.now_ms, grace_ms=GRACE_MS) == (world.keys.current,)

    @rule()
    def the_adapter_asks_and_the_record_is_read(self) -> None:
        self.world.on_the_way = self.world.keys

    @precondition(lambda self: self.world.on_the_way is not None)
    @rule(arrives=st.booleans())
    def it_is_answered(self, arrives: bool) -> None:
        world = self.world
        assert world.on_the_way is not None
        if arrives:
            world.has = world.on_the_way.current
        world.keys = world.keys.delivered(world.on_the_way.rotated_ms, world.now_ms)
        world.on_the_way = None

    @invariant()
    def at_most_two_are_accepted_and_the_newest_always(self) -> None:
        accepted = self.world.keys.accepted(self.world.now_ms, grace_ms=GRACE_MS)
        assert accepted[0] == self.world.keys.current
        assert len(accepted) <= 2

    @invariant()
    def what_we_use_towards_it_is_accepted_from_it_unless_the_deadline_has_passed(self) -> None:
        keys, now_ms = self.world.keys, self.world.now_ms
        if keys.state(now_ms, grace_ms=GRACE_MS) is not RotationState.OVERDUE:
            assert keys.known in keys.accepted(now_ms, grace_ms=GRACE_MS)

    @invariant()
    def what_it_has_as_far_as_we_know_is_tried_first_towards_it_and_the_newest_is_tried_too(self) -> None:
        keys, now_ms = self.world.keys, self.world.now_ms
        tried = keys.towards(now_ms)
        assert tried[0] == keys.known
        assert keys.current in tried
        assert len(set(tried)) == len(tried)

    @invariant()
    def whoever_asks_now_and_hears_the_answer_is_let_in(self) -> None:
        keys, now_ms = self.world.keys, self.world.now_ms
        told = keys.current
        after = keys.delivered(keys.rotated_ms, now_ms)
        assert told in after.accepted(now_ms, grace_ms=GRACE_MS)
        assert after.known == told
        assert not after.in_flight


TestRotations = Rotations.TestCase


def test_an_old_key_is_accepted_until_the_new_one_was_fetched() -> None:
    keys = Keys("old").rotate("new", NOW_MS, deadline_ms=NOW_MS + 60_000)
    assert keys.accepted(NOW_MS) == ("new", "old")
    assert keys.known == "old"
    fetched = keys.delivered(keys.rotated_ms, NOW_MS + 5)
    assert fetched.accepted(NOW_MS + 5) == ("new",)
    assert fetched.known == "new"


def test_an_old_key_ends_at_its_deadline_to_the_millisecond() -> None:
    keys = Keys("old").rotate("new", NOW_MS, deadline_ms=NOW_MS + 60_000)
    assert keys.accepted(NOW_MS + 59_999) == ("new", "old")
    assert keys.accepted(NOW_MS + 60_000) == ("new",)
    assert keys.state(NOW_MS + 60_000) is RotationState.OVERDUE
    assert keys.known == "old"


def test_an_old_passphrase_has_its_grace_after_the_pull() -> None:
    keys = Keys("old").rotate("new", NOW_MS).delivered(NOW_MS, NOW_MS + 10)
    assert keys.accepted(NOW_MS + 10 + GRACE_MS - 1, grace_ms=GRACE_MS) == ("new", "old")
    assert keys.accepted(NOW_MS + 10 + GRACE_MS, grace_ms=GRACE_MS) == ("new",)


def test_an_answer_from_before_the_rotation_ends_no_key() -> None:
    before = Keys("old")
    after = before.rotate("new", NOW_MS)
    assert after.delivered(before.rotated_ms, NOW_MS + 1) == after


def test_only_keys_that_can_have_a_deadline_have_one() -> None:
    assert deadline("rs", None, NOW_MS, at_once=False) == NOW_MS + 86_400_000
    assert deadline("rs", 60, NOW_MS, at_once=False) == NOW_MS + 60_000
    assert deadline("ls", None, NOW_MS, at_once=False) is None
    assert deadline("rs", None, NOW_MS, at_once=True) is None
    for kind, wanted_s, at_once in (
        ("heartbeat", 60, False),
        ("rs", 60, True),
        ("rs", 59, False),
        ("ls", 10**9, False),
    ):
        with pytest.raises(BadInput) as refused:
            deadline(kind, wanted_s, NOW_MS, at_once=at_once)  # type: ignore[arg-type]  # of the list above
        assert refused.value.field == "deadline_s"


def test_no_two_states_of_keys_read_the_same() -> None:
    told = [explain(kind, state).summary for kind, state in product(KINDS, RotationState)]
    assert len(set(told)) == len(told)
    for kind, state in product(KINDS, (RotationState.WAITING, RotationState.OVERDUE)):
        assert explain(kind, state).next_action


ID, OTHER = "0001-A", "0001-B"


def test_the_certificate_before_stands_until_a_config_pull_has_brought_the_newest() -> None:
    assert accepted_certificates(None, None, delivered=None) == (), "not known: nothing is compared"
    assert accepted_certificates("A", None, delivered=None) == ("A",)
    assert accepted_certificates("B", "A", delivered="A") == ("B", "A")
    assert accepted_certificates("B", "A", delivered="B") == ("B",)
    assert accepted_certificates("", None, delivered="A") == ("",), "ended at once: none stands"
    assert accepted_certificates("B", "", delivered="A") == ("B",)


@given(
    st.sampled_from(get_args(ClientCertificates)),
    st.sampled_from([None, ID, OTHER, ""]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_certificate_speaks_against_its_bearer_or_not(
    policy: ClientCertificates, shown: str | None, replaced: bool, ended: bool, issued: bool, pulling: bool
) -> None:
    doubt = certificate_doubt(
        policy, distribution_id=ID, shown=shown, replaced=replaced, ended=ended, issued=issued, pulling=pulling
    )
    if policy == "off":
        assert doubt is None
    elif shown in {OTHER, ""}:
        assert doubt is not None
    elif pulling:
        assert doubt is None, "a config pull must get through: it is how an adapter gets its certificate"
    elif shown == ID and replaced:
        assert doubt is not None, "also where none need be shown: its key may be in wrong hands"
    elif policy == "ask":
        assert doubt is None
    elif shown is None:
        assert (doubt is not None) == issued
    else:
        assert (doubt is not None) == ended
