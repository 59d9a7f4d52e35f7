"""`POST /readings`: past readings, NDJSON, one a line; idempotent, all or nothing."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from controller.api.auth import Operator
from controller.api.schemas import instant
from controller.api.state import daemon_of

router = APIRouter(tags=["readings"])

EXAMPLE = (
    '{"entry":"E-1","interface":"ge0","at":"2026-10-18T00:00:00Z","in_octets":0,"out_octets":0,'
    '"counter_bits":64,"uptime_cs":8640000,"source":"import"}\n'
)


class ImportView(BaseModel):
    """What an import did."""

    lines: int = Field(description="Lines with a reading.")
    new: int
    duplicates: int = Field(description="Readings that are kept already.")
    slot_days: int = Field(description="Slot-days that changed; 0 when everything was known.")
    first_at: datetime | None
    last_at: datetime | None


@router.post(
    "/readings",
    openapi_extra={
        "requestBody": {
            "description": "One JSON object a line; `at_ms` may stand in place of `at`; `in_packets`, "
            "`out_packets`, `out_drops`, `in_errors` and `out_errors` are counters too, and may be left out. What "
            "counts are the lines: a client that does not know the first type may send the second.",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}, "example": EXAMPLE},
            },
        }
    },
)
async def import_readings(request: Request, caller: Operator) -> ImportView:
    """Import past readings. The same lines again change nothing; one wrong line and nothing is imported.

    The problem names the first wrong line and field, and up to a hundred of them in `facts.errors`.
    """
    done = await daemon_of(request).metering.import_readings(caller.scope, request.stream())
    return ImportView(
        lines=done.lines,
        new=done.new,
        duplicates=done.duplicates,
        slot_days=done.slot_days,
        first_at=None if done.first_ms is None else instant(done.first_ms),
        last_at=None if done.last_ms is None else instant(done.last_ms),
    )
