"""`kajitori db upgrade` and `kajitori db check`: the schema of a database that no daemon has open."""

from __future__ import annotations

from controller.store import schema
from controller.store.database import alone, parse_url, write_engine


async def upgrade(url: str) -> str:
    """Bring the database at `url` to head, creating an SQLite file that is missing. Returns the revision.

    All or nothing: the revisions run in one transaction. Raises Conflict while a daemon has the SQLite file.
    """
    address = parse_url(url)
    async with alone(address):
        engine = write_engine(address)
        try:
            async with engine.begin() as tx:
                await tx.run_sync(schema.upgrade_to_head)
        finally:
            await engine.dispose()
    return schema.head()


async def check(url: str) -> str:
    """The revision of the database at `url`, which is head; raises Conflict, with the next step, if it is not."""
    address = parse_url(url)
    async with alone(address):
        engine = write_engine(address)
        try:
            async with engine.begin() as tx:
                await tx.run_sync(schema.require_head)
        finally:
            await engine.dispose()
    return schema.head()
