"""Transactions of one piece: what is stored together stays apart when one of them fails."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa

from controller.store import audit
from controller.store.database import Database, Tx
from controller.store.scope import By, Scope
from inventory.errors import Conflict

CONTRACTORS = sa.table("contractors", sa.column("name"), sa.column("created_ms"), sa.column("version"))
BY = By("ann", 1_700_000_000_000)


async def add(tx: Tx, name: str) -> str:
    await tx.execute(CONTRACTORS.insert().values(name=name, created_ms=BY.at_ms, version=1))
    audit.record(tx, BY, "contractor.create", name)
    return name


async def add_and_fail(tx: Tx, name: str) -> str:
    await add(tx, name)
    raise Conflict("it does not fit", next_step="Leave it.")


async def names(database: Database) -> list[str]:
    async def read(tx: Tx) -> list[str]:
        return list((await tx.scalars(sa.select(CONTRACTORS.c.name).order_by(CONTRACTORS.c.name))).all())

    return await database.look(read)


async def test_what_fails_takes_nothing_else_of_its_commit_with_it(database: Database) -> None:
    wanted = [f"c{number}" for number in range(12)]
    found = await asyncio.gather(
        *(database.change(partial(add, name=name)) for name in wanted[:6]),
        database.change(lambda tx: add_and_fail(tx, "wrong")),
        *(database.change(partial(add, name=name)) for name in wanted[6:]),
        return_exceptions=True,
    )
    assert [one for one in found if isinstance(one, str)] == wanted
    assert [type(one) for one in found if not isinstance(one, str)] == [Conflict]
    assert await names(database) == sorted(wanted)
    async with database.read() as tx:
        assert [row.subject for row in await audit.page(tx, Scope.everything())].count("wrong") == 0
        assert (await audit.verify(tx)).rows == len(wanted)


async def test_one_that_fails_alone_stores_nothing_and_the_next_goes_on(database: Database) -> None:
    with pytest.raises(Conflict, match="does not fit"):
        await database.change(lambda tx: add_and_fail(tx, "wrong"))
    assert await database.change(lambda tx: add(tx, "right")) == "right"
    assert await names(database) == ["right"]


async def test_a_cancelled_caller_is_not_released_before_all_is_decided(database: Database) -> None:
    task = asyncio.create_task(database.change(lambda tx: add(tx, "cancelled")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = await names(database)
    assert await database.change(lambda tx: add(tx, "next")) == "next"
    assert await names(database) == sorted([*before, "next"])


async def test_it_may_write_beside_transactions_of_the_other_kind(database: Database) -> None:
    async def slowly(name: str) -> str:
        async with database.write() as tx:
            return await add(tx, name)

    wanted = [f"c{number:02}" for number in range(20)]
    await asyncio.gather(
        *(slowly(name) for name in wanted[::2]),
        *(database.change(partial(add, name=name)) for name in wanted[1::2]),
    )
    assert await names(database) == wanted
    async with database.read() as tx:
        assert (await audit.verify(tx)).rows == len(wanted)


async def test_a_look_cannot_write(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        await database.look(lambda tx: add(tx, "never"))
    assert await names(database) == []


async def test_whoever_waits_for_something_else_in_the_middle_is_told_and_undone(sqlite_url: str) -> None:
    sqlite_database = await Database.open(sqlite_url)

    async def wait(tx: Tx) -> None:
        await add(tx, "half")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited for something else"):
        await sqlite_database.change(wait)
    assert await names(sqlite_database) == []
    await sqlite_database.close()
