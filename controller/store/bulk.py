"""One statement for very many rows, given as plain tuples.

What SQLAlchemy does for each row costs several times what the database does. So these few statements are written out:
`?` for each value, `@` before the name of a table of traffic. Both databases understand the same text.

PostgreSQL takes a statement for each row as a message for each row. An insert whose columns are numbers and words goes
to it as one statement with an array for each column instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import LargeBinary, Text

from controller.store import traffic_tables as t
from controller.store.database import Tx

_INSERT: Final = re.compile(r"INSERT INTO @(\w+) \(([\w, ]+)\) VALUES \([?, ]+\) ON CONFLICT DO NOTHING")
ARRAYS_FROM: Final = 20
"""Fewer rows than this go one by one: there is little to win."""


async def execute(tx: Tx, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    """Carry a statement out once for each row; how many rows of the table were touched. No row: nothing is done."""
    if not rows:
        return 0
    if tx.dialect.name == "sqlite":
        return (await tx.exec_driver_sql(statement.replace("@", ""), list(rows))).rowcount
    arrays = _with_arrays(statement) if len(rows) >= ARRAYS_FROM else None
    if arrays is not None:
        written, words = arrays
        columns = zip(*rows, strict=True)
        literals = tuple(_array(column, is_word=word) for column, word in zip(columns, words, strict=True))
        return (await tx.exec_driver_sql(written, literals)).rowcount
    written = statement.replace("@", f"{t.SCHEMA}.").replace("?", "%s")
    return (await tx.exec_driver_sql(written, list(rows))).rowcount


@lru_cache(maxsize=32)
def _with_arrays(statement: str) -> tuple[str, tuple[bool, ...]] | None:
    """The insert as one statement with an array for each column, and which hold words; None: not of the kind."""
    found = _INSERT.fullmatch(statement)
    if found is None:
        return None
    table, names = t.metadata.tables[f"{t.SCHEMA}.{found[1]}"], found[2].split(", ")
    kinds = [table.c[name].type for name in names]
    if any(isinstance(kind, LargeBinary) for kind in kinds):
        return None
    typed = ", ".join(f"%s::{kind}[]" for kind in kinds)
    into = statement.partition(" VALUES ")[0].replace("@", f"{t.SCHEMA}.")
    written = f"{into} SELECT * FROM unnest({typed}) ON CONFLICT DO NOTHING"  # noqa: S608 (types of our columns)
    return written, tuple(isinstance(kind, Text) for kind in kinds)


def _array(column: Sequence[object], *, is_word: bool) -> str:
    """The literal of an array (PostgreSQL §8.15.6): words in quotes, so that nothing in them is a sign of it."""
    if is_word:
        shown = [_quoted(str(one)) if one is not None else "NULL" for one in column]
    else:
        shown = ["NULL" if one is None else str(one) for one in column]
    return "{" + ",".join(shown) + "}"


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
