"""Outages and claims on both databases: what is learnt, what the clock brings, what is decided."""

from __future__ import annotations

from datetime import date

import pytest

from controller.keyring import Keyring
from controller.store import applications, contracts, events, managements, outages, prices
from controller.store.outages import Outage
from controller.store.scope import Scope
from inventory.errors import BadInput, Conflict, NotFound, RuleViolation
from inventory.outageclaims import ClaimState
from inventory.prices import Price, entry_item, standby_item
from inventory.slots import Management
from tests.controller.store.contracting import PLAIN, Office
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet, later

HOUR_MS = 3_600_000


async def priced(fleet: Fleet, service: str = "smfsx") -> Management:
    """A management of two entries and one standby at 10,000 yen each."""
    north = await fleet.contractor()
    made = await fleet.management(north, service="mpc" if service == "mpc" else "smfsx")
    async with fleet.database.write() as tx:
        items = (entry_item(made.service), standby_item(made.service))
        await prices.put(tx, ALL, BY, [Price(item, "monthly", 10_000, date(2025, 1, 1)) for item in items])
    return made


async def began(fleet: Fleet, management: Management) -> Outage:
    async with fleet.database.write() as tx:
        return await outages.record(
            tx, ALL, BY, management.id, began_ms=BY.at_ms, known_ms=BY.at_ms, reason="all entries are out"
        )


async def kinds(fleet: Fleet) -> list[str]:
    async with fleet.database.write() as tx:
        await events.publish(tx)
        return [one.kind for one in await events.page(tx, ALL, kind="outage")]


@pytest.mark.rule("SMF-26.1")
async def test_from_the_first_hour_to_the_credit(fleet: Fleet) -> None:
    osaka = await priced(fleet)
    first = await began(fleet, osaka)
    assert (first.claim.state, [one.state for one in first.steps]) == (ClaimState.WATCHING, ["watching"])
    async with fleet.database.write() as tx:
        assert await outages.pass_clock(tx, later(DAY_MS - 1)) == []
        (moved,) = await outages.pass_clock(tx, later(DAY_MS))
        assert (moved.claim.state, moved.steps[-1].rule, moved.steps[-1].terms_version) == (
            ClaimState.CLAIMABLE,
            "SMF-26.1",
            "2025-04-01",
        )
        assert await outages.pass_clock(tx, later(DAY_MS + 1)) == []
        at = later(60 * HOUR_MS)
        await outages.learn(tx, ALL, at, first.id, "ended", at.at_ms, reason="seen in contact again")
        with pytest.raises(RuleViolation):
            await outages.decide_claim(tx, ALL, at, first.id, attributable=True, reason="too early")
        claimed = await outages.claim(tx, ALL, at, first.id, date(2025, 10, 20), reason="letter 12")
        assert claimed.claim.state is ClaimState.CLAIMED
        done = await outages.decide_claim(tx, ALL, later(61 * HOUR_MS), first.id, attributable=True, reason="our fault")
    assert done.claim.credit is not None
    assert (done.claim.state, done.claim.credit.yen) == (ClaimState.CREDITED, 2 * 30_000 // 30)
    async with fleet.database.write() as tx:
        (granted,) = await outages.credits_of(tx, osaka.contractor_id)
        assert granted.decision.amount == done.claim.credit
        assert await outages.credits_of(tx, osaka.contractor_id, at.at_ms) == []
        before = await outages.get(tx, ALL, later(70 * HOUR_MS).at_ms, first.id, known_at_ms=at.at_ms)
        assert before.claim.state is ClaimState.CLAIMED
        with pytest.raises(Conflict):
            await outages.learn(tx, ALL, later(62 * HOUR_MS), first.id, "ended", None, reason="x")
        assert await outages.unsettled(tx, ALL, later(90 * HOUR_MS).at_ms) == []
    assert await kinds(fleet) == [f"outage.{state}" for state in ("watching", "claimable", "claimed", "credited")]


@pytest.mark.rule("MPC-17", "MPC-A3")
async def test_an_outage_of_mpc_brings_a_thirtieth_whatever_its_length(fleet: Fleet) -> None:
    osaka = await priced(fleet, "mpc")
    first = await began(fleet, osaka)
    async with fleet.database.write() as tx:
        at = later(200 * HOUR_MS)
        await outages.learn(tx, ALL, at, first.id, "ended", at.at_ms, reason="seen in contact again")
        await outages.claim(tx, ALL, at, first.id, date(2025, 10, 26), reason="")
        done = await outages.decide_claim(tx, ALL, at, first.id, attributable=True, reason="our fault")
    assert done.claim.credit is not None
    assert (done.claim.credit.yen, done.claim.credit.rules) == (1_000, ("MPC-17", "MPC-A3"))


async def test_a_claim_lapses_with_the_clock_and_one_that_comes_later_alerts(fleet: Fleet) -> None:
    first = await began(fleet, await priced(fleet))
    late = later(120 * DAY_MS)
    async with fleet.database.write() as tx:
        await outages.pass_clock(tx, later(DAY_MS))
        (moved,) = await outages.pass_clock(tx, late)
        assert moved.claim.state is ClaimState.LAPSED
        kept = await outages.claim(tx, ALL, late, first.id, date(2026, 2, 15), reason="")
        assert (kept.claim.state, len(kept.alerts), kept.facts[-1].fact.name) == (ClaimState.LAPSED, 1, "claimed")
    assert await kinds(fleet) == ["outage.watching", "outage.claimable", "outage.lapsed", "outage.alert"]


async def test_what_cannot_be_is_refused_and_changes_nothing(fleet: Fleet) -> None:
    osaka = await priced(fleet)
    first = await began(fleet, osaka)
    other = Scope.of((await fleet.contractor("South Foods")).id)
    async with fleet.database.write() as tx:
        with pytest.raises(BadInput):
            await outages.record(tx, ALL, BY, osaka.id, began_ms=BY.at_ms + 1, known_ms=None, reason="")
        with pytest.raises(BadInput):
            await outages.record(tx, ALL, BY, osaka.id, began_ms=BY.at_ms, known_ms=BY.at_ms - 1, reason="")
        with pytest.raises(BadInput):
            await outages.learn(tx, ALL, BY, first.id, "ended", BY.at_ms - 1, reason="")
        with pytest.raises(BadInput):
            await outages.learn(tx, ALL, BY, first.id, "began", None, reason="")
        with pytest.raises(BadInput):
            await outages.claim(tx, ALL, BY, first.id, date(2025, 10, 19), reason="")
        for scoped in (
            outages.get(tx, other, BY.at_ms, first.id),
            outages.claim(tx, other, BY, first.id, date(2025, 10, 18), reason=""),
            outages.record(tx, other, BY, osaka.id, began_ms=0, known_ms=None, reason=""),
        ):
            with pytest.raises(NotFound):
                await scoped
        assert await outages.page(tx, other, BY.at_ms) == []
        found = await outages.get(tx, ALL, BY.at_ms, first.id)
    assert found == first


async def test_who_answers_for_it_is_said_before_its_day_is_complete(fleet: Fleet) -> None:
    first = await began(fleet, await priced(fleet))
    async with fleet.database.write() as tx:
        said = await outages.attribute(tx, ALL, later(HOUR_MS), first.id, False, reason="the carrier's line")
        assert said.claim.attributable is False
        (closed,) = await outages.pass_clock(tx, later(DAY_MS))
        assert (closed.claim.state, closed.steps[-1].reason) == (
            ClaimState.CLOSED,
            "the provider does not answer for it",
        )
        with pytest.raises(Conflict):
            await outages.attribute(tx, ALL, later(DAY_MS + 1), first.id, True, reason="")


@pytest.mark.rule("SMF-26.1")
async def test_a_credit_is_of_the_fee_of_the_day_it_began_also_before_the_first_recorded_count(
    fleet: Fleet, keyring: Keyring
) -> None:
    """Imported in October, in service since 10 September, with a price from that day on; out since the 20th."""
    who, office = await fleet.contractor(), Office(fleet.database, keyring)
    start, out = date(2025, 9, 10), date(2025, 9, 20)
    async with fleet.database.write() as tx:
        made = await applications.apply(
            tx, ALL, BY, contractor_id=who.id, service="smfsx", received=start, form="", items=[PLAIN]
        )
        await applications.accept(tx, ALL, keyring, BY, made.id, billing_start=start, day=start)
        (line,) = await contracts.of_application(tx, made.id)
        prices_of = [Price(item("smfsx"), "monthly", 10_000, start) for item in (entry_item, standby_item)]
        await prices.put(tx, ALL, BY, prices_of)
    (management_id,) = (await office.standing(line)).managements
    async with fleet.database.write() as tx:
        management = await managements.get(tx, ALL, management_id)
        found = await prices.price_list(tx, who.id)
        assert await outages.full_monthly_yen(tx, management, found, out) == 30_000
        assert await outages.full_monthly_yen(tx, management, found, date(2025, 9, 9)) == 0
        assert await outages.full_monthly_yen(tx, management, found, date(2025, 10, 20)) == 30_000
