"""How long a sent proposal can be accepted, and figures of models that operators enter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "model_figures",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("hardware_key", sa.Text(), nullable=False),
        sa.Column("forwarding_bps", sa.BigInteger(), nullable=True),
        sa.Column("ipsec_bps", sa.BigInteger(), nullable=True),
        sa.Column("inspected_bps", sa.BigInteger(), nullable=True),
        sa.Column("packets_per_s", sa.BigInteger(), nullable=True),
        sa.Column("ports", sa.Integer(), nullable=True),
        sa.Column("port_speed_bps", sa.BigInteger(), nullable=True),
        sa.Column("line_types", sa.Text(), nullable=True),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("offered_until", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("read_on", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("origin IN ('vendor', 'third-party', 'operator')", name=op.f("ck_model_figures_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_figures")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_model_figures_hardware_key", "model_figures", ["hardware_key"], unique=False)
    op.add_column("proposals", sa.Column("valid_until", sa.Text(), nullable=True))
