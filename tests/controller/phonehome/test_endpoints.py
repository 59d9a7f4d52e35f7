"""Where an adapter may be dialled, and what the settings of it may say."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.phonehome.endpoints import Endpoint, literal, why_not
from controller.settings import load
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_endpoint_reads_back_as_it_is_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    if "%" not in str(address):
        endpoint = Endpoint(address, port)
        assert Endpoint.parse(endpoint.url) == endpoint


@given(st.text(max_size=80))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except BadInput:
        return
    assert Endpoint.parse(endpoint.url) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "http://192.0.2.1:10443/",
        "https://router.example:10443/",
        "https://192.0.2.1/",
        "https://192.0.2.1:0/",
        "https://192.0.2.1:70000/",
        "https://192.0.2.1:10443/admin",
        "https://192.0.2.1:10443/?x=1",
        "https://user@192.0.2.1:10443/",
        "https://[fe80::1%25eth0]:10443/",
        "https://[::1:10443/",
        "",
    ],
)
def test_anything_but_a_literal_with_a_port_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    ("url", "source", "allowed"),
    [
        ("https://192.0.2.1:10443/", "192.0.2.1", True),
        ("https://192.0.2.1:10443/", "::ffff:192.0.2.1", True),
        ("https://[2001:db8::1]:10443/", "2001:0db8:0::1", True),
        ("https://192.0.2.2:10443/", "192.0.2.1", False),
        ("https://127.0.0.1:10443/", "192.0.2.1", False),
        ("https://192.0.2.1:22/", "192.0.2.1", False),
        ("https://198.51.100.7:10443/", "192.0.2.1", True),
        ("https://[2001:db8:f::9]:10499/", "192.0.2.1", True),
        ("https://198.51.100.7:22/", "192.0.2.1", False),
        ("https://192.0.2.2:10443/", "not an address", False),
    ],
)
def test_only_its_own_address_or_an_allowed_network_is_dialled_on_an_allowed_port(
    url: str, source: str, *, allowed: bool
) -> None:
    networks = ("198.51.100.0/24", "2001:db8:f::/48")
    reason = why_not(Endpoint.parse(url), source, ports="10443-10499", networks=networks)
    assert (reason is None) is allowed, reason


def test_a_source_with_a_zone_is_its_address() -> None:
    assert literal("fe80::1%eth0") == ipaddress.ip_address("fe80::1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ADDRESSES", "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6"),
        ("ADDRESSES", "192.0.2.1,192.0.2.1"),
        ("ADDRESSES", "router.example"),
        ("HOSTS", "localhost"),
        ("PUSH_METHODS", ""),
        ("PUSH_METHODS", "https-tunnel,https-tunnel"),
        ("PUSH_METHODS", "telnet"),
        ("PUSH_PORTS", "0"),
        ("PUSH_PORTS", "20-10"),
        ("PUSH_PORTS", "10443-70000"),
        ("PUSH_PORTS", "all"),
        ("PUSH_NETWORKS", "192.0.2.1/24"),
    ],
)
def test_settings_that_no_client_could_follow_are_refused(name: str, text: str) -> None:
    with pytest.raises(BadInput, match=f"arms.{name.lower()}"):
        load(None, {f"KAJITORI_ARMS__{name}": text})


def test_lists_in_the_environment_are_written_with_commas() -> None:
    arms = load(
        None,
        {
            "KAJITORI_ARMS__ADDRESSES": "192.0.2.1, 2001:db8::1",
            "KAJITORI_ARMS__HOSTS": "0.0.0.0,::",
            "KAJITORI_ARMS__PUSH_METHODS": "https-simple",
            "KAJITORI_ARMS__PUSH_NETWORKS": "10.0.0.0/8",
        },
    ).arms
    assert arms.told == ("192.0.2.1", "2001:db8::1")
    assert arms.listens_on == ("0.0.0.0", "::")
    assert arms.push_methods == ("https-simple",)
    assert arms.push_networks == ("10.0.0.0/8",)


def test_one_address_alone_is_told_and_listened_on_as_ever() -> None:
    arms = load(None, {"KAJITORI_ARMS__ADDRESS": "192.0.2.1", "KAJITORI_ARMS__HOST": "127.0.0.2"}).arms
    assert (arms.told, arms.listens_on) == (("192.0.2.1",), ("127.0.0.2",))
