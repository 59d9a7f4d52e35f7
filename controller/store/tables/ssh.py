"""The last contact with adapters that are reached over SSH."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, Table

from controller.store.tables import base
from controller.store.tables.base import metadata, ms

ssh_contacts: Final = Table(
    "ssh_contacts",
    metadata,
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    base.text("stage"),
    ms("stage_ms"),
    ms("last_seen_ms", nullable=True),
    base.text("proven_serial", nullable=True),
    ms("proven_ms", nullable=True),
    base.text("firmware", nullable=True),
    base.text("refusal", nullable=True),
    base.text("quarantine", nullable=True),
    ms("quarantine_ms", nullable=True),
    # While the credential on record is the one that was refused.
    ms("credential_refused_ms", nullable=True),
)
