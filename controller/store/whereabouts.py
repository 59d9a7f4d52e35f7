"""Which node has a way to an adapter that phones home: a tunnel, or the endpoint where it is dialled.

With several nodes whatever is asked of an adapter is asked by the node that has that way. A node without a lease is
dead: it has none (architecture §5a).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, and_, exists, or_, select, update

from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.tables.phonehome import arms_contacts
from controller.store.tables.system import nodes


def alive(node: Column[str] | Column[str | None]) -> ColumnElement[bool]:
    """Whether the node of that column lives."""
    return node.in_(select(nodes.c.node_id))


def elsewhere(adapter_id: Column[int], node: str) -> ColumnElement[bool]:
    """Whether another living node than `node` has a way to the adapter of that column."""
    return exists().where(arms_contacts.c.adapter_id == adapter_id, arms_contacts.c.node != node, _has_a_way())


async def node_with(tx: Tx, adapter_id: int) -> str | None:
    """The living node that has a way to an adapter; None when none has."""
    query = select(arms_contacts.c.node).where(arms_contacts.c.adapter_id == adapter_id, _has_a_way())
    return (await tx.execute(query)).scalar_one_or_none()


async def unheld(tx: Tx, adapter_ids: Sequence[int]) -> set[int]:
    """Those of the adapters to which no living node has a way on record."""
    held: set[int] = set()
    for some in in_parts(adapter_ids):
        query = select(arms_contacts.c.adapter_id).where(arms_contacts.c.adapter_id.in_(some), _has_a_way())
        held.update(await tx.scalars(query))
    return set(adapter_ids) - held


@dataclass(frozen=True, slots=True)
class Orphan:
    """An endpoint that an adapter announced to a node that is dead."""

    adapter_id: int
    endpoint: str
    result_url: str
    node: str


async def orphans(tx: Tx) -> list[Orphan]:
    """Endpoints that no living node dials."""
    c = arms_contacts.c
    query = select(c.adapter_id, c.push_endpoint, c.push_result_url, c.node).where(
        c.push_endpoint.is_not(None), c.push_result_url.is_not(None), c.node.is_not(None), ~alive(c.node)
    )
    return [Orphan(*row) for row in await tx.execute(query.order_by(c.adapter_id))]


async def take_over(tx: Tx, orphan: Orphan, node: str, *, result_url: str) -> bool:
    """Put the endpoint on record with `node`, if that lives; False when another was first, or it was announced anew."""
    c = arms_contacts.c
    as_it_was = (c.adapter_id == orphan.adapter_id, c.node == orphan.node, c.push_endpoint == orphan.endpoint)
    lives = exists().where(nodes.c.node_id == node)
    taken = await tx.execute(
        update(arms_contacts).where(*as_it_was, lives).values(node=node, push_result_url=result_url, tunnel_open=0)
    )
    return taken.rowcount == 1


def _has_a_way() -> ColumnElement[bool]:
    open_way = or_(arms_contacts.c.tunnel_open == 1, arms_contacts.c.push_endpoint.is_not(None))
    return and_(open_way, alive(arms_contacts.c.node))
