"""Configs of places, plans, approvals, pushes, their journal, and the lock on each device."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

config_versions: Final = Table(
    "config_versions",
    metadata,
    id_column(),
    reference("entry_id", "entries"),
    base.text("kind"),
    base.text("digest"),
    Column("text_sealed", LargeBinary, nullable=False),
    base.text("author"),
    base.text("reason"),
    ms("at_ms"),
    # A reading that finds the same again moves this instant instead of adding a version.
    ms("seen_ms"),
    Index("ix_config_versions_entry_id_kind_id", "entry_id", "kind", "id"),
    CheckConstraint("kind IN ('working', 'startup', 'running', 'truth')", name="kind"),
    **NEVER_REUSED,
)

config_shapes: Final = Table(
    "config_shapes",
    metadata,
    # Of readings only: numbers of the shapes that stand in it, 8 bytes each; NULL where the text could not be read.
    Column("version_id", Integer, ForeignKey("config_versions.id"), primary_key=True, autoincrement=False),
    Column("shapes", LargeBinary, nullable=True),
)

startup_trials: Final = Table(
    "startup_trials",
    metadata,
    Column("version_id", Integer, ForeignKey("config_versions.id"), primary_key=True, autoincrement=False),
    reference("entry_id", "entries"),
    base.text("digest"),
    ms("proven_ms", nullable=True),
    base.text("proven_by", nullable=True),
    number("failures"),
    ms("failed_ms", nullable=True),
    base.text("failure", nullable=True),
    # Served in its place since it was given up; NULL while it is served itself.
    reference("instead_id", "config_versions", nullable=True),
    ms("given_up_ms", nullable=True),
    Index("ix_startup_trials_entry_id_digest", "entry_id", "digest"),
)

entry_modules: Final = Table(
    "entry_modules",
    metadata,
    Column("entry_id", Integer, ForeignKey("entries.id"), primary_key=True, autoincrement=False),
    base.text("modules"),
    ms("at_ms"),
    base.text("actor"),
    number("version"),
)

plans: Final = Table(
    "plans",
    metadata,
    id_column(),
    reference("entry_id", "entries"),
    reference("adapter_id", "adapters"),
    number("generation"),
    base.text("family"),
    ms("created_ms"),
    ms("valid_until_ms"),
    base.text("created_by"),
    base.text("base_digest"),
    base.text("intent_digest"),
    base.text("guard"),
    number("guard_s"),
    number("read_during_guard"),
    number("expected_s"),
    # Base, intent and the lines to send hold secrets.
    Column("job_sealed", LargeBinary, nullable=False),
    # What may be shown: diff, lines with masks, proof, verdict on the management path, blast radius.
    base.text("shown"),
    Index("ix_plans_entry_id", "entry_id"),
    **NEVER_REUSED,
)

plan_approvals: Final = Table(
    "plan_approvals",
    metadata,
    id_column(),
    reference("plan_id", "plans"),
    base.text("actor"),
    ms("at_ms"),
    # Two approvals are two people.
    UniqueConstraint("plan_id", "actor"),
    **NEVER_REUSED,
)

pushes: Final = Table(
    "pushes",
    metadata,
    id_column(),
    reference("plan_id", "plans"),
    reference("entry_id", "entries"),
    reference("adapter_id", "adapters"),
    number("generation"),
    base.text("state"),
    base.text("outcome", nullable=True),
    base.text("said"),
    number("attempt"),
    ms("due_ms"),
    ms("created_ms"),
    base.text("started_by"),
    ms("finished_ms", nullable=True),
    base.text("cancelled_by", nullable=True),
    # A plan is carried out once: its base has moved afterwards.
    UniqueConstraint("plan_id"),
    Index("ix_pushes_entry_id", "entry_id"),
    Index("ix_pushes_adapter_id", "adapter_id"),
    Index("ix_pushes_finished_ms_due_ms", "finished_ms", "due_ms"),
    CheckConstraint("(outcome IS NULL) = (finished_ms IS NULL)", name="finished"),
    CheckConstraint("outcome IN ('done', 'not-done', 'unknown')", name="outcome"),
    **NEVER_REUSED,
)

push_journal: Final = Table(
    "push_journal",
    metadata,
    Column("push_id", Integer, ForeignKey("pushes.id"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    number("attempt"),
    base.text("state"),
    base.text("phase"),
    ms("at_ms"),
    base.text("verdict", nullable=True),
    base.text("said"),
    Column("detail", Text, nullable=False),
    Column("transaction_id", Integer, nullable=True),
    CheckConstraint("phase IN ('intention', 'outcome')", name="phase"),
    CheckConstraint("(phase = 'intention') = (verdict IS NULL)", name="verdict"),
)

device_locks: Final = Table(
    "device_locks",
    metadata,
    # One push per adapter at a time: the primary key decides.
    Column("adapter_id", Integer, ForeignKey("adapters.id"), primary_key=True, autoincrement=False),
    reference("push_id", "pushes"),
    ms("since_ms"),
    # The node whose process commands the device; NULL: any may.
    base.text("node_id", nullable=True),
)

reading_requests: Final = Table(
    "reading_requests",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    reference("entry_id", "entries"),
    # One node asks another, which has the way to the adapter, for its running config; rows live for a minute.
    base.text("node"),
    ms("until_ms"),
    ms("done_ms", nullable=True),
    # Code and words of the error that kept it from being read; NULL: it was read, or not yet.
    base.text("code", nullable=True),
    base.text("said", nullable=True),
    Index("ix_reading_requests_node", "node"),
    **NEVER_REUSED,
)
