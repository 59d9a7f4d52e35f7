"""Stories of counters that other systems read wrongly."""

from __future__ import annotations

import pytest

from inventory.counters import Flag, Increment, RateReport, Reading, pair, pair_all, spread_rates

pytestmark = pytest.mark.fast

T = 1_735_657_200_000


def test_a_power_on_phone_home_between_two_heartbeats_splits_the_pair_there() -> None:
    """Heartbeats carry no uptime; the boot is known from the phone-home."""
    before = Reading(T, 9_000_000, name="ge0")
    after = Reading(T + 120_000, 500_000, name="ge0", restarted_at_ms=T + 60_000)
    assert pair(before, after, 64, 100_000_000) == (
        Increment(T, T + 60_000, 0, 750_000_000, Flag.RESET),
        Increment(T + 60_000, T + 120_000, 500_000, 500_000, Flag.DERIVED),
    )


def test_a_known_boot_counts_even_when_the_counter_is_already_larger_than_before() -> None:
    before = Reading(T, 1_000, name="ge0")
    after = Reading(T + 120_000, 500_000, name="ge0", restarted_at_ms=T + 60_000)
    assert [i.flag for i in pair(before, after, 64, None)] == [Flag.RESET, Flag.DERIVED]
    assert pair(before, after, 64, None)[1].octets_min == 500_000


def test_a_reset_is_never_read_as_a_wrap_of_a_64_bit_counter() -> None:
    found = pair(Reading(T, 50), Reading(T + 60_000, 40), 64, None)
    assert found == (Increment(T, T + 60_000, 0, None, Flag.RESET),)


def test_two_impossible_readings_in_a_row_are_kept_as_what_the_rules_say() -> None:
    speed = 1_000_000_000
    readings = [
        Reading(T, 1_000_000),
        Reading(T + 60_000, 900_000_000_000),
        Reading(T + 120_000, 900_000_000_100),
        Reading(T + 180_000, 1_600_000),
    ]
    found = pair_all(readings, 64, speed, drop_outliers=True)
    assert found.outliers == 0
    assert [i.flag for i in found.increments] == [Flag.AMBIGUOUS, Flag.MEASURED, Flag.RESET]


def test_without_a_port_speed_no_reading_is_called_an_outlier() -> None:
    readings = [Reading(T, 10), Reading(T + 60_000, 5), Reading(T + 120_000, 20)]
    assert pair_all(readings, 64, None, drop_outliers=True).outliers == 0


def test_a_push_reconfirmation_is_a_gap_in_rates_and_not_a_zero() -> None:
    found = spread_rates([RateReport(T, 10), RateReport(T + 60_000, None), RateReport(T + 120_000, 5)], 60_000)
    assert found == (
        Increment(T, T + 60_000, 0, None, Flag.GAP),
        Increment(T + 60_000, T + 120_000, 300, 300, Flag.MEASURED),
    )
