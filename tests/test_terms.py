"""Every rule of the terms lives somewhere and is shown by a test, or is said to be open."""

from __future__ import annotations

import pytest

from inventory.terms import RULES
from tests.rules import PAGE, page, shown

pytestmark = pytest.mark.fast

OPEN: frozenset[str] = frozenset()
"""Rules that are not built yet. The list only ever gets shorter."""


def test_every_rule_has_a_test_or_is_said_to_be_open() -> None:
    assert set(RULES) - shown().keys() == OPEN


def test_no_test_carries_a_rule_that_does_not_exist() -> None:
    assert shown().keys() - set(RULES) == set()


def test_the_page_of_the_terms_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.rules`"
