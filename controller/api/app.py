"""The REST application: routers of all nouns, one shape of refusal, documents at `/api/docs`."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api import (
    adapters,
    amounts,
    api_keys,
    applications,
    boots,
    claims,
    configs,
    consents,
    contract_imports,
    contractors,
    contracts,
    counters,
    deadlines,
    detections,
    document,
    entries,
    events,
    figures,
    heartbeats,
    incidents,
    keys,
    links,
    maintenance,
    metrics,
    mobile,
    modelfigures,
    models,
    operations,
    outages,
    pki,
    plans,
    price_lists,
    problems,
    proposals,
    pushes,
    readings,
    records,
    report_schedules,
    reports,
    startups,
    transcripts,
)
from controller.api.listening import deadline_s
from controller.web import manual, pages

if TYPE_CHECKING:
    from controller.main import Daemon

PREFIX = "/api/v1"
BODY_AT_MOST = 8 * 1024 * 1024
"""Octets of a JSON body; the import of readings is a stream with limits of its own."""
STREAM_AT_MOST = 80 * 1024 * 1024
"""Octets of the import of readings, which has a limit of its own below this and names the line that breaks it."""
BODY_S = 60.0
STREAM_S = 900.0
"""Seconds that a body may take; divided by the pace, down to `SHORTEST_S`."""
NOUNS = (
    consents,
    contractors,
    applications,
    contracts,
    records,
    entries,
    adapters,
    detections,
    claims,
    heartbeats,
    keys,
    pki,
    boots,
    configs,
    startups,
    plans,
    pushes,
    operations,
    transcripts,
    readings,
    counters,
    links,
    figures,
    mobile,
    maintenance,
    proposals,
    reports,
    report_schedules,
    price_lists,
    contract_imports,
    amounts,
    outages,
    deadlines,
    incidents,
    events,
    models,
    modelfigures,
    api_keys,
)
DESCRIPTION = """Fleet controller for routers. Every refusal is a problem (RFC 9457): code, rule, field and next step.
Lists page by key (`after`, `limit`); changes need `If-Match`; POSTs take an `Idempotency-Key`."""


def build(daemon: Daemon) -> FastAPI:
    """The application that serves this daemon."""
    app = FastAPI(
        title="Kajitori",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        generate_unique_id_function=_operation,
        responses=problems.RESPONSES,
    )
    app.state.daemon = daemon
    problems.install(app, pages.refusal)
    for noun in NOUNS:
        # Each by itself, with its prefix: else the framework makes every route twice, and once of it here.
        app.include_router(noun.router, prefix=PREFIX)
    app.include_router(metrics.router)
    app.include_router(pages.router)
    app.include_router(manual.router)
    derived = app.openapi

    def document_once() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document.linked(derived())
        return app.openapi_schema

    app.openapi = document_once  # type: ignore[method-assign] # the framework's own way to extend the document
    app.add_middleware(LimitedBody, pace=daemon.clock.pace)
    app.add_middleware(WholeSegments)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


class LimitedBody:
    """Refuses bodies that are longer than they may be, before they are in memory, and those that take too long."""

    def __init__(self, app: ASGIApp, pace: float) -> None:
        self._app = app
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stream = scope["path"] == f"{PREFIX}/readings"
        at_most = STREAM_AT_MOST if stream else BODY_AT_MOST
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if int(declared) > at_most and not stream:  # the server refuses what is no number
            await problems.plain(TOO_LONG.status_code, TOO_LONG.detail, field="body")(scope, receive, send)
            return
        seen, more = 0, True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s(STREAM_S if stream else BODY_S, self._pace)

        async def counted() -> Message:
            nonlocal seen, more
            try:
                async with asyncio.timeout_at(deadline if more else None):
                    message = await receive()
            except TimeoutError:
                raise TOO_SLOW from None
            more = message["type"] == "http.request" and bool(message.get("more_body", False))
            seen += len(message.get("body", b""))
            if seen > at_most:
                raise TOO_LONG
            return message

        await self._app(scope, counted, send)


TOO_SLOW = HTTPException(408, "the body took too long")
TOO_LONG = HTTPException(413, f"the body has more than {BODY_AT_MOST} octets")


class WholeSegments:
    """Keeps an encoded slash (`%2F`) inside its path segment: a serial number may hold one.

    It goes on as the full-width form, which every key and serial number is folded back from (NFKC).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw.lower():
            folded = re.sub(b"%2f", b"%EF%BC%8F", raw, flags=re.IGNORECASE)
            scope = {**scope, "path": unquote(folded.decode("ascii"))}
        await self._app(scope, receive, send)
