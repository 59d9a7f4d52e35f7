"""Steps of proposals, change orders, and why nothing was proposed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "proposal_checks",
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("proposed", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_proposal_checks_link_id")),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_proposal_checks")),
    )
    op.create_table(
        "change_orders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("contractor_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("line_rate_bps", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_change_orders_contractor_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_change_orders_entry_id")),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_change_orders_proposal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_orders")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_change_orders_contractor_id", "change_orders", ["contractor_id"], unique=False)
    op.create_index("ix_change_orders_entry_id", "change_orders", ["entry_id"], unique=False)
    op.create_index("uq_change_orders_proposal_id", "change_orders", ["proposal_id"], unique=True)
    op.create_table(
        "proposal_steps",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_proposal_steps_proposal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal_steps")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_proposal_steps_proposal_id", "proposal_steps", ["proposal_id"], unique=False)
    op.add_column("proposals", sa.Column("text_ja", sa.Text(), nullable=True))
