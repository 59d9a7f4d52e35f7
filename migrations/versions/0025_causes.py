"""Why a link has its level, and that a mobile plan runs out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mobile_warnings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("stage IN ('running-out', 'run-out')", name=op.f("ck_mobile_warnings_stage")),
        sa.ForeignKeyConstraint(["line_id"], ["contract_lines.id"], name=op.f("fk_mobile_warnings_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mobile_warnings")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_mobile_warnings_line_id", "mobile_warnings", ["line_id", "month", "stage"], unique=True)
    op.add_column("link_levels", sa.Column("causes", sa.Text(), nullable=True))
