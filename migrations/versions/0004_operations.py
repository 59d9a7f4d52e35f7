"""Operations over ARMS: rows, journal, sealed results; one at a time per adapter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "operations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parameters_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("parameters_shown", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("wait_s", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=True),
        sa.Column("result_code", sa.Integer(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(finished_ms IS NULL) = (state NOT IN ('done', 'not-done', 'unknown'))",
            name=op.f("ck_operations_finished"),
        ),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_operations_adapter_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_operations_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operations_adapter_id", "operations", ["adapter_id"], unique=False)
    op.create_index("ix_operations_entry_id", "operations", ["entry_id"], unique=False)
    op.create_index("ix_operations_finished_ms_id", "operations", ["finished_ms", "id"], unique=False)
    op.create_index(
        "uq_operations_holding",
        "operations",
        ["adapter_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('sending', 'running', 'returning', 'settling')"),
        postgresql_where=sa.text("state IN ('sending', 'running', 'returning', 'settling')"),
    )
    op.create_table(
        "operation_results",
        sa.Column("operation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("result_sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_operation_results_operation_id")),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_operation_results")),
    )
    op.create_table(
        "operation_steps",
        sa.Column("operation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_operation_steps_operation_id")),
        sa.PrimaryKeyConstraint("operation_id", "seq", name=op.f("pk_operation_steps")),
    )
