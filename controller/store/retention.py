"""How long traffic is kept: readings, slot-days, hours and days of links (metering specification §3.3)."""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import and_, delete, select, update

from controller.store import traffic_tables as t
from controller.store.database import Tx
from inventory.periods import day_of
from inventory.slotday import DAY_MS

READINGS_KEPT_MS: Final = 48 * 3_600_000
SLOT_DAYS_KEPT_MS: Final = 400 * DAY_MS
HOURS_KEPT_MS: Final = 3 * 366 * DAY_MS
DAYS_KEPT_MS: Final = 3_653 * DAY_MS


async def prune_readings(tx: Tx, now_ms: int) -> None:
    """Forget readings older than 48 h, but never an interface's last one: the next pair begins there."""
    c, newer = t.readings.c, t.readings.alias()
    has_newer = select(newer.c.t_ms).where(newer.c.interface_id == c.interface_id, newer.c.t_ms > c.t_ms).exists()
    await tx.execute(delete(t.readings).where(c.t_ms < now_ms - READINGS_KEPT_MS, has_newer))


async def prune_slot_days(tx: Tx, now_ms: int) -> None:
    """Forget slot-days older than 400 days, hours older than 3 years, days older than 10 (§3.3). Months stay."""
    await tx.execute(delete(t.link_falls).where(t.link_falls.c.t_ms < now_ms - SLOT_DAYS_KEPT_MS))
    for table in (t.slot_day_history, t.slot_days):
        await tx.execute(delete(table).where(table.c.start_ms < now_ms - SLOT_DAYS_KEPT_MS))
    d = t.link_days.c
    old = and_(d.day < _utc_day(now_ms - HOURS_KEPT_MS), d.hours.is_not(None))
    await tx.execute(update(t.link_days).where(old).values(hours=None))
    await tx.execute(delete(t.link_days).where(d.day < _utc_day(now_ms - DAYS_KEPT_MS)))


def forgotten(start_ms: int, now_ms: int) -> bool:
    """Whether slots from an instant on are too old to be kept whole: what is made of the rest would be a part only."""
    return start_ms // DAY_MS * DAY_MS < now_ms - SLOT_DAYS_KEPT_MS


def days_forgotten(first: date, now_ms: int) -> bool:
    """Whether figures of days from `first` on are too old to be kept."""
    return first.isoformat() < _utc_day(now_ms - DAYS_KEPT_MS)


def _utc_day(t_ms: int) -> str:
    return day_of(max(0, t_ms), "UTC").isoformat()
