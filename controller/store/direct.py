"""Statements that are carried out again and again on SQLite, without what it costs to describe each of them anew.

SQLAlchemy works out for every execution what it has worked out before: for a row by its number that is several times
what SQLite takes. A statement that is marked goes the ordinary way once; afterwards its text and the order of its
parameters are known, and the driver is given both. Whatever goes wrong goes the ordinary way again, to fail there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, LargeBinary, Result
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.dml import UpdateBase

S = TypeVar("S", bound=Executable)
_NOTHING: Final[Mapping[str, Any]] = {}
_EACH: Final = object()
"""Marks what is known of a statement that is carried out for each of a list."""


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    many: frozenset[str]
    """Parameters that stand for a list."""
    rows: SimpleResultMetaData


_MARKED: Final[dict[int, Executable]] = {}
_KNOWN: Final[dict[tuple[int, tuple[object, ...]], _Known | None]] = {}


def direct(statement: S) -> S:
    """Mark a statement that lasts as long as the process, and whose number of changed rows nobody asks for."""
    _MARKED[id(statement)] = statement
    return statement


def is_marked(statement: Executable) -> bool:
    """Whether it was marked; what is derived from it was not."""
    return id(statement) in _MARKED


def carried_out(connection: Connection, statement: Executable, parameters: Mapping[str, Any] | None) -> Result[Any]:
    """As `connection.execute`, of a marked statement on SQLite. Raises what that does."""
    given = _NOTHING if parameters is None else parameters
    key = (id(statement), tuple(given))
    if key not in _KNOWN:
        result = connection.execute(statement, parameters)
        _KNOWN[key] = _learn(result, given)
        return result
    known = _KNOWN[key]
    rows = None if known is None else _rows(connection, known, given)
    if known is None or rows is None:
        return connection.execute(statement, parameters)
    return IteratorResult(known.rows, iter(rows))


def carried_out_for_each(
    connection: Connection, statement: Executable, each: Sequence[Mapping[str, Any]]
) -> Result[Any]:
    """As `connection.execute` with a list, of a marked statement on SQLite, which may give a row for each, in their
    order. Raises the same."""
    if isinstance(statement, UpdateBase) and statement._returning:
        results = [carried_out(connection, statement, given) for given in each]
        return IteratorResult(
            SimpleResultMetaData(list(results[0].keys())), iter([row for one in results for row in one])
        )
    key = (id(statement), (_EACH, *each[0]))
    if key not in _KNOWN:
        result = connection.execute(statement, each)
        known = _learn(result, each[0])
        _KNOWN[key] = None if known is None or known.many else known
        return result
    known = _KNOWN[key]
    if known is None:
        return connection.execute(statement, each)
    values = [[given[name] if name in given else known.fixed[name] for name in known.names] for given in each]
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("SAVEPOINT each_row")
    try:
        sqlite3.Cursor(driver).executemany(known.text, values)
    except sqlite3.Error:
        driver.execute("ROLLBACK TO each_row")
        connection.execute(statement, each)
    finally:
        driver.execute("RELEASE each_row")
    return IteratorResult(known.rows, iter(()))


def _rows(connection: Connection, known: _Known, given: Mapping[str, Any]) -> list[Any] | None:
    """What it gives; None where the ordinary way must be gone."""
    text, values = known.text, []
    for name in known.names:
        value = given[name] if name in given else known.fixed[name]
        if name in known.many:
            if not value:
                return None
            text = text.replace(f"__[POSTCOMPILE_{name}]", ",".join("?" * len(value)))
            values += value
        else:
            values.append(value)
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    try:
        return sqlite3.Cursor(driver).execute(text, values).fetchall()
    except sqlite3.Error:
        return None


def _learn(result: CursorResult[Any], given: Mapping[str, Any]) -> _Known | None:
    """What there is to know after the first time; None for a statement with more to it than text and parameters."""
    compiled: Any = result.context.compiled
    types = [column.type for column in compiled._result_columns]
    dialect = result.dialect
    plain = all(isinstance(one, LargeBinary) or one._cached_result_processor(dialect, None) is None for one in types)
    bound = {name: type(parameter.type) for parameter, name in compiled.bind_names.items()}
    processed = [name for name in compiled._bind_processors if not issubclass(bound[name], LargeBinary)]
    if not plain or processed or compiled.insert_prefetch or compiled.update_prefetch:
        return None
    all_of = result.context.compiled_parameters[0]
    many = frozenset(one.key for one in compiled.post_compile_params)
    if not many <= given.keys():
        return None  # a list that stands in the statement itself
    if any(one.literal_execute for one in compiled.post_compile_params):
        return None
    return _Known(
        compiled.string,
        tuple(compiled.positiontup),
        {name: value for name, value in all_of.items() if name not in given},
        many,
        SimpleResultMetaData(list(result.keys()) if result.returns_rows else []),
    )
