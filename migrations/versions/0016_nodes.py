"""Which node has a way to an adapter, so that its operations are carried out there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("arms_contacts", sa.Column("node", sa.Text(), nullable=True))
