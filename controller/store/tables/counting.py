"""Where counters are read and what came of it, what links are made of, and when levels do not count."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number
from controller.store.tables.inventory import reference


def _adapter() -> Column[int]:
    return Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False)


counter_agents: Final = Table(
    "counter_agents",
    metadata,
    _adapter(),
    base.text("protocol"),
    base.text("host"),
    number("port"),
    base.text("username"),
    base.text("auth", nullable=True),
    base.text("privacy", nullable=True),
    # SHA-256 of the certificate that a REST agent must show.
    base.text("fingerprint", nullable=True),
    Column("secrets_sealed", LargeBinary, nullable=False),
    ms("changed_ms"),
    number("version"),
    CheckConstraint("protocol IN ('snmp-v2c', 'snmp-v3', 'fortios-rest')", name="protocol"),
)

counter_sources: Final = Table(
    "counter_sources",
    metadata,
    _adapter(),
    base.text("state"),
    base.text("reason"),
    ms("since_ms"),
    ms("asked_ms"),
    ms("answered_ms", nullable=True),
    number("round_trip_ms", nullable=True),
    number("interfaces"),
)

device_interfaces: Final = Table(
    "device_interfaces",
    metadata,
    _adapter(),
    Column("name", Text, primary_key=True),
    number("ifindex", nullable=True),
    base.text("alias"),
    Column("speed_bps", BigInteger, nullable=True),
    number("up", nullable=True),
    number("half_duplex", nullable=True),
    ms("first_ms"),
    ms("seen_ms"),
    # Since when the agent does not name it any more.
    ms("gone_ms", nullable=True),
)

link_members: Final = Table(
    "link_members",
    metadata,
    id_column(),
    reference("link_id", "links"),
    reference("entry_id", "entries"),
    base.text("interface"),
    Column("port_speed_bps", BigInteger, nullable=True),
    number("ifindex", nullable=True),
    Index("ix_link_members_link_id", "link_id"),
    Index("uq_link_members_entry_id_interface", "entry_id", "interface", unique=True),
    **NEVER_REUSED,
)

maintenance_windows: Final = Table(
    "maintenance_windows",
    metadata,
    id_column(),
    # None: the whole fleet.
    reference("entry_id", "entries", nullable=True),
    base.text("kind"),
    ms("start_ms"),
    ms("end_ms"),
    # Minutes of the local day, for a window that comes back every day between start and end.
    number("daily_from_min", nullable=True),
    number("daily_to_min", nullable=True),
    base.text("reason"),
    base.text("actor"),
    ms("created_ms"),
    ms("cancelled_ms", nullable=True),
    number("version"),
    # Of an interruption of the service (SMF-20): planned or fault, the day of its notice, 1 for an emergency.
    base.text("work", nullable=True),
    day("notified", nullable=True),
    number("emergency", nullable=True),
    Index("ix_maintenance_windows_entry_id", "entry_id"),
    CheckConstraint("kind IN ('maintenance', 'bulk')", name="kind"),
    **NEVER_REUSED,
)

link_alarms: Final = Table(
    "link_alarms",
    metadata,
    Column("link_id", Integer, ForeignKey("links.id"), primary_key=True, autoincrement=False),
    Column("direction", Text, primary_key=True),
    ms("since_ms"),
    ms("cleared_ms", nullable=True),
    base.text("evidence"),
)

turns: Final = Table(
    "turns",
    metadata,
    Column("name", Text, primary_key=True),
    base.text("node"),
    ms("until_ms"),
)
"""Work that one node of several does: whose turn it is, and until when."""
