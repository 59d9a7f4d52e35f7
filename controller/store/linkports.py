"""Ports of links as ingestion needs them, of many entries at once: names, numbers, speeds, nothing around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, select, true, union_all

from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.tables.counting import link_members
from controller.store.tables.metering import links


@dataclass(frozen=True, slots=True)
class Port:
    """An interface that a link counts: its own, or one of its members."""

    entry_id: int
    interface: str
    speed_bps: int | None
    ifindex: int | None


async def of_entries(tx: Tx, entry_ids: Collection[int]) -> list[Port]:
    """Ports of all links of some entries; for the daemon itself."""
    found: list[Port] = []
    for some in in_parts(entry_ids):
        found.extend(Port(*row) for row in await tx.execute(_QUERY, {"entries": some}))
    return found


async def zones(tx: Tx) -> list[str]:
    """Zones of all links, each once; for the daemon itself."""
    return list(await tx.scalars(select(links.c.zone).distinct()))


def _selected() -> Iterator[Select[Any]]:
    m = link_members.c
    grouped = select(m.id).where(m.link_id == links.c.id).exists()
    for table, where in ((links, ~grouped), (link_members, true())):
        c = table.c
        mine = c.entry_id.in_(bindparam("entries", expanding=True))
        yield select(c.entry_id, c.interface, c.port_speed_bps, c.ifindex).where(mine, where)


_QUERY: Final = union_all(*_selected())
