"""What the table files share: one metadata, one type per kind of column (architecture §3a)."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from sqlalchemy import BigInteger, Column, Integer, MetaData, Row, Text

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Constraints have names of their own, so that a later revision can alter them on both databases."""

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of a query, before it becomes a value."""

NEVER_REUSED: Final[dict[str, Any]] = {"sqlite_autoincrement": True}
"""Table options: `Table(…, **NEVER_REUSED)` keeps SQLite from giving a deleted row's number to another row."""


def id_column() -> Column[int]:
    """Integer primary key `id`, one sequence per table, never reused."""
    return Column("id", Integer, primary_key=True, autoincrement=True)


def ms(name: str, *, nullable: bool = False) -> Column[int]:
    """An instant: milliseconds UTC."""
    return Column(name, BigInteger, nullable=nullable)


def day(name: str, *, nullable: bool = False) -> Column[str]:
    """A calendar day in Asia/Tokyo as `YYYY-MM-DD`."""
    return Column(name, Text, nullable=nullable)


def text(name: str, *, nullable: bool = False) -> Column[str]:
    """A text; JSON columns are texts made by `to_json`."""
    return Column(name, Text, nullable=nullable)


def number(name: str, *, nullable: bool = False) -> Column[int]:
    """A small integer or a count."""
    return Column(name, Integer, nullable=nullable)


def to_json(value: object) -> str:
    """Canonical JSON text: sorted keys, no spaces, so that equal values are equal texts and digests."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
