"""Identities, contacts, claims and boots of adapters that phone home."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms, number


def _adapter_key() -> Column[int]:
    return Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False)


arms_identities: Final = Table(
    "arms_identities",
    metadata,
    _adapter_key(),
    base.text("distribution_id"),
    Column("ls_key_digest", LargeBinary, nullable=False),
    Column("rs_key_sealed", LargeBinary, nullable=False),
    Column("previous_rs_key_sealed", LargeBinary, nullable=True),
    Column("passphrase_sealed", LargeBinary, nullable=False),
    base.text("certificate", nullable=True),
    Column("certificate_key_sealed", LargeBinary, nullable=True),
    base.text("shut_out", nullable=True),
    ms("made_ms"),
    Column("previous_ls_key_digest", LargeBinary, nullable=True),
    ms("ls_rotated_ms", nullable=True),
    ms("ls_deadline_ms", nullable=True),
    ms("rs_rotated_ms", nullable=True),
    ms("rs_deadline_ms", nullable=True),
    Column("previous_passphrase_sealed", LargeBinary, nullable=True),
    ms("passphrase_rotated_ms", nullable=True),
    ms("passphrase_delivered_ms", nullable=True),
    base.text("certificate_authority", nullable=True),
    ms("certificate_made_ms", nullable=True),
    ms("certificate_until_ms", nullable=True),
    ms("certificate_rotated_ms", nullable=True),
    number("legacy_tls", nullable=True),
    # Serial numbers in hex; NULL: not known, '': it was ended at once.
    base.text("certificate_serial", nullable=True),
    base.text("previous_certificate_serial", nullable=True),
    Index("uq_arms_identities_distribution_id", "distribution_id", unique=True),
)

arms_contacts: Final = Table(
    "arms_contacts",
    metadata,
    _adapter_key(),
    base.text("stage"),
    ms("stage_ms", nullable=True),
    ms("last_seen_ms", nullable=True),
    ms("last_heartbeat_ms", nullable=True),
    number("tunnel_open"),
    base.text("source", nullable=True),
    base.text("proven_serial", nullable=True),
    ms("proven_ms", nullable=True),
    number("refusal_code", nullable=True),
    base.text("refusal_reason", nullable=True),
    ms("refusal_ms", nullable=True),
    number("refusal_count"),
    base.text("quarantine", nullable=True),
    ms("quarantine_ms", nullable=True),
    base.text("trigger", nullable=True),
    base.text("firmware", nullable=True),
    # What was asked since the last config was pulled; NULL when nothing was.
    ms("ls_ms", nullable=True),
    ms("asked_ms", nullable=True),
    ms("certificate_delivered_ms", nullable=True),
    # Which one that was; NULL: not known.
    base.text("certificate_delivered_serial", nullable=True),
    base.text("tls", nullable=True),
    base.text("tls_best", nullable=True),
    base.text("push_endpoint", nullable=True),
    base.text("push_result_url", nullable=True),
    # The node that last had a tunnel or a confirmed endpoint of it; NULL: not known.
    base.text("node", nullable=True),
)

arms_claims: Final = Table(
    "arms_claims",
    metadata,
    id_column(),
    base.text("claimed"),
    base.text("source"),
    base.text("reason"),
    ms("first_ms"),
    ms("last_ms"),
    number("count"),
    Index("uq_arms_claims_claimed_source_reason", "claimed", "source", "reason", unique=True),
    Index("ix_arms_claims_last_ms", "last_ms"),
    **NEVER_REUSED,
)

arms_refused_beats: Final = Table(
    "arms_refused_beats",
    metadata,
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    Column("reason", Text, primary_key=True),
    number("count"),
    ms("first_ms"),
    ms("last_ms"),
    base.text("source"),
)

# Heartbeats that may be evidence of two units with one identity, from node to node; kept for some intervals.
arms_sightings: Final = Table(
    "arms_sightings",
    metadata,
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    Column("node", Text, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    base.text("source"),
    # Tells copies of one heartbeat to several nodes from two heartbeats.
    base.text("mark"),
    # (ifindex, octets) as JSON.
    base.text("counters"),
    Index("ix_arms_sightings_at_ms", "at_ms"),
)

arms_boots: Final = Table(
    "arms_boots",
    metadata,
    id_column(),
    Column("adapter_id", Integer, ForeignKey("adapters.id"), nullable=False),
    base.text("trigger"),
    ms("rs_ms"),
    ms("method_ms", nullable=True),
    ms("confirmed_ms", nullable=True),
    ms("ready_ms", nullable=True),
    ms("ls_ms", nullable=True),
    ms("asked_ms", nullable=True),
    ms("applied_ms", nullable=True),
    ms("heartbeat_ms", nullable=True),
    base.text("shown", nullable=True),
    base.text("firmware", nullable=True),
    number("version_id", nullable=True),
    number("instead_of", nullable=True),
    base.text("ended", nullable=True),
    Index("ix_arms_boots_adapter_id", "adapter_id"),
    **NEVER_REUSED,
)

arms_modules: Final = Table(
    "arms_modules",
    metadata,
    _adapter_key(),
    base.text("modules"),
    ms("at_ms"),
)
