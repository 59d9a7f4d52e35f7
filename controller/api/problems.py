"""Errors as RFC 9457 problem details: one shape for every refusal of the API."""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from inventory.errors import FleetError

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """Why a request was not carried out. Nothing of it was applied."""

    type: str = Field(description="Link to the paragraph of docs/errors.md about this code.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and where; never holds a secret.")
    code: str = Field(description="Stable code of the error; the class of the error tells what to do.")
    rule: str | None = Field(default=None, description="Id of the service term that speaks, such as MPC-3.2.")
    field: str | None = Field(default=None, description="Input field, or its place (row, line, column).")
    next_step: str = Field(default="", description="What to do now.")
    facts: dict[str, Any] = Field(default_factory=dict, description="Facts that the decision rests on.")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused; nothing was applied.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""Documented for every operation."""


def problem(error: FleetError) -> JSONResponse:
    """The answer that carries an error."""
    body = Problem(
        type=f"/docs/errors#{error.code}",
        title=error.code.replace("-", " ").capitalize(),
        status=error.http_status,
        detail=error.message,
        code=error.code,
        rule=error.rule,
        field=error.field,
        next_step=error.next_step,
        facts=error.facts,
    )
    headers = {"WWW-Authenticate": "Bearer"} if error.http_status == http.HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(
        body.model_dump(mode="json"), status_code=error.http_status, media_type=MEDIA_TYPE, headers=headers
    )


def install(app: FastAPI, page: Callable[[FleetError], Response]) -> None:
    """Turn every exception that leaves a handler into a problem; on the status pages into a page."""

    @app.exception_handler(FleetError)
    async def fleet_error(request: Request, error: FleetError) -> Response:
        return page(error) if request.url.path.startswith("/status") else problem(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _plain(422, "bad-input", *_first(error), next_step="Correct that field; /api/docs shows its form.")

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        phrase = http.HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "-")
        answer = _plain(error.status_code, code, str(error.detail or phrase), None, next_step="See /api/docs.")
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # The text of an unforeseen error may hold anything, so only the log gets it, through the secret filter.
        log.error("unforeseen error", method=request.method, path=request.url.path, exc_info=error)
        return _plain(
            500, "fleet-error", "an unforeseen error; it is in the log", None, next_step="Report it with the log line."
        )


def _first(error: RequestValidationError) -> tuple[str, str]:
    """Sentence and place of the first thing wrong; the value itself is never repeated."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body",)) or "body"
    return f"{place}: {first['msg']}", place


def _plain(status: int, code: str, detail: str, field: str | None = None, *, next_step: str) -> JSONResponse:
    body = Problem(
        type=f"/docs/errors#{code}",
        title=code.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        code=code,
        field=field,
        next_step=next_step,
    )
    return JSONResponse(body.model_dump(mode="json"), status_code=status, media_type=MEDIA_TYPE)
