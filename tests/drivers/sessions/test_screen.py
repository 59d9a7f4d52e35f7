"""What stands on the screen does not depend on how the wire cut it (devices-ios-fortios §D.2)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.fortios import SHELL as FORTIOS
from drivers.ios import SHELL as IOS
from drivers.sessions.screen import Prompt, Screen, plain
from drivers.sessions.transcript import Mask
from inventory.secrets import Secret

pytestmark = pytest.mark.fast
LEARNED = Prompt("r1", "", "#")


def read(octets: bytes, cuts: list[int]) -> Screen:
    """A screen that was fed `octets` in pieces."""
    screen = Screen(IOS)
    screen.expect("show clock")
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    for start, end in pairwise(edges):
        screen.feed(octets[start:end])
    return screen


@given(st.text(), st.lists(st.integers(min_value=0)))
def test_pieces_make_no_difference(said: str, cuts: list[int]) -> None:
    octets = f"show clock\r\n{said}\r\nr1#".encode("utf-8", "surrogatepass")

    whole, pieces = read(octets, []), read(octets, cuts)

    assert pieces.output("r1#") == whole.output("r1#")
    assert pieces.ending(LEARNED) == whole.ending(LEARNED)


@given(st.binary())
def test_any_octets_are_tolerated(octets: bytes) -> None:
    screen = read(octets, [])

    screen.ending(LEARNED)
    screen.output("r1#")


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), min_size=1))
def test_plain_lines_come_back_as_they_were_sent(lines: list[str]) -> None:
    screen = read(("show clock\r\n" + "\r\n".join(lines) + "\r\nr1#").encode(), [])

    assert screen.output("r1#").split("\n") == lines


@pytest.mark.parametrize(
    ("shown", "stands"),
    [
        ("a\r\r\nb\r\n", "a\nb\n"),
        ("\x1b[2K\x1b[1;32mr1\x1b[0m#", "r1#"),
        ("one\r\n\x08\x08\x08\x08   \x08\x08\x08two", "one\ntwo"),
        ("one\r\n\r         \rtwo", "one\ntwo"),
        ("abc\x08\x08xy", "axy"),
        ("\x00r1#", "r1#"),
    ],
)
def test_control_characters_act_as_on_a_terminal(shown: str, stands: str) -> None:
    assert plain(shown) == stands


def test_a_prompt_within_a_reading_is_not_the_end() -> None:
    screen = Screen(IOS)
    screen.expect("show running-config")
    screen.feed(b"show running-config\r\nr1#\r\ninterface Gi0\r\n description r1# is")

    assert screen.ending(LEARNED).kind == "nothing"


def test_a_prompt_before_the_echo_is_doubtful() -> None:
    screen = Screen(IOS)
    screen.expect("show clock")
    screen.feed(b"*Mar  1 00:00:01: %SYS-5-CONFIG_I: Configured\r\nr1#")

    assert screen.ending(LEARNED).kind == "doubtful prompt"


def test_an_echo_that_was_wrapped_is_still_an_echo() -> None:
    screen = Screen(IOS)
    screen.expect("ip access-list extended from-the-warehouse-to-the-office")
    screen.feed(b"ip access-list extended from-the-ware\r\nhouse-to-the-office\r\nr1(config-ext-nacl)#")

    assert screen.ending(LEARNED).kind == "prompt"
    assert screen.output("r1(config-ext-nacl)#") == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("osaka-edge-01", "osaka-edge-01", True),
        ("a-very-long-name-that-ios-will-cut", "a-very-long-name-tha", True),
        ("a-very-long-name-that-ios-will-cut", "a-very", False),
        ("r1", "r2", False),
    ],
)
def test_a_name_that_the_device_cuts_is_the_same_name(one: str, other: str, same: bool) -> None:
    assert Prompt(one, "", "#").is_same_device(Prompt(other, "(config)", "#")) is same


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("% Invalid input detected at '^' marker.", True),
        ("Command authorization failed.", True),
        ("%Error opening flash:x (No such file)", True),
        ("% 192.0.2.0 overlaps with GigabitEthernet0/0", True),
        ("*Mar  1 00:00:01.003: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up", False),
        ("%SYS-5-CONFIG_I: Configured from console", False),
        ("% Generating 2048 bit RSA keys, keys will be non-exportable...", False),
        ("%Warning: portfast should only be enabled on ports connected to a single host.", False),
        ("100 % of it", False),
    ],
)
def test_a_refusal_of_ios_is_told_from_a_log_message(line: str, refused: bool) -> None:
    assert (IOS.refused(f"something\n{line}\n") is not None) is refused


@pytest.mark.parametrize(
    "line",
    [
        "Command fail. Return code -61",
        "command parse error before 'x'",
        "entry not found in datasource",
        "node_check_object fail! for subnet nonsense",
        "object check operator error, -651, discard the setting",
        "attribute 'subnet' MUST be set.",
        "The entry is used by other 2 entries",
        "Unknown action 0",
    ],
)
def test_refusals_of_fortios_are_known(line: str) -> None:
    assert FORTIOS.refused(f"\n{line}\n") == line


def test_a_mask_hides_longer_secrets_before_shorter_ones() -> None:
    mask = Mask((Secret("tango"), Secret("tango-2"), None), lambda text: text.replace("hash", "#"))

    assert mask("tango-2 tango hash") == "‹masked› ‹masked› #"
