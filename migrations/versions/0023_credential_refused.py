"""Which adapters have refused the credential on record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("ssh_contacts", sa.Column("credential_refused_ms", sa.BigInteger(), nullable=True))
