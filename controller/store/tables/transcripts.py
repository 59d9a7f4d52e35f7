"""What was typed to adapters and what they said, sealed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms
from controller.store.tables.inventory import reference

transcripts: Final = Table(
    "transcripts",
    metadata,
    id_column(),
    reference("push_id", "pushes", nullable=True),
    reference("operation_id", "operations", nullable=True),
    reference("adapter_id", "adapters"),
    reference("entry_id", "entries"),
    base.text("state"),
    ms("at_ms"),
    # NULL for an operation: its words stand with its result.
    Column("words_sealed", LargeBinary, nullable=True),
    Index("ix_transcripts_push_id", "push_id"),
    Index("uq_transcripts_operation_id", "operation_id", unique=True),
    Index("ix_transcripts_adapter_id", "adapter_id"),
    Index("ix_transcripts_entry_id", "entry_id"),
    CheckConstraint("(push_id IS NULL) <> (operation_id IS NULL)", name="of_one"),
    CheckConstraint("(push_id IS NULL) = (words_sealed IS NULL)", name="words"),
    **NEVER_REUSED,
)
