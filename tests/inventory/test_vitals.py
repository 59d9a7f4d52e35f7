"""What an adapter's own statistics make a person look at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.vitals import Vital, share_used, troubles

pytestmark = pytest.mark.fast


def test_nearly_full_memory_and_disk_a_busy_processor_and_a_radio_without_signal_are_said() -> None:
    told = (
        Vital("cpu", 0, {"utilization": 99}),
        Vital("memory", 0, {"used": 93, "free": 7}),
        Vital("disk", 1, {"used": 900, "free": 100}),
        Vital("radio-wave", 2, {"status": 1, "max": 0, "min": 0, "avg": 0}),
    )
    assert troubles(told) == (
        "processor 0 is busy: 99 %",
        "memory 0 is nearly full: 93 % used",
        "disk 1 is nearly full: 90 % used",
        "radio 2: no signal",
    )


def test_a_well_adapter_says_nothing_and_neither_do_invalid_percentages() -> None:
    told = (
        Vital("cpu", 0, {"utilization": 255}),
        Vital("cpu", 1, {"utilization": 20}),
        Vital("memory", 0, {"used": 1, "free": 9}),
        Vital("radio-wave", 0, {"status": 0, "max": 78, "min": 41, "avg": 60}),
        Vital("traffic-count", 0, {"in_octets": 1}),
    )
    assert [one.valid for one in told] == [False, True, True, True, True]
    assert troubles(told) == ()


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_a_share_is_a_percentage_or_nothing(used: int, free: int) -> None:
    share = share_used(used, free)
    assert share is None if used + free == 0 else share is not None and 0 <= share <= 100
