"""Made-up traffic with a known truth: slots, counters for past days, and a live counter that goes on from them.

Seeded: the same profile gives the same octets, in whatever order it is asked. Model and defaults: metering
specification §10, with a first-order autoregression in place of fractional noise. Inside a slot octets are even.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

SLOT_MS = 300_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS

Kind = Literal["home", "office", "backup"]

# (hour of the local day, share of the busy hour), joined smoothly.
SHAPES: dict[Kind, tuple[tuple[float, float], ...]] = {
    "home": ((4, 0.15), (12, 0.45), (21, 1.0), (28, 0.15)),
    "office": ((0, 0.08), (6, 0.08), (10.5, 0.95), (12.25, 0.7), (14.5, 1.0), (21, 0.08), (24, 0.08)),
    "backup": ((0, 0.02), (24, 0.02)),
}
WEEKDAYS: dict[Kind, tuple[float, ...]] = {
    "home": (1, 1, 1, 1, 1, 1.05, 1.05),
    "office": (1, 1, 1, 1, 1, 0.55, 0.5),
    "backup": (1, 1, 1, 1, 1, 1, 1),
}
UP_SHARE: dict[Kind, float] = {"home": 0.12, "office": 0.4, "backup": 3.0}
BACKUP_FROM_HOUR, BACKUP_HOURS = 2.0, 40 / 60
UP_CORRELATION = 0.6
BURSTS_A_DAY = 3.0
BURST_MAX_MS = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class Profile:
    """One line's traffic. Shares are of the capacity."""

    seed: int
    kind: Kind
    capacity_bps: int
    """Of each direction; nothing passes above it."""
    busy_share: float
    """Mean of the busy hour in the first week, 0.05 to 1.1."""
    growth_per_week: float = 0.0
    """Linear, −0.01 to 0.02."""
    day_sigma: float = 0.06
    bursts: bool = True
    zone: str = "Asia/Tokyo"


@dataclass(frozen=True, slots=True)
class CounterReading:
    """What a device would have shown: 64-bit counters as the device counts (in = received)."""

    t_ms: int
    in_octets: int
    out_octets: int
    uptime_cs: int


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with readings: shares of readings lost and repeated, and instants of reboots."""

    missed: float = 0.0
    duplicates: float = 0.0
    reboots_ms: tuple[int, ...] = ()


class Traffic:
    """The traffic of one WAN interface from `start_ms`, which must lie on the 5-minute grid, without end."""

    def __init__(self, profile: Profile, start_ms: int) -> None:
        if start_ms % SLOT_MS:
            raise ValueError(f"start_ms {start_ms} is not a multiple of {SLOT_MS}")
        self.profile = profile
        self.start_ms = start_ms
        self._zone = ZoneInfo(profile.zone)
        self._noise = random.Random(f"noise {profile.seed}")  # noqa: S311  # a seeded series is the point
        self._daily = random.Random(f"days {profile.seed}")  # noqa: S311
        self._bursts = random.Random(f"bursts {profile.seed}")  # noqa: S311
        mean_mbps = max(0.1, profile.busy_share * profile.capacity_bps / 1e6)
        self._sigma = 0.05 + 0.35 / math.sqrt(mean_mbps)
        self._z = [0.0, 0.0]
        self._u = 0.0
        self._day = ""
        self._burst_at_ms = start_ms + self._next_burst_ms()
        self._burst_end_ms = self._burst_at_ms
        self._burst_height = 0.0
        self._totals: list[tuple[int, int]] = [(0, 0)]

    def slots(self, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """The truth: (in, out) octets of each slot of [start_ms, end_ms), on the grid, from the start on."""
        first, last = self._index(start_ms), self._index(end_ms)
        self._grow(last)
        pairs = zip(self._totals[first:last], self._totals[first + 1 : last + 1], strict=True)
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairs]

    def octets_at(self, t_ms: int) -> tuple[int, int]:
        """(in, out) octets since the start, at any instant from it on; what a 64-bit counter shows."""
        if t_ms < self.start_ms:
            raise ValueError(f"{t_ms} lies before the start {self.start_ms}")
        index, rest_ms = divmod(t_ms - self.start_ms, SLOT_MS)
        self._grow(index + 1)
        a, b = self._totals[index], self._totals[index + 1]
        return a[0] + (b[0] - a[0]) * rest_ms // SLOT_MS, a[1] + (b[1] - a[1]) * rest_ms // SLOT_MS

    def readings(
        self, start_ms: int, end_ms: int, *, step_ms: int = SLOT_MS, faults: Faults | None = None
    ) -> Iterator[CounterReading]:
        """Readings every `step_ms` from start_ms to end_ms, both included, with the faults asked for."""
        faults = faults or Faults()
        chance = random.Random(f"faults {self.profile.seed}")  # noqa: S311
        for t_ms in range(start_ms, end_ms + 1, step_ms):
            if chance.random() < faults.missed:
                continue
            boot_ms = max((b for b in faults.reboots_ms if b <= t_ms), default=None)
            before = (0, 0) if boot_ms is None else self.octets_at(boot_ms)
            now = self.octets_at(t_ms)
            since_ms = t_ms - (self.start_ms - DAY_MS if boot_ms is None else boot_ms)
            reading = CounterReading(t_ms, now[0] - before[0], now[1] - before[1], since_ms // 10)
            yield reading
            if chance.random() < faults.duplicates:
                yield reading

    def saturation_week(self, share: float = 0.85) -> int | None:
        """First week (from 0) whose noise-free busy hour reaches `share` of the capacity; None if never."""
        missing = share - self.profile.busy_share
        if missing <= 0:
            return 0
        growth = self.profile.busy_share * self.profile.growth_per_week
        return math.ceil(missing / growth) if growth > 0 else None

    def _index(self, t_ms: int) -> int:
        if t_ms < self.start_ms or t_ms % SLOT_MS:
            raise ValueError(f"{t_ms} lies before the start or off the 5-minute grid")
        return (t_ms - self.start_ms) // SLOT_MS

    def _grow(self, slots: int) -> None:
        while len(self._totals) <= slots:
            t_ms = self.start_ms + (len(self._totals) - 1) * SLOT_MS
            down, up = self._rates_bps(t_ms)
            into, out = self._totals[-1]
            self._totals.append((into + round(down * 37.5), out + round(up * 37.5)))

    def _rates_bps(self, t_ms: int) -> tuple[float, float]:
        """Mean rates of the slot at `t_ms`. Called once for each slot, in order: the noise has a memory."""
        p = self.profile
        moment = datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(self._zone)
        if moment.date().isoformat() != self._day:
            self._day = moment.date().isoformat()
            self._u = 0.5 * self._u + self._daily.gauss(0, p.day_sigma * math.sqrt(1 - 0.5**2))
        own = self._noise.gauss(0, 1), self._noise.gauss(0, 1)
        mixed = own[0], UP_CORRELATION * own[0] + math.sqrt(1 - UP_CORRELATION**2) * own[1]
        step = self._sigma * math.sqrt(1 - 0.9**2)
        self._z = [0.9 * z + step * e for z, e in zip(self._z, mixed, strict=True)]
        weeks = (t_ms - self.start_ms) / WEEK_MS
        base = p.capacity_bps * p.busy_share * (1 + p.growth_per_week * weeks)
        base *= shape(p.kind, moment + timedelta(milliseconds=SLOT_MS // 2))
        base *= WEEKDAYS[p.kind][moment.weekday()] * math.exp(self._u)
        burst = self._burst_bps(t_ms) if p.bursts else 0.0
        down = base * math.exp(self._z[0]) + burst
        up = base * UP_SHARE[p.kind] * math.exp(self._z[1])
        return min(down, p.capacity_bps), min(up, p.capacity_bps)

    def _next_burst_ms(self) -> int:
        return round(self._bursts.expovariate(BURSTS_A_DAY) * DAY_MS)

    def _burst_bps(self, t_ms: int) -> float:
        """Mean over the slot of what the bursts add; they do not overlap."""
        total = 0.0
        while True:
            overlap_ms = min(self._burst_end_ms, t_ms + SLOT_MS) - max(self._burst_at_ms, t_ms)
            if overlap_ms > 0:
                total += self._burst_height * overlap_ms / SLOT_MS
            if self._burst_end_ms >= t_ms + SLOT_MS:
                return total
            self._burst_at_ms = self._burst_end_ms + self._next_burst_ms()
            length_ms = min(BURST_MAX_MS, round(30_000 * self._bursts.paretovariate(1.5)))
            self._burst_end_ms = self._burst_at_ms + length_ms
            self._burst_height = self._bursts.uniform(0.2, 1.0) * self.profile.capacity_bps


def shape(kind: Kind, moment: datetime) -> float:
    """Share of the busy hour at a local time."""
    hour = moment.hour + moment.minute / 60 + moment.second / 3600
    if kind == "backup" and BACKUP_FROM_HOUR <= hour < BACKUP_FROM_HOUR + BACKUP_HOURS:
        return 1.0
    points = SHAPES[kind]
    if hour < points[0][0]:
        hour += 24
    for (begin, low), (end, high) in pairwise(points):
        if hour <= end:
            smooth = (1 - math.cos(math.pi * (hour - begin) / (end - begin))) / 2
            return low + (high - low) * smooth
    return points[-1][1]


def ndjson(entry: str, interface: str, readings: Iterator[CounterReading]) -> Iterator[bytes]:
    """Lines for the import of past readings (`POST /api/v1/readings`)."""
    for r in readings:
        line = {
            "entry": entry,
            "interface": interface,
            "at_ms": r.t_ms,
            "in_octets": r.in_octets,
            "out_octets": r.out_octets,
            "counter_bits": 64,
            "uptime_cs": r.uptime_cs,
            "source": "import",
        }
        yield json.dumps(line, separators=(",", ":")).encode() + b"\n"
