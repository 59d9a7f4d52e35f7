"""Which certificate a config pull has brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("arms_contacts", sa.Column("certificate_delivered_serial", sa.Text(), nullable=True))
    # Until now the times told which one that was.
    op.execute(
        "UPDATE arms_contacts SET certificate_delivered_serial = ("
        "SELECT certificate_serial FROM arms_identities WHERE arms_identities.adapter_id = arms_contacts.adapter_id"
        " AND arms_contacts.certificate_delivered_ms > arms_identities.certificate_made_ms)"
    )
