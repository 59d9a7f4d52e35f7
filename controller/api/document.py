"""The OpenAPI document: what the framework derives, and how an answer leads to the next request (links)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Document = dict[str, Any]

SOURCES: Final[Mapping[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    ("contractors", "key"): (("create_contractor", "key"), ("list_contractors", "items/0/key")),
    ("managements", "key"): (("create_management", "key"), ("list_managements", "items/0/key")),
    ("applications", "application_id"): (("create_application", "id"), ("list_applications", "items/0/id")),
    ("contracts", "key"): (("list_contracts", "items/0/key"), ("create_application", "lines/0/key")),
    ("records", "record_id"): (("create_record", "id"), ("list_records", "items/0/id")),
    ("companies", "company_id"): (("create_company", "id"), ("list_companies", "items/0/id")),
    ("entries", "key"): (("list_entries", "items/0/key"),),
    ("standbys", "key"): (("list_standbys", "items/0/key"),),
    ("adapters", "serial"): (("register", "serial_number"), ("list_adapters", "items/0/serial_number")),
    ("configs", "version_id"): (("write_working", "id"), ("list_configs", "items/0/id")),
    ("plans", "plan_id"): (("make_plan", "id"), ("list_plans", "items/0/id")),
    ("pushes", "push_id"): (("start_push", "id"), ("list_pushes", "items/0/id")),
    ("operations", "operation_id"): (("start_operation", "id"), ("list_operations", "items/0/id")),
    ("links", "link_id"): (("create_link", "id"), ("list_links", "items/0/id")),
    ("proposals", "proposal_id"): (("list_proposals", "items/0/id"),),
    ("api-keys", "key_id"): (("create_api_key", "id"),),
}
"""Noun and path parameter → operations whose answer holds such a value, and where."""


def linked(document: Document) -> Document:
    """The document with links: from what makes or lists a thing to every operation on one of them."""
    operations = {one["operationId"]: one for _, one in _operations(document)}
    for path, operation in _operations(document):
        found = re.match(r"/api/v1/([a-z-]+)/\{(\w+)\}", path)
        if found is None:
            continue
        for source, place in SOURCES.get((found[1], found[2]), ()):
            answer = next(one for status, one in operations[source]["responses"].items() if status.startswith("2"))
            answer.setdefault("links", {})[operation["operationId"]] = {
                "operationId": operation["operationId"],
                "parameters": {found[2]: f"$response.body#/{place}"},
            }
    return document


def methods(document: Document, path: str) -> set[str]:
    """Methods that the operations at a path take, in upper case: what `Allow` says."""
    allowed: set[str] = set()
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            allowed |= {method.upper() for method in operations}
    return allowed


def _operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation
