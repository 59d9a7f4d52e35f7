"""The traffic database: its layout, the interfaces it counts, and their readings. Idempotent throughout."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, inspect, or_, select, text, true, tuple_, update
from sqlalchemy.schema import CreateColumn

from controller.store import bulk
from controller.store import traffic_tables as t
from controller.store.database import Database, Tx
from controller.store.rows import in_parts, portions, upsert
from inventory.counters import CounterBits
from inventory.errors import Conflict

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


async def interface_ids(tx: Tx, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Ids of the interfaces (entry, name) that are known."""
    c = t.interfaces.c
    found: dict[tuple[int, str], int] = {}
    for part in portions(names):
        rows = await tx.execute(select(c.entry_id, c.name, c.id).where(tuple_(c.entry_id, c.name).in_(part)))
        found.update({(row.entry_id, row.name): row.id for row in rows})
    return found


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
