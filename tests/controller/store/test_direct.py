"""Statements that go straight to the driver give what they give the ordinary way, on both databases."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from controller.store.database import Database, Tx
from controller.store.direct import direct
from controller.store.tables.system import audit

_COLUMNS: Final = (audit.c.id, audit.c.actor, audit.c.digest)
_INSERT: Final = direct(insert(audit).returning(audit.c.id))
_OF: Final = direct(
    select(*_COLUMNS).where(audit.c.actor.in_(bindparam("of", expanding=True)), audit.c.action == "one")
)
_OTHER: Final = direct(
    select(*_COLUMNS).where(audit.c.actor.in_(bindparam("of", expanding=True)), audit.c.action == "other")
)
_LAST: Final = direct(select(audit.c.actor).order_by(audit.c.id.desc()).limit(1))


def row(actor: str, action: str, digest: bytes, **more: object) -> dict[str, object]:
    return {
        "at_ms": 1,
        "actor": actor,
        "action": action,
        "subject": "E-1",
        "contractor_id": None,
        "before": "{}",
        "after": "{}",
        "previous": digest,
        "digest": digest,
        **more,
    }


@pytest.fixture
async def database(database_url: str) -> Database:
    return await Database.open(database_url, require_head=False)


async def test_again_and_again_it_gives_the_rows_of_its_own_parameters_and_constants(database: Database) -> None:
    async def work(tx: Tx) -> None:
        for actor, action in (("ann", "one"), ("bob", "one"), ("ann", "other")):
            number = (await tx.execute(_INSERT, row(actor, action, actor.encode()))).scalar_one()
            assert isinstance(number, int)
        for _ in range(3):
            found = (await tx.execute(_OF, {"of": ["ann", "bob"]})).mappings().all()
            assert [(one["actor"], one["digest"]) for one in found] == [("ann", b"ann"), ("bob", b"bob")]
            assert [one.actor for one in await tx.execute(_OF, {"of": ["bob"]})] == ["bob"]
            assert (await tx.execute(_OF, {"of": []})).all() == []
            assert [one.actor for one in await tx.execute(_OTHER, {"of": ["ann", "bob"]})] == ["ann"]
            assert (await tx.execute(_OTHER, {"of": ["bob"]})).one_or_none() is None
            assert await tx.scalar(_LAST) == "ann"
            assert (await tx.scalars(_LAST)).all() == ["ann"]

    await database.change(work)
    await database.look(lambda tx: tx.scalar(_LAST))
    await database.close()


async def test_what_the_database_refuses_is_refused_as_ever_and_the_rest_stays(database: Database) -> None:
    async def work(tx: Tx) -> list[str]:
        number = (await tx.execute(_INSERT, row("ann", "one", b"1", id=7001))).scalar_one()
        for _ in range(2):
            with pytest.raises(IntegrityError):
                async with tx.begin_nested():
                    await tx.execute(_INSERT, row("bob", "one", b"2", id=number))
        return [one.actor for one in await tx.execute(_OF, {"of": ["ann", "bob"]})]

    assert await database.change(work) == ["ann"]
    await database.close()


async def test_for_each_of_a_list_it_does_what_it_does_for_one_and_of_a_refused_list_nothing(
    database: Database,
) -> None:
    many = direct(insert(audit))

    async def work(tx: Tx) -> list[str]:
        for number in range(3):
            rows = [row(f"{name}{number}", "one", b"1", id=10 * number + at) for at, name in enumerate(("ann", "bob"))]
            await tx.execute(many, rows)
        for _ in range(2):
            with pytest.raises(IntegrityError):
                async with tx.begin_nested():
                    await tx.execute(many, [row("dan", "one", b"1", id=900), row("eve", "one", b"1", id=0)])
        return list(await tx.scalars(select(audit.c.actor).order_by(audit.c.id)))

    assert await database.change(work) == ["ann0", "bob0", "ann1", "bob1", "ann2", "bob2"]
    await database.close()


async def test_a_list_that_stands_in_the_statement_is_asked_the_ordinary_way(database: Database) -> None:
    fixed = direct(select(audit.c.actor).where(audit.c.actor.in_(["ann", "eve"]), audit.c.action == bindparam("done")))

    async def work(tx: Tx) -> None:
        for actor in ("ann", "bob"):
            await tx.execute(_INSERT, row(actor, "one", b"1"))
        for _ in range(3):
            assert [one.actor for one in await tx.execute(fixed, {"done": "one"})] == ["ann"]

    await database.change(work)
    await database.close()
