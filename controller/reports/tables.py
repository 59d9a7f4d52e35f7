"""A report as CSV: UTF-8 with BOM, RFC 4180, instants with offset, units in the header row (§8.2)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inventory.periods import moment_at

BOM = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
GB = 1_000_000_000

LINK_COLUMNS = (
    "entry",
    "place",
    "interface",
    "direction",
    "volume low [GB]",
    "volume high [GB]",
    "mean [bit/s]",
    "max slot [bit/s]",
    "p95 low [bit/s]",
    "p95 high [bit/s]",
    "p95 grade",
    "convention",
    "busy hour [day]",
    "busy hour share [%]",
    "slots ≥ 90 %",
    "level start",
    "level end",
    "level changes",
    "coverage [%]",
    "unknown slots",
    "capacity [bit/s]",
    "capacity kind",
    "origins",
    "open proposal",
)


def csv_of(report: Mapping[str, Any], sha256: str) -> bytes:
    """CSV of a report: one row per link and direction, after rows that name the report."""
    period = report["period"]
    zone = period["zone"]
    rows: list[Sequence[object]] = [
        ("report", report["report"], "state", report["state"], "audience", report["audience"]),
        ("period", period["kind"], "from", period["first_day"], "to", period["last_day"], "zone", zone),
        ("made at", shown(report["made_ms"], zone), "data as of", shown(report["data_as_of_ms"], zone)),
        ("rule version", report["rule_version"], "sha256 of the JSON", sha256),
        LINK_COLUMNS,
    ]
    rows += [_row(link, direction) for link in report["links"] for direction in link["directions"]]
    return written(rows)


def _row(link: Mapping[str, Any], direction: Mapping[str, Any]) -> Sequence[object]:
    p95, busy, capacity = direction["p95"] or {}, direction["busy"] or {}, direction["capacity"] or {}
    return (
        link["entry"],
        link["place"],
        link["interface"],
        direction["direction"],
        _gigabytes(direction["volume_low_octets"]),
        _gigabytes(direction["volume_high_octets"]),
        direction["mean_bps"],
        direction["max_slot_bps"],
        p95.get("low_bps"),
        p95.get("high_bps"),
        p95.get("grade"),
        (link["p95"] or {}).get("convention"),
        busy.get("day"),
        _percent(busy.get("util")),
        direction["hot90"],
        direction["level_start"],
        direction["level_end"],
        direction["level_changes"],
        _percent(direction["coverage"]),
        direction["unknown_slots"],
        capacity.get("used_bps"),
        capacity.get("kind"),
        " ".join(sorted({origin for day in link["days"] for origin in day["origins"]})),
        link["proposal"],
    )


def written(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV. A text that a spreadsheet would take for a formula gets a quote before it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
    return (BOM + text.getvalue()).encode()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _gigabytes(octets: int | None) -> str | None:
    return None if octets is None else f"{octets / GB:.3f}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"


def shown(at_ms: int | None, zone: str) -> str | None:
    """An instant in a zone, ISO 8601 with offset, to the second."""
    return None if at_ms is None else moment_at(at_ms, zone).isoformat(timespec="seconds")
