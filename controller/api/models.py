"""`/models`: the catalogue of both services (MPC-2, SMF-A1)."""

from __future__ import annotations

from fastapi import APIRouter

from controller.api.auth import Viewer
from controller.api.schemas import ModelView
from drivers.devices import models_from_outside
from inventory.catalogue import MODELS

router = APIRouter(tags=["models"])


@router.get("/models")
async def list_models(_caller: Viewer) -> list[ModelView]:
    """All models, with the contract lines that offer them; those of drivers from outside are offered by none."""
    return [
        ModelView(
            key=model.key,
            names=dict(model.names),
            family=model.family,
            dialect=model.dialect,
            paths=list(model.paths),
            lines=[" ".join(part for part in (row.service, row.line, row.device_class) if part) for row in model.lines],
        )
        for model in (*MODELS, *models_from_outside())
    ]
