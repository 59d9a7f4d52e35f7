"""One identity alive in two places at once (MPC-11): which evidence counts. `docs/clones.md` tells it to operators.

Nothing is decided by an address alone: a line fails over, a carrier renumbers, a NAT pool deals its addresses out
packet by packet. What one unit cannot do is to keep two rhythms, to count down and up again, to be heard on a tunnel
after it asked for another, or to beat while it boots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

WINDOW: Final = 6
"""Heartbeat intervals that are looked at; as long after the last evidence a violation ends."""
HASTE: Final = 0.75
"""A unit never sends two heartbeats within this share of its interval, but for one after a new confirmation."""
HASTY_AT_LEAST: Final = 3
CHANGES_AT_LEAST: Final = 4
"""A B A B A: a failover is one change, with its way back two, and an uplink that flaps once more three."""
TURNS_AT_LEAST: Final = 2
PULLED_BEATS: Final = 2
"""Heartbeats after a pull that cannot be stragglers of the unit that pulled."""
HEARD_AFTER: Final = 0.1
"""A tunnel that is heard this share of an interval after another was asked for is no dead one whose last bytes came
late."""


class Evidence(StrEnum):
    """What shows two units."""

    SOURCES = "two sources take turns, each in a rhythm of its own"
    COUNTERS = "two series of counters take turns"
    TUNNEL = "a tunnel went on being used after another one was asked for"
    BOOT = "heartbeats went on while it pulled its config"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A heartbeat that was proven; copies of the same one are left out. Times are milliseconds of one clock."""

    at_ms: int
    source: str
    """Address without port: every heartbeat has another port."""
    counters: tuple[tuple[int, int], ...] = ()
    """Octets counted so far by (ifindex, octets), where it told them."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A tunnel was asked for with the right key while another one was alive."""

    asked_ms: int
    source: str
    present: str
    """Source of the tunnel that was there."""
    present_heard_ms: int
    """When that one was last heard; what counts is whether it is heard again."""


@dataclass(frozen=True, slots=True)
class Lately:
    """All that is known of one identity for the rule, oldest first."""

    sightings: tuple[Sighting, ...] = ()
    contests: tuple[Contest, ...] = ()
    pulled_ms: int | None = None
    """Its last pull that was proven, if it has not confirmed since."""
    pulled_from: str = ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One source and when it was seen inside the window."""

    source: str
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Clones:
    """The identity is alive more than once. `sources` are in the order of their first sight; one, when both units are
    behind the same address."""

    evidence: tuple[Evidence, ...]
    sources: tuple[Whereabouts, ...]


def judge(lately: Lately, interval_ms: float, now_ms: int) -> Clones | None:
    """Whether the identity is alive in two places now, judged by the last six heartbeat intervals; None: it is not."""
    since_ms = now_ms - WINDOW * interval_ms
    beats = [one for one in lately.sightings if one.at_ms > since_ms]
    contests = [one for one in lately.contests if one.asked_ms > since_ms]
    found = tuple(
        evidence
        for evidence, holds in (
            (Evidence.SOURCES, _take_turns(beats, interval_ms)),
            (Evidence.COUNTERS, _hasty(beats, interval_ms) and _turns(beats) >= TURNS_AT_LEAST),
            (
                Evidence.TUNNEL,
                any(one.present_heard_ms - one.asked_ms >= HEARD_AFTER * interval_ms for one in contests),
            ),
            (Evidence.BOOT, _beats_while_pulling(beats, lately.pulled_ms, interval_ms)),
        )
        if holds
    )
    if not found:
        return None
    seen = [(one.at_ms, one.source) for one in beats]
    for contest in contests:
        seen += [(contest.asked_ms, contest.source), (contest.present_heard_ms, contest.present)]
    if Evidence.BOOT in found and lately.pulled_ms is not None:
        seen.append((lately.pulled_ms, lately.pulled_from))
    return Clones(found, tuple(_whereabouts(seen)))


def _take_turns(beats: Sequence[Sighting], interval_ms: float) -> bool:
    changes = sum(a.source != b.source for a, b in pairwise(beats))
    return changes >= CHANGES_AT_LEAST and _hasty(beats, interval_ms) and not _one_unit_counts(beats)


def _hasty(beats: Sequence[Sighting], interval_ms: float) -> bool:
    """More than one unit's rhythm."""
    return sum(b.at_ms - a.at_ms < HASTE * interval_ms for a, b in pairwise(beats)) >= HASTY_AT_LEAST


def _one_unit_counts(beats: Sequence[Sighting]) -> bool:
    """Whether all counters only rise, wherever they came from: then one unit sent them, over two lines."""
    return all(one.counters for one in beats) and not any(
        after < before for series in _series(beats).values() for before, after in pairwise(series)
    )


def _turns(beats: Sequence[Sighting]) -> int:
    """How often a counter fell and was back above its old value at once: a restart does not come back."""
    return max(
        (
            sum(b < a <= c for a, b, c in zip(series, series[1:], series[2:], strict=False))
            for series in _series(beats).values()
        ),
        default=0,
    )


def _series(beats: Sequence[Sighting]) -> dict[int, list[int]]:
    series: dict[int, list[int]] = {}
    for one in beats:
        for ifindex, octets in one.counters:
            series.setdefault(ifindex, []).append(octets)
    return series


def _beats_while_pulling(beats: Sequence[Sighting], pulled_ms: int | None, interval_ms: float) -> bool:
    """A unit that pulls has left push mode and sends no heartbeats until it has confirmed again (arms-protocol §9)."""
    if pulled_ms is None:
        return False
    return sum(one.at_ms - pulled_ms > interval_ms / 2 for one in beats) >= PULLED_BEATS


def _whereabouts(seen: Sequence[tuple[int, str]]) -> Iterator[Whereabouts]:
    times: dict[str, list[int]] = {}
    for at_ms, source in sorted(seen):
        times.setdefault(source, []).append(at_ms)
    for source, of_it in times.items():
        yield Whereabouts(source, of_it[0], of_it[-1])
