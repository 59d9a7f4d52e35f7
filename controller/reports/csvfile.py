"""A report as CSV: UTF-8 with BOM, RFC 4180, instants with offset, units in the header row (§8.2)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from controller.reports.tables import Column, Report, Table, Unit, shown, tables_of
from controller.reports.words import say, sentence, value_of
from inventory.reporting import Language

BOM = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
GB = 1_000_000_000
UNITS: Mapping[Unit, str] = {"octets": "GB", "bps": "bit/s", "share": "%"}


def csv_of(report: Report, sha256: str, language: Language) -> bytes:
    """CSV of a report: rows that name the report, what a correction changed, then each table."""
    period, zone = report["period"], report["period"]["zone"]

    def w(word: str) -> str:
        return say(language, word)

    rows: list[Sequence[object]] = [
        (w("report id"), report["report"], w("state"), w(report["state"]), w("audience"), report["audience"]),
        (w("period"), w(period["kind"]), w("from"), period["first_day"], w("to"), period["last_day"], w("zone"), zone),
        (w("made"), shown(report["made_ms"], zone), w("data as of"), shown(report["data_as_of_ms"], zone)),
        (w("rules"), report["rule_version"], w("digest"), sha256),
    ]
    if report["correction"] is not None:
        rows.append((say(language, "correction", **{k: report["correction"][k] for k in ("number", "replaces")}),))
        rows += [(one["row"], one["column"], one["old"], one["new"]) for one in report["correction"]["changed"]]
    tables = tables_of(report)
    if report["kind"] == "fleet":
        rows += [(sentence(change, language),) for change in report["changes"]]
    for number, table in enumerate(tables):
        if number or len(tables) > 1:
            rows.append((w(table.name),))
        rows.append([heading(column, language) for column in table.columns])
        rows += [cells(table, row, zone, language) for row in table.rows]
    return written(rows)


def heading(column: Column, language: Language) -> str:
    """Name of a column with its unit."""
    name = value_of(language, "state flag") if column.name == "state" else say(language, column.name)
    before = f"{say(language, column.before)} " if column.before else ""
    unit = UNITS.get(column.unit)
    return f"{before}{name} [{unit}]" if unit else f"{before}{name}"


def cells(table: Table, row: Sequence[object], zone: str, language: Language) -> list[object]:
    """A row as it is shown, rounded as it is shown."""
    return [cell(value, column.unit, zone, language) for column, value in zip(table.columns, row, strict=True)]


def cell(value: object, unit: Unit, zone: str, language: Language) -> object:
    """A value as CSV shows it: GB with three places, percent with one, bit/s whole."""
    match unit, value:
        case _, None:
            return None
        case "octets", int():
            return f"{value / GB:.3f}"
        case "share", int() | float():
            return f"{100 * value:.1f}"
        case "number", int() | float():
            return f"{value:.1f}".removesuffix(".0")
        case "instant", int():
            return shown(value, zone)
        case "words", list():
            return " ".join(value_of(language, "state flag" if one == "state" else str(one)) for one in value)
        case "word", str():
            return worded(value, language)
        case _:
            return value


def worded(value: str, language: Language) -> str:
    """A value in words; `proposals_made line` and the like are a sentence with a part."""
    word, _, part = value.partition(" ")
    if part and word in {"proposals_made", "proposals_decided"}:
        what = value_of(language, f"{part} remedy" if word == "proposals_made" else part)
        return say(language, word, what=what.strip(": ："))
    return value_of(language, value)


def written(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV. A text that a spreadsheet would take for a formula gets a quote before it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_safe(value) for value in row] for row in rows])
    return (BOM + text.getvalue()).encode()


def _safe(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA) and not _number(value):
        return f"'{value}"
    return "" if value is None else value


def _number(text: str) -> bool:
    """Whether a text is a figure of ours with a sign, such as a falling share."""
    return text.removeprefix("-").replace(".", "", 1).isdigit() and text.isascii()
