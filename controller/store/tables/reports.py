"""Report schedules, runs, their documents, whom they are sent to, and how that went."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

report_schedules: Final = Table(
    "report_schedules",
    metadata,
    Column("id", Text, primary_key=True),
    reference("contractor_id", "contractors", nullable=True),
    reference("link_id", "links", nullable=True),
    base.text("period"),
    base.text("at"),
    number("delay_days"),
    base.text("zone"),
    ms("active_from_ms"),
    ms("active_to_ms", nullable=True),
    base.text("actor"),
    # NULL in the three: made before reports had kinds, so about its subject, in English, as JSON, CSV and HTML.
    base.text("kind", nullable=True),
    base.text("language", nullable=True),
    base.text("formats", nullable=True),
    CheckConstraint("contractor_id IS NULL OR link_id IS NULL", name="one_subject"),
)

report_runs: Final = Table(
    "report_runs",
    metadata,
    # The report's id: the key of its period; a correction has `/correction-1` and so on behind it.
    Column("key", Text, primary_key=True),
    base.text("schedule_id"),
    reference("contractor_id", "contractors", nullable=True),
    reference("link_id", "links", nullable=True),
    base.text("period"),
    day("first_day"),
    base.text("zone"),
    base.text("state"),
    base.text("action"),
    base.text("node"),
    ms("claimed_ms"),
    ms("done_ms", nullable=True),
    base.text("sha256", nullable=True),
    base.text("files"),
    base.text("failure", nullable=True),
    base.text("kind", nullable=True),
    # The day after the last one; NULL: that of the period.
    day("after_day", nullable=True),
    base.text("language", nullable=True),
    base.text("formats", nullable=True),
    # Worst grade of a percentile in it; C is not settled.
    base.text("grade", nullable=True),
    base.text("corrects", nullable=True),
    number("correction", nullable=True),
    ms("data_as_of_ms", nullable=True),
    Index("ix_report_runs_schedule_id", "schedule_id"),
    Index("ix_report_runs_corrects", "corrects"),
    CheckConstraint("state IN ('claimed', 'provisional', 'final', 'failed', 'skipped')", name="state"),
)

report_documents: Final = Table(
    "report_documents",
    metadata,
    # The JSON of a report that was made, compressed; all other formats are made from it.
    Column("key", Text, primary_key=True),
    base.text("sha256"),
    Column("content", LargeBinary, nullable=False),
    ms("made_ms"),
)

report_recipients: Final = Table(
    "report_recipients",
    metadata,
    id_column(),
    base.text("schedule_id"),
    base.text("way"),
    # A URL may hold a key: what everybody may see of it; the whole is sealed with the secret.
    base.text("target"),
    number("signed"),
    Column("secret_sealed", LargeBinary, nullable=True),
    base.text("formats"),
    ms("added_ms"),
    ms("removed_ms", nullable=True),
    base.text("actor"),
    Index("ix_report_recipients_schedule_id", "schedule_id"),
    CheckConstraint("way IN ('mail', 'webhook', 'folder')", name="way"),
    **NEVER_REUSED,
)

report_deliveries: Final = Table(
    "report_deliveries",
    metadata,
    id_column(),
    base.text("report_key"),
    reference("recipient_id", "report_recipients"),
    # Digest of what is sent: a report made anew under its key is another delivery.
    base.text("sha256"),
    number("collected"),
    base.text("state"),
    number("attempts"),
    ms("made_ms"),
    ms("next_ms", nullable=True),
    # Until then a node is at it.
    ms("lease_ms", nullable=True),
    base.text("node", nullable=True),
    ms("done_ms", nullable=True),
    base.text("said"),
    base.text("history"),
    Index("uq_report_deliveries_once", "report_key", "recipient_id", "sha256", unique=True),
    Index("ix_report_deliveries_next_ms", "next_ms"),
    CheckConstraint("state IN ('waiting', 'sent', 'failed', 'cancelled')", name="state"),
    **NEVER_REUSED,
)

remade_link_days: Final = Table(
    "remade_link_days",
    metadata,
    # Figures of a link's day were made (again): reports that show that day are looked at.
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Text, primary_key=True),
    ms("marked_ms"),
)

remote_write: Final = Table(
    "remote_write",
    metadata,
    # One row: up to where slots were sent, by whom and until when that node is at it.
    Column("id", Integer, primary_key=True, autoincrement=False),
    ms("sent_to_ms"),
    base.text("node", nullable=True),
    ms("lease_ms", nullable=True),
    number("gaps"),
    number("gap_slots"),
    base.text("last_failure", nullable=True),
)
