"""A report as one HTML file: inline SVG, no scripts, prints on A4 (§8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from controller.reports.csvfile import worded
from controller.reports.graphs import graph
from controller.reports.tables import CONTRACTOR_COLUMNS, Column, Report, Row, Table, Unit, shown, tables_of
from controller.reports.words import say, sentence, title_of, value_of
from inventory.reporting import Language

STEPS_ON_SCREEN: Final = 300
"""Rows of steps beyond which the page shows the graph only; the CSV has them all, paper none."""

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def html_of(report: Report, sha256: str, language: Language) -> bytes:
    """HTML of a report. Texts from outside are escaped; the graphs hold none."""
    zone = report["period"]["zone"]
    tables = [one for one in tables_of(report) if one.name != "steps" or len(one.rows) <= STEPS_ON_SCREEN]

    def w(word: str, **parts: object) -> str:
        return say(language, word, **parts)

    def heading(column: Column) -> str:
        name = value_of(language, "state flag") if column.name == "state" else w(column.name)
        return f"{w(column.before)} {name}" if column.before else name

    text = _environment.get_template("report.html.j2").render(
        report=report,
        title=title_of(report, language),
        language=language.value,
        sha256=sha256,
        sentences=[sentence(change, language) for change in report["changes"]],
        tables=[_narrow(one, language) for one in tables],
        made=shown(report["made_ms"], zone),
        as_of=shown(report["data_as_of_ms"], zone),
        w=w,
        heading=heading,
        cell=lambda value, unit: page_cell(value, unit, zone, language),
        called=called,
        row_called=lambda row: _row_called(row, language),
        column_called=lambda column: " ".join(value_of(language, part) for part in column.split(" ")),
        interval=lambda p95: _interval(p95, language),
        graph=lambda link, direction: _graph(link, direction, zone, language),
        proposal_text=lambda one: (one.get("text_ja") if language is Language.JAPANESE else None) or one["text"],
    )
    return text.encode()


PAGE_COLUMNS: Final = (
    Column("place"),
    Column("volume"),
    Column("mean", "bps"),
    Column("p95"),
    Column("busy_util"),
    Column("hot90", "count"),
    Column("level_start", "word"),
    Column("level_end", "word"),
    Column("level_changes", "count"),
    Column("coverage", "share"),
    Column("unknown", "count"),
    Column("maintenance_minutes", "count"),
    Column("capacity"),
    Column("saturation"),
    Column("proposal", "count"),
)
"""What a page shows of the contractor's columns, some of them in one cell, so that it fits on A4."""


def _narrow(table: Table, language: Language) -> Table:
    if table.columns != CONTRACTOR_COLUMNS:
        return table
    return Table(table.name, PAGE_COLUMNS, tuple(_narrow_row(row, language) for row in table.rows), 1)


def _narrow_row(row: Row, language: Language) -> Row:
    cell = dict(zip((column.name for column in CONTRACTOR_COLUMNS), row, strict=True))

    def show(name: str, unit: Unit) -> str:
        return page_cell(cell[name], unit, "UTC", language)

    def between(low: str, high: str) -> str:
        return low if low == high else f"{low} – {high or say(language, 'no bound')}"

    early, late = show("saturation_early", "word"), show("saturation_late", "word")
    measured = cell["p95_low"] is not None
    p95 = f"{between(show('p95_low', 'bps'), show('p95_high', 'bps'))} {show('p95_grade', 'text')}"
    return (
        f"{called(cell)}, {cell['interface']} {show('direction', 'word')}",
        between(show("volume_low", "octets"), show("volume_high", "octets")),
        cell["mean"],
        p95 if measured else "",
        f"{show('busy_util', 'share')} {show('busy_day', 'text')} {show('busy_hour', 'text')}".strip(),
        cell["hot90"],
        cell["level_start"],
        cell["level_end"],
        cell["level_changes"],
        cell["coverage"],
        cell["unknown"],
        cell["maintenance_minutes"],
        f"{show('capacity', 'bps')} ({show('capacity_kind', 'word')})" if cell["capacity"] else "",
        show("saturation", "word") + (f" ({early} – {late})" if early else ""),
        cell["proposal"],
    )


def called(where: Mapping[str, Any]) -> str:
    """A place by its name, if it has one, and its entry."""
    return f"{where['place']} ({where['entry']})" if where["place"] else str(where["entry"])


def _row_called(row: str, language: Language) -> str:
    """A row of a correction, which the JSON names by its table and the cells that say which one it is, for people."""
    table, _, cells = row.partition(": ")
    found = ", ".join(value_of(language, cell) for cell in cells.split(", ") if cell)
    return found if table == "table" else f"{value_of(language, table)}: {found}"


def page_cell(value: object, unit: Unit, zone: str, language: Language) -> str:
    """A value for people: Mbit/s and GB with two places, percent with one."""
    match unit, value:
        case _, None:
            return ""
        case "bps", int():
            return f"{value / 1e6:,.2f} Mbit/s"
        case "octets", int():
            return f"{value / 1e9:,.2f} GB"
        case "share", int() | float():
            return f"{round(100 * value, 1) + 0.0:.1f} %"  # and no “-0.0”
        case "number", int() | float():
            return f"{value:,.1f}".removesuffix(".0")
        case "instant", int():
            return (shown(value, zone) or "")[:16].replace("T", " ")
        case "words", list():
            return " ".join(value_of(language, "state flag" if one == "state" else str(one)) for one in value)
        case "word", str():
            return worded(value, language)
        case _:
            return str(value)


def _interval(p95: Mapping[str, Any], language: Language) -> str:
    low = page_cell(p95["low_bps"], "bps", "UTC", language)
    if p95["high_bps"] is None:
        return f"{low} – {say(language, 'no bound')}"
    high = page_cell(p95["high_bps"], "bps", "UTC", language)
    return low if low == high else f"{low} – {high}"


def _graph(link: Mapping[str, Any], direction: Mapping[str, Any], zone: str, language: Language) -> Markup:
    label = say(language, direction["direction"])
    return Markup(graph(link, direction, label, zone))  # noqa: S704  # numbers and our own words only
