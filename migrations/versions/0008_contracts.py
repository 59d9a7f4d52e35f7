"""Contract lines, applications, events, records, stops; API keys of billing, contractors and delegates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "companies",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("relation IN ('provider', 'subsidiary', 'delegate')", name=op.f("ck_companies_relation")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "applications",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("contractor_id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("received", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("service IN ('mpc', 'smfsx')", name=op.f("ck_applications_service")),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_applications_contractor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_applications_contractor_id", "applications", ["contractor_id"], unique=False)
    op.create_table(
        "contract_lines",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("contractor_id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("on_line_id", sa.Integer(), nullable=True),
        sa.Column("group_line_id", sa.Integer(), nullable=True),
        sa.Column("management_id", sa.Integer(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["application_id"], ["applications.id"], name=op.f("fk_contract_lines_application_id")),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_contract_lines_contractor_id")),
        sa.ForeignKeyConstraint(["group_line_id"], ["contract_lines.id"], name=op.f("fk_contract_lines_group_line_id")),
        sa.ForeignKeyConstraint(["management_id"], ["managements.id"], name=op.f("fk_contract_lines_management_id")),
        sa.ForeignKeyConstraint(["on_line_id"], ["contract_lines.id"], name=op.f("fk_contract_lines_on_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_lines")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_contract_lines_application_id", "contract_lines", ["application_id"], unique=False)
    op.create_index("ix_contract_lines_contractor_id", "contract_lines", ["contractor_id"], unique=False)
    op.create_table(
        "contract_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=True),
        sa.Column("corrects_id", sa.Integer(), nullable=True),
        sa.Column("calendar", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["corrects_id"], ["contract_events.id"], name=op.f("fk_contract_events_corrects_id")),
        sa.ForeignKeyConstraint(["line_id"], ["contract_lines.id"], name=op.f("fk_contract_events_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_contract_events_line_id", "contract_events", ["line_id"], unique=False)
    op.create_index(
        "uq_contract_events_calendar",
        "contract_events",
        ["line_id", "name", "day"],
        unique=True,
        sqlite_where=sa.text("calendar = 1"),
        postgresql_where=sa.text("calendar = 1"),
    )
    op.create_index(
        "uq_contract_events_corrects_id",
        "contract_events",
        ["corrects_id"],
        unique=True,
        sqlite_where=sa.text("corrects_id IS NOT NULL"),
        postgresql_where=sa.text("corrects_id IS NOT NULL"),
    )
    op.create_table(
        "control_stops",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("management_id", sa.Integer(), nullable=True),
        sa.Column("adapter_id", sa.Integer(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_control_stops_adapter_id")),
        sa.ForeignKeyConstraint(["line_id"], ["contract_lines.id"], name=op.f("fk_control_stops_line_id")),
        sa.ForeignKeyConstraint(["management_id"], ["managements.id"], name=op.f("fk_control_stops_management_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_stops")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_control_stops_adapter_id",
        "control_stops",
        ["adapter_id"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL AND adapter_id IS NOT NULL"),
        postgresql_where=sa.text("to_ms IS NULL AND adapter_id IS NOT NULL"),
    )
    op.create_index(
        "uq_control_stops_management_id",
        "control_stops",
        ["management_id"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL AND management_id IS NOT NULL"),
        postgresql_where=sa.text("to_ms IS NULL AND management_id IS NOT NULL"),
    )
    op.create_table(
        "line_links",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("management_id", sa.Integer(), nullable=True),
        sa.Column("adapter_id", sa.Integer(), nullable=True),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("(management_id IS NULL) <> (adapter_id IS NULL)", name=op.f("ck_line_links_one_thing")),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_line_links_adapter_id")),
        sa.ForeignKeyConstraint(["line_id"], ["contract_lines.id"], name=op.f("fk_line_links_line_id")),
        sa.ForeignKeyConstraint(["management_id"], ["managements.id"], name=op.f("fk_line_links_management_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_links")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_line_links_line_id", "line_links", ["line_id"], unique=False)
    op.create_index("uq_line_links_adapter_id", "line_links", ["adapter_id"], unique=True)
    op.create_index("uq_line_links_management_id", "line_links", ["management_id"], unique=True)
    op.create_table(
        "records",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("contractor_id", sa.Integer(), nullable=True),
        sa.Column("line_id", sa.Integer(), nullable=True),
        sa.Column("management_id", sa.Integer(), nullable=True),
        sa.Column("adapter_id", sa.Integer(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("notified", sa.Text(), nullable=True),
        sa.Column("until_day", sa.Text(), nullable=True),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("corrects_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapters.id"], name=op.f("fk_records_adapter_id")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_records_company_id")),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_records_contractor_id")),
        sa.ForeignKeyConstraint(["corrects_id"], ["records.id"], name=op.f("fk_records_corrects_id")),
        sa.ForeignKeyConstraint(["line_id"], ["contract_lines.id"], name=op.f("fk_records_line_id")),
        sa.ForeignKeyConstraint(["management_id"], ["managements.id"], name=op.f("fk_records_management_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_records_contractor_id", "records", ["contractor_id"], unique=False)
    op.create_index("ix_records_kind", "records", ["kind"], unique=False)
    _roles()


def _roles() -> None:
    """More roles. SQLite makes the table anew for it, which no other table points to; numbers and keys stay."""
    roles = "role IN ('admin', 'operator', 'billing', 'viewer', 'contractor')"
    bound = "role <> 'contractor' OR contractor_id IS NOT NULL"
    with op.batch_alter_table("api_keys", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("company_id", sa.Integer(), nullable=True))
        table.drop_constraint(op.f("ck_api_keys_role"), type_="check")
        table.create_check_constraint(op.f("ck_api_keys_role"), roles)
        table.create_check_constraint(op.f("ck_api_keys_contractor_bound"), bound)
