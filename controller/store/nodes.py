"""Which nodes are alive, by their leases, and who holds the devices of one that is not (architecture §5)."""

from __future__ import annotations

from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy import insert as insert_into

from controller.store.database import Tx
from controller.store.tables.push import device_locks
from controller.store.tables.system import nodes


async def begin(tx: Tx, node_id: str, token: str, *, now_ms: int, until_ms: int) -> None:
    """A process begins under `node_id`; whichever had it before is dead, or will find its token gone."""
    await tx.execute(delete(nodes).where(nodes.c.node_id == node_id))
    await tx.execute(insert_into(nodes).values(node_id=node_id, token=token, started_ms=now_ms, until_ms=until_ms))


async def renew(tx: Tx, node_id: str, token: str, *, until_ms: int) -> bool:
    """Move the end of a lease; False when the process has it no longer."""
    mine = (nodes.c.node_id == node_id, nodes.c.token == token)
    found: CursorResult[object] = await tx.execute(update(nodes).where(*mine).values(until_ms=until_ms))
    return found.rowcount == 1


async def take_over(tx: Tx, node_id: str, *, before_ms: int) -> list[str]:
    """Forget the nodes whose lease ended before that instant and hold their devices from now on; returns them."""
    ended = (nodes.c.until_ms < before_ms, nodes.c.node_id != node_id)
    dead = list(await tx.scalars(select(nodes.c.node_id).where(*ended).with_for_update()))
    if dead:
        await tx.execute(delete(nodes).where(nodes.c.node_id.in_(dead)))
    unheld = or_(device_locks.c.node_id.is_(None), device_locks.c.node_id.not_in(select(nodes.c.node_id)))
    await tx.execute(update(device_locks).where(unheld).values(node_id=node_id))
    return dead
