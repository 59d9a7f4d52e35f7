"""Assign, release, promote, swap: as an operator sees them."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
import sqlalchemy as sa

from controller.keyring import Keyring
from controller.store import adapters, entries, managements, slots
from controller.store.database import Database, Tx
from controller.store.scope import Scope
from controller.store.seats import SlotRef
from inventory.adapters import LifeEvent
from inventory.errors import BadInput, Conflict, NoFreeSlot, NotEligible, NotFound, SlotOccupied, StaleVersion
from inventory.slots import Placement
from tests.controller.store.fleet import ALL, BY, Fleet, later


async def first_slots(fleet: Fleet, management_id: int) -> tuple[int, int]:
    """Numbers of the first entry and the first standby."""
    async with fleet.database.read() as tx:
        entry = (await entries.page(tx, ALL, management_id=management_id))[0]
        standby = (await entries.page_standbys(tx, ALL, management_id=management_id))[0]
    return entry.id, standby.id


async def test_an_adapter_takes_the_oldest_free_entry(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    placed = [await fleet.assign(await fleet.adapter(north), management=osaka) for _ in range(2)]
    async with fleet.database.read() as tx:
        assert [one.slot_id for one in placed] == [entry.id for entry in await entries.page(tx, ALL)]
        assert await entries.page(tx, ALL, occupied=False) == []
    with pytest.raises(NoFreeSlot) as refused:
        await fleet.assign(await fleet.adapter(north), management=osaka)
    assert refused.value.facts["count"] == 2


async def test_an_occupied_slot_names_its_occupant(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    sitting = await fleet.adapter(north)
    place = await fleet.assign(sitting, management=osaka)
    with pytest.raises(SlotOccupied) as refused:
        await fleet.assign(await fleet.adapter(north), entry=place.slot_id)
    assert refused.value.facts["occupant"] == str(sitting.serial)


async def test_an_adapter_sits_in_one_slot_only(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    place = await fleet.assign(unit, management=osaka)
    with pytest.raises(Conflict) as refused:
        await fleet.assign(unit, management=osaka)
    assert refused.value.facts["slot"] == place.slot_key


async def test_class_three_is_refused_in_a_standby(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, classes=("I", "III"))
    _, standby = await first_slots(fleet, osaka.id)
    router = await fleet.adapter(north, device_class="III", model="Cisco IOS")
    with pytest.raises(NotEligible) as refused:
        await fleet.assign(router, standby=standby)
    assert refused.value.rule == "MPC-3.2"
    await fleet.assign(router, management=osaka)


async def test_a_retired_unit_is_put_into_no_slot(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.LOSS_REPORTED)
    with pytest.raises(Conflict, match="lost"):
        await fleet.assign(unit, management=osaka)


async def test_exactly_one_slot_or_management_is_named(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    with pytest.raises(BadInput):
        await fleet.assign(unit)
    with pytest.raises(BadInput):
        await fleet.assign(unit, management=osaka, entry=1)


async def test_a_released_adapter_is_unseated_and_its_history_stays(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    place = await fleet.assign(unit, management=osaka)
    async with fleet.database.write() as tx:
        ended = await slots.release(tx, ALL, later(60_000), unit.id)
        assert (ended.id, ended.to_ms, ended.end_cause) == (place.id, BY.at_ms + 60_000, "release")
        assert await slots.place_of(tx, ALL, unit.id) is None
        with pytest.raises(Conflict):
            await slots.release(tx, ALL, later(60_000), unit.id)
        assert await slots.history(tx, ALL, slot=SlotRef("entry", place.slot_id)) == [ended]


async def promotable(fleet: Fleet) -> tuple[int, int, int, int]:
    """Entry, standby, the adapter in each."""
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    entry, standby = await first_slots(fleet, osaka.id)
    silent, spare = await fleet.adapter(north), await fleet.adapter(north)
    await fleet.assign(silent, entry=entry)
    await fleet.assign(spare, standby=standby)
    return entry, standby, silent.id, spare.id


async def test_a_standby_takes_the_place_of_a_silent_entry(fleet: Fleet) -> None:
    entry, standby, silent, spare = await promotable(fleet)
    async with fleet.database.write() as tx:
        before = await entries.get(tx, ALL, entry)
        done = await slots.promote(tx, ALL, later(1), entry_id=entry, standby_id=standby, if_version=before.version)
        assert done.entry.generation == before.generation + 1
        assert (done.placement.adapter_id, done.unseated_adapter_id) == (spare, silent)
        sitting = await slots.occupant(tx, ALL, SlotRef("entry", entry))
        assert sitting is not None
        assert sitting.id == spare
        assert await slots.place_of(tx, ALL, silent) is None
        assert await slots.occupant(tx, ALL, SlotRef("standby", standby)) is None
        with pytest.raises(Conflict, match="empty"):
            await slots.promote(tx, ALL, later(2), entry_id=entry, standby_id=standby)


async def test_a_promotion_on_what_somebody_else_changed_is_refused(fleet: Fleet) -> None:
    entry, standby, _, _ = await promotable(fleet)
    with pytest.raises(StaleVersion):
        async with fleet.database.write() as tx:
            await slots.promote(tx, ALL, BY, entry_id=entry, standby_id=standby, if_version=1)


async def test_a_standby_fills_an_empty_entry(fleet: Fleet) -> None:
    entry, standby, silent, spare = await promotable(fleet)
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, BY, silent)
        done = await slots.promote(tx, ALL, BY, entry_id=entry, standby_id=standby)
        assert (done.placement.adapter_id, done.unseated_adapter_id) == (spare, None)


class PowerCutError(Exception):
    """The process ends here."""


async def snapshot(database: Database) -> list[tuple[object, ...]]:
    async with database.read() as tx:
        rows: list[tuple[object, ...]] = []
        for table in ("placements", "entries", "events", "audit", "adapters"):
            rows += [tuple(row) for row in await tx.execute(sa.text(f"SELECT * FROM {table} ORDER BY id"))]
        return rows


async def test_a_promotion_that_is_cut_off_at_any_statement_changes_nothing(fleet: Fleet) -> None:
    entry, standby, _, _ = await promotable(fleet)
    before = await snapshot(fleet.database)

    async def promote_until(last: int) -> None:
        async with fleet.database.write() as tx:
            cut_after(tx, last)
            await slots.promote(tx, ALL, BY, entry_id=entry, standby_id=standby)

    for last in range(100):
        try:
            await promote_until(last)
        except PowerCutError:
            assert await snapshot(fleet.database) == before
        else:
            assert last > 10, "the promotion has several statements"
            assert await snapshot(fleet.database) != before
            return
    pytest.fail("the promotion never came to an end")


def cut_after(tx: Tx, last: int) -> None:
    """Let the statement after the `last` one fail, as if the process had ended."""
    sent = 0

    def sending(*_: object) -> None:
        nonlocal sent
        sent += 1
        if sent > last:
            raise PowerCutError

    connection = tx.sync_connection
    assert connection is not None
    sa.event.listen(connection, "before_cursor_execute", sending)


KILLED = """
import asyncio, os, signal, sys
from controller.store import slots
from controller.store.database import Database
from controller.store.scope import By, Scope

async def main(url, entry, standby):
    database = await Database.open(url)
    async with database.write() as tx:
        await slots.promote(tx, Scope.everything(), By("killed", 1_760_745_700_000), entry_id=entry, standby_id=standby)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


async def test_a_process_killed_before_the_commit_has_promoted_nobody(database_url: str, keyring: Keyring) -> None:
    database = await Database.open(database_url)
    entry, standby, silent, spare = await promotable(Fleet(database, keyring))
    before = await snapshot(database)
    await database.close()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, database_url, str(entry), str(standby))
    assert await killed.wait() == -signal.SIGKILL
    database = await Database.open(database_url)
    assert await snapshot(database) == before
    async with database.write() as tx:
        done = await slots.promote(tx, ALL, BY, entry_id=entry, standby_id=standby)
        assert (done.placement.adapter_id, done.unseated_adapter_id) == (spare, silent)
    await database.close()


async def test_two_healthy_units_exchange_their_places(fleet: Fleet) -> None:
    entry, standby, one, other = await promotable(fleet)
    async with fleet.database.write() as tx:
        before = await entries.get(tx, ALL, entry)
        first, second = await slots.swap(tx, ALL, later(1), one, other)
        assert (first.slot_key, second.slot_key) == (f"S-{standby}", f"E-{entry}")
        assert (await entries.get(tx, ALL, entry)).generation == before.generation + 1
        with pytest.raises(Conflict):
            await slots.swap(tx, ALL, later(1), one, one)
        await adapters.set_life(tx, ALL, BY, one, LifeEvent.FAILURE_REPORTED)
        with pytest.raises(Conflict, match="failed"):
            await slots.swap(tx, ALL, later(1), one, other)


async def test_a_clock_set_back_makes_no_overlap(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    unit = await fleet.adapter(north)
    await fleet.assign(unit, management=osaka)
    async with fleet.database.write() as tx:
        await slots.release(tx, ALL, later(10_000), unit.id)
        again = await slots.assign(tx, ALL, later(5_000), unit.id, management_id=osaka.id)
    assert again.from_ms == BY.at_ms + 10_000


async def test_another_contractors_adapter_sits_here_with_consent_only(fleet: Fleet) -> None:
    host, guest = await fleet.contractor("Host"), await fleet.contractor("Guest")
    osaka = await fleet.management(host)
    unit, second = await fleet.adapter(guest), await fleet.adapter(guest)
    with pytest.raises(NotEligible) as refused:
        await fleet.assign(unit, management=osaka)
    assert refused.value.rule == "MPC-6.2"
    async with fleet.database.write() as tx:
        with pytest.raises(NotFound):
            await slots.assign(tx, Scope.of(guest.id), BY, unit.id, management_id=osaka.id)
        await managements.consent(tx, ALL, BY, osaka.id, contractor_id=guest.id, proof="letter 12")
        place = await slots.assign(tx, Scope.of(guest.id), BY, unit.id, management_id=osaka.id)
        await managements.withdraw_consent(tx, Scope.of(host.id), BY, osaka.id, contractor_id=guest.id)
        assert await slots.place_of(tx, Scope.of(guest.id), unit.id) == place
        with pytest.raises(NotFound):
            await slots.assign(tx, Scope.of(guest.id), BY, second.id, management_id=osaka.id)
        sitting = await slots.occupant(tx, Scope.of(host.id), SlotRef("entry", place.slot_id))
        assert sitting is not None
        assert sitting.id == unit.id
        await slots.release(tx, Scope.of(host.id), BY, unit.id)


async def test_what_belongs_to_another_contractor_is_not_found(fleet: Fleet) -> None:
    entry, standby, silent, spare = await promotable(fleet)
    stranger = Scope.of((await fleet.contractor("Stranger")).id)
    async with fleet.database.write() as tx:
        for ask in (
            entries.get(tx, stranger, entry),
            entries.get_standby(tx, stranger, standby),
            entries.describe(tx, stranger, BY, entry, name="mine"),
            slots.occupant(tx, stranger, SlotRef("entry", entry)),
            slots.history(tx, stranger, slot=SlotRef("standby", standby)),
            slots.history(tx, stranger, adapter_id=silent),
            slots.place_of(tx, stranger, silent),
            slots.release(tx, stranger, BY, silent),
            slots.promote(tx, stranger, BY, entry_id=entry, standby_id=standby),
            slots.swap(tx, stranger, BY, silent, spare),
            slots.assign(tx, stranger, BY, silent, entry_id=entry),
            managements.get(tx, stranger, 1),
            managements.suspend(tx, stranger, BY, 1, ground=1),
        ):
            with pytest.raises(NotFound):
                await ask
        assert await entries.page(tx, stranger) == []
        assert await entries.page_standbys(tx, stranger) == []
        assert await managements.page(tx, stranger) == []


async def test_the_name_of_a_place_is_changed_by_who_has_read_it(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    entry, _ = await first_slots(fleet, osaka.id)
    async with fleet.database.write() as tx:
        named = await entries.describe(
            tx, ALL, BY, entry, name="osaka-01", site="Osaka", labels={"tier": "gold"}, if_version=1
        )
        assert (named.name, named.site, dict(named.labels)) == ("osaka-01", "Osaka", {"tier": "gold"})
        assert [one.id for one in await entries.page(tx, ALL, text="OSAKA")] == [entry]
        with pytest.raises(StaleVersion):
            await entries.describe(tx, ALL, BY, entry, name="x", if_version=1)
        with pytest.raises(BadInput):
            await entries.describe(tx, ALL, BY, entry, name="x" * 201)
        assert dict((await entries.describe(tx, ALL, BY, entry, labels={})).labels) == {}


async def test_promotions_of_both_standbys_at_once_leave_one_in_the_entry(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=1, standby_count=2)
    entry, _ = await first_slots(fleet, osaka.id)
    async with fleet.database.read() as tx:
        spares = await entries.page_standbys(tx, ALL, management_id=osaka.id)
    for spare in spares:
        await fleet.assign(await fleet.adapter(north), standby=spare.id)

    async def promote(standby: int) -> Placement:
        async with fleet.database.write() as tx:
            return (await slots.promote(tx, ALL, BY, entry_id=entry, standby_id=standby)).placement

    await asyncio.gather(*(promote(spare.id) for spare in spares))
    async with fleet.database.read() as tx:
        past = await slots.history(tx, ALL, slot=SlotRef("entry", entry))
    assert [one.to_ms is None for one in past].count(True) == 1
    assert len(past) == 2
