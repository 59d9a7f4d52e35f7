"""Incidents: what needs a person, one open row a kind and cause."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, Table, text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms, number

OPEN: Final = text("closed_ms IS NULL")

incidents: Final = Table(
    "incidents",
    metadata,
    id_column(),
    base.text("kind"),
    base.text("cause"),
    base.text("title"),
    base.text("state"),
    ms("opened_ms"),
    ms("last_ms"),
    number("count"),
    # Owners as they were when it was opened: of the thing, and of the place.
    number("thing_contractor_id", nullable=True),
    number("place_contractor_id", nullable=True),
    number("adapter_id", nullable=True),
    number("entry_id", nullable=True),
    number("management_id", nullable=True),
    base.text("facts"),
    ms("acknowledged_ms", nullable=True),
    base.text("acknowledged_by", nullable=True),
    base.text("acknowledged_why", nullable=True),
    ms("closed_ms", nullable=True),
    base.text("closed_by", nullable=True),
    base.text("closed_why", nullable=True),
    number("version"),
    Index("uq_incidents_open", "kind", "cause", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_incidents_adapter_id", "adapter_id"),
    Index("ix_incidents_entry_id", "entry_id"),
    CheckConstraint("state IN ('open', 'acknowledged', 'closed')", name="state"),
    **NEVER_REUSED,
)
