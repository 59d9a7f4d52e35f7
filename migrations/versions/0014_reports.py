"""Reports get kinds, documents, corrections and recipients; slots are sent on to Prometheus."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "remade_link_days",
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("marked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("link_id", "day", name=op.f("pk_remade_link_days")),
    )
    op.create_table(
        "remote_write",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sent_to_ms", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("lease_ms", sa.BigInteger(), nullable=True),
        sa.Column("gaps", sa.Integer(), nullable=False),
        sa.Column("gap_slots", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_write")),
    )
    op.create_table(
        "report_documents",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_report_documents")),
    )
    op.create_table(
        "report_recipients",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("signed", sa.Integer(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("formats", sa.Text(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("way IN ('mail', 'webhook', 'folder')", name=op.f("ck_report_recipients_way")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_recipients")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_report_recipients_schedule_id", "report_recipients", ["schedule_id"], unique=False)
    op.create_table(
        "report_deliveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("report_key", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("collected", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=True),
        sa.Column("lease_ms", sa.BigInteger(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'failed', 'cancelled')", name=op.f("ck_report_deliveries_state")
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["report_recipients.id"], name=op.f("fk_report_deliveries_recipient_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_deliveries")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_report_deliveries_next_ms", "report_deliveries", ["next_ms"], unique=False)
    op.create_index(
        "uq_report_deliveries_once", "report_deliveries", ["report_key", "recipient_id", "sha256"], unique=True
    )
    op.add_column("report_runs", sa.Column("kind", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("after_day", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("formats", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("grade", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("corrects", sa.Text(), nullable=True))
    op.add_column("report_runs", sa.Column("correction", sa.Integer(), nullable=True))
    op.add_column("report_runs", sa.Column("data_as_of_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_report_runs_corrects", "report_runs", ["corrects"], unique=False)
    op.create_index("ix_report_runs_schedule_id", "report_runs", ["schedule_id"], unique=False)
    _subjects()


def _subjects() -> None:
    """A report may be about the fleet. SQLite makes the table anew for it, which no other table points to."""
    with op.batch_alter_table("report_schedules") as table:
        for name in ("kind", "language", "formats"):
            table.add_column(sa.Column(name, sa.Text(), nullable=True))
        table.drop_constraint(op.f("ck_report_schedules_one_subject"), type_="check")
        table.create_check_constraint(
            op.f("ck_report_schedules_one_subject"), "contractor_id IS NULL OR link_id IS NULL"
        )
