"""Links, their capacities and levels, and proposals. Traffic itself is kept apart."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

links: Final = Table(
    "links",
    metadata,
    id_column(),
    reference("entry_id", "entries"),
    base.text("interface"),
    base.text("role"),
    Column("port_speed_bps", BigInteger, nullable=True),
    number("ifindex", nullable=True),
    base.text("line_type"),
    base.text("zone"),
    ms("created_ms"),
    number("version"),
    Index("uq_links_entry_id_interface", "entry_id", "interface", unique=True),
    Index(
        "uq_links_entry_id_ifindex",
        "entry_id",
        "ifindex",
        unique=True,
        sqlite_where=text("ifindex IS NOT NULL"),
        postgresql_where=text("ifindex IS NOT NULL"),
    ),
    CheckConstraint("role IN ('wan', 'lan')", name="role"),
    **NEVER_REUSED,
)

link_capacities: Final = Table(
    "link_capacities",
    metadata,
    id_column(),
    reference("link_id", "links"),
    base.text("kind"),
    Column("down_bps", BigInteger, nullable=True),
    Column("up_bps", BigInteger, nullable=True),
    day("valid_from"),
    base.text("actor"),
    base.text("reason"),
    ms("recorded_ms"),
    Index("ix_link_capacities_link_id", "link_id"),
    CheckConstraint("kind IN ('line', 'shaped', 'port', 'model', 'learned')", name="kind"),
    **NEVER_REUSED,
)

link_levels: Final = Table(
    "link_levels",
    metadata,
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("direction", Text, primary_key=True),
    number("level"),
    # First day of the level, last valid day and last day looked at: staleness is computed from them when read.
    day("since_day"),
    day("valid_day", nullable=True),
    day("judged_day"),
    number("valid_days"),
    base.text("capacity_kind"),
    base.text("rule_version"),
    ms("made_ms"),
    # Why, one flag a cause: [[cause, days], …]. Null: judged before causes were told.
    base.text("causes", nullable=True),
)

level_changes: Final = Table(
    "level_changes",
    metadata,
    id_column(),
    reference("link_id", "links"),
    base.text("direction"),
    day("day"),
    number("before"),
    number("after"),
    base.text("evidence"),
    base.text("rule_version"),
    ms("recorded_ms"),
    # A day can be judged again when late readings come; the same judgement is the same row.
    Index("uq_level_changes_day", "link_id", "direction", "day", "before", "after", unique=True),
    **NEVER_REUSED,
)

_OPEN: Final = text("state IN ('draft', 'sent')")

proposals: Final = Table(
    "proposals",
    metadata,
    id_column(),
    reference("entry_id", "entries"),
    reference("link_id", "links"),
    base.text("state"),
    base.text("reason"),
    base.text("kind"),
    base.text("model", nullable=True),
    number("monthly_delta_yen", nullable=True),
    number("level"),
    base.text("text"),
    base.text("evidence"),
    base.text("rule_version"),
    ms("created_ms"),
    ms("decided_ms", nullable=True),
    base.text("actor", nullable=True),
    number("version"),
    base.text("text_ja", nullable=True),
    # Last day on which a proposal that was sent can be accepted.
    day("valid_until", nullable=True),
    Index("uq_proposals_open_entry", "entry_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_proposals_entry_id", "entry_id"),
    CheckConstraint("state IN ('draft', 'sent', 'accepted', 'declined', 'expired', 'superseded')", name="state"),
    **NEVER_REUSED,
)

proposal_steps: Final = Table(
    "proposal_steps",
    metadata,
    id_column(),
    reference("proposal_id", "proposals"),
    base.text("state"),
    ms("at_ms"),
    base.text("actor"),
    base.text("reason"),
    Index("ix_proposal_steps_proposal_id", "proposal_id"),
    **NEVER_REUSED,
)

change_orders: Final = Table(
    "change_orders",
    metadata,
    id_column(),
    reference("proposal_id", "proposals"),
    reference("contractor_id", "contractors"),
    reference("entry_id", "entries"),
    base.text("kind"),
    base.text("model", nullable=True),
    Column("line_rate_bps", BigInteger, nullable=True),
    ms("created_ms"),
    base.text("actor"),
    base.text("reason"),
    Index("uq_change_orders_proposal_id", "proposal_id", unique=True),
    Index("ix_change_orders_contractor_id", "contractor_id"),
    Index("ix_change_orders_entry_id", "entry_id"),
    **NEVER_REUSED,
)

proposal_checks: Final = Table(
    "proposal_checks",
    metadata,
    Column("link_id", Integer, ForeignKey("links.id"), primary_key=True, autoincrement=False),
    day("day"),
    number("proposed"),
    base.text("reason"),
    ms("made_ms"),
    # What the reason rests on, as JSON.
    base.text("facts", nullable=True),
)

# Figures that operators entered; the newest row of a piece of hardware counts, and goes before what is shipped.
model_figures: Final = Table(
    "model_figures",
    metadata,
    id_column(),
    base.text("model"),
    base.text("hardware"),
    # The hardware as it is looked for: without case, spaces and dashes.
    base.text("hardware_key"),
    Column("forwarding_bps", BigInteger, nullable=True),
    Column("ipsec_bps", BigInteger, nullable=True),
    Column("inspected_bps", BigInteger, nullable=True),
    Column("packets_per_s", BigInteger, nullable=True),
    number("ports", nullable=True),
    Column("port_speed_bps", BigInteger, nullable=True),
    base.text("line_types", nullable=True),
    number("offered"),
    day("offered_until", nullable=True),
    base.text("origin"),
    base.text("source"),
    day("read_on"),
    # 1: this row takes the ones before it back.
    number("withdrawn"),
    base.text("actor"),
    ms("recorded_ms"),
    Index("ix_model_figures_hardware_key", "hardware_key"),
    CheckConstraint("origin IN ('vendor', 'third-party', 'operator')", name="origin"),
    **NEVER_REUSED,
)

# That a mobile plan runs out is told once a line and month, by whichever node comes first.
mobile_warnings: Final = Table(
    "mobile_warnings",
    metadata,
    id_column(),
    reference("line_id", "contract_lines"),
    base.text("month"),
    base.text("stage"),
    day("day", nullable=True),
    ms("at_ms"),
    Index("uq_mobile_warnings_line_id", "line_id", "month", "stage", unique=True),
    CheckConstraint("stage IN ('running-out', 'run-out')", name="stage"),
    **NEVER_REUSED,
)
