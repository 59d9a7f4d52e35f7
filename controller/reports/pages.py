"""A report as one HTML file: inline SVG, no scripts, prints on A4 (§8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from controller.reports.graphs import graph
from controller.reports.tables import shown
from inventory.congestion import Level

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def html_of(report: Mapping[str, Any], sha256: str) -> bytes:
    """HTML of a report. Texts from outside are escaped; the graphs hold none."""
    zone = report["period"]["zone"]
    page = _environment.get_template("report.html.j2")
    text = page.render(
        report=report,
        sha256=sha256,
        made=shown(report["made_ms"], zone),
        as_of=shown(report["data_as_of_ms"], zone),
        graph=_graph,
    )
    return text.encode()


def _graph(link: Mapping[str, Any], direction: Mapping[str, Any]) -> Markup:
    return Markup(graph(link, direction))  # noqa: S704  # numbers and our own words only


def _rate(bps: float | None) -> str:
    return "no bound" if bps is None else f"{bps / 1e6:,.2f} Mbit/s"


def _volume(octets: int | None) -> str:
    return "no bound" if octets is None else f"{octets / 1e9:,.2f} GB"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _level(level: int) -> str:
    return Level(level).name.lower()


_environment.filters.update(rate=_rate, volume=_volume, share=_share, level=_level)
