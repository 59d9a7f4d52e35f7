"""Drivers are found by looking, ours and others' alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers import dialects
from drivers.driver import Driver
from drivers.ios import DRIVER
from drivers.registry import all_drivers, collect, driver
from inventory.errors import BadInput, Conflict

pytestmark = pytest.mark.fast


def test_all_four_families_are_found_and_the_command_lines_of_two() -> None:
    assert sorted(all_drivers()) == ["fortios", "ios", "recipe", "recipe-ssh", "seil", "seil-ssh"]


def test_every_driver_names_a_known_dialect_and_can_be_reached() -> None:
    for each in all_drivers().values():
        assert each.dialect in dialects.NAMES
        assert (each.shell is None) == (each.carrier == "arms")
        assert (each.reading is None) == (each.carrier == "arms")


def test_an_unknown_family_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput) as refused:
        driver("junos")

    assert refused.value.next_step == "Known families: fortios, ios, recipe, recipe-ssh, seil, seil-ssh."


def test_two_drivers_of_one_family_are_refused_with_both_names() -> None:
    with pytest.raises(Conflict, match=r"drivers\.ios and acme:DRIVER"):
        collect([("drivers.ios", DRIVER), ("acme:DRIVER", DRIVER)])


def test_an_entry_point_that_names_something_else_is_refused() -> None:
    with pytest.raises(BadInput, match="acme:main is a str"):
        collect([("acme:main", "main")])


def test_an_outside_driver_is_taken_in() -> None:
    theirs: Driver = replace(DRIVER, family="fortios", title="Acme")

    assert collect([("drivers.ios", DRIVER), ("acme:DRIVER", theirs)])["fortios"].title == "Acme"
