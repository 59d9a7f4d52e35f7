"""Price lists on both databases: dated rows, corrections as new rows, files taken whole or not at all."""

from __future__ import annotations

from datetime import date

import pytest

from controller.store import audit, prices
from controller.store.scope import Scope
from inventory.errors import BadInput, NotFound
from inventory.prices import Price, entry_item, standby_item
from tests.controller.store.fleet import ALL, BY, Fleet, later

ENTRY, STANDBY = entry_item("mpc"), standby_item("mpc")
DAY = date(2025, 4, 1)
FILE = "contractor,service,item,fee,yen,first_day\n" + (
    ",mpc,entry,monthly,3000,2025-04-01\n{key},mpc,entry,monthly,2500,{day}\n"
)


async def test_a_correction_is_a_new_row_and_what_was_known_before_can_still_be_asked(fleet: Fleet) -> None:
    north = await fleet.contractor()
    async with fleet.database.write() as tx:
        assert len(await prices.put(tx, ALL, BY, [Price(ENTRY, "monthly", 3_000, DAY)])) == 1
        assert await prices.put(tx, ALL, later(1), [Price(ENTRY, "monthly", 3_000, DAY)]) == ()
        await prices.put(tx, ALL, later(2), [Price(ENTRY, "monthly", 3_300, DAY)])
        await prices.put(tx, ALL, later(3), [Price(ENTRY, "monthly", 2_000, DAY, north.id)])
        await prices.take_back(tx, ALL, later(4), Price(ENTRY, "monthly", 0, DAY, north.id))
    async with fleet.database.read() as tx:
        known = [await prices.price_list(tx, north.id, BY.at_ms + ms) for ms in (1, 2, 3, 4)]
        assert [one.yen(ENTRY, "monthly", DAY) for one in known] == [3_000, 3_300, 2_000, 3_300]
        assert len(await prices.page(tx, ALL)) == 4
        assert [one.row.yen for one in await prices.page(tx, ALL, contractor_id=north.id)] == [2_000, None]
        assert len(await audit.page(tx, ALL, subject="default price list")) == 2
        with pytest.raises(NotFound):
            await prices.take_back(tx, ALL, BY, Price(STANDBY, "monthly", 0, DAY))


async def test_a_file_is_taken_whole_or_not_at_all(fleet: Fleet) -> None:
    north = await fleet.contractor()
    good, bad = FILE.format(key=f"K-{north.id}", day=DAY), FILE.format(key="K-999", day=DAY)
    async with fleet.database.write() as tx:
        dry = await prices.import_file(tx, ALL, BY, good, dry_run=True)
        assert (dry.rows, len(dry.new), dry.faults, await prices.page(tx, ALL)) == (2, 2, (), [])
        told = await prices.import_file(tx, ALL, BY, bad, dry_run=True)
        assert [(one.row, one.column) for one in told.faults] == [(3, "contractor")]
    with pytest.raises(BadInput, match="row 3, column contractor"):
        async with fleet.database.write() as tx:
            await prices.import_file(tx, ALL, BY, bad, dry_run=False)
    async with fleet.database.write() as tx:
        assert await prices.page(tx, ALL) == []
        done = await prices.import_file(tx, ALL, BY, good, dry_run=False)
        assert len(done.new) == 2
        again = await prices.import_file(tx, ALL, later(1), good, dry_run=False)
        assert (again.new, again.unchanged, len(await prices.page(tx, ALL))) == ((), 2, 2)


async def test_a_contractor_sees_its_own_list_and_the_default_and_writes_none(fleet: Fleet) -> None:
    north, south = await fleet.contractor(), await fleet.contractor("South Foods")
    async with fleet.database.write() as tx:
        owners = (None, north.id, south.id)
        await prices.put(tx, ALL, BY, [Price(ENTRY, "monthly", 1_000, DAY, owner) for owner in owners])
    mine = Scope.of(north.id)
    async with fleet.database.write() as tx:
        assert [one.row.contractor_id for one in await prices.page(tx, mine)] == [None, north.id]
        for refused in (
            prices.put(tx, mine, BY, [Price(ENTRY, "monthly", 1, DAY, north.id)]),
            prices.import_file(tx, mine, BY, FILE, dry_run=True),
            prices.of_contractor(tx, mine, south.id),
            prices.put(tx, ALL, BY, [Price(ENTRY, "monthly", 1, DAY, 999)]),
        ):
            with pytest.raises(NotFound):
                await refused
