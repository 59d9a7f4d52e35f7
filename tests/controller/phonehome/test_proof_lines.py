"""What a device says of itself is found whatever stands around it."""

from __future__ import annotations

import pytest

from controller.phonehome.proof import shown

pytestmark = pytest.mark.fast

KEY = (
    "Startup Key:\n"
    "  Distribution ID : 0001-0000-0101-0087-0200-5EFF-FE00-0001\n"
    "  Memo            : \n"
    "  Status          : VALID and registered.\n"
)


def test_the_line_below_a_heading_is_a_line_of_its_own() -> None:
    assert shown(KEY, "Distribution ID") == "0001-0000-0101-0087-0200-5EFF-FE00-0001"


def test_an_empty_value_does_not_take_the_next_line() -> None:
    assert shown(KEY, "Memo") == ""
    assert shown(KEY, "Status") == "VALID and registered."


def test_what_is_not_said_is_not_found() -> None:
    assert shown(KEY, "Serial") is None
