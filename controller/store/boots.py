"""Boots of adapters: noted as they happen, written in batches, the latest fifty of each adapter kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update

from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.tables.phonehome import arms_boots
from inventory.boots import Boot

KEPT: Final = 50
"""Boots of one adapter that are kept; older ones are deleted when a new one is written."""
_COLUMNS: Final = tuple(column.name for column in arms_boots.columns if column.name != "id")


# One statement for all adapters that reached a step: a storm of boots brings thousands of steps in a write.
_LATEST: Final = (
    select(func.max(arms_boots.c.id)).where(arms_boots.c.adapter_id == bindparam("of_adapter")).scalar_subquery()
)
_STEP: Final = {
    column: update(arms_boots)
    .where(arms_boots.c.id == _LATEST, arms_boots.c[column].is_(None))
    .values({column: bindparam("reached")})
    for column in _COLUMNS
}
_NEWEST: Final = select(arms_boots.c.id).where(arms_boots.c.adapter_id == bindparam("of_adapter"))
_LAST_KEPT: Final = _NEWEST.order_by(arms_boots.c.id.desc()).limit(1).offset(KEPT - 1).scalar_subquery()
_FORGET: Final = delete(arms_boots).where(
    arms_boots.c.adapter_id == bindparam("of_adapter"), arms_boots.c.id < _LAST_KEPT
)


@dataclass(slots=True)
class Noted:
    """What happened to boots since the last write.

    A step belongs to the latest boot of its adapter, and counts once: a tunnel that is built anew is no new boot.
    """

    new: list[dict[str, Any]] = field(default_factory=list)
    """Rows to be inserted, in their order."""
    steps: dict[tuple[int, str], Any] = field(default_factory=dict)
    """(adapter, column) → value, for boots that are on record already."""
    _latest: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.new or self.steps)

    def begin(self, adapter_id: int, **columns: Any) -> None:
        """A boot begins: its config was pulled."""
        row = {**dict.fromkeys(_COLUMNS), "adapter_id": adapter_id, **columns}
        self.new.append(row)
        self._latest[adapter_id] = row

    def step(self, adapter_id: int, **columns: Any) -> None:
        """The latest boot of the adapter got further."""
        row = self._latest.get(adapter_id)
        for column, value in columns.items():
            if row is None:
                self.steps.setdefault((adapter_id, column), value)
            elif row[column] is None:
                row[column] = value

    def put_before(self, earlier: Noted) -> None:
        """What `earlier` noted comes first: it could not be written."""
        for (adapter_id, column), value in list(self.steps.items()):
            if adapter_id in earlier._latest:
                earlier.step(adapter_id, **{column: value})
                del self.steps[adapter_id, column]
        self.steps = {**self.steps, **earlier.steps}
        self.new = earlier.new + self.new
        self._latest = {**earlier._latest, **self._latest}


async def write(tx: Tx, noted: Noted) -> None:
    """Write what was noted: first how older boots went on, then the new ones; then the oldest beyond fifty go."""
    steps: dict[str, list[dict[str, Any]]] = {}
    for (adapter_id, column), value in noted.steps.items():
        steps.setdefault(column, []).append({"of_adapter": adapter_id, "reached": value})
    for column, reached in steps.items():
        await tx.execute(_STEP[column], reached)
    if not noted.new:
        return
    await tx.execute(insert(arms_boots), noted.new)
    await tx.execute(_FORGET, [{"of_adapter": adapter_id} for adapter_id in {row["adapter_id"] for row in noted.new}])


async def page(tx: Tx, adapter_id: int, *, before: int | None = None, limit: int = 20) -> list[Boot]:
    """The latest boots of an adapter, newest first. The caller has checked the scope."""
    query = select(arms_boots).where(arms_boots.c.adapter_id == adapter_id)
    if before is not None:
        query = query.where(arms_boots.c.id < before)
    return _boots((await tx.execute(query.order_by(arms_boots.c.id.desc()).limit(limit))).mappings())


async def latest(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Boot]:
    """The last boot of each of these adapters. The caller has checked their scope."""
    found: dict[int, Boot] = {}
    for some in in_parts(adapter_ids):
        last = (
            select(func.max(arms_boots.c.id)).where(arms_boots.c.adapter_id.in_(some)).group_by(arms_boots.c.adapter_id)
        )
        rows = (await tx.execute(select(arms_boots).where(arms_boots.c.id.in_(last)))).mappings()
        found.update((boot.adapter_id, boot) for boot in _boots(rows))
    return found


def _boots(rows: Iterable[RowMapping]) -> list[Boot]:
    return [Boot(**row) for row in rows]
