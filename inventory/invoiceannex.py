"""What an invoice rests on: each link's percentile, its rank, and a digest of the slots it is the rank of (§8.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from inventory.linkdays import direction_series
from inventory.links import Direction
from inventory.metering import Convention, Grade, Interval, higher, p95_interval, rank, rate_bps
from inventory.reporthead import Json, ReportHead, envelope
from inventory.reportseries import LINE_DIRECTIONS, DirectionSeries
from inventory.timeslots import SLOT_MS
from inventory.trafficreport import LinkMaterial


def build(head: ReportHead, links: Sequence[LinkMaterial]) -> Json:
    """The annex of a contractor's month. A percentile of grade C is never invoiced without a person (§3.2)."""
    rows = [_link(material) for material in links]
    doubtful: list[Json] = [
        {
            "what": "grade",
            "entry": row["entry"],
            "place": row["place"],
            "interface": row["interface"],
            "grade": row["grade"],
        }
        for row in rows
        if row["grade"] in (None, Grade.C.value)
    ]
    return envelope(head, doubtful, links=rows)


def _link(material: LinkMaterial) -> Json:
    link, n = material.link, len(material.into.known)
    series = direction_series(link, material.into, material.out)
    found: Interval | None = None
    if n:
        down, up = (p95_interval(series[d][1].known, series[d][1].groups) for d in LINE_DIRECTIONS)
        found = higher(down, up)
    return {
        "link": link.id,
        "entry": f"E-{link.entry_id}",
        "place": material.place,
        "interface": link.interface,
        "convention": Convention.MAX_OF_P95.value,
        "n": n,
        "k": rank(n) if n else None,
        "first_slot_ms": material.into.start_ms if n else None,
        "low_octets": None if found is None else found.low,
        "low_bps": None if found is None else rate_bps(found.low),
        "high_bps": None if found is None or found.high is None else rate_bps(found.high),
        "grade": None if found is None else found.grade.value,
        "slots_sha256": slots_digest(material.into.start_ms, series[Direction.DOWN], series[Direction.UP]),
    }


def slots_digest(start_ms: int, down: DirectionSeries, up: DirectionSeries) -> str:
    """SHA-256 of the slot list: a line a slot of start, least and most octets down, least and most octets up.

    Numbers are decimal with commas between, each line ends with a line feed; an open bound is empty.
    """
    lines = (
        f"{start_ms + i * SLOT_MS},{a},{'' if b is None else b},{c},{'' if d is None else d}\n"
        for i, (a, b, c, d) in enumerate(zip(down[1].low, down[1].high, up[1].low, up[1].high, strict=True))
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
