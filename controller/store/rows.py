"""What several nouns do with rows: insert or say what a conflict does, ask in parts, hold against a stale version."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy import Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters
from inventory.errors import NotFound, StaleVersion

IN_ONE_QUERY = 500
"""Numbers in one `IN`; both databases have a limit, and plans get no better with more."""
NAMES_AT_ONCE: Final = 5_000
"""Names, of two parameters each, in one statement."""


def upsert(tx: Tx, table: Any) -> Any:
    """An insert of the connection's dialect, which can say what to do on a conflict."""
    return (sqlite if tx.dialect.name == "sqlite" else postgresql).insert(table)


async def insert_new(tx: Tx, table: Table, values: Mapping[str, object]) -> int | None:
    """Insert a row and return its id; None if a unique index holds such a row already.

    The index decides, not a look beforehand, and the transaction goes on either way.
    """
    made = upsert(tx, table).values(**values).on_conflict_do_nothing()
    number: int | None = await tx.scalar(made.returning(table.c.id))
    return number


def require_version(subject: str, found: int, seen: int | None) -> None:
    """Raises StaleVersion if the caller saw another version; None means any will do (`If-Match: *`)."""
    if seen is not None and seen != found:
        raise StaleVersion(
            f"{subject} has changed since you read it (version {found}, you have {seen})",
            next_step="Read it again, and decide again.",
            facts={"version": found, "seen": seen},
        )


def in_parts(numbers: Collection[int]) -> list[list[int]]:
    """Numbers for `IN`, in their order, so many as one query takes."""
    wanted = sorted(set(numbers))
    return [wanted[i : i + IN_ONE_QUERY] for i in range(0, len(wanted), IN_ONE_QUERY)]


def portions(names: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Names in portions that one statement can hold: databases bound the number of its parameters."""
    rest = iter(names)
    while part := list(islice(rest, NAMES_AT_ONCE)):
        yield part


def not_found(what: str) -> NotFound:
    """The same answer for what does not exist and for what lies out of scope."""
    return NotFound(f"there is no {what}", next_step="Check the key; lists show what you can see.")


_ADAPTER: Final = direct(
    select(adapters.c.id, adapters.c.serial_shown, adapters.c.contractor_id, adapters.c.device_class).where(
        adapters.c.id == bindparam("of_adapter")
    )
)


async def adapter_row(tx: Tx, scope: Scope, adapter_id: int) -> AnyRow:
    """Number, serial number, contractor and class of an adapter. Raises NotFound."""
    row = (await tx.execute(_ADAPTER, {"of_adapter": adapter_id})).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found("such adapter")
    return row
