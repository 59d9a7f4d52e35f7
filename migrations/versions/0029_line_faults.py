"""what a look at a place rests on, and half duplex"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("device_interfaces", sa.Column("half_duplex", sa.Integer(), nullable=True))
    op.add_column("proposal_checks", sa.Column("facts", sa.Text(), nullable=True))
