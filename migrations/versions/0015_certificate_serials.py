"""The serial numbers of an adapter's certificates are remembered: one that was replaced is refused"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("arms_identities", sa.Column("certificate_serial", sa.Text(), nullable=True))
    op.add_column("arms_identities", sa.Column("previous_certificate_serial", sa.Text(), nullable=True))
