"""`/metrics` and `/metrics/links` for Prometheus, beside the API (no nouns, so not below /api/v1)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials

from controller.api.auth import bearer, caller_of
from controller.api.state import daemon_of
from controller.telemetry import linknumbers, numbers
from controller.telemetry.exposition import MEDIA, exposed
from inventory.errors import NotAllowed

router = APIRouter(include_in_schema=False)


async def scraper(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> None:
    """Whoever may see the whole fleet; everybody with `metrics.open`. Raises Unauthenticated, NotAllowed."""
    if daemon_of(request).settings.metrics.open:
        return
    caller = await caller_of(request, credentials)
    if caller.scope.contractor_id is not None:
        raise NotAllowed(
            "these are numbers of the whole fleet", next_step="Use a key of a viewer, which sees every contractor."
        )


@router.get("/metrics", dependencies=[Depends(scraper)])
async def metrics(request: Request) -> Response:
    """The fleet in numbers, and this node about itself."""
    return Response(exposed(await numbers.of_daemon(daemon_of(request))), media_type=MEDIA)


@router.get("/metrics/links", dependencies=[Depends(scraper)])
async def link_metrics(request: Request) -> Response:
    """Each link: level, capacity, figures of the newest day."""
    return Response(exposed(await linknumbers.of_links(daemon_of(request))), media_type=MEDIA)
