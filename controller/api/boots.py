"""`/adapters/{serial}/boots`: its starts, stage by stage; the latest fifty are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from controller.api.auth import Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import instant
from controller.api.state import daemon_of
from controller.store import adapters, boots
from inventory.adapters import SerialNumber
from inventory.boots import Boot, stages

router = APIRouter(tags=["adapters"])


class StageView(BaseModel):
    """A stage of a boot; `at` is null for one that was not reached, or skipped, which `note` then says."""

    stage: str
    at: datetime | None
    note: str


class BootView(BaseModel):
    """One start of an adapter: it is on record from the pull of its config on."""

    id: int
    trigger: str = Field(description="The pull reason, in the client's words.")
    pulled_at: datetime
    method_at: datetime | None
    confirmed_at: datetime | None
    ready_at: datetime | None
    shown: str | None = Field(description="What the device said it is, when it became push-ready.")
    firmware: str | None
    startup_version: int | None = Field(description="The startup version that it got.")
    instead_of: int | None = Field(description="The version that was given up, when the last proven one was served.")
    ended: str | None = Field(description="What the next pull said of this boot.")
    stages: list[StageView]

    @classmethod
    def of(cls, boot: Boot) -> BootView:
        """View of a value."""
        return cls(
            id=boot.id,
            trigger=boot.trigger,
            pulled_at=instant(boot.rs_ms),
            method_at=_at(boot.method_ms),
            confirmed_at=_at(boot.confirmed_ms),
            ready_at=_at(boot.ready_ms),
            shown=boot.shown,
            firmware=boot.firmware,
            startup_version=boot.version_id,
            instead_of=boot.instead_of,
            ended=boot.ended,
            stages=[StageView(stage=one.stage.value, at=_at(one.at_ms), note=one.note) for one in stages(boot)],
        )


@router.get("/adapters/{serial}/boots")
async def list_boots(
    serial: str, request: Request, caller: Viewer, wanted: Annotated[Window, Depends(window)]
) -> Page[BootView]:
    """Boots of an adapter, the newest first. Adapters that do not phone home have none."""
    async with daemon_of(request).db.read() as tx:
        adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        found = await boots.page(tx, adapter.id, before=wanted.before, limit=wanted.limit + 1)
    return page([BootView.of(one) for one in found], [one.id for one in found], wanted)


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else instant(at_ms)
