"""Managements: counts as dated facts, suspension, consent."""

from __future__ import annotations

from datetime import date

import pytest

from controller.store import counts, entries, events, managements, slots
from inventory.errors import BadInput, Conflict, CountBelowOccupancy, RuleViolation, StaleVersion
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet, later

TODAY, TOMORROW = date(2025, 10, 18), date(2025, 10, 19)


async def test_a_management_begins_with_its_slots(fleet: Fleet) -> None:
    osaka = await fleet.management(await fleet.contractor(), entry_count=3, standby_count=2)
    assert (osaka.entry_count, osaka.standby_count, osaka.suspended) == (3, 2, None)
    async with fleet.database.read() as tx:
        facts = await counts.changes(tx, ALL, osaka.id)
        assert {(one.kind, one.count, one.valid_from) for one in facts} == {("entry", 3, TODAY), ("standby", 2, TODAY)}
        assert [one.generation for one in await entries.page(tx, ALL, management_id=osaka.id)] == [1, 1, 1]


async def test_software_and_customer_owned_classes_have_no_standby(fleet: Fleet) -> None:
    north = await fleet.contractor()
    for classes in (("II",), ("III",), ("II", "III")):
        with pytest.raises(RuleViolation) as refused:
            await fleet.management(north, classes=classes, standby_count=1)
        assert refused.value.rule == "MPC-3.2"
    with pytest.raises(RuleViolation):
        await fleet.management(north, entry_count=0)
    async with fleet.database.read() as tx:
        assert await managements.page(tx, ALL) == []


async def test_slots_are_opened_at_once_and_the_newest_free_ones_closed(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=2)
    async with fleet.database.write() as tx:
        grown = await counts.change_counts(tx, ALL, later(DAY_MS), osaka.id, entry_count=5)
        assert grown.entry_count == 5
        opened = [one.id for one in await entries.page(tx, ALL, management_id=osaka.id)]
    await fleet.assign(await fleet.adapter(north), entry=opened[4])
    async with fleet.database.write() as tx:
        shrunk = await counts.change_counts(tx, ALL, later(2 * DAY_MS), osaka.id, entry_count=3, standby_count=0)
        assert (shrunk.entry_count, shrunk.standby_count) == (3, 0)
        kept = [one.id for one in await entries.page(tx, ALL, management_id=osaka.id)]
        assert kept == [opened[0], opened[1], opened[4]]
        gone = await entries.get(tx, ALL, opened[3])
        assert gone.closed_ms == BY.at_ms + 2 * DAY_MS


async def test_a_closed_entry_takes_no_adapter_and_its_number_never_comes_back(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=2)
    async with fleet.database.write() as tx:
        last = (await entries.page(tx, ALL))[-1]
        await counts.change_counts(tx, ALL, later(DAY_MS), osaka.id, entry_count=1)
        await counts.change_counts(tx, ALL, later(2 * DAY_MS), osaka.id, entry_count=2)
        assert last.id not in [one.id for one in await entries.page(tx, ALL)]
    with pytest.raises(Conflict, match="given up"):
        await fleet.assign(await fleet.adapter(north), entry=last.id)


async def test_a_count_below_the_occupied_slots_lists_the_occupants_and_changes_nothing(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=3)
    units = [await fleet.adapter(north) for _ in range(2)]
    places = [await fleet.assign(unit, management=osaka) for unit in units]
    for valid_from in (None, date(2025, 12, 1)):
        with pytest.raises(CountBelowOccupancy) as refused:
            async with fleet.database.write() as tx:
                await counts.change_counts(
                    tx, ALL, later(DAY_MS), osaka.id, standby_count=4, entry_count=1, valid_from=valid_from
                )
        assert refused.value.facts["occupants"] == [
            {"slot": place.slot_key, "serial_number": str(unit.serial)}
            for place, unit in zip(places, units, strict=True)
        ]
    async with fleet.database.read() as tx:
        after = await managements.get(tx, ALL, osaka.id)
    assert (after.entry_count, after.standby_count) == (3, 1)


async def test_a_change_waits_for_its_day(fleet: Fleet) -> None:
    osaka = await fleet.management(await fleet.contractor(), entry_count=1)
    async with fleet.database.write() as tx:
        asked = await counts.change_counts(tx, ALL, BY, osaka.id, entry_count=4, valid_from=TOMORROW)
        assert asked.entry_count == 1
        assert await counts.apply_due(tx, later(1)) == []
        (made,) = await counts.apply_due(tx, later(DAY_MS))
        assert (made.count, made.valid_from) == (4, TOMORROW)
        assert (await managements.get(tx, ALL, osaka.id)).entry_count == 4
        assert await counts.apply_due(tx, later(DAY_MS)) == []


async def test_a_decrease_whose_slots_filled_up_meanwhile_is_told_once_and_made_later(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=2)
    async with fleet.database.write() as tx:
        await counts.change_counts(tx, ALL, BY, osaka.id, entry_count=1, valid_from=TOMORROW)
    units = [await fleet.adapter(north) for _ in range(2)]
    for unit in units:
        await fleet.assign(unit, management=osaka)
    async with fleet.database.write() as tx:
        for _ in range(2):
            assert await counts.apply_due(tx, later(DAY_MS)) == []
        await events.publish(tx)
        (told,) = await events.page(tx, ALL, kind="management.counts-blocked")
        assert len(told.facts["occupants"]) == 2  # type: ignore[arg-type]  # a list, as the facts of the error
        await slots.release(tx, ALL, later(DAY_MS), units[0].id)
        assert len(await counts.apply_due(tx, later(DAY_MS + 1))) == 1
        assert (await managements.get(tx, ALL, osaka.id)).entry_count == 1


async def test_a_count_changes_once_a_day_and_never_in_the_past(fleet: Fleet) -> None:
    osaka = await fleet.management(await fleet.contractor())
    async with fleet.database.write() as tx:  # the count it was opened with today is no change
        assert (await counts.change_counts(tx, ALL, BY, osaka.id, entry_count=4)).entry_count == 4
    for valid_from in (TODAY, date(2025, 10, 17)):
        with pytest.raises(RuleViolation) as refused:
            async with fleet.database.write() as tx:
                await counts.change_counts(tx, ALL, BY, osaka.id, entry_count=5, valid_from=valid_from)
        assert refused.value.field == "valid_from"
    with pytest.raises(BadInput):
        async with fleet.database.write() as tx:
            await counts.change_counts(tx, ALL, BY, osaka.id)


async def test_a_suspension_has_a_ground_and_ends(fleet: Fleet) -> None:
    osaka = await fleet.management(await fleet.contractor())
    async with fleet.database.write() as tx:
        held = await managements.suspend(tx, ALL, BY, osaka.id, ground=1, until=date(2025, 11, 1), if_version=1)
        assert held.suspended == "payment is overdue or clearly about to be"
        with pytest.raises(Conflict):
            await managements.suspend(tx, ALL, BY, osaka.id, ground=2)
        with pytest.raises(StaleVersion):
            await managements.resume(tx, ALL, BY, osaka.id, if_version=1)
        assert (await managements.resume(tx, ALL, BY, osaka.id)).suspended is None
        with pytest.raises(Conflict):
            await managements.resume(tx, ALL, BY, osaka.id)
        with pytest.raises(BadInput) as refused:
            await managements.suspend(tx, ALL, BY, osaka.id, ground=5)
        assert refused.value.rule == "SMF-21"
        assert (await managements.suspend(tx, ALL, BY, osaka.id, ground=2)).suspended


async def test_a_consent_is_recorded_once_and_withdrawn_once(fleet: Fleet) -> None:
    host, guest = await fleet.contractor("Host"), await fleet.contractor("Guest")
    osaka = await fleet.management(host, service="smfsx")
    async with fleet.database.write() as tx:
        await managements.consent(tx, ALL, BY, osaka.id, contractor_id=guest.id, proof="letter 12")
        with pytest.raises(Conflict) as refused:
            await managements.consent(tx, ALL, BY, osaka.id, contractor_id=guest.id, proof="letter 13")
        assert refused.value.rule == "SMF-13"
        await managements.withdraw_consent(tx, ALL, BY, osaka.id, contractor_id=guest.id)
        with pytest.raises(Conflict):
            await managements.withdraw_consent(tx, ALL, BY, osaka.id, contractor_id=guest.id)
