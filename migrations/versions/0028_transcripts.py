"""What was typed to adapters and what they said is kept and indexed; endpoints name their AAA domain"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "transcripts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("push_id", sa.Integer(), nullable=True),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("words_sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(push_id IS NULL) <> (operation_id IS NULL)", name=op.f("ck_transcripts_of_one")),
        sa.CheckConstraint("(push_id IS NULL) = (words_sealed IS NULL)", name=op.f("ck_transcripts_words")),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_transcripts_adapter_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_transcripts_entry_id")),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_transcripts_operation_id")),
        sa.ForeignKeyConstraint(["push_id"], ["pushes.id"], name=op.f("fk_transcripts_push_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcripts")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transcripts_push_id", "transcripts", ["push_id"], unique=False)
    op.create_index("uq_transcripts_operation_id", "transcripts", ["operation_id"], unique=True)
    op.create_index("ix_transcripts_adapter_id", "transcripts", ["adapter_id"], unique=False)
    op.create_index("ix_transcripts_entry_id", "transcripts", ["entry_id"], unique=False)
    # What was sent before this table was there is found in it too: its words stand with its result.
    op.execute(
        "INSERT INTO transcripts (operation_id, adapter_id, entry_id, state, at_ms)"
        " SELECT id, adapter_id, entry_id, 'sending', sent_ms FROM operations WHERE sent_ms IS NOT NULL ORDER BY id"
    )
    op.add_column("endpoints", sa.Column("aaa_domain", sa.Text(), nullable=True))
