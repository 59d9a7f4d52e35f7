"""What commands print: tables for people, JSON for programs, complaints on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: object) -> None:
    """One JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True), flush=True)


def show_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table with one line a row; a missing value is a dash."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def show_fields(value: Mapping[str, Any]) -> None:
    """Name and value, one a line."""
    width = max((len(name) for name in value), default=0)
    for name, field in value.items():
        out.print(f"{name.replace('_', ' '):<{width}}  {_cell(field)}", markup=False)


def show_told(told: Mapping[str, Any], as_json: bool) -> None:
    """An explanation: the sentence, the chain of facts, the next action."""
    if as_json:
        show_json(told)
        return
    out.print(f"{told['subject']}: {told['word']}", markup=False)
    out.print(told["summary"], markup=False)
    for fact in told["facts"]:
        rule = f" [{fact['rule']}]" if fact["rule"] else ""
        out.print(f"  {fact['at']}  {fact['text']}  ({fact['source']}){rule}", markup=False)
    out.print(f"→ {told['next_action']}", markup=False)


def complain(what: str, next_step: str = "") -> None:
    """A refusal: what is wrong, then what to do."""
    err.print(f"kajitori: {what}", markup=False)
    if next_step:
        err.print(f"  → {next_step}", markup=False)


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
