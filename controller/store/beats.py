"""Heartbeats in the traffic database: packed as they came until they are settled; what they tell of each adapter.

A batch is one row, and durable when its transaction is committed. Settling removes it in the transaction that adds its
readings, so that a crash at any moment leaves it either wholly settled or wholly to be settled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, tuple_, update

from controller.store import bulk
from controller.store import traffic_tables as t
from controller.store.database import Tx
from inventory.errors import StaleVersion
from inventory.replays import DAY_MS, Told, packed
from inventory.timeslots import SLOT_MS

HEARD_KEPT_MS: Final = 3_600_000
"""How long the contents of heartbeats have a row each, against copies on other nodes."""
ROLLED_AT_ONCE: Final = 200
"""Numbers of adapters whose older contents are put together in one transaction."""
PERIOD_MS: Final = 300_000
PERIODS: Final = 24
"""Statistics are kept of the last heartbeat of each five minutes, for two hours."""
BUSY_KEPT_MS: Final = 35 * 86_400_000
"""Seven valid days may lie further apart than a week."""
LEFT_MS: Final = 300_000
"""A batch of another run that nobody has settled for so long was left behind by a node that is gone."""


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A batch that is to be settled."""

    id: int
    run: str
    count: int
    packed: bytes


@dataclass(frozen=True, slots=True)
class KeptStatistics:
    """The statistics of one heartbeat as they came; `entry_id` is the place where its adapter sat."""

    adapter_id: int
    at_ms: int
    entry_id: int | None
    content: bytes


async def keep(tx: Tx, run: str, count: int, packed: bytes, now_ms: int) -> None:
    """Keep a batch; it is durable when the transaction is committed."""
    await tx.execute(insert(t.beats).values(run=run, kept_ms=now_ms, count=count, packed=packed))


async def unsettled(tx: Tx, run: str, now_ms: int, *, at_most: int) -> list[KeptBatch]:
    """The oldest batches of this run, and of runs that are gone, with together about `at_most` heartbeats."""
    c = t.beats.c
    mine = (c.run == run) | (c.kept_ms <= now_ms - LEFT_MS)
    sizes = await tx.execute(select(c.id, c["count"]).where(mine).order_by(c.id).limit(10_000))
    wanted: list[int] = []
    total = 0
    for row in sizes:
        if wanted and total + row[1] > at_most:
            break
        wanted.append(row[0])
        total += row[1]
    if not wanted:
        return []
    found = await tx.execute(select(c.id, c.run, c["count"], c.packed).where(c.id.in_(wanted)).order_by(c.id))
    return [KeptBatch(*row) for row in found]


async def adopt(tx: Tx, run: str) -> None:
    """What other runs left is to be settled at once: of this database there is one process at a time."""
    await tx.execute(update(t.beats).where(t.beats.c.run != run).values(kept_ms=0))


async def forget(tx: Tx, ids: Sequence[int]) -> None:
    """Remove settled batches. Raises StaleVersion if another node has settled one."""
    done = await tx.execute(delete(t.beats).where(t.beats.c.id.in_(ids)))
    if done.rowcount != len(ids):
        raise StaleVersion("another node has settled these heartbeats", next_step="Read again.")


async def heard(tx: Tx, contents: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Which of these (adapter, content) have been counted already, on whatever node."""
    c = t.heard.c
    wanted = sorted(contents)
    found: set[tuple[int, int]] = set()
    for begin in range(0, len(wanted), 500):
        query = select(c.adapter_id, c.content).where(tuple_(c.adapter_id, c.content).in_(wanted[begin : begin + 500]))
        found.update((row[0], row[1]) for row in await tx.execute(query))
    return found


_COUNT_ONCE: Final = "INSERT INTO @heard (adapter_id, content, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"


async def count_once(tx: Tx, contents: Collection[tuple[int, int]], now_ms: int) -> None:
    """Note contents as counted. Raises StaleVersion if another node has just counted one of them: look again."""
    rows = [(one, content, now_ms) for one, content in contents]
    if await bulk.execute(tx, _COUNT_ONCE, rows) != len(rows):
        raise StaleVersion("another node has counted one of these heartbeats", next_step="Look again.")


async def adapters_heard(tx: Tx) -> range:
    """Portions of adapter numbers of which contents have rows; empty for none. Each begins a portion."""
    first, last = (await tx.execute(select(func.min(t.heard.c.adapter_id), func.max(t.heard.c.adapter_id)))).one()
    return range(0) if first is None else range(first, last + 1, ROLLED_AT_ONCE)


async def put_together(tx: Tx, first_id: int, now_ms: int) -> None:
    """Of this portion of adapters: contents that are an hour old, marks of many in one row from now on."""
    c, before_ms = t.heard.c, now_ms - HEARD_KEPT_MS
    old = (c.adapter_id >= first_id, c.adapter_id < first_id + ROLLED_AT_ONCE, c.at_ms < before_ms)
    marks: dict[int, list[bytes]] = {}
    gone = delete(t.heard).where(*old).returning(c.adapter_id, c.content, c.at_ms)
    for adapter_id, content, at_ms in await tx.execute(gone):
        if at_ms >= now_ms - DAY_MS:
            marks.setdefault(adapter_id, []).append(_digest(content))
    if marks:
        rows = [{"adapter_id": one, "at_ms": before_ms, "marks": packed(found)} for one, found in marks.items()]
        await tx.execute(insert(t.heard_before), rows)


async def prune_heard(tx: Tx, now_ms: int) -> None:
    """Forget what came more than a day ago."""
    await tx.execute(delete(t.heard_before).where(t.heard_before.c.at_ms < now_ms - DAY_MS))


async def heard_lately(tx: Tx, adapter_ids: Sequence[int], now_ms: int, *, until_ms: int) -> dict[int, Told]:
    """What was counted of these adapters in the last day, and before `until_ms`."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    older, newest = t.heard_before.c, t.heard.c
    for begin in range(0, len(adapter_ids), 500):
        some = adapter_ids[begin : begin + 500]
        kept = select(older.adapter_id, older.at_ms, older.marks).where(
            older.adapter_id.in_(some), older.at_ms >= now_ms - DAY_MS
        )
        for adapter_id, at_ms, marks in await tx.execute(kept.order_by(older.at_ms)):
            found.setdefault(adapter_id, []).append((at_ms, marks))
        rows = select(newest.adapter_id, newest.content).where(
            newest.adapter_id.in_(some), newest.at_ms >= now_ms - DAY_MS, newest.at_ms <= until_ms
        )
        lately: dict[int, list[bytes]] = {}
        for adapter_id, content in await tx.execute(rows.order_by(newest.at_ms)):
            lately.setdefault(adapter_id, []).append(_digest(content))
        for adapter_id, digests in lately.items():
            found.setdefault(adapter_id, []).append((now_ms, packed(digests)))
    return dict(found)


def _digest(content: int) -> bytes:
    """As it was before it became a number."""
    return content.to_bytes(8, "big", signed=True)


_PUT_BUSY: Final = "INSERT INTO @busy_processors (adapter_id, slot) VALUES (?, ?) ON CONFLICT DO NOTHING"


async def put_busy(tx: Tx, told: Iterable[tuple[int, int]]) -> None:
    """Note slots, by adapter and number since the epoch, in which a processor was busy."""
    await bulk.execute(tx, _PUT_BUSY, sorted(told))


async def busy_slots(tx: Tx, adapter_id: int, since_ms: int) -> set[int]:
    """Slots since an instant in which the processor of an adapter was busy."""
    c = t.busy_processors.c
    return set(await tx.scalars(select(c.slot).where(c.adapter_id == adapter_id, c.slot >= since_ms // SLOT_MS)))


async def prune_busy(tx: Tx, now_ms: int) -> None:
    """Forget what is too old to be a witness."""
    c = t.busy_processors.c
    await tx.execute(delete(t.busy_processors).where(c.slot < (now_ms - BUSY_KEPT_MS) // SLOT_MS))


_PUT_STATISTICS: Final = (
    "INSERT INTO @statistics AS kept (adapter_id, place, at_ms, entry_id, content) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (adapter_id, place) DO UPDATE "
    "SET at_ms = excluded.at_ms, entry_id = excluded.entry_id, content = excluded.content "
    "WHERE excluded.at_ms >= kept.at_ms"
)


async def put_statistics(tx: Tx, told: Iterable[KeptStatistics]) -> None:
    """Keep the newest statistics of each adapter and period; a ring, so that their number is bounded."""
    rows = [(one.adapter_id, one.at_ms // PERIOD_MS % PERIODS, one.at_ms, one.entry_id, one.content) for one in told]
    await bulk.execute(tx, _PUT_STATISTICS, rows)


async def statistics(tx: Tx, adapter_id: int, since_ms: int) -> list[KeptStatistics]:
    """What is kept of an adapter since an instant, newest first."""
    c = t.statistics.c
    query = select(c.adapter_id, c.at_ms, c.entry_id, c.content).where(c.adapter_id == adapter_id, c.at_ms >= since_ms)
    return [KeptStatistics(*row) for row in await tx.execute(query.order_by(c.at_ms.desc()))]


async def latest_statistics(tx: Tx, adapter_ids: Collection[int], since_ms: int) -> dict[int, KeptStatistics]:
    """The newest of each adapter since an instant."""
    c = t.statistics.c
    found: dict[int, KeptStatistics] = {}
    wanted = sorted(adapter_ids)
    for begin in range(0, len(wanted), 500):
        some = wanted[begin : begin + 500]
        query = select(c.adapter_id, c.at_ms, c.entry_id, c.content).where(c.adapter_id.in_(some), c.at_ms >= since_ms)
        for row in await tx.execute(query.order_by(c.at_ms)):
            found[row[0]] = KeptStatistics(*row)
    return found
