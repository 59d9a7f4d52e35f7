"""Shapes of what adapters run, so that a plan can say how rare each of its lines is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "config_shapes",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shapes", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["config_versions.id"], name=op.f("fk_config_shapes_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_config_shapes")),
    )
