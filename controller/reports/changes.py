"""What a report made again shows otherwise than the one before (§8.4)."""

from __future__ import annotations

from controller.reports.csvfile import cells
from controller.reports.tables import Report, Table, tables_of
from inventory.reporting import Language

CELLS_AT_MOST = 1_000
"""A correction lists so many cells; the count is whole."""


def changed_cells(before: Report, after: Report) -> list[dict[str, object]]:
    """Cells that differ by more than their rounding, by row and column, old and new; a missing row has none."""
    found: list[dict[str, object]] = []
    for old, new in zip(tables_of(before), tables_of(after), strict=True):
        if not new.of_the_period:
            continue
        rows_before, rows_after = _rows(old, before), _rows(new, after)
        for key in dict.fromkeys([*rows_after, *rows_before]):
            empty: list[object] = [None] * len(new.columns)
            was, now = rows_before.get(key, empty), rows_after.get(key, empty)
            for column, one, other in zip(new.columns, was, now, strict=True):
                if one != other:
                    name = f"{column.before} {column.name}".strip()
                    found.append({"row": key, "column": name, "old": _text(one), "new": _text(other)})
    return found


def _rows(table: Table, report: Report) -> dict[str, list[object]]:
    zone = report["period"]["zone"]
    shown = [cells(table, row, zone, Language.ENGLISH) for row in table.rows]
    return {f"{table.name}: " + ", ".join(str(cell) for cell in row[: table.keys]): row for row in shown}


def _text(cell: object) -> str | None:
    return None if cell is None else str(cell)
