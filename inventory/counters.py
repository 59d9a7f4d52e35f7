"""Readings of an interface counter become increments: octets that passed in a stretch of time.

Nothing is invented: a pair of readings that does not tell the octets for certain gives an interval
(`octets_min`, `octets_max`), never a zero or an average. Source: metering specification §2.2, §2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Literal

ALLOWANCE_MS = 15_000
"""Counters behind a cache or a slow line card may show octets that passed this much earlier."""
MEASURED_MAX_MS = 450_000
"""Longest pair whose octets may be spread evenly over time: one and a half slots."""
PAIR_MAX_MS = 86_400_000
WRAP_32 = 1 << 32

CounterBits = Literal[32, 64]


class Flag(StrEnum):
    """How an increment, and so the slots it touches, came to be known."""

    MEASURED = "measured"
    DERIVED = "derived"
    RESET = "reset"
    GAP = "gap"
    AMBIGUOUS = "ambiguous"
    CLOCK = "clock"
    STATE = "state"
    OUTLIER = "outlier"
    MAINTENANCE = "maintenance"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Reading:
    """One direction's counter of one interface at one instant of the controller's clock."""

    t_ms: int
    octets: int
    uptime_cs: int | None = None
    """sysUpTime in hundredths of a second, fetched in the same answer as the counter."""
    discontinuity: int | None = None
    """ifCounterDiscontinuityTime, if the device has it."""
    name: str = ""
    """Name of the interface; an interface is never identified by its index."""
    restarted_at_ms: int | None = None
    """Time of a system restart since the reading before, known from elsewhere (power-on phone-home)."""


@dataclass(frozen=True, slots=True)
class Increment:
    """Octets that passed in [t0_ms, t1_ms). `octets_max` None: no bound is known."""

    t0_ms: int
    t1_ms: int
    octets_min: int
    octets_max: int | None
    flag: Flag
    marks: frozenset[Flag] = frozenset()
    """Further flags for the slots touched, such as `clock` or `state`."""
    packets: int | None = None
    """Packets in this direction, where the device tells them."""
    drops: int | None = None
    """Packets that the device threw away on their way out, where it tells them beside those that left."""
    errors: int | None = None
    """Frames with an error in this direction, where the device tells them: a fault of the line, never congestion."""
    again: bool = False
    """Its time is covered a second time, since the controller's clock went back: its octets are added (§2.1)."""

    @property
    def length_ms(self) -> int:
        return self.t1_ms - self.t0_ms

    @property
    def exact(self) -> bool:
        """Whether the octets are certain and near enough in time to be spread evenly (§2.4)."""
        return self.flag is Flag.MEASURED or (
            self.flag is Flag.DERIVED and self.length_ms <= MEASURED_MAX_MS and self.octets_max is not None
        )


@dataclass(frozen=True, slots=True)
class Paired:
    """Increments in order of time, and how many readings the outlier rule dropped."""

    increments: tuple[Increment, ...]
    outliers: int = 0


def plausible_octets(speed_bps: int | None, length_ms: int) -> int | None:
    """Most octets a counter may show after `length_ms` (§2.3 `allow`); None where the speed is unknown."""
    return None if speed_bps is None else speed_bps * (length_ms + ALLOWANCE_MS) // 8_000


def physical_octets(speed_bps: int | None, length_ms: int) -> int | None:
    """Bound for octets that nobody counted (§2.3 `cap`); None where the speed is unknown."""
    return None if speed_bps is None else speed_bps * length_ms // 8_000


def pair(a: Reading, b: Reading, bits: CounterBits, speed_bps: int | None) -> tuple[Increment, ...]:
    """Increments between two consecutive readings of one interface, by the first rule of §2.3 that fits.

    `speed_bps` is the port speed (the larger one if it changed in between), None if unknown.
    Gives at most two increments, in order, which together cover [a.t_ms, b.t_ms); none if b is not later.
    """
    return _judge(a, b, bits, speed_bps)[1]


def pair_all(
    readings: Iterable[Reading], bits: CounterBits, speed_bps: int | None, *, drop_outliers: bool = False
) -> Paired:
    """Increments of a series of readings in order of arrival; duplicates and disorder do not matter.

    Of readings with the same instant the first to arrive counts. With `drop_outliers`, one impossible
    reading between two good ones is left out (§2.2).
    """
    ordered = in_order(readings)
    kept = _without_outliers(ordered, bits, speed_bps) if drop_outliers else ordered
    found = tuple(increment for a, b in pairwise(kept) for increment in pair(a, b, bits, speed_bps))
    return Paired(found, len(ordered) - len(kept))


def in_order(readings: Iterable[Reading]) -> list[Reading]:
    """Readings by time, the first copy of each instant only."""
    first: dict[int, Reading] = {}
    for reading in readings:
        first.setdefault(reading.t_ms, reading)
    return [first[t_ms] for t_ms in sorted(first)]


def _without_outliers(ordered: Sequence[Reading], bits: CounterBits, speed_bps: int | None) -> Sequence[Reading]:
    if speed_bps is None or len(ordered) < 3:
        return ordered
    kept = [ordered[0]]
    for b, c in pairwise(ordered[1:]):
        if not _is_outlier(kept[-1], b, c, bits, speed_bps):
            kept.append(b)
    kept.append(ordered[-1])
    return kept


def is_outlier(a: Reading, b: Reading, c: Reading, bits: CounterBits, speed_bps: int | None) -> bool:
    """Whether b is one impossible reading between two good ones (§2.2); never, where the port speed is unknown."""
    return speed_bps is not None and _is_outlier(a, b, c, bits, speed_bps)


def _is_outlier(a: Reading, b: Reading, c: Reading, bits: CounterBits, speed_bps: int) -> bool:
    allowed = plausible_octets(speed_bps, b.t_ms - a.t_ms)
    if allowed is None or b.octets <= allowed or _judge(a, b, bits, speed_bps)[0] not in (5, 6, 10):
        return False
    rule, found = _judge(a, c, bits, speed_bps)
    return rule in (7, 11) and found[0].flag in (Flag.MEASURED, Flag.DERIVED)


def _judge(a: Reading, b: Reading, bits: CounterBits, speed_bps: int | None) -> tuple[int, tuple[Increment, ...]]:
    """The number of the rule that fits, and its increments."""
    length_ms = b.t_ms - a.t_ms
    if length_ms <= 0:
        return 1, ()
    if a.name != b.name or length_ms > PAIR_MAX_MS:
        return 2, _lost(a, b, Flag.GAP, speed_bps)
    if b.restarted_at_ms is not None:
        return 3, _counted_since(b.restarted_at_ms, a, b, speed_bps)
    if _restart_declared(a, b):
        return 3, _restarted(a, b, bits, speed_bps)
    if None not in (a.discontinuity, b.discontinuity) and a.discontinuity != b.discontinuity:
        return 4, _lost(a, b, Flag.RESET, speed_bps)
    return _judge_64(a, b, speed_bps) if bits == 64 else _judge_32(a, b, speed_bps)


def _judge_64(a: Reading, b: Reading, speed_bps: int | None) -> tuple[int, tuple[Increment, ...]]:
    """Rules 5 to 7. A decrease is never a wrap: 2⁶⁴ octets take 11.7 years at 400 Gbit/s."""
    counted = b.octets - a.octets
    allow = plausible_octets(speed_bps, b.t_ms - a.t_ms)
    if counted < 0:
        return 5, _lost(a, b, Flag.RESET, speed_bps)
    if allow is not None and counted > allow:
        return 6, _lost(a, b, Flag.AMBIGUOUS, speed_bps)
    return 7, _certain(a, b, counted)


def _judge_32(a: Reading, b: Reading, speed_bps: int | None) -> tuple[int, tuple[Increment, ...]]:
    """Rules 8 to 11."""
    if b.octets < a.octets and None in (a.uptime_cs, b.uptime_cs):
        return 8, _lost(a, b, Flag.AMBIGUOUS, speed_bps)
    allow = plausible_octets(speed_bps, b.t_ms - a.t_ms)
    if allow is None:
        return 9, (Increment(a.t_ms, b.t_ms, max(0, b.octets - a.octets), None, Flag.AMBIGUOUS),)
    counted = (b.octets - a.octets) % WRAP_32
    if counted > allow:
        return 10, _lost(a, b, Flag.RESET if b.octets < a.octets else Flag.AMBIGUOUS, speed_bps)
    wraps = (allow - counted) // WRAP_32
    if wraps:
        return 11, (Increment(a.t_ms, b.t_ms, counted, counted + wraps * WRAP_32, Flag.AMBIGUOUS),)
    return 11, _certain(a, b, counted)


def _lost(a: Reading, b: Reading, flag: Flag, speed_bps: int | None) -> tuple[Increment, ...]:
    """The whole pair, with anything up to the physical bound."""
    return (Increment(a.t_ms, b.t_ms, 0, physical_octets(speed_bps, b.t_ms - a.t_ms), flag),)


def _certain(a: Reading, b: Reading, octets: int) -> tuple[Increment, ...]:
    return (Increment(a.t_ms, b.t_ms, octets, octets, _certain_flag(b.t_ms - a.t_ms)),)


def _certain_flag(length_ms: int) -> Flag:
    return Flag.MEASURED if length_ms <= MEASURED_MAX_MS else Flag.DERIVED


def _restart_declared(a: Reading, b: Reading) -> bool:
    if a.uptime_cs is None or b.uptime_cs is None or _uptime_wrapped(a.uptime_cs, b.uptime_cs, b.t_ms - a.t_ms):
        return False
    return b.uptime_cs < a.uptime_cs or b.uptime_cs * 10 + 5_000 < b.t_ms - a.t_ms


def _uptime_wrapped(a_cs: int, b_cs: int, length_ms: int) -> bool:
    """Whether sysUpTime ran over its 32 bits, after 497.1 days, rather than the device restarting."""
    expected_ms = a_cs * 10 + length_ms
    if b_cs >= a_cs or expected_ms < (WRAP_32 - 3_000) * 10:
        return False
    apart_ms = (b_cs * 10 - expected_ms) % (WRAP_32 * 10)
    apart_ms = min(apart_ms, WRAP_32 * 10 - apart_ms)
    # At most 3000 + length/1000 hundredths, in tens of microseconds so that nothing is rounded.
    return apart_ms * 100 <= 3_000_000 + length_ms


def _restarted(a: Reading, b: Reading, bits: CounterBits, speed_bps: int | None) -> tuple[Increment, ...]:
    """Rule 3: a restart that the uptimes declare."""
    length_ms = b.t_ms - a.t_ms
    allow = plausible_octets(speed_bps, length_ms)
    cap = physical_octets(speed_bps, length_ms)
    if b.octets >= a.octets:
        # Perhaps only the SNMP agent restarted and the counters ran on: the difference is certain.
        counted = b.octets - a.octets
        if allow is not None and counted > allow:
            return _lost(a, b, Flag.AMBIGUOUS, speed_bps)
        high = None if cap is None else max(cap, counted)
        return (Increment(a.t_ms, b.t_ms, counted, high, Flag.AMBIGUOUS),)
    if bits == 32 and (allow is None or (b.octets - a.octets) % WRAP_32 <= allow):
        return _lost(a, b, Flag.AMBIGUOUS, speed_bps)
    assert b.uptime_cs is not None
    return _counted_since(b.t_ms - b.uptime_cs * 10, a, b, speed_bps)


def _counted_since(boot_ms: int, a: Reading, b: Reading, speed_bps: int | None) -> tuple[Increment, ...]:
    """The counter began at zero at `boot_ms`: b's octets are certain, those before it are lost."""
    boot_ms = max(min(boot_ms, b.t_ms - 10), a.t_ms)
    allow = plausible_octets(speed_bps, b.t_ms - boot_ms)
    if allow is not None and b.octets > allow:
        return _lost(a, b, Flag.AMBIGUOUS, speed_bps)
    tail = Increment(boot_ms, b.t_ms, b.octets, b.octets, Flag.DERIVED)
    if boot_ms == a.t_ms:
        return (tail,)
    lost = physical_octets(speed_bps, boot_ms - a.t_ms)
    return (Increment(a.t_ms, boot_ms, 0, lost, Flag.RESET), tail)


@dataclass(frozen=True, slots=True)
class RateReport:
    """A heartbeat that states a rate and no count. `rate` in octets/s since the sender's last heartbeat."""

    t_ms: int
    rate: int | None
    """None: a packet without the rate, the first after a start or a re-confirmation."""


def spread_rates(reports: Iterable[RateReport], interval_ms: int) -> tuple[Increment, ...]:
    """Increments of heartbeats that carry only rates (§2.3 "Rates only").

    A lost packet loses its octets for good: its time is a gap without a bound. The first packet only sets
    the beginning, with or without a rate. `interval_ms` is the heartbeat interval.
    """
    first: dict[int, RateReport] = {}
    for report in reports:
        first.setdefault(report.t_ms, report)
    ordered = [first[t_ms] for t_ms in sorted(first)]
    return tuple(
        increment for before, report in pairwise(ordered) for increment in rate_pair(before.t_ms, report, interval_ms)
    )


def rate_pair(before_ms: int, report: RateReport, interval_ms: int) -> tuple[Increment, ...]:
    """Increments that one rate report adds after a packet at `before_ms`; none if it is not later."""
    if report.t_ms <= before_ms:
        return ()
    if report.rate is None:
        return (Increment(before_ms, report.t_ms, 0, None, Flag.GAP),)
    begin_ms = before_ms
    if 2 * (report.t_ms - before_ms) > 3 * interval_ms:
        begin_ms = max(before_ms, report.t_ms - interval_ms)
    octets = report.rate * (report.t_ms - begin_ms) // 1_000
    counted = Increment(begin_ms, report.t_ms, octets, octets, _certain_flag(report.t_ms - begin_ms))
    if begin_ms == before_ms:
        return (counted,)
    return (Increment(before_ms, begin_ms, 0, None, Flag.GAP), counted)
