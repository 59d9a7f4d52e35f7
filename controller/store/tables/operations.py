"""Operations, their journal and their sealed results."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from controller.store.tables import base
from controller.store.tables.base import NEVER_REUSED, id_column, metadata, ms, number
from controller.store.tables.inventory import reference

_HOLDING: Final = "state IN ('sending', 'running', 'returning', 'settling')"

operations: Final = Table(
    "operations",
    metadata,
    id_column(),
    reference("adapter_id", "adapters"),
    # Where it sat when it was asked: what it answers is the place's.
    reference("entry_id", "entries"),
    base.text("kind"),
    # A command or a status request may hold secrets.
    Column("parameters_sealed", LargeBinary, nullable=False),
    # The same with masks, for everybody to read.
    base.text("parameters_shown"),
    base.text("state"),
    base.text("said"),
    number("tries"),
    number("wait_s"),
    number("transaction_id", nullable=True),
    number("result_code", nullable=True),
    ms("created_ms"),
    base.text("started_by"),
    ms("sent_ms", nullable=True),
    ms("finished_ms", nullable=True),
    base.text("cancelled_by", nullable=True),
    # Not begun before; NULL: at once.
    ms("due_ms", nullable=True),
    # Uptime of an adapter that is about to be rebooted over its command line, by which the reboot is proven.
    number("uptime_before_s", nullable=True),
    # The node that carries it out on a command line; over ARMS it is the node that the adapter is in contact with.
    base.text("node_id", nullable=True),
    Index("ix_operations_adapter_id", "adapter_id"),
    Index("ix_operations_entry_id", "entry_id"),
    Index("ix_operations_finished_ms_id", "finished_ms", "id"),
    # One operation at a time has an adapter; the index decides races.
    Index(
        "uq_operations_holding",
        "adapter_id",
        unique=True,
        sqlite_where=text(_HOLDING),
        postgresql_where=text(_HOLDING),
    ),
    CheckConstraint("(finished_ms IS NULL) = (state NOT IN ('done', 'not-done', 'unknown'))", name="finished"),
    **NEVER_REUSED,
)

operation_steps: Final = Table(
    "operation_steps",
    metadata,
    Column("operation_id", Integer, ForeignKey("operations.id"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    base.text("state"),
    ms("at_ms"),
    base.text("said"),
)

operation_results: Final = Table(
    "operation_results",
    metadata,
    Column("operation_id", Integer, ForeignKey("operations.id"), primary_key=True, autoincrement=False),
    Column("result_sealed", LargeBinary, nullable=False),
)
