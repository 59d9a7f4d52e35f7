"""What was sent in the last day is remembered, whatever the day was like; and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.replays import AT_MOST, DAY_MS, MARK_BYTES, Remembered, digest, mark_of, packed

pytestmark = pytest.mark.fast

# Few different bytes, so that marks are found across the seam of two others.
MARKS = st.lists(st.integers(0, 1), min_size=MARK_BYTES, max_size=MARK_BYTES).map(lambda octets: mark_of(bytes(octets)))
STEPS = st.lists(st.tuples(MARKS, st.integers(-60_000, DAY_MS // 5)), max_size=60)


@given(STEPS, MARKS)
def test_a_mark_of_the_last_day_is_known_and_no_other(steps: list[tuple[int, int]], asked: int) -> None:
    now_ms, remembered, last = 0, Remembered(), dict[int, int]()
    for mark, step_ms in steps:
        now_ms += step_ms
        remembered.add(mark, now_ms)
        last[mark] = max(now_ms, last.get(mark, now_ms))
        known = {one for one, at_ms in last.items() if at_ms >= now_ms - DAY_MS}
        assert all(one in remembered for one in known)
    assert (asked not in remembered) or asked in last


def test_what_is_more_than_a_day_and_a_third_old_is_forgotten() -> None:
    remembered = Remembered()
    mark = mark_of(digest(b"old"))
    remembered.add(mark, 0)
    for minute in range(1, 24 * 60 + 8 * 60 + 2):
        remembered.add(mark_of(digest(b"%d" % minute)), minute * 60_000)
    assert mark not in remembered
    assert mark_of(digest(b"700")) in remembered


def test_of_a_flood_the_newest_are_remembered_and_memory_is_bounded() -> None:
    remembered, marks = Remembered(), [mark_of(digest(b"%d" % number)) for number in range(3 * AT_MOST)]
    for at_ms, mark in enumerate(marks):
        remembered.add(mark, at_ms)
    assert all(mark in remembered for mark in marks[-AT_MOST::997])
    assert marks[0] not in remembered
    assert sum(len(block.marks) for block in remembered._blocks) <= (AT_MOST + AT_MOST // 3) * MARK_BYTES


@given(STEPS)
def test_what_was_kept_in_portions_is_remembered_as_it_came(steps: list[tuple[int, int]]) -> None:
    told = [
        (number * 3_600_000, packed([mark.to_bytes(8, "little"), mark.to_bytes(MARK_BYTES)]))
        for number, (mark, _) in enumerate(steps)
    ]
    remembered = Remembered(told)
    assert all(mark in remembered for mark, _ in steps[-24:])
