"""A small plot as SVG: lines, steps, hatched gaps, level lines. Same input, same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 300
LEFT: Final = 56
RIGHT: Final = 12
TOP: Final = 28
BOTTOM: Final = 36
INK: Final = "#1f2933"
COLOURS: Final = ("#94a3b8", "#1d4ed8", "#b91c1c", "#047857")

Point = tuple[float, float | None]


@dataclass
class Plot:
    """Axes from (x0, 0) to (x1, y1), and what is drawn on them in order."""

    title: str
    x0: float
    x1: float
    y1: float
    unit: str
    ticks: Sequence[tuple[float, str]]
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)

    def line(self, points: Sequence[Point], colour: int, name: str, *, steps: bool = False, width: float = 1.0) -> None:
        """A line; a point without a value ends it: gaps are never joined."""
        run: list[str] = []
        before: float | None = None
        for x, y in points:
            if y is None:
                self._stroke(run, colour, width)
                run, before = [], None
                continue
            if steps and before is not None:
                run.append(self._at(x, before))
            run.append(self._at(x, y))
            before = y
        self._stroke(run, colour, width)
        self.legend.append((name, colour))

    def level(self, y: float, colour: int, name: str) -> None:
        """A dashed line across."""
        a, b = self._at(self.x0, y), self._at(self.x1, y)
        self.parts.append(f'<polyline points="{a} {b}" fill="none" stroke="{COLOURS[colour]}" stroke-dasharray="5 4"/>')
        self.legend.append((name, colour))

    def gap(self, begin: float, end: float, name: str) -> None:
        """Hatched time in which nobody measured."""
        x, right = self._x(begin), self._x(end)
        self.parts.append(
            f'<rect x="{x:.1f}" y="{TOP}" width="{right - x:.1f}" height="{HEIGHT - TOP - BOTTOM}" fill="url(#hatch)"/>'
        )
        self.legend.append((name, 0))

    def text(self) -> str:
        """The whole picture."""
        rows = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="11" fill="{INK}">',
            '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="2" height="6" fill="#cbd5e1"/></pattern></defs>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="16" font-size="13">{escape(self.title)}</text>',
        ]
        for share in range(5):
            y = self.y1 * share / 4
            at = self._y(y)
            rows.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#e2e8f0"/>')
            rows.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y:g}</text>')
        rows.append(f'<text x="6" y="{TOP - 2}">{escape(self.unit)}</text>')
        rows += self.parts
        for x, name in self.ticks:
            rows.append(f'<text x="{self._x(x):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{escape(name)}</text>')
        for number, (name, colour) in enumerate(self.legend):
            at = LEFT + number * 190
            rows.append(f'<rect x="{at}" y="{HEIGHT - 12}" width="14" height="4" fill="{COLOURS[colour]}"/>')
            rows.append(f'<text x="{at + 19}" y="{HEIGHT - 6}">{escape(name)}</text>')
        return "\n".join([*rows, "</svg>", ""])

    def _stroke(self, run: Sequence[str], colour: int, width: float) -> None:
        if len(run) > 1:
            self.parts.append(
                f'<polyline points="{" ".join(run)}" fill="none" stroke="{COLOURS[colour]}" stroke-width="{width}"/>'
            )

    def _x(self, x: float) -> float:
        return LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def _y(self, y: float) -> float:
        return HEIGHT - BOTTOM - y / self.y1 * (HEIGHT - TOP - BOTTOM)

    def _at(self, x: float, y: float) -> str:
        return f"{self._x(x):.1f},{self._y(y):.1f}"
