"""Results that come before anybody is known to wait for them: kept for a minute, but never more than there is room."""

from __future__ import annotations

import pytest

from controller.phonehome.peer import EARLY_BYTES, MAX_EARLY, Peer
from controller.phonehome.room import FREE, Room
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import Nothing
from tests.controller.phonehome.site import Site, Unit

MIB = 1024 * 1024


def told(unit: Unit, id_: int) -> Request:
    """A result of a read-status."""
    return Request("read-status-done", unit.distribution_id, Nothing(), transaction_result=100, transaction_id=id_)


async def peer_of(site: Site, unit: Unit) -> Peer:
    """The adapter's open state."""
    identity = await site.home.context.identity(unit.distribution_id)
    assert identity is not None
    return site.home.context.peer(identity)


@pytest.mark.parametrize("door", ["of one adapter", "of all together"])
async def test_early_results_are_bounded_in_bytes_and_those_beyond_are_answered_and_noted(
    site: Site, door: str
) -> None:
    unit = await site.unit()
    peer = await peer_of(site, unit)
    size = EARLY_BYTES // 3
    if door == "of all together":
        peer.early, size = Room(2 * FREE + 1000), FREE
    answered: list[int] = []

    def answer(response: Response) -> bool:
        answered.append(response.result_code)
        return True

    for id_ in range(1, 6):
        peer.finished(told(unit, id_), answer, size=size)
    kept = 3 if door == "of one adapter" else 2
    assert sorted(peer.transactions) == list(range(1, kept + 1))
    assert answered == [100] * 5
    noted = [facts for kind, facts in await site.events(unit) if kind == "phonehome.unsolicited-done"]
    assert [facts["dropped_bytes"] for facts in noted] == [size] * (5 - kept)

    # What somebody waits for is early no longer, and makes room for the next.
    assert (await peer.wait_done(1, timeout_s=5)).transaction_id == 1
    peer.finished(told(unit, 9), answer, size=size)
    assert 9 in peer.transactions


async def test_a_result_of_the_full_size_is_kept_when_it_is_the_only_one(site: Site) -> None:
    unit = await site.unit()
    peer = await peer_of(site, unit)
    peer.finished(told(unit, 1), lambda _: True, size=EARLY_BYTES)
    peer.finished(told(unit, 2), lambda _: True, size=1)
    assert list(peer.transactions) == [1]
    assert MAX_EARLY * EARLY_BYTES > 1000 * MIB  # what a count alone would have let in
