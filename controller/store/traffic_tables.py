"""Tables of the traffic database, which is apart from the main one (architecture D2, metering specification §3.3).

On PostgreSQL they live in a schema `traffic` of their own, so that both databases may be the same server's.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

SCHEMA: Final = "traffic"
VERSION: Final = 7
"""Raised with every change of these tables or of the slot-day format."""
GROWN: Final = frozenset({1, 2, 3, 4, 5, 6})
"""Older layouts that lack nothing but whole tables, columns and indexes, which are made when the database is opened."""

metadata: Final = MetaData(schema=SCHEMA)


def _interface() -> Column[int]:
    return Column("interface_id", Integer, ForeignKey(f"{SCHEMA}.interfaces.id"), primary_key=True, autoincrement=False)


_STALE: Final = text("revision != closed_revision")

layout: Final = Table("layout", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

interfaces: Final = Table(
    "interfaces",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("entry_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Index("uq_interfaces_entry_id_name", "entry_id", "name", unique=True),
    sqlite_autoincrement=True,
)

readings: Final = Table(
    "readings",
    metadata,
    _interface(),
    Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
    # 64-bit counters as signed numbers: neither database has unsigned ones.
    Column("in_octets", BigInteger, nullable=False),
    Column("out_octets", BigInteger, nullable=False),
    Column("rates", Integer, nullable=False),
    Column("counter_bits", Integer, nullable=False),
    Column("uptime_cs", BigInteger, nullable=True),
    Column("discontinuity", BigInteger, nullable=True),
    Column("restarted_at_ms", BigInteger, nullable=True),
    Column("speed_bps", BigInteger, nullable=True),
    Column("adapter_id", Integer, nullable=True),
    # 1: the wall clock stepped since the reading before; 2: it went back, and is not yet where it was.
    Column("clock_stepped", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("up", Integer, nullable=True),
    Column("out_packets", BigInteger, nullable=True),
    Column("out_drops", BigInteger, nullable=True),
    Column("in_errors", BigInteger, nullable=True),
    Column("out_errors", BigInteger, nullable=True),
    # After a step: true time since the reading before, by the monotonic clock, and when that reading was.
    Column("elapsed_ms", BigInteger, nullable=True),
    Column("follows_ms", BigInteger, nullable=True),
    Column("last_change", BigInteger, nullable=True),
    Column("in_packets", BigInteger, nullable=True),
    Index("ix_readings_t_ms", "t_ms"),
)

# Readings by which an interface that was up had gone down since the one before.
link_falls: Final = Table(
    "link_falls",
    metadata,
    _interface(),
    Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_link_falls_t_ms", "t_ms"),
)

beats: Final = Table(
    "beats",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    # One run of one node: monotonic instants compare within it only.
    Column("run", Text, nullable=False),
    Column("kept_ms", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("packed", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

heard: Final = Table(
    "heard",
    metadata,
    Column("adapter_id", Integer, primary_key=True, autoincrement=False),
    # 64 bits of a digest of the statistics: the same whichever receiver they were sent to.
    Column("content", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_heard_at_ms", "at_ms"),
)

# What was counted an hour ago and longer: the marks of many heartbeats of an adapter in one row, kept for a day.
heard_before: Final = Table(
    "heard_before",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("adapter_id", Integer, nullable=False),
    # All of them came before.
    Column("at_ms", BigInteger, nullable=False),
    Column("marks", LargeBinary, nullable=False),
    Index("ix_heard_before_adapter_id", "adapter_id", "at_ms"),
    Index("ix_heard_before_at_ms", "at_ms"),
    sqlite_autoincrement=True,
)

statistics: Final = Table(
    "statistics",
    metadata,
    Column("adapter_id", Integer, primary_key=True, autoincrement=False),
    # A ring: the number of the period modulo the number of periods that are kept.
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("entry_id", Integer, nullable=True),
    Column("content", LargeBinary, nullable=False),
)

busy_processors: Final = Table(
    "busy_processors",
    metadata,
    Column("adapter_id", Integer, primary_key=True, autoincrement=False),
    # Number of the five minutes since the epoch; there is a row only where a heartbeat told a busy processor.
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Index("ix_busy_processors_slot", "slot"),
)

slot_days: Final = Table(
    "slot_days",
    metadata,
    _interface(),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    # The revision that the day figures were last made from; another one means they are stale.
    Column("closed_revision", Integer, nullable=False),
    Column("slots", LargeBinary, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    # 400 days of a fleet are many gigabytes: what changed and what is old must be found without reading them.
    Index("ix_slot_days_start_ms", "start_ms"),
    Index("ix_slot_days_stale", "start_ms", sqlite_where=_STALE, postgresql_where=_STALE),
)

slot_day_history: Final = Table(
    "slot_day_history",
    metadata,
    _interface(),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("slots", LargeBinary, nullable=False),
    Column("replaced_ms", BigInteger, nullable=False),
)

link_days: Final = Table(
    "link_days",
    metadata,
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("direction", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("valid", Integer, nullable=False),
    Column("busy_start_slot", Integer, nullable=True),
    Column("busy_util", Float, nullable=True),
    Column("hot90", Integer, nullable=False),
    Column("hot95", Integer, nullable=False),
    Column("unknown_slots", Integer, nullable=False),
    Column("high_class", Integer, nullable=False),
    Column("capacity_kind", Text, nullable=True),
    Column("nominal_bps", BigInteger, nullable=True),
    Column("capacity_since", Text, nullable=True),
    Column("octets_low", BigInteger, nullable=False),
    Column("octets_high", BigInteger, nullable=True),
    Column("worst", Text, nullable=False),
    Column("covered_ms", BigInteger, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("above", Text, nullable=False),
    Column("origins", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("drop_slots", Integer, nullable=False, server_default="0"),
    Column("maintenance_slots", Integer, nullable=False, server_default="0"),
    # Variance of the busy hour's rate and the timescale it was measured at, for the required capacity (§5.2).
    Column("busy_variance", Float, nullable=True),
    Column("busy_scale_s", Integer, nullable=True),
    Column("error_slots", Integer, nullable=False, server_default="0"),
    # Octets low and high, largest slot, covered time, drops and errors by hour; kept for three years.
    Column("hours", Text, nullable=True),
    # Of the device: the published packets per second, and what passed against the share of it that is used.
    Column("nominal_pps", BigInteger, nullable=True),
    Column("packet_util", Float, nullable=True),
    Column("packet_hot90", Integer, nullable=False, server_default="0"),
    Column("packet_hot95", Integer, nullable=False, server_default="0"),
    Index("ix_link_days_day", "day"),
)

link_months: Final = Table(
    "link_months",
    metadata,
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("direction", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("octets_low", BigInteger, nullable=False),
    Column("octets_high", BigInteger, nullable=True),
    Column("p95_low", BigInteger, nullable=False),
    Column("p95_high", BigInteger, nullable=True),
    Column("slots", Integer, nullable=False),
    Column("covered_ms", BigInteger, nullable=False),
    Column("top", Text, nullable=False),
    Column("capacity_kind", Text, nullable=True),
    Column("nominal_bps", BigInteger, nullable=True),
    Column("rule_version", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)

backtests: Final = Table(
    "backtests",
    metadata,
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("direction", Text, primary_key=True),
    # Where the link counts when links of others are told: its contractor, model and line type at that time.
    Column("contractor_id", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("line_type", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)
