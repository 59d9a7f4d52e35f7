"""The tables of each kind of report (§8.1): columns with their units, rows out of the JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inventory.periods import moment_at
from inventory.qualityreport import COUNTED
from inventory.reporting import Kind

Unit = Literal["text", "word", "octets", "bps", "share", "count", "number", "instant", "words"]
Report = Mapping[str, Any]
Row = Sequence[object]
SLOT_S = 300
LEVELS = ("calm", "watch", "congested", "critical")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name among the words, and its unit."""

    name: str
    unit: Unit = "text"
    before: str = ""
    """A word that goes before the name, such as the direction."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of raw values; octets, bit/s, shares and instants stay numbers until they are shown."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    keys: int
    """So many columns from the left say which row it is."""
    of_the_period: bool = True
    """Whether late data alone change it; what was known when the report was made is never corrected."""


def tables_of(report: Report) -> list[Table]:
    """Tables of a report, the main one first."""
    return _TABLES[Kind(report["kind"])](report)


CONTRACTOR_COLUMNS = (
    Column("entry"),
    Column("place"),
    Column("interface"),
    Column("direction", "word"),
    Column("volume_low", "octets"),
    Column("volume_high", "octets"),
    Column("mean", "bps"),
    Column("max_slot", "bps"),
    Column("p95_low", "bps"),
    Column("p95_high", "bps"),
    Column("p95_grade"),
    Column("convention"),
    Column("busy_day"),
    Column("busy_hour"),
    Column("busy_util", "share"),
    Column("hot90", "count"),
    Column("level_start", "word"),
    Column("level_end", "word"),
    Column("level_changes", "count"),
    Column("coverage", "share"),
    Column("unknown", "count"),
    Column("maintenance_minutes", "count"),
    Column("capacity", "bps"),
    Column("capacity_kind", "word"),
    Column("saturation", "word"),
    Column("saturation_early", "word"),
    Column("saturation_late", "word"),
    Column("origins"),
    Column("proposal", "count"),
)


def _contractor(report: Report) -> list[Table]:
    rows = tuple(_direction(link, direction) for link in report["links"] for direction in link["directions"])
    return [Table("table", CONTRACTOR_COLUMNS, rows, 4)]


def _direction(link: Mapping[str, Any], direction: Mapping[str, Any]) -> Row:
    p95, busy, capacity = direction["p95"] or {}, direction["busy"] or {}, direction["capacity"] or {}
    saturation = direction["saturation"] or {}
    return (
        link["entry"],
        link["place"],
        link["interface"],
        direction["direction"],
        direction["volume_low_octets"],
        direction["volume_high_octets"],
        direction["mean_bps"],
        direction["max_slot_bps"],
        p95.get("low_bps"),
        p95.get("high_bps"),
        p95.get("grade"),
        (link["p95"] or {}).get("convention"),
        busy.get("day"),
        _clock(busy.get("start_slot")),
        busy.get("util"),
        direction["hot90"],
        LEVELS[direction["level_start"]],
        LEVELS[direction["level_end"]],
        direction["level_changes"],
        direction["coverage"],
        direction["unknown_slots"],
        direction["maintenance_minutes"],
        capacity.get("used_bps"),
        capacity.get("kind"),
        saturation.get("date"),
        saturation.get("early"),
        saturation.get("late"),
        " ".join(sorted({origin for day in link["days"] for origin in day["origins"]})),
        link["proposal"]["proposal"] if link["proposal"] else None,
    )


def _clock(slot: int | None) -> str | None:
    """Local time at which the slot of a day of 24 hours begins."""
    return None if slot is None else f"{slot // 12:02d}:{slot % 12 * 5:02d}"


def _link(report: Report) -> list[Table]:
    """The summary as for a contractor, then a row a step: what passed, how sure that is, what it is judged by."""
    link = report["links"][0] if report["links"] else None
    columns = [Column("time", "instant")]
    for direction in ("down", "up"):
        columns += [
            Column("mean", "bps", direction),
            Column("max_slot", "bps", direction),
            Column("low", "bps", direction),
            Column("high", "bps", direction),
            Column("coverage", "share", direction),
            Column("flags", "words", direction),
            Column("drops", "count", direction),
            Column("errors", "count", direction),
            Column("capacity", "bps", direction),
            Column("capacity_kind", "word", direction),
        ]
    rows = [] if link is None else [_step(link, at) for at in range(len(link["series"]["down"]["low"]))]
    return [Table("steps", tuple(columns), tuple(rows), 1), *_contractor(report)]


def _step(link: Mapping[str, Any], at: int) -> Row:
    series = link["series"]
    step_s = series["step_ms"] // 1000
    cells: list[object] = [series["start_ms"] + at * series["step_ms"]]
    for direction in link["directions"]:
        mine, capacity = series[direction["direction"]], direction["capacity"] or {}
        low, high, top = mine["low"][at], mine["high"][at], mine["max_slot_octets"][at]
        cells += [
            _bps(low, step_s) if mine["complete"][at] else None,
            _bps(top, SLOT_S),
            _bps(low, step_s),
            _bps(high, step_s),
            mine["covered_ms"][at] / series["step_ms"],
            mine["flags"][at],
            mine["drops"][at],
            mine["errors"][at] if "errors" in mine else None,
            capacity.get("used_bps"),
            capacity.get("kind"),
        ]
    return cells


def _bps(octets: int | None, seconds: int) -> int | None:
    return None if octets is None else (octets * 8 * 2 + seconds) // (2 * seconds)


def _annex(report: Report) -> list[Table]:
    columns = (
        Column("entry"),
        Column("place"),
        Column("interface"),
        Column("convention"),
        Column("slots", "count"),
        Column("rank", "count"),
        Column("invoiced", "bps"),
        Column("p95_high", "bps"),
        Column("grade"),
        Column("first_slot", "instant"),
        Column("slots_sha256"),
    )
    fields = (
        "entry",
        "place",
        "interface",
        "convention",
        "n",
        "k",
        "low_bps",
        "high_bps",
        "grade",
        "first_slot_ms",
        "slots_sha256",
    )
    return [Table("table", columns, tuple(tuple(link[name] for name in fields) for link in report["links"]), 3)]


def _fleet(report: Report) -> list[Table]:
    proposals = report["proposals"]
    summary = [
        ("links", report["links_known"]),
        ("entered", report["entered"]),
        ("cleared", report["cleared"]),
        ("stale", report["stale"]),
        ("proposals_open", proposals["open"]),
        *((f"proposals_made {kind}", n) for kind, n in proposals["made"].items()),
        *((f"proposals_decided {state}", n) for state, n in proposals["decided"].items()),
    ]
    levels = (*LEVELS, "not_judged")
    return [
        Table("summary", (Column("figure", "word"), Column("number", "count")), tuple(summary), 1),
        Table(
            "levels",
            (Column("model"), *(Column(level, "count") for level in levels)),
            tuple((row["model"], *(row[level] for level in levels)) for row in report["levels"]),
            1,
        ),
        _top("top_busy", report["top_busy"]),
        _top("top_growth", report["top_growth"]),
        Table(
            "coverage_table",
            (Column("at_least", "share"), Column("directions", "count")),
            tuple((row["at_least"], row["directions"]) for row in report["coverage"]),
            1,
        ),
        *_record(report.get("record")),
    ]


def _record(found: Mapping[str, Any] | None) -> list[Table]:
    """How good forecasts have been. Documents of before it was told, and fleets without back-tests, have no rows."""
    names = ("origins", "warnings", "came_true", "median_lead_days", "false_per_100_link_months")
    figures = [] if found is None else [(f"record_{name}", found[name]) for name in names]
    errors = [] if found is None else [(one["weeks"], one["mae"], one["naive_mae"]) for one in found["horizons"]]
    return [
        Table("record", (Column("figure", "word"), Column("number", "number")), tuple(figures), 1, of_the_period=False),
        Table(
            "record_errors",
            (Column("weeks_ahead", "count"), Column("mae", "share"), Column("naive_mae", "share")),
            tuple(errors),
            1,
            of_the_period=False,
        ),
    ]


def _top(name: str, found: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("entry"),
        Column("place"),
        Column("interface"),
        Column("direction", "word"),
        Column("model"),
        Column("busy_util", "share"),
        Column("growth", "share"),
        Column("level", "word"),
    )
    return Table(name, columns, tuple(tuple(one[column.name] for column in columns) for one in found), 4)


def _quality(report: Report) -> list[Table]:
    figures = (Column("slots", "count"), Column("unknown", "count"), *(Column(f.value, "count") for f in COUNTED))
    groups = (Column("source"), Column("model"), Column("interfaces", "count"), *figures)
    worst = (Column("entry"), Column("place"), Column("interface"), Column("source"), Column("model"), *figures)
    return [
        Table("by_source", groups, tuple(tuple(row[c.name] for c in groups) for row in report["groups"]), 2),
        Table("worst", worst, tuple(tuple(row[c.name] for c in worst) for row in report["worst"]), 3),
    ]


_TABLES: Mapping[Kind, Callable[[Report], list[Table]]] = {
    Kind.LINK: _link,
    Kind.CONTRACTOR: _contractor,
    Kind.ANNEX: _annex,
    Kind.FLEET: _fleet,
    Kind.QUALITY: _quality,
}


def shown(at_ms: int | None, zone: str) -> str | None:
    """An instant in a zone, ISO 8601 with offset, to the second."""
    return None if at_ms is None else moment_at(at_ms, zone).isoformat(timespec="seconds")
