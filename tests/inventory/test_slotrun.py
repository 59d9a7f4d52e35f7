"""The short way into a slot-day and the long one write the same bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.counters import MEASURED_MAX_MS, Flag, Increment
from inventory.slotday import (
    DAY_MS,
    HEAD_BYTES,
    SLOTS,
    SlotDay,
    add,
    decode,
    encode,
    part_digest,
    tail_text,
    unpacked_counts,
)
from inventory.slotrun import Counted, lengthened, run_of
from inventory.timeslots import SLOT_MS

pytestmark = pytest.mark.fast

MIDNIGHT = 1_735_689_600_000
STARTS = (MIDNIGHT, MIDNIGHT + DAY_MS)
counts = st.one_of(st.integers(0, 5_000), st.integers(0, 1 << 33))
pairs = st.tuples(
    st.integers(1, MEASURED_MAX_MS),
    counts,
    counts,
    st.tuples(*(st.one_of(st.none(), st.integers(0, most)) for most in (1 << 33, 40, 9_000))),
    st.booleans(),
)
stretches = st.tuples(st.integers(0, 3 * SLOT_MS), st.lists(pairs, min_size=1, max_size=12))
Drawn = tuple[int, int, int, tuple[int | None, int | None, int | None], bool]
"""Length, octets in and out, packets out, drops, packets in, whether it is told that no frame had an error."""


def by_adding(days: dict[int, SlotDay], run: list[Counted], source: str) -> None:
    """The long way."""
    for number in (0, 1):
        increments = [
            Increment(
                one.t0_ms,
                one.t1_ms,
                octets,
                octets,
                Flag.MEASURED,
                packets=one.packets if number else one.in_packets,
                drops=one.drops if number else None,
                errors=0 if one.faultless else None,
            )
            for one in run
            for octets in ((one.in_octets, one.out_octets)[number],)
        ]
        changed = add({at: (day.out if number else day.into) for at, day in days.items()}, increments, None)
        for at in changed:
            days[at].origins.add(source)


@given(st.integers(0, DAY_MS - 1), st.lists(stretches, min_size=1, max_size=4), st.sampled_from(["snmp", "heartbeat"]))
def test_a_run_is_what_adding_its_increments_gives(
    begin: int, told: list[tuple[int, list[Drawn]]], source: str
) -> None:
    """Across midnight, over gaps, with and without packets; a count beyond 32 bits goes the long way."""
    days = {at: SlotDay.empty(at) for at in STARTS}
    days[MIDNIGHT].origins.add("import")
    at = MIDNIGHT + begin
    for hole_ms, drawn in told:
        at += hole_ms
        run = []
        for length_ms, into, out, packets, faultless in drawn:
            run.append(Counted(at, at + length_ms, into, out, *packets, faultless=faultless))
            at += length_ms
        if at > STARTS[-1] + DAY_MS:
            return
        before = {start: encode(day) for start, day in days.items()}
        by_adding(days, run, source)
        for start in run_of(run).days:
            found = lengthened(before[start], start, run_of(run), source)
            assert found in (encode(days[start]), None)
            wide = encode(days[start])[1:2] == b"Q" != before[start][1:2]
            assert (found is None) == wide


def test_the_first_run_of_a_day_needs_no_day() -> None:
    run = run_of([Counted(MIDNIGHT, MIDNIGHT + 60_000, 600, 60)])
    blob = lengthened(None, MIDNIGHT, run, "snmp")
    assert blob is not None
    day = decode(MIDNIGHT, blob)
    assert (day.into.known[0], day.out.known[0], day.origins) == (600, 60, {"snmp"})
    assert encode(day) == blob


@pytest.mark.parametrize("flag", [Flag.GAP, Flag.AMBIGUOUS, Flag.RESET])
def test_what_is_uncertain_before_a_run_stays_and_what_it_would_narrow_goes_the_long_way(flag: Flag) -> None:
    day = SlotDay.empty(MIDNIGHT)
    uncertain = Increment(MIDNIGHT, MIDNIGHT + 600_000, 5, 900, flag)
    for direction in (day.into, day.out):
        add({MIDNIGHT: direction}, [uncertain], 1_000_000)
    blob = encode(day)
    after = run_of([Counted(MIDNIGHT + 600_000, MIDNIGHT + 660_000, 70, 7)])
    longer = lengthened(blob, MIDNIGHT, after, "snmp")
    assert longer is not None
    assert decode(MIDNIGHT, longer).into.pending == [uncertain]
    inside = run_of([Counted(MIDNIGHT + 500_000, MIDNIGHT + 560_000, 70, 7)])
    assert lengthened(blob, MIDNIGHT, inside, "snmp") is None


def test_packets_that_an_older_version_kept_as_numbers_are_read_and_added_to() -> None:
    told = Counted(MIDNIGHT, MIDNIGHT + 60_000, 1, 1, 5, 0, 7)
    blob = lengthened(None, MIDNIGHT, run_of([told]), "snmp")
    assert blob is not None
    head, tail = blob[: HEAD_BYTES + 2 * SLOTS * 4], json.loads(blob[HEAD_BYTES + 2 * SLOTS * 4 :])
    for direction in tail["directions"]:
        direction["packets"] = unpacked_counts(direction["packets"])
    old = head + tail_text(tail)
    assert decode(MIDNIGHT, old) == decode(MIDNIGHT, blob)
    assert part_digest(MIDNIGHT, old, MIDNIGHT, MIDNIGHT + DAY_MS) == part_digest(
        MIDNIGHT, blob, MIDNIGHT, MIDNIGHT + DAY_MS
    )
    more = run_of([Counted(MIDNIGHT + 60_000, MIDNIGHT + 120_000, 1, 1, 50, 0, 70)])
    assert lengthened(old, MIDNIGHT, more, "snmp") == lengthened(blob, MIDNIGHT, more, "snmp")
    day = decode(MIDNIGHT, lengthened(old, MIDNIGHT, more, "snmp") or b"")
    assert (day.into.packets[0], day.out.packets[0]) == (77, 55)


def test_time_that_is_backed_already_goes_the_long_way() -> None:
    first = lengthened(None, MIDNIGHT, run_of([Counted(MIDNIGHT, MIDNIGHT + 60_000, 1, 1)]), "snmp")
    again = run_of([Counted(MIDNIGHT + 30_000, MIDNIGHT + 90_000, 1, 1)])
    assert lengthened(first, MIDNIGHT, again, "snmp") is None
