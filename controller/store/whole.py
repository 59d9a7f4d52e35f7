"""Transactions of one piece: the functions of the store, carried out in a thread without a stop.

A statement over an asynchronous connection to SQLite changes threads twice; for a few rows that costs several times
what the statement itself does. So the coroutine of a transaction is run in the thread of its connection, where nothing
of it waits. Those that come together are committed together, because each commit is a sync of the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Delete, Dialect, Engine, Executable, Insert, Result, ScalarResult, Update
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.store import chain, direct

T = TypeVar("T")
Work = Callable[[AsyncConnection], Coroutine[Any, Any, T]]
"""What is done in a transaction. It awaits nothing but the store's functions with this transaction, and may be begun
only once; it touches nothing that the event loop's own code changes meanwhile."""

AT_MOST: Final = 200
"""Pieces of one commit; the rest wait for the next."""


class _ReadOutCursor(sqlite3.Cursor):
    """Reads all rows at once, as the asynchronous driver does: SQLite ends no savepoint while a statement is open."""

    _rows: deque[Any]

    def execute(self, sql: str, parameters: Any = ()) -> _ReadOutCursor:
        super().execute(sql, parameters)
        self._rows = deque(super().fetchall()) if self.description is not None else deque()
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        count = min(len(self._rows), self.arraysize if size is None else size)
        return [self._rows.popleft() for _ in range(count)]

    def fetchall(self) -> list[Any]:
        rows = list(self._rows)
        self._rows.clear()
        return rows


class ReadOut(sqlite3.Connection):
    """A connection whose results hold no statement open."""

    def cursor(self, factory: Any = _ReadOutCursor) -> Any:
        return super().cursor(factory)


class _Whole:
    """The verbs of an `AsyncConnection` that the store uses, on a connection of this thread: none of them waits."""

    def __init__(self, connection: Connection) -> None:
        self.sync_connection = connection

    @property
    def dialect(self) -> Dialect:
        return self.sync_connection.dialect

    @property
    def info(self) -> MutableMapping[Any, Any]:
        return self.sync_connection.info

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        if direct.is_marked(statement):
            if not isinstance(parameters, list):
                return direct.carried_out(self.sync_connection, statement, parameters)
            if parameters and isinstance(statement, Insert | Update | Delete):
                return direct.carried_out_for_each(self.sync_connection, statement, parameters)
        return self.sync_connection.execute(statement, parameters)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    async def scalars(self, statement: Executable, parameters: Any = None) -> ScalarResult[Any]:
        return (await self.execute(statement, parameters)).scalars()

    async def run_sync(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return work(self.sync_connection, *args, **kwargs)

    @contextlib.asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        with _savepoint(self.sync_connection):
            yield


@contextlib.contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """As `Connection.begin_nested` on SQLite, for a fifth of its price. Savepoints of one name are a stack."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("SAVEPOINT piece")
    try:
        yield
    except BaseException:
        driver.execute("ROLLBACK TO piece")
        driver.execute("RELEASE piece")
        raise
    driver.execute("RELEASE piece")


def carried_out(connection: Connection, work: Work[T]) -> T:
    """What comes of `work` on an open transaction of this thread. Raises whatever it raises."""
    # It has every verb that the store uses and no other; the type is what those functions ask for.
    running = work(cast("AsyncConnection", _Whole(connection)))
    try:
        running.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    running.close()
    raise RuntimeError("a transaction of one piece waited for something else than its database")


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Work[Any]
    done: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


def _tell(pieces: Sequence[_Piece], answers: Sequence[Any]) -> None:
    for piece, answer in zip(pieces, answers, strict=True):
        if isinstance(answer, _Failed):
            piece.done.set_exception(answer.error)
            piece.done.exception()  # whoever asked may be gone
        else:
            piece.done.set_result(answer)


class _Connections:
    """One connection for each thread, opened when it is first needed and kept: a pool costs more than a short read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mine = threading.local()
        self._all: list[Connection] = []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None or connection.invalidated:
            connection = self._mine.connection = self._engine.connect()
            self._all.append(connection)
        with connection.begin():
            yield connection

    def close(self) -> None:
        """No thread uses one any more."""
        for connection in self._all:
            connection.close()
        self._engine.dispose()


class WholeReads:
    """A few threads with a connection each that cannot write."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._connections = _Connections(engine)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reads")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._connections.transaction() as connection:
            return work(connection)

    async def close(self) -> None:
        """End the threads and close their connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._connections.close()


class WholeWrites:
    """One thread with a connection that writes. Each piece has a savepoint: one that fails undoes only itself."""

    def __init__(self, engine: Engine, alone: asyncio.Lock) -> None:
        """`alone` is held while the connection is in a transaction: SQLite has one writer."""
        self._connections = _Connections(engine)
        self._alone = alone
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writes")
        self._waiting: list[_Piece] = []
        self._writer: asyncio.Task[None] | None = None

    async def run(self, work: Work[T]) -> T:
        """What comes of `work`, when it is durable. A caller that is cancelled learns it when that is decided."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Piece(work, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait((done,))
            done.exception()
            raise

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            async with self._alone:
                pieces, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
                try:
                    answers = await loop.run_in_executor(self._thread, self._commit, pieces)
                except BaseException as error:
                    answers = [_Failed(error)] * len(pieces)  # nothing of theirs was stored
                    if not isinstance(error, Exception):
                        raise
                finally:
                    _tell(pieces, answers)

    def _commit(self, pieces: Sequence[_Piece]) -> list[Any]:
        with self._connections.transaction() as connection:
            whole = cast("AsyncConnection", _Whole(connection))
            chain.begin(whole)
            answers = [self._answer(connection, piece, alone=len(pieces) == 1) for piece in pieces]
            if len(pieces) == 1 and isinstance(answers[0], _Failed):
                raise answers[0].error
            carried_out(connection, chain.settle)
            return answers

    def _answer(self, connection: Connection, piece: _Piece, *, alone: bool) -> Any:
        whole = cast("AsyncConnection", _Whole(connection))
        audited = chain.mark(whole)
        try:
            if alone:
                return carried_out(connection, piece.work)
            with _savepoint(connection):
                return carried_out(connection, piece.work)
        except Exception as error:  # noqa: BLE001 – it belongs to its caller, not to the others of the commit
            chain.drop_since(whole, audited)
            return _Failed(error)

    async def close(self) -> None:
        """Finish what was begun, end the thread and close its connection."""
        if self._writer is not None:
            await self._writer
        await asyncio.to_thread(self._thread.shutdown)
        self._connections.close()
