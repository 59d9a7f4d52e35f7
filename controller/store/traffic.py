"""The traffic database: readings for 48 h, slot-days, day figures. Idempotent throughout."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    inspect,
    literal,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn

from controller.store import bulk
from controller.store import traffic_tables as t
from controller.store.database import Database, Tx
from controller.store.rows import in_parts
from controller.store.tables.base import to_json
from inventory.congestion import DayFigures, Level
from inventory.counters import CounterBits
from inventory.errors import Conflict, StaleVersion
from inventory.linkdays import Hour, LinkDay
from inventory.links import CapacityKind, Direction, Governing
from inventory.periods import day_of
from inventory.slotday import DAY_MS, SlotDay, decode, encode

READINGS_KEPT_MS: Final = 48 * 3_600_000
SLOT_DAYS_KEPT_MS: Final = 400 * DAY_MS
HOURS_KEPT_MS: Final = 3 * 366 * DAY_MS
DAYS_KEPT_MS: Final = 3_653 * DAY_MS
NAMES_AT_ONCE: Final = 5_000
_SIGN: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Kept:
    """A reading of both directions as it is kept. With `rates`, the octets are per second, not counts."""

    t_ms: int
    in_octets: int
    out_octets: int
    source: str
    rates: bool = False
    counter_bits: CounterBits = 64
    uptime_cs: int | None = None
    discontinuity: int | None = None
    restarted_at_ms: int | None = None
    speed_bps: int | None = None
    adapter_id: int | None = None
    clock_stepped: bool = False
    """Whether the controller's wall clock stepped since the reading before."""
    elapsed_ms: int | None = None
    """After such a step: the true time since that reading, by the monotonic clock."""
    follows_ms: int | None = None
    """After such a step: when that reading was, by the clock of that time."""
    shadowed: bool = False
    """Whether the clock went back, and has not reached again where it was: this time comes a second time."""
    up: bool | None = None
    """What the device said of the link's state."""
    out_packets: int | None = None
    out_drops: int | None = None
    in_errors: int | None = None
    out_errors: int | None = None
    """Frames with an error, received and sent."""
    last_change: int | None = None
    """When the interface came to its state, by the device's uptime; another value means that it fell meanwhile."""
    in_packets: int | None = None


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


class TrafficDatabase:
    """Transactions on the traffic database, which makes its own tables when it is opened."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema = None if database.dialect == "sqlite" else t.SCHEMA

    @property
    def shared(self) -> bool:
        """Whether other nodes may have it open too."""
        return self._database.dialect != "sqlite"

    @classmethod
    async def open(cls, url: str) -> TrafficDatabase:
        """Open `sqlite:///path` or `postgresql://…`. Raises Conflict for tables of another version."""
        traffic = cls(await Database.open(url, require_head=False))
        try:
            await traffic._prepare()
        except BaseException:
            await traffic.close()
            raise
        return traffic

    async def _prepare(self) -> None:
        async with self.write() as tx:
            if self._schema:
                # One node at a time: two that start together would both try to create.
                await tx.execute(select(func.pg_advisory_xact_lock(4_619_020)))
                await tx.execute(text(f"CREATE SCHEMA IF NOT EXISTS {self._schema}"))
            await tx.run_sync(t.metadata.create_all)
            found = (await tx.execute(select(t.layout.c.version))).scalar()
            if found is None:
                await tx.execute(t.layout.insert().values(version=t.VERSION))
            elif found in t.GROWN:
                await tx.run_sync(_grow)
                await tx.execute(update(t.layout).values(version=t.VERSION))
            elif found != t.VERSION:
                raise Conflict(
                    f"the traffic database has layout {found}, and this version needs {t.VERSION}",
                    next_step="Start the version that made it, or name another traffic database.",
                    facts={"found": found, "wanted": t.VERSION},
                )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """See `Database.write`."""
        async with self._database.write() as tx:
            await tx.execution_options(schema_translate_map={t.SCHEMA: self._schema})
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """See `Database.read`."""
        async with self._database.read() as tx:
            await tx.execution_options(schema_translate_map={t.SCHEMA: self._schema})
            yield tx

    async def close(self) -> None:
        """See `Database.close`."""
        await self._database.close()


def _grow(connection: Connection) -> None:
    """Add the columns and indexes that older layouts lack; all of the columns may be null or have a default."""
    for table in t.metadata.sorted_tables:
        schema = table.schema if connection.dialect.name != "sqlite" else None
        known = {column["name"] for column in inspect(connection).get_columns(table.name, schema=schema)}
        for column in table.columns:
            if column.name not in known:
                name = f"{schema}.{table.name}" if schema else table.name
                made = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {made}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def upsert(tx: Tx, table: Any) -> Any:
    """An insert of the connection's dialect, which can say what to do on a conflict."""
    return (sqlite if tx.dialect.name == "sqlite" else postgresql).insert(table)


async def interface_ids(tx: Tx, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Ids of the interfaces (entry, name) that are known."""
    c = t.interfaces.c
    found: dict[tuple[int, str], int] = {}
    for part in portions(names):
        rows = await tx.execute(select(c.entry_id, c.name, c.id).where(tuple_(c.entry_id, c.name).in_(part)))
        found.update({(row.entry_id, row.name): row.id for row in rows})
    return found


def portions(names: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Names in portions that one statement can hold: databases bound the number of its parameters."""
    rest = iter(names)
    while part := list(islice(rest, NAMES_AT_ONCE)):
        yield part


async def add_interfaces(tx: Tx, names: Iterable[tuple[int, str]]) -> None:
    """Make the interfaces that are missing."""
    rows = [{"entry_id": entry_id, "name": name} for entry_id, name in names]
    if rows:
        await tx.execute(upsert(tx, t.interfaces).on_conflict_do_nothing(), rows)


async def readings_around(tx: Tx, interface_id: int, first_ms: int, last_ms: int) -> list[Kept]:
    """Kept readings of [first_ms, last_ms], the two before and the two after, by time.

    Two, because the outlier rule looks at three readings in a row.
    """
    c = t.readings.c
    mine = c.interface_id == interface_id
    before = select(c.t_ms).where(mine, c.t_ms < first_ms).order_by(c.t_ms.desc()).limit(2)
    after = select(c.t_ms).where(mine, c.t_ms > last_ms).order_by(c.t_ms).limit(2)
    wanted = or_(c.t_ms.in_(before), c.t_ms.in_(after), and_(c.t_ms >= first_ms, c.t_ms <= last_ms))
    rows = await tx.execute(select(t.readings).where(mine, wanted).order_by(c.t_ms))
    return [_kept(row) for row in rows]


async def newest_readings(tx: Tx, interface_ids: Collection[int]) -> dict[int, list[Kept]]:
    """The two newest kept readings of some interfaces, by time; those that have none are absent."""
    found: dict[int, list[Kept]] = {}
    newest = _newest_one_by_one() if tx.dialect.name != "sqlite" else _newest_by_second()
    for some in in_parts(interface_ids):
        for row in await tx.execute(newest.where(t.interfaces.c.id.in_(some))):
            found.setdefault(row.interface_id, []).append(_kept(row))
    return found


def _newest_one_by_one() -> Select[Any]:
    """Two steps back in the index for each interface; SQLite has no such word, PostgreSQL nothing quicker."""
    readings, i = t.readings, t.interfaces.c
    mine = select(readings).where(readings.c.interface_id == i.id).order_by(readings.c.t_ms.desc()).limit(2).lateral()
    return select(mine).select_from(t.interfaces.join(mine, true())).order_by(mine.c.interface_id, mine.c.t_ms)


def _newest_by_second() -> Select[Any]:
    """From the second newest on; PostgreSQL would look for it once for each reading of 48 hours."""
    c, i = t.readings.c, t.interfaces.c
    newest = t.readings.alias()
    second = (
        select(newest.c.t_ms)
        .where(newest.c.interface_id == i.id)
        .order_by(newest.c.t_ms.desc())
        .offset(1)
        .limit(1)
        .correlate(t.interfaces)
        .scalar_subquery()
    )
    return (
        select(t.readings)
        .select_from(t.interfaces)
        .join(t.readings, and_(c.interface_id == i.id, c.t_ms >= func.coalesce(second, 0)))
        .order_by(c.interface_id, c.t_ms)
    )


async def readings_at(tx: Tx, interface_id: int, instants: Collection[int]) -> list[Kept]:
    """Kept readings of these very instants."""
    c = t.readings.c
    rows = await tx.execute(select(t.readings).where(c.interface_id == interface_id, c.t_ms.in_(list(instants))))
    return [_kept(row) for row in rows]


_KEEP_READING: Final = (
    "INSERT INTO @readings (interface_id, t_ms, in_octets, out_octets, rates, counter_bits, uptime_cs, discontinuity, "
    "restarted_at_ms, speed_bps, adapter_id, clock_stepped, source, up, out_packets, out_drops, elapsed_ms, "
    "follows_ms, in_errors, out_errors, last_change, in_packets) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def reading_row(interface_id: int, r: Kept) -> tuple[object, ...]:
    """A reading as `keep_readings` takes it."""
    return (
        interface_id,
        r.t_ms,
        _signed(r.in_octets),
        _signed(r.out_octets),
        int(r.rates),
        r.counter_bits,
        r.uptime_cs,
        r.discontinuity,
        r.restarted_at_ms,
        r.speed_bps,
        r.adapter_id,
        2 if r.shadowed else int(r.clock_stepped),
        r.source,
        None if r.up is None else int(r.up),
        None if r.out_packets is None else _signed(r.out_packets),
        None if r.out_drops is None else _signed(r.out_drops),
        r.elapsed_ms,
        r.follows_ms,
        None if r.in_errors is None else _signed(r.in_errors),
        None if r.out_errors is None else _signed(r.out_errors),
        r.last_change,
        None if r.in_packets is None else _signed(r.in_packets),
    )


async def keep_readings(tx: Tx, rows: Sequence[tuple[object, ...]]) -> None:
    """Keep readings, as `reading_row` makes them; of one instant the first copy stays."""
    await bulk.execute(tx, _KEEP_READING, rows)


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


async def prune_readings(tx: Tx, now_ms: int) -> None:
    """Forget readings older than 48 h, but never an interface's last one: the next pair begins there."""
    c, newer = t.readings.c, t.readings.alias()
    has_newer = select(newer.c.t_ms).where(newer.c.interface_id == c.interface_id, newer.c.t_ms > c.t_ms).exists()
    await tx.execute(delete(t.readings).where(c.t_ms < now_ms - READINGS_KEPT_MS, has_newer))


async def slot_days(tx: Tx, interface_id: int, starts: Iterable[int]) -> dict[int, KeptDay]:
    """The slot-days of these UTC midnights; an empty one of revision 0 where none is kept."""
    found = await slot_days_of(tx, [(interface_id, start_ms) for start_ms in starts])
    return {start_ms: kept for (_, start_ms), kept in found.items()}


async def slot_days_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], KeptDay]:
    """Slot-days by interface and UTC midnight; an empty one of revision 0 where none is kept."""
    found = {(one, start_ms): KeptDay(one, 0, False, SlotDay.empty(start_ms)) for one, start_ms in wanted}
    for key, kept in (await slot_blobs_of(tx, found.keys())).items():
        found[key] = kept.opened()
    return found


async def slot_blobs_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], KeptBlob]:
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


async def slot_revisions_of(tx: Tx, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Revisions of slot-days by interface and UTC midnight; 0 where none is kept."""
    c = t.slot_days.c
    found = dict.fromkeys(wanted, 0)
    for some in in_parts({number for number, _ in wanted}):
        within = c.start_ms.between(min(at for _, at in wanted), max(at for _, at in wanted))
        rows = await tx.execute(select(c.interface_id, c.start_ms, c.revision).where(c.interface_id.in_(some), within))
        found.update({(number, at): revision for number, at, revision in rows if (number, at) in found})
    return found


async def slot_days_between(tx: Tx, interface_id: int, start_ms: int, end_ms: int) -> dict[int, KeptDay]:
    """Slot-days that overlap [start_ms, end_ms); days that are not kept are absent."""
    c = t.slot_days.c
    within = and_(c.start_ms > start_ms - DAY_MS, c.start_ms < end_ms)
    starts = (await tx.execute(select(c.start_ms).where(c.interface_id == interface_id, within))).scalars()
    return await slot_days(tx, interface_id, list(starts))


async def first_slot_day(tx: Tx, interface_id: int) -> int | None:
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


async def save_slot_days(tx: Tx, changed: Sequence[KeptBlob], now_ms: int) -> None:
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


async def put_link_day(tx: Tx, made_ms: int, day: LinkDay) -> None:
    """Write the figures of one link, direction and day; made anew as often as its slots change."""
    values = {
        "valid": int(day.figures.valid),
        "busy_start_slot": day.figures.busy_start_slot,
        "busy_util": day.figures.busy_util,
        "hot90": day.figures.hot90,
        "hot95": day.figures.hot95,
        "unknown_slots": day.figures.unknown_slots,
        "high_class": int(day.high_class),
        "capacity_kind": day.capacity.kind.value if day.capacity else None,
        "nominal_bps": day.capacity.nominal_bps if day.capacity else None,
        "capacity_since": day.capacity.since.isoformat() if day.capacity else None,
        "octets_low": day.octets_low,
        "octets_high": day.octets_high,
        "worst": to_json(day.worst),
        "covered_ms": day.covered_ms,
        "slots": day.slots,
        "above": to_json(day.above),
        "origins": to_json(day.origins),
        "rule_version": day.rule_version,
        "made_ms": made_ms,
        "drop_slots": day.figures.drop_slots,
        "maintenance_slots": day.maintenance_slots,
        "busy_variance": day.busy_variance,
        "busy_scale_s": day.busy_scale_s,
        "error_slots": day.error_slots,
        "hours": to_json([hour.packed for hour in day.hours]),
        "nominal_pps": day.capacity.nominal_pps if day.capacity else None,
        "packet_util": day.figures.packet_util,
        "packet_hot90": day.figures.packet_hot90,
        "packet_hot95": day.figures.packet_hot95,
    }
    key = {"link_id": day.link_id, "direction": day.direction.value, "day": day.day.isoformat()}
    insert = upsert(tx, t.link_days).values(**key, **values)
    await tx.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))


async def link_days(tx: Tx, link_id: int, first: date, after: date) -> list[LinkDay]:
    """Figures of the local days [first, after), by day and direction."""
    c = t.link_days.c
    within = and_(c.link_id == link_id, c.day >= first.isoformat(), c.day < after.isoformat())
    found = await tx.execute(select(t.link_days).where(within).order_by(c.day, c.direction))
    return [_link_day(row) for row in found]


def _link_day(row: Row[Any]) -> LinkDay:
    capacity = None
    if row.capacity_kind is not None:
        since = date.fromisoformat(row.capacity_since)
        capacity = Governing(CapacityKind(row.capacity_kind), row.nominal_bps, since, row.nominal_pps)
    return LinkDay(
        link_id=row.link_id,
        direction=Direction(row.direction),
        day=date.fromisoformat(row.day),
        figures=DayFigures(
            valid=bool(row.valid),
            busy_start_slot=row.busy_start_slot,
            busy_util=row.busy_util,
            hot90=row.hot90,
            hot95=row.hot95,
            unknown_slots=row.unknown_slots,
            drop_slots=row.drop_slots,
            packet_util=row.packet_util,
            packet_hot90=row.packet_hot90,
            packet_hot95=row.packet_hot95,
        ),
        high_class=Level(row.high_class),
        capacity=capacity,
        octets_low=row.octets_low,
        octets_high=row.octets_high,
        worst=tuple((slot, octets) for slot, octets in json.loads(row.worst)),
        covered_ms=row.covered_ms,
        slots=row.slots,
        above=tuple(json.loads(row.above)),
        origins=tuple(json.loads(row.origins)),
        rule_version=row.rule_version,
        maintenance_slots=row.maintenance_slots,
        busy_variance=row.busy_variance,
        busy_scale_s=row.busy_scale_s,
        error_slots=row.error_slots,
        hours=tuple(Hour(*packed) for packed in json.loads(row.hours or "[]")),
    )


def _signed(octets: int) -> int:
    return octets - 2 * _SIGN if octets >= _SIGN else octets


def _unsigned(octets: int) -> int:
    return octets + 2 * _SIGN if octets < 0 else octets


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        t_ms=row.t_ms,
        in_octets=_unsigned(row.in_octets),
        out_octets=_unsigned(row.out_octets),
        source=row.source,
        rates=bool(row.rates),
        counter_bits=32 if row.counter_bits == 32 else 64,
        uptime_cs=row.uptime_cs,
        discontinuity=row.discontinuity,
        restarted_at_ms=row.restarted_at_ms,
        speed_bps=row.speed_bps,
        adapter_id=row.adapter_id,
        clock_stepped=bool(row.clock_stepped),
        elapsed_ms=row.elapsed_ms,
        follows_ms=row.follows_ms,
        shadowed=row.clock_stepped == 2,
        up=None if row.up is None else bool(row.up),
        out_packets=None if row.out_packets is None else _unsigned(row.out_packets),
        out_drops=None if row.out_drops is None else _unsigned(row.out_drops),
        in_errors=None if row.in_errors is None else _unsigned(row.in_errors),
        out_errors=None if row.out_errors is None else _unsigned(row.out_errors),
        last_change=row.last_change,
        in_packets=None if row.in_packets is None else _unsigned(row.in_packets),
    )
