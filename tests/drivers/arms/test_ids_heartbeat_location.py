"""The small formats: ids, credentials, heartbeats, location-config."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.arms import heartbeat, location
from drivers.arms.heartbeat import Tlv
from drivers.arms.ids import DistributionId, basic, read_basic, sa_code_of_mac
from drivers.arms.location import Line, LocationConfig
from inventory.errors import BadInput, ProtocolViolation
from inventory.secrets import Secret
from tests.drivers.arms.splits import refusal

pytestmark = pytest.mark.fast

KEY = b"a passphrase of a heartbeat"
WHO = DistributionId.parse("0001-0000-0101-0000-0200-00FF-FE12-3456")


@given(st.binary(min_size=16, max_size=16))
def test_a_distribution_id_reads_as_it_is_written(binary: bytes) -> None:
    id_ = DistributionId(binary)
    assert DistributionId.parse(str(id_)) == id_ == DistributionId.parse(f" {str(id_).lower()} ")


@pytest.mark.parametrize("text", ["", "0001", "0001-0000-0101-0000-0200-00FF-FE12-345G", "0" * 39])
def test_a_mistyped_distribution_id_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        DistributionId.parse(text)
    assert refused.value.next_step


def test_a_mistyped_ethernet_address_is_refused() -> None:
    with pytest.raises(BadInput):
        sa_code_of_mac("00:00:5e:00:53")


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
)
def test_a_credential_reads_as_it_is_written(user: str, password: str) -> None:
    got = read_basic(basic(user, Secret(password)))
    if got is None:
        assert len(basic(user, Secret(password))) > 500
    else:
        assert (got.user, got.password.reveal()) == (user, password)
        assert got.proves(Secret(password))
        assert not got.proves(Secret(password + "x"))


@given(st.one_of(st.none(), st.text(max_size=40), st.text("Basic =/+AZaz09", max_size=40)))
def test_a_broken_credential_is_none(value: str | None) -> None:
    got = read_basic(value)
    assert got is None or got.user is not None


tlvs = st.lists(
    st.builds(Tlv, st.sampled_from([0x33, 0x35, 0x38, 0x39, 0x2C, 0x7F00]), st.binary(max_size=60)), max_size=9
)


@given(tlvs)
def test_a_heartbeat_reads_as_it_was_sent(sent: list[Tlv]) -> None:
    got = heartbeat.decode(heartbeat.encode(WHO, sent, KEY), KEY)

    assert got.distribution_id == WHO
    assert list(got.tlvs) == sent
    seen = [(reading.name, reading.index) for reading in got.statistics]
    assert len(seen) == len(set(seen))


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_noise_on_the_heartbeat_port_is_refused_and_nothing_else(noise: bytes, tail: bytes) -> None:
    for datagram in (noise, heartbeat.encode(WHO, [], KEY)[:44] + tail):
        assert refusal(partial(heartbeat.decode, datagram, KEY)) in {"", "malformed", "digest", "oversize"}


@given(tlvs, st.integers(min_value=0, max_value=10_000))
def test_one_changed_bit_anywhere_is_seen(sent: list[Tlv], place: int) -> None:
    datagram = bytearray(heartbeat.encode(WHO, sent, KEY))
    datagram[place // 8 % len(datagram)] ^= 1 << place % 8
    with pytest.raises(ProtocolViolation):
        heartbeat.decode(bytes(datagram), KEY)


def test_the_first_of_two_readings_of_one_interface_counts() -> None:
    layout = heartbeat.LAYOUTS[0x33]
    twice = [Tlv(0x33, layout.struct.pack(0, 42)), Tlv(0x33, layout.struct.pack(0, 99)), Tlv(0x33, b"short")]
    got = heartbeat.decode(heartbeat.encode(WHO, twice, KEY), KEY)
    assert [(s.name, s.index, s.values) for s in got.statistics] == [("cpu", 0, (42,))]


DHCP = Line("line-dhcp", (("ifindex", "0"),))


def test_a_location_config_reads_as_it_is_written() -> None:
    value = LocationConfig(
        (DHCP, Line("line-pppoe", (("ifindex", "1"), ("account", "u@example"), ("password", "p")))),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    )
    assert location.read(location.write(value)) == value


@pytest.mark.parametrize("size", [2047, 2048])
def test_a_location_config_that_overflows_the_client_is_never_written(size: int) -> None:
    frame = len(location.write(LocationConfig((DHCP,), "x"))) - 1
    wrapped = ("x" * 199 + "\n") * 20
    wrapped = wrapped[: size - frame - 1] + "x"
    value = LocationConfig((DHCP,), wrapped)
    if size > 2047:
        with pytest.raises(BadInput):
            location.write(value)
    else:
        assert len(location.write(value)) == size


@pytest.mark.parametrize("value", ["", "a;b", "a b", "a}", "a\nb", "x" * 36, "é"])
def test_a_value_that_would_break_the_location_config_is_refused(value: str) -> None:
    with pytest.raises(BadInput):
        Line("line-pppoe", (("ifindex", "0"), ("account", value)))


@given(st.text("line-dhcprs{}; \n\tifndex0", max_size=60))
def test_noise_as_location_config_is_refused_and_nothing_else(noise: str) -> None:
    with suppress(BadInput):
        location.read(noise)


def test_without_a_line_the_client_would_sleep() -> None:
    with pytest.raises(BadInput):
        location.write(LocationConfig((), "x"))
