"""Which adapters fell silent from one cause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.silences import Cause, Member, group, network_of

pytestmark = pytest.mark.fast

MINUTE = 60_000


def member(number: int, *, contractor: int = 1, at_ms: int = 0, site: str = "", source: str = "") -> Member:
    return Member(number, contractor, at_ms, site, network_of(source))


def fleet(count: int = 40) -> list[Member]:
    """Others that are heard."""
    return [member(1000 + n, contractor=500 + n, source=f"10.{n}.0.1") for n in range(count)]


def causes(silent: list[Member], others: list[Member]) -> list[tuple[Cause, tuple[int, ...]]]:
    return [(one.cause, one.adapter_ids) for one in group(silent, [*silent, *others], MINUTE)]


def test_the_adapters_of_one_site_are_one_silence_and_another_s_is_its_own() -> None:
    site = [member(n, at_ms=n * 10_000, site="Osaka", source=f"192.0.{n}.1") for n in (1, 2, 3)]
    alone = member(9, contractor=9, at_ms=5_000, site="Kobe", source="203.0.113.1")
    assert causes([*site, alone], fleet()) == [(Cause.ALONE, (9,)), (Cause.SITE, (1, 2, 3))]


def test_the_same_site_name_at_another_contractor_is_another_site() -> None:
    silent = [member(1, site="Osaka"), member(2, contractor=2, site="Osaka")]
    assert [cause for cause, _ in causes(silent, fleet())] == [Cause.ALONE, Cause.ALONE]


def test_a_carrier_that_fails_is_a_network() -> None:
    silent = [member(n, contractor=n, source=f"198.51.100.{n}") for n in (1, 2, 3, 4)]
    assert causes(silent, fleet()) == [(Cause.NETWORK, (1, 2, 3, 4))]


def test_three_of_a_hundred_behind_one_carrier_are_chance() -> None:
    silent = [member(n, contractor=n, source=f"198.51.100.{n}") for n in (1, 2, 3)]
    heard = [member(n, contractor=n, source=f"198.51.100.{n}") for n in range(4, 100)]
    assert [cause for cause, _ in causes(silent, heard)] == [Cause.ALONE] * 3


def test_most_of_a_contractor_is_the_contractor_and_half_of_everything_is_this_node() -> None:
    silent = [member(n, site=f"shop {n}", source=f"10.1.{n}.1") for n in (1, 2, 3)]
    assert causes(silent, fleet()) == [(Cause.CONTRACTOR, (1, 2, 3))]
    assert causes(fleet(20), fleet(40)[20:]) == [(Cause.HERE, tuple(range(1000, 1020)))]


def test_silences_that_lie_apart_in_time_are_not_one() -> None:
    silent = [member(1, site="Osaka"), member(2, site="Osaka", at_ms=10 * MINUTE)]
    assert [cause for cause, _ in causes(silent, fleet())] == [Cause.ALONE, Cause.ALONE]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 20 * MINUTE), st.sampled_from(["", "a", "b"]), st.integers(0, 3)),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_every_silent_adapter_is_in_exactly_one_group_in_any_order(
    marks: list[tuple[int, int, str, int]], others: int
) -> None:
    silent = [
        member(number, contractor=who, at_ms=at_ms, site=site, source=f"10.0.{net}.1")
        for number, (who, at_ms, site, net) in enumerate(marks)
    ]
    watched = [*silent, *fleet(others)]
    found = group(silent, watched, MINUTE)
    assert sorted(one for each in found for one in each.adapter_ids) == [one.adapter_id for one in silent]
    assert group(silent[::-1], watched[::-1], MINUTE) == found


def test_networks_are_a_24_or_a_48_and_what_is_no_address_has_none() -> None:
    assert network_of("192.0.2.77") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::9") == "2001:db8:1::/48"
    assert network_of("somewhere") == network_of(None) == ""
