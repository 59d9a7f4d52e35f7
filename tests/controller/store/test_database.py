"""The main database: who may write, when, and to which schema."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from controller.store import schema
from controller.store.database import Database
from controller.store.migrate import check, upgrade
from controller.store.tables import import_all
from inventory.errors import BadInput, Conflict

PROBE = sa.table("contractors", sa.column("name"), sa.column("created_ms"), sa.column("version"))


async def names(database: Database) -> list[str]:
    async with database.read() as tx:
        return list((await tx.scalars(sa.select(PROBE.c.name).order_by(PROBE.c.name))).all())


async def test_upgrade_creates_either_database_and_it_then_opens(empty_database_url: str) -> None:
    revision = await upgrade(empty_database_url)
    assert await check(empty_database_url) == revision
    assert await upgrade(empty_database_url) == revision
    database = await Database.open(empty_database_url)
    await database.close()


async def test_a_database_that_nobody_upgraded_is_refused_with_the_command_to_run(empty_database_url: str) -> None:
    with pytest.raises(Conflict) as refused:
        await Database.open(empty_database_url)
    assert "kajitori db upgrade" in refused.value.next_step
    with pytest.raises(Conflict):
        await check(empty_database_url)


async def test_the_tables_of_the_program_and_of_the_migrations_are_the_same(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.run_sync(schema.differences) == []


def catalogue(connection: sa.Connection, schema_name: str) -> set[tuple[str, ...]]:
    """Every constraint and index in the database's own words, which also show checks and conditions of indexes."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
        # A column that was added later stands behind another on its line; commas inside brackets part nothing.
        return {
            (row.name, part.strip().rstrip(","))
            for row in rows
            if not row.name.startswith(("alembic", "sqlite"))
            # A table that was made anew under another name has its name in quotes, which mean nothing.
            for line in row.sql.replace(f'TABLE "{row.name}"', f"TABLE {row.name}").splitlines()
            for part in re.split(r", (?![^()]*\))", line)
        }
    constraints = connection.execute(
        sa.text(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = CAST(:schema AS regnamespace)"
        ),
        {"schema": schema_name},
    )
    indexes = connection.execute(
        sa.text("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema"),
        {"schema": schema_name},
    )
    return {
        tuple(str(value).replace(f"{schema_name}.", "") for value in row)
        for row in (*constraints, *indexes)
        if "alembic" not in row[0]
    }


def made_without_migrations(connection: sa.Connection) -> set[tuple[str, ...]]:
    """The same of a schema that comes straight from the tables of the program."""
    if connection.dialect.name == "sqlite":
        with sa.create_engine("sqlite://", poolclass=sa.StaticPool).connect() as fresh:
            import_all().create_all(fresh)
            found = catalogue(fresh, "main")
        fresh.engine.dispose()
        return found
    connection.execute(sa.text("CREATE SCHEMA fresh"))
    connection.execute(sa.text("SET LOCAL search_path TO fresh"))
    import_all().create_all(connection)
    return catalogue(connection, "fresh")


async def test_checks_and_partial_indexes_of_the_migrations_are_those_of_the_program(database: Database) -> None:
    async with database.write() as tx:
        migrated = await tx.run_sync(catalogue, "public")
        assert "uq_placements_open_entry" in str(migrated)
        assert "one_slot" in str(migrated)
        assert migrated == await tx.run_sync(made_without_migrations)


async def test_a_missing_column_is_told_as_a_difference(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(sa.text("ALTER TABLE consents DROP COLUMN proof"))
        assert any("proof" in difference for difference in await tx.run_sync(schema.differences))


async def test_a_write_is_seen_by_the_next_read_and_gone_after_an_exception(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(sa.insert(PROBE).values(name="kept", created_ms=1, version=1))

    async def fail_half_way() -> None:
        async with database.write() as tx:
            await tx.execute(sa.insert(PROBE).values(name="lost", created_ms=1, version=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert await names(database) == ["kept"]


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"):
        async with database.read() as tx:
            await tx.execute(sa.insert(PROBE).values(name="no", created_ms=1, version=1))
    assert await names(database) == []


async def test_readers_go_on_while_a_write_is_open(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(sa.insert(PROBE).values(name="later", created_ms=1, version=1))
        assert await names(database) == []
    assert await names(database) == ["later"]


async def test_many_writes_at_once_all_arrive(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.write() as tx:
            await tx.execute(sa.insert(PROBE).values(name=f"n{number:02}", created_ms=1, version=1))

    await asyncio.gather(*(write(number) for number in range(40)))
    assert await names(database) == [f"n{number:02}" for number in range(40)]


async def test_an_sqlite_file_has_one_process_only(sqlite_url: str) -> None:
    database = await Database.open(sqlite_url)
    with pytest.raises(Conflict, match="in use"):
        await Database.open(sqlite_url)
    with pytest.raises(Conflict, match="in use"):
        await upgrade(sqlite_url)
    await database.close()
    await (await Database.open(sqlite_url)).close()


@pytest.mark.fast
@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "nonsense", ""])
async def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        await Database.open(url)
    assert refused.value.field == "database.url"


async def test_sqlite_survives_a_power_cut_by_its_settings(sqlite_url: str) -> None:
    database = await Database.open(sqlite_url)
    async with database.write() as tx:
        assert (await tx.execute(sa.text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await tx.execute(sa.text("PRAGMA synchronous"))).scalar_one() == 2
        assert (await tx.execute(sa.text("PRAGMA foreign_keys"))).scalar_one() == 1
    await database.close()


async def test_a_write_on_sqlite_holds_the_file_before_its_first_statement(sqlite_url: str) -> None:
    database = await Database.open(sqlite_url)
    async with database.write():
        path = sqlite_url.removeprefix("sqlite:///")
        with (
            closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
    await database.close()


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    database = await Database.open(database_url)
    async with database.write() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(Conflict, match="does not know"):
        await Database.open(database_url)


async def test_a_cancelled_write_leaves_the_database_free_for_the_next(database: Database) -> None:
    """A task that was cancelled in the middle of a transaction held the writer for ever."""
    inside = asyncio.Event()

    async def stuck() -> None:
        async with database.write() as tx:
            await tx.execute(sa.text("INSERT INTO contractors (name, created_ms, version) VALUES ('half', 1, 1)"))
            inside.set()
            await asyncio.Event().wait()

    for _ in range(3):
        inside.clear()
        task = asyncio.create_task(stuck())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5), database.write() as tx:
            await tx.execute(sa.text("INSERT INTO contractors (name, created_ms, version) VALUES ('whole', 1, 1)"))
    async with database.read() as tx:
        names = list(await tx.scalars(sa.text("SELECT name FROM contractors ORDER BY id")))
    assert names == ["whole"] * 3
