"""A link's period as inline SVG: low–high band, capacity, maintenance shaded, gaps hatched and never joined (§8.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

WIDTH, HEIGHT = 720, 150
LEFT, BOTTOM, TOP = 56, 18, 8
INNER_WIDTH = WIDTH - LEFT
INNER_HEIGHT = HEIGHT - BOTTOM - TOP


def graph(link: Mapping[str, Any], direction: Mapping[str, Any], label: str) -> str:
    """SVG of one direction. Contains numbers and our own words only, so that nothing needs escaping."""
    series = link["series"]
    mine = series[direction["direction"]]
    maintained = set(mine["maintenance"])
    step_s = series["step_ms"] / 1000
    low = [None if octets is None else octets * 8 / step_s for octets in mine["low"]]
    high = [None if octets is None else octets * 8 / step_s for octets in mine["high"]]
    capacity = direction["capacity"]["used_bps"] if direction["capacity"] else None
    top = max([1.0, *(bps for bps in low if bps is not None), *([capacity] if capacity else [])]) * 1.08
    draw = _Scale(max(1, len(low)), top)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{INNER_WIDTH}" height="{INNER_HEIGHT}"/>',
        *(
            f'<rect class="maintenance" {draw.columns(a, b)}/>'
            for a, b in _runs([n in maintained for n in range(len(low))])
        ),
        *(f'<rect class="gap" {draw.columns(a, b)}/>' for a, b in _runs([bps is None for bps in low])),
    ]
    for begin, end in _runs([bps is not None for bps in low]):
        parts += _stretch(draw, low[begin:end], high[begin:end], begin)
    if capacity:
        y = draw.y(capacity)
        parts.append(f'<line class="capacity" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>')
        parts.append(f'<text x="2" y="{y}">{_short(capacity)}</text>')
    parts.append(f'<text x="2" y="{HEIGHT - BOTTOM}">0</text></svg>')
    return "".join(parts)


class _Scale:
    def __init__(self, steps: int, top: float) -> None:
        self._width = INNER_WIDTH / steps
        self._top = top

    def x(self, step: float) -> str:
        return f"{LEFT + step * self._width:.2f}"

    def y(self, bps: float) -> str:
        return f"{TOP + INNER_HEIGHT * (1 - min(bps, self._top) / self._top):.2f}"

    def columns(self, begin: int, end: int) -> str:
        return f'x="{self.x(begin)}" y="{TOP}" width="{(end - begin) * self._width:.2f}" height="{INNER_HEIGHT}"'


def _stretch(draw: _Scale, low: Sequence[float | None], high: Sequence[float | None], begin: int) -> Iterator[str]:
    """One unbroken stretch: the band where high and low differ, and the line of the lows."""
    lows = [bps or 0.0 for bps in low]
    highs = [float("inf") if bps is None else bps for bps in high]
    if any(b > a for a, b in zip(lows, highs, strict=True)):
        there = [f"{draw.x(begin + i + 0.5)},{draw.y(bps)}" for i, bps in enumerate(highs)]
        back = [f"{draw.x(begin + i + 0.5)},{draw.y(bps)}" for i, bps in enumerate(lows)]
        yield f'<polygon class="band" points="{" ".join([*there, *reversed(back)])}"/>'
    # Each step is drawn as wide as it is, so that a single one between two gaps is seen.
    points = [f"{draw.x(begin + i + d)},{draw.y(bps)}" for i, bps in enumerate(lows) for d in (0, 1)]
    yield f'<polyline class="low" points="{" ".join(points)}"/>'


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    begin = 0
    for flag, group in groupby(flags):
        end = begin + len(list(group))
        if flag:
            yield begin, end
        begin = end


def _short(bps: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if bps >= size:
            return f"{bps / size:g} {unit}"
    return f"{bps:g}"
