"""Dated prices, outages and their claims, what is charged for one unit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("contractor_id", sa.Integer(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("fee", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Text(), nullable=False),
        sa.Column("yen", sa.Integer(), nullable=True),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("yen IS NULL OR yen >= 0", name=op.f("ck_prices_yen")),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_prices_contractor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_prices_contractor_id", "prices", ["contractor_id"], unique=False)
    op.create_table(
        "outages",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("management_id", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["management_id"], ["managements.id"], name=op.f("fk_outages_management_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outages_management_id", "outages", ["management_id"], unique=False)
    op.create_table(
        "unit_charges",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("cost_yen", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("corrects_id", sa.Integer(), nullable=True),
        sa.Column("taken_back", sa.Integer(), nullable=False),
        sa.CheckConstraint("what IN ('failure', 'damage')", name=op.f("ck_unit_charges_what")),
        sa.CheckConstraint("cost_yen IS NULL OR cost_yen >= 0", name=op.f("ck_unit_charges_cost_yen")),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_unit_charges_adapter_id")),
        sa.ForeignKeyConstraint(["corrects_id"], ["unit_charges.id"], name=op.f("fk_unit_charges_corrects_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_charges")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unit_charges_adapter_id", "unit_charges", ["adapter_id"], unique=False)
    op.create_index("uq_unit_charges_corrects_id", "unit_charges", ["corrects_id"], unique=True)
    op.create_table(
        "outage_facts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("outage_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_outage_facts_outage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage_facts")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outage_facts_outage_id", "outage_facts", ["outage_id"], unique=False)
    op.create_table(
        "outage_steps",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("outage_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_outage_steps_outage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage_steps")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outage_steps_outage_id", "outage_steps", ["outage_id"], unique=False)
