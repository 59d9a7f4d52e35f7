"""Where an adapter is dialled in https-simple, kept over a restart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("arms_contacts", sa.Column("push_endpoint", sa.Text(), nullable=True))
    op.add_column("arms_contacts", sa.Column("push_result_url", sa.Text(), nullable=True))
