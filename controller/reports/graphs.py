"""A link's period as inline SVG: band, capacity, p95, maintenance shaded, gaps hatched and never joined (§8.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from inventory.periods import day_of, day_start_ms, moment_at

WIDTH, HEIGHT = 720, 176
LEFT, BOTTOM, TOP = 64, 20, 12
INNER_WIDTH = WIDTH - LEFT
INNER_HEIGHT = HEIGHT - BOTTOM - TOP
LABELS_AT_MOST: Final = 9
HOUR_MS: Final = 3_600_000


def graph(link: Mapping[str, Any], direction: Mapping[str, Any], label: str, zone: str) -> str:
    """SVG of one direction over local time. Contains numbers and our own words only, so that nothing needs escaping."""
    series = link["series"]
    mine = series[direction["direction"]]
    maintained = set(mine["maintenance"])
    step_s = series["step_ms"] / 1000
    unmeasured = set(mine.get("unmeasured", ()))  # documents of before it was told have none
    low = [None if octets is None or n in unmeasured else octets * 8 / step_s for n, octets in enumerate(mine["low"])]
    high = [None if octets is None else octets * 8 / step_s for octets in mine["high"]]
    capacity = direction["capacity"]["used_bps"] if direction["capacity"] else None
    p95 = direction.get("p95") or {"low_bps": None, "high_bps": None}
    known = [bps for bps in (*low, capacity, p95["low_bps"], p95["high_bps"]) if bps is not None]
    # What is possible may be a hundred times what was: it goes to the edge instead of pressing everything else down.
    ceiling = 1.5 * max([1.0, *(bps for bps in (*low, capacity, p95["low_bps"]) if bps is not None)])
    draw = _Scale(max(1, len(low)), min(ceiling, max([1.0, *known]) * 1.08))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
        *_across(draw),
        *_along(draw, series["start_ms"], series["step_ms"], zone),
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{INNER_WIDTH}" height="{INNER_HEIGHT}"/>',
        *(
            f'<rect class="maintenance" {draw.columns(a, b)}/>'
            for a, b in _runs([n in maintained for n in range(len(low))])
        ),
        *(f'<rect class="gap" {draw.columns(a, b)}/>' for a, b in _runs([bps is None for bps in low])),
    ]
    for begin, end in _runs([bps is not None for bps in low]):
        parts += _stretch(draw, low[begin:end], high[begin:end], begin)
    parts += _percentile(draw, p95["low_bps"], p95["high_bps"])
    if capacity:
        y = draw.y(capacity)
        parts.append(f'<line class="capacity" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>')
        parts.append(f'<text class="end" x="{WIDTH - 2}" y="{float(y) - 2:.2f}">{rate(capacity)}</text>')
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True, slots=True)
class _Scale:
    steps: int
    top: float

    def x(self, step: float) -> str:
        return f"{LEFT + step * INNER_WIDTH / self.steps:.2f}"

    def y(self, bps: float) -> str:
        return f"{TOP + INNER_HEIGHT * (1 - min(bps, self.top) / self.top):.2f}"

    def columns(self, begin: int, end: int) -> str:
        width = (end - begin) * INNER_WIDTH / self.steps
        return f'x="{self.x(begin)}" y="{TOP}" width="{width:.2f}" height="{INNER_HEIGHT}"'


def _across(draw: _Scale) -> Iterator[str]:
    """Lines at round rates, two to five of them, each with its rate."""
    size = 10.0 ** (len(f"{draw.top:.0f}") - 1)
    apart = next(one for one in (size / 5, size / 2, size, 2 * size, 5 * size) if draw.top / one < 6)
    for n in range(int(draw.top / apart) + 1):
        y = draw.y(n * apart)
        yield f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>'
        yield f'<text class="end" x="{LEFT - 4}" y="{float(y) + 3:.2f}">{rate(n * apart) if n else 0}</text>'


def _along(draw: _Scale, start_ms: int, step_ms: int, zone: str) -> Iterator[str]:
    """A mark at local midnights, or at every third hour of a day or two, each with its date or time."""
    for at_ms, text in _marks(start_ms, start_ms + draw.steps * step_ms, zone):
        x = draw.x((at_ms - start_ms) / step_ms)
        yield f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{HEIGHT - BOTTOM + 3}"/>'
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 13}">{text}</text>'


def _marks(start_ms: int, end_ms: int, zone: str) -> Iterator[tuple[int, str]]:
    first, last = day_of(start_ms, zone), day_of(end_ms - 1, zone)
    days = (last - first).days + 1
    if days <= 2:
        hour_ms = -(-start_ms // HOUR_MS) * HOUR_MS
        for at_ms in range(hour_ms, end_ms, HOUR_MS):
            moment = moment_at(at_ms, zone)
            if moment.hour % (3 * days) == 0 and moment.minute == 0:
                yield at_ms, f"{moment:%m-%d}" if days == 2 and moment.hour == 0 else f"{moment:%H:%M}"
        return
    for n in range(0, days, -(-days // LABELS_AT_MOST)):
        day: date = first + timedelta(days=n)
        yield max(start_ms, day_start_ms(day, zone)), f"{day:%m-%d}"


def _percentile(draw: _Scale, low: int | None, high: int | None) -> Iterator[str]:
    """The 95th percentile as the interval that it is; open to the top where it has no bound."""
    if low is None:
        return
    top = draw.top if high is None else high
    y, bottom = draw.y(top), draw.y(low)
    yield f'<rect class="interval" x="{LEFT}" y="{y}" width="{INNER_WIDTH}" height="{float(bottom) - float(y):.2f}"/>'
    yield f'<line class="p95" x1="{LEFT}" y1="{bottom}" x2="{WIDTH}" y2="{bottom}"/>'
    if high is not None and high <= draw.top:
        yield f'<line class="p95" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>'
    yield f'<text class="begin" x="{LEFT + 3}" y="{float(y) - 2:.2f}">p95</text>'


def _stretch(draw: _Scale, low: Sequence[float | None], high: Sequence[float | None], begin: int) -> Iterator[str]:
    """One unbroken stretch: the band where high and low differ, and the line of the lows.

    Each step is drawn as wide as it is, so that a single one between two gaps is seen.
    """
    lows = [bps or 0.0 for bps in low]
    highs = [float("inf") if bps is None else bps for bps in high]

    def edges(rates: Sequence[float], first: int) -> list[str]:
        return [f"{draw.x(first + i + d)},{draw.y(bps)}" for i, bps in enumerate(rates) for d in (0, 1)]

    for a, b in _runs([most > least for least, most in zip(lows, highs, strict=True)]):
        around = [*edges(highs[a:b], begin + a), *reversed(edges(lows[a:b], begin + a))]
        yield f'<polygon class="band" points="{" ".join(around)}"/>'
    yield f'<polyline class="low" points="{" ".join(edges(lows, begin))}"/>'


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    begin = 0
    for flag, group in groupby(flags):
        end = begin + len(list(group))
        if flag:
            yield begin, end
        begin = end


def rate(bps: float) -> str:
    """A rate with its unit, to four digits."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bps >= size:
            return f"{bps / size:.4g} {unit}"
    return f"{bps:.4g} bit/s"
