"""Dated prices, outages with what was learnt of them, and what one unit costs its contractor once."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, Table

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, day, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

prices: Final = Table(
    "prices",
    metadata,
    id_column(),
    # NULL: of the default list.
    reference("contractor_id", "contractors", nullable=True),
    base.text("service"),
    base.text("item"),
    base.text("fee"),
    day("first_day"),
    # NULL: what was entered for this day is taken back. Of several rows for one day the newest counts.
    number("yen", nullable=True),
    ms("recorded_ms"),
    base.text("actor"),
    Index("ix_prices_contractor_id", "contractor_id"),
    CheckConstraint("yen IS NULL OR yen >= 0", name="yen"),
    **NEVER_REUSED,
)

outages: Final = Table(
    "outages",
    metadata,
    id_column(),
    reference("management_id", "managements"),
    ms("created_ms"),
    Index("ix_outages_management_id", "management_id"),
    **NEVER_REUSED,
)

outage_facts: Final = Table(
    "outage_facts",
    metadata,
    id_column(),
    reference("outage_id", "outages"),
    # began, known, ended, attributable, claimed, decided: of several the newest counts.
    base.text("name"),
    base.text("value"),
    base.text("reason"),
    ms("recorded_ms"),
    base.text("actor"),
    Index("ix_outage_facts_outage_id", "outage_id"),
    **NEVER_REUSED,
)

outage_steps: Final = Table(
    "outage_steps",
    metadata,
    id_column(),
    reference("outage_id", "outages"),
    base.text("state"),
    base.text("rule"),
    base.text("terms_version"),
    base.text("reason"),
    ms("at_ms"),
    base.text("actor"),
    Index("ix_outage_steps_outage_id", "outage_id"),
    **NEVER_REUSED,
)

unit_charges: Final = Table(
    "unit_charges",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    base.text("what"),
    day("day"),
    # The actual cost; NULL: the price list says it.
    number("cost_yen", nullable=True),
    base.text("reason"),
    base.text("rule"),
    base.text("terms_version"),
    ms("recorded_ms"),
    base.text("actor"),
    # A correction takes the place of that row, or takes it back.
    reference("corrects_id", "unit_charges", nullable=True),
    number("taken_back"),
    Index("ix_unit_charges_adapter_id", "adapter_id"),
    Index("uq_unit_charges_corrects_id", "corrects_id", unique=True),
    CheckConstraint("what IN ('failure', 'damage')", name="what"),
    CheckConstraint("cost_yen IS NULL OR cost_yen >= 0", name="cost_yen"),
    **NEVER_REUSED,
)
