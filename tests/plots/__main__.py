"""`python -m tests.plots`: write the pictures of docs/metering.md, from the real series of tests/corpus/traffic."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from inventory.counters import Reading, pair_all
from inventory.forecast import UTIL_THRESHOLD, outlook
from inventory.metering import p95_interval, rate_bps
from inventory.timeslots import SLOT_MS, bounds, slot
from tests.plots.svg import Plot

ROOT: Final = Path(__file__).parent.parent.parent
CORPUS: Final = ROOT / "tests" / "corpus" / "traffic"
FOLDER: Final = ROOT / "docs" / "metering"
PORT_BPS: Final = 100_000_000_000


def rows(name: str) -> Iterator[dict[str, str]]:
    """Rows of a corpus file without its notes."""
    path = CORPUS / name
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def bursts() -> str:
    """The busiest port of a lab router: what ten seconds show and five minutes hide."""
    series: dict[str, list[Reading]] = {}
    for row in rows("run11-leaf7-counters.csv.gz"):
        reading = Reading(
            int(row["time_ms"]), int(row["bytes_sent"]), discontinuity=int(row["last_discontinuity_time"])
        )
        series.setdefault(row["interface"], []).append(reading)
    name, readings = max(series.items(), key=lambda item: item[1][-1].octets - item[1][0].octets)
    paired = pair_all(readings, 64, PORT_BPS)
    start, end = readings[0].t_ms // SLOT_MS * SLOT_MS, -(-readings[-1].t_ms // SLOT_MS) * SLOT_MS
    slots = slot(paired.increments, start, end)
    whole = [rate_bps(o) / 1e9 if ms >= 299_000 else None for o, ms in zip(slots.known, slots.covered_ms, strict=True)]
    fine = [(one.t1_ms, one.octets_min * 8 / one.length_ms / 1e6) for one in paired.increments]
    limits = bounds(slots, PORT_BPS)
    inside = [i for i, rate in enumerate(whole) if rate is not None]
    p95 = p95_interval([limits.known[i] for i in inside], ())
    hours = [(start + n * 1_800_000, f"{n / 2:g} h") for n in range(1, int((end - start) // 1_800_000) + 1)]
    plot = Plot(f"{name} sent, readings 11 s apart", start, end, 16.0, "Gbit/s", hours)
    plot.line(fine, 0, "between two readings")
    plot.line([(start + i * SLOT_MS, rate) for i, rate in enumerate(whole)], 1, "5-minute slots", steps=True, width=1.8)
    plot.level(rate_bps(p95.low) / 1e9, 2, f"p95 {rate_bps(p95.low) / 1e9:.2f} Gbit/s")
    return plot.text()


def gaps() -> str:
    """Two weeks of a server, of which half a day was not polled: an interval, and never a made-up number."""
    octets = [round(float(row["value"])) for row in rows("ec2_network_in_257a54.csv")]
    total, readings = 0, [Reading(0, 0)]
    for number, value in enumerate(octets, 1):
        total += value
        readings.append(Reading(number * SLOT_MS, total))
    hole = range(2_000, 2_144)
    n, speed = len(octets), 1_000_000
    kept = [one for i, one in enumerate(readings) if i not in hole]
    truth = bounds(slot(pair_all(readings, 64, None).increments, 0, n * SLOT_MS), None)
    found = bounds(slot(pair_all(kept, 64, None).increments, 0, n * SLOT_MS), speed)
    sure, wide = p95_interval(truth.known, truth.groups), p95_interval(found.known, found.groups)
    days = [(d * 86_400_000, f"day {d}") for d in range(1, 14, 2)]
    plot = Plot("network in of one server, 14 days; half a day without polls", 0, n * SLOT_MS, 0.6, "Mbit/s", days)
    known = [None if i in range(hole.start - 1, hole.stop) else rate_bps(o) / 1e6 for i, o in enumerate(octets)]
    plot.gap((hole.start - 1) * SLOT_MS, hole.stop * SLOT_MS, "nobody measured")
    plot.line([(i * SLOT_MS, min(rate, 0.6) if rate is not None else None) for i, rate in enumerate(known)], 1, "slots")
    low, high = (rate_bps(o or 0) / 1e6 for o in (wide.low, wide.high))
    plot.level(low, 2, f"p95 {low:.4f} to {high:.4f}")
    plot.level(rate_bps(sure.low) / 1e6, 3, f"with all readings {rate_bps(sure.low) / 1e6:.4f}")
    return plot.text()


def outlooks() -> str:
    """Twenty weeks of a research network's address: weekly busy hours and what they foretell."""
    days: dict[date, list[float]] = {}
    for row in rows("ip103-hourly-weeks01-20.csv"):
        at = datetime.fromisoformat(row["hour_start_utc"]).astimezone(UTC)
        days.setdefault(at.date(), []).append(int(row["n_bytes"]) * 8 / 3_600)
    first = min(days)
    first -= timedelta(days=first.weekday())
    weeks: list[float | None] = []
    for number in range(20):
        monday = first + timedelta(days=7 * number)
        busy = [max(days[day]) for n in range(7) if len(days.get(day := monday + timedelta(days=n), ())) >= 22]
        weeks.append(median(busy) if len(busy) >= 4 else None)
    capacity = 60_000_000
    told = outlook(first, weeks, UTIL_THRESHOLD * capacity)
    ticks = [(float(n), (first + timedelta(days=7 * n)).isoformat()) for n in range(0, 20, 4)]
    plot = Plot(f"busy hour of each week; forecast: {told.saturation}", 0, 19.5, 60.0, "Mbit/s", ticks)
    plot.line([(n, None if y is None else y / 1e6) for n, y in enumerate(weeks)], 1, "weekly median", width=1.8)
    if told.slope_bps_per_week is not None and told.level_last_week_bps is not None and told.used_from is not None:
        s, level = told.slope_bps_per_week / 1e6, told.level_last_week_bps / 1e6
        trend = [(float(n), level + s * (n - 19)) for n in (told.used_from, 19)]
        plot.line(trend, 3, f"trend {s:+.2f} a week, Z {told.mann_kendall_z or 0:.2f}")
    plot.level(UTIL_THRESHOLD * capacity / 1e6, 2, "85 % of 60 Mbit/s")
    return plot.text()


PLOTS: Final = {"bursts.svg": bursts, "gaps.svg": gaps, "outlook.svg": outlooks}


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PLOTS.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
