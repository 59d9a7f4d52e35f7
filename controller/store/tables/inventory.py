"""Contractors, managements, slots, adapters, placements."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number


def reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    """A foreign key to `target.id`."""
    return Column(name, Integer, ForeignKey(f"{target}.id"), nullable=nullable)


contractors: Final = Table(
    "contractors",
    metadata,
    id_column(),
    base.text("name"),
    ms("created_ms"),
    number("version"),
    **NEVER_REUSED,
)

managements: Final = Table(
    "managements",
    metadata,
    id_column(),
    reference("contractor_id", "contractors"),
    base.text("service"),
    base.text("classes"),
    base.text("name"),
    ms("created_ms"),
    number("version"),
    Index("ix_managements_contractor_id", "contractor_id"),
    CheckConstraint("service IN ('mpc', 'smfsx')", name="service"),
    **NEVER_REUSED,
)

slot_counts: Final = Table(
    "slot_counts",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    base.text("kind"),
    number("slots"),
    # 1: the count that the management was opened with. It is no change, so its day still allows one.
    number("opening"),
    day("valid_from"),
    ms("recorded_ms"),
    base.text("actor"),
    ms("applied_ms", nullable=True),
    ms("blocked_ms", nullable=True),
    # One change per day and kind (MPC-8, SMF-5.1); the index decides races.
    Index(
        "uq_slot_counts_management_id_kind_valid_from_opening",
        "management_id",
        "kind",
        "valid_from",
        "opening",
        unique=True,
    ),
    CheckConstraint("kind IN ('entry', 'standby') AND slots >= 0", name="kind_and_count"),
    **NEVER_REUSED,
)

suspensions: Final = Table(
    "suspensions",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    number("ground"),
    base.text("reason"),
    day("until_day", nullable=True),
    ms("from_ms"),
    ms("to_ms", nullable=True),
    base.text("actor"),
    Index(
        "uq_suspensions_open",
        "management_id",
        unique=True,
        sqlite_where=text("to_ms IS NULL"),
        postgresql_where=text("to_ms IS NULL"),
    ),
    CheckConstraint("ground BETWEEN 1 AND 4", name="ground"),
    **NEVER_REUSED,
)

consents: Final = Table(
    "consents",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    reference("contractor_id", "contractors"),
    base.text("proof"),
    ms("from_ms"),
    ms("to_ms", nullable=True),
    base.text("actor"),
    Index(
        "uq_consents_open",
        "management_id",
        "contractor_id",
        unique=True,
        sqlite_where=text("to_ms IS NULL"),
        postgresql_where=text("to_ms IS NULL"),
    ),
    **NEVER_REUSED,
)

entries: Final = Table(
    "entries",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    base.text("name"),
    base.text("site"),
    base.text("labels"),
    number("generation"),
    number("version"),
    ms("opened_ms"),
    ms("closed_ms", nullable=True),
    Index("ix_entries_management_id", "management_id"),
    **NEVER_REUSED,
)

standbys: Final = Table(
    "standbys",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    ms("opened_ms"),
    ms("closed_ms", nullable=True),
    Index("ix_standbys_management_id", "management_id"),
    **NEVER_REUSED,
)

adapters: Final = Table(
    "adapters",
    metadata,
    id_column(),
    reference("contractor_id", "contractors"),
    base.text("serial_key"),
    base.text("serial_shown"),
    base.text("service"),
    base.text("device_class", nullable=True),
    base.text("model"),
    base.text("hardware"),
    base.text("holding"),
    base.text("path"),
    base.text("distribution_id", nullable=True),
    base.text("life"),
    ms("life_at_ms"),
    ms("registered_ms"),
    number("version"),
    # One serial number is one adapter, across both services and for ever (SMF-1).
    Index("uq_adapters_serial_key", "serial_key", unique=True),
    Index("uq_adapters_distribution_id", "distribution_id", unique=True),
    Index("ix_adapters_contractor_id", "contractor_id"),
    CheckConstraint(
        "(service = 'mpc' AND device_class IS NOT NULL) OR (service = 'smfsx' AND device_class IS NULL)",
        name="class_of_service",
    ),
    CheckConstraint("path IN ('arms', 'ssh')", name="path"),
    **NEVER_REUSED,
)

life_events: Final = Table(
    "life_events",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    base.text("event"),
    base.text("life"),
    base.text("rule"),
    base.text("consequences"),
    day("due_day", nullable=True),
    base.text("alert", nullable=True),
    base.text("actor"),
    ms("at_ms"),
    Index("ix_life_events_adapter_id", "adapter_id"),
    **NEVER_REUSED,
)

serial_notifications: Final = Table(
    "serial_notifications",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    base.text("serial"),
    base.text("actor"),
    ms("at_ms"),
    Index("ix_serial_notifications_adapter_id", "adapter_id"),
    **NEVER_REUSED,
)

endpoints: Final = Table(
    "endpoints",
    metadata,
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    base.text("host"),
    number("port"),
    base.text("username"),
    Column("password_sealed", LargeBinary, nullable=False),
    Column("enable_password_sealed", LargeBinary, nullable=True),
    base.text("host_key", nullable=True),
    ms("host_key_pinned_ms", nullable=True),
    base.text("profile"),
    base.text("transport", nullable=True),
    Column("jump_sealed", LargeBinary, nullable=True),
    Column("rest_token_sealed", LargeBinary, nullable=True),
    Column("rest_port", Integer, nullable=True),
    base.text("rest_certificate", nullable=True),
    base.text("aaa_domain", nullable=True),
)

checklist_items: Final = Table(
    "checklist_items",
    metadata,
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    Column("item", Text, primary_key=True),
    base.text("note"),
    base.text("actor"),
    ms("at_ms"),
)

_OPEN: Final = text("to_ms IS NULL")

placements: Final = Table(
    "placements",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    reference("entry_id", "entries", nullable=True),
    reference("standby_id", "standbys", nullable=True),
    ms("from_ms"),
    ms("to_ms", nullable=True),
    base.text("cause"),
    base.text("end_cause", nullable=True),
    base.text("actor"),
    # At most one open placement per adapter and per slot: these three indexes decide races, not checks.
    Index("uq_placements_open_adapter", "adapter_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("uq_placements_open_entry", "entry_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("uq_placements_open_standby", "standby_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_placements_adapter_id", "adapter_id"),
    Index("ix_placements_entry_id", "entry_id"),
    Index("ix_placements_standby_id", "standby_id"),
    CheckConstraint("(entry_id IS NULL) <> (standby_id IS NULL)", name="one_slot"),
    CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="interval"),
    **NEVER_REUSED,
)

slot_units: Final = Table(
    "slot_units",
    metadata,
    id_column(),
    # A unit that comes with its standby (MPC-1); its "contract line" is that slot.
    reference("standby_id", "standbys"),
    reference("adapter_id", "adapters"),
    day("day"),
    ms("recorded_ms"),
    base.text("actor"),
    # Last day of the slot, when it was given up.
    day("given_up", nullable=True),
    Index("ix_slot_units_standby_id", "standby_id"),
    Index("uq_slot_units_adapter_id", "adapter_id", unique=True),
    **NEVER_REUSED,
)
