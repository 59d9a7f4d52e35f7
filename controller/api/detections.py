"""`/detections`: which family an unknown device is of, and what it would be registered as."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from controller.api.adapters import endpoint_of
from controller.api.auth import Operator
from controller.api.mutation import Once
from controller.api.schemas import NewEndpoint
from controller.api.state import acting, daemon_of
from controller.store import audit
from drivers.detection import Detected, detect
from drivers.devices import model_key
from inventory.catalogue import model
from inventory.errors import BadInput

router = APIRouter(tags=["adapters"])
_BY_FAMILY = {"ios": "Cisco IOS", "fortios": "FortiGate"}
"""Families of which there is one model; the others are named by the device itself."""


class DetectedView(BaseModel):
    """What answered. Nothing is stored: register it with `model`, `serial_number` and the endpoint."""

    family: str
    title: str
    model: str | None = Field(description="Name to register it under; null: what it calls itself is in no catalogue.")
    says: str = Field(description="What it calls itself.")
    version: str
    serial_number: str | None
    distribution_id: str | None
    hostname: str
    host_key: str | None = Field(description="Compare it, then register the adapter with it.")

    @classmethod
    def of(cls, found: Detected) -> DetectedView:
        """View of a value."""
        identity = found.identity
        return cls(
            family=found.driver.family,
            title=found.driver.title,
            model=_model(found),
            says=identity.model,
            version=identity.version,
            serial_number=identity.serial,
            distribution_id=identity.distribution_id,
            hostname=identity.hostname,
            host_key=found.host_key or None,
        )


@router.post("/detections", response_model=DetectedView)
async def detect_family(body: NewEndpoint, request: Request, caller: Operator, once: Once) -> Response:
    """Log in to an unknown device, once, and ask it in the words of each family who it is. Only what reads is typed."""
    daemon = daemon_of(request)

    async def work() -> DetectedView:
        found = DetectedView.of(await detect(endpoint_of(body), wait=daemon.clock.wait))
        told = {"host": body.host, "port": body.port, "username": body.username, "family": found.family}
        async with daemon.db.write() as tx:
            audit.record(tx, acting(request, caller), "adapter.detect", body.host, contractor_id=None, after=told)
        return found

    return await once.carry_out(work, status=200)


def _model(found: Detected) -> str | None:
    named = _BY_FAMILY.get(found.driver.family) or found.identity.model
    for name in (named, model_key(found.driver.family)):
        try:
            known = model(name)
        except BadInput:
            continue
        return known.names[0][1]
    return None
