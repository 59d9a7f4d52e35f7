"""`/api/docs`: the operations of the API as one page, made of its own OpenAPI document; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from controller.web.pages import rendered

router = APIRouter(include_in_schema=False)
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the page shows it."""

    method: str
    path: str
    summary: str
    takes: str
    answers: str


@router.get("/api/docs")
async def manual(request: Request) -> HTMLResponse:
    """All operations, by noun."""
    document: Mapping[str, Any] = request.app.openapi()
    nouns: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                found = methods[method]
                noun = (found.get("tags") or ["other"])[0]
                nouns.setdefault(noun, []).append(_operation(method, path, found))
    return rendered("api.html", description=document["info"]["description"], nouns=sorted(nouns.items()))


def _operation(method: str, path: str, found: Mapping[str, Any]) -> Operation:
    takes = [
        f"{one['name']}{'' if one.get('required') else '?'}"
        for one in found.get("parameters", ())
        if one["in"] != "path"
    ]
    body = found.get("requestBody", {}).get("content", {})
    takes += [_named(form.get("schema", {})) for form in body.values()]
    answers = [
        f"{status} {_named(form.get('schema', {}))}".strip()
        for status, answer in found["responses"].items()
        if status.startswith("2")
        for form in (list(answer.get("content", {}).values()) or [{}])
    ]
    summary = found.get("description") or found.get("summary", "")
    return Operation(method.upper(), path, summary, ", ".join(takes), ", ".join(answers))


def _named(schema: Mapping[str, Any]) -> str:
    """Name of a schema; a list of it with brackets."""
    if schema.get("type") == "array":
        return f"[{_named(schema.get('items', {}))}]"
    return str(schema.get("$ref", schema.get("title", ""))).rpartition("/")[2]
