"""Kept readings of one interface become increments of both directions (metering specification §2.1 to §2.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from controller.store.traffic import Kept
from inventory.counters import (
    MEASURED_MAX_MS,
    PAIR_MAX_MS,
    Flag,
    Increment,
    RateReport,
    Reading,
    is_outlier,
    pair,
    plausible_octets,
    rate_pair,
)
from inventory.slotrun import Counted

DIRECTIONS: Final = (0, 1)
"""In and out."""
CLOCK_SLACK_MS: Final = 2_000

Increments = tuple[list[Increment], list[Increment]]


def paired(series: Sequence[Kept], fresh: Collection[int], interval_ms: int) -> Increments:
    """Increments that the readings of the instants `fresh` bring; `series` holds them and their neighbours, by time.

    A reading that is impossible between two good ones is left out (§2.2); until the one after it is there, the pair
    stands. Readings of a time that comes a second time, since the clock went back, follow what they followed.
    """
    found: Increments = ([], [])
    at = {one.t_ms: one for one in series}
    for one in series:
        if one.shadowed and one.t_ms in fresh:
            _add(found, at.get(one.follows_ms or -1), one, interval_ms)
    main = [one for one in series if not one.shadowed]
    for direction in DIRECTIONS:
        for a, b, marks in _pairs(main, fresh, direction):
            before = a if b.follows_ms is None else at.get(b.follows_ms)
            found[direction].extend(_marked(between(before, b, interval_ms)[direction], marks))
    return found


def plain_pairs(last: Kept | None, readings: Sequence[Kept]) -> list[Counted] | None:
    """What readings that come after `last`, by time, tell where every pair is `measured` and marked with nothing else.

    None where one is not, or the readings are not in order: `paired` says what they tell. It is the same for these.
    """
    found = []
    for b in readings:
        if last is not None:
            if not is_plain(last, b):
                return None
            packets = _risen(last.out_packets, b.out_packets)
            found.append(
                Counted(
                    last.t_ms,
                    b.t_ms,
                    b.in_octets - last.in_octets,
                    b.out_octets - last.out_octets,
                    packets,
                    None if packets is None else _risen(last.out_drops, b.out_drops),
                    _risen(last.in_packets, b.in_packets),
                    faultless=_errors(last, b, 0) is not None,
                )
            )
        elif b.clock_stepped or b.shadowed:
            return None
        last = b
    return found


def is_plain(a: Kept, b: Kept) -> bool:
    """Whether a pair of neighbours is `measured` by rule 7, exactly, in both directions, without any mark."""
    length_ms = b.t_ms - a.t_ms
    if not 0 < length_ms <= MEASURED_MAX_MS or b.counter_bits != 64 or not _same_counter(a, b):
        return False
    if b.rates or b.clock_stepped or b.shadowed or a.shadowed or b.restarted_at_ms is not None:
        return False
    if a.uptime_cs is not None and b.uptime_cs is not None:
        ran_ms = (b.uptime_cs - a.uptime_cs) * 10
        if ran_ms < 0 or abs(ran_ms - length_ms) > max(CLOCK_SLACK_MS, length_ms // 100):
            return False
        if b.uptime_cs * 10 + 5_000 < length_ms:
            return False
    if a.discontinuity is not None and b.discontinuity is not None and a.discontinuity != b.discontinuity:
        return False
    faults = _errors(a, b, 0), _errors(a, b, 1)
    if faults not in ((0, 0), (None, None)):
        return False
    into, out = b.in_octets - a.in_octets, b.out_octets - a.out_octets
    if into < 0 or out < 0 or (a.up is False and b.up is False and (into or out)):
        return False
    allow = plausible_octets(_speed(a, b), length_ms)
    return allow is None or (into <= allow and out <= allow)


def fell(a: Kept, b: Kept) -> bool:
    """Whether an interface that was up went down between two readings of one adapter.

    It did, too, where it is up at both and came to that state anew; a restart of the device is no fall.
    """
    if a.up is not True or (None not in (a.adapter_id, b.adapter_id) and a.adapter_id != b.adapter_id):
        return False
    if a.uptime_cs is not None and b.uptime_cs is not None and b.uptime_cs < a.uptime_cs:
        return False
    return b.up is False or (None not in (a.last_change, b.last_change) and a.last_change != b.last_change)


def _add(found: Increments, a: Kept | None, b: Kept, interval_ms: int) -> None:
    for direction, increments in enumerate(between(a, b, interval_ms)):
        found[direction].extend(increments)


def _marked(increments: Sequence[Increment], marks: frozenset[Flag]) -> Sequence[Increment]:
    return [replace(one, marks=one.marks | marks) for one in increments] if marks else increments


def _pairs(
    series: Sequence[Kept], fresh: Collection[int], direction: int
) -> Iterator[tuple[Kept, Kept, frozenset[Flag]]]:
    """Neighbours of which one is fresh; over an outlier, its neighbours."""
    number = 0
    while number + 1 < len(series):
        a, b = series[number], series[number + 1]
        c = series[number + 2] if number + 2 < len(series) else None
        number += 1
        if c is not None and _out_of_line(a, b, c, direction):
            number += 1  # one reading at a time: c is taken as good, whatever comes after it
            if a.t_ms in fresh or b.t_ms in fresh or c.t_ms in fresh:
                yield a, c, frozenset({Flag.OUTLIER})
        elif a.t_ms in fresh or b.t_ms in fresh:
            yield a, b, frozenset()


def _out_of_line(a: Kept, b: Kept, c: Kept, direction: int) -> bool:
    if a.rates or b.rates or c.rates or b.clock_stepped or c.clock_stepped:
        return False
    if not (_same_counter(a, b) and _same_counter(b, c)) or c.t_ms - a.t_ms > PAIR_MAX_MS:
        return False
    first, second, third = (_reading(one, direction) for one in (a, b, c))
    return is_outlier(first, second, third, b.counter_bits, _speed(a, b, c))


def between(a: Kept | None, b: Kept, interval_ms: int) -> tuple[Sequence[Increment], Sequence[Increment]]:
    """Increments of both directions between two kept readings of one interface; none without the first.

    Readings of two different adapters or sources make no pair: that time is a gap. So is a pair longer than a day,
    which says no more than that nothing is known. After a step of the controller's clock the pair is as long as the
    monotonic clock says (§2.1); where that is not known, its time is a gap.
    """
    if a is None or b.t_ms - a.t_ms > PAIR_MAX_MS:
        return (), ()
    if b.clock_stepped or b.shadowed:
        return _over_a_step(a, b, interval_ms)
    if b.rates:
        into, out = (RateReport(b.t_ms, octets) for octets in (b.in_octets, b.out_octets))
        return rate_pair(a.t_ms, into, interval_ms), rate_pair(a.t_ms, out, interval_ms)
    return _counted(a, b, 0), _counted(a, b, 1)


def _over_a_step(a: Kept, b: Kept, interval_ms: int) -> tuple[Sequence[Increment], Sequence[Increment]]:
    if b.elapsed_ms is None:
        if b.t_ms <= a.t_ms:
            return (), ()
        lost = Increment(a.t_ms, b.t_ms, 0, None, Flag.GAP, frozenset({Flag.CLOCK}))
        return (lost,), (lost,)
    moved = replace(a, t_ms=b.t_ms - b.elapsed_ms)
    plain = replace(b, clock_stepped=False, shadowed=False, elapsed_ms=None, follows_ms=None)
    into, out = between(moved, plain, interval_ms)
    marks = frozenset({Flag.CLOCK})
    again = moved.t_ms < a.t_ms or a.shadowed or b.shadowed

    def told(increments: Sequence[Increment]) -> list[Increment]:
        found = [replace(one, marks=one.marks | marks, again=again and one.exact) for one in increments]
        if moved.t_ms > a.t_ms:
            found.insert(0, Increment(a.t_ms, moved.t_ms, 0, None, Flag.GAP, marks))
        return found

    return told(into), told(out)


def _counted(a: Kept, b: Kept, direction: int) -> Sequence[Increment]:
    first, second = _reading(a, direction), _reading(b, direction)
    if not _same_counter(a, b):
        second = replace(second, name="another")
    marks = set()
    if a.up is False and b.up is False and second.octets != first.octets:
        marks.add(Flag.STATE)
    if _clocks_disagree(a, b):
        marks.add(Flag.CLOCK)
    increments = _marked(pair(first, second, b.counter_bits, _speed(a, b)), frozenset(marks))
    errors = _errors(a, b, direction)
    if errors is not None:
        increments = [replace(one, errors=errors) if one.exact else one for one in increments]
    if direction:
        packets, drops = _risen(a.out_packets, b.out_packets), _risen(a.out_drops, b.out_drops)
    else:
        packets, drops = _risen(a.in_packets, b.in_packets), None
    if packets is None:
        return increments
    return [replace(one, packets=packets, drops=drops) if one.exact else one for one in increments]


def _risen(first: int | None, second: int | None) -> int | None:
    """What was counted between two readings; None where one of them does not tell, or the count began anew."""
    return None if first is None or second is None or second < first else second - first


def _errors(a: Kept, b: Kept, direction: int) -> int | None:
    """Frames with an error between two readings; None where one of them does not tell, or the count began anew."""
    first, second = (a.out_errors, b.out_errors) if direction else (a.in_errors, b.in_errors)
    return _risen(first, second)


def _clocks_disagree(a: Kept, b: Kept) -> bool:
    """Whether the device measured another length of time than the controller (§2.1); a restart is none."""
    if a.uptime_cs is None or b.uptime_cs is None or b.uptime_cs < a.uptime_cs:
        return False
    passed_ms, ran_ms = b.t_ms - a.t_ms, (b.uptime_cs - a.uptime_cs) * 10
    return b.uptime_cs * 10 + 5_000 >= passed_ms and abs(ran_ms - passed_ms) > max(CLOCK_SLACK_MS, passed_ms // 100)


def _same_counter(a: Kept, b: Kept) -> bool:
    """Imported readings do not say which adapter they are of; they join with any. Sources never mix otherwise."""
    same_adapter = None in (a.adapter_id, b.adapter_id) or a.adapter_id == b.adapter_id
    same_source = "import" in (a.source, b.source) or a.source == b.source
    return same_adapter and same_source and not a.rates and a.counter_bits == b.counter_bits


def _speed(*readings: Kept) -> int | None:
    return max((one.speed_bps for one in readings if one.speed_bps), default=None)


def _reading(kept: Kept, direction: int) -> Reading:
    octets = kept.out_octets if direction else kept.in_octets
    return Reading(kept.t_ms, octets, kept.uptime_cs, kept.discontinuity, "", kept.restarted_at_ms)
