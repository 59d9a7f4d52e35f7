"""A proposal's life: who moved it on, when and why; what its acceptance asks for; why nothing was proposed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from controller.api.proposals import CheckView
from controller.store import levels, links, proposalfacts, proposals
from controller.store.proposals import NewProposal, Proposal
from controller.store.scope import Scope
from controller.store.tables.contracts import applications
from controller.store.tables.inventory import adapters, placements
from controller.store.tables.push import pushes
from drivers.simulator.traffic import Profile
from inventory.adapters import Life
from inventory.calendar import tokyo_day
from inventory.errors import Conflict, NotFound
from inventory.links import Capacity, CapacityKind
from inventory.periods import Period
from inventory.proposalreasons import WORDS
from inventory.reporting import Format, Language, Subject
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import BUSY, ON_SQLITE, as_json, service, yesterday

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


async def moved(
    place: Place, number: int, state: proposals.State, reason: str, valid_until: date | None = None
) -> Proposal:
    place.clock.advance(60)
    async with place.database.write() as tx:
        return await proposals.decide(
            tx,
            EVERYTHING,
            place.by(),
            number,
            state=state,
            if_version=None,
            reason=reason,
            valid_until=valid_until,
        )


async def seen(place: Place, *, by_contractor: bool = False) -> list[Proposal]:
    scope = Scope.of(place.contractor_id) if by_contractor else EVERYTHING
    async with place.database.read() as tx:
        return await proposals.page(tx, scope)


async def said(place: Place) -> tuple[bool, str]:
    """What the last daily look came to."""
    async with place.database.read() as tx:
        check = await proposalfacts.check(tx, place.link.id)
    assert check is not None
    return check.proposed, check.reason


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


@ON_SQLITE
@pytest.mark.rule("MPC-19", "SMF-24")
async def test_a_draft_is_nobody_s_but_ours_and_an_order_under_way_is_not_proposed_again(
    place: Place, tmp_path: Path
) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 35))
    await place.metering.tick()
    (draft,) = await seen(place)
    assert await seen(place, by_contractor=True) == []
    with pytest.raises(NotFound):
        async with place.database.read() as tx:
            await proposals.get(tx, Scope.of(place.contractor_id), draft.id)
    made = service(place, tmp_path)
    subject = Subject(contractor_id=place.contractor_id)
    before = await made.make(EVERYTHING, subject, Period.DAY, yesterday(place))
    assert (await as_json(made, before.key))["links"][0]["proposal"] is None

    await moved(place, draft.id, "sent", "", tokyo_day(place.clock.now_ms()) + timedelta(days=60))
    (shown,) = await seen(place, by_contractor=True)
    assert (shown.id, shown.state, shown.decided_ms) == (draft.id, "sent", None)
    week = await made.make(EVERYTHING, subject, Period.WEEK, yesterday(place) - timedelta(days=7))
    told = await as_json(made, week.key)
    assert told["links"][0]["proposal"]["text_ja"] == shown.text_ja
    assert told["changes"][-1]["what"] == "proposal"
    page = (await made.file(EVERYTHING, week.key, Format.HTML, Language.JAPANESE)).decode()
    assert f"提案 {draft.id}：" in page

    await moved(place, draft.id, "accepted", "order of 2 July")
    assert await place.metering.draft_proposals() == []
    assert await said(place) == (False, "ordered")
    faster = Capacity(CapacityKind.LINE, 200_000_000, 200_000_000, tokyo_day(place.clock.now_ms()))
    async with place.database.write() as tx:
        await links.set_capacity(tx, EVERYTHING, place.by(), place.link.id, faster)
    assert await place.metering.draft_proposals() == []
    assert (await said(place))[1] != "ordered"


@ON_SQLITE
async def test_nothing_is_proposed_while_a_failed_unit_waits_for_another(place: Place) -> None:
    async def is_now(life: Life) -> None:
        async with place.database.write() as tx:
            await tx.execute(update(adapters).values(life=life.value))

    await place.metering.import_readings(EVERYTHING, place.past(BUSY, 35))
    await is_now(Life.FAILED)
    await place.metering.tick()
    assert await seen(place) == []
    assert await said(place) == (False, "swap")
    await is_now(Life.IN_SERVICE)
    assert len(await place.metering.draft_proposals()) == 1


async def test_an_offer_that_nobody_answered_expires_after_its_last_day_and_cannot_be_accepted_late(
    place: Place,
) -> None:
    draft = await drafted(place)
    today = tokyo_day(place.clock.now_ms())
    await moved(place, draft.id, "sent", "", today + timedelta(days=2))
    place.clock.advance(2 * 86_400)
    await place.metering.tick()
    assert (await seen(place))[0].state == "sent"  # the last day is a whole one
    place.clock.advance(86_400)
    with pytest.raises(Conflict, match="was valid until"):
        await moved(place, draft.id, "accepted", "late")
    await place.metering.tick()
    (ended,) = await seen(place, by_contractor=True)
    async with place.database.read() as tx:
        last = (await proposals.steps(tx, EVERYTHING, draft.id))[-1]
    assert (ended.state, last.actor, last.reason) == ("expired", "system", f"it was valid until {shown_day(today, 2)}")


def shown_day(first: date, days: int) -> str:
    return (first + timedelta(days=days)).isoformat()


async def test_a_proposal_about_another_capacity_or_an_empty_place_is_superseded_by_itself(place: Place) -> None:
    await place.metering.import_readings(EVERYTHING, place.past(CALM, 1))
    await place.metering.tick()
    rests_on = {
        "direction": "down",
        "capacity": {"kind": "line", "used_bps": 100_000_000},
        "current": {"model": "FortiGate 40F"},
    }
    async with place.database.write() as tx:
        new = replace(NEW, entry_id=place.entry_id, link_id=place.link.id, evidence={**NEW.evidence, **rests_on})
        draft = await proposals.draft(tx, place.clock.now_ms(), new)
    await place.metering.draft_proposals()
    assert (await seen(place))[0].state == "draft"  # too little is measured to say otherwise
    faster = Capacity(CapacityKind.LINE, 200_000_000, 200_000_000, tokyo_day(place.clock.now_ms()))
    async with place.database.write() as tx:
        await links.set_capacity(tx, EVERYTHING, place.by(), place.link.id, faster)
    await place.metering.draft_proposals()
    async with place.database.read() as tx:
        life = await proposals.steps(tx, EVERYTHING, draft.id)
    assert [(one.state, one.actor, one.reason) for one in life][-1] == ("superseded", "system", "capacity-changed")
    assert await seen(place, by_contractor=True) == []  # it was never sent


async def test_the_reason_for_silence_is_kept(place: Place) -> None:
    """One day of traffic is not enough to propose anything."""
    await place.metering.import_readings(EVERYTHING, place.past(CALM, 2))
    await place.metering.tick()
    async with place.database.read() as tx:
        assert await proposals.page(tx, EVERYTHING) == []
        assert await levels.of_link(tx, place.link.id)
    assert await said(place) == (False, "not-enough-data")


async def _counts(place: Place) -> list[int | None]:
    """What a change would leave behind: applications, placements, pushes."""
    async with place.database.read() as tx:
        return [await tx.scalar(select(func.count()).select_from(t)) for t in (applications, placements, pushes)]


def test_every_reason_that_rest_documents_has_words_and_no_two_read_the_same() -> None:
    told = CheckView.model_fields["reason"].description or ""
    assert [reason for reason in WORDS if reason not in told and reason != "none"] == []
    assert len(set(WORDS.values())) == len(WORDS)
