"""Errors as RFC 9457 problem details: one shape for every refusal of the API."""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from controller.api import document
from inventory.errors import FleetError

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


CODES: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}
"""Codes of refusals that the framework makes; all others are `bad-input`."""


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
        detail, field = _first(error)
        return plain(422, detail, field=field, next_step="Correct that field; /api/docs shows its form.")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        # 400 is what the framework says of a body that it cannot read: no UTF-8, nested too deep, numbers too long.
        status = 422 if error.status_code == http.HTTPStatus.BAD_REQUEST else error.status_code
        detail = "the body cannot be read" if status != error.status_code else _said(error)
        answer = plain(status, detail, field="body" if status in (413, 422) else None)
        answer.headers.update(error.headers or {})
        if status == http.HTTPStatus.METHOD_NOT_ALLOWED:  # the framework names the methods of one handler only
            allowed = document.methods(request.app.openapi(), request.url.path)
            answer.headers["Allow"] = ", ".join(sorted(allowed or {"GET"}))
        return answer

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # The text of an unforeseen error may hold anything, so only the log gets it, through the secret filter.
        log.error("unforeseen error", method=request.method, path=request.url.path, exc_info=error)
        return plain(500, "an unforeseen error; it is in the log", next_step="Report it with the log line.")


def plain(status: int, detail: str, *, field: str | None = None, next_step: str = "See /api/docs.") -> JSONResponse:
    """The refusal of a request that did not get as far as our own errors."""
    code = CODES.get(status, "bad-input" if status < http.HTTPStatus.INTERNAL_SERVER_ERROR else "fleet-error")
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


def _first(error: RequestValidationError) -> tuple[str, str]:
    """Sentence and place of the first thing wrong; the value itself is never repeated."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][-1]}", "body"
    if first["loc"] == ("body",):
        return "the body is no JSON object with Content-Type: application/json", "body"
    where, *inside = (str(part) for part in first["loc"])
    place = ".".join(inside) or where
    return f"{place}: {first['msg']}", place


def _said(error: HTTPException) -> str:
    match error.status_code:
        case http.HTTPStatus.NOT_FOUND:
            return "there is nothing at this path"
        case http.HTTPStatus.METHOD_NOT_ALLOWED:
            return "this path does not take that method"
        case _:
            return str(error.detail)
