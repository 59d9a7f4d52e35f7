"""API keys, events, audit, idempotency keys."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms, number

api_keys: Final = Table(
    "api_keys",
    metadata,
    id_column(),
    Column("digest", LargeBinary, nullable=False),
    base.text("name"),
    base.text("role"),
    number("contractor_id", nullable=True),
    ms("created_ms"),
    ms("revoked_ms", nullable=True),
    Index("uq_api_keys_digest", "digest", unique=True),
    # The company that the person works for, when work is delegated (SMF-18).
    number("company_id", nullable=True),
    CheckConstraint("role IN ('admin', 'operator', 'billing', 'viewer', 'contractor')", name="role"),
    CheckConstraint("role <> 'contractor' OR contractor_id IS NOT NULL", name="contractor_bound"),
    **NEVER_REUSED,
)

events: Final = Table(
    "events",
    metadata,
    id_column(),
    Column("sequence", Integer, nullable=True),
    base.text("kind"),
    ms("at_ms"),
    # Owners as they were at that moment: of the thing, and of the place.
    number("thing_contractor_id", nullable=True),
    number("place_contractor_id", nullable=True),
    number("adapter_id", nullable=True),
    number("entry_id", nullable=True),
    number("standby_id", nullable=True),
    number("management_id", nullable=True),
    number("push_id", nullable=True),
    base.text("facts"),
    Index("uq_events_sequence", "sequence", unique=True),
    Index("ix_events_adapter_id", "adapter_id"),
    Index("ix_events_entry_id", "entry_id"),
    **NEVER_REUSED,
)

audit: Final = Table(
    "audit",
    metadata,
    id_column(),
    ms("at_ms"),
    base.text("actor"),
    base.text("action"),
    base.text("subject"),
    number("contractor_id", nullable=True),
    base.text("before"),
    base.text("after"),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("ix_audit_subject", "subject"),
    **NEVER_REUSED,
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    id_column(),
    base.text("caller"),
    base.text("key"),
    Column("request_digest", LargeBinary, nullable=False),
    ms("reserved_ms"),
    number("status", nullable=True),
    Column("answer_sealed", LargeBinary, nullable=True),
    Index("uq_idempotency_keys_caller_key", "caller", "key", unique=True),
    **NEVER_REUSED,
)

nodes: Final = Table(
    "nodes",
    metadata,
    Column("node_id", Text, primary_key=True),
    # One per process: a former process of the same node is told apart.
    base.text("token"),
    ms("started_ms"),
    ms("until_ms"),
)

# Fingerprints of what all nodes share: the master key, the CAs. Several of a name while one takes another's place.
installation: Final = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    base.text("fingerprint"),
)
