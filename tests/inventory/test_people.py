"""People of companies that work is delegated to (SMF-18)."""

from __future__ import annotations

import pytest

from inventory.errors import RuleViolation
from inventory.people import actor, require_delegation, same_person

pytestmark = [pytest.mark.fast, pytest.mark.rule("SMF-18")]


def test_the_audit_shows_the_company_of_a_delegate() -> None:
    assert actor(3, "night", "Works KK") == "key 3 (night, Works KK)"
    assert actor(3, "night", None) == "key 3 (night)"


def test_a_second_key_of_the_same_name_is_the_same_person() -> None:
    assert same_person(actor(3, "Ann", None), actor(7, "ann", None))
    assert same_person(actor(3, "ann (Osaka)", None), actor(7, "ａｎｎ (Osaka)", None))
    assert not same_person(actor(3, "ann", "Works KK"), actor(7, "ann", None))
    assert not same_person(actor(3, "ann", None), actor(3, "bob", None))
    assert same_person("ann", "ann")
    assert not same_person("ann", "anna")


def test_nobody_begins_to_work_for_a_company_that_work_was_taken_from() -> None:
    require_delegation("Works KK", ended=False)
    with pytest.raises(RuleViolation, match="Works KK") as refused:
        require_delegation("Works KK", ended=True)
    assert (refused.value.rule, refused.value.field) == ("SMF-18", "company")
