"""Where an address is, and whom a duty keeps in Japan."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput
from inventory.locations import bound_to_japan, parse

pytestmark = pytest.mark.fast

LIST = parse(
    [
        "network,country",
        "# documentation",
        "",
        "198.51.100.0/24,us",
        "192.0.2.0/25,JP",
        "192.0.2.128/25 , DE",
        "2001:db8::/33,JP",
        "2001:db8:8000::/33,FR",
    ]
)


@pytest.mark.parametrize(
    ("source", "country"),
    [
        ("192.0.2.0", "JP"),
        ("192.0.2.127", "JP"),
        ("192.0.2.128", "DE"),
        ("192.0.2.255", "DE"),
        ("192.0.3.0", None),
        ("192.0.1.255", None),
        ("0.0.0.0", None),
        ("198.51.100.9", "US"),
        ("255.255.255.255", None),
        ("2001:db8::1", "JP"),
        ("2001:db8:ffff::1", "FR"),
        ("2001:db9::", None),
        ("::", None),
        ("::ffff:192.0.2.1", "JP"),
        ("nowhere", None),
    ],
)
def test_an_address_is_in_the_country_of_its_network_or_nowhere(source: str, country: str | None) -> None:
    assert LIST.country(source) == country
    assert parse([]).country(source) is None


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["192.0.2.0/24"], 1),
        (["", "192.0.2.1/24,JP"], 2),
        (["192.0.2.0/24,Japan"], 1),
        (["192.0.2.0/24,J1"], 1),
        (["somewhere,JP"], 1),
        (["192.0.2.0/24,JP", "10.0.0.0/8,JP", "192.0.2.64/26,US"], 3),
        (["192.0.2.0/24,JP", "192.0.2.0/24,JP"], 2),
    ],
)
def test_a_line_that_says_nothing_clear_is_named(lines: list[str], number: int) -> None:
    with pytest.raises(BadInput, match=f"line {number} ") as refused:
        parse(lines)
    assert refused.value.field == "arms.locations"


@given(st.sets(st.integers(0, 2**24 - 1), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_the_list_finds_what_looking_at_each_network_would_find(blocks: set[int], address: int) -> None:
    networks = [IPv4Network((block << 8, 24)) for block in blocks]
    found = parse([f"{one},{'JP' if at % 2 else 'US'}" for at, one in enumerate(networks)])
    block = address >> 8
    expected = None
    for at, one in enumerate(networks):
        if int(one.network_address) >> 8 == block:
            expected = "JP" if at % 2 else "US"
    assert found.country(str(IPv4Network((address, 32)).network_address)) == expected


@pytest.mark.rule("MPC-10.1", "MPC-10.4", "SMF-9.1")
@pytest.mark.parametrize(
    ("service", "device_class", "rule"),
    [("mpc", "I", "MPC-10.1"), ("mpc", "II", "MPC-10.4"), ("mpc", "III", None), ("smfsx", None, "SMF-9.1")],
)
def test_whom_a_duty_keeps_in_japan(service: Service, device_class: DeviceClass | None, rule: str | None) -> None:
    assert bound_to_japan(service, device_class) == rule
