"""CSV files of people: a header, rows by number, and a report that names row, column, rule and next step.

Whoever reads one collects every fault before anything is kept, so that a file is taken whole or not at all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inventory.errors import BadInput, FleetError

MAX_ROWS: Final = 100_000
YEN: Final = re.compile(r"[0-9]+|[0-9]{1,3}(,[0-9]{3})+")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: its number as a spreadsheet counts (the header is row 1), and its cells, trimmed, by column."""

    number: int
    cells: Mapping[str, str]
    ragged: str = ""
    """What is wrong with its number of cells; its cells are then not to be trusted."""

    def require_whole(self) -> None:
        """Raises BadInput for a row with too many or few cells."""
        if self.ragged:
            raise BadInput(self.ragged, next_step="Quote cells that hold a comma, and leave empty ones empty.")

    def __getitem__(self, column: str) -> str:
        """The cell; empty where the file has no such column."""
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with one row."""

    row: int
    column: str | None
    rule: str | None
    message: str
    next_step: str


def read(text: str, required: Sequence[str], optional: Sequence[str] = ()) -> tuple[CsvRow, ...]:
    """The rows of a CSV text whose header names all required and any optional columns, in any order. Empty rows are
    skipped; one with too many or few cells says so itself. Raises BadInput for another header, or more than 100,000
    rows."""
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise BadInput(
            f"row {reader.line_num} is no CSV: {error}",
            field=f"row {reader.line_num}",
            next_step="Save the table as CSV, UTF-8, with commas.",
        ) from None
    if not lines:
        raise BadInput("the file is empty", field="row 1", next_step=f"Begin with the header {','.join(required)}.")
    header = lines[0][1]
    _require_header(header, required, optional)
    if len(lines) - 1 > MAX_ROWS:
        raise BadInput(f"more than {MAX_ROWS:,} rows", field=f"row {MAX_ROWS + 2}", next_step="Split the file.")
    rows = []
    for number, cells in lines[1:]:
        if not any(cells):
            continue
        ragged = f"the row has {len(cells)} cells, the header {len(header)}" if len(cells) != len(header) else ""
        rows.append(CsvRow(number, dict(zip(header, cells, strict=False)), ragged))
    return tuple(rows)


def _require_header(header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    missing = [one for one in required if one not in header]
    strange = [one for one in header if one not in (*required, *optional)]
    twice = [one for one in header if header.count(one) > 1]
    for words, columns in (("lacks", missing), ("has the unknown", strange), ("has twice", twice)):
        if columns:
            raise BadInput(
                f"the header {words} column {columns[0][:40]}",
                field="row 1",
                next_step=f"Columns: {', '.join(required)}"
                + (f"; if wanted {', '.join(optional)}." if optional else "."),
            )


def fault(row: CsvRow, error: FleetError, column: str | None = None) -> RowFault:
    """The refusal of a row as a line of the report; `column` where the error's own field is none of the file's."""
    named = error.field if error.field in row.cells else column
    return RowFault(row.number, named, error.rule, error.message, error.next_step)


def whole_yen(text: str, column: str) -> int:
    """Whole yen, thousands separated by commas or not: `1,5` is neither 15 nor 1.5. Raises BadInput."""
    digits = text.replace(",", "")
    if not YEN.fullmatch(text) or len(digits) > 9:
        raise BadInput(f"{text[:40]!r} is no amount in whole yen", field=column, next_step="Write digits only.")
    return int(digits)


def refused(faults: Sequence[RowFault]) -> BadInput:
    """One refusal for a file with faults; the first is in the message, a hundred in the facts."""
    first = min(faults, key=lambda one: one.row)
    where = f"row {first.row}" + (f", column {first.column}" if first.column else "")
    more = f" ({len(faults)} faults in all)" if len(faults) > 1 else ""
    return BadInput(
        f"{where}: {first.message}{more}; nothing was imported",
        field=where,
        rule=first.rule,
        next_step=first.next_step or "Correct the rows that are named and send the whole file again.",
        facts={
            "faults": [
                {"row": one.row, "column": one.column, "rule": one.rule, "message": one.message} for one in faults[:100]
            ]
        },
    )
