"""A proposal's life: who moved it on, when and why; what its acceptance asks for; why nothing was proposed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from controller.store import links, proposalfacts, proposals
from controller.store.proposals import NewProposal, Proposal
from controller.store.scope import Scope
from controller.store.tables.contracts import applications
from controller.store.tables.inventory import placements
from controller.store.tables.push import pushes
from drivers.simulator.traffic import Profile
from inventory.errors import Conflict, NotFound
from tests.controller.metering.conftest import EVERYTHING, Place

CALM = Profile(seed=3, kind="office", capacity_bps=100_000_000, busy_share=0.3, bursts=False)

NEW = NewProposal(
    entry_id=0,
    link_id=0,
    reason="level",
    kind="line",
    model=None,
    monthly_delta_yen=None,
    level=2,
    text="Recommended: a line of 200 Mbit/s.",
    evidence={"remedy": {"line_rate_bps": 2e8}},
    rule_version="test",
    text_ja="提案：200 Mbit/sの回線。",
)


async def drafted(place: Place) -> Proposal:
    async with place.database.write() as tx:
        return await proposals.draft(
            tx, place.clock.now_ms(), replace(NEW, entry_id=place.entry_id, link_id=place.link.id)
        )


async def moved(place: Place, number: int, state: proposals.State, reason: str) -> Proposal:
    place.clock.advance(60)
    async with place.database.write() as tx:
        return await proposals.decide(tx, EVERYTHING, place.by(), number, state=state, if_version=None, reason=reason)


@pytest.mark.rule("MPC-19", "SMF-24")
async def test_an_accepted_proposal_makes_one_change_order_and_changes_nothing(place: Place) -> None:
    draft = await drafted(place)
    before = await _counts(place)
    await moved(place, draft.id, "sent", "shown at the meeting")
    done = await moved(place, draft.id, "accepted", "order of 2 July")
    assert (done.state, done.text_ja) == ("accepted", "提案：200 Mbit/sの回線。")
    own = Scope.of(place.contractor_id)
    async with place.database.read() as tx:
        (order,) = await proposals.orders(tx, own)
        life = await proposals.steps(tx, own, draft.id)
    assert (order.proposal_id, order.entry_id, order.kind) == (draft.id, place.entry_id, "line")
    assert (order.line_rate_bps, order.actor, order.reason) == (200_000_000, "ops", "order of 2 July")
    assert [(one.state, one.actor, one.reason) for one in life] == [
        ("draft", "system", "level"),
        ("sent", "ops", "shown at the meeting"),
        ("accepted", "ops", "order of 2 July"),
    ]
    assert life[1].at_ms - life[0].at_ms == 60_000
    assert await _counts(place) == before
    with pytest.raises(Conflict, match="cannot become"):
        await moved(place, draft.id, "accepted", "twice")


async def test_a_declined_proposal_makes_no_change_order_and_says_why(place: Place) -> None:
    draft = await drafted(place)
    await moved(place, draft.id, "declined", "the shop closes")
    async with place.database.read() as tx:
        assert await proposals.orders(tx, EVERYTHING) == []
        assert (await proposals.steps(tx, EVERYTHING, draft.id))[-1].reason == "the shop closes"


async def test_another_contractor_sees_neither_proposal_nor_steps_nor_order(place: Place) -> None:
    draft = await drafted(place)
    await moved(place, draft.id, "sent", "")
    await moved(place, draft.id, "accepted", "")
    other = Scope.of(place.contractor_id + 1)
    async with place.database.read() as tx:
        assert await proposals.page(tx, other) == []
        assert await proposals.orders(tx, other) == []
        with pytest.raises(NotFound):
            await proposals.steps(tx, other, draft.id)


async def test_the_reason_for_silence_is_kept(place: Place) -> None:
    """One day of traffic is not enough to propose anything."""
    await place.metering.import_readings(EVERYTHING, place.past(CALM, 2))
    await place.metering.tick()
    async with place.database.read() as tx:
        assert await proposals.page(tx, EVERYTHING) == []
        said = await proposalfacts.check(tx, place.link.id)
        assert await links.levels(tx, place.link.id)
    assert said is not None
    assert (said.proposed, said.reason) == (False, "not-enough-data")


async def _counts(place: Place) -> list[int | None]:
    """What a change would leave behind: applications, placements, pushes."""
    async with place.database.read() as tx:
        return [await tx.scalar(select(func.count()).select_from(t)) for t in (applications, placements, pushes)]
