"""The main database: SQLite in one process, or PostgreSQL. One place opens transactions (architecture §3a)."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from controller.store import chain, schema
from controller.store.whole import ReadOut, WholeReads, WholeWrites, Work, carried_out
from inventory.errors import BadInput, Conflict

Tx = AsyncConnection
"""An open transaction. It ends with the `async with` that made it: committed, or rolled back on an exception."""

Dialect = Literal["sqlite", "postgresql"]

T = TypeVar("T")
BUSY_TIMEOUT_MS = 10_000
SQLITE_READERS = 4
SQLITE_WHOLE_READERS = 2
"""Threads for `Database.read_whole`."""
POSTGRESQL_CONNECTIONS = 12
_WRITING = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class Database:
    """Transactions on the main database.

    SQLite: one writer connection behind a lock, each write a `BEGIN IMMEDIATE`; reads on a pool that cannot write.
    PostgreSQL: one pool, read committed; a caller that decides on rows locks them itself (`FOR UPDATE`).
    Inside a write transaction nothing is awaited but the database.
    """

    def __init__(self, dialect: Dialect, writer: AsyncEngine, reader: AsyncEngine, lock_handle: int | None) -> None:
        self.dialect: Dialect = dialect
        self._writer = writer
        self._reader = reader
        self._lock_handle = lock_handle
        self._one_writer: asyncio.Lock | None = None
        self._whole: WholeReads | None = None
        self._whole_writes: WholeWrites | None = None
        if dialect == "sqlite":
            self._one_writer = asyncio.Lock()
            self._whole = WholeReads(_whole_reader(reader.url), SQLITE_WHOLE_READERS)
            self._whole_writes = WholeWrites(_whole_writer(writer.url), self._one_writer)

    @classmethod
    async def open(cls, url: str, *, require_head: bool = True) -> Database:
        """Open `sqlite:///path` or `postgresql://…`.

        Raises BadInput for another kind of address, Conflict when another process has the SQLite file, or when the
        schema is not at head (`require_head=False` skips that, for a database with a schema of its own).
        """
        address = parse_url(url)
        if address.get_backend_name() == "sqlite":
            handle = _hold_alone(sqlite_path(address))
            database = cls("sqlite", _sqlite_writer(address), _sqlite_reader(address), handle)
        else:
            engine = create_async_engine(
                address,
                isolation_level="READ COMMITTED",
                pool_size=POSTGRESQL_CONNECTIONS,
                pool_pre_ping=True,
                hide_parameters=True,
            )
            database = cls("postgresql", engine, engine.execution_options(postgresql_readonly=True), None)
        try:
            # The writer goes first: it makes the SQLite file and its write-ahead log, which a reader cannot.
            async with database.write() as tx:
                if require_head:
                    await tx.run_sync(schema.require_head)
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A transaction that may write. Commits at the end, rolls back on an exception or a cancellation."""
        async with self._one_writer or nullcontext(), _transaction(self._writer) as tx:
            chain.begin(tx)
            yield tx
            await chain.settle(tx)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A transaction that only reads; on SQLite it sees one snapshot."""
        async with _transaction(self._reader) as tx:
            yield tx

    async def read_whole(self, work: Callable[[Connection], T]) -> T:
        """A transaction that only reads, carried out by `work` in one piece: no statement of it waits for the loop.

        For what is read very often: on SQLite it is one change of threads instead of one for each step. `work` touches
        nothing but its connection and pure code, and does not take long.
        """
        if self._whole is not None:
            return await self._whole.run(work)
        async with self.read() as tx:
            return await tx.run_sync(work)

    async def look(self, work: Work[T]) -> T:
        """As `read`, with what is done in the transaction as a function: on SQLite it is carried out in one piece."""
        if self._whole is not None:
            return await self._whole.run(lambda connection: carried_out(connection, work))
        async with self.read() as tx:
            return await work(tx)

    async def change(self, work: Work[T]) -> T:
        """As `write`, with what is done in the transaction as a function; returns when it is durable.

        On SQLite it is carried out in one piece, and committed together with others that come at the same time; an
        error undoes what this one did and nothing else. A caller that is cancelled learns it when all is decided: then
        it is stored or not, as after a commit that was cut off.
        """
        if self._whole_writes is not None:
            return await self._whole_writes.run(work)
        async with self.write() as tx:
            return await work(tx)

    async def close(self) -> None:
        """Close all connections and let go of the SQLite file."""
        if self._whole is not None:
            await self._whole.close()
        if self._whole_writes is not None:
            await self._whole_writes.close()
        await self._reader.dispose()
        await self._writer.dispose()
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncIterator[Tx]:
    async with engine.connect() as tx:
        try:
            async with tx.begin():
                yield tx
        except asyncio.CancelledError:
            # The driver may still be at work on what was cancelled: the connection is thrown away with whatever
            # it holds, instead of coming back from the pool inside a transaction.
            await asyncio.shield(tx.invalidate())
            raise


def parse_url(url: str) -> URL:
    """Address with the async driver filled in. Raises BadInput for anything but SQLite files and PostgreSQL."""
    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is not None and address.drivername == "sqlite" and address.database not in (None, "", ":memory:"):
        return address.set(drivername="sqlite+aiosqlite")
    if address is not None and address.drivername in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    raise BadInput(
        "the database address is neither sqlite:///path nor postgresql://…",
        field="database.url",
        next_step="Write sqlite:///kajitori.db, or postgresql://user@host/name.",
    )


def sqlite_path(address: URL) -> Path:
    """File of a SQLite address."""
    assert address.database is not None
    return Path(address.database)


def write_engine(address: URL) -> AsyncEngine:
    """An engine for one-off work (migrations): the same transaction rules as `Database.write`."""
    if address.get_backend_name() == "sqlite":
        return _sqlite_writer(address)
    return create_async_engine(address, isolation_level="READ COMMITTED", pool_size=1, hide_parameters=True)


@asynccontextmanager
async def alone(address: URL) -> AsyncIterator[None]:
    """Hold the SQLite file against every other process; nothing on PostgreSQL."""
    handle = _hold_alone(sqlite_path(address)) if address.get_backend_name() == "sqlite" else None
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _hold_alone(path: Path) -> int:
    """Lock `path.lock` until the handle is closed or the process ends, however it ends."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Conflict(
            f"{path.name} is in use by another process",
            next_step="Stop that daemon first. For more than one process use PostgreSQL.",
        ) from None
    return handle


def _sqlite_writer(address: URL) -> AsyncEngine:
    engine = create_async_engine(
        address, pool_size=1, max_overflow=0, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )
    _prepare_sqlite(engine.sync_engine, "BEGIN IMMEDIATE", _WRITING)
    return engine


def _sqlite_reader(address: URL) -> AsyncEngine:
    # SQLite itself refuses to write on such a connection, whatever is sent.
    read_only = address.set(database=f"file:{address.database}", query={"mode": "ro", "uri": "true"})
    engine = create_async_engine(
        read_only,
        pool_size=SQLITE_READERS,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    _prepare_sqlite(engine.sync_engine, "BEGIN", ("query_only=ON",))
    return engine


def _whole_reader(read_only: URL) -> Engine:
    engine = _in_threads(read_only, SQLITE_WHOLE_READERS)
    _prepare_sqlite(engine, "BEGIN", ("query_only=ON",))
    return engine


def _whole_writer(address: URL) -> Engine:
    engine = _in_threads(address, 1)
    _prepare_sqlite(engine, "BEGIN IMMEDIATE", _WRITING)
    return engine


def _in_threads(address: URL, connections: int) -> Engine:
    return create_engine(
        address.set(drivername="sqlite+pysqlite"),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False, "factory": ReadOut},
    )


def _prepare_sqlite(engine: Engine, begin: str, pragmas: tuple[str, ...]) -> None:
    """Take transaction control from Python's driver, which would begin only at the first write."""

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        raw: Any = connection
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
