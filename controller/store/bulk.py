"""One statement for very many rows, given as plain tuples.

What SQLAlchemy does for each row costs several times what the database does. So these few statements are written out:
`?` for each value, `@` before the name of a table of traffic. Both databases understand the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.store import traffic_tables as t
from controller.store.database import Tx


async def execute(tx: Tx, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    """Carry a statement out once for each row; how many rows of the table were touched. No row: nothing is done."""
    if not rows:
        return 0
    if tx.dialect.name == "sqlite":
        written = statement.replace("@", "")
    else:
        written = statement.replace("@", f"{t.SCHEMA}.").replace("?", "%s")
    return (await tx.exec_driver_sql(written, list(rows))).rowcount
