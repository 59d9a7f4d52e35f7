"""Every certificate says what it is for, how it stands, and what to do."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.certificates import DAY_MS, WARN_DAYS, CertificateRole, Standing, explain, standing

pytestmark = pytest.mark.fast

NOW_MS = 1_760_745_600_000
ROLES: tuple[CertificateRole, ...] = get_args(CertificateRole)


def test_no_two_certificates_read_the_same_and_each_that_ends_has_a_next_step() -> None:
    seen = set()
    for role, left_days in product(ROLES, (40 * 365, 30, -30)):
        told = explain(role, NOW_MS + left_days * DAY_MS, NOW_MS)
        seen.add(told.summary)
        assert bool(told.next_action) == (told.standing is not Standing.VALID)
    assert len(seen) == 3 * len(ROLES)


def test_the_root_is_warned_of_years_before_its_end_because_devices_are_built_with_it() -> None:
    assert WARN_DAYS["root"] >= 5 * 365
    assert standing("root", NOW_MS + 4 * 365 * DAY_MS, NOW_MS) is Standing.ENDING
    assert "devices" in explain("root", NOW_MS + DAY_MS, NOW_MS).next_action


@given(st.sampled_from(ROLES), st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_time_makes_no_certificate_younger(role: CertificateRole, left_ms: int, later_ms: int) -> None:
    order = list(Standing)
    before, after = (standing(role, NOW_MS + left_ms, now_ms) for now_ms in (NOW_MS, NOW_MS + later_ms))
    assert order.index(after) >= order.index(before)
