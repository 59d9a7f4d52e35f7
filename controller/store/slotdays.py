"""Slot-days of interfaces as they are kept, with their revisions, and which of them want figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, and_, func, literal, select, update

from controller.store import bulk
from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import in_parts, upsert
from controller.store.traffic import interface_ids
from inventory.errors import StaleVersion
from inventory.slotday import DAY_MS, SlotDay, decode, encode


@dataclass(frozen=True, slots=True)
class KeptDay:
    """A slot-day with the revision it was read at; 0 for one that is not kept yet."""

    interface_id: int
    revision: int
    closed: bool
    """Whether figures were made from some revision of it."""
    day: SlotDay


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """The same, packed as it is kept."""

    interface_id: int
    start_ms: int
    revision: int
    closed: bool
    slots: bytes

    @classmethod
    def of(cls, kept: KeptDay) -> KeptBlob:
        """A day packed."""
        return cls(kept.interface_id, kept.day.start_ms, kept.revision, kept.closed, encode(kept.day))

    def opened(self) -> KeptDay:
        """The day unpacked. Raises ValueError for a format that this version does not know."""
        return KeptDay(self.interface_id, self.revision, self.closed, decode(self.start_ms, self.slots))


@dataclass(frozen=True, slots=True)
class ChangedDay:
    """A slot-day whose figures are missing or stale."""

    interface_id: int
    entry_id: int
    name: str
    start_ms: int
    """UTC midnight."""
    revision: int
    again: bool
    """Whether its figures are to be made again although its slots are the same: what it is judged by has changed."""


async def days_at(tx: Tx, interface_id: int, starts: Iterable[int]) -> dict[int, KeptDay]:
    """The slot-days of these UTC midnights; an empty one of revision 0 where none is kept."""
    found = await days_of(tx, [(interface_id, start_ms) for start_ms in starts])
    return {start_ms: kept for (_, start_ms), kept in found.items()}


async def days_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], KeptDay]:
    """Slot-days by interface and UTC midnight; an empty one of revision 0 where none is kept."""
    found = {(one, start_ms): KeptDay(one, 0, False, SlotDay.empty(start_ms)) for one, start_ms in wanted}
    for key, kept in (await blobs_of(tx, found.keys())).items():
        found[key] = kept.opened()
    return found


async def blobs_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], KeptBlob]:
    """Slot-days as they are kept, by interface and UTC midnight; those that are not kept are absent."""
    c = t.slot_days.c
    found: dict[tuple[int, int], KeptBlob] = {}
    by_start: dict[int, list[int]] = {}
    for one, start_ms in wanted:
        by_start.setdefault(start_ms, []).append(one)
    for start_ms, interfaces in by_start.items():
        for some in in_parts(interfaces):
            rows = await tx.execute(
                select(c.interface_id, c.revision, c.closed_revision, c.slots).where(
                    c.start_ms == start_ms, c.interface_id.in_(some)
                )
            )
            for number, revision, closed_revision, slots in rows:
                found[number, start_ms] = KeptBlob(number, start_ms, revision, closed_revision != 0, slots)
    return found


async def revisions_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Revisions of slot-days by interface and UTC midnight; 0 where none is kept."""
    c = t.slot_days.c
    found = dict.fromkeys(wanted, 0)
    for some in in_parts({number for number, _ in wanted}):
        within = c.start_ms.between(min(at for _, at in wanted), max(at for _, at in wanted))
        rows = await tx.execute(select(c.interface_id, c.start_ms, c.revision).where(c.interface_id.in_(some), within))
        found.update({(number, at): revision for number, at, revision in rows if (number, at) in found})
    return found


async def days_between(tx: Tx, interface_id: int, start_ms: int, end_ms: int) -> dict[int, KeptDay]:
    """Slot-days that overlap [start_ms, end_ms); days that are not kept are absent."""
    c = t.slot_days.c
    within = and_(c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    starts = (await tx.execute(select(c.start_ms).where(c.interface_id == interface_id, within))).scalars()
    return await days_at(tx, interface_id, list(starts))


async def first_day(tx: Tx, interface_id: int) -> int | None:
    """UTC midnight of an interface's oldest slot-day."""
    c = t.slot_days.c
    found: int | None = await tx.scalar(select(func.min(c.start_ms)).where(c.interface_id == interface_id))
    return found


async def newest_revision_ms(tx: Tx, interface_id: int, start_ms: int, end_ms: int) -> int | None:
    """When the slots of [start_ms, end_ms) changed last."""
    c = t.slot_days.c
    within = and_(c.interface_id == interface_id, c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    found: int | None = await tx.scalar(select(func.max(c.updated_ms)).where(within))
    return found


_CHANGE_SLOT_DAY: Final = (
    "UPDATE @slot_days SET revision = ?, slots = ?, updated_ms = ? "
    "WHERE interface_id = ? AND start_ms = ? AND revision = ?"
)
_FIRST_SLOT_DAY: Final = (
    "INSERT INTO @slot_days (interface_id, start_ms, revision, closed_revision, slots, updated_ms) "
    "VALUES (?, ?, 1, 0, ?, ?) ON CONFLICT DO NOTHING"
)


async def save(tx: Tx, changed: Sequence[KeptBlob], now_ms: int) -> None:
    """Keep changed slot-days as their next revisions; old ones go into the history if figures rest on them.

    Raises StaleVersion if another node has changed one since it was read: read again and add again.
    """
    c = t.slot_days.c
    for kept in changed:
        if kept.closed:
            key = and_(c.interface_id == kept.interface_id, c.start_ms == kept.start_ms)
            old = select(c.interface_id, c.start_ms, c.revision, c.slots, literal(now_ms, BigInteger)).where(key)
            names = ["interface_id", "start_ms", "revision", "slots", "replaced_ms"]
            await tx.execute(upsert(tx, t.slot_day_history).from_select(names, old).on_conflict_do_nothing())
    again = [
        (kept.revision + 1, kept.slots, now_ms, kept.interface_id, kept.start_ms, kept.revision)
        for kept in changed
        if kept.revision
    ]
    if await bulk.execute(tx, _CHANGE_SLOT_DAY, again) != len(again):
        raise StaleVersion("another node changed a slot-day", next_step="Read it again.")
    first = [(kept.interface_id, kept.start_ms, kept.slots, now_ms) for kept in changed if not kept.revision]
    if await bulk.execute(tx, _FIRST_SLOT_DAY, first) != len(first):
        raise StaleVersion("another node made a slot-day", next_step="Read it again.")


async def changed_days(tx: Tx, until_ms: int) -> list[ChangedDay]:
    """Slot-days that begin at `until_ms` or earlier and whose figures are missing or stale, by interface and day."""
    c, i = t.slot_days.c, t.interfaces.c
    rows = await tx.execute(
        select(c.interface_id, i.entry_id, i.name, c.start_ms, c.revision, c.closed_revision)
        .join(t.interfaces, i.id == c.interface_id)
        .where(c.revision != c.closed_revision, c.start_ms <= until_ms)
    )
    found = [
        ChangedDay(row.interface_id, row.entry_id, row.name, row.start_ms, row.revision, row.closed_revision < 0)
        for row in rows
    ]
    # Not by the database: for the order it would go through all days of all interfaces.
    return sorted(found, key=lambda day: (day.interface_id, day.start_ms))


async def reopen(tx: Tx, names: Iterable[tuple[int, str]] | None, start_ms: int, end_ms: int) -> None:
    """Have figures of [start_ms, end_ms) made again, of these interfaces or (None) of all: the same slots are judged
    by another capacity, or without a maintenance window. No new revision comes of it.
    """
    c = t.slot_days.c
    within = and_(c.closed_revision > 0, c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    if names is not None:
        ids = await interface_ids(tx, names)
        within = and_(within, c.interface_id.in_(ids.values()))
    await tx.execute(update(t.slot_days).where(within).values(closed_revision=-c.closed_revision))


async def mark_closed(tx: Tx, days: Iterable[tuple[int, int, int]]) -> None:
    """Figures have been made from these (interface, UTC midnight, revision)."""
    c = t.slot_days.c
    for interface_id, start_ms, revision in days:
        await tx.execute(
            update(t.slot_days)
            .where(c.interface_id == interface_id, c.start_ms == start_ms)
            .values(closed_revision=revision)
        )
