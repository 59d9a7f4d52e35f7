"""Contract lines and options, applications, their events, records with a rule, and what the controller is kept from."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, Table, text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

applications: Final = Table(
    "applications",
    metadata,
    id_column(),
    reference("contractor_id", "contractors"),
    base.text("service"),
    day("received"),
    # The form as it was received (MPC-9.1, SMF-3.1).
    base.text("form"),
    ms("created_ms"),
    base.text("actor"),
    Index("ix_applications_contractor_id", "contractor_id"),
    CheckConstraint("service IN ('mpc', 'smfsx')", name="service"),
    **NEVER_REUSED,
)

contract_lines: Final = Table(
    "contract_lines",
    metadata,
    id_column(),
    reference("application_id", "applications"),
    reference("contractor_id", "contractors"),
    base.text("service"),
    base.text("kind"),
    base.text("name"),
    reference("on_line_id", "contract_lines", nullable=True),
    reference("group_line_id", "contract_lines", nullable=True),
    # Another contractor's management that an adapter line uses (MPC-6.2, SMF-13), or the own one that it takes over.
    reference("management_id", "managements", nullable=True),
    # What was applied for: classes, counts, class, model, site, plan, packs.
    base.text("details"),
    Index("ix_contract_lines_contractor_id", "contractor_id"),
    Index("ix_contract_lines_application_id", "application_id"),
    **NEVER_REUSED,
)

contract_events: Final = Table(
    "contract_events",
    metadata,
    id_column(),
    reference("line_id", "contract_lines"),
    base.text("name"),
    # When it was true, and when we learnt it.
    day("day"),
    ms("recorded_ms"),
    base.text("actor"),
    base.text("rule"),
    base.text("terms_version"),
    base.text("facts"),
    base.text("alert", nullable=True),
    reference("corrects_id", "contract_events", nullable=True),
    # 1: the calendar brought it. It follows from the others and is kept for the record and for what it set off.
    number("calendar"),
    Index("ix_contract_events_line_id", "line_id"),
    Index(
        "uq_contract_events_corrects_id",
        "corrects_id",
        unique=True,
        sqlite_where=text("corrects_id IS NOT NULL"),
        postgresql_where=text("corrects_id IS NOT NULL"),
    ),
    Index(
        "uq_contract_events_calendar",
        "line_id",
        "name",
        "day",
        unique=True,
        sqlite_where=text("calendar = 1"),
        postgresql_where=text("calendar = 1"),
    ),
    **NEVER_REUSED,
)

line_links: Final = Table(
    "line_links",
    metadata,
    id_column(),
    reference("line_id", "contract_lines"),
    reference("management_id", "managements", nullable=True),
    reference("adapter_id", "adapters", nullable=True),
    day("day"),
    ms("recorded_ms"),
    base.text("actor"),
    Index("ix_line_links_line_id", "line_id"),
    # A management has one line, a unit one line, for ever.
    Index("uq_line_links_management_id", "management_id", unique=True),
    Index("uq_line_links_adapter_id", "adapter_id", unique=True),
    CheckConstraint("(management_id IS NULL) <> (adapter_id IS NULL)", name="one_thing"),
    **NEVER_REUSED,
)

control_stops: Final = Table(
    "control_stops",
    metadata,
    id_column(),
    reference("line_id", "contract_lines"),
    reference("management_id", "managements", nullable=True),
    reference("adapter_id", "adapters", nullable=True),
    base.text("rule"),
    base.text("reason"),
    base.text("terms_version"),
    ms("from_ms"),
    ms("to_ms", nullable=True),
    Index(
        "uq_control_stops_management_id",
        "management_id",
        unique=True,
        sqlite_where=text("to_ms IS NULL AND management_id IS NOT NULL"),
        postgresql_where=text("to_ms IS NULL AND management_id IS NOT NULL"),
    ),
    Index(
        "uq_control_stops_adapter_id",
        "adapter_id",
        unique=True,
        sqlite_where=text("to_ms IS NULL AND adapter_id IS NOT NULL"),
        postgresql_where=text("to_ms IS NULL AND adapter_id IS NOT NULL"),
    ),
    **NEVER_REUSED,
)

companies: Final = Table(
    "companies",
    metadata,
    id_column(),
    base.text("name"),
    base.text("relation"),
    ms("created_ms"),
    ms("ended_ms", nullable=True),
    base.text("actor"),
    CheckConstraint("relation IN ('provider', 'subsidiary', 'delegate')", name="relation"),
    **NEVER_REUSED,
)

records: Final = Table(
    "records",
    metadata,
    id_column(),
    base.text("kind"),
    reference("contractor_id", "contractors", nullable=True),
    reference("line_id", "contract_lines", nullable=True),
    reference("management_id", "managements", nullable=True),
    reference("adapter_id", "adapters", nullable=True),
    reference("company_id", "companies", nullable=True),
    day("day"),
    day("notified", nullable=True),
    day("until_day", nullable=True),
    ms("recorded_ms"),
    base.text("actor"),
    base.text("rule"),
    base.text("terms_version"),
    base.text("facts"),
    reference("corrects_id", "records", nullable=True),
    Index("ix_records_kind", "kind"),
    Index("ix_records_contractor_id", "contractor_id"),
    **NEVER_REUSED,
)
