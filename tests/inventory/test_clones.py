"""Which evidence shows one identity in two places, and what never does (MPC-11)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.clones import Contest, Evidence, Lately, Sighting, judge

pytestmark = pytest.mark.fast

MINUTE = 60_000
HERE, THERE = "192.0.2.1", "198.51.100.1"


def unit(
    source: str, *, first_ms: int = 0, beats: int = 8, octets: int = 1_000_000, rate: int = 5_000
) -> list[Sighting]:
    """A unit that beats once a minute and counts up."""
    return [Sighting(first_ms + n * MINUTE, source, ((0, octets + n * rate),)) for n in range(beats)]


def lately(*units: list[Sighting]) -> Lately:
    return Lately(tuple(sorted((one for beats in units for one in beats), key=lambda one: one.at_ms)))


def verdict(*units: list[Sighting]) -> tuple[Evidence, ...]:
    """The evidence at the instant of the last beat."""
    known = lately(*units)
    found = judge(known, MINUTE, known.sightings[-1].at_ms)
    return () if found is None else found.evidence


@pytest.mark.rule("MPC-11")
def test_two_units_that_beat_in_turn_from_two_places_are_a_violation_with_both_sources_and_times() -> None:
    known = lately(unit(HERE), unit(THERE, first_ms=20_000, octets=77))
    found = judge(known, MINUTE, 7 * MINUTE + 20_000)
    assert found is not None
    assert Evidence.SOURCES in found.evidence
    assert {one.source for one in found.sources} == {HERE, THERE}
    for one in found.sources:
        assert 0 < one.first_ms < one.last_ms <= 7 * MINUTE + 20_000


def test_two_units_behind_one_address_are_told_by_their_counters() -> None:
    assert verdict(unit(HERE), unit(HERE, first_ms=30_000, octets=77)) == (Evidence.COUNTERS,)


def test_two_units_that_tell_no_counters_are_told_by_their_rhythms() -> None:
    quiet = [
        [Sighting(one.at_ms, one.source) for one in unit(source, first_ms=first)]
        for source, first in ((HERE, 0), (THERE, 1_000))
    ]
    assert verdict(*quiet) == (Evidence.SOURCES,)


@given(
    sources=st.lists(st.sampled_from([HERE, THERE, "2001:db8::1", "203.0.113.9"]), min_size=2, max_size=24),
    jitter=st.lists(st.integers(-6_000, 6_000), min_size=24, max_size=24),
    octets=st.integers(0, 1 << 63),
)
def test_one_unit_is_never_a_violation_whatever_addresses_it_comes_from(
    sources: list[str], jitter: list[int], octets: int
) -> None:
    """A failover, its way back, a renumbered carrier, IPv4 to IPv6, a NAT pool that deals out addresses."""
    beats = [Sighting(MINUTE + n * MINUTE + jitter[n], source, ((0, octets + n),)) for n, source in enumerate(sources)]
    assert verdict(beats) == ()


@given(
    sources=st.lists(st.sampled_from([HERE, THERE]), min_size=2, max_size=24),
    gaps=st.lists(st.integers(1, 2 * MINUTE), min_size=24, max_size=24),
)
def test_one_unit_s_counters_clear_it_even_when_it_confirms_again_at_each_change(
    sources: list[str], gaps: list[int]
) -> None:
    """In https-simple a heartbeat follows each confirmation at once: the rhythm is broken, the counters rise."""
    at_ms, beats = 0, []
    for number, source in enumerate(sources):
        at_ms += gaps[number]
        beats.append(Sighting(at_ms, source, ((0, 1000 + number), (1, 7))))
    assert verdict(beats) == ()


def test_a_unit_that_restarts_twice_counts_from_zero_and_is_no_violation() -> None:
    beats = [
        *unit(HERE, beats=3),
        *unit(HERE, first_ms=3 * MINUTE, beats=2, octets=10),
        *unit(HERE, first_ms=5 * MINUTE, beats=3, octets=20),
    ]
    assert verdict(beats) == ()


def test_a_violation_ends_when_one_source_stays_away() -> None:
    both = [*unit(HERE), *unit(THERE, first_ms=20_000, octets=77)]
    after = unit(HERE, first_ms=8 * MINUTE, beats=8, octets=2_000_000)
    known = lately(both, after)
    assert judge(known, MINUTE, 8 * MINUTE) is not None
    assert judge(known, MINUTE, 15 * MINUTE) is None


def test_a_tunnel_that_is_heard_after_another_was_asked_for_is_alive_and_a_dead_one_s_last_bytes_are_not() -> None:
    def at(heard_ms: int) -> bool:
        contest = Contest(100_000, THERE, HERE, heard_ms)
        return judge(Lately(contests=(contest,)), MINUTE, 200_000) is not None

    assert not at(90_000)
    assert not at(101_000)
    assert at(130_000)


def test_heartbeats_that_go_on_while_it_pulls_are_another_unit_s_but_one_straggler_is_not() -> None:
    beats = unit(HERE, beats=6)
    known = Lately(tuple(beats), pulled_ms=beats[3].at_ms - 20_000, pulled_from=THERE)
    early = Lately(tuple(beats[:4]), pulled_ms=beats[3].at_ms - 20_000, pulled_from=THERE)
    found = judge(known, MINUTE, beats[-1].at_ms)
    assert found is not None
    assert found.evidence == (Evidence.BOOT,)
    assert {one.source for one in found.sources} == {HERE, THERE}
    assert judge(early, MINUTE, beats[3].at_ms) is None
